"""Arguments, output and exit codes of `lcphone audit diff`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import click

from . import tables
from .output import json_lines, new_console
from .service import print_error

if TYPE_CHECKING:
    from ..audit import Comparison, NotCompared

_CHANGED, _NOT_COMPARED = 1, 3
_ROWS_PER_TABLE = 500


def compared_runs(old: str | None, new: str | None, store: Path | None) -> dict[str, Any]:
    """Returns the arguments of `compare` for OLD and NEW; raises `UsageError`."""
    if store is None:
        if old is None or new is None:
            raise click.UsageError("name two files, or a file with --store")
        return {"old": old, "new": new}
    return {
        "old": store,
        "new": store,
        "old_run": None if old is None else _run_id(old),
        "new_run": None if new is None else _run_id(new),
    }


def kinds(option: str, text: str | None) -> list[str]:
    """Returns the kinds of change in an option's comma-separated list."""
    from ..audit import ChangeKind

    named = [kind.strip() for kind in (text or "").split(",") if kind.strip()]
    known = {kind.lower(): str(kind) for kind in ChangeKind}
    for kind in named:
        if kind.lower() not in known:
            raise click.UsageError(
                f"{option}: {kind!r} is not a kind of change: {', '.join(ChangeKind)}"
            )
    return [known[kind.lower()] for kind in named]


def show(comparison: Comparison, *, as_json: bool) -> int:
    """Prints the changes and the locations that were not compared; returns the exit code."""
    counts, not_compared = comparison.counts(), comparison.not_compared()
    if as_json:
        for change in comparison.changes():
            click.echo(json_lines([change]), nl=False)
        click.echo(_json_of(not_compared), nl=False)
    else:
        console = new_console()
        titles = (f"Run {comparison.old.run_id} to run {comparison.new.run_id}", "Changes")
        console.print(tables.counts(titles, counts.items()))
        changes, header = comparison.changes(), True
        while some := list(islice(changes, _ROWS_PER_TABLE)):
            console.print(tables.changes(some, header=header))
            header = False
    compared = comparison.compared
    for one in not_compared:
        print_error(f"{one.location_id}: not compared: {one.before}, then {one.after}")
    if not_compared or not compared:
        print_error(
            f"{compared:,} locations were compared,"
            f" {len(not_compared):,} were not seen whole in both runs"
        )
        return _NOT_COMPARED
    return _CHANGED if counts else 0


def _json_of(not_compared: Iterable[NotCompared]) -> str:
    """Returns a line of JSON for each location that was not compared."""
    rows = ({"kind": "not compared", **attrs.asdict(one)} for one in not_compared)
    return "".join(json.dumps(row) + "\n" for row in rows)


def _run_id(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise click.UsageError(f"{text!r} is not a run: runs are numbered from 1")
    return int(text)
