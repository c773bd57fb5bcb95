"""What is checked before a change goes in: `nox -l` lists it.

Plain `nox` is for who works on it: the checks of style and of types, and the tests on
the Python that runs nox. Where `CI` is set, it is everything on every Python.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

import nox

# Since then nox asks an interpreter for its version before it takes it.
nox.needs_version = ">=2026.8.10"

# A version of Python that this machine does not have is skipped: not an error (which
# it would be by default where $CI is set), and nothing to download.
nox.options.error_on_missing_interpreters = False
nox.options.download_python = "never"

# On one's own machine environments are kept for the next run, which costs a stale
# package now and then (`nox --reuse-venv=never` makes them anew). CI starts clean.
CI = bool(os.environ.get("CI"))
nox.options.reuse_venv = "never" if CI else "yes"

PYPROJECT = nox.project.load_toml("pyproject.toml")
PROJECT = PYPROJECT["project"]
PYTHONS = nox.project.python_versions(PYPROJECT)

# pyenv puts a `pythonX.Y` on the PATH for every X.Y that it has, but all of them except
# the selected one just fail. So the real ones are added behind everything else.
PYENV = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser() / "versions"
os.environ["PATH"] = os.pathsep.join(
    [
        os.environ.get("PATH", os.defpath),
        *(str(path) for v in PYTHONS for path in sorted(PYENV.glob(f"{v}.*[0-9]/bin"))),
    ]
)

# Itself with every extra, and with every extra but trio.
EXTRAS = tuple(sorted(PROJECT["optional-dependencies"]))
EVERYTHING = f".[{','.join(EXTRAS)}]"
BUT_TRIO = f".[{','.join(extra for extra in EXTRAS if extra != 'trio')}]"

# The version of Python on which it is measured what the tests cover.
MEASURED = "3.11"

# The one that tests run on unless it is CI that runs them.
MINE = ".".join(map(str, sys.version_info[:2]))
if MINE not in PYTHONS:
    MINE = PYTHONS[-1]
if not CI:
    nox.options.sessions = ["lint", "typing", f"tests-{MINE}", "schedules"]

# Those on which threads switch after a microsecond where they otherwise may have 5 ms:
# with trio, the others run at the usual pace.
HASTY = PYTHONS[2:]


# Those that import every module, run every command and read every document.
WITH_EVERY_MODULE = tuple(
    f"tests/test_{name}.py"
    for name in (
        *("any_lock_kind", "bench_plots", "bench_rows", "bench_run", "bench_workers"),
        *("check_family", "check_lock", "demo", "docs", "examples", "exporters"),
        *("lockfile_commands", "lockfile_contract", "soak_run"),
    )
)


def group(*names: str) -> tuple[str, ...]:
    """Return the requirements of the dependency groups of these names."""
    return nox.project.dependency_groups(PYPROJECT, *names)


def floors(*extras: str) -> list[str]:
    """Return the oldest release of each dependency that pyproject.toml allows."""
    chosen = [PROJECT["dependencies"]]
    chosen += [PROJECT["optional-dependencies"][extra] for extra in extras]
    return [item.replace(">=", "==") for items in chosen for item in items]


def run_pytest(session: nox.Session, *command: str, trio: bool = True) -> None:
    """Run the tests with `command`; what follows `--` goes to pytest."""
    hasty = CI and trio and session.python in HASTY
    # Told that trio is required, the tests fail without it instead of skipping.
    session.run(
        *command,
        *("-n", "auto", *session.posargs),
        env={
            "ANYLOCK_REQUIRE_TRIO": "1" if trio else None,
            "ANYLOCK_SWITCH_INTERVAL": "1e-6" if hasty else None,
        },
    )


def run_mypy(session: nox.Session) -> None:
    """Run mypy as for the oldest Python, the newest, and other platforms."""
    for version in (PYTHONS[0], PYTHONS[-1]):
        session.run("mypy", "--strict", "--python-version", version)
    for platform in ("darwin", "win32"):
        session.run("mypy", "--strict", "--platform", platform, "src")


def run_pyright(session: nox.Session) -> None:
    """Run pyright, likewise, and on what users see of the types."""
    for version in (PYTHONS[0], PYTHONS[-1]):
        session.run("pyright", "--pythonversion", version)
    session.run("pyright", "--verifytypes", "anylock", "--ignoreexternal")


@nox.session
def lint(session: nox.Session) -> None:
    """Style and format, by ruff."""
    session.install(*group("lint"))
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")


@nox.session
def typing(session: nox.Session) -> None:
    """Types, by mypy and pyright, in one environment."""
    session.install("-e", EVERYTHING, *group("typing"))
    run_mypy(session)
    run_pyright(session)


@nox.session(default=False)
def mypy(session: nox.Session) -> None:
    """Types, by mypy alone (part of `typing`)."""
    session.install("-e", EVERYTHING, *group("typing"))
    run_mypy(session)


@nox.session(default=False)
def pyright(session: nox.Session) -> None:
    """Types, by pyright alone (part of `typing`)."""
    session.install("-e", EVERYTHING, *group("typing"))
    run_pyright(session)


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Tests and documents.

    The oldest Python runs them with the oldest dependencies, and Python 3.11 measures
    what they cover: later ones do not run what is there for the earlier. In CI, threads
    switch every microsecond from 3.12 on.
    """
    oldest = floors(*EXTRAS) if session.python == PYTHONS[0] else []
    session.install("-e", EVERYTHING, *group("tests"), *oldest)
    if session.python == MEASURED:
        session.run("coverage", "erase")
        run_pytest(session, "coverage", "run", "-m", "pytest")
        session.run("coverage", "combine", "--quiet")
        # A choice of tests covers a part only, and need not reach the threshold.
        session.run("coverage", "report", *(["--fail-under=0"] * bool(session.posargs)))
    else:
        run_pytest(session, "pytest")


@nox.session(python=[PYTHONS[0], *PYTHONS[3:]])
def without_trio(session: nox.Session) -> None:
    """Tests and documents for who has no trio, and never imports it."""
    session.install("-e", BUT_TRIO, *group("tests"))
    session.run(
        *("python", "-c"),
        "from importlib.util import find_spec; "
        "assert not find_spec('trio'), 'trio is installed here'",
    )
    run_pytest(session, "pytest", trio=False)


@nox.session(default=False)
def docs(session: nox.Session) -> None:
    """What README.md, docs/ and docstrings show (part of `tests`)."""
    session.install("-e", EVERYTHING, *group("tests"))
    run_pytest(session, "pytest", "tests/test_docs.py")


@nox.session(reuse_venv=False)
def build(session: nox.Session) -> None:
    """The wheel, built from the sdist: what is in it is all that it needs."""
    session.install(*group("build"))
    with tempfile.TemporaryDirectory() as dist:
        session.run("python", "-m", "build", "--outdir", dist)
        (wheel,) = Path(dist).glob("*.whl")
        session.install(f"{wheel}{EVERYTHING[1:]}", *group("tests"))
    session.run(
        *("python", "-c"),
        "import anylock, pathlib, sys; here = pathlib.Path(anylock.__file__).parent; "
        "assert here.is_relative_to(sys.prefix), f'{here} is not the wheel'; "
        "assert (here / 'py.typed').exists(), 'py.typed is not in the wheel'",
    )
    # Its modules are those that all other sessions test, so these show that none lacks.
    run_pytest(session, "pytest", *WITH_EVERY_MODULE)


@nox.session(python=PYTHONS)
def conformance(session: nox.Session) -> None:
    """CPython's own tests of locks, against ours."""
    session.install("-e", EVERYTHING)
    session.run("python", "-m", "verification.conformance", *session.posargs)


@nox.session(venv_backend="none")
def verify(session: nox.Session) -> None:
    """The models of verification/, proven by Spin; skipped without spin and gcc."""
    if not CI and not (shutil.which("spin") and shutil.which("gcc")):
        session.skip("it needs spin and gcc: apt-get install spin gcc")
    session.run("python", "verification/verify.py", *session.posargs, external=True)


@nox.session(python=PYTHONS)
def instructions(session: nox.Session) -> None:
    """Instructions on the hot paths, by valgrind; skipped without it.

    On another build of Python than theirs that are kept, Python frames are compared
    alone. A new release of trio has others: so it is that of the oldest dependencies.
    """
    if not CI and not shutil.which("valgrind"):
        session.skip("it needs valgrind: apt-get install valgrind")
    session.install("-e", ".[trio]", *floors("trio"))
    session.run("python", "-m", "verification.instructions", *session.posargs)


@nox.session
def schedules(session: nox.Session) -> None:
    """The real locks under schedules drawn from seeds, each of which repeats."""
    session.install("-e", ".[trio]")
    session.run("python", "-m", "verification.schedules", *session.posargs)


@nox.session
def soak(session: nox.Session) -> None:
    """Every kind amid faults, for 10 s, or 60 in CI; `--` precedes its own options."""
    session.install("-e", EVERYTHING)
    options = session.posargs or ["--seconds", "60" if CI else "10"]
    session.run("python", "-m", "anylock", "soak", *options)


@nox.session(default=False, python="3.13")
def mutation(session: nox.Session) -> None:
    """What the tests would not notice, by cosmic-ray: hours, or name a module."""
    session.install("-e", EVERYTHING, *group("tests", "mutation"))
    work = Path(tempfile.gettempdir(), "anylock-mutation")
    session.run(
        *("python", "verification/mutation/run.py", "--work", str(work)),
        *session.posargs,
    )


@nox.session
def benchmarks(session: nox.Session) -> None:
    """The benchmarks beside every peer, in short; `--` precedes its own options."""
    session.install("-e", EVERYTHING, *group("peers"))
    options = session.posargs or ["--quick"]
    session.run("python", "-m", "anylock", "bench", *options)
