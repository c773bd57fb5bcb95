"""What Ctrl-C does while it is noted, and while it is withheld."""

from __future__ import annotations

import signal

import pytest

from anylock._interrupts import interrupts_noted, interrupts_withheld

pytest_plugins = ["interrupt_fixtures"]
pytestmark = pytest.mark.usefixtures("interrupts_raise")


def test_the_second_interrupt_ends_the_process() -> None:
    with interrupts_noted() as interrupted:
        assert not interrupted.is_set()
        signal.raise_signal(signal.SIGINT)
        assert interrupted.is_set()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL


def test_who_ignores_interrupts_goes_on_to() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with interrupts_noted() as interrupted:
        signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    assert not interrupted.is_set()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_what_is_withheld_comes_after() -> None:
    reached = False

    def interrupted_later() -> None:
        nonlocal reached
        with interrupts_withheld():
            signal.raise_signal(signal.SIGINT)
            reached = True

    with pytest.raises(KeyboardInterrupt):
        interrupted_later()
    assert reached
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])
