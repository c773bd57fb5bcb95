"""Under the profiler, a program does and says what it does and says without."""

from __future__ import annotations

import shutil
import sys
import zipfile
from typing import TYPE_CHECKING

import pytest

from profiled import plain, profiled, write

if TYPE_CHECKING:
    from pathlib import Path

ITSELF = """
import os, sys
print(sorted(set(globals()) - {"os", "sys", "__conditional_annotations__"}))
print([repr(each) for each in (__name__, __doc__, __package__, __file__)])
print(__spec__ and (__spec__.name, __spec__.origin), type(__loader__).__name__)
print(getattr(__loader__, "name", None), sys.argv, sys.path, sys.stdin.read())
print(sys.modules["__main__"].__dict__ is globals(), __builtins__)
"""

ENDINGS = {
    "returns": "print('done')",
    "status": "import sys; print('bye'); sys.exit(3)",
    "message": "import sys; sys.exit('no good')",
    "no status": "raise SystemExit",
    "error": """
        def fail():
            try:
                {}["missing"]
            except KeyError as error:
                raise ValueError("of its own") from error
        fail()
        """,
    "error amid another": """
        import threading
        try:
            raise LookupError("first")
        except LookupError:
            threading.Lock().release()
        """,
    "syntax": "def x(:\n  pass",
    "hook": """
        import sys
        def hook(kind, error, traceback):
            print("hooked", kind, error, error.__traceback__ is traceback)
            print(traceback.tb_frame.f_code.co_name)
        sys.excepthook = hook
        1 / 0
        """,
    "hook that exits": """
        import sys
        def hook(*_):
            sys.exit(7)
        sys.excepthook = hook
        1 / 0
        """,
    "interrupt": "import signal; signal.raise_signal(signal.SIGINT)",
    "handler": """
        import signal, sys
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(9))
        signal.raise_signal(signal.SIGTERM)
        """,
    "at exit": """
        import atexit, threading
        atexit.register(print, "second")
        atexit.register(print, "first")
        def last(main):
            main.join()
            print("last")
        threading.Thread(target=last, args=(threading.main_thread(),)).start()
        print("main")
        """,
    "error in a thread": """
        import threading
        def fail():
            raise ValueError("in a thread")
        thread = threading.Thread(target=fail, name="failing")
        thread.start()
        thread.join()
        """,
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_endings(ending: str, tmp_path: Path) -> None:
    write(tmp_path, app=ENDINGS[ending])
    expected = plain(tmp_path, "app.py")
    done = profiled(tmp_path, "app.py")
    assert done._replace(report="") == expected
    assert done.report


@pytest.mark.skipif(sys.version_info < (3, 11), reason="no groups of exceptions")
def test_a_group_of_errors(tmp_path: Path) -> None:
    write(
        tmp_path,
        app="""
        import threading
        lock = threading.Lock()
        try:
            lock.release()
        except RuntimeError as error:
            raise ExceptionGroup("several", [error])
        """,
    )
    done = profiled(tmp_path, "app.py")
    assert done._replace(report="") == plain(tmp_path, "app.py")


@pytest.mark.parametrize("flags", [(), ("-I",), ("-P",)], ids=" ".join)
def test_what_a_script_knows_of_itself(flags: tuple[str, ...], tmp_path: Path) -> None:
    if flags == ("-P",) and sys.version_info < (3, 11):
        pytest.skip("it has no such flag")
    if plain(tmp_path, "-c", "import anylock", flags=flags).status:
        pytest.skip("anylock is not installed, but found by PYTHONPATH")
    folder = tmp_path / "folder"
    folder.mkdir()
    write(folder, script=ITSELF)
    (tmp_path / "link.py").symlink_to(folder / "script.py")
    for script in ("folder/script.py", "link.py"):
        command = (script, "a", "-m", "--json", "--", "-o")
        expected = plain(tmp_path, *command, flags=flags)
        assert profiled(tmp_path, *command, flags=flags)[:3] == expected[:3]
        assert expected.status == 0


def test_what_a_module_knows_of_itself(tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    write(tmp_path, module=ITSELF)
    write(package, __init__="", __main__=ITSELF, part=ITSELF)
    for module in ("module", "package", "package.part"):
        command = ("-m", module, "a", "-m", "-o", "--", "x")
        expected = plain(tmp_path, *command)
        assert profiled(tmp_path, *command)[:3] == expected[:3]
        assert expected.status == 0


def test_folders_and_archives(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    write(folder, __main__=ITSELF)
    with zipfile.ZipFile(tmp_path / "archive.pyz", "w") as archive:
        archive.write(folder / "__main__.py", "__main__.py")
    for path in ("folder", "archive.pyz"):
        expected = plain(tmp_path, path, "x")
        assert profiled(tmp_path, path, "x")[:3] == expected[:3]
        assert expected.status == 0
    (folder / "__main__.py").unlink()
    shutil.rmtree(folder / "__pycache__", ignore_errors=True)
    assert profiled(tmp_path, "folder")[:3] == plain(tmp_path, "folder")[:3]


def test_compiled_code(tmp_path: Path) -> None:
    import py_compile

    write(tmp_path, app="print(__file__)")
    py_compile.compile(str(tmp_path / "app.py"), cfile=str(tmp_path / "app.pyc"))
    expected = plain(tmp_path, "app.pyc")
    assert profiled(tmp_path, "app.pyc")[:3] == expected[:3]


def test_what_is_not_there(tmp_path: Path) -> None:
    assert (
        profiled(tmp_path, "-m", "missing")[:3] == plain(tmp_path, "-m", "missing")[:3]
    )
    done = profiled(tmp_path, "missing.py")
    assert done.status == 2
    assert "cannot open" in done.err
    assert "missing.py': No such file" in done.err


def test_future_features_are_not_inherited(tmp_path: Path) -> None:
    write(tmp_path, app="def f(x: 1 + 1): ...\nprint(f.__annotations__)")
    assert profiled(tmp_path, "app.py").out == "{'x': 2}\n"
