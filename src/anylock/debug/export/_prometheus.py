"""Debug locks and Prometheus: a collector for its client."""

from __future__ import annotations

from contextlib import suppress
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

from anylock.debug._events import listen
from anylock.debug._totals import BOUNDS, Totals, present

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prometheus_client import CollectorRegistry
    from prometheus_client.core import (
        CounterMetricFamily,
        GaugeMetricFamily,
        HistogramMetricFamily,
        Metric,
    )

    from anylock.debug._totals import Durations, Group

_LABELS = ("lock", "kind", "family", "site")


def to_prometheus(registry: CollectorRegistry | None = None) -> Callable[[], None]:
    """Let Prometheus scrape what happens to debug locks.

    | metric | |
    |---|---|
    | `anylock_acquisitions_total` | how often they were acquired |
    | `anylock_wait_seconds` | a histogram of waits; `outcome` says how they ended |
    | `anylock_hold_seconds` | a histogram of how long they were held |
    | `anylock_holders`, `anylock_waiters` | how many hold them now, and wait now |
    | `anylock_findings_total` | `finding` is "order", "near deadlock" and so on |

    All but the last have the labels `lock`, which is its name or, if it has none, where
    it was made, `kind`, `family` and `site`.

    Nothing of the client runs while somebody acquires a lock: a signal handler or the
    garbage collector would find the client's own locks taken, and wait for ever. It
    asks for what was summed up, in this process; its multi-process mode does not.

    Args:
        registry: Of the client; None is its default one.

    Returns:
        What ends it.

    Raises:
        ImportError: The client is not installed.
        ValueError: The registry has these metrics already.
    """
    try:
        from prometheus_client import REGISTRY  # noqa: PLC0415 - an extra
    except ImportError as error:
        message = (
            "metrics for Prometheus need its client: pip install 'anylock[prometheus]'"
        )
        raise ImportError(message) from error
    chosen = REGISTRY if registry is None else registry
    totals = Totals()
    collector = LockCollector(totals)
    chosen.register(collector)
    stop_listening = listen(totals.note, totals.note_finding)

    def stop() -> None:
        stop_listening()
        with suppress(KeyError):  # it was ended before
            chosen.unregister(collector)

    return stop


class LockCollector:
    """What a registry of the client asks for metrics.

    Args:
        totals: What they are made of.
    """

    def __init__(self, totals: Totals) -> None:
        self._totals = totals

    def describe(self) -> Iterator[Metric]:
        """Give the names alone: so a registry notices what it has already."""
        yield from _Families.new()

    def collect(self) -> Iterator[Metric]:
        """Give the metrics of this moment."""
        families = _Families.new()
        for group, total in self._totals.totals().items():
            labels = _labels(group)
            families.acquisitions.add_metric(labels, total.acquisitions)
            _add(families.holds, labels, total.holds)
            for outcome, waits in total.waits.items():
                _add(families.waits, [*labels, outcome], waits)
        for group, (holders, waiters) in present().items():
            families.holders.add_metric(_labels(group), holders)
            families.waiters.add_metric(_labels(group), waiters)
        for kind, count in self._totals.findings().items():
            families.findings.add_metric([kind], count)
        yield from families


class _Families(NamedTuple):
    acquisitions: CounterMetricFamily
    waits: HistogramMetricFamily
    holds: HistogramMetricFamily
    holders: GaugeMetricFamily
    waiters: GaugeMetricFamily
    findings: CounterMetricFamily

    @classmethod
    def new(cls) -> _Families:
        from prometheus_client import core  # noqa: PLC0415 - an extra

        counter, gauge = core.CounterMetricFamily, core.GaugeMetricFamily
        histogram = core.HistogramMetricFamily
        prefix, labels = "anylock", _LABELS
        return cls(
            counter(f"{prefix}_acquisitions", "Acquisitions of locks.", labels=labels),
            histogram(
                f"{prefix}_wait_seconds",
                "How long locks were waited for.",
                labels=[*labels, "outcome"],
            ),
            histogram(
                f"{prefix}_hold_seconds", "How long locks were held.", labels=labels
            ),
            gauge(f"{prefix}_holders", "How many hold a lock now.", labels=labels),
            gauge(f"{prefix}_waiters", "How many wait for one now.", labels=labels),
            counter(
                f"{prefix}_findings", "What debug locks found.", labels=["finding"]
            ),
        )


def _labels(group: Group) -> list[str]:
    return [str(group), group.kind, group.family, group.place]


def _add(
    family: HistogramMetricFamily, labels: list[str], durations: Durations
) -> None:
    names = [*map(str, BOUNDS), "+Inf"]
    counts = accumulate(durations.buckets)
    family.add_metric(labels, list(zip(names, counts, strict=True)), durations.seconds)
