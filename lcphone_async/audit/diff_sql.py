"""SQL of `compare`: the statements that fill the table `changes` from the views of two runs.

The schemas `old` and `new` hold the two runs (`reader.open_two_runs`). The statements run in order:

1. `old_coverage` and `new_coverage`: how far each run saw each location.
2. `old_numbers`, `new_numbers`, and the same of pools: rows with normalized call targets, so that
   two spellings of a phone number do not differ. `key` is the number in E.164 format.
3. `lost` and `gained`: numbers that a location has in one run only. `confirmed_gone`: those of
   them that a search did not find. `moves`: numbers that are in another location now.
4. `changes` of presence: moved, released, not seen, added. A number is released or added only
   if the other run saw all of the location.
5. `kept`, and the same of pools, pool members and RCS senders: rows that are in both runs and
   differ. Each field in which `before` and `after` differ becomes a change.
6. `changes` of locations: account status, name, phone system.
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from .changes import MEMBER_FIELDS, NUMBER_FIELDS, POOL_FIELDS, SENDER_FIELDS, ChangeKind, Fields
from .dialing import E164_PATTERN

_MACROS: Final = (
    # Compares JSON objects by the keys that both have; null, false and "" are equal.
    """CREATE TEMP MACRO part(document, key) AS json_extract(document::JSON,
    '/' || replace(replace(key, '~', '~0'), '/', '~1'))""",
    """CREATE TEMP MACRO part_text(document, key) AS
    CASE WHEN part(document, key)::VARCHAR IN ('null', '""', 'false') THEN ''
    ELSE part(document, key)::VARCHAR END""",
    """CREATE TEMP MACRO differing_values(one, other) AS
    CASE WHEN one <> other THEN array_to_string(list_transform(list_filter(
        list_sort(json_keys(one::JSON)), lambda key: part_text(one, key) <> part_text(other, key)
    ), lambda key: key || ': ' || part_text(one, key)), ', ') END""",
)


def _as_struct(fields: Fields, one: str, other: str) -> str:
    """A struct of the compared fields of one run's row; an empty text counts as missing."""
    texts = (
        f"{name} := nullif(({expression.format(one, other)})::VARCHAR, '')"
        for name, (_, expression) in fields.items()
    )
    return f"struct_pack({', '.join(texts)})"


def _before_and_after(fields: Fields) -> str:
    return (
        f"{_as_struct(fields, 'was', 'is_now')} AS before,"
        f" {_as_struct(fields, 'is_now', 'was')} AS after"
    )


def _field_changes(fields: Fields, table: str, phone_number: str = "NULL", prefix: str = "") -> str:
    """Inserts a change for each field of `table` in which `before` and `after` differ."""
    named = f"{prefix} || ' " if prefix else "'"
    selects = " UNION ALL ".join(
        f"SELECT '{kind}', location_id, {phone_number}, {named}{name}', before.{name},"
        f" after.{name}, false FROM {table} WHERE before.{name} IS DISTINCT FROM after.{name}"
        for name, (kind, _) in fields.items()
    )
    return f"INSERT INTO changes {selects}"


def _part_changes(kind: ChangeKind, table: str, key: str, title: str, name: str) -> str:
    """Inserts a change for each pool or sender in one run only, if both runs saw all of them."""
    return f"""
    INSERT INTO changes
    SELECT '{kind}', location_id, NULL, '{title} ' || {key},
        CASE WHEN is_now.{key} IS NULL THEN coalesce(nullif(was.{name}, ''), {key}) END,
        CASE WHEN was.{key} IS NULL THEN coalesce(nullif(is_now.{name}, ''), {key}) END, false
    FROM old.{table} AS was FULL JOIN new.{table} AS is_now USING (location_id, {key})
    JOIN in_both USING (location_id)
    WHERE {table}_were_seen AND (was.{key} IS NULL OR is_now.{key} IS NULL)
    """


def _kept_parts(table: str, fields: Fields, *keys: str) -> str:
    columns = ", ".join(("location_id", *keys))
    of = "_" if table == "pools" else "."
    return f"""
    CREATE TEMP TABLE kept_{table} AS
    SELECT {columns}, {_before_and_after(fields)}
    FROM old{of}{table} AS was JOIN new{of}{table} AS is_now USING ({columns})
    WHERE before IS DISTINCT FROM after
    """


def _coverage_table(run: str) -> str:
    """Creates the table of how far a run saw each location."""
    return f"""
    CREATE TEMP TABLE {run}_coverage AS
    SELECT location_id, nullif(location_name, '') AS name, numbers, finished_at, is_under_lc,
        coverage = 'complete' AS is_complete, coverage = 'not connected' AS has_no_phone_system,
        coverage <> 'not connected' AND pools IS NOT NULL AS has_pools,
        coverage <> 'not connected' AND rcs_sender_ids IS NOT NULL AS has_senders,
        CASE coverage WHEN 'inactive' THEN coverage ELSE nullif(account_status, '') END AS status
    FROM {run}.locations
    """


def _with_country(run: str, table: str) -> str:
    """Selects a run's numbers or pools with the country that their call targets are dialed from.

    A pool has no country of its own: it is the country of its numbers.
    """
    numbers = f"{run}.numbers JOIN {run}.as_numbers USING (location_id, phone_number)"
    if table == "numbers":
        return f"SELECT * FROM {numbers}"
    return f"""
    SELECT pools.*, country FROM {run}.pools LEFT JOIN (
        SELECT location_id, pool_id, min(country) AS country
        FROM (SELECT location_id, unnest(pool_ids) AS pool_id, country FROM {numbers}) GROUP BY ALL
    ) USING (location_id, pool_id)
    """


ROUTES: Final = pa.schema([(name, pa.string()) for name in ("text", "country", "dialed")])
_TEXTS: Final = " UNION ALL ".join(
    f"SELECT unnest([forwarding_number, inbound_call_service.value]) AS text,"
    f" coalesce(country, '') AS country FROM ({_with_country(run, table)})"
    for run in ("old", "new")
    for table in ("numbers", "pools")
)
ROUTE_TEXTS: Final = (
    f"SELECT DISTINCT text, country FROM ({_TEXTS})"
    f" WHERE text <> '' AND NOT regexp_full_match(text, '{E164_PATTERN}')"
)


def _service(kind: str, value: str) -> str:
    """SQL of a call service as text; NULL for an empty service."""
    kind = f"CASE WHEN lower({kind}) NOT IN ('', 'none', 'null') THEN {kind} END"
    return f"nullif(concat_ws(' ', {kind}, nullif({value}, '')), '')"


def _normalized_view(run: str, table: str) -> str:
    """Creates the view of a run's rows with normalized call targets."""
    kind, value = "inbound_call_service.type", "inbound_call_service.value"
    return f"""
    CREATE TEMP VIEW {run}_{table} AS
    SELECT found.*, {"number" if table == "numbers" else "pool_id"} AS key,
        coalesce(forwards.dialed, forwarding_number) AS forwards_to,
        {_service(kind, value)} AS service,
        {_service(f"lower({kind})", f"coalesce(answers.dialed, {value})")} AS dialed_service
    FROM ({_with_country(run, table)}) AS found
    LEFT JOIN routes AS forwards ON forwards.text = forwarding_number
        AND forwards.country = coalesce(found.country, '')
    LEFT JOIN routes AS answers ON answers.text = {value}
        AND answers.country = coalesce(found.country, '')
    """


def _exclusive_numbers(table: str, run: str, other: str) -> str:
    """Creates the table of numbers that a location has in `run` only, by E.164 number."""
    return f"""
    CREATE TEMP TABLE {table} AS
    SELECT DISTINCT ON (location_id, key) location_id, phone_number, key,
        coalesce(is_complete, false) AS other_is_complete
    FROM {run}_numbers ANTI JOIN {other}_numbers USING (location_id, key)
    LEFT JOIN {other}_coverage USING (location_id)
    """


STATEMENTS: Final = (
    *_MACROS,
    """
    CREATE TEMP TABLE changes (kind VARCHAR, location_id VARCHAR, phone_number VARCHAR,
        field VARCHAR, before VARCHAR, after VARCHAR, drops_a2p BOOLEAN)
    """,
    _coverage_table("old"),
    _coverage_table("new"),
    """
    CREATE TEMP TABLE in_both AS
    SELECT location_id, o.has_pools AND n.has_pools AS pools_were_seen,
        o.has_senders AND n.has_senders AS rcs_sender_ids_were_seen
    FROM old_coverage AS o JOIN new_coverage AS n USING (location_id)
    """,
    # True if a run has an incomplete location: a missing number may be there.
    """
    CREATE TEMP TABLE incomplete_runs AS
    SELECT bool_or(o.is_complete IS NOT TRUE) AS by_old,
        bool_or(n.is_complete IS NOT TRUE) AS by_new
    FROM old_coverage AS o FULL JOIN new_coverage AS n USING (location_id)
    """,
    *(_normalized_view(run, table) for run in ("old", "new") for table in ("numbers", "pools")),
    _exclusive_numbers("lost", "old", "new"),
    _exclusive_numbers("gained", "new", "old"),
    # Searches after the old run's visit: an earlier one is no proof for a number listed later.
    """
    CREATE TEMP TABLE confirmed_gone AS
    SELECT DISTINCT location_id, phone_number
    FROM gone JOIN old_coverage USING (location_id) WHERE confirmed_at > finished_at
    """,
    # Numbers with different locations in the two runs. A move is sure only if the number is in one
    # location of each run: it may be listed in two while it moves, or move during the walk.
    """
    CREATE TEMP TABLE moves AS
    SELECT was.key, was.location_id AS was_in, is_now.location_id, is_now.phone_number,
        lost.key IS NOT NULL AS is_gone,
        coalesce(lost.other_is_complete AND gained.other_is_complete, false)
            AND confirmed_gone.phone_number IS NOT NULL
            AND count(*) OVER (PARTITION BY was.key) = 1 AS is_sure
    FROM old_numbers AS was JOIN new_numbers AS is_now
        ON is_now.key = was.key AND is_now.location_id <> was.location_id
    LEFT JOIN lost ON lost.key = was.key AND lost.location_id = was.location_id
    LEFT JOIN gained ON gained.key = was.key AND gained.location_id = is_now.location_id
    LEFT JOIN confirmed_gone ON confirmed_gone.phone_number = was.phone_number
        AND confirmed_gone.location_id = was.location_id
    WHERE gained.key IS NOT NULL OR lost.other_is_complete
    """,
    """
    INSERT INTO changes
    SELECT CASE WHEN is_sure THEN 'moved' ELSE 'perhaps moved' END, location_id, phone_number,
        'location_id', was_in, location_id, true FROM moves
    QUALIFY row_number() OVER (PARTITION BY key, location_id ORDER BY is_gone DESC, was_in) = 1
    """,
    """
    INSERT INTO changes
    SELECT CASE WHEN confirmed_gone.phone_number IS NULL THEN 'not seen'
        WHEN by_new THEN 'released or moved' ELSE 'released' END,
        location_id, phone_number, NULL, NULL, NULL, by_new
    FROM lost ANTI JOIN moves USING (key) LEFT JOIN confirmed_gone USING (location_id, phone_number)
    CROSS JOIN incomplete_runs WHERE other_is_complete
    """,
    """
    INSERT INTO changes
    SELECT CASE WHEN by_old THEN 'added or moved' ELSE 'added' END,
        location_id, phone_number, NULL, NULL, NULL, by_old
    FROM gained ANTI JOIN moves USING (key) CROSS JOIN incomplete_runs WHERE other_is_complete
    """,
    f"""
    CREATE TEMP TABLE kept AS
    SELECT is_now.location_id, is_now.phone_number, {_before_and_after(NUMBER_FIELDS)}
    FROM old_numbers AS was JOIN new_numbers AS is_now USING (location_id, key)
    JOIN in_both USING (location_id)
    WHERE before IS DISTINCT FROM after
    UNION ALL
    SELECT is_now.location_id, is_now.phone_number, {_before_and_after(NUMBER_FIELDS)}
    FROM (
        SELECT DISTINCT moves.key, was_in, moves.location_id AS is_in,
            o.has_pools AND n.has_pools AS pools_were_seen
        FROM moves JOIN old_coverage AS o ON o.location_id = was_in
        JOIN new_coverage AS n ON n.location_id = moves.location_id WHERE is_sure
    ) AS way
    JOIN old_numbers AS was ON was.key = way.key AND was.location_id = was_in
    JOIN new_numbers AS is_now ON is_now.key = way.key AND is_now.location_id = is_in
    WHERE before IS DISTINCT FROM after
    """,
    _kept_parts("pools", POOL_FIELDS, "pool_id"),
    _kept_parts("pool_numbers", MEMBER_FIELDS, "pool_id", "phone_number"),
    _kept_parts("rcs_sender_ids", SENDER_FIELDS, "number"),
    _field_changes(NUMBER_FIELDS, "kept", "phone_number"),
    _field_changes(POOL_FIELDS, "kept_pools", prefix="'pool ' || pool_id"),
    _field_changes(MEMBER_FIELDS, "kept_pool_numbers", "phone_number", "'pool ' || pool_id"),
    _field_changes(SENDER_FIELDS, "kept_rcs_sender_ids", prefix="'RCS sender ' || number"),
    _part_changes(ChangeKind.POOL, "pools", "pool_id", "pool", "name"),
    _part_changes(ChangeKind.RCS_SENDER, "rcs_sender_ids", "number", "RCS sender", "friendly_name"),
    # An unknown old status counts as `active`: else each first sight of one would be a change.
    """
    INSERT INTO changes
    SELECT 'status', location_id, NULL, 'account_status', o.status, n.status, false
    FROM old_coverage AS o JOIN new_coverage AS n USING (location_id)
    WHERE lower(n.status) <> lower(coalesce(o.status, 'active'))
    UNION ALL
    SELECT 'status', location_id, NULL, 'is_under_lc', o.is_under_lc::VARCHAR,
        n.is_under_lc::VARCHAR, false
    FROM old_coverage AS o JOIN new_coverage AS n USING (location_id)
    WHERE o.is_under_lc <> n.is_under_lc
    UNION ALL
    SELECT 'name', location_id, NULL, 'location_name', o.name, n.name, false
    FROM old_coverage AS o JOIN new_coverage AS n USING (location_id) WHERE o.name <> n.name
    UNION ALL
    SELECT 'phone system disconnected', location_id, NULL, 'numbers', o.numbers::VARCHAR, NULL,
        false
    FROM old_coverage AS o JOIN new_coverage AS n USING (location_id)
    WHERE n.has_no_phone_system AND (o.is_complete OR o.numbers > 0)
    UNION ALL
    SELECT 'phone system connected', location_id, NULL, 'numbers', NULL, n.numbers::VARCHAR, false
    FROM old_coverage AS o JOIN new_coverage AS n USING (location_id)
    WHERE o.has_no_phone_system AND (n.is_complete OR n.numbers > 0)
    UNION ALL
    SELECT 'location added', location_id, NULL, 'numbers', NULL,
        CASE WHEN is_complete THEN numbers::VARCHAR END, false
    FROM new_coverage ANTI JOIN old_coverage USING (location_id)
    UNION ALL
    SELECT 'location gone', location_id, NULL, 'numbers',
        CASE WHEN is_complete THEN numbers::VARCHAR END, NULL, false
    FROM old_coverage ANTI JOIN new_coverage USING (location_id)
    """,
)
