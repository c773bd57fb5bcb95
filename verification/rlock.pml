/* Tasks and threads at one re-entrant lock: _bridge/rlock.py and loans.py, over the rest.

   What is doubtful here is whose the inner lock is: of a thread, of the thread of a
   task that found it free, of the helper who lends it, of nobody while an elected
   thread is on its way to it. So an event loop is one process, as it is one thread: it
   runs one of its tasks after the other, or blocks itself, and nothing else meanwhile.
   How a waiter is woken is in bridge.pml, which see for the conventions. FOR_EVER and
   ENTERS_ADOPTED are what the code once was.

   Configurations: (none) a thread that barges, a loop's thread that blocks, its task that
   is cancelled, another of a loop that is closed; TASKS three tasks beside that thread,
   one of which enters again; AGAIN a loop's thread that comes twice, and may adopt the
   lock for a task that waited for a condition; BOTH two such threads, with a task each;
   TURNS all come again for ever, with POLITE_TURNS a thread that has no loop as well. */

#define FREE 0

/* Threads, as owners of the inner lock. */
#define LOOP_A 1
#define LOOP_B 2
#define HELPER 3
#define NATIVE 4
#define POLITE 5

/* Waiters: 1, 2, 3 are tasks, 3 that of loop B; 4 and 6 blocked threads of loop A, 5 and
   7 of loop B, by turns; those above were never queued (class Holder). */
#define WAITERS 7
#define BLOCKED(loop) (3 + (loop))
#define THE_NEXT(blocked) ((blocked) < 6 -> (blocked) + 2 : (blocked) - 2)
#define IS_THREAD(w) ((w) > 3)
#define HOLDER(w) (WAITERS + (w))
#define IS_TASK(h) ((h) != FREE && (h) <= 3)
#define LOOP(w) ((w) == 3 || (w) == 5 || (w) == 7 -> LOOP_B : LOOP_A)
#define AT_ONCE 5                  /* in the queue */

mtype = { ENQUEUE, ENQUEUE_THREAD, WITHDRAW, PASS_ON, SERVE, HELPED, HELPED_ACQUIRED,
          WITHDRAWN };

#define LETTERS 8
chan mail = [LETTERS] of { mtype, byte };
bool running;                      /* the first of `_mail`, which is not in `mail` then */
#define IN_MAIL (running || len(mail) > 0)
bool by_helper;                    /* the helper that lends is who runs the steps */

byte owner, entered;               /* of the inner lock: a thread, and how often */
byte by;                           /* `_lent.by`: 0, a thread, or HELPER for a loan */
bool due, unreturned;              /* of the loan: `due` is released, `returned` is not */
bool turnstile;
byte holder, elected;              /* a waiter */
byte depth;
bool helping, start;               /* a helper is on its way; its thread is to begin */
byte queue[AT_ONCE]; byte queued;  /* `_queue`, the first one first */
byte cohorts[AT_ONCE];             /* `_cohorts`, of all threads in one: each in its order */
bool granted[WAITERS + 1], resumed[WAITERS + 1];
bool wake[WAITERS + 1];            /* its loop, or the bell, is to let it run */
bool closed;                       /* loop B */
bool withdrawn[3];                 /* by loop */

/* Nothing of the code: what the properties need. */
byte inside;                       /* how many are in the critical section */
byte leaving;                      /* tasks that gave the lock up, and have yet to look */

mtype = { NEW, WAITS, INSIDE, ONCE, TWICE, GONE };
mtype state[6] = GONE;             /* of a task; 4 and 5 are those that adopt */

#ifdef TURNS
bool waits[5], serving[3];         /* 4 is the thread of loop A */
ltl served {
#ifdef POLITE_TURNS
  [] (waits[3] -> <> !waits[3]) && [] (waits[4] -> <> !waits[4])
#else
  [] (waits[1] -> <> !waits[1]) && [] (waits[3] -> <> !waits[3])
#endif
}
#define NOTE_WAIT(w, whether) waits[w] = whether;
#else
#define NOTE_WAIT(w, whether)
#endif

inline post(letter, who) {
  atomic { assert(nfull(mail)); mail!letter, who }
}

/* The C methods. To its owner the inner lock is always open. */
#define OPEN(me) (owner == FREE || owner == me)

inline acquire_as(me) { owner = me; entered++ }

inline release_as(me) {
  assert(owner == me && entered); // "cannot release un-acquired lock"
  entered--;
  if
  :: !entered -> owner = FREE
  :: else
  fi
}

inline get_in() { inside++; assert(inside == 1 && entered == 1) }
inline get_out() { inside-- }

#ifdef FAULT_WAITS_FOR_ITSELF
#define NOT_BY_HELPER true
#else
#define NOT_BY_HELPER !by_helper
#endif

/* By those who run the steps, and by a loop's thread outside of them. */
inline give_loan_back(for_it) {
  atomic { assert(by == HELPER); by = FREE };  // _bridge/loans.py:Lent.release `by, self.by = self.by, None`
  atomic {
    due = true;                    // _bridge/loans.py:Lent.release `by.due.release()`
    unreturned = for_it            // _bridge/loans.py:Lent.release `if by.helper is not this_thread.marker:`
  };
  !unreturned                      // _bridge/loans.py:Lent.release `by.returned.acquire(True, _PATIENCE)`
}

/* ---- The steps ---- */

byte i, k;                         /* scratch, inside of d_step only */

#define DROP(list, who) \
  i = 0; \
  do \
  :: list[i] != who -> i++ \
  :: else -> break \
  od; \
  do \
  :: i + 1 < queued -> list[i] = list[i + 1]; i++ \
  :: else -> break \
  od; \
  list[i] = 0; i = 0

inline find_cohort(thread) {       /* who: the first of the cohort; 0: it is empty */
  i = 0; who = 0;
  do
  :: i < queued && LOOP(cohorts[i]) != thread -> i++
  :: i < queued && LOOP(cohorts[i]) == thread -> who = cohorts[i]; break
  :: i >= queued -> break
  od;
  i = 0
}

inline add(w) {
  d_step {
    queue[queued] = w;             // _bridge/queue.py:Waiting._add `self._queue[waiter] = None`
    cohorts[queued] = w;           // _bridge/queue.py:Waiting._add `self._cohorts.setdefault(waiter.thread, OrderedDict())[waiter] = None`
    queued++
  }
}

inline add_before_its_cohort(w) {
  d_step {                         // _bridge/queue.py:Waiting._add_before_its_cohort `self._cohorts[waiter.thread].move_to_end(waiter, last=False)`
    queue[queued] = w;
    i = queued;
    do
    :: i > 0 -> cohorts[i] = cohorts[i - 1]; i--
    :: else -> break
    od;
    cohorts[0] = w;
    queued++
  }
}

inline remove(w) {
  d_step {                         // _bridge/queue.py:Waiting._remove `self._queue.pop(waiter, None)`
    i = 0; k = 0;
    do
    :: i < queued && queue[i] != w -> i++
    :: i < queued && queue[i] == w -> k = 1; break
    :: i >= queued -> break
    od;
    if
    :: k ->
       DROP(queue, w);
       DROP(cohorts, w);           // _bridge/queue.py:Waiting._remove `cohort.pop(waiter, None)`
       queued--
    :: else
    fi;
    i = 0; k = 0
  }
}

inline forget(who) {               /* nobody asks any more: fewer states to tell apart */
  granted[who] = false; wake[who] = false; resumed[who] = false
}

inline entrust(who) {
  if                               // _bridge/lock.py:LockBridge._entrust `self.holder = None if isinstance(waiter, BlockedThread) else waiter`
  :: IS_THREAD(who) ->
     holder = FREE;
     assert(!elected);
     elected = who                 // _bridge/rlock.py:RLockBridge._entrust `self._elected = waiter`
  :: else -> holder = who
  fi
}

inline distrust(who) {
  if                               // _bridge/rlock.py:RLockBridge._distrust `if self._elected is waiter:`
#ifndef FAULT_STAYS_ELECTED
  :: elected == who -> elected = FREE
#endif
  :: holder == who -> holder = FREE  // _bridge/lock.py:LockBridge._distrust `if self.holder is waiter:`
  :: else
  fi
}

inline summon_helper() {           /* what it looks at changes in steps only */
  if                               // _bridge/queue.py:Waiting._summon_helper `if not self._queue or self._helping or self._retired:`
  :: queued && !helping ->
     helping = true;               // _bridge/queue.py:Waiting._summon_helper `self._helping = True`
     assert(!start);
     start = true                  // _bridge/queue.py:Waiting._summon_helper `_thread.start_new_thread(self._help, ())`
  :: else
  fi
}

#define LOST (holder == 3 && closed && !resumed[3])

proctype Steps() {
  mtype step; byte w, thread, who;
#ifdef TURNS
  byte handed_on;
#endif

end_idle:
  atomic {
    mail?step, w; running = true;
    if
    :: step == ENQUEUE ->
       step = 0;
       add(w); w = 0;              // _bridge/queue.py:Waiting._enqueue `self._add(waiter)`
       goto serve                  // _bridge/queue.py:Waiting._enqueue `self._serve()`
    :: step == ENQUEUE_THREAD -> step = 0; goto enqueue_thread
    :: step == WITHDRAW ->
       step = 0;
       if
       :: granted[w] && IS_THREAD(w) ->  // _bridge/rlock.py:RLockBridge._withdraw `if waiter.granted and isinstance(waiter, BlockedThread):`
          distrust(w);             // _bridge/rlock.py:RLockBridge._withdraw `self._distrust(waiter)`
          forget(w); w = 0;
#ifdef FAULT_NOT_SERVED
          goto done
#else
          goto serve               // _bridge/rlock.py:RLockBridge._withdraw `self._serve()`
#endif
       :: granted[w] && !IS_THREAD(w) ->  // _bridge/queue.py:Waiting._withdraw `if waiter.granted:`
          distrust(w);             // _bridge/queue.py:Waiting._withdraw `self._distrust(waiter)`
          thread = LOOP(w); forget(w); w = 0;
#ifdef FAULT_LOAN_KEPT
          goto serve
#else
          goto pass_on             // _bridge/queue.py:Waiting._withdraw `self._pass_on(waiter.thread)`
#endif
       :: else ->
          remove(w);               // _bridge/queue.py:Waiting._withdraw `self._remove(waiter)`
          forget(w); w = 0;
          goto done
       fi
    :: step == WITHDRAWN ->
       step = 0; withdrawn[w] = true; // _bridge/base.py:Bridge._withdraw_thread `self._do(blocked.withdrawn.release)`
       goto done
    :: step == PASS_ON -> step = 0; thread = w; w = 0; goto pass_on
    :: step == SERVE ->
#ifdef TURNS
       serving[w] = false;
#endif
       step = 0; w = 0;
       goto serve
    :: step == HELPED ->
       step = 0; helping = false;  // _bridge/queue.py:Waiting._helped `self._helping = False`
       goto serve                  // _bridge/queue.py:Waiting._helped `self._serve()`
    :: step == HELPED_ACQUIRED ->
       step = 0; helping = false;
       if                          /* whoever is at the steps: that helper itself, or not */
#ifndef TURNS
       :: by_helper = true
#endif
       :: true
       fi;
       goto grant                  // _bridge/queue.py:Waiting._helped `self._grant()`
    fi
  };

enqueue_thread:
  atomic {                         // _bridge/lock.py:LockBridge._take_back `isinstance(holder, AsyncioWaiter | TrioWaiter)`
    if
#ifndef FAULT_NO_TAKE_BACK
    :: IS_TASK(holder) && LOOP(holder) == LOOP(w) && !resumed[holder] ->
       granted[holder] = false;    // _bridge/lock.py:LockBridge._take_back `holder.granted = False`
       who = holder;
       add_before_its_cohort(who); // _bridge/queue.py:Waiting._enqueue_thread `self._add_before_its_cohort(waiter)`
       who = 0;
       entrust(w);                 // _bridge/queue.py:Waiting._enqueue_thread `self._entrust(blocked)`
       goto give                   // _bridge/queue.py:Waiting._enqueue_thread `self._give(blocked)`
#endif
    :: else ->
       add_before_its_cohort(w);   // _bridge/queue.py:Waiting._enqueue_thread `self._add_before_its_cohort(blocked)`
       w = 0;
       goto serve
    fi
  };

pass_on:
  if                               // _bridge/queue.py:Waiting._pass_on `self._tenure_ends = now + TENURE`
#ifdef TURNS
  /* A tenure is finite: here it is so many hand-ons at most. */
  :: atomic { handed_on < 2 -> handed_on++; goto grant }
  :: atomic { handed_on > 0 -> handed_on = 0 }
#else
  :: goto grant                    // _bridge/queue.py:Waiting._pass_on `self._grant(thread)`
  :: true
#endif
  fi;
  give_loan_back(NOT_BY_HELPER);      // _bridge/queue.py:Waiting._pass_on `self._release()`
  atomic {
    summon_helper();               // _bridge/queue.py:Waiting._pass_on `self._summon_helper()`
    goto done
  };

serve:
  atomic {
    if
    :: LOST ->                     // _bridge/lock.py:LockBridge._serve `lost = self._lost()`
       granted[holder] = false;    // _bridge/lock.py:LockBridge._serve `lost.granted = False`
       holder = FREE;              // _bridge/lock.py:LockBridge._serve `self._distrust(lost)`
       thread = 0;
       goto grant                  // _bridge/lock.py:LockBridge._serve `self._grant()`
    :: else
    fi
  };
  atomic {
    if                             // _bridge/lock.py:LockBridge._serve `if self._queue and not self._helping and self.holder is None:`
    :: queued && !helping && holder == FREE
    :: else -> goto done
    fi;
    if                             // _bridge/rlock.py:RLockBridge._fetch `if self._elected is None and self._lent.by is not ABANDONED:`
    :: elected -> goto done
    :: else
    fi;
    summon_helper();               // _bridge/rlock.py:RLockBridge._fetch `self._summon_helper()`
    goto done
  };

grant:
#ifndef FAULT_GRANT_WHILE_ELECTED
  if                               // _bridge/rlock.py:RLockBridge._grant `if self._elected is None:`
  :: elected -> goto give_back     // _bridge/rlock.py:RLockBridge._grant `self._release()`
  :: else
  fi;
#endif
  atomic {
    if                             // _bridge/queue.py:Waiting._grant `while self._queue:`
    :: !queued -> goto give_back   // _bridge/queue.py:Waiting._grant `self._release()`
    :: queued ->
       find_cohort(thread);        // _bridge/queue.py:Waiting._next `return next(iter(cohort))`
       if
       :: !who ->                  // _bridge/queue.py:Waiting._next `first = next(iter(self._queue))`
          find_cohort(LOOP(queue[0]));
          k = queue[0];
          if                       // _bridge/queue.py:Waiting._next `if waiter is not first:`
          :: who != k ->
             DROP(queue, k);       // _bridge/queue.py:Waiting._next `self._queue.move_to_end(first)`
             queue[queued - 1] = k
          :: else
          fi;
          k = 0
       :: else
       fi;
       w = who; who = 0;
       entrust(w)                  // _bridge/queue.py:Waiting._grant `self._entrust(waiter)`
    fi
  };
  remove(w);                       // _bridge/queue.py:Waiting._grant `self._remove(waiter)`

give:
  if                               // _bridge/rlock.py:RLockBridge._give `if waiter is not self._elected:`
  :: w == elected ->
#ifndef FAULT_ELECTED_WITHOUT
     give_loan_back(NOT_BY_HELPER)    // _bridge/rlock.py:RLockBridge._give `self._release()`
#endif
  :: else
  fi;
  atomic {
    granted[w] = true;             // _parking.py:Waiter.grant `self.granted = True`
    if
    :: w == 3 && closed ->
       granted[w] = false;         // _parking.py:Waiter.grant `self.granted = False`
       distrust(w);                // _bridge/queue.py:Waiting._grant `self._distrust(waiter)`
       w = 0;
       goto grant
    :: else ->
       wake[w] = true;             // _parking.py:AsyncioWaiter._unpark `self.loop.call_soon_threadsafe(_Wake(self, future))`
       goto done
    fi
  };

give_back:
  give_loan_back(NOT_BY_HELPER);

done:
  atomic {
    running = false;               // _bridge/steps.py:Steps._run_steps `self._mail.popleft()`
    /* The invariant that queue.py begins with, and the elected. */
    assert(!queued || helping || holder || elected || leaving || IN_MAIL);
    if                             // _bridge/steps.py:Steps._run_steps `while self._mail:`
    :: len(mail) == 0 -> by_helper = false
    :: else
    fi;
    w = 0; thread = 0;
    goto end_idle
  }
}

/* ---- The helper thread ---- */

active proctype Helper() {         /* from its start until it has told what it got */
end_away:
  do
  :: atomic {                      // _bridge/queue.py:Waiting._wait_for_the_queue `with self._turnstile:`
       start && !turnstile -> start = false; turnstile = true
     };
     if                            // _bridge/queue.py:Waiting._wait_for_the_queue `while self._queue and not acquired and not self._retired:`
     :: !queued ->
        turnstile = false;
        post(HELPED, 0)            // _bridge/rlock.py:RLockBridge._help `self._do(partial(self._helped, False))`
     :: atomic { owner == FREE -> acquire_as(HELPER) }; // _bridge/queue.py:Waiting._wait_for_the_queue `acquired = self._acquire(True, SLICE)`
        turnstile = false;
        atomic { assert(by == FREE); by = HELPER }; // _bridge/rlock.py:RLockBridge._help `loan = self._lent.by = Loan()`
        post(HELPED_ACQUIRED, 0)   // _bridge/rlock.py:RLockBridge._help `self._do(partial(self._helped, True))`
     fi
  od
}

active proctype Lender() {         /* the same thread from then on; another may be on its way */
end_home:
  do
  :: atomic {                      // _bridge/rlock.py:RLockBridge._help `loan.due.acquire()`
       due && !by_helper -> due = false;
       release_as(HELPER);         // _bridge/rlock.py:RLockBridge._help `self._lent.release_here()`
       unreturned = false          // _bridge/rlock.py:RLockBridge._help `loan.returned.release()`
     }
  od
}

/* ---- Threads without a loop ---- */

#define HELD_BY_THREAD(me) (by == FREE && owner == me)

inline leave_inner(me) {
  atomic {                         // _bridge/rlock.py:RLockBridge.held_by_thread `return self._lent.by is None and self._owned()`
    assert(HELD_BY_THREAD(me) && holder == FREE);
    get_out();
    release_as(me)                 // _thread/rlock.py:CarefulThreadRLock.release `self._inner.release()`
  }
}

proctype Barging() {
  atomic { OPEN(NATIVE) -> acquire_as(NATIVE); get_in() };  // _thread/rlock.py:ThreadRLock.__init__ `Ways(inner.__enter__, inner.acquire, owned_by, me)`
  leave_inner(NATIVE)              // _thread/rlock.py:ThreadRLock._use_native `slots.__exit__ = self._inner.__exit__`
}

#ifdef TURNS
proctype Polite() {
end_outside:
  do
  :: !turnstile;                   // _bridge/base.py:Bridge._block_politely `with self._turnstile:`
     atomic { OPEN(POLITE) -> acquire_as(POLITE); get_in() }; // _bridge/base.py:Bridge._block_politely `return acquired(self._acquire, self._release)`
     leave_inner(POLITE)
  od
}
#endif

/* ---- Event loops ---- */

#define MINE(w) (state[w] != GONE && LOOP(w) == me)
#define READY(w) (MINE(w) && (state[w] != WAITS || wake[w]))
#define ENTERED(w) (MINE(w) && state[w] != NEW && state[w] != WAITS)
#define HELD_HERE (ENTERED(1) || ENTERED(2) || ENTERED(3) || ENTERED(BLOCKED(me)))

proctype Loop(byte me, blocks, doomed) {
  byte w, blocked; bool endless;

  blocked = BLOCKED(me);           // _blocking.py:BlockedThread.__init__ `self._bell.acquire()`

  if                               /* decided now, or who waits for ever could always go */
  :: doomed
  :: doomed = 0
  fi;

pick:
  atomic {
    w = 0; endless = false;
    if
    :: READY(1) -> w = 1
    :: READY(2) -> w = 2
    :: READY(3) -> w = 3
    :: READY(BLOCKED(me)) -> w = BLOCKED(me)
#ifdef POLITE_TURNS
    :: blocks -> goto block
#else
    :: blocks -> blocks--; goto block
#endif
    :: doomed && MINE(doomed) && state[doomed] == WAITS -> w = doomed; goto end_it
    :: !blocks && !MINE(1) && !MINE(2) && !MINE(3) && !MINE(BLOCKED(me)) -> goto over
    fi;
    if
    :: state[w] == NEW
    :: state[w] == WAITS -> goto resume
    :: state[w] == ONCE ->
       assert(depth == 0);
       depth++;                    // _bridge/rlock.py:RLockBridge.enter_again `self.depth += 1`
       state[w] = TWICE;
       goto pick
    :: state[w] == TWICE ->
       assert(depth == 1);
       depth--;                    // _bridge/rlock.py:RLockBridge.leave `self.depth -= 1`
       state[w] = INSIDE;
       goto pick
    :: state[w] == INSIDE -> goto leave
    fi
  };

  if                               // _bridge/rlock.py:RLockBridge.spoken_for `return bool(self._queue) or self._elected is not None`
  :: queued -> goto wait
  :: else
  fi;
  if
  :: elected -> goto wait
  :: else
  fi;
  atomic {                         // _bridge/rlock.py:RLockBridge.take `if self.spoken_for() or self._owned() or not self._acquire(False):`
    if
#ifdef FAULT_NOT_OWNED
    :: OPEN(me) -> acquire_as(me)
#else
    :: owner == FREE -> acquire_as(me)
#endif
    :: else -> goto wait
    fi
  };
  by = me;                         // _bridge/rlock.py:RLockBridge.take `self._lent.by = this_thread.marker`
  atomic { holder = HOLDER(w); goto in };  // _bridge/rlock.py:RLockBridge.take `self.holder = Holder()`

wait:
  atomic {
    state[w] = WAITS; NOTE_WAIT(w, true)
    post(ENQUEUE, w);              // _bridge/base.py:Bridge._wait `self._do(partial(self._enqueue, waiter))`
    goto pick
  };

resume:
  atomic {
    wake[w] = false;
    if                             // _parking.py:Waiter._accept `if self.granted:`
    :: granted[w] -> resumed[w] = true   // _parking.py:Waiter._accept `self.resumed = True`
    :: else -> goto pick           // _parking.py:AsyncioWaiter.wait `self._future = future = self.loop.create_future()  # it was taken back`
    fi
  };
in:
  atomic {
    get_in(); NOTE_WAIT(w, false)
#ifdef TURNS
    state[w] = INSIDE;
#else
    state[w] = (w == 3 -> ONCE : INSIDE);
#endif
    goto pick
  };

end_it:
  atomic {
    state[w] = GONE;
    if
    :: me == LOOP_A || !wake[w] || closed ->
       closed = closed || me == LOOP_B;
       post(WITHDRAW, w)           // _bridge/base.py:Bridge._wait `except BaseException:`
    :: me == LOOP_B && wake[w] ->
       closed = true;
       if                          // _parking.py:_Wake.__del__ `self._waiter.lost()`
       :: LOST -> post(SERVE, 0)   // _bridge/base.py:Bridge._pass_over_the_gone `self._do(self._serve)`
       :: else
       fi
    :: me == LOOP_B && !wake[w] && !granted[w] -> closed = true  /* somebody refers to the task */
    fi;
    doomed = 0;
    goto pick
  };

leave:
  atomic {
    get_out();
    assert(holder == w || holder == HOLDER(w));
    assert(depth == 0);
    holder = FREE; leaving++;      // _bridge/rlock.py:RLockBridge.give_up `self.holder = None`
#ifdef TURNS
    state[w] = NEW;
    blocks = (w == 1);             /* or else it would always pass over its own task */
#else
    state[w] = GONE;
#endif
    if
    :: !IS_THREAD(w) -> forget(w)
    :: else                        /* the thread's withdrawal may be in the mailbox */
    fi
  };
#ifndef FAULT_DEPTH_LATE
  depth = 0;                       // _bridge/rlock.py:RLockBridge.give_up `self.depth = 0`
#endif
  if                               // _bridge/rlock.py:RLockBridge.give_up `if isinstance(self._lent.by, Loan):`
#ifdef FAULT_GIVE_UP_ITSELF
  :: false ->
#else
  :: by == HELPER ->               // _bridge/rlock.py:RLockBridge.give_up `self.dispose()`
#endif
     if                            // _bridge/base.py:Bridge.dispose `if self._queue or self._mail:`
     :: queued -> goto hand_on
     :: else
     fi;
     if
     :: IN_MAIL -> goto hand_on
     :: else
     fi;
     give_loan_back(true)          // _bridge/base.py:Bridge.dispose `self._release()`
  :: else ->
     by = FREE;
     release_as(me)                // _bridge/loans.py:Lent.release `if by is None or by is this_thread.marker:`
  fi;
#ifndef FAULT_NO_LOOK
  if                               // _bridge/rlock.py:RLockBridge.give_up `if self._queue or self._mail:`
  :: queued -> goto look
  :: else
  fi;
  if
  :: IN_MAIL -> goto look
  :: else
  fi;
#endif
  atomic { leaving--; goto left };
look:
#ifdef TURNS
  atomic {                         /* one that is to be served yet does for both */
    if
    :: !serving[me] -> serving[me] = true; post(SERVE, me)
    :: else
    fi;
    leaving--; goto left
  };
#else
  atomic { post(SERVE, 0); leaving--; goto left };  // _bridge/rlock.py:RLockBridge.give_up `self._do(self._serve)`
#endif
hand_on:
  atomic { post(PASS_ON, me); leaving-- };  // _bridge/base.py:Bridge.dispose `self._do(partial(self._pass_on, this_thread.marker))`
left:
#ifdef FAULT_DEPTH_LATE
  depth = 0;
#endif
  goto pick;

  /* The thread itself, outside of the tasks that are inside. */
block:
#ifdef TURNS
  endless = true;
#else
  if
  :: endless = true
  :: true
  fi;
#endif
elected_before:
  if                               // _bridge/rlock.py:RLockBridge._acquire_amid_election `elected.thread is me and not self._owned()`
#ifdef FAULT_ENTERS_ADOPTED
  :: elected && LOOP(elected) == me ->
#else
  :: elected && LOOP(elected) == me && owner != me ->
#endif
     if                            // _bridge/rlock.py:RLockBridge._acquire_amid_election `if acquired(self._acquire, self._release, _slice(deadline)):`
     :: atomic { OPEN(me) -> acquire_as(me); get_in() }; goto have
#ifndef FAULT_FOR_EVER
     :: !elected || LOOP(elected) != me -> goto elected_before
#endif
     :: !endless -> goto pick
     fi
  :: else
  fi;
  if                               // _bridge/base.py:Bridge.block_while `if self._lost() is not None:`
  :: LOST -> post(SERVE, 0)        // _bridge/base.py:Bridge._pass_over_the_gone_elsewhere `_thread.start_new_thread(self._pass_over_the_gone, ())`
  :: else
  fi;
  if
  :: HELD_HERE && endless -> goto pick  // _bridge/lock.py:LockBridge._held_here `raise WouldDeadlock(reason, "use 'async with' in tasks", name)`
  :: HELD_HERE && !endless && owner != me -> goto pick  // _bridge/base.py:Bridge.block_while `return self._block_politely(timeout)`
  :: else
  fi;
  atomic {
    blocked = THE_NEXT(blocked); NOTE_WAIT(BLOCKED(me), true)
    post(ENQUEUE_THREAD, blocked)
  };                                // _bridge/base.py:Bridge._block_loop_thread `self._do(partial(self._enqueue_thread, blocked))`
  if                               // _blocking.py:BlockedThread.block `self._bell.acquire(True, seconds)`
  :: wake[blocked]
  :: !endless
  fi;
  if                               // _blocking.py:BlockedThread.block `return self._accept()`
  :: granted[blocked]
  :: else -> goto no_more
  fi;
in_turn:
#ifndef FAULT_OUT_OF_TURN
  if                               // _bridge/rlock.py:RLockBridge._acquire_in_turn `if acquired(turnstile.acquire, turnstile.release, _slice(deadline)):`
  :: atomic { !turnstile -> turnstile = true }
  :: !endless -> goto no_more
  fi;
#endif
  if                               // _bridge/rlock.py:RLockBridge._acquire_in_turn `if acquired(self._acquire, self._release, _slice(deadline)):`
  :: atomic { OPEN(me) -> acquire_as(me); get_in(); NOTE_WAIT(BLOCKED(me), false) }
#ifndef TURNS
  :: start -> turnstile = false; goto in_turn   /* a slice is over; only then does it matter */
#endif
  :: !endless -> turnstile = false; goto no_more
  fi;
  turnstile = false;               // _bridge/rlock.py:RLockBridge._acquire_in_turn `turnstile.release()`
  post(WITHDRAW, blocked);         // _bridge/rlock.py:RLockBridge._take_up `self._do(partial(self._withdraw, blocked))`
have:
#if defined(AGAIN) || defined(BOTH)
  if
  :: true
  :: by = me;                      // _bridge/rlock.py:RLockBridge.adopt `self._lent.by = this_thread.marker`
     holder = HOLDER(BLOCKED(me)); // _bridge/rlock.py:RLockBridge.adopt `self.holder = Holder()`
     atomic { state[BLOCKED(me)] = INSIDE; goto pick }
  fi;
#endif
  leave_inner(me);
  goto pick;
no_more:
#ifndef FAULT_NOT_WITHDRAWN
  post(WITHDRAW, blocked);         // _bridge/base.py:Bridge._withdraw_thread `self._do(partial(self._withdraw, blocked))`
#endif
  post(WITHDRAWN, me);
  atomic { withdrawn[me] -> withdrawn[me] = false; goto pick };  // _bridge/base.py:Bridge._withdraw_thread `blocked.withdrawn.acquire()`

over:
  skip
}

init {
  atomic {
    run Steps();
#if defined(TASKS)
    state[1] = NEW; state[2] = NEW; state[3] = NEW;
    run Barging();
    run Loop(LOOP_A, 0, 1);
    run Loop(LOOP_B, 0, 0)
#elif defined(AGAIN)
    state[1] = NEW;
    run Barging();
    run Loop(LOOP_A, 2, 0)
#elif defined(BOTH)
    state[1] = NEW; state[3] = NEW;
    run Loop(LOOP_A, 1, 0);
    run Loop(LOOP_B, 1, 0)
#elif defined(POLITE_TURNS)
    state[3] = NEW;
    run Polite();
    run Loop(LOOP_A, 1, 0);
    run Loop(LOOP_B, 0, 0)
#elif defined(TURNS)
    state[1] = NEW; state[3] = NEW;
    run Loop(LOOP_A, 1, 0);
    run Loop(LOOP_B, 0, 0)
#else
    state[1] = NEW; state[3] = NEW;
    run Barging();
    run Loop(LOOP_A, 1, 1);
    run Loop(LOOP_B, 0, 3)
#endif
  }
#ifndef TURNS
  _nr_pr == 4 && !IN_MAIL && !helping && !due;  /* this, Steps and the helper are left */
  assert(owner == FREE && !queued && holder == FREE && elected == FREE);
  assert(!turnstile && !leaving && !inside && by == FREE)
#endif
}
