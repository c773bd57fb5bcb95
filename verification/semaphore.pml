/* Tasks and threads at one semaphore: _bridge/semaphore.py over _bridge/{queue,base}.py.

   The doubtful part is the rule that no helper is summoned where tasks have all permits:
   `_held`, `_granted` and `_accepted` change while a step counts. The rest is as in
   bridge.pml, which see for the conventions. In `_summon_helper` and `_pass_on` this is
   the code as it has to be; COUNT_GRANTED_FIRST and TENURE_TWICE are what it once was.

   Configurations: PERMITS 1 or 2; RELEASE a thread releases what it never acquired. */

#ifndef PERMITS
#define PERMITS 2
#endif
#ifdef RELEASE
#define ALL (PERMITS + 1)
#else
#define ALL PERMITS
#endif

#define LOOP_A 1
#define LOOP_B 2
#define WAITERS 3
#define LOOP(w) ((w) == 3 -> LOOP_B : LOOP_A)

mtype = { ENQUEUE, WITHDRAW, PASS_ON, SERVE, HELPED, HELPED_ACQUIRED };

#define LETTERS 8
chan mail = [LETTERS] of { mtype, byte };
bool running;
#define IN_MAIL (running || len(mail) > 0)

byte free = PERMITS;               /* the items of the inner queue */
byte permits = PERMITS;            /* how many there are; 0: nobody knows */
byte held[3];                      /* `_held`, by thread */
bool in_granted[WAITERS + 1];      /* `_granted` */
bool turnstile, helping, start;
byte queue[WAITERS]; byte queued;
#define cohorts queue
bool granted[WAITERS + 1], resumed[WAITERS + 1], wake[WAITERS + 1];
bool closed[3];
#ifdef FAULT_TENURE_TWICE
bool tenure;                       /* `_tenure_ends` is not None */
#endif

byte inside, leaving, threads_inside;

inline post(letter, who) {
  atomic { assert(nfull(mail)); mail!letter, who }
}

inline get_in() { inside++; assert(inside <= ALL) }
inline get_out() { inside-- }
inline put_back() { free++; assert(free <= ALL) }

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
    queued++
  }
}

inline remove(w) {
  d_step {                         // _bridge/queue.py:Waiting._remove `self._queue.pop(waiter, None)`
    is_queued(w);
    if
    :: k ->
       drop_from_queue(w);
       queued--
    :: else
    fi;
    k = 0
  }
}


inline forget(who) {               /* nobody asks any more: fewer states to tell apart */
  granted[who] = false; wake[who] = false
}

#define AND_SUMMON 1
#define AND_SERVE 2
#define AND_MORE 3

proctype Steps() {
  mtype step; byte w, thread, who, then, with_tasks;

end_idle:
  atomic {
    mail?step, w; running = true;
    if
    :: step == ENQUEUE ->
       step = 0;
       add(w);                     // _bridge/queue.py:Waiting._enqueue `self._add(waiter)`
       w = 0;
       goto serve                  // _bridge/queue.py:Waiting._enqueue `self._serve()`
    :: step == WITHDRAW ->
       step = 0;
       if                          // _bridge/queue.py:Waiting._withdraw `if waiter.granted:`
       :: granted[w] ->
#ifdef FAULT_FORGET_CANCELLED
          forget(w);
          goto done
#else
          thread = LOOP(w); forget(w)
#endif
       :: else ->
          remove(w); forget(w); w = 0;
          goto done
       fi
    :: step == PASS_ON -> step = 0; thread = w; w = 0; goto pass_on
    :: step == SERVE -> step = 0; goto serve
    :: step == HELPED -> step = 0;
       helping = false;            // _bridge/semaphore.py:SemaphoreBridge._helped `self._helping = False`
#ifdef FAULT_HELPED_NO_SERVE
       goto done
#else
       goto serve                  // _bridge/semaphore.py:SemaphoreBridge._helped `self._serve()`
#endif
    :: step == HELPED_ACQUIRED -> step = 0;
       helping = false;
#ifdef FAULT_HELPED_GRANTS_ONLY
       then = 0;
#else
       then = AND_SERVE;
#endif
       goto grant                  // _bridge/semaphore.py:SemaphoreBridge._helped `self._grant()`
    fi
  };
  atomic {
#ifndef FAULT_NO_DISTRUST
    in_granted[w] = false;         // _bridge/semaphore.py:SemaphoreBridge._distrust `self._granted.pop(waiter, None)`
#endif
    w = 0
  };

pass_on:
#ifdef FAULT_TENURE_TWICE
  atomic {
    if
    :: !tenure -> tenure = true
    :: else
    fi
  };
  assert(tenure);                  /* or else a TypeError: it is None by now */
#endif
  atomic {
    if                             // _bridge/queue.py:Waiting._pass_on `self._grant(thread)`
    :: then = AND_SUMMON; goto grant
    :: put_back();                 // _bridge/queue.py:Waiting._pass_on `self._release()`
#ifdef FAULT_PASS_ON_NO_SUMMON
       goto done
#else
       goto summon                 // _bridge/semaphore.py:SemaphoreBridge._pass_on `self._summon_helper()`
#endif
    fi
  };

serve:
#ifndef FAULT_NO_LOST
  atomic {                         // _bridge/semaphore.py:SemaphoreBridge._lost `next((w for w in list(self._granted) if w.lost_its_loop()), None)`
    if                             /* the loop is closed before one looks at `resumed` */
    :: in_granted[3] && closed[LOOP_B] && !resumed[3] ->
       granted[3] = false          // _bridge/semaphore.py:SemaphoreBridge._serve `lost.granted = False`
    :: else -> goto more
    fi
  };
  atomic {
    in_granted[3] = false;         // _bridge/semaphore.py:SemaphoreBridge._serve `self._distrust(lost)`
    then = AND_SERVE;
    goto grant
  };
#endif

more:
  atomic {
    if                             // _bridge/semaphore.py:SemaphoreBridge._serve `while self._queue and not self._helping and self._acquire(False):`
    :: queued && !helping && free ->
       free--;
#ifdef FAULT_SERVE_ONCE
       then = 0;
#else
       then = AND_MORE;
#endif
       goto grant
    :: else
    fi
  };

summon:
  /* Who is granted becomes one who holds: each is looked at once, in this order. */
#ifdef FAULT_COUNT_GRANTED_FIRST
  with_tasks = in_granted[1] + in_granted[2] + in_granted[3];
  with_tasks = with_tasks + held[LOOP_A] + held[LOOP_B];
#else
  with_tasks = held[LOOP_A] + held[LOOP_B];    // _bridge/semaphore.py:SemaphoreBridge._summon_helper `sum(list(self._held.values()))`
  with_tasks = with_tasks + in_granted[1] + in_granted[2] + in_granted[3]; // _bridge/semaphore.py:SemaphoreBridge._summon_helper `len(self._granted)`
#endif
  atomic {
    if                             // _bridge/semaphore.py:SemaphoreBridge._summon_helper `not 0 < self.permits <= with_tasks`
#ifdef FAULT_NEVER_SUMMON
    :: false ->
#else
    :: !(0 < permits && permits <= with_tasks) && queued && !helping ->
#endif
       helping = true; start = true
    :: else
    fi;
    goto done
  };

grant:
  atomic {
    if                             // _bridge/queue.py:Waiting._grant `while self._queue:`
    :: !queued ->
       put_back();                 // _bridge/queue.py:Waiting._grant `self._release()`
       goto after
    :: queued ->
       find_cohort(thread);        // _bridge/queue.py:Waiting._next `return next(iter(cohort))`
       if
       :: !who -> who = queue[0]   // _bridge/queue.py:Waiting._next `first = next(iter(self._queue))`
       :: else
       fi;
       w = who; who = 0;
       in_granted[w] = true        // _bridge/semaphore.py:SemaphoreBridge._entrust `self._granted[waiter] = None`
    fi
  };
  remove(w);                       // _bridge/queue.py:Waiting._grant `self._remove(waiter)`
  atomic {
    granted[w] = true;             // _parking.py:Waiter.grant `self.granted = True`
    if                             // _parking.py:AsyncioWaiter._unpark `except RuntimeError:  # the loop is closed`
    :: closed[LOOP(w)] -> goto not_unparked
    :: else
    fi
  };
  wake[w] = true;                  // _parking.py:AsyncioWaiter._unpark `self.loop.call_soon_threadsafe(_Wake(self, future))`
  atomic {
    if                             // _parking.py:AsyncioWaiter._unpark `return not self.gone  # or it was closed`
    :: closed[LOOP(w)] -> goto not_unparked
    :: else -> goto after
    fi
  };
not_unparked:
  atomic {
    if                             // _parking.py:Waiter.grant `if self._unpark() or self.resumed:`
    :: resumed[w] -> goto after
    :: else
    fi
  };
  granted[w] = false;              // _parking.py:Waiter.grant `self.granted = False`
  atomic {
    in_granted[w] = false;         // _bridge/queue.py:Waiting._grant `self._distrust(waiter)`
    w = 0;
    goto grant
  };

after:
  atomic {
    w = 0; thread = 0;
    if
    :: then == AND_SUMMON -> then = 0; goto summon
    :: then == AND_SERVE -> then = 0; goto serve
    :: then == AND_MORE -> then = 0; goto more
    :: else
    fi
  };

done:
  atomic {
    running = false;               // _bridge/steps.py:Steps._run_steps `self._mail.popleft()`
    /* The invariant that semaphore.py begins with: the helper is on its way, or tasks
       have all permits. */
    assert(!queued || helping || leaving || IN_MAIL || (!free && !threads_inside));
    thread = 0; with_tasks = 0; then = 0; w = 0;
    goto end_idle
  }
}

active proctype Helper() {
end_away:
  do
  :: atomic {                      // _bridge/queue.py:Waiting._wait_for_the_queue `with self._turnstile:`
       start && !turnstile -> start = false; turnstile = true
     };
     if
     :: !queued ->
        turnstile = false;
        post(HELPED, 0)
     :: atomic { free -> free-- }; // _bridge/queue.py:Waiting._wait_for_the_queue `acquired = self._acquire(True, SLICE)`
        turnstile = false;
        post(HELPED_ACQUIRED, 0)
     fi
  od
}

proctype Thread(bool polite) {
  if
  :: polite ->
     !turnstile                    // _bridge/base.py:Bridge._block_politely `with self._turnstile:`
  :: else
  fi;
  atomic { free -> free--; threads_inside++; get_in() }; // _thread/semaphore.py:ThreadSemaphore._use_native `slots.__enter__ = self._permits.get`
  atomic { get_out(); threads_inside--; put_back() }     // _thread/semaphore.py:ThreadSemaphore._use_native `slots.__exit__ = self._permits.put`
}

#ifdef RELEASE
proctype Releasing() {             /* what it never acquired */
  atomic {
    if                             // _bridge/semaphore.py:SemaphoreBridge.lose_count `self.permits = 0`
    :: permits -> permits = 0
    :: else -> goto told
    fi
  };
#ifndef FAULT_LOSE_NO_SERVE
  post(SERVE, 0);                  // _bridge/semaphore.py:SemaphoreBridge.lose_count `self._do(self._serve)`
#endif
told:
  leaving++;
  if                               // _bridge/base.py:Bridge.dispose `if self._queue or self._mail:`
  :: queued -> goto hand_on
  :: else
  fi;
  if
  :: IN_MAIL -> goto hand_on
  :: else
  fi;
  put_back();
  atomic {
    if
    :: queued || IN_MAIL -> post(SERVE, 0)
    :: else
    fi;
    leaving--; goto over
  };
hand_on:
  atomic { post(PASS_ON, 0); leaving-- };
over:
  skip
}
#endif

#define CANCEL 1
#define CLOSE 4

proctype Task(byte me, fates) {
  if                               // _bridge/semaphore.py:SemaphoreBridge.take `if self._queue or not self._acquire(False):`
  :: queued -> goto wait
  :: else
  fi;
  atomic {
    if
    :: free -> free--
    :: else -> goto wait
    fi
  };
#ifdef FAULT_TENURE_TWICE
  tenure = false;
#endif
  atomic { held[LOOP(me)]++; get_in(); goto have }; // _bridge/semaphore.py:SemaphoreBridge.take `self._count()`

wait:
  post(ENQUEUE, me);               // _bridge/base.py:Bridge._wait `self._do(partial(self._enqueue, waiter))`
  if
  :: atomic { wake[me] -> wake[me] = false; assert(granted[me]) }
  :: fates & CANCEL ->
     post(WITHDRAW, me);           // _bridge/base.py:Bridge._wait `except BaseException:`
     goto over
  :: fates & CLOSE ->
     closed[LOOP(me)] = true;
     if
     :: wake[me] ->                // _parking.py:_Wake.__del__ `self._waiter.lost()`
        atomic {
          if
          :: in_granted[me] -> post(SERVE, 0)
          :: else
          fi
        }
     :: post(WITHDRAW, me)
     :: !wake[me] && !granted[me]
     fi;
     goto over
  fi;
  atomic {                         // _parking.py:Waiter._accept `self.resumed = True`
    resumed[me] = true; in_granted[me] = false
  };                               // _bridge/semaphore.py:SemaphoreBridge._accepted `self._granted.pop(waiter, None)`
  atomic { held[LOOP(me)]++; get_in() }; // _bridge/semaphore.py:SemaphoreBridge._accepted `self._count()`

have:
  /* From here on nobody asks what it was granted. */
#ifdef FAULT_DISCOUNT_LATE
  atomic { get_out(); leaving++; granted[me] = false; resumed[me] = false };
#else
  atomic {                         // _bridge/semaphore.py:SemaphoreBridge.give_up `self.discount()`
    get_out(); held[LOOP(me)]--; leaving++; granted[me] = false; resumed[me] = false
  };
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
  put_back();                      // _bridge/base.py:Bridge.dispose `self._release()`
#ifndef FAULT_NO_LOOK
  if                               // _bridge/base.py:Bridge.dispose `self._do(self._serve)`
  :: queued -> goto serve
  :: else
  fi;
  atomic {
    if
    :: IN_MAIL -> goto serve
    :: else
    fi
  };
#endif
  atomic { leaving--; goto left };
serve:
  atomic { post(SERVE, 0); leaving--; goto left };
hand_on:
  atomic { post(PASS_ON, LOOP(me)); leaving-- }; // _bridge/base.py:Bridge.dispose `self._do(partial(self._pass_on, this_thread.marker))`
left:
#ifdef FAULT_DISCOUNT_LATE
  held[LOOP(me)]--;
#endif
over:
  skip
}

init {
  atomic {
    run Steps();
#ifdef RELEASE
    run Releasing();
#else
    run Thread(false);
#endif
    run Thread(true);
    run Task(1, CANCEL);
#ifndef RELEASE
    run Task(2, 0);
#endif
    run Task(3, CLOSE)
  }
  _nr_pr == 3 && !IN_MAIL && !helping;
  assert(free == ALL && !queued && !turnstile && !leaving);
  assert(!held[LOOP_A] && !held[LOOP_B]);
  assert(!in_granted[1] && !in_granted[2] && !in_granted[3])
}
