"""What type checkers must make of debug locks: read by mypy and pyright.

As in typing_ok.py, each line with an "ignore" must *not* type-check.
"""

from __future__ import annotations

import sys

from anylock import (
    AsyncLock,
    Lock,
    ProcessLock,
    ThreadLock,
    ThreadRWLock,
    make_condition,
    make_lock,
    make_rlock,
    make_rwlock,
    make_semaphore,
)
from anylock.debug import Stats

if sys.version_info >= (3, 11):
    from typing import assert_type
else:
    from typing_extensions import assert_type


def they_tell_of_themselves(kind: str, *, perhaps: bool) -> None:
    assert_type(make_lock("thread", debug=True).stats(), Stats)
    assert_type(make_lock("process", debug=True).stats(), Stats)
    assert_type(make_lock("async", debug=True).stats(), Stats)
    assert_type(make_lock("machine", path="lock", debug=True).stats(), Stats)
    assert_type(make_lock(kind, debug=True).stats(), Stats)
    assert_type(make_rlock("thread", debug=True).stats(), Stats)
    assert_type(make_rlock(debug=True).stats(), Stats)
    assert_type(make_semaphore("async", 2, debug=True).stats(), Stats)
    assert_type(make_semaphore(debug=True).stats(), Stats)
    assert_type(make_condition("thread", debug=True).stats(), Stats)
    assert_type(make_condition(debug=True).stats(), Stats)
    assert_type(make_rwlock("thread", debug=True).read.stats(), Stats)
    assert_type(make_rwlock(debug=True).write.stats(), Stats)
    assert_type(make_lock("thread", debug=perhaps), Lock)


def they_go_wherever_the_others_go() -> None:
    thread: ThreadLock = make_lock("thread", debug=True)
    process: ProcessLock = make_lock("process", debug=True)
    tasks: AsyncLock = make_lock("async", debug=True)
    sides: ThreadRWLock = make_rwlock("thread", debug=True)
    portable: Lock = make_lock(debug=True)
    del thread, process, tasks, sides, portable


def the_others_tell_nothing() -> None:
    assert_type(make_lock("thread"), ThreadLock)
    assert_type(make_lock("thread", debug=False), ThreadLock)
    make_lock("thread").stats()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    make_lock().stats()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
