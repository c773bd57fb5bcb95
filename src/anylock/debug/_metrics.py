"""Debug locks as metrics, for Prometheus and OpenTelemetry.

They are read when somebody asks for them, so that they cost nothing before. Locks of
the same name, or without one of the same site, count together.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

from anylock.debug._records import known

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Metric(NamedTuple):
    """Something that is counted."""

    name: str
    help: str
    attribute: str
    """Of the record of a lock."""
    grows: bool = True


METRICS = (
    Metric("acquisitions", "Locks acquired", "acquisitions"),
    Metric("contended", "Waits for locks that were not free", "contended"),
    Metric("timeouts", "Waits for locks that timed out", "timeouts"),
    Metric("cancellations", "Waits that were cancelled", "cancellations"),
    Metric("wait_seconds", "Time waited for locks", "total_wait"),
    Metric("hold_seconds", "Time that locks were held", "total_hold"),
    Metric("waiters", "Who waits now", "waiting", grows=False),
)


def values(metric: Metric) -> Iterator[tuple[tuple[str, str, str], float]]:
    """Give the labels (lock, kind, family) and the value of each group of locks."""
    sums: dict[tuple[str, str, str], float] = {}
    for record in known():
        name = str(record.site) if record.name is None else record.name
        labels = name, record.kind, record.family
        sums[labels] = sums.get(labels, 0.0) + getattr(record, metric.attribute)
    yield from sums.items()


LABELS = ("lock", "kind", "family")


class Collector:
    """A collector for `prometheus_client`: `registry.register(Collector())`."""

    def collect(self) -> Iterator[Any]:
        """Give the metrics of all debug locks, as `prometheus_client` asks for them."""
        core = _module("prometheus_client.core", "prometheus")
        for metric in METRICS:
            family = core.GaugeMetricFamily
            if metric.grows:
                family = core.CounterMetricFamily
            made = family(f"anylock_{metric.name}", metric.help, labels=LABELS)
            for labels, value in values(metric):
                made.add_metric(labels, value)
            yield made


def prometheus(registry: Any = None) -> Collector:
    """Let Prometheus see all debug locks.

    Args:
        registry: Of `prometheus_client`; None is its default one.

    Returns:
        The collector, for `registry.unregister`.

    Raises:
        ImportError: `prometheus_client` is not installed.
    """
    collector = Collector()
    module = _module("prometheus_client", "prometheus")
    (module.REGISTRY if registry is None else registry).register(collector)
    return collector


def opentelemetry(meter: Any = None) -> None:
    """Let OpenTelemetry see all debug locks.

    Args:
        meter: Of `opentelemetry.metrics`; None is that of the name "anylock".

    Raises:
        ImportError: `opentelemetry-api` is not installed.
    """
    api = _module("opentelemetry.metrics", "opentelemetry")
    chosen = api.get_meter("anylock") if meter is None else meter

    def reader(metric: Metric) -> Callable[[object], list[Any]]:
        def read(_options: object) -> list[Any]:
            return [
                api.Observation(value, dict(zip(LABELS, labels, strict=True)))
                for labels, value in values(metric)
            ]

        return read

    for metric in METRICS:
        create = chosen.create_observable_up_down_counter
        if metric.grows:
            create = chosen.create_observable_counter
        name = f"anylock.{metric.name}"
        create(name, callbacks=[reader(metric)], description=metric.help)


def _module(name: str, extra: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        message = f"{name} is not installed: pip install 'anylock[{extra}]'"
        raise ImportError(message) from None
