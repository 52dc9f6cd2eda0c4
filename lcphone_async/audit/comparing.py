"""What changed between two runs: number by number, and only where both of them looked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Final

from attrs import frozen

from .reading import Reading, reading_two
from .store import Run


class ChangeKind(StrEnum):
    """What can become of a number or a location."""

    ADDED = "added"
    RELEASED = "released"
    MOVED = "moved"
    """To another location."""
    CAPABILITY = "capability"
    ROUTING = "routing"
    """What answers its calls."""
    USER = "user"
    STATUS = "status"
    """Of a location's phone account."""
    LOCATION_ADDED = "location added"
    """The old run did not list it; its numbers are not counted as added."""
    LOCATION_GONE = "location gone"
    """The new run does not list it; its numbers are not counted as released."""


@frozen
class Change:
    """One difference."""

    kind: ChangeKind
    location_id: str
    """Where it is now, or was last."""
    phone_number: str | None
    """`None` where it is about the location."""
    field: str | None
    """What changed of it."""
    before: str | None
    after: str | None
    drops_a2p: bool
    """Whether it is a move, which drops the number's A2P registration: register it again."""


@frozen
class NotCompared:
    """A location of both runs of which one did not see all, so that nothing is said of it."""

    location_id: str
    before: str
    """Its coverage in the old run."""
    after: str


@frozen
class Comparison:
    """Two runs side by side, while both are open."""

    old: Run
    new: Run
    _reading: Reading

    def counts(self) -> dict[ChangeKind, int]:
        """How many changes there are of each kind that there is."""
        rows = dict(self._reading.rows("SELECT kind, count(*) FROM changes GROUP BY kind"))
        return {kind: rows[kind] for kind in ChangeKind if kind in rows}

    def changes(self, kind: ChangeKind | None = None, most: int | None = None) -> Iterator[Change]:
        """All changes, or those of a kind, in a stable order; or the first of them."""
        condition = "" if kind is None else f"WHERE kind = '{kind}'"
        limit = "" if most is None else f"LIMIT {most}"
        order = ", ".join(f"kind = '{kind}' DESC" for kind in ChangeKind)
        query = (
            f"FROM changes {condition} ORDER BY {order}, location_id, phone_number, field {limit}"
        )
        for found in self._reading.records(query):
            yield Change(**{**found, "kind": ChangeKind(found["kind"])})

    def not_compared(self) -> list[NotCompared]:
        """Locations of which one run did not see all."""
        rows = self._reading.rows(
            "SELECT location_id, old.locations.coverage, new.locations.coverage"
            " FROM old.locations JOIN new.locations USING (location_id)"
            " JOIN old_places USING (location_id) JOIN new_places USING (location_id)"
            " WHERE NOT (coalesce(old_places.is_whole AND new_places.is_whole, false))"
            " ORDER BY location_id"
        )
        return [NotCompared(*row) for row in rows]


@contextmanager
def compare(
    old: str | Path, new: str | Path, *, old_run: int | None = None, new_run: int | None = None
) -> Iterator[Comparison]:
    """Compares two runs of one store or of two, the newest ones by default.

    A number counts as added or released only where both runs saw all of its location; locations
    that were not seen whole are in `not_compared`.

    >>> def changes_since(last_week, today):
    ...     with compare(last_week, today) as comparison:
    ...         for change in comparison.changes():
    ...             print(change.kind, change.phone_number, change.before, change.after)

    Raises `StoreError`.
    """
    with reading_two(old, new, old_run, new_run) as (later, earlier):
        for statement in _STATEMENTS:
            later.do(statement)
        yield Comparison(earlier, later.run, later)


# What is compared of a number that stayed where it was, as text.
_FIELDS: Final = {
    "voice": (ChangeKind.CAPABILITY, "{0}.capabilities.voice"),
    "sms": (ChangeKind.CAPABILITY, "{0}.capabilities.sms"),
    "mms": (ChangeKind.CAPABILITY, "{0}.capabilities.mms"),
    "fax": (ChangeKind.CAPABILITY, "{0}.capabilities.fax"),
    "inbound_call_service": (
        ChangeKind.ROUTING,
        "concat_ws(' ', {0}.inbound_call_service.type, {0}.inbound_call_service.value)",
    ),
    "forwarding_number": (ChangeKind.ROUTING, "{0}.forwarding_number"),
    "linked_ring_all_users": (
        ChangeKind.ROUTING,
        "array_to_string(list_sort({0}.linked_ring_all_users), ' ')",
    ),
    "pool_ids": (
        ChangeKind.ROUTING,
        "CASE WHEN pools_were_seen THEN array_to_string({0}.pool_ids, ' ') END",
    ),
    "linked_user": (ChangeKind.USER, "{0}.linked_user"),
}
_POOL_FIELDS: Final = {
    name: _FIELDS[name] for name in ("inbound_call_service", "forwarding_number")
}


def _as_struct(fields: dict[str, tuple[ChangeKind, str]], run: str) -> str:
    """The fields of a run's row; what is empty is as good as missing."""
    texts = (
        f"{name} := nullif(({expression.format(run)})::VARCHAR, '')"
        for name, (_, expression) in fields.items()
    )
    return f"struct_pack({', '.join(texts)})"


def _each_field(
    fields: dict[str, tuple[ChangeKind, str]], table: str, phone_number: str, prefix: str
) -> str:
    """A change for each field of a row of `table` in which `before` and `after` differ."""
    return " UNION ALL ".join(
        f"SELECT '{kind}', location_id, {phone_number}, {prefix}'{name}', before.{name},"
        f" after.{name}, false FROM {table} WHERE before.{name} IS DISTINCT FROM after.{name}"
        for name, (kind, _) in fields.items()
    )


_STATUS: Final = (
    "CASE WHEN coverage IN ('not connected', 'inactive') THEN coverage ELSE account_status END"
)
_STATEMENTS: Final = (
    # Where each run looked, and whether it saw all.
    *(
        f"CREATE TEMP TABLE {run}_places AS SELECT location_id, numbers, {_STATUS} AS status,"
        f" coverage IN ('complete', 'not connected') AS is_whole FROM {run}.locations"
        for run in ("old", "new")
    ),
    # Numbers that are no longer where they were. They are released if the new run saw all of the
    # place, and may have moved also where it did not list the place.
    """
    CREATE TEMP TABLE went AS
    SELECT location_id, phone_number, coalesce(is_whole, false) AS counts,
        row_number() OVER (PARTITION BY phone_number ORDER BY location_id) AS rank
    FROM old.numbers ANTI JOIN new.numbers USING (location_id, phone_number)
    LEFT JOIN new_places USING (location_id)
    WHERE is_whole IS NOT FALSE
    """,
    """
    CREATE TEMP TABLE came AS
    SELECT location_id, phone_number, coalesce(is_whole, false) AS counts,
        row_number() OVER (PARTITION BY phone_number ORDER BY location_id) AS rank
    FROM new.numbers ANTI JOIN old.numbers USING (location_id, phone_number)
    LEFT JOIN old_places USING (location_id)
    WHERE is_whole IS NOT FALSE
    """,
    f"""
    CREATE TEMP TABLE stayed AS
    SELECT location_id, phone_number, {_as_struct(_FIELDS, "was")} AS before,
        {_as_struct(_FIELDS, "is_now")} AS after
    FROM old.numbers AS was JOIN new.numbers AS is_now USING (location_id, phone_number)
    JOIN (
        SELECT location_id, old_places.is_whole AND new_places.is_whole AS pools_were_seen
        FROM old_places JOIN new_places USING (location_id)
    ) USING (location_id)
    WHERE before IS DISTINCT FROM after
    """,
    f"""
    CREATE TEMP TABLE stayed_pools AS
    SELECT location_id, pool_id, {_as_struct(_POOL_FIELDS, "was")} AS before,
        {_as_struct(_POOL_FIELDS, "is_now")} AS after
    FROM old.pools AS was JOIN new.pools AS is_now USING (location_id, pool_id)
    WHERE before IS DISTINCT FROM after
    """,
    f"""
    CREATE TEMP TABLE changes (kind VARCHAR, location_id VARCHAR, phone_number VARCHAR,
        field VARCHAR, before VARCHAR, after VARCHAR, drops_a2p BOOLEAN);
    INSERT INTO changes
    SELECT 'moved', came.location_id, phone_number, 'location_id', went.location_id,
        came.location_id, true FROM went JOIN came USING (phone_number, rank)
    UNION ALL
    SELECT 'released', location_id, phone_number, NULL, NULL, NULL, false
    FROM went ANTI JOIN came USING (phone_number, rank) WHERE counts
    UNION ALL
    SELECT 'added', location_id, phone_number, NULL, NULL, NULL, false
    FROM came ANTI JOIN went USING (phone_number, rank) WHERE counts
    UNION ALL {_each_field(_FIELDS, "stayed", "phone_number", "")}
    UNION ALL {_each_field(_POOL_FIELDS, "stayed_pools", "NULL", "'pool ' || pool_id || ' ' || ")}
    UNION ALL
    SELECT 'status', location_id, NULL, 'account_status', old_places.status, new_places.status,
        false
    FROM old_places JOIN new_places USING (location_id)
    WHERE old_places.status <> new_places.status
    UNION ALL
    SELECT 'location added', location_id, NULL, 'numbers', NULL, numbers::VARCHAR, false
    FROM new_places ANTI JOIN old_places USING (location_id)
    UNION ALL
    SELECT 'location gone', location_id, NULL, 'numbers', numbers::VARCHAR, NULL, false
    FROM old_places ANTI JOIN new_places USING (location_id)
    """,
)
