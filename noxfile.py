"""Tasks for developers and CI: `nox --list` shows them, `nox -s lint types` runs two of them.

The sessions use the environment that nox itself is installed in, which `pip install -e '.[dev]'`
fills; CONTRIBUTING.md shows how.
"""

import os
import sys
from pathlib import Path

import nox

nox.options.default_venv_backend = "none"
nox.options.sessions = ["lint", "types", "layers", "tests"]

BIN = Path(sys.executable).parent


def run(session: nox.Session, program: str, *arguments: str) -> None:
    """Run a program of this environment, which need not be activated."""
    session.run(str(BIN / program), *arguments, env={"PATH": f"{BIN}:{os.environ['PATH']}"})


@nox.session
def lint(session: nox.Session) -> None:
    """Check the format and the lint rules; `nox -s lint -- --fix` mends what can be mended."""
    fix = "--fix" in session.posargs
    run(session, "ruff", "format", *([] if fix else ["--check"]), ".")
    run(session, "ruff", "check", *(["--fix"] if fix else []), ".")


@nox.session
def types(session: nox.Session) -> None:
    """Check the types with mypy, and that the public surface is typed completely with pyright."""
    run(session, "mypy")
    run(session, "pyright", "--verifytypes", "lcphone_async", "--ignoreexternal")


@nox.session
def layers(session: nox.Session) -> None:
    """Check that imports only point down the layers, without circles."""
    run(session, "lint-imports")


@nox.session
def english(session: nox.Session) -> None:
    """Check that no habit of unclear English is over its limit; `-- -v` lists each occurrence."""
    run(session, "python", ".ci/english.py", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """Run the quick tests, or those that are named: `nox -s tests -- tests/limiter`."""
    run(session, "python", "-m", "pytest", "-n", "auto", *session.posargs)


@nox.session
def exhaustive(session: nox.Session) -> None:
    """Run every test, including those that are slow or try every combination."""
    run(session, "python", "-m", "pytest", "-n", "auto", "-m", "", *session.posargs)


@nox.session
def coverage(session: nox.Session) -> None:
    """Run every test and report the branches that no test reaches."""
    arguments = ("-n", "auto", "-m", "", *session.posargs)
    run(session, "coverage", "run", "-m", "pytest", *arguments)
    run(session, "coverage", "combine", "-q")
    run(session, "coverage", "report")


@nox.session
def benchmarks(session: nox.Session) -> None:
    """Run the benchmarks and stress tests; `-- --short` only shows that they run."""
    run(session, "python", "benchmarks", *session.posargs)
