"""Findings: the rules, run as queries over a run.

`create_rule_tables` adds to the views of `RunReader` the tables that the rules need: one row per
number in `call_routes`, with the numbers that its calls are forwarded to. A forwarding target is a
text in any format, so Python normalizes the distinct ones (`dialing.forwarding_targets`).
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa
from attrs import fields, frozen

from .._internal import checks
from .._internal.paths import checked_path, read_bounded
from .dialing import forwarding_targets
from .errors import RuleError, StoreError
from .reader import RunReader, checked_run, open_run
from .rules import REGULATED_COUNTRIES, RULES, Rule


@frozen
class Finding:
    """A number or location that a rule found."""

    rule: str
    """Name of the rule."""
    location_id: str
    """The location, or the location of the number."""
    phone_number: str | None
    """`None` if the finding is about the location."""
    detail: str | None = None
    """Further information, such as the other location of a number."""


# Routing entries of a number: its own, and one for each active pool that it is in. A location's
# list may leave out the numbers of pools; these have the pools' entries only.
_ROUTING_ENTRIES: Final = """
CREATE TABLE routing_entries AS
WITH members AS (
    SELECT location_id, phone_number, number, coalesce(country, '') AS country,
        unnest(pool_ids) AS pool_id
    FROM numbers JOIN as_numbers USING (location_id, phone_number)
    UNION ALL
    SELECT location_id, phone_number, phone_number, '', pool_id
    FROM pool_numbers ANTI JOIN as_numbers
        ON as_numbers.location_id = pool_numbers.location_id AND number = pool_numbers.phone_number
    WHERE starts_with(phone_number, '+')
)
SELECT location_id, phone_number, number, NULL AS pool_id, coalesce(country, '') AS country,
    coalesce(inbound_call_service.type, '') AS type,
    coalesce(inbound_call_service.value, '') AS value,
    coalesce(forwarding_number, '') AS forwarding,
    contains(coalesce(extra, ''), '"inboundCallService"') AS has_more
FROM numbers JOIN as_numbers USING (location_id, phone_number)
UNION ALL
SELECT location_id, phone_number, number, pool_id, country,
    coalesce(inbound_call_service.type, ''), coalesce(inbound_call_service.value, ''),
    coalesce(forwarding_number, ''), false
FROM members JOIN pools USING (location_id, pool_id)
WHERE is_active IS NOT FALSE
"""
_ROUTING_COLUMNS: Final = "type, value, forwarding, country, has_more"
_ROUTES: Final = pa.schema(
    [
        *((name, pa.string()) for name in ("type", "value", "forwarding", "country")),
        ("has_more", pa.bool_()),
        ("targets", pa.list_(pa.string())),
    ]
)
# If one entry answers a number, its other entries forward nothing. If the pools were not seen, one
# of them may answer, so that no target is certain.
_CALL_ROUTES: Final = f"""
CREATE TABLE call_routes AS
SELECT location_id, phone_number, number,
    coalesce(list(DISTINCT pool_id ORDER BY pool_id) FILTER (pool_id IS NOT NULL), [])
        AS active_pool_ids,
    bool_and(targets IS NOT NULL AND targets = []) FILTER (pool_id IS NULL) AS has_no_routing,
    CASE WHEN bool_or(targets IS NULL OR locations.pools IS NULL) THEN []
        ELSE list_distinct(flatten(list(targets))) END AS targets
FROM routing_entries JOIN routes USING ({_ROUTING_COLUMNS}) JOIN locations USING (location_id)
GROUP BY location_id, phone_number, number;
CREATE TABLE open_accounts AS
SELECT location_id, numbers, rcs_sender_ids FROM locations
WHERE coverage = 'complete' AND lower(trim(coalesce(account_status, ''))) <> 'closed'
"""
_RULE_TABLE: Final = """
CREATE TEMP TABLE IF NOT EXISTS "finding {name}" AS
SELECT location_id, phone_number, detail FROM (
    SELECT NULL::VARCHAR AS location_id, NULL::VARCHAR AS phone_number, NULL::VARCHAR AS detail
    WHERE false UNION ALL BY NAME (
{query}
)) ORDER BY ALL NULLS FIRST
"""

# Errors that are not the rule's fault: a full disk, too little memory.
_MACHINE_ERRORS: Final = (OSError, duckdb.IOException, duckdb.OutOfMemoryException)


def findings(
    store: str | Path,
    *,
    rules: Sequence[Rule] = RULES,
    run_id: int | None = None,
    regulated: Iterable[str] = REGULATED_COUNTRIES,
) -> Iterator[Finding]:
    """Yields the findings of the rules in a run, the newest by default, in a stable order.

    - `rules`: the rules to run; add custom ones as in `rules=[*RULES, no_name]`.
    - `regulated`: countries (ISO 3166-1 alpha-2) whose numbers need an address or a bundle.

    Raises `StoreError`, and `RuleError` if the query of a rule cannot be run.
    """
    path, given, run_id = (
        checked_path("store", store),
        checked_rules(rules),
        checked_run("run_id", run_id),
    )
    countries = checked_countries(regulated)

    def found() -> Iterator[Finding]:
        with open_run(path, run_id) as run:
            create_rule_tables(run, countries)
            for rule in given:
                for each in matches(run, rule):
                    yield Finding(rule.name, **each)

    return found()


def create_rule_tables(run: RunReader, regulated: Sequence[str]) -> None:
    """Creates the tables that the rules query besides the views of the run."""
    run.execute(
        "CREATE TABLE regulated_countries AS SELECT unnest(?::VARCHAR[]) AS country", regulated
    )
    run.execute(_ROUTING_ENTRIES)
    run.make_table(
        "routes", _ROUTES, f"SELECT DISTINCT {_ROUTING_COLUMNS} FROM routing_entries", _with_targets
    )
    run.execute(_CALL_ROUTES)


def _with_targets(*owner: Any) -> tuple[Any, ...]:
    *routed, has_more = owner
    return *owner, forwarding_targets(*routed, has_more=has_more)


def checked_countries(codes: object) -> list[str]:
    """Returns country codes in upper case, sorted; raises `ValueError` for an unknown code."""
    return sorted(
        {checks.country_code("regulated", code) for code in checks.several("regulated", codes)}
    )


def checked_rules(rules: object) -> list[Rule]:
    """Returns the rules as a list; raises `TypeError` for anything but rules."""
    return [checks.instance("rules", rule, Rule) for rule in checks.several("rules", rules)]


def count_matches(run: RunReader, rule: Rule) -> int:
    """Returns the number of findings of a rule."""
    _run_rule(run, rule)
    return int(run.rows(f'SELECT count(*) FROM "finding {rule.name}"')[0][0])


def matches(run: RunReader, rule: Rule, most: int | None = None) -> Iterator[dict[str, Any]]:
    """Yields the findings of a rule as dicts; at most `most`."""
    _run_rule(run, rule)
    limit = "" if most is None else f"LIMIT {most}"
    return run.records(f'FROM "finding {rule.name}" {limit}')


def read_rules(path: str | Path) -> list[Rule]:
    """Reads custom rules from a TOML file with one table per rule.

    ```toml
    [no-name]
    title = "Numbers without a name"
    reason = "Their purpose is unknown: give them a name."
    query = "SELECT location_id, phone_number FROM numbers WHERE friendly_name IS NULL"
    ```

    Raises `ValueError` if the file is malformed, and `OSError` if it cannot be opened.
    """
    text = read_bounded(checked_path("path", path))
    try:
        content = tomllib.loads(text)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    except RecursionError:
        raise ValueError(f"{path}: nested too deeply") from None
    return [_rule(name, content[name], f"{path}: [{name}]") for name in content]


def _rule(name: str, content: object, source: str) -> Rule:
    wanted = {attribute.name for attribute in fields(Rule)} - {"name"}
    if not isinstance(content, dict) or content.keys() != wanted:
        raise ValueError(f"{source} must have exactly these keys: {', '.join(sorted(wanted))}")
    try:
        return Rule(name=name, **content)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{source}: {error}") from error


def _run_rule(run: RunReader, rule: Rule) -> None:
    try:
        run.execute(_RULE_TABLE.format(name=rule.name, query=rule.query))
    except StoreError as error:
        cause = error.__cause__
        if isinstance(cause, _MACHINE_ERRORS):
            raise
        raise RuleError(rule.name, str(cause).splitlines()[0]) from cause
