"""The pure function that grows number `i` of a location, quickly: a page has a thousand of them."""

from datetime import UTC, datetime
from functools import cache, cached_property
from typing import Final

from attrs import frozen
from msgspec import UNSET
from msgspec.structs import replace

from .numbers import LIST_TYPES, InboundCallService, Number, capabilities, digest
from .plans import PLANS, Plan

MAX_NUMBERS: Final = 10_000_000
"""The most numbers a location can be grown with: the smallest plan of the mix has room for it."""

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
_VARIETY: Final = 256
"""So many examples are there for the numbers of a plan."""
_STEP: Final = 2_654_435_761
_SID_STEP: Final = 0x9E3779B97F4A7C15
_SIDS: Final = 1 << 64
"""The step is odd, so that no two of a location's numbers share a sid."""


@cache
def _example(plan: Plan, which: int) -> Number:
    """Make a number that others of its plan are like, but for digits and sid."""
    bits = digest("example", plan.country, plan.kind, which)
    added = _FIRST_DAY + int.from_bytes(bits[:4]) % _SECONDS
    date = datetime.fromtimestamp(added, UTC)
    can = capabilities(plan, bits[4])
    origin = _ORIGINS[bits[5] % 8]
    return Number(
        phone_number="",
        sid="",
        country_code=plan.country,
        capabilities=can,
        type=LIST_TYPES[plan.kind],
        is_default_number=False,
        linked_ring_all_users=_RING_ALL[bits[6] % 4],
        is_group_conversation_enabled=can.mms and bits[14] % 2 == 0,
        date_added=date,
        date_updated=datetime.fromtimestamp(added + int.from_bytes(bits[7:10]), UTC),
        origin=origin,
        friendly_name=_NAMES[bits[10] % 8],
        linked_user=_USERS[bits[11] % 8],
        inbound_call_service=_SERVICES[bits[12] % 8],
        forwarding_number=_FORWARDING[bits[13] % 4],
        address_sid="AD" + bits.hex() if plan.address != "none" else None,
        bundle_sid="BU" + bits.hex() if plan.address == "local" else None,
        date_created=date if origin == "hosted" else UNSET,
    )


@frozen
class NumberGenerator:
    """Grows the numbers of one location from the sandbox's seed and the location's id."""

    seed: int
    location_id: str

    @cached_property
    def _key(self) -> bytes:
        return digest("location", self.seed, self.location_id)

    @cached_property
    def _start(self) -> int:
        return int.from_bytes(self._key[:4])

    @cached_property
    def _sid(self) -> str:
        return f"PN{self._key[8:].hex()}"

    def phone_number(self, index: int) -> str:
        """Give the number at an index, without all that goes with it."""
        place = self._start + index
        return _MIX[place % len(_MIX)].inventory_number(place)

    def number(self, index: int) -> Number:
        """Grow number `index` of the location, the same whenever and wherever it is asked for."""
        place = self._start + index
        plan = _MIX[place % len(_MIX)]
        return replace(
            _example(plan, place * _STEP // _VARIETY % _VARIETY),
            phone_number=plan.inventory_number(place),
            sid=f"{self._sid}{index * _SID_STEP % _SIDS:016x}",
            is_default_number=index == 0,
        )
