/* The mailbox of steps, _bridge/steps.py, as the code does it.

   Three threads leave a step each; in two of them a signal handler (or a finalizer)
   comes in the middle of anything and leaves one more, by the same code, while the
   frame that it interrupted stands still. One step is interrupted by an exception.

   Proven: every step runs exactly once, in the order in which they were left, never
   two at once; while it has not been carried out it is in the mailbox (which `busy`
   and `dispose` rely on); and when everybody is gone, none is left behind.

   That is what lets bridge.pml, semaphore.pml and rlock.pml run the steps in a process
   of their own, one after the other, while whoever left one goes on at any time. It
   does more than the code can: there, who leaves a step goes on before it was run only
   if somebody else is at it. */

#ifndef THREADS
#define THREADS 3
#endif
#ifndef HANDLERS
#define HANDLERS 1                 /* in the threads 0 ... */
#endif
#define FRAMES (THREADS + HANDLERS)                  /* frame t is of thread t; frame 3 + t is a handler of it */
#define THREAD(frame) ((frame) % THREADS)
#define NOBODY 255

chan mail = [FRAMES] of { byte };
byte owner = NOBODY;               /* of `_running`, an RLock; it is never entered again */
bool interrupted[FRAMES + 1];      /* by process: frame f is process f + 1 */
byte left, carried;                /* how many steps were left, and carried out */
byte inside;
byte finished;
bool may_raise = true;

proctype Frame(byte me) provided (!interrupted[_pid]) {
  byte step;
  bool raised, second;

  if
  :: me < THREADS
  :: me >= THREADS -> interrupted[THREAD(me) + 1] = true
  fi;

  d_step {                         // _bridge/steps.py:Steps._do `self._mail.append(step)`
    mail!left; left++
  }

again:
  if                               // _bridge/steps.py:Steps._run_steps `while self._mail and not self._amid_steps()`
  :: empty(mail) -> goto stop
  :: nempty(mail)
  fi;
#ifndef FAULT_REENTER
  if                               // _bridge/steps.py:Steps._amid_steps `self._running._is_owned()`
  :: owner == THREAD(me) -> goto stop
  :: else
  fi;
#endif
  if                               // _bridge/steps.py:Steps._run_steps `self._running.acquire(False)`
  :: atomic { (owner == NOBODY || owner == THREAD(me)) -> owner = THREAD(me) }
  :: owner != NOBODY && owner != THREAD(me) -> goto stop
  fi;

  do                               // _bridge/steps.py:Steps._run_steps `while self._mail:`
  :: empty(mail) -> break
  :: nempty(mail) ->
#ifdef FAULT_POP_FIRST
     mail?step;
#endif
     atomic {                      // _bridge/steps.py:Steps._run_steps `self._mail[0]()`
#ifndef FAULT_POP_FIRST
       mail?<step>;
#endif
       assert(step == carried);  step = 0;    // in order, and none twice
       assert(inside == 0);                 // never two at once
       inside++
     }
     if
     :: may_raise -> may_raise = false; raised = true
     :: raised = false
     fi;
     assert(nempty(mail));                  // it is there until it is done
     d_step { inside--; carried++ }
#ifndef FAULT_POP_FIRST
     mail?_;                       // _bridge/steps.py:Steps._run_steps `self._mail.popleft()`
#endif
     if
     :: raised -> break            // out of both loops
     :: else
     fi
  od;
  owner = NOBODY;                  // _bridge/steps.py:Steps._run_steps `self._running.release()`
#ifndef FAULT_NO_RETEST
  if
  :: raised
  :: else -> goto again
  fi;
#endif

stop:
#ifndef FAULT_NO_SECOND_RUN
  if
  :: raised && !second ->          // _bridge/steps.py:Steps._do `except BaseException:`
     raised = false; second = true;
     goto again
  :: else
  fi;
#endif
  if
  :: me < THREADS
  :: me >= THREADS -> interrupted[THREAD(me) + 1] = false
  fi;
  finished++
}

init {
  byte i;
  atomic {
    for (i : 0 .. FRAMES - 1) { run Frame(i) }
  }
  finished == FRAMES;
  assert(empty(mail));             // none is left behind
  assert(carried == left);
  assert(owner == NOBODY)
}
