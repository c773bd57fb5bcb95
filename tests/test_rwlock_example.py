"""The example of read-write locks, staged: a request in the middle of a reload."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from backends import run
from test_examples import NoLock, example, with_and_without_lock

if TYPE_CHECKING:
    from backends import Backend


def no_rwlock(*_args: object, **_options: object) -> SimpleNamespace:
    """Stand in for make_rwlock."""
    return SimpleNamespace(read=NoLock(), write=NoLock())


def staged(*, locked: bool) -> tuple[Any, Any]:
    """Make the example, whose reloads pause until a request was tried."""
    module = example("reload_settings")
    if not locked:
        module.make_rwlock = no_rwlock
    return module, module.Settings


def intrude(settings: Any) -> None:
    """Use the settings, in the middle of a reload, if that is possible."""
    if settings.lock.read.try_acquire():
        settings._use(settings._address, settings._name)
        settings.lock.read.release()


@with_and_without_lock
def test_a_thread_reloads(*, locked: bool) -> None:
    module, make = staged(locked=locked)
    settings = make("thread")

    def sleep(_seconds: float) -> None:
        intrude(settings)

    module.time = SimpleNamespace(sleep=sleep)
    settings.reload()
    assert settings.torn == ([] if locked else ["server 1, server 0"])
    assert settings.request() == 1


@with_and_without_lock
def test_a_task_reloads(backend: Backend, *, locked: bool) -> None:
    module, make = staged(locked=locked)
    settings = make("async")

    async def sleep(_seconds: float) -> None:
        intrude(settings)

    async def main() -> int:
        await settings.reload_in_task()
        version: int = await settings.request_in_task()
        return version

    module.anyio = SimpleNamespace(sleep=sleep)
    assert run(backend, main) == 1
    assert settings.torn == ([] if locked else ["server 1, server 0"])
