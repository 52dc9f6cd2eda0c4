"""Rules: SQL queries that find problems in an inventory, each with a title and a reason."""

from __future__ import annotations

import re
from typing import Final

from attrs import Attribute, field, frozen

from .._internal import checks
from .._internal.calling_codes import COUNTRY_CODES

_NAME: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def _is_text(_: object, attribute: Attribute[str], value: object) -> None:
    checks.string(attribute.name, value)


def _is_name(_: object, attribute: Attribute[str], value: object) -> None:
    if not _NAME.fullmatch(checks.string(attribute.name, value)):
        raise ValueError("name must be small letters and digits, with hyphens between them")


@frozen
class Rule:
    """A query that finds problems, with the reason why they matter.

    The query is DuckDB's SQL over the views `numbers`, `locations`, `pools`, `pool_numbers`,
    `rcs_sender_ids`, `repeated_numbers`, `gone_numbers` and `as_numbers` (the `number` in E.164
    format and the `country` of each `phone_number`). It returns a row for each finding: its
    `location_id` and, if it is about a number, the `phone_number`; optionally a `detail`.

    >>> no_name = Rule(
    ...     name="no-name",
    ...     title="Numbers without a name",
    ...     reason="Their purpose is unknown: give them a name.",
    ...     query="SELECT location_id, phone_number FROM numbers WHERE friendly_name IS NULL",
    ... )
    """

    name: str = field(validator=_is_name)
    """Unique name in small letters, digits and hyphens."""
    title: str = field(validator=_is_text)
    """Name of the findings, in the plural."""
    reason: str = field(validator=_is_text)
    """Why the findings matter, and how to correct them."""
    query: str = field(validator=_is_text)
    """DuckDB's SQL."""


TERRITORIES: Final = frozenset({"AS", "GU", "MP", "PR", "UM", "VI"})
"""Territories of the United States with a country code of their own (ISO 3166-1 alpha-2)."""

REGULATED_COUNTRIES: Final[frozenset[str]] = COUNTRY_CODES - {"US", "CA"} - TERRITORIES
"""Countries whose numbers need an address or a regulatory bundle: all except the United States, its
territories and Canada. Source: Twilio's changelog of 12 February 2020, "most phone numbers outside
the US and Canada". Twilio does not publish a list, and its rules change."""

_HAS_USER: Final = "trim(coalesce(linked_user, '')) <> ''"
_SENDERS_UNKNOWN: Final = "CASE WHEN rcs_sender_ids IS NULL THEN 'RCS senders not seen' END"
_RINGS_SEVERAL: Final = "list_filter(linked_ring_all_users, lambda user: trim(user) <> '') <> []"

RULES: Final = (
    Rule(
        "account-not-active",
        "Locations whose phone account is not active",
        "Their numbers can neither call nor text, and may be lost: contact the provider.",
        """
        SELECT location_id, NULL AS phone_number, account_status AS detail FROM locations
        WHERE lower(trim(account_status)) <> 'active' AND NOT (
            lower(trim(account_status)) = 'closed' AND coverage = 'complete' AND numbers = 0)
        """,
    ),
    Rule(
        "forwarding-loop",
        "Numbers that forward in a loop",
        "A call to them never arrives, and each hop is charged: forward one of them elsewhere.",
        """
        WITH RECURSIVE forwards AS (
            SELECT DISTINCT location_id, phone_number, number, unnest(targets) AS target
            FROM call_routes
        ), hops AS (
            SELECT DISTINCT number, target FROM forwards
            WHERE target IN (SELECT number FROM forwards)
                AND number IN (SELECT target FROM forwards)
        ), ways AS (
            SELECT number AS start, target AS first, target AS here, 1 AS length FROM hops
            UNION
            SELECT start, first, target, length + 1 FROM ways JOIN hops ON here = number
            WHERE here <> start AND length < 20
        )
        SELECT location_id, phone_number,
            'to ' || string_agg(DISTINCT first, ' and ' ORDER BY first) AS detail
        FROM forwards JOIN ways ON start = number AND first = target AND here = start
        GROUP BY ALL
        """,
    ),
    Rule(
        "in-two-locations",
        "Numbers in more than one location",
        "Only one location gets its calls and texts: find out which, and ask the provider to"
        " correct the other.",
        """
        SELECT location_id, phone_number, 'also in ' || array_to_string(
            list_filter(places, lambda place: place <> location_id), ', ') AS detail
        FROM as_numbers JOIN (
            SELECT number, list(DISTINCT location_id ORDER BY location_id) AS places
            FROM as_numbers GROUP BY number HAVING count(DISTINCT location_id) > 1
        ) USING (number)
        """,
    ),
    Rule(
        "listed-twice",
        "Numbers that a location's list has more than once",
        "The list has fewer numbers than its total, and may lack another: ask the provider.",
        """
        SELECT location_id, phone_number, times || ' times' AS detail FROM repeated_numbers
        UNION ALL
        SELECT location_id, phone_number, 'also as ' || array_to_string(
            list_filter(spellings, lambda spelling: spelling <> phone_number), ', ')
        FROM as_numbers JOIN (
            SELECT location_id, number, list(phone_number ORDER BY phone_number) AS spellings
            FROM as_numbers GROUP BY ALL HAVING count(*) > 1
        ) USING (location_id, number)
        """,
    ),
    Rule(
        "pool-number-used-directly",
        "Numbers of an active pool that are also used directly",
        "The pool assigns them to campaigns, so that calls for a person and for a campaign mix:"
        " remove the uses in the detail. If it is the default number, choose one outside of pools"
        " instead.",
        f"""
        SELECT location_id, phone_number, concat_ws(', ',
            CASE WHEN {_HAS_USER} THEN 'user ' || linked_user END,
            CASE WHEN {_RINGS_SEVERAL} THEN 'rings several users' END,
            CASE WHEN is_default_number THEN 'default number' END,
            CASE WHEN NOT has_no_routing THEN 'routing of its own' END) AS detail
        FROM numbers JOIN call_routes USING (location_id, phone_number)
        WHERE active_pool_ids <> [] AND detail <> ''
        """,
    ),
    Rule(
        "no-papers",
        "Numbers of regulated countries with neither address nor bundle",
        "Carriers there may take back a number without a known user: file an address or a"
        " regulatory bundle. By default, all countries except the United States, its territories"
        " and Canada count as regulated (Twilio, 12 February 2020: most of them are).",
        """
        SELECT location_id, phone_number, country AS detail
        FROM numbers JOIN as_numbers USING (location_id, phone_number)
        WHERE country IN (FROM regulated_countries)
            AND trim(coalesce(address_sid, '')) = '' AND trim(coalesce(bundle_sid, '')) = ''
        """,
    ),
    Rule(
        "no-default-number",
        "Locations without a default number",
        "Texts and calls without a chosen number fail, or leave from any of them: choose one"
        " outside of pools in the location's phone settings.",
        f"""
        SELECT location_id, NULL AS phone_number, {_SENDERS_UNKNOWN} AS detail
        FROM numbers JOIN call_routes USING (location_id, phone_number)
        JOIN open_accounts USING (location_id)
        WHERE coalesce(rcs_sender_ids, 0) = 0
        GROUP BY location_id, rcs_sender_ids
        HAVING bool_and(is_default_number IS FALSE) AND bool_or(active_pool_ids = [])
        """,
    ),
    Rule(
        "no-number",
        "Locations without a number",
        "The client can be neither called nor texted, or has left: buy it a default number with"
        " call routing, or close its account.",
        f"""
        SELECT location_id, NULL AS phone_number, {_SENDERS_UNKNOWN} AS detail FROM open_accounts
        WHERE numbers = 0 AND coalesce(rcs_sender_ids, 0) = 0
            AND location_id NOT IN (SELECT location_id FROM pool_numbers)
        """,
    ),
    Rule(
        "unassigned",
        "Numbers without a user or call routing",
        "They have no user, no group, no call service, no forwarding and no active pool, are not"
        " the default number, and cost money every month: assign or release them, but leave each"
        " location at least one number.",
        f"""
        SELECT location_id, phone_number
        FROM numbers JOIN call_routes USING (location_id, phone_number)
        JOIN open_accounts USING (location_id)
        WHERE NOT {_HAS_USER} AND NOT {_RINGS_SEVERAL} AND has_no_routing
            AND active_pool_ids = [] AND is_default_number IS NOT TRUE
        """,
    ),
    Rule(
        "no-sms",
        "Numbers that cannot text",
        "Texts from them fail, such as replies to missed calls: use them for calls only.",
        "SELECT location_id, phone_number FROM numbers WHERE capabilities.sms IS FALSE",
    ),
    Rule(
        "no-voice",
        "Numbers that cannot be called",
        "Calls back to them fail: use them for texts only.",
        "SELECT location_id, phone_number FROM numbers WHERE capabilities.voice IS FALSE",
    ),
)
"""The built-in rules, the most urgent first."""
