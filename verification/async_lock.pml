/* The lock of one event loop: _async/{_base,_owned,lock}.py.

   There is one thread: what runs between two awaits is one step. The tasks are of loop A,
   which goes on, and of loop B, which may be closed at any of its awaits; then the task
   is garbage sooner or later. Task 1 may be cancelled, or its time be over. */

#define FREE 0
#define LOOP_B_TASK 4
#define TASKS 4
#define OWNER(task) (10 + (task))
#define IS_WAITER(o) ((o) != FREE && (o) <= TASKS)

byte owner = FREE;                 /* `_owner` */
byte queue[TASKS]; byte queued;    /* `_waiters` */
bool granted[TASKS + 1], resumed[TASKS + 1], wake[TASKS + 1];
bool closed;                       /* loop B */
byte inside, i, who;

inline pop(w) {
  i = 0;
  do
  :: i < queued && queue[i] != w -> i++
  :: else -> break
  od;
  if
  :: i < queued ->
     queued--;
     do
     :: i < queued -> queue[i] = queue[i + 1]; i++
     :: else -> break
     od;
     queue[queued] = 0
  :: else
  fi;
  i = 0
}

inline pass_on() {
#ifdef FAULT_RELEASE_FIRST
  owner = FREE;
#endif
  do
  :: queued ->                     // _async/_base.py:AsyncBase._pass_on `while self._waiters:`
     who = queue[0];
     pop(who);                     // _async/_base.py:AsyncBase._pass_on `self._waiters.popitem(last=False)`
#ifndef FAULT_RELEASE_FIRST
     owner = who;                  // _async/_owned.py:AsyncOwned._promise `self._owner = waiter`
#endif
     if                            // _async/_base.py:AsyncBase._pass_on `waiter.grant()`
#ifndef FAULT_GRANT_TO_CLOSED
     :: who == LOOP_B_TASK && closed   // _parking.py:Waiter.grant `self.granted = False`
#endif
     :: else -> granted[who] = true; wake[who] = true; break
     fi
  :: !queued -> owner = FREE; break    // _async/_owned.py:AsyncOwned._keep `self._owner = None`
  od;
  who = 0
}

inline withdraw(w) {
  if                               // _async/_base.py:AsyncBase._withdraw `if waiter.granted:`
  :: granted[w] ->
     granted[w] = false;
#ifndef FAULT_FORGET_CANCELLED
     pass_on()                     // _async/_owned.py:AsyncOwned._refuse `self._pass_on()`
#endif
  :: else -> pop(w)                // _async/_base.py:AsyncBase._withdraw `self._waiters.pop(waiter, None)`
  fi
}

inline pass_over_the_gone() {
  if                               // _async/_owned.py:AsyncOwned._pass_over_the_gone `owner.lost_its_loop()`
  :: owner == LOOP_B_TASK && closed && !resumed[LOOP_B_TASK] ->
     granted[LOOP_B_TASK] = false; // _async/_owned.py:AsyncOwned._pass_over_the_gone `owner.granted = False`
     pass_on()
  :: else
  fi
}

#define CANCEL 1
#define CLOSE 2

proctype Task(byte me, fates) {


  atomic {
    if                             // _async/lock.py:AsyncLock.__aenter__ `if actor and self._owner is None:`
    :: owner == FREE -> owner = OWNER(me); goto have
    :: else
    fi;
    queue[queued] = me; queued++;  // _async/_base.py:AsyncBase._wait `self._waiters[waiter] = None`
    pass_over_the_gone()           // _async/_owned.py:AsyncOwned._check `self._pass_over_the_gone()`
  };
  if                               // _async/_base.py:AsyncBase._wait `if await waiter.wait(timeout):`
  :: atomic {
       wake[me] && !(fates == CLOSE && closed) ->
       assert(granted[me]); assert(owner == me);
       resumed[me] = true;
       owner = OWNER(me)           // _async/_owned.py:AsyncOwned._accept `self._owner = actor`
     }
  :: fates == CANCEL -> atomic { withdraw(me); goto over }
  :: fates == CLOSE ->
     closed = true;
     if
     :: atomic { !granted[me] -> goto over }   /* somebody refers to the task */
     :: true
     fi;
     atomic { withdraw(me); goto over }   /* when the garbage collector comes */
  fi;
have:
  atomic { assert(owner == OWNER(me)); inside++; assert(inside == 1) };
  atomic {
    inside--;
    if                             // _async/lock.py:AsyncLock.__aexit__ `if self._waiters:`
#ifndef FAULT_NO_PASS_ON
    :: queued -> pass_on()
#endif
    :: else -> owner = FREE        // _async/lock.py:AsyncLock.__aexit__ `self._owner = None`
    fi
  };
over:
  skip
}

active proctype Look() {           /* nobody waits while it is free */
end_look:
  atomic { owner == FREE && queued -> assert(false) }
}

init {
  atomic {
    run Task(1, CANCEL);
    run Task(2, 0);
    run Task(3, 0);
    run Task(4, CLOSE)
  }
  _nr_pr == 2;
  assert(owner == FREE && !queued)
}
