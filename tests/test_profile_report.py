"""What a profile tells of programs in which it is known who waits for whom."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from anylock._profile import ledger
from anylock._profile.stacktable import StackTable
from profiled import CONTENDED, locks_of, profiled, told, write

if TYPE_CHECKING:
    from pathlib import Path

INVERTED = """
    import threading
    a = threading.Lock()
    b = threading.RLock()
    c = threading.Semaphore()
    with a, b:
        pass
    with b, c:
        pass
    def back():
        with b, a:
            pass
    back()
    """


def test_who_blocks_whom(tmp_path: Path) -> None:
    report = told(tmp_path, CONTENDED)
    lock = locks_of(report)["app:3 lock Lock"]
    assert (lock["kind"], lock["file"]) == ("thread", str(tmp_path / "app.py"))
    assert lock["source"] == "lock = threading.Lock()"
    assert (lock["locks"], lock["acquisitions"], lock["contended"]) == (1, 2, 1)
    assert 0 < lock["total_wait"] == lock["max_wait"]
    (blocked,) = report["blocked"]
    place = str(tmp_path / "app.py")
    assert blocked["waiter"] == f"{place}:14 in wait"
    assert blocked["holder"] == f"{place}:6 in hold"
    assert blocked["waiters"] == ["waiter"]
    assert blocked["holders"] == ["holder"]
    assert blocked["waits"] == 1
    assert 0 < blocked["seconds"] <= lock["total_wait"] * 1.001
    frames = report["stacks"][blocked["waiter_stack"]]
    assert [each["function"] for each in frames] == ["wait"]
    assert frames[0]["source"] == "with lock:"


def test_the_timeline(tmp_path: Path) -> None:
    report = told(tmp_path, CONTENDED)
    spans = [
        (report["actors"][actor], what, outcome)
        for actor, _, _, what, _, _, _, outcome, _ in report["spans"]
    ]
    assert spans == [
        ("thread holder", "hold", ""),
        ("thread waiter", "wait", "got"),
        ("thread waiter", "hold", ""),
    ]
    hold, wait, later = report["spans"]
    assert 0 <= hold[4] <= wait[4] <= hold[5] <= wait[5] <= later[4]
    assert later[5] <= report["seconds"]
    assert report["events"] == 5
    assert report["dropped"] == 0


def test_what_goes_on_at_the_end(tmp_path: Path) -> None:
    report = told(
        tmp_path,
        """
        import threading, time
        lock, condition = threading.Lock(), threading.Condition()
        lock.acquire()
        def wait():
            with lock:
                pass
        def wait_to_be_notified():
            with condition:
                condition.wait()
        for target in (wait, wait_to_be_notified):
            threading.Thread(target=target, daemon=True).start()
        while not (lock._anylock.waits and condition._anylock.waits):
            time.sleep(0.001)  # polled: no event tells that somebody waits
        """,
    )
    found = {(each[3], each[7]) for each in report["spans"] if each[7]}
    assert found == {
        ("hold", "held at the end"),
        ("wait", "waiting at the end"),
        ("notice", "waiting at the end"),
    }
    (blocked,) = report["blocked"]
    assert blocked["holder"].endswith("app.py:4 in <module>")
    lock = locks_of(report)["app:3 lock, condition Lock"]
    assert 0 < lock["total_wait"] == lock["max_wait"] < lock["total_hold"]
    assert lock["total_hold"] == lock["max_hold"]


def test_orders(tmp_path: Path) -> None:
    report = told(tmp_path, INVERTED)
    names = [each["name"] for each in report["locks"]]
    orders = {
        (names[each["first"]], names[each["then"]]): each for each in report["orders"]
    }
    assert len(names) == 3
    a, b, _ = sorted(names)
    assert {pair: each["inverted"] for pair, each in orders.items()} == {
        (a, b): True,
        (b, a): True,
    }
    taken = report["stacks"][orders[b, a]["taken"]]
    assert taken[-1]["function"] == "back"
    (found,) = report["found"]
    assert found["kind"] == "order"
    assert "opposite orders" in found["message"]
    assert found["who"] == "thread MainThread"


def test_a_deadlock_is_told_and_not_raised(tmp_path: Path) -> None:
    report = told(
        tmp_path,
        """
        import threading
        lock = threading.Lock()
        with lock:
            print(lock.acquire(timeout=0.01))
        """,
    )
    (found,) = report["found"]
    assert found["kind"] == "near deadlock"
    (blocked,) = report["blocked"]
    assert blocked["waiters"] == blocked["holders"] == ["MainThread"]


def test_many_locks_of_one_place(tmp_path: Path) -> None:
    report = told(
        tmp_path,
        """
        import threading
        for number in range(2500):
            lock = threading.Lock()
            with lock:
                pass
        """,
        *("--events", "10"),
    )
    (lock,) = report["locks"]
    assert (lock["locks"], lock["acquisitions"]) == (2500, 2500)
    assert (report["events"], report["dropped"]) == (5000, 4990)
    assert len(report["spans"]) == 5


def test_all_that_wait_are_counted_and_some_are_named(tmp_path: Path) -> None:
    report = told(
        tmp_path,
        """
        import asyncio
        async def main():
            permits = asyncio.Semaphore(2)
            async def work():
                async with permits:
                    await asyncio.sleep(0)  # the others come meanwhile
            await asyncio.gather(*(work() for _ in range(12)))
        asyncio.run(main())
        """,
    )
    (blocked,) = report["blocked"]
    assert blocked["waits"] == 10
    assert len(blocked["waiters"]) == len(blocked["holders"]) == 5


def test_the_sides_of_a_read_write_lock(tmp_path: Path) -> None:
    report = told(
        tmp_path,
        """
        import threading, time
        import anylock
        shared = anylock.make_rwlock("thread")
        def write():
            with shared.write:
                pass
        with shared.read:
            writer = threading.Thread(target=write, name="writer")
            writer.start()
            while not shared.write.record.waits:
                time.sleep(0.001)  # polled: no event tells that somebody waits
        writer.join()
        """,
    )
    (blocked,) = report["blocked"]
    assert report["locks"][blocked["lock"]]["family"] == "RWLock.write"
    assert report["locks"][blocked["lock"]]["name"] == "app:4 shared"
    assert (blocked["waiters"], blocked["holders"]) == (["writer"], ["MainThread"])


def test_holds_that_were_over_before(tmp_path: Path) -> None:
    report = told(
        tmp_path,
        """
        import threading
        permits = threading.Semaphore(2)
        first = permits.acquire()
        with permits:
            over = True
        second = permits.acquire()
        permits.acquire(timeout=0.001)
        """,
    )
    holders = {each["holder"].rpartition("app.py:")[2] for each in report["blocked"]}
    assert holders == {"4 in <module>", "7 in <module>"}


def test_who_only_reads_is_in_nobody_s_way(tmp_path: Path) -> None:
    report = told(
        tmp_path,
        """
        import anylock
        a, b = (
            anylock.make_rwlock("thread"),
            anylock.make_rwlock("thread"),
        )
        with a.read, b.read:
            pass
        with b.read, a.read:
            pass
        """,
    )
    assert [each["inverted"] for each in report["orders"]] == [False, False]
    assert report["found"] == []


def test_waits_in_vain(tmp_path: Path) -> None:
    report = told(
        tmp_path,
        """
        import threading
        lock, polled = threading.Lock(), threading.Condition()
        with lock:
            for seconds in (0.01, 0.02, 0.01):
                assert not lock.acquire(timeout=seconds)
        with polled:
            polled.wait(0.01)
        """,
    )
    lock = locks_of(report)["app:3 lock, polled Lock"]
    assert (lock["acquisitions"], lock["contended"], lock["timeouts"]) == (1, 3, 3)
    assert lock["total_wait"] >= 0.04
    assert 0.02 <= lock["max_wait"] < lock["total_wait"]
    polled = locks_of(report)["app:3 lock, polled Condition"]
    assert polled["total_wait"] == polled["max_wait"] >= 0.01


def test_waits_for_locks_of_anylock_that_are_gone(tmp_path: Path) -> None:
    report = told(
        tmp_path,
        """
        import anylock, threading
        gone = anylock.make_lock("thread")
        with gone:
            gone.acquire(timeout=0.001)
        del gone
        with threading.Lock():
            pass
        """,
        *("--events", "1"),
    )
    assert [each["source"] for each in report["locks"]] == ["with threading.Lock():"]


def test_a_stack_of_nobody() -> None:
    stacks = StackTable()
    assert stacks.place(stacks.number(())) == "?:0 in ?"


def test_names_of_modules_that_are_run(tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    program = "import threading\nlock = threading.Lock()"
    write(package, __init__="", __main__=program, part=program)
    for module, name in (
        ("package", "package.__main__:2 lock"),
        ("package.part", "package.part:2 lock"),
    ):
        options = ("--json", "x.json")
        assert profiled(tmp_path, "-m", module, options=options).status == 0
        report = json.loads((tmp_path / "x.json").read_text())
        assert [each["name"] for each in report["locks"]] == [name]
        assert report["program"] == ["-m", module]


def test_labels(tmp_path: Path) -> None:
    report = told(
        tmp_path,
        """
        import threading
        from anylock.debug import label
        lock = threading.Lock()
        with label("refresh"), lock:
            pass
        """,
    )
    assert [each[-1] for each in report["spans"]] == ["refresh"]


def test_a_lock_that_goes_while_others_are_summed_up() -> None:
    with ledger._summing:
        ledger._sum_up()  # as a finalizer that makes a lock, in the same thread


def test_json_is_of_this_version(tmp_path: Path) -> None:
    report: Any = told(tmp_path, "pass")
    assert report["version"] == 1
    assert report["python"].startswith("CPython 3.")
