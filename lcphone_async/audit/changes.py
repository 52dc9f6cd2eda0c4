"""What is compared of two runs, and the statements that find where they differ."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


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


def _if_known(name: str) -> str:
    """A flag is compared if both runs have it: one contract leaves out what is false."""
    return f"CASE WHEN {{1}}.{name} IS NOT NULL THEN {{0}}.{name} END"


def _case_insensitive(name: str) -> str:
    return (
        f"CASE WHEN lower({{0}}.{name}) IS DISTINCT FROM lower({{1}}.{name}) THEN {{0}}.{name} END"
    )


def _if_given(name: str) -> str:
    """An attribute that every number has is compared if both runs have it."""
    return f"CASE WHEN {{1}}.{name} <> '' THEN {_case_insensitive(name)} END"


_EXTRA: Final = "differing_values({0}.extra, {1}.extra)"
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
