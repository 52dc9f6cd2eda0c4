"""An active number, and the pure function that grows number `i` of a location."""

from datetime import UTC, datetime
from functools import cached_property, lru_cache
from hashlib import blake2b
from typing import Final

from attrs import frozen
from msgspec import UNSET, Struct, UnsetType

from .plans import PLANS, Kind, Plan, plan_of


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

_NAMES: Final = ("Main line", "Sales", "Support", "Front desk", "Café Zoë", None, None, None)
_USERS: Final = (None, "", None, "user_4Jt81", "user_Qm30x", None, "user_9zPfa", "")
_RING_ALL: Final = ((), (), (), ("user_4Jt81", "user_Qm30x"))
_SERVICES: Final = (
    None,
    None,
    None,
    InboundCallService("voice_ai", "68e381b296a83800a27cd1"),
    InboundCallService("ivr", "flow-123"),
    InboundCallService("forward", "+14155552672"),
    None,
    None,
)
_FORWARDING: Final = (None, "", None, "+14155552672")
_ORIGINS: Final = ("twilio",) * 6 + ("hosted", "ported")
_FIRST_DAY: Final = 1_672_531_200  # 2023-01-01
_SECONDS: Final = 2 * 365 * 86_400

_LOCAL_US, _FREE_US, _LOCAL_CA = PLANS[0], PLANS[1], PLANS[2]
_ABROAD: Final = tuple(
    plan
    for plan in PLANS
    if (plan.country, plan.kind)
    in {("GB", "mobile"), ("GB", "national"), ("AU", "mobile"), ("DE", "local"), ("FR", "local")}
)
_MIX: Final = (
    _LOCAL_US, _FREE_US, _LOCAL_US, _LOCAL_CA, _LOCAL_US, _LOCAL_US, _ABROAD[0], _LOCAL_US,
    _LOCAL_US, _FREE_US, _ABROAD[1], _LOCAL_US, _LOCAL_CA, _LOCAL_US, _ABROAD[2], _LOCAL_US,
    _LOCAL_US, _ABROAD[3], _LOCAL_US, _FREE_US, _LOCAL_US, _ABROAD[4], _LOCAL_US, _LOCAL_US,
)  # fmt: skip

MAX_NUMBERS: Final = 10_000_000
"""The most numbers a location can be grown with: the smallest plan of the mix has room for it."""


def digest(*parts: object, size: int = 16) -> bytes:
    """Bytes that follow from the parts alone, the same in every process."""
    return blake2b("/".join(map(str, parts)).encode(), digest_size=size).digest()


@lru_cache
def _capabilities(plan: Plan, chance: int) -> Capabilities:
    """Say what a number of this plan can do; `chance` (0 to 255) decides where they differ."""
    north_american = plan.dial == "1"
    sms = plan.texts and chance % 16 != 0
    mms = sms and north_american and plan.kind == "local" and chance % 9 != 0
    return Capabilities(sms=sms, mms=mms, fax=chance % 32 == 1)


def capabilities_of(phone_number: str, plan: Plan) -> Capabilities:
    """Say what a number of the stock can do; it keeps this when it is bought."""
    return _capabilities(plan, digest("capabilities", phone_number)[0])


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


@frozen
class Grower:
    """Grows the numbers of one location from the sandbox's seed and the location's id."""

    seed: int
    location_id: str

    @cached_property
    def _key(self) -> bytes:
        return digest("location", self.seed, self.location_id)

    @cached_property
    def _start(self) -> int:
        return int.from_bytes(self._key[:8])

    def _plan(self, index: int) -> Plan:
        return _MIX[(index + self._start) % len(_MIX)]

    def phone_number(self, index: int) -> str:
        """Give the number at an index, without all that goes with it."""
        return self._plan(index).inventory_number(self._start + index)

    def number(self, index: int) -> Number:
        """Grow number `index` of the location, the same whenever and wherever it is asked for."""
        plan = self._plan(index)
        bits = blake2b(b"%d" % index, digest_size=16, key=self._key).digest()
        added = _FIRST_DAY + int.from_bytes(bits[:4]) % _SECONDS
        can = _capabilities(plan, bits[4])
        origin = _ORIGINS[bits[5] % 8]
        date = datetime.fromtimestamp(added, UTC)
        return Number(
            plan.inventory_number(self._start + index),
            "PN" + bits.hex(),
            plan.country,
            can,
            LIST_TYPES[plan.kind],
            index == 0,
            _RING_ALL[bits[6] % 4],
            can.mms and bits[14] % 2 == 0,
            date,
            datetime.fromtimestamp(added + int.from_bytes(bits[7:10]), UTC),
            origin,
            _NAMES[bits[10] % 8],
            _USERS[bits[11] % 8],
            _SERVICES[bits[12] % 8],
            _FORWARDING[bits[13] % 4],
            "AD" + bits.hex() if plan.address != "none" else None,
            "BU" + bits.hex() if plan.address == "local" else None,
            date if origin == "hosted" else UNSET,
        )
