"""Runs the benchmarks and stress tests one after another, and prints their figures as one table.

    python benchmarks [--short] [--write] [name ...]      # with the extra `bench`

Without names all of them run. With `--short` they only show that they run; `--write` puts the
table into `benchmarks/README.md`. Exits with 1 if one of them fails.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from _measure import head

HERE = Path(__file__).parent
SCRIPTS = {
    path.stem: path for path in sorted([*HERE.glob("[a-z]*.py"), *HERE.glob("stress/[a-z]*.py")])
}
BEGIN, END = "<!-- figures -->\n", "<!-- end of figures -->\n"


def run(name: str, *, short: bool) -> tuple[int, list[str]]:
    """Runs one and shows what it prints; its exit code, and the rows of its table."""
    print(f"\n== {name}", flush=True)
    command = [sys.executable, "-u", str(SCRIPTS[name]), *(["--short"] if short else [])]
    rows = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        for line in process.stdout or ():
            print(line, end="", flush=True)
            if line.startswith("| "):
                rows.append(line)
    return process.returncode, rows[2:]  # without the columns' names


def write(figures: str) -> None:
    """Puts the table into the README."""
    readme = HERE / "README.md"
    before, rest = readme.read_text().split(BEGIN)
    _, after = rest.split(END)
    readme.write_text(f"{before}{BEGIN}{figures}{END}{after}")


def main() -> int:
    """Runs what was asked for; gives the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="name", help=", ".join(SCRIPTS))
    parser.add_argument("--short", action="store_true", help="only see that they run")
    parser.add_argument("--write", action="store_true", help="put the table into the README")
    asked = parser.parse_args()
    if unknown := set(asked.names) - SCRIPTS.keys():
        parser.error(f"there is no {', '.join(sorted(unknown))}")
    outcomes = {name: run(name, short=asked.short) for name in asked.names or SCRIPTS}
    rows = [row for _, rows in outcomes.values() for row in rows]
    figures = "".join([*head(), *rows])
    print(f"\n{figures}")
    if asked.write:
        write(f"\n{datetime.now(UTC):%d %B %Y}\n\n{figures}\n")
    failed = [name for name, (code, _) in outcomes.items() if code]
    print("failed:", ", ".join(failed) or "none")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
