"""What debug locks tell `logging`, Prometheus and OpenTelemetry."""

from __future__ import annotations

import gc
import logging
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from anylock import LockTimeout, make_condition, make_lock
from anylock.debug import _events, _findings, known, label
from anylock.debug._actors import here
from anylock.debug._totals import Durations, Totals
from anylock.debug.export import to_logging, to_opentelemetry, to_prometheus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from anylock.debug._thread import DebugThreadLock

pytest_plugins = ["debug_fixtures"]


@pytest.fixture(autouse=True)
def _nobody_listens_afterwards(quiet: None) -> Iterator[None]:
    del quiet
    before = _events.listeners, _events.finders
    yield
    assert before == (_events.listeners, _events.finders)


def make(name: str | None = None) -> DebugThreadLock:
    """Make a lock; all of them are made here."""
    return make_lock("thread", name=name, debug=True)


def waited_for_in_vain(lock: DebugThreadLock) -> None:
    """Have a thread give up waiting for a lock that the caller holds."""

    def wait() -> None:
        with pytest.raises(LockTimeout), lock.hold(timeout=0.001):
            pass

    thread = threading.Thread(target=wait, name="waiter")
    thread.start()
    thread.join()


def find_something(kind: _findings.Kind = "order") -> None:
    _findings.find(kind, here(), ("'a'", "'b'"), "they are taken in both orders")


class Logged(logging.Handler):
    """Keeps log records."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[Any] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture
def logger() -> logging.Logger:
    logger = logging.Logger("locks")  # noqa: LOG001 - known to this test alone
    logger.addHandler(Logged())
    return logger


def records(logger: logging.Logger) -> list[Any]:
    (handler,) = logger.handlers
    assert isinstance(handler, Logged)
    return handler.records


def test_findings_are_logged(logger: logging.Logger) -> None:
    stop = to_logging(logger)
    find_something()
    find_something("deadlock")
    with make():
        pass
    stop()
    find_something()
    first, second = records(logger)
    assert (first.levelname, second.levelname) == ("WARNING", "ERROR")
    assert first.getMessage() == "order: they are taken in both orders"
    assert first.lock_finding == "order"
    assert first.lock_names == ("'a'", "'b'")
    assert first.lock_actor == "thread 'MainThread'"


def test_what_took_long_is_logged(logger: logging.Logger) -> None:
    lock = make("cache")
    stop = to_logging(logger, slow=0)
    with label("refresh"), lock:
        waited_for_in_vain(lock)
    stop()
    got, gave_up, released = records(logger)
    assert [each.levelname for each in (got, gave_up, released)] == ["INFO"] * 3
    assert got.getMessage() == "thread 'MainThread' waited 0.000 s for 'cache'"
    assert gave_up.getMessage().startswith("thread 'waiter' gave up after 0.")
    assert released.getMessage().endswith("s long 'cache'")
    assert released.lock_event == "released"
    assert released.lock_seconds > 0
    assert released.lock_name == "cache"
    assert released.lock_kind == "thread"
    assert released.lock_family == "Lock"
    assert released.lock_site == str(lock.record.site)
    assert released.lock_number == lock.record.number
    assert released.lock_label == "refresh"
    assert released.lock_place.endswith("in test_what_took_long_is_logged")


def test_what_was_quick_is_not_logged(logger: logging.Logger) -> None:
    stop = to_logging(logger, slow=1000)
    with make():
        pass
    stop()
    assert not records(logger)


def test_to_wait_for_news_is_not_slow(logger: logging.Logger) -> None:
    condition = make_condition("thread", name="news", debug=True)
    stop = to_logging(logger, slow=0)
    with condition:
        condition.wait(0.001)
    stop()
    assert {each.lock_family for each in records(logger)} == {"RLock"}


def test_what_nobody_reads_is_not_made(logger: logging.Logger) -> None:
    logger.setLevel(logging.WARNING)
    stop = to_logging(logger, slow=0)
    with make():
        pass
    stop()
    assert not records(logger)


def test_a_handler_may_use_debug_locks(logger: logging.Logger) -> None:
    class Guarded(Logged):
        def emit(self, record: logging.LogRecord) -> None:
            find_something("long hold")
            with make():
                super().emit(record)

    logger.handlers[:] = [Guarded()]
    stop = to_logging(logger, slow=0)
    find_something()
    with make("cache"):
        pass
    stop()
    told = [getattr(each, "lock_event", None) for each in records(logger)]
    assert told == [None, "got", "released"]


def test_a_handler_that_fails_is_not_the_last_one(logger: logging.Logger) -> None:
    class Failing(Logged):
        def emit(self, record: logging.LogRecord) -> None:
            super().emit(record)
            raise OSError

    logger.handlers[:] = [Failing()]
    stop = to_logging(logger)
    with pytest.MonkeyPatch.context() as patch:
        told: list[Any] = []
        patch.setattr(sys, "unraisablehook", told.append)
        find_something()
        find_something()
    stop()
    assert len(records(logger)) == 2
    assert [each.exc_type for each in told] == [OSError, OSError]


def test_a_logger_may_be_known_by_its_name(caplog: pytest.LogCaptureFixture) -> None:
    stop = to_logging()
    find_something()
    stop()
    assert [record.name for record in caplog.records] == ["anylock.debug"]


def test_durations_fall_into_buckets() -> None:
    durations = Durations()
    for seconds in (0.0001, 0.00011, 0.3, 100.0):
        durations.add(seconds)
    assert durations.buckets == [1, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1]
    assert durations.count == 4
    assert durations.seconds == pytest.approx(100.30021)
    assert durations.longest == 100.0


def test_sums_outlive_the_locks_and_do_not_keep_them() -> None:
    totals = Totals()
    stop = _events.listen(totals.note)
    numbers: list[int] = []

    def use() -> None:
        lock = make()
        numbers.append(lock.record.number)
        with lock:
            waited_for_in_vain(lock)

    for _ in range(3):
        use()
    stop()
    gc.collect()
    assert not {each.number for each in known()}.intersection(numbers)
    ((group, total),) = totals.totals().items()
    assert str(group) == group.place
    assert (total.acquisitions, total.holds.count, total.waited.count) == (3, 3, 3)
    assert list(total.waits) == ["timed out"]


class Exposed:
    """What a registry of the Prometheus client would be scraped for."""

    def __init__(self) -> None:
        self.registry = pytest.importorskip("prometheus_client").CollectorRegistry()

    def __getitem__(self, name: str) -> dict[tuple[str, ...], float]:
        """Give the values of a metric, by the labels that tests do not know before."""
        return {
            tuple(
                value
                for key, value in sample.labels.items()
                if key in {"lock", "outcome", "le", "finding"}
            ): sample.value
            for metric in self.registry.collect()
            for sample in metric.samples
            if sample.name == name
        }


def test_prometheus_scrapes_locks() -> None:
    exposed = Exposed()
    lock, other = make("cache"), make()
    condition = make_condition("thread", name="news", debug=True)
    stop = to_prometheus(exposed.registry)
    with lock:
        waited_for_in_vain(lock)
        assert exposed["anylock_holders"][("cache",)] == 1
        assert exposed["anylock_waiters"][("cache",)] == 0
    with other, condition:
        condition.wait(0.001)
    find_something()
    acquisitions = exposed["anylock_acquisitions_total"]
    assert acquisitions[("cache",)] == 1
    assert acquisitions[(str(other.record.site),)] == 1
    waits = exposed["anylock_wait_seconds_count"]
    assert waits[("cache", "timed out")] == 1
    assert waits[("news", "timed out")] == 1
    assert exposed["anylock_wait_seconds_sum"][("cache", "timed out")] >= 0.001
    buckets = exposed["anylock_wait_seconds_bucket"]
    assert buckets[("cache", "timed out", "0.0005")] == 0
    assert buckets[("cache", "timed out", "+Inf")] == 1
    assert exposed["anylock_hold_seconds_count"][("cache",)] == 1
    assert exposed["anylock_findings_total"] == {("order",): 1}
    assert exposed["anylock_holders"][("cache",)] == 0
    stop()
    assert not list(exposed.registry.collect())


def test_a_registry_takes_it_once() -> None:
    exposed = Exposed()
    stop = to_prometheus(exposed.registry)
    with pytest.raises(ValueError, match="Duplicated timeseries"):
        to_prometheus(exposed.registry)
    stop()
    again = to_prometheus(exposed.registry)
    stop()
    assert list(exposed.registry.collect())
    again()


def test_places_that_are_two_to_us_are_one_to_others() -> None:
    exposed = Exposed()
    stop = to_prometheus(exposed.registry)
    for function in ("<module>", "<lambda>"):
        lock = make()
        lock.record.site = lock.record.site._replace(function=function)
        with lock:
            pass
    assert list(exposed["anylock_acquisitions_total"].values()) == [2]
    stop()


def test_what_prometheus_reads_is_of_its_format() -> None:
    client = pytest.importorskip("prometheus_client")
    parser = pytest.importorskip("prometheus_client.parser")
    stop = to_prometheus()
    with make('a "name"'):
        pass
    text = client.generate_latest().decode()
    stop()
    families = parser.text_string_to_metric_families(text)
    parsed = {each.name: each for each in families}
    (sample,) = [each for each in parsed["anylock_acquisitions"].samples if each.value]
    assert sample.labels["lock"] == 'a "name"'
    assert sample.labels["kind"] == "thread"
    assert sample.labels["family"] == "Lock"
    assert sample.labels["site"].startswith(__file__)


class Read:
    """What a reader of OpenTelemetry reads."""

    def __init__(self) -> None:
        sdk = pytest.importorskip("opentelemetry.sdk.metrics")
        export = pytest.importorskip("opentelemetry.sdk.metrics.export")
        self._reader = export.InMemoryMetricReader()
        self._provider = sdk.MeterProvider([self._reader])
        self.meter = self._provider.get_meter("tests")

    def __getitem__(self, name: str) -> dict[tuple[object, ...], float]:
        data: Any = self._reader.get_metrics_data()
        return {
            tuple(
                value
                for key, value in point.attributes.items()
                if key in {"lock.name", "outcome", "finding"}
            ): point.value
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        }

    def close(self) -> None:
        self._provider.shutdown()


@pytest.fixture
def read() -> Iterator[Read]:
    read = Read()
    yield read
    read.close()


def test_opentelemetry_reads_locks(read: Read) -> None:
    lock = make("cache")
    stop = to_opentelemetry(read.meter)
    with lock:
        waited_for_in_vain(lock)
        assert read["anylock.holders"][("cache",)] == 1
        assert read["anylock.waiters"][("cache",)] == 0
    find_something()
    assert read["anylock.acquisitions"] == {("cache",): 1}
    assert read["anylock.waits"] == {("cache", "timed out"): 1}
    assert read["anylock.wait.time"][("cache", "timed out")] >= 0.001
    assert read["anylock.hold.time"][("cache",)] > 0
    assert read["anylock.findings"] == {("order",): 1}
    stop()
    assert not read["anylock.acquisitions"]


def test_opentelemetry_has_a_meter_for_everybody() -> None:
    pytest.importorskip("opentelemetry.metrics")
    to_opentelemetry()()


@pytest.mark.parametrize(
    ("export", "module", "extra"),
    [
        (to_prometheus, "prometheus_client", "prometheus"),
        (to_opentelemetry, "opentelemetry.metrics", "opentelemetry"),
    ],
)
def test_what_is_missing_is_told(
    export: Callable[[], Any],
    module: str,
    extra: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=rf"pip install 'anylock\[{extra}\]'"):
        export()
