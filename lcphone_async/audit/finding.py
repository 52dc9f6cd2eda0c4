"""What is worth a look in an inventory: rules, each a query with its reason."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from attrs import Attribute, field, fields, frozen

from .. import _checks as checks
from .._paths import checked_path
from .errors import StoreError
from .reading import Reading, checked_run, reading

_NAME: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def _is_text(_: object, attribute: Attribute[str], value: object) -> None:
    checks.string(attribute.name, value)


def _is_name(_: object, attribute: Attribute[str], value: object) -> None:
    if not _NAME.fullmatch(checks.string(attribute.name, value)):
        raise ValueError("name must be small letters and digits, with hyphens between them")


@frozen
class Rule:
    """Something to look for.

    The query is DuckDB's SQL over the views `numbers`, `locations`, `pools`, `pool_numbers` and
    `rcs_sender_ids`, and gives a row for each finding: its `location_id` and, where it is about a
    number, the `phone_number`; `detail` may say more.

    >>> no_name = Rule(
    ...     name="no-name",
    ...     title="Numbers without a name",
    ...     reason="Nobody can tell what they are for.",
    ...     query="SELECT location_id, phone_number FROM numbers WHERE friendly_name IS NULL",
    ... )
    """

    name: str = field(validator=_is_name)
    """Small letters, digits and hyphens."""
    title: str = field(validator=_is_text)
    """What is found, in the plural."""
    reason: str = field(validator=_is_text)
    """Why it matters, and what to do."""
    query: str = field(validator=_is_text)


@frozen
class Finding:
    """Something that a rule found."""

    rule: str
    """The rule's name."""
    location_id: str
    phone_number: str | None
    """`None` where it is about the location."""
    detail: str | None = None


# Twilio asks for an address or a bundle for "most phone numbers outside the US and Canada"
# (changelog of 12 February 2020) and says not to copy its list, which changes.
_FREE_OF_RULES: Final = "('US', 'CA', 'PR')"

# Where a call goes on to: of a number of its own, or of the pool that it is in.
_FORWARDS: Final = r"""
    SELECT location_id, phone_number, forwarding_number AS target FROM numbers
    UNION ALL
    SELECT location_id, phone_number, inbound_call_service.value FROM numbers
    WHERE inbound_call_service.type = 'forward'
    UNION ALL
    SELECT location_id, member.phone_number, pool.forwarding_number
    FROM pools AS pool JOIN pool_numbers AS member USING (location_id, pool_id)
    WHERE pool.is_active IS NOT FALSE
    UNION ALL
    SELECT location_id, member.phone_number, pool.inbound_call_service.value
    FROM pools AS pool JOIN pool_numbers AS member USING (location_id, pool_id)
    WHERE pool.is_active IS NOT FALSE AND pool.inbound_call_service.type = 'forward'
"""

RULES: Final = (
    Rule(
        "account-not-active",
        "Locations whose phone account is not active",
        "Their numbers neither ring nor text, and may be lost: settle it with the provider.",
        "SELECT location_id, NULL AS phone_number, account_status AS detail FROM locations"
        " WHERE lower(account_status) <> 'active'",
    ),
    Rule(
        "forwarding-loop",
        "Numbers that forward in a circle",
        "A call to them never arrives, and each round is charged: forward one of them elsewhere.",
        rf"""
        WITH RECURSIVE forwards AS (
            SELECT DISTINCT location_id, phone_number,
                regexp_replace(target, '[^+0-9]', '', 'g') AS target
            FROM ({_FORWARDS}) WHERE target IS NOT NULL
        ), hops AS (
            SELECT DISTINCT phone_number, target FROM forwards
            WHERE target IN (SELECT phone_number FROM forwards)
                AND phone_number IN (SELECT target FROM forwards)
        ), ways AS (
            SELECT phone_number AS start, target AS first, target AS here, 1 AS length FROM hops
            UNION
            SELECT start, first, target, length + 1 FROM ways JOIN hops ON here = phone_number
            WHERE here <> start AND length < 20
        )
        SELECT location_id, phone_number,
            'to ' || string_agg(DISTINCT first, ' and ' ORDER BY first) AS detail
        FROM forwards JOIN ways ON start = phone_number AND first = target AND here = start
        GROUP BY ALL
        """,
    ),
    Rule(
        "in-two-locations",
        "Numbers in more than one location",
        "Only one of them gets its calls and texts: find out which, and release the other.",
        """
        SELECT location_id, phone_number, 'also in ' || array_to_string(
            list_filter(places, lambda place: place <> location_id), ', ') AS detail
        FROM numbers JOIN (
            SELECT phone_number, list(DISTINCT location_id ORDER BY location_id) AS places
            FROM numbers GROUP BY phone_number HAVING count(DISTINCT location_id) > 1
        ) USING (phone_number)
        """,
    ),
    Rule(
        "pool-number-used-directly",
        "Numbers of a pool that are also used directly",
        "The pool hands them out, so that callers meant for a person or a campaign mix: take them"
        " out of the pool, or take away their user.",
        """
        SELECT location_id, phone_number, concat_ws(', ',
            CASE WHEN linked_user IS NOT NULL THEN 'user ' || linked_user END,
            CASE WHEN linked_ring_all_users <> [] THEN 'rings several users' END,
            CASE WHEN is_default_number THEN 'default number' END) AS detail
        FROM numbers
        WHERE pool_ids <> [] AND (
            linked_user IS NOT NULL OR linked_ring_all_users <> [] OR is_default_number)
        """,
    ),
    Rule(
        "no-papers",
        "Numbers of regulated countries with neither address nor bundle",
        "Carriers there may take back a number whose user they do not know: file an address or a"
        " regulatory bundle. Most countries but the United States and Canada ask for it.",
        f"""
        SELECT location_id, phone_number, country_code AS detail FROM numbers
        WHERE country_code NOT IN {_FREE_OF_RULES}
            AND address_sid IS NULL AND bundle_sid IS NULL
        """,
    ),
    Rule(
        "no-default-number",
        "Locations without a default number",
        "Texts and calls that name no number of their own fail or leave from any of them: choose"
        " one in the location's phone settings.",
        """
        SELECT location_id, NULL AS phone_number FROM numbers
        WHERE location_id IN (SELECT location_id FROM locations WHERE coverage = 'complete')
        GROUP BY location_id HAVING bool_or(is_default_number) IS FALSE
        """,
    ),
    Rule(
        "no-number",
        "Locations without a number",
        "The client can be neither called nor texted, or has left: give it a number, or close it.",
        "SELECT location_id, NULL AS phone_number FROM locations"
        " WHERE coverage = 'complete' AND numbers = 0",
    ),
    Rule(
        "unassigned",
        "Numbers that nobody and nothing answers",
        "They have no user, no group, no call service, no forwarding and no pool, and cost money"
        " every month: assign or release them.",
        """
        SELECT location_id, phone_number FROM numbers
        WHERE location_id IN (SELECT location_id FROM locations WHERE coverage = 'complete')
            AND linked_user IS NULL AND linked_ring_all_users = [] AND pool_ids = []
            AND inbound_call_service IS NULL AND forwarding_number IS NULL
        """,
    ),
    Rule(
        "no-sms",
        "Numbers that cannot text",
        "Texts sent from them fail, such as answers to missed calls: use them for calls only.",
        "SELECT location_id, phone_number FROM numbers WHERE capabilities.sms IS FALSE",
    ),
    Rule(
        "no-voice",
        "Numbers that cannot be called",
        "Who calls them back reaches nobody: use them for texts only.",
        "SELECT location_id, phone_number FROM numbers WHERE capabilities.voice IS FALSE",
    ),
)
"""The rules there are, what is most urgent first."""

_OF_A_RULE: Final = """
CREATE TEMP TABLE IF NOT EXISTS "finding {name}" AS
SELECT location_id, phone_number, detail FROM (
    SELECT NULL::VARCHAR AS location_id, NULL::VARCHAR AS phone_number, NULL::VARCHAR AS detail
    WHERE false UNION ALL BY NAME ({query})
) ORDER BY ALL NULLS FIRST
"""


def findings(
    store: str | Path, *, rules: Sequence[Rule] = RULES, run_id: int | None = None
) -> Iterator[Finding]:
    """What the rules find in a run, the newest by default: rule by rule, in a stable order.

    Your own rules go beside the others: `rules=[*RULES, no_name]`. Raises `StoreError`.
    """
    path, given, run_id = (
        checked_path("store", store),
        checked_rules(rules),
        checked_run("run_id", run_id),
    )

    def found() -> Iterator[Finding]:
        with reading(path, run_id) as run:
            for rule in given:
                for each in found_by(run, rule):
                    yield Finding(rule.name, **each)

    return found()


def checked_rules(rules: object) -> list[Rule]:
    """What a caller gave as rules; raises `TypeError` where it is something else."""
    return [checks.instance("rules", rule, Rule) for rule in checks.several("rules", rules)]


def count(run: Reading, rule: Rule) -> int:
    """How often a rule finds something."""
    _look(run, rule)
    return int(run.rows(f'SELECT count(*) FROM "finding {rule.name}"')[0][0])


def found_by(run: Reading, rule: Rule, most: int | None = None) -> Iterator[dict[str, Any]]:
    """What a rule finds, or the first of it."""
    _look(run, rule)
    limit = "" if most is None else f"LIMIT {most}"
    return run.records(f'FROM "finding {rule.name}" {limit}')


def read_rules(path: str | Path) -> list[Rule]:
    """Rules of your own from a TOML file: a table for each, named as the rule is.

    ```toml
    [no-name]
    title = "Numbers without a name"
    reason = "Nobody can tell what they are for."
    query = "SELECT location_id, phone_number FROM numbers WHERE friendly_name IS NULL"
    ```

    Raises `ValueError` for what is no such file.
    """
    with checked_path("path", path).open("rb") as file:
        try:
            content = tomllib.load(file)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
        except RecursionError:
            raise ValueError(f"{path}: nested too deeply") from None
    return [_rule(name, content[name], f"{path}: [{name}]") for name in content]


def _rule(name: str, content: object, where: str) -> Rule:
    wanted = {attribute.name for attribute in fields(Rule)} - {"name"}
    if not isinstance(content, dict) or content.keys() != wanted:
        raise ValueError(f"{where} must have {', '.join(sorted(wanted))}, no more")
    try:
        return Rule(name=name, **content)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: {error}") from error


def _look(run: Reading, rule: Rule) -> None:
    try:
        run.do(_OF_A_RULE.format(name=rule.name, query=rule.query))
    except StoreError as error:
        raise StoreError(f"rule {rule.name}: {error}") from error
