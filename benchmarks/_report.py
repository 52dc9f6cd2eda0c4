"""How the benchmarks print: what was compared, on what, and tables in plain text."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from importlib.metadata import version


def print_versions(*packages: str) -> None:
    """Prints the versions of Python and of the packages, and how many processors there are."""
    print(
        f"{platform.python_implementation()} {platform.python_version()},"
        f" {platform.system()} {platform.machine()}, {os.cpu_count()} processors"
    )
    print(", ".join(f"{package} {version(package)}" for package in packages))


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints rows under a title and the columns' names; all but the first flush right."""
    lines = [columns, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(columns))]
    print(f"\n{title}")
    for line in lines:
        first, *others = (
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        print("  ".join([first, *others]).rstrip())


def percent(part: float, whole: float = 1.0) -> str:
    """A share, such as `98.5 %`."""
    return f"{100 * part / whole:.1f} %"
