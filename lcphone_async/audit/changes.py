"""Kinds of change between two runs, and the fields that a comparison reads.

Each field has a kind and an SQL expression for its text in one run, in which `{0}` is the row of
that run and `{1}` the row of the other. Two runs differ in a field if the two texts differ. An
expression is NULL for both runs if a difference would prove nothing, such as a flag that one
contract leaves out.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class ChangeKind(StrEnum):
    """Kind of a change; the most urgent kind comes first."""

    STATUS = "status"
    """Status of a location's phone account."""
    DISCONNECTED = "phone system disconnected"
    """The location lost its phone system; its numbers are not counted as released."""
    PAPERS = "papers"
    """A number's address or regulatory bundle."""
    DEFAULT = "default number"
    """A number became the default number of its location, or stopped being it."""
    RELEASED = "released"
    """A search confirmed that the number left its location, and no other location has it."""
    RELEASED_OR_MOVED = "released or moved"
    """A search confirmed that the number left; an incomplete location may have it now."""
    MOVED = "moved"
    """The number left one location, as a search confirmed, and is new in another."""
    PERHAPS_MOVED = "perhaps moved"
    """The number may have moved, but the runs do not prove it."""
    NOT_SEEN = "not seen"
    """The new run does not list the number, but no search confirmed that it is gone."""
    ROUTING = "routing"
    """How its calls are routed."""
    CAPABILITY = "capability"
    """Voice, SMS, MMS, fax, or group conversations."""
    USER = "user"
    """The user that the number is linked to."""
    POOL = "pool"
    """A pool was added or removed, or its activity, whisper or recording changed."""
    RCS_SENDER = "RCS sender"
    """An RCS sender was added or removed, or its type or metadata changed."""
    ADDED_OR_MOVED = "added or moved"
    """The number is new in the location; an incomplete location may have had it before."""
    ADDED = "added"
    """The number is new, and no location had it before."""
    CONNECTED = "phone system connected"
    """The location got a phone system; its numbers are not counted as added."""
    LOCATION_ADDED = "location added"
    """The location is not in the old run; its numbers are not counted as added."""
    LOCATION_GONE = "location gone"
    """The location is not in the new run; its numbers are not counted as released."""
    TYPE = "type"
    """Type, origin or country."""
    DETAIL = "detail"
    """`sid`, `date_added`, or a field without a column (`extra`)."""
    NAME = "name"
    """Name of a number, a pool, an RCS sender or a location."""


Fields = Mapping[str, tuple[ChangeKind, str]]
"""Kind and SQL expression of each compared field."""


def _if_known(name: str) -> str:
    """Compares a flag if both runs have it: the 2021-07-28 contract leaves out false flags."""
    return f"CASE WHEN {{1}}.{name} IS NOT NULL THEN {{0}}.{name} END"


def _case_insensitive(name: str) -> str:
    return (
        f"CASE WHEN lower({{0}}.{name}) IS DISTINCT FROM lower({{1}}.{name}) THEN {{0}}.{name} END"
    )


def _if_given(name: str) -> str:
    """Compares an attribute in any case if the other run has it."""
    return f"CASE WHEN {{1}}.{name} <> '' THEN {_case_insensitive(name)} END"


_EXTRA: Final = "differing_values({0}.extra, {1}.extra)"
_SERVICE: Final = (
    "CASE WHEN {0}.dialed_service IS DISTINCT FROM {1}.dialed_service THEN {0}.service END"
)
_FORWARDING: Final = (
    "CASE WHEN {0}.forwards_to IS DISTINCT FROM {1}.forwards_to THEN {0}.forwarding_number END"
)

# `date_updated` is not compared: it changes whenever another field does.
NUMBER_FIELDS: Final[Fields] = {
    "address_sid": (ChangeKind.PAPERS, "{0}.address_sid"),
    "bundle_sid": (ChangeKind.PAPERS, "{0}.bundle_sid"),
    "is_default_number": (ChangeKind.DEFAULT, _if_known("is_default_number")),
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
        name: (ChangeKind.CAPABILITY, _if_known(f"capabilities.{name}"))
        for name in ("voice", "sms", "mms", "fax")
    },
    "is_group_conversation_enabled": (
        ChangeKind.CAPABILITY,
        _if_known("is_group_conversation_enabled"),
    ),
    "linked_user": (ChangeKind.USER, "{0}.linked_user"),
    "type": (ChangeKind.TYPE, _if_given("type")),
    "origin": (ChangeKind.TYPE, _if_given("origin")),
    "country_code": (ChangeKind.TYPE, _if_given("country_code")),
    "sid": (ChangeKind.DETAIL, _if_given("sid")),
    "date_added": (  # RFC 2822 has no fractions of a second
        ChangeKind.DETAIL,
        "CASE WHEN {1}.date_added IS NOT NULL THEN date_trunc('second', {0}.date_added) END",
    ),
    "extra": (ChangeKind.DETAIL, _EXTRA),
    "friendly_name": (ChangeKind.NAME, "{0}.friendly_name"),
}
POOL_FIELDS: Final[Fields] = {
    "is_active": (ChangeKind.POOL, _if_known("is_active")),
    "inbound_call_service": (ChangeKind.ROUTING, _SERVICE),
    "forwarding_number": (ChangeKind.ROUTING, _FORWARDING),
    "whisper": (ChangeKind.POOL, _if_known("whisper")),
    "whisper_message": (ChangeKind.POOL, "{0}.whisper_message"),
    "call_recording": (ChangeKind.POOL, _if_known("call_recording")),
    "extra": (ChangeKind.DETAIL, _EXTRA),
    "name": (ChangeKind.NAME, "{0}.name"),
}
MEMBER_FIELDS: Final[Fields] = {
    "extra": (ChangeKind.DETAIL, _EXTRA),
    "friendly_name": (ChangeKind.NAME, "{0}.friendly_name"),
}
SENDER_FIELDS: Final[Fields] = {
    "number_type": (ChangeKind.RCS_SENDER, _if_given("number_type")),
    "rcs_meta": (ChangeKind.RCS_SENDER, "differing_values({0}.rcs_meta, {1}.rcs_meta)"),
    "extra": (ChangeKind.DETAIL, _EXTRA),
    "friendly_name": (ChangeKind.NAME, "{0}.friendly_name"),
}
