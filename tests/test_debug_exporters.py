"""What debug locks record goes to `logging`, Prometheus and OpenTelemetry."""

from __future__ import annotations

import logging
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

import anylock
from anylock import debug, make_lock
from anylock.debug._metrics import METRICS
from staging import in_thread

if TYPE_CHECKING:
    from collections.abc import Callable

pytest_plugins = ["debug_fixtures"]
pytestmark = pytest.mark.usefixtures("quiet")


def use(lock: Any) -> None:
    with lock:

        def try_it() -> None:
            assert not lock.acquire(timeout=0.001)

        with in_thread(try_it):
            pass


def test_what_fails_and_what_is_slow_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "anylock.debug")
    lock = make_lock("thread", name="cache", debug=True)
    stop = debug.log(slow=60)
    use(lock)
    stop()
    (record,) = caplog.records
    assert record.levelno == logging.INFO
    fields: Any = record
    assert (fields.what, fields.lock, fields.lock_kind) == (
        *("timed out", "'cache'", "thread"),
    )
    assert fields.seconds > 0
    assert fields.label is None
    assert record.getMessage().startswith("'cache': timed out by thread ")
    caplog.clear()
    stop = debug.log(slow=0)
    with debug.label("refresh:42"):
        use(lock)
    stop()
    use(lock)
    records: list[Any] = list(caplog.records)
    assert [each.what for each in records] == ["got", "timed out", "released"]
    assert records[0].label == "refresh:42"


def test_what_is_found_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    debug.settings.long_hold = 0.0
    logger = logging.getLogger("the-logger")
    stop = debug.log(logger)
    with make_lock("thread", name="cache", debug=True):
        pass
    stop()
    (record,) = caplog.records
    fields: Any = record
    assert record.name == "the-logger"
    assert record.levelno == logging.WARNING
    assert (fields.what, fields.locks) == ("long hold", ("'cache'",))


def test_a_handler_that_uses_debug_locks() -> None:
    lock = make_lock("thread", debug=True)
    logged: list[logging.LogRecord] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            with make_lock("thread", debug=True):
                logged.append(record)

    logger = logging.getLogger("of its own")
    logger.setLevel(logging.INFO)
    logger.addHandler(Handler())
    stop = debug.log(logger, slow=0)
    with lock:
        pass
    stop()
    logger.handlers.clear()
    assert len(logged) == 2


class Family(NamedTuple):
    name: str
    samples: list[tuple[tuple[str, ...], float]]
    labels: tuple[str, ...]

    def add_metric(self, labels: tuple[str, ...], value: float) -> None:
        self.samples.append((labels, value))


def test_prometheus(monkeypatch: pytest.MonkeyPatch) -> None:
    def family(name: str, _help: str, labels: tuple[str, ...]) -> Family:
        return Family(name, [], labels)

    core = SimpleNamespace(CounterMetricFamily=family, GaugeMetricFamily=family)
    registered: list[Any] = []
    registry = SimpleNamespace(register=registered.append)
    monkeypatch.setitem(
        sys.modules, "prometheus_client", SimpleNamespace(REGISTRY=registry)
    )
    monkeypatch.setitem(sys.modules, "prometheus_client.core", core)
    lock = make_lock("thread", name="of prometheus", debug=True)
    nameless = make_lock("thread", debug=True)
    use(lock)
    use(make_lock("thread", name="of prometheus", debug=True))
    collector = debug.prometheus()
    assert registered == [collector]
    debug.prometheus(registry)
    assert len(registered) == 2
    families = {each.name: each for each in collector.collect()}
    assert len(families) == len(METRICS)
    samples = dict(families["anylock_acquisitions"].samples)
    # The other one of that name is no more.
    assert samples["of prometheus", "thread", "Lock"] == 1
    assert samples[str(nameless.record.site), "thread", "Lock"] == 0
    assert families["anylock_waiters"].labels == ("lock", "kind", "family")


def test_opentelemetry(monkeypatch: pytest.MonkeyPatch) -> None:
    created: dict[str, Callable[[object], list[Any]]] = {}

    def create(name: str, callbacks: list[Any], description: str) -> None:
        assert description
        (created[name],) = callbacks

    meter = SimpleNamespace(
        create_observable_counter=create, create_observable_up_down_counter=create
    )

    def observation(value: float, attributes: dict[str, str]) -> Any:
        return attributes["lock"], value

    def get_meter(_name: str) -> Any:
        return meter

    api = SimpleNamespace(get_meter=get_meter, Observation=observation)
    monkeypatch.setitem(sys.modules, "opentelemetry.metrics", api)
    lock = make_lock("thread", name="of opentelemetry", debug=True)
    use(lock)
    debug.opentelemetry()
    assert len(created) == len(METRICS)
    assert ("of opentelemetry", 1.0) in created["anylock.timeouts"](None)
    debug.opentelemetry(meter)


@pytest.mark.parametrize("extra", ["prometheus", "opentelemetry"])
def test_a_missing_extra(extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in "prometheus_client", "opentelemetry.metrics":
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=rf"pip install 'anylock\[{extra}\]'"):
        getattr(debug, extra)()


def test_all_that_is_made_from_now_on() -> None:
    before = debug.enable()
    try:
        lock: Any = make_lock("thread")
        assert isinstance(lock.stats(), debug.Stats)
        assert type(make_lock("thread", debug=False)) is anylock.ThreadLock
        assert debug.enable(False)
        assert type(make_lock("thread")) is anylock.ThreadLock
    finally:
        debug.enable(before)
