"""What is compared of two runs, and the statements that find where they differ."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import pyarrow as pa

from .dialing import E164_PATTERN


class ChangeKind(StrEnum):
    """What can become of a number or a location; the most urgent kind comes first."""

    STATUS = "status"
    """Of a location's phone account."""
    DISCONNECTED = "phone system disconnected"
    """The location has no phone system any more; its numbers are not counted as released."""
    PAPERS = "papers"
    """A number's address or bundle."""
    DEFAULT = "default number"
    RELEASED = "released"
    """A search confirmed that the location no longer has it, and no other location has it."""
    RELEASED_OR_MOVED = "released or moved"
    """A search confirmed that the location no longer has it; another that was not seen may."""
    MOVED = "moved"
    """To another location: confirmed gone from one, and new in the other."""
    PERHAPS_MOVED = "perhaps moved"
    """It may have left one location for another, but not all that a move needs was seen."""
    NOT_SEEN = "not seen"
    """The new run's list does not have it, but no search confirmed that it is gone."""
    ROUTING = "routing"
    """What answers its calls."""
    CAPABILITY = "capability"
    USER = "user"
    POOL = "pool"
    """A pool came or went, or its activity, whisper or recording changed."""
    RCS_SENDER = "RCS sender"
    ADDED_OR_MOVED = "added or moved"
    """The location did not have it before; another that the old run did not see may have."""
    ADDED = "added"
    """The location did not have it before, and no other location had it."""
    CONNECTED = "phone system connected"
    """The old run found none; the location's numbers are not counted as added."""
    LOCATION_ADDED = "location added"
    """The old run did not list it; its numbers are not counted as added."""
    LOCATION_GONE = "location gone"
    """The new run does not list it; its numbers are not counted as released."""
    TYPE = "type"
    """Type, origin or country."""
    DETAIL = "detail"
    """`sid`, `date_added`, or a field that no column knows."""
    NAME = "name"
    """Of a number, a pool, an RCS sender or a location."""


Fields = Mapping[str, tuple[ChangeKind, str]]


def _flag(name: str) -> str:
    """A flag is compared if both runs have it: one contract leaves out what is false."""
    return f"CASE WHEN {{1}}.{name} IS NOT NULL THEN {{0}}.{name} END"


def _in_any_case(name: str) -> str:
    return (
        f"CASE WHEN lower({{0}}.{name}) IS DISTINCT FROM lower({{1}}.{name}) THEN {{0}}.{name} END"
    )


def _if_told(name: str) -> str:
    """An attribute that every number has is compared if both runs have it."""
    return f"CASE WHEN {{1}}.{name} <> '' THEN {_in_any_case(name)} END"


_EXTRA: Final = "told_otherwise({0}.extra, {1}.extra)"
_SERVICE: Final = (
    "CASE WHEN {0}.dialed_service IS DISTINCT FROM {1}.dialed_service THEN {0}.service END"
)
_FORWARDING: Final = (
    "CASE WHEN {0}.forwards_to IS DISTINCT FROM {1}.forwards_to THEN {0}.forwarding_number END"
)

# Each field's kind, and its text in run {0}; where nothing is to be said although the texts differ,
# it is NULL for both runs, of which {1} is the other. `date_updated` is left out: it changes with
# each of the others.
NUMBER_FIELDS: Final[Fields] = {
    "address_sid": (ChangeKind.PAPERS, "{0}.address_sid"),
    "bundle_sid": (ChangeKind.PAPERS, "{0}.bundle_sid"),
    "is_default_number": (ChangeKind.DEFAULT, _flag("is_default_number")),
    "inbound_call_service": (ChangeKind.ROUTING, _SERVICE),
    "forwarding_number": (ChangeKind.ROUTING, _FORWARDING),
    "linked_ring_all_users": (
        ChangeKind.ROUTING,
        "array_to_string(list_sort({0}.linked_ring_all_users), ' ')",
    ),
    "pool_ids": (
        ChangeKind.ROUTING,
        "CASE WHEN pools_were_seen THEN array_to_string({0}.pool_ids, ' ') END",
    ),
    **{
        name: (ChangeKind.CAPABILITY, _flag(f"capabilities.{name}"))
        for name in ("voice", "sms", "mms", "fax")
    },
    "is_group_conversation_enabled": (
        ChangeKind.CAPABILITY,
        _flag("is_group_conversation_enabled"),
    ),
    "linked_user": (ChangeKind.USER, "{0}.linked_user"),
    "type": (ChangeKind.TYPE, _if_told("type")),
    "origin": (ChangeKind.TYPE, _if_told("origin")),
    "country_code": (ChangeKind.TYPE, _if_told("country_code")),
    "sid": (ChangeKind.DETAIL, _if_told("sid")),
    "date_added": (  # RFC 2822 has no fractions of a second
        ChangeKind.DETAIL,
        "CASE WHEN {1}.date_added IS NOT NULL THEN date_trunc('second', {0}.date_added) END",
    ),
    "extra": (ChangeKind.DETAIL, _EXTRA),
    "friendly_name": (ChangeKind.NAME, "{0}.friendly_name"),
}
POOL_FIELDS: Final[Fields] = {
    "is_active": (ChangeKind.POOL, _flag("is_active")),
    "inbound_call_service": (ChangeKind.ROUTING, _SERVICE),
    "forwarding_number": (ChangeKind.ROUTING, _FORWARDING),
    "whisper": (ChangeKind.POOL, _flag("whisper")),
    "whisper_message": (ChangeKind.POOL, "{0}.whisper_message"),
    "call_recording": (ChangeKind.POOL, _flag("call_recording")),
    "extra": (ChangeKind.DETAIL, _EXTRA),
    "name": (ChangeKind.NAME, "{0}.name"),
}
MEMBER_FIELDS: Final[Fields] = {
    "extra": (ChangeKind.DETAIL, _EXTRA),
    "friendly_name": (ChangeKind.NAME, "{0}.friendly_name"),
}
SENDER_FIELDS: Final[Fields] = {
    "number_type": (ChangeKind.RCS_SENDER, _if_told("number_type")),
    "rcs_meta": (ChangeKind.RCS_SENDER, "told_otherwise({0}.rcs_meta, {1}.rcs_meta)"),
    "extra": (ChangeKind.DETAIL, _EXTRA),
    "friendly_name": (ChangeKind.NAME, "{0}.friendly_name"),
}

_MACROS: Final = (
    # Of JSON objects: fields that both have, and that differ by more than null, false and "".
    """CREATE TEMP MACRO part(document, key) AS json_extract(document::JSON,
    '/' || replace(replace(key, '~', '~0'), '/', '~1'))""",
    """CREATE TEMP MACRO part_text(document, key) AS
    CASE WHEN part(document, key)::VARCHAR IN ('null', '""', 'false') THEN ''
    ELSE part(document, key)::VARCHAR END""",
    """CREATE TEMP MACRO told_otherwise(one, other) AS
    CASE WHEN one <> other THEN array_to_string(list_transform(list_filter(
        list_sort(json_keys(one::JSON)), lambda key: part_text(one, key) <> part_text(other, key)
    ), lambda key: key || ': ' || part_text(one, key)), ', ') END""",
)


def _as_struct(fields: Fields, one: str, other: str) -> str:
    """The fields of a run's row; an empty text counts as missing."""
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


def _each_field(fields: Fields, table: str, phone_number: str = "NULL", prefix: str = "") -> str:
    """Makes a change of each field of a row of `table` in which `before` and `after` differ."""
    named = f"{prefix} || ' " if prefix else "'"
    selects = " UNION ALL ".join(
        f"SELECT '{kind}', location_id, {phone_number}, {named}{name}', before.{name},"
        f" after.{name}, false FROM {table} WHERE before.{name} IS DISTINCT FROM after.{name}"
        for name, (kind, _) in fields.items()
    )
    return f"INSERT INTO changes {selects}"


def _of_parts(kind: ChangeKind, table: str, key: str, title: str, name: str) -> str:
    """Makes a change of each pool or sender that came or went, if both runs saw all of them."""
    return f"""
    INSERT INTO changes
    SELECT '{kind}', location_id, NULL, '{title} ' || {key},
        CASE WHEN is_now.{key} IS NULL THEN coalesce(nullif(was.{name}, ''), {key}) END,
        CASE WHEN was.{key} IS NULL THEN coalesce(nullif(is_now.{name}, ''), {key}) END, false
    FROM old.{table} AS was FULL JOIN new.{table} AS is_now USING (location_id, {key})
    JOIN both_places USING (location_id)
    WHERE {table}_were_seen AND (was.{key} IS NULL OR is_now.{key} IS NULL)
    """


def _stayed_parts(table: str, fields: Fields, *keys: str) -> str:
    columns = ", ".join(("location_id", *keys))
    of = "_" if table == "pools" else "."
    return f"""
    CREATE TEMP TABLE stayed_{table} AS
    SELECT {columns}, {_before_and_after(fields)}
    FROM old{of}{table} AS was JOIN new{of}{table} AS is_now USING ({columns})
    WHERE before IS DISTINCT FROM after
    """


def _places(run: str) -> str:
    """How far a run saw each location; `is_bare` is one without a phone system."""
    return f"""
    CREATE TEMP TABLE {run}_places AS
    SELECT location_id, nullif(location_name, '') AS name, numbers, finished_at, is_under_lc,
        coverage = 'complete' AS is_complete, coverage = 'not connected' AS is_bare,
        coverage <> 'not connected' AND pools IS NOT NULL AS has_pools,
        coverage <> 'not connected' AND rcs_sender_ids IS NOT NULL AS has_senders,
        CASE coverage WHEN 'inactive' THEN coverage ELSE nullif(account_status, '') END AS status
    FROM {run}.locations
    """


def _routed(run: str, table: str) -> str:
    """The rows of a run's numbers or pools, each with the country from which its calls go on.

    A pool does not say its country: it is that of its numbers.
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
    f" coalesce(country, '') AS country FROM ({_routed(run, table)})"
    for run in ("old", "new")
    for table in ("numbers", "pools")
)
ROUTE_TEXTS: Final = (
    f"SELECT DISTINCT text, country FROM ({_TEXTS})"
    f" WHERE text <> '' AND NOT regexp_full_match(text, '{E164_PATTERN}')"
)


def _service(kind: str, value: str) -> str:
    """The text of a call service; an empty one is none."""
    kind = f"CASE WHEN lower({kind}) NOT IN ('', 'none', 'null') THEN {kind} END"
    return f"nullif(concat_ws(' ', {kind}, nullif({value}, '')), '')"


def _readable(run: str, table: str) -> str:
    """The rows of a run with what is compared of them as numbers."""
    kind, value = "inbound_call_service.type", "inbound_call_service.value"
    return f"""
    CREATE TEMP VIEW {run}_{table} AS
    SELECT found.*, {"number" if table == "numbers" else "pool_id"} AS key,
        coalesce(forwards.dialed, forwarding_number) AS forwards_to,
        {_service(kind, value)} AS service,
        {_service(f"lower({kind})", f"coalesce(answers.dialed, {value})")} AS dialed_service
    FROM ({_routed(run, table)}) AS found
    LEFT JOIN routes AS forwards ON forwards.text = forwarding_number
        AND forwards.country = coalesce(found.country, '')
    LEFT JOIN routes AS answers ON answers.text = {value}
        AND answers.country = coalesce(found.country, '')
    """


def _only_in(table: str, run: str, other: str) -> str:
    """Numbers that are in a location in one run only; two spellings are one number."""
    return f"""
    CREATE TEMP TABLE {table} AS
    SELECT DISTINCT ON (location_id, key) location_id, phone_number, key,
        coalesce(is_complete, false) AS other_is_complete
    FROM {run}_numbers ANTI JOIN {other}_numbers USING (location_id, key)
    LEFT JOIN {other}_places USING (location_id)
    """


STATEMENTS: Final = (
    *_MACROS,
    """
    CREATE TEMP TABLE changes (kind VARCHAR, location_id VARCHAR, phone_number VARCHAR,
        field VARCHAR, before VARCHAR, after VARCHAR, drops_a2p BOOLEAN)
    """,
    _places("old"),
    _places("new"),
    """
    CREATE TEMP TABLE both_places AS
    SELECT location_id, o.has_pools AND n.has_pools AS pools_were_seen,
        o.has_senders AND n.has_senders AS rcs_sender_ids_were_seen
    FROM old_places AS o JOIN new_places AS n USING (location_id)
    """,
    # Whether a run did not see all of some location, in which numbers may have been.
    """
    CREATE TEMP TABLE missed AS
    SELECT bool_or(o.is_complete IS NOT TRUE) AS by_old,
        bool_or(n.is_complete IS NOT TRUE) AS by_new
    FROM old_places AS o FULL JOIN new_places AS n USING (location_id)
    """,
    *(_readable(run, table) for run in ("old", "new") for table in ("numbers", "pools")),
    _only_in("went", "old", "new"),
    _only_in("came", "new", "old"),
    # A search of its own confirmed, after the old run had seen the number, that it is gone.
    """
    CREATE TEMP TABLE confirmed AS
    SELECT DISTINCT location_id, phone_number
    FROM gone JOIN old_places USING (location_id) WHERE confirmed_at > finished_at
    """,
    # Numbers that left one location, or came into another, and were in one and are in the other. A
    # number in two locations may have moved during the walk, and of several it is not known which.
    """
    CREATE TEMP TABLE moves AS
    SELECT was.key, was.location_id AS was_in, is_now.location_id, is_now.phone_number,
        went.key IS NOT NULL AS is_gone,
        coalesce(went.other_is_complete AND came.other_is_complete, false)
            AND confirmed.phone_number IS NOT NULL
            AND count(*) OVER (PARTITION BY was.key) = 1 AS is_sure
    FROM old_numbers AS was JOIN new_numbers AS is_now
        ON is_now.key = was.key AND is_now.location_id <> was.location_id
    LEFT JOIN went ON went.key = was.key AND went.location_id = was.location_id
    LEFT JOIN came ON came.key = was.key AND came.location_id = is_now.location_id
    LEFT JOIN confirmed ON confirmed.phone_number = was.phone_number
        AND confirmed.location_id = was.location_id
    WHERE came.key IS NOT NULL OR went.other_is_complete
    """,
    """
    INSERT INTO changes
    SELECT CASE WHEN is_sure THEN 'moved' ELSE 'perhaps moved' END, location_id, phone_number,
        'location_id', was_in, location_id, true FROM moves
    QUALIFY row_number() OVER (PARTITION BY key, location_id ORDER BY is_gone DESC, was_in) = 1
    """,
    """
    INSERT INTO changes
    SELECT CASE WHEN confirmed.phone_number IS NULL THEN 'not seen'
        WHEN by_new THEN 'released or moved' ELSE 'released' END,
        location_id, phone_number, NULL, NULL, NULL, by_new
    FROM went ANTI JOIN moves USING (key) LEFT JOIN confirmed USING (location_id, phone_number)
    CROSS JOIN missed WHERE other_is_complete
    """,
    """
    INSERT INTO changes
    SELECT CASE WHEN by_old THEN 'added or moved' ELSE 'added' END,
        location_id, phone_number, NULL, NULL, NULL, by_old
    FROM came ANTI JOIN moves USING (key) CROSS JOIN missed WHERE other_is_complete
    """,
    f"""
    CREATE TEMP TABLE stayed AS
    SELECT is_now.location_id, is_now.phone_number, {_before_and_after(NUMBER_FIELDS)}
    FROM old_numbers AS was JOIN new_numbers AS is_now USING (location_id, key)
    JOIN both_places USING (location_id)
    WHERE before IS DISTINCT FROM after
    UNION ALL
    SELECT is_now.location_id, is_now.phone_number, {_before_and_after(NUMBER_FIELDS)}
    FROM (
        SELECT DISTINCT moves.key, was_in, moves.location_id AS is_in,
            o.has_pools AND n.has_pools AS pools_were_seen
        FROM moves JOIN old_places AS o ON o.location_id = was_in
        JOIN new_places AS n ON n.location_id = moves.location_id WHERE is_sure
    ) AS way
    JOIN old_numbers AS was ON was.key = way.key AND was.location_id = was_in
    JOIN new_numbers AS is_now ON is_now.key = way.key AND is_now.location_id = is_in
    WHERE before IS DISTINCT FROM after
    """,
    _stayed_parts("pools", POOL_FIELDS, "pool_id"),
    _stayed_parts("pool_numbers", MEMBER_FIELDS, "pool_id", "phone_number"),
    _stayed_parts("rcs_sender_ids", SENDER_FIELDS, "number"),
    _each_field(NUMBER_FIELDS, "stayed", "phone_number"),
    _each_field(POOL_FIELDS, "stayed_pools", prefix="'pool ' || pool_id"),
    _each_field(MEMBER_FIELDS, "stayed_pool_numbers", "phone_number", "'pool ' || pool_id"),
    _each_field(SENDER_FIELDS, "stayed_rcs_sender_ids", prefix="'RCS sender ' || number"),
    _of_parts(ChangeKind.POOL, "pools", "pool_id", "pool", "name"),
    _of_parts(ChangeKind.RCS_SENDER, "rcs_sender_ids", "number", "RCS sender", "friendly_name"),
    # A status that was not known before is told unless it is the usual one.
    """
    INSERT INTO changes
    SELECT 'status', location_id, NULL, 'account_status', o.status, n.status, false
    FROM old_places AS o JOIN new_places AS n USING (location_id)
    WHERE lower(n.status) <> lower(coalesce(o.status, 'active'))
    UNION ALL
    SELECT 'status', location_id, NULL, 'is_under_lc', o.is_under_lc::VARCHAR,
        n.is_under_lc::VARCHAR, false
    FROM old_places AS o JOIN new_places AS n USING (location_id)
    WHERE o.is_under_lc <> n.is_under_lc
    UNION ALL
    SELECT 'name', location_id, NULL, 'location_name', o.name, n.name, false
    FROM old_places AS o JOIN new_places AS n USING (location_id) WHERE o.name <> n.name
    UNION ALL
    SELECT 'phone system disconnected', location_id, NULL, 'numbers', o.numbers::VARCHAR, NULL,
        false
    FROM old_places AS o JOIN new_places AS n USING (location_id)
    WHERE n.is_bare AND (o.is_complete OR o.numbers > 0)
    UNION ALL
    SELECT 'phone system connected', location_id, NULL, 'numbers', NULL, n.numbers::VARCHAR, false
    FROM old_places AS o JOIN new_places AS n USING (location_id)
    WHERE o.is_bare AND (n.is_complete OR n.numbers > 0)
    UNION ALL
    SELECT 'location added', location_id, NULL, 'numbers', NULL,
        CASE WHEN is_complete THEN numbers::VARCHAR END, false
    FROM new_places ANTI JOIN old_places USING (location_id)
    UNION ALL
    SELECT 'location gone', location_id, NULL, 'numbers',
        CASE WHEN is_complete THEN numbers::VARCHAR END, NULL, false
    FROM old_places ANTI JOIN new_places USING (location_id)
    """,
)
