"""An active number, and how one looks right after its purchase."""

from datetime import datetime
from functools import lru_cache
from hashlib import blake2b
from typing import Final

from msgspec import UNSET, Struct, UnsetType

from .plans import Kind, Plan, plan_of


class Capabilities(Struct, frozen=True):
    """What a number can carry."""

    voice: bool = True
    sms: bool = True
    mms: bool = False
    fax: bool = False


class InboundCallService(Struct, frozen=True):
    """What answers a number: `type` is `voice_ai`, `ivr` or `forward`."""

    type: str
    value: str


class Number(Struct, frozen=True, rename="camel"):
    """A number in a location's inventory.

    A msgspec Struct rather than an attrs class because a page makes and writes a thousand of them;
    it encodes to the list item of the 2021-07-28 contract as it stands.
    """

    phone_number: str
    sid: str
    country_code: str
    capabilities: Capabilities
    type: str
    is_default_number: bool
    linked_ring_all_users: tuple[str, ...]
    is_group_conversation_enabled: bool
    date_added: datetime
    date_updated: datetime
    origin: str
    friendly_name: str | None = None
    linked_user: str | None = None
    inbound_call_service: InboundCallService | None = None
    forwarding_number: str | None = None
    address_sid: str | None = None
    bundle_sid: str | None = None
    date_created: datetime | UnsetType = UNSET


LIST_TYPES: Final[dict[Kind, str]] = {
    "local": "local",
    "tollFree": "toll-free",
    "mobile": "mobile",
    "national": "national",
}
"""The active list's words for the types of a search."""


def digest(*parts: object, size: int = 16) -> bytes:
    """Bytes that follow from the parts alone, the same in every process."""
    return blake2b("/".join(map(str, parts)).encode(), digest_size=size).digest()


@lru_cache
def capabilities(plan: Plan, chance: int) -> Capabilities:
    """Say what a number of this plan can do; `chance` (0 to 255) decides where they differ."""
    north_american = plan.dial == "1"
    sms = plan.texts and chance % 16 != 0
    mms = sms and north_american and plan.kind == "local" and chance % 9 != 0
    return Capabilities(sms=sms, mms=mms, fax=chance % 32 == 1)


def capabilities_of(phone_number: str, plan: Plan) -> Capabilities:
    """Say what a number of the stock can do; it keeps this when it is bought."""
    return capabilities(plan, digest("capabilities", phone_number)[0])


def new_number(phone_number: str, added: datetime) -> Number:
    """Make a number as it is right after a purchase: named after itself, linked to nobody."""
    plan = plan_of(phone_number)
    if plan is None:
        raise ValueError(f"{phone_number!r} is a number of no plan that the sandbox knows")
    return Number(
        phone_number,
        "PN" + digest("sid", phone_number).hex(),
        plan.country,
        capabilities_of(phone_number, plan),
        LIST_TYPES[plan.kind],
        is_default_number=False,
        linked_ring_all_users=(),
        is_group_conversation_enabled=False,
        date_added=added,
        date_updated=added,
        origin="twilio",
        friendly_name=phone_number,
    )
