/* Tasks and threads at one lock: _bridge/{queue,base,lock}.py, _parking.py, _blocking.py.

   Every access to what another thread can see is a step of its own, except inside of
   `atomic` and `d_step`, which stand for one C call or for what is changed in steps of
   the mailbox alone. Steps run one at a time and in order, in the process `Steps`;
   steps.pml shows why that may be.

   Configurations: (none) 2 threads, 3 tasks, one of them cancelled, one with a loop
   that is closed; BLOCKED a loop's thread blocks while its own task waits; SLOTS the
   exchange of native and careful methods; TURNS all come again for ever. */

#define FREE 0
#define LOOP_A 1
#define LOOP_B 2

/* Waiters: 1, 2, 3 are tasks; 4 is the blocked thread of loop A; those above were never
   queued (class Holder). */
#define WAITERS 4
#define BLOCKED_THREAD 4
#define HOLDER(task) (4 + (task))
#define IS_WAITER(h) ((h) != FREE && (h) <= WAITERS)
#define LOOP(w) ((w) == 3 -> LOOP_B : LOOP_A)
#define RESUMED(h) ((h) > WAITERS || resumed[h])

mtype = { ENQUEUE, ENQUEUE_THREAD, WITHDRAW, PASS_ON, SERVE, HELPED, HELPED_ACQUIRED,
          WITHDRAWN };

#define LETTERS 8
chan mail = [LETTERS] of { mtype, byte };
bool running;                      /* the first of `_mail`, which is not in `mail` then */
#define IN_MAIL (running || len(mail) > 0)

bool inner;                        /* the inner lock is taken */
bool turnstile;
byte holder = FREE;
bool helping, start;               /* a helper is on its way; its thread is to begin */
byte queue[WAITERS]; byte queued;  /* `_queue`, the first one first */
#ifdef BLOCKED
bool withdrawn;
byte cohorts[WAITERS];             /* `_cohorts`, of all threads in one: each in its order */
#else
#define cohorts queue              /* nobody is put before his cohort */
#endif
#ifdef SLOTS
byte carried;                      /* `_steps`; it does not come round here */
#define COUNT_IT carried++;
#else
#define COUNT_IT
#endif

bool granted[WAITERS + 1], resumed[WAITERS + 1];
bool future[WAITERS + 1];          /* the waiter has a future: it is parked */
bool wake[WAITERS + 1];            /* its loop is to let it run */
bool closed[3];                    /* by loop */

/* Nothing of the code: what the properties need. */
byte inside;                       /* how many are in the critical section */
byte leaving;                      /* tasks that gave the lock up, and have yet to look */
byte overtaken;                    /* by threads, while the helper has the turnstile */
bool helper_waits;
#define POLITE 1                   /* how many polite threads there are */
#ifndef ROUNDS
#define ROUNDS 1                   /* how often they come */
#endif

inline post(letter, who) {
  atomic { assert(nfull(mail)); mail!letter, who }
}

inline get_in() { inside++; assert(inside == 1); assert(inner) }

inline get_out() { inside-- }      /* with what takes it, and with what gives it up */

inline release_inner() { d_step { assert(inner); inner = false } }

#ifdef TURNS
bool waits[4];
ltl served { [] (waits[1] -> <> !waits[1]) && [] (waits[3] -> <> !waits[3]) }
#endif

/* ---- The steps ---- */

byte i, k;                         /* scratch, inside of d_step only */

inline drop_from_queue(who) {
  i = 0;
  do
  :: queue[i] != who -> i++
  :: else -> break
  od;
  do
  :: i + 1 < queued -> queue[i] = queue[i + 1]; i++
  :: else -> break
  od;
  queue[i] = 0; i = 0
}

#ifdef BLOCKED
inline drop_from_cohorts(who) {
  i = 0;
  do
  :: cohorts[i] != who -> i++
  :: else -> break
  od;
  do
  :: i + 1 < queued -> cohorts[i] = cohorts[i + 1]; i++
  :: else -> break
  od;
  cohorts[i] = 0; i = 0
}
#endif

inline find_cohort(thread) {       /* who: the first of the cohort; 0: it is empty */
  i = 0; who = 0;
  do
  :: i < queued && LOOP(cohorts[i]) != thread -> i++
  :: i < queued && LOOP(cohorts[i]) == thread -> who = cohorts[i]; break
  :: i >= queued -> break
  od;
  i = 0
}

inline is_queued(w) {              /* k: whether */
  i = 0; k = 0;
  do
  :: i < queued && queue[i] != w -> i++
  :: i < queued && queue[i] == w -> k = 1; break
  :: i >= queued -> break
  od;
  i = 0
}

inline add(w) {
  d_step {
    queue[queued] = w;             // _bridge/queue.py:Waiting._add `self._queue[waiter] = None`
#ifdef BLOCKED
    cohorts[queued] = w;           // _bridge/queue.py:Waiting._add `self._cohorts.setdefault(waiter.thread, OrderedDict())[waiter] = None`
#endif
    queued++
  }
}

inline remove(w) {
  d_step {                         // _bridge/queue.py:Waiting._remove `self._queue.pop(waiter, None)`
    is_queued(w);
    if
    :: k ->
       drop_from_queue(w);
#ifdef BLOCKED
       drop_from_cohorts(w);         // _bridge/queue.py:Waiting._remove `cohort.pop(waiter, None)`
#endif
       queued--
    :: else
    fi;
    k = 0
  }
}

#ifdef BLOCKED
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
#endif

inline forget(who) {               /* nobody asks any more: fewer states to tell apart */
  granted[who] = false; wake[who] = false; future[who] = false
}

inline distrust(who) {             /* who is not FREE */
  if                               // _bridge/lock.py:LockBridge._distrust `if self.holder is waiter:`
  :: holder == who -> holder = FREE
  :: else
  fi
}

inline summon_helper() {           /* what it looks at changes in steps only */
  if                               // _bridge/queue.py:Waiting._summon_helper `if not self._queue or self._helping or self._retired:`
  :: queued && !helping ->
     helping = true;               // _bridge/queue.py:Waiting._summon_helper `self._helping = True`
     start = true                  // _bridge/queue.py:Waiting._summon_helper `_thread.start_new_thread(self._help, ())`
  :: else
  fi
}

proctype Steps() {
  mtype step; byte w, thread, who, lost;
#ifdef TURNS
  byte handed_on;
#endif

end_idle:
  atomic {
    mail?step, w; running = true;
    if
    :: step == ENQUEUE ->
#ifndef FAULT_QUEUE_LATE
       add(w);                     // _bridge/queue.py:Waiting._enqueue `self._add(waiter)`
       step = 0; w = 0;
#endif
       goto serve                  // _bridge/queue.py:Waiting._enqueue `self._serve()`
    :: step == WITHDRAW ->
       if                          // _bridge/queue.py:Waiting._withdraw `if waiter.granted:`
       :: granted[w] ->
#ifdef FAULT_FORGET_CANCELLED
          goto done
#else
          step = 0; thread = LOOP(w); forget(w)
#endif
       :: else ->
          remove(w);               // _bridge/queue.py:Waiting._withdraw `self._remove(waiter)`
          forget(w);
          goto done
       fi
    :: step == PASS_ON -> thread = w; step = 0; w = 0; goto pass_on
    :: step == SERVE -> step = 0; goto serve
    :: step == HELPED ->
       helping = false; step = 0;  // _bridge/queue.py:Waiting._helped `self._helping = False`
#ifdef FAULT_HELPED_NO_SERVE
       goto done
#else
       goto serve                  // _bridge/queue.py:Waiting._helped `self._serve()`
#endif
    :: step == HELPED_ACQUIRED ->
       helping = false; step = 0;
       goto grant                  // _bridge/queue.py:Waiting._helped `self._grant()`
#ifdef BLOCKED
    :: step == ENQUEUE_THREAD ->
       lost = holder               // _bridge/lock.py:LockBridge._take_back `holder = self.holder`
    :: step == WITHDRAWN ->
       withdrawn = true;           // _bridge/base.py:Bridge._withdraw_thread `self._do(blocked.withdrawn.release)`
       goto done
#endif
    fi
  };
#ifdef BLOCKED
  if
  :: step == ENQUEUE_THREAD ->
     if                            // _bridge/lock.py:LockBridge._take_back `isinstance(holder, AsyncioWaiter | TrioWaiter)`
#ifndef FAULT_NO_TAKE_BACK
     :: IS_WAITER(lost) && LOOP(lost) == LOOP_A && !resumed[lost] ->
        granted[lost] = false;     // _bridge/lock.py:LockBridge._take_back `holder.granted = False`
        add_before_its_cohort(lost);    // _bridge/queue.py:Waiting._enqueue_thread `self._add_before_its_cohort(waiter)`
        lost = 0;
        holder = FREE;             // _bridge/queue.py:Waiting._enqueue_thread `self._entrust(blocked)`
        goto give                  // _bridge/queue.py:Waiting._enqueue_thread `self._give(blocked)`
#endif
     :: else ->
        lost = 0;
        add_before_its_cohort(w);  // _bridge/queue.py:Waiting._enqueue_thread `self._add_before_its_cohort(blocked)`
        goto serve
     fi
  :: else
  fi;
#endif
  atomic {
    distrust(w);                   // _bridge/queue.py:Waiting._withdraw `self._distrust(waiter)`
    w = 0                          // _bridge/queue.py:Waiting._withdraw `self._pass_on(waiter.thread)`
  };

pass_on:
  atomic {
    if                             // _bridge/queue.py:Waiting._pass_on `self._tenure_ends = now + TENURE`
#ifdef TURNS
    /* A tenure is finite: here it is so many hand-ons at most. */
    :: handed_on < 2 ->
       handed_on++;
#else
    :: true ->
#endif
#ifdef FAULT_RELEASE_FIRST
       inner = false;
#endif
       goto grant                  // _bridge/queue.py:Waiting._pass_on `self._grant(thread)`
#ifdef TURNS
    :: handed_on > 0 ->
       handed_on = 0;
#else
    :: true ->
#endif
       release_inner();            // _bridge/queue.py:Waiting._pass_on `self._release()`
       summon_helper();            // _bridge/queue.py:Waiting._pass_on `self._summon_helper()`
       goto done
    fi
  };

serve:
#ifndef FAULT_NO_LOST
  atomic {
  if                             // _bridge/lock.py:LockBridge._lost `holder = self.holder`
  :: IS_WAITER(holder) -> lost = holder
  :: else -> goto wanted
  fi
  };
  atomic {
  if                             // _parking.py:Waiter.lost_its_loop `self.gone and not self.resumed`
  :: closed[LOOP(lost)]
  :: else -> lost = 0; goto wanted
  fi
  };
  atomic {
  if
  :: !resumed[lost] ->
     granted[lost] = false       // _bridge/lock.py:LockBridge._serve `lost.granted = False`
  :: else -> lost = 0; goto wanted
  fi
  };
  atomic {
    distrust(lost);                // _bridge/lock.py:LockBridge._serve `self._distrust(lost)`
    lost = 0;
    goto grant                     // _bridge/lock.py:LockBridge._serve `self._grant()`
  };
#endif

wanted:
  atomic {
    if                             // _bridge/lock.py:LockBridge._serve `if self._queue and not self._helping and self.holder is None:`
    :: queued && !helping && holder == FREE
    :: else -> goto done
    fi
  };
  atomic {
    if                             // _bridge/lock.py:LockBridge._fetch `if self._acquire(False):`
    :: !inner ->
       inner = true;
       thread = 0;
       goto grant                  // _bridge/lock.py:LockBridge._fetch `self._grant()`
    :: else ->
#ifndef FAULT_NO_SUMMON
       summon_helper();            // _bridge/lock.py:LockBridge._fetch `self._summon_helper()`
#endif
       goto done
    fi
  };

grant:
  atomic {
    if                             // _bridge/queue.py:Waiting._grant `while self._queue:`
    :: !queued ->
#ifdef FAULT_RELEASE_FIRST
       inner = false;
#else
       release_inner();            // _bridge/queue.py:Waiting._grant `self._release()`
#endif
       goto done
    :: queued ->
       find_cohort(thread);        // _bridge/queue.py:Waiting._next `return next(iter(cohort))`
       if
       :: !who ->                  // _bridge/queue.py:Waiting._next `first = next(iter(self._queue))`
          find_cohort(LOOP(queue[0]));
          k = queue[0];
          if                       // _bridge/queue.py:Waiting._next `if waiter is not first:`
          :: who != k ->
             drop_from_queue(k);   // _bridge/queue.py:Waiting._next `self._queue.move_to_end(first)`
             queue[queued - 1] = k
          :: else
          fi;
          k = 0
       :: else
       fi;
       w = who; who = 0;
#ifdef BLOCKED
       if                          // _bridge/lock.py:LockBridge._entrust `self.holder = None if isinstance(waiter, BlockedThread) else waiter`
       :: w == BLOCKED_THREAD -> holder = FREE
       :: else -> holder = w
       fi
#else
       holder = w                  // _bridge/queue.py:Waiting._grant `self._entrust(waiter)`
#endif
    fi
  };
  remove(w);                       // _bridge/queue.py:Waiting._grant `self._remove(waiter)`

give:
  granted[w] = true;               // _parking.py:Waiter.grant `self.granted = True`
  atomic {
  if                             // _parking.py:AsyncioWaiter._unpark `if future is None:`
  :: !future[w] -> goto look_whether_gone
  :: else ->
     future[w] = false           // _parking.py:AsyncioWaiter._unpark `self._future = None`
  fi
  };
  atomic {
  if                             // _parking.py:AsyncioWaiter._unpark `except RuntimeError:  # the loop is closed`
  :: closed[LOOP(w)] -> goto not_unparked
  :: else
  fi
  };
  wake[w] = true;                  // _parking.py:AsyncioWaiter._unpark `self.loop.call_soon_threadsafe(_Wake(self, future))`
look_whether_gone:
  atomic {
  if                             // _parking.py:AsyncioWaiter._unpark `return not self.gone  # or it was closed`
  :: closed[LOOP(w)] -> goto not_unparked
  :: else
  fi;
#if defined(BLOCKED) && !defined(FAULT_GIVE_NO_SUMMON)
  if                             // _bridge/queue.py:Waiting._give `if isinstance(waiter, BlockedThread):`
  :: w == BLOCKED_THREAD ->
     summon_helper()             // _bridge/queue.py:Waiting._give `self._summon_helper()`
  :: else
  fi;
#endif
  goto done
  };

not_unparked:
#ifndef FAULT_NOT_RESUMED
  atomic {
    if                             // _parking.py:Waiter.grant `if self._unpark() or self.resumed:`
    :: resumed[w] -> goto done
    :: else
    fi
  };
#endif
  granted[w] = false;              // _parking.py:Waiter.grant `self.granted = False`
  atomic {
    distrust(w);                   // _bridge/queue.py:Waiting._grant `self._distrust(waiter)`
    w = 0;
    goto grant
  };

done:
#ifdef FAULT_QUEUE_LATE
  atomic {
    if :: step == ENQUEUE -> add(w) :: else fi; step = 0
  };
#endif
  COUNT_IT                         // _bridge/steps.py:Steps._run_steps `self._steps += 1`
  atomic {
    running = false;               // _bridge/steps.py:Steps._run_steps `self._mail.popleft()`
    /* The invariant that queue.py begins with. */
    assert(!queued || helping || holder != FREE || leaving || IN_MAIL);
    step = 0; w = 0; thread = 0; lost = 0;
    goto end_idle
  }
}

/* ---- The helper thread ---- */

active proctype Helper() {
end_away:
  do
  :: atomic {                      // _bridge/queue.py:Waiting._wait_for_the_queue `with self._turnstile:`
       start && !turnstile -> start = false;
#ifndef FAULT_NO_TURNSTILE
       turnstile = true;
#endif
       helper_waits = true
     };
     /* Whether its slices end or not makes no difference but here: it sees the queue
        empty. To let it turn around each slice would hide every deadlock. */
     if                            // _bridge/queue.py:Waiting._wait_for_the_queue `while self._queue and not acquired and not self._retired:`
     :: atomic { !queued -> helper_waits = false; overtaken = 0 };
        turnstile = false;
        post(HELPED, 0)            // _bridge/queue.py:Waiting._help `self._do(partial(self._helped, self._wait_for_the_queue()))`
     :: atomic { !inner -> inner = true; helper_waits = false; overtaken = 0 };
                                   // _bridge/queue.py:Waiting._wait_for_the_queue `acquired = self._acquire(True, SLICE)`
        turnstile = false;
        post(HELPED_ACQUIRED, 0)
     fi
  od
}

/* ---- Threads ---- */

inline native_with() {
  atomic {                         // _thread/lock.py:ThreadLock._use_native `slots.__enter__ = inner.__enter__`
    !inner -> inner = true;
    get_in(); assert(holder == FREE)
  };
  atomic { get_out(); release_inner() } // _thread/lock.py:ThreadLock._use_native `slots.__exit__ = inner.__exit__`
}

inline pass_over_the_gone(h) {
#ifndef FAULT_NO_LOST
  atomic {
  if                             // _bridge/lock.py:LockBridge._lost `holder = self.holder`
  :: IS_WAITER(holder) -> h = holder
  :: else
  fi
  };
  if
  :: h -> atomic {
     if                          // _parking.py:Waiter.lost_its_loop `self.gone and not self.resumed`
     :: closed[LOOP(h)]
     :: else -> h = 0
     fi
   }
  :: else
  fi;
  if
  :: h -> atomic {
     if
     :: !resumed[h] -> post(SERVE, 0)  // _bridge/base.py:Bridge._pass_over_the_gone `self._do(self._serve)`
     :: else
     fi;
     h = 0
   }
  :: else
  fi
#else
  skip
#endif
}

inline block_politely() {
  pass_over_the_gone(seen);        // _bridge/base.py:Bridge.block_while `if self._lost() is not None:`
#ifdef TURNS
  /* Taken and given back without a pause: that the helper gets it between two others
     is the operating system's fairness, and assumed. */
  !turnstile;
#else
  atomic { !turnstile -> turnstile = true };
  turnstile = false;               // _bridge/base.py:Bridge._block_politely `with self._turnstile:`
#endif
  atomic {                         // _bridge/base.py:Bridge._block_politely `return acquired(self._acquire, self._release)`
    !inner -> inner = true;
    if
#ifndef TURNS
    :: helper_waits -> overtaken++; assert(overtaken <= POLITE)
#endif
    :: else
    fi;
    get_in(); assert(holder == FREE)
  }
}

inline leave_inner() {
  atomic {                         // _thread/lock.py:CarefulThreadLock.release `if bridge is not None and bridge.holder is not None:`
    assert(holder == FREE); get_out(); release_inner()
  }                                // _thread/lock.py:CarefulThreadLock.release `self._inner.release()`
}

proctype Barging(byte times) {
  do
  :: times ->
     native_with();
     times--
  :: else -> break
  od
}

proctype Polite(byte times) {
  byte seen;

#ifdef TURNS
end_outside:
#endif
  do
  :: times ->
     block_politely();
     leave_inner();
#ifndef TURNS
     times--
#ifdef TIMES
  :: times ->
     pass_over_the_gone(seen);     // _bridge/base.py:Bridge.try_block `self._pass_over_the_gone()`
     times--;
     if                            // _bridge/base.py:Bridge.try_block `if self._queue or not self._turnstile.acquire(False):`
     :: queued -> goto again
     :: else
     fi;
     if
     :: atomic { !turnstile -> turnstile = true }
     :: turnstile -> goto again
     fi;
     turnstile = false;            // _bridge/base.py:Bridge.try_block `self._turnstile.release()`
     if                            // _bridge/base.py:Bridge.try_block `return self._acquire(False)`
     :: atomic { !inner -> inner = true; get_in(); assert(holder == FREE) };
        leave_inner()
     :: inner
     fi;
again:
     skip
#endif
#endif
  :: !times -> break
  od
}

/* ---- Native and careful methods ---- */

#ifdef SLOTS
bool careful, switching;
byte insured;                      /* tasks that went careful and have not left */

inline look_whether_busy() {
  counted = carried;               // _bridge/base.py:Bridge.busy `steps = self._steps`
  if
  :: holder != FREE -> busy = true // _bridge/lock.py:LockBridge._in_use `return self.holder is not None`
  :: else ->
     if
     :: queued -> busy = true      // _bridge/base.py:Bridge.busy `or bool(self._queue)`
     :: else ->
        if
        :: IN_MAIL -> busy = true  // _bridge/base.py:Bridge.busy `or bool(self._mail)`
        :: else ->
#ifdef FAULT_NOT_COUNTED
           busy = false
#else
           busy = (counted != carried)  // _bridge/base.py:Bridge.busy `or steps != self._steps`
#endif
        fi
     fi
  fi;
  counted = 0
}

inline go_careful() {
#ifndef FAULT_SWITCHING
  atomic { !switching -> switching = true };
#endif
  careful = true;                  // _bridged.py:Bridged._go_careful `bridge.careful = True`
  atomic { switching = false; insured++ }
}

inline go_native() {
#ifndef FAULT_SWITCHING
  atomic { !switching -> switching = true };
#endif
  if                               // _bridged.py:Bridged._go_native `if bridge.careful and not bridge.busy:`
  :: careful ->
     look_whether_busy();
     if
     :: !busy ->
        atomic {
          careful = false;         // _bridged.py:Bridged._go_native `bridge.careful = False`
          assert(!insured)
        }
     :: else
     fi;
     busy = false
  :: else
  fi;
  switching = false
}

proctype Slots(byte times) {       /* a thread that takes what it finds in them */
  byte seen, counted; bool busy;

  do
  :: times ->
     if
     :: !careful -> native_with()
     :: careful ->
        look_whether_busy();       // _bridged.py:Bridged._careful_bridge `if bridge.busy:`
        if
        :: busy -> busy = false; block_politely()
        :: else ->
           go_native();            // _bridged.py:Bridged._careful_bridge `self._go_native(bridge)`
           atomic { !inner -> inner = true; get_in() }
        fi;
        leave_inner()
     fi;
     times--
  :: else -> break
  od
}
#define INSURED_NO_MORE insured--
#else
#define go_careful()
#define go_native()
#define INSURED_NO_MORE skip
#endif

/* ---- Tasks ---- */

#define CANCEL 1                   /* it may be cancelled while it waits */
#define TIMER 2                    /* its time may be over */
#define CLOSE 4                    /* its loop may be closed */

proctype Task(byte me, fates) {
  byte seen;
#ifdef SLOTS
  byte counted; bool busy;
#endif

again:
  if                             // _bridge/lock.py:LockBridge.take `if self._queue or not self._acquire(False):`
  :: queued -> goto wait
  :: else
  fi;
  atomic {
    if
    :: !inner -> inner = true
    :: else -> goto wait
    fi
  };
  atomic { assert(holder == FREE); holder = HOLDER(me); get_in() };            // _bridge/lock.py:LockBridge.take `self.holder = Holder()`
  go_careful();                    // _bridge/base.py:Bridge.enter `go_careful(self)`
  goto have;

wait:
  atomic {
    future[me] = true;             // _bridge/base.py:Bridge._wait `waiter = _parking.new_waiter()`
    post(ENQUEUE, me);
#ifdef TURNS
    waits[me] = true
#endif
  };                               // _bridge/base.py:Bridge._wait `self._do(partial(self._enqueue, waiter))`
  go_careful();                    // _bridge/base.py:Bridge._wait `go_careful(self)`
  do
  :: atomic { wake[me] -> wake[me] = false };
     if                            // _parking.py:Waiter._accept `if self.granted:`
     :: granted[me] -> break
     :: else ->
        /* It was taken back, or never meant for it: nothing of this configuration. */
        assert(false)              // unreached: only a loop's blocked thread takes back
     fi
  :: fates & CANCEL ->
     atomic {
       post(WITHDRAW, me);         // _bridge/base.py:Bridge._wait `except BaseException:`
       INSURED_NO_MORE
     }
     goto out
  :: fates & TIMER ->
     future[me] = false;           // _parking.py:AsyncioWaiter._expire `self._unpark()`
     if
     :: granted[me] -> break
     :: !granted[me] ->
        atomic {                   // _parking.py:AsyncioWaiter.wait `if self._expired:`
          post(WITHDRAW, me);      // _bridge/base.py:Bridge._wait `return False`
          INSURED_NO_MORE
        }
        goto out
     :: fates & CLOSE -> closed[LOOP(me)] = true; goto collected
     fi
  :: fates & CLOSE ->
     closed[LOOP(me)] = true;
     /* Its handles go: _Wake.__del__, in the thread that closes it. If it was woken by
        its own loop there is none, and the task has to be collected. */
     if
     :: wake[me] ->
        pass_over_the_gone(seen);  // _parking.py:_Wake.__del__ `self._waiter.lost()`
        goto out
     :: wake[me] -> goto collected
     :: !wake[me] -> goto collected
     :: !wake[me] && future[me] -> goto out   /* somebody refers to the task */
     fi
  od;
  atomic {
    resumed[me] = true;            // _parking.py:Waiter._accept `self.resumed = True`
#ifdef TURNS
    waits[me] = false;
#endif
    get_in()
  };

have:
#ifdef SLOTS
  assert(careful);
#endif
#ifdef FAULT_HOLDER_LATE
  atomic { get_out(); leaving++ };
#else
  atomic {
    get_out();
    assert(holder == me || holder == HOLDER(me));
    assert(RESUMED(holder));       // _bridge/lock.py:LockBridge.leave `if holder is None or not holder.resumed:`
    holder = FREE;                 // _bridge/lock.py:LockBridge.give_up `self.holder = None`
    leaving++;
    if
    :: fates & TIMER
    :: else -> granted[me] = false; resumed[me] = false  /* nobody asks any more */
    fi;
    INSURED_NO_MORE
  }
#endif
#ifndef FAULT_NO_LOOK
  if                               // _bridge/base.py:Bridge.dispose `if self._queue or self._mail:`
  :: queued -> goto hand_on
  :: else
  fi;
  if
  :: IN_MAIL -> goto hand_on
  :: else
  fi;
#endif
  release_inner();                 // _bridge/base.py:Bridge.dispose `self._release()`
#if !defined(FAULT_NO_SERVE) && !defined(FAULT_NO_LOOK)
  if                               // _bridge/base.py:Bridge.dispose `self._do(self._serve)`
  :: queued -> goto serve
  :: else
  fi;
  atomic {
    if
    :: IN_MAIL -> goto serve
    :: else -> leaving--; goto left
    fi
  };
serve:
  atomic { post(SERVE, 0); leaving--; goto left };
#else
  atomic { leaving--; goto left };
#endif

hand_on:
  atomic {
    post(PASS_ON, LOOP(me));       // _bridge/base.py:Bridge.dispose `self._do(partial(self._pass_on, this_thread.marker))`
    leaving--
  }

left:
#ifdef FAULT_HOLDER_LATE
  holder = FREE;
#endif
#ifdef TIMES
  if
  :: fates & CLOSE -> closed[LOOP(me)] = true
  :: true
  fi;
#endif

out:
#ifdef SLOTS
  go_native();                     // _bridged.py:Bridged._enter_task_within `self._go_native(bridge)`
#endif
#ifdef TURNS
  atomic { granted[me] = false; resumed[me] = false; wake[me] = false };
  goto again;
#endif
  goto over;

collected:
  post(WITHDRAW, me);
over:
  skip
}

#ifdef BLOCKED
/* The thread of loop A: its task queues, then the thread blocks by `with`, and nothing
   else runs there meanwhile. */
proctype LoopThread() {
  byte seen; bool endless;

  if :: endless = true :: true fi;
  future[1] = true;
  post(ENQUEUE, 1);

  future[BLOCKED_THREAD] = true;   // _blocking.py:BlockedThread.__init__ `self._bell.acquire()`
  pass_over_the_gone(seen);
  post(ENQUEUE_THREAD, BLOCKED_THREAD);  // _bridge/base.py:Bridge._block_loop_thread `self._do(partial(self._enqueue_thread, blocked))`
  if                               // _blocking.py:BlockedThread.block `self._bell.acquire(True, seconds)`
  :: wake[BLOCKED_THREAD]
  :: !endless                      /* its time is over */
  fi;
  if                               // _blocking.py:BlockedThread.block `return self._accept()`
  :: granted[BLOCKED_THREAD] ->
     atomic { resumed[BLOCKED_THREAD] = true; get_in(); assert(holder == FREE) };
     leave_inner()
  :: !granted[BLOCKED_THREAD] ->
     post(WITHDRAW, BLOCKED_THREAD);    // _bridge/base.py:Bridge._withdraw_thread `self._do(partial(self._withdraw, blocked))`
     post(WITHDRAWN, 0);
#ifndef FAULT_NOT_WITHDRAWN
     withdrawn                     // _bridge/base.py:Bridge._withdraw_thread `blocked.withdrawn.acquire()`
#endif
  fi;

park:
  wake[1] -> wake[1] = false;
  if
  :: granted[1] -> atomic { resumed[1] = true; get_in() }
  :: else ->
     future[1] = true;             // _parking.py:AsyncioWaiter.wait `self._future = future = self.loop.create_future()  # it was taken back`
#ifndef FAULT_PARK_AGAIN
     if                            // _parking.py:AsyncioWaiter.wait `if self.granted or self.error:`
     :: granted[1] -> wake[1] = true
     :: else
     fi;
#endif
     goto park
  fi;
  assert(holder == 1);
  atomic { get_out(); holder = FREE; leaving++ };
  if
  :: queued || IN_MAIL -> post(PASS_ON, LOOP_A)
  :: else ->
     release_inner();
     if
     :: queued || IN_MAIL -> post(SERVE, 0)
     :: else
     fi
  fi;
  leaving--
}
#endif

init {
  atomic {
    run Steps();
#if defined(BLOCKED)
    run LoopThread();
    run Barging(1);
    run Polite(ROUNDS);
    run Task(3, 0)
#elif defined(SLOTS)
    run Slots(2);
    run Task(1, CANCEL);
    run Task(3, 0)
#elif defined(TIMES)
    run Polite(ROUNDS);
    run Task(1, CANCEL | TIMER);
    run Task(3, CLOSE | TIMER)
#elif defined(TURNS)
    run Polite(ROUNDS);
    run Task(1, 0);
    run Task(3, 0)
#else
    run Barging(1);
    run Polite(ROUNDS);
    run Task(1, CANCEL);
    run Task(2, 0);
    run Task(3, CLOSE)
#endif
  }
#ifndef TURNS
  _nr_pr == 3 && !IN_MAIL && !helping;  /* this, Steps and Helper are left */
  assert(!inner && !queued && holder == FREE && !turnstile && !leaving)
#endif
}
