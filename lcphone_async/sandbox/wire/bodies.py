"""The JSON of the two contracts, by the names and shapes of the vendor's documents.

What a `Contract` gives is plain data for `msgspec.json.encode`. It shares nothing with the client,
so that one mistake cannot cancel another out.
"""

from collections.abc import Sequence
from itertools import starmap
from typing import Any, Final, Protocol

from attrs import frozen
from msgspec.structs import astuple

from ..inventory.location import Location
from ..inventory.numbers import Number, digest
from ..inventory.plans import Plan
from ..inventory.pools import Pool
from ..inventory.stock import Offer
from .parameters import ORDER, ListQuery, OrderRules

JSON = dict[str, Any]

_ACCOUNT_NUMBERS: Final = 100
"""An account record names all that was added, but only so many of the numbers it began with."""
_PRICED_AS: Final = {"tollFree": "toll free"}


_V3_ORDER: Final = OrderRules(required=ORDER, nullable=())
_LEGACY_ORDER: Final = OrderRules(
    nullable=set(ORDER) - {"phoneNumber", "countryCode", "numberType"},
    number_types=("local", "tollFree", "mobile"),
)


class Contract(Protocol):
    """How one contract words the answers that are not the same in both."""

    @property
    def needs_location_for_pools(self) -> bool:
        """Whether a list of pools without a `locationId` is refused."""

    @property
    def search_requires(self) -> tuple[str, ...]:
        """Which parameters of a search the document marks as required."""

    @property
    def order_rules(self) -> OrderRules:
        """What the document says that a purchase's body must be like."""

    def active_numbers(
        self, location: Location, query: ListQuery, numbers: Sequence[Number], total: int
    ) -> JSON:
        """Write the body of a page of active numbers (200)."""

    def purchase(self, location: Location, phone_number: str) -> JSON:
        """Write the body of a purchase that took effect (201)."""


class V3Number(Number, frozen=True, omit_defaults=True):
    """A list item of v3, which leaves out what its schema does not let be `null`."""


@frozen
class V3:
    """`Version: v3`: an envelope round the payload."""

    needs_location_for_pools: bool = True
    search_requires: tuple[str, ...] = (
        "firstPart",
        "lastPart",
        "anywhere",
        "numberTypes",
        "smsEnabled",
        "mmsEnabled",
        "voiceEnabled",
        "countryCode",
    )
    order_rules: OrderRules = _V3_ORDER

    def active_numbers(
        self, location: Location, query: ListQuery, numbers: Sequence[Number], total: int
    ) -> JSON:
        """Say `isUnderLc`, `total` and, if asked for, `rcsSenderIds`."""
        data = {
            "numbers": list(starmap(V3Number, map(astuple, numbers))),
            "isUnderLc": location.under_lc,
            "pageSize": query.page_size,
            "page": query.page,
            "accountStatus": location.account_status,
            "total": total,
        }
        if query.rcs_sender_ids:
            data["rcsSenderIds"] = _rcs_sender_ids(location)
        return _envelope(data, "OK", 200)

    def purchase(self, location: Location, phone_number: str) -> JSON:
        """Name the number, its location, and the account's id."""
        data = {
            "number": phone_number,
            "locationId": location.id,
            "id": _account_id(location),
            "underLcAccount": location.under_lc,
        }
        return _envelope(data, "Number purchase successful", 201)


@frozen
class Legacy:
    """`Version: 2021-07-28`: flat answers, no `total`."""

    needs_location_for_pools: bool = False
    search_requires: tuple[str, ...] = ("countryCode",)
    order_rules: OrderRules = _LEGACY_ORDER

    def active_numbers(
        self, location: Location, query: ListQuery, numbers: Sequence[Number], _total: int
    ) -> JSON:
        """Say `isUnderGhl`, and numbers as they stand."""
        return {
            "numbers": numbers,
            "isUnderGhl": location.under_lc,
            "pageSize": query.page_size,
            "page": query.page,
            "accountStatus": location.account_status,
        }

    def purchase(self, location: Location, phone_number: str) -> JSON:
        """Show the account's record, in which the bought number is one of many."""
        named = [*location.numbers[:_ACCOUNT_NUMBERS], *location.numbers.added]
        used = dict.fromkeys((n.phone_number for n in named), "conversation")
        return {
            "id": _account_id(location),
            "account_sid": "AC" + digest("account", location.id).hex(),
            "under_ghl_account": location.under_lc,
            "validate_sms": True,
            "location_id": location.id,
            "migration_numbers": [],
            "assigned_to_numbers": {n.phone_number: n.linked_user for n in named if n.linked_user},
            "numbers": used | {phone_number: "conversation"},
            "number_name": {n.phone_number: n.friendly_name for n in named if n.friendly_name},
            "new_account_sid": "",
        }


CONTRACTS: Final[dict[str, Contract]] = {"v3": V3(), "2021-07-28": Legacy()}
"""By the value of the `Version` header."""


def available_numbers(offers: Sequence[Offer]) -> JSON:
    """Write the body of a search, the same in both contracts (v3 declares none)."""
    found = "".join(offer.phone_number for offer in offers)
    fingerprint = 1_773_000_000_000 + int.from_bytes(digest("fingerprint", found)[:5])
    return {"fingerprintId": str(fingerprint), "numbers": list(map(_offer, offers))}


def number_pools(locations: Sequence[Location]) -> JSON:
    """Write the body of a list of pools, the same in both contracts (v3 declares none)."""
    pools = [_pool(location, pool) for location in locations for pool in location.pools]
    return {"success": True, "data": pools, "total": len(pools)}


def _envelope(data: JSON, message: str, status: int) -> JSON:
    return {"status": "success", "data": data, "message": message, "statusCode": status}


def _account_id(location: Location) -> str:
    return digest("account id", location.id, size=10).hex()


def _rcs_sender_ids(location: Location) -> list[JSON]:
    brand = digest("brand", location.id, size=6).hex()
    return [
        {
            "number": f"rcs-{brand}",
            "numberType": "rcsSenderId",
            "friendlyName": "Brand Sender",
            "rcsMeta": {"brandId": f"brand-{brand}"},
        }
    ]


def _pool(location: Location, pool: Pool) -> JSON:
    numbers = location.pool_numbers(pool)
    return {
        "id": pool.id,
        "name": pool.name,
        "locationId": location.id,
        "numbers": [
            {"phoneNumber": n.phone_number, "friendlyName": n.friendly_name or n.phone_number}
            for n in numbers
        ],
        "forwardingNumber": pool.forwarding_number,
        "whisper": pool.whisper,
        "whisperMessage": f"Call for {pool.name}" if pool.whisper else "",
        "callRecording": pool.call_recording,
        "isActive": pool.is_active,
        "inboundCallService": pool.inbound_call_service,
    }


def _offer(offer: Offer) -> JSON:
    plan, place, can = offer.plan, offer.place, offer.capabilities
    return {
        "phoneNumber": offer.phone_number,
        "friendlyName": _friendly(offer),
        "lata": offer.national[:3] if place else None,
        "locality": place.locality if place else None,
        "rateCenter": place.locality.upper() if place else None,
        "latitude": place.latitude if place else None,
        "longitude": place.longitude if place else None,
        "region": place.region if place else None,
        "postalCode": place.postal_code if place else None,
        "isoCountry": plan.country,
        "addressRequirements": plan.address,
        "beta": False,
        "capabilities": {"MMS": can.mms, "SMS": can.sms, "voice": can.voice},
    } | _price(plan)


def _friendly(offer: Offer) -> str:
    n = offer.national
    return f"({n[:3]}) {n[3:6]}-{n[6:]}" if offer.plan.dial == "1" else offer.phone_number


def _price(plan: Plan) -> JSON:
    if plan.price is None:
        return {}
    kind = _PRICED_AS.get(plan.kind, plan.kind)
    return {"price": {"number_type": kind, "price": plan.price, "price_unit": "USD"}}
