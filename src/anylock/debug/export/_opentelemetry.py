"""Debug locks and OpenTelemetry: asynchronous instruments of a meter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anylock.debug._events import listen
from anylock.debug._totals import Totals, present

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from opentelemetry.metrics import CallbackOptions, Meter, Observation

    from anylock.debug._totals import Group

    Measured = tuple[float, dict[str, str]]
    """A value and its attributes."""


def to_opentelemetry(meter: Meter | None = None) -> Callable[[], None]:
    """Give OpenTelemetry what happens to debug locks, as metrics.

    | instrument | unit | |
    |---|---|---|
    | `anylock.acquisitions` | | how often they were acquired |
    | `anylock.waits` | | how often they were waited for |
    | `anylock.wait.time` | s | how long all these waits were |
    | `anylock.hold.time` | s | how long they were held |
    | `anylock.holders`, `anylock.waiters` | | how many hold them now, and wait now |
    | `anylock.findings` | | what was found |

    The attributes are `lock.name`, `lock.kind`, `lock.family` and `lock.site`, for
    waits also `outcome`, and for what was found only `finding`. If a lock has no name,
    `lock.name` is where it was made.

    Nothing of OpenTelemetry runs while somebody acquires a lock. Its reader asks for
    what was summed up; that is why there are no histograms.

    Args:
        meter: Where the instruments are made; None is one of the global provider.

    Returns:
        What ends it: the instruments stay, and tell nothing any more.

    Raises:
        ImportError: The API of OpenTelemetry is not installed.
    """
    try:
        from opentelemetry.metrics import (  # noqa: PLC0415 - an extra
            Observation,
            get_meter,
        )
    except ImportError as error:
        message = (
            "metrics for OpenTelemetry need its API: pip install "
            "'anylock[opentelemetry]'"
        )
        raise ImportError(message) from error
    chosen = get_meter("anylock") if meter is None else meter
    measures = Measures()
    stop_listening = listen(measures.totals.note, measures.totals.note_finding)

    def calls(
        measure: Callable[[], Iterable[Measured]],
    ) -> list[Callable[[CallbackOptions], Iterable[Observation]]]:
        def observe(_options: CallbackOptions) -> Iterator[Observation]:
            if not measures.stopped:
                for value, attributes in measure():
                    yield Observation(value, attributes)

        return [observe]

    chosen.create_observable_counter(
        "anylock.acquisitions",
        calls(measures.acquisitions),
        "{acquisition}",
        "How often locks were acquired.",
    )
    chosen.create_observable_counter(
        "anylock.waits",
        calls(measures.waits),
        "{wait}",
        "How often locks were waited for.",
    )
    chosen.create_observable_counter(
        "anylock.wait.time",
        calls(measures.wait_time),
        "s",
        "How long locks were waited for.",
    )
    chosen.create_observable_counter(
        "anylock.hold.time", calls(measures.hold_time), "s", "How long locks were held."
    )
    chosen.create_observable_up_down_counter(
        "anylock.holders",
        calls(measures.holders),
        "{holder}",
        "How many hold a lock now.",
    )
    chosen.create_observable_up_down_counter(
        "anylock.waiters",
        calls(measures.waiters),
        "{waiter}",
        "How many wait for a lock now.",
    )
    chosen.create_observable_counter(
        "anylock.findings",
        calls(measures.findings),
        "{finding}",
        "What debug locks found.",
    )

    def stop() -> None:
        measures.stopped = True
        stop_listening()

    return stop


class Measures:
    """What the instruments are asked for."""

    def __init__(self) -> None:
        self.totals = Totals()
        self.stopped = False

    def acquisitions(self) -> Iterator[Measured]:
        """Give how often locks were acquired."""
        for group, total in self.totals.totals().items():
            yield total.acquisitions, _attributes(group)

    def waits(self) -> Iterator[Measured]:
        """Give how often locks were waited for."""
        for group, total in self.totals.totals().items():
            for outcome, waits in total.waits.items():
                yield waits.count, {**_attributes(group), "outcome": outcome}

    def wait_time(self) -> Iterator[Measured]:
        """Give how long locks were waited for."""
        for group, total in self.totals.totals().items():
            for outcome, waits in total.waits.items():
                yield waits.seconds, {**_attributes(group), "outcome": outcome}

    def hold_time(self) -> Iterator[Measured]:
        """Give how long locks were held."""
        for group, total in self.totals.totals().items():
            yield total.holds.seconds, _attributes(group)

    def holders(self) -> Iterator[Measured]:
        """Give how many hold locks now."""
        for group, (holders, _waiters) in present().items():
            yield holders, _attributes(group)

    def waiters(self) -> Iterator[Measured]:
        """Give how many wait for locks now."""
        for group, (_holders, waiters) in present().items():
            yield waiters, _attributes(group)

    def findings(self) -> Iterator[Measured]:
        """Give how many findings there were."""
        for kind, count in self.totals.findings().items():
            yield count, {"finding": kind}


def _attributes(group: Group) -> dict[str, str]:
    return {
        "lock.name": str(group),
        "lock.kind": group.kind,
        "lock.family": group.family,
        "lock.site": group.place,
    }
