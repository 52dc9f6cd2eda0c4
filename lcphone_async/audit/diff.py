"""Comparison of two runs: `compare` and its results."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen

from .._internal import checks
from .changes import ChangeKind
from .dialing import normalized_target
from .diff_sql import ROUTE_TEXTS, ROUTES, STATEMENTS
from .reader import RunReader, open_two_runs
from .store import Run


@frozen
class Change:
    """A change of a number, a pool, an RCS sender or a location."""

    kind: ChangeKind
    """Kind of the change."""
    location_id: str
    """Location in the new run, or in the old run if the number left."""
    phone_number: str | None
    """`None` for a change of the location, a pool or an RCS sender."""
    field: str | None
    """Name of the field that differs; `None` if the number itself was added or lost."""
    before: str | None
    """Value in the old run, as text; `None` if empty."""
    after: str | None
    """Value in the new run, as text; `None` if empty."""
    drops_a2p: bool
    """True if the number moved or may have moved. A move drops its A2P registration."""


@frozen
class NotCompared:
    """A location that one of the runs did not see whole, so that changes may be missing."""

    location_id: str
    """The location."""
    before: str
    """Coverage in the old run."""
    after: str
    """Coverage in the new run."""


@frozen
class Comparison:
    """An open comparison of two runs; usable within the block of `compare`."""

    old: Run
    """The earlier run."""
    new: Run
    """The later run."""
    _reading: RunReader

    @property
    def compared(self) -> int:
        """Number of locations that both runs saw whole."""
        ((count,),) = self._reading.rows(
            f"SELECT count(*) {_LOCATIONS_IN_BOTH} WHERE {_BOTH_WHOLE}"
        )
        return int(count)

    def counts(self) -> dict[ChangeKind, int]:
        """Returns the number of changes by kind, the most urgent kind first, without zeros."""
        rows = dict(self._reading.rows("SELECT kind, count(*) FROM changes GROUP BY kind"))
        return {kind: rows[kind] for kind in ChangeKind if kind in rows}

    def changes(self, kind: ChangeKind | None = None, most: int | None = None) -> Iterator[Change]:
        """Yields the changes, or those of one kind, the most urgent first; at most `most`."""
        condition = "" if kind is None else f"WHERE kind = '{kind}'"
        limit = "" if most is None else f"LIMIT {most}"
        order = ", ".join(f"kind = '{kind}' DESC" for kind in ChangeKind)
        query = (
            f"FROM changes {condition} ORDER BY {order}, location_id, phone_number, field {limit}"
        )
        for found in self._reading.records(query):
            yield Change(**{**found, "kind": ChangeKind(found["kind"])})

    def not_compared(self) -> list[NotCompared]:
        """Returns the locations that one of the runs did not see whole."""
        rows = self._reading.rows(
            f"SELECT location_id, old_seen.coverage, new_seen.coverage {_LOCATIONS_IN_BOTH}"
            f" WHERE NOT ({_BOTH_WHOLE}) ORDER BY location_id"
        )
        return [NotCompared(*row) for row in rows]


_LOCATIONS_IN_BOTH = (
    "FROM old.locations AS old_seen JOIN new.locations AS new_seen USING (location_id)"
)
_BOTH_WHOLE = (
    "old_seen.coverage IN ('complete', 'not connected')"
    " AND new_seen.coverage IN ('complete', 'not connected')"
)


@contextmanager
def compare(
    old: str | Path,
    new: str | Path,
    *,
    old_run: int | None = None,
    new_run: int | None = None,
    only: Collection[ChangeKind | str] = (),
    ignore: Collection[ChangeKind | str] = (),
) -> Iterator[Comparison]:
    """Compares two runs, of one store or of two.

    - `old`, `new`: the stores; the same path twice compares two runs of one store.
    - `old_run`, `new_run`: run ids. By default the newest of each store, or the last two of one.
    - `only`, `ignore`: kinds of change to keep, or to leave out.

    A number counts as added only if the old run saw every location whole, and as released only if
    the new run did and a search confirmed that the number is gone; see `ChangeKind`. Locations that
    were not seen whole are in `not_compared`.

    >>> def changes_since(last_week, today):
    ...     with compare(last_week, today) as comparison:
    ...         for change in comparison.changes():
    ...             print(change.kind, change.phone_number, change.before, change.after)

    Raises `StoreError` if a run cannot be read, if both are the same run, or if `new` is older.
    """
    kept = (_kinds("only", only) or set(ChangeKind)) - _kinds("ignore", ignore)
    with open_two_runs(old, new, old_run, new_run) as (later, earlier):
        later.make_table("routes", ROUTES, ROUTE_TEXTS, _normalized_route)
        for statement in STATEMENTS:
            later.execute(statement)
        later.execute(
            "DELETE FROM changes WHERE NOT list_contains(?, kind)", sorted(map(str, kept))
        )
        yield Comparison(earlier, later.run, later)


def _normalized_route(text: str, country: str) -> tuple[str, str, str]:
    return text, country, normalized_target(text, country)


def _kinds(name: str, kinds: object) -> set[str]:
    return {checks.one_of(name, kind, tuple(ChangeKind)) for kind in checks.several(name, kinds)}
