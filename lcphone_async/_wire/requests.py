"""The phone operations as `Request` values: what goes on the wire, and for which budget."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import quote_plus

from attrs import define

from .._internal import checks
from .._internal.secrets import Secret
from ..errors import PriceTooHighError
from ..models import AvailableNumber, NumberType, Price
from .names import camel

BASE_URL = "https://services.leadconnectorhq.com"

_POOLS = "/phone-system/number-pools"
_NUMBERS = "/phone-system/numbers/location/{locationId}"

_quoted = functools.lru_cache(quote_plus)

_PURCHASE_TYPES = (NumberType.LOCAL, NumberType.TOLL_FREE, NumberType.MOBILE)


@define  # one is made for each call, and a frozen one takes three times as long to make
class Request:
    """One call of the service, complete but for the base URL and the headers."""

    method: str
    route: str
    """The path with placeholders, for logs."""
    path: str
    """The path, escaped."""
    location_id: str
    """Whose budget and whose token the call uses."""
    scope: str | None
    """The scope that the documents ask of the token; `None` where they ask for no token."""
    query: str = ""
    """The query string, escaped."""
    json: Mapping[str, Any] | None = None
    form: Mapping[str, str] | None = None
    is_safe: bool = False
    """Whether it may be sent again though it is no GET."""
    timeout: float | None = None
    """Seconds after which its response is of no use, where that is less than the client's."""
    base_url: str | None = None
    """Where to send it, if not to the client's."""
    api_version: str | None = None
    """Its contract, if not the client's."""

    @property
    def phone_number(self) -> str:
        """The number that a purchase is for."""
        return str((self.json or {})["phoneNumber"])

    @property
    def is_purchase(self) -> bool:
        """Whether it spends money."""
        return self.scope == "phonenumbers.write"

    @property
    def secrets(self) -> list[str]:
        """What of it must not be shown."""
        values = [*(self.json or {}).values(), *(self.form or {}).values()]
        return [value for value in values if isinstance(value, Secret)]

    @property
    def repeatable(self) -> bool:
        """Whether doing it twice is the same as doing it once."""
        return self.method == "GET" or self.is_safe


def number_pools(location_id: str) -> Request:
    """`GET /phone-system/number-pools`."""
    checks.path_part("location_id", location_id)
    location = checks.string("location_id", location_id)
    query = _query(locationId=location)
    return Request("GET", _POOLS, _POOLS, location, "numberpools.read", query=query)


def active_numbers(
    location_id: str,
    *,
    page: int,
    page_size: int,
    search_filter: str | None,
    skip_number_pool: bool | None,
    include_rcs_sender_ids: bool | None,
) -> Request:
    """`GET /phone-system/numbers/location/{locationId}`, with an explicit page and page size."""
    query = _query(
        page=str(checks.whole_number("page", page, 0, checks.MAX_PAGE)),
        pageSize=str(checks.whole_number("page_size", page_size, 1, checks.MAX_PAGE_SIZE)),
        searchFilter=checks.optional_text("search_filter", search_filter),
        skipNumberPool=checks.flag("skip_number_pool", skip_number_pool),
        includeRcsSenderIds=checks.flag("include_rcs_sender_ids", include_rcs_sender_ids),
    )
    return _of_location("GET", location_id, "", "phonenumbers.read", query=query)


def available_numbers(
    location_id: str,
    country_code: str,
    *,
    number_types: Iterable[str] | None,
    first_part: str | None = None,
    last_part: str | None = None,
    anywhere: str | None = None,
    sms_enabled: bool | None = None,
    mms_enabled: bool | None = None,
    voice_enabled: bool | None = None,
) -> Request:
    """`GET /phone-system/numbers/location/{locationId}/available`."""
    country = checks.country_code("country_code", country_code)
    query = _query(
        countryCode=country,
        numberTypes=checks.number_types("number_types", number_types),
        firstPart=checks.first_digits("first_part", first_part, country),
        lastPart=checks.digits("last_part", last_part),
        anywhere=checks.digits("anywhere", anywhere),
        smsEnabled=checks.flag("sms_enabled", sms_enabled),
        mmsEnabled=checks.flag("mms_enabled", mms_enabled),
        voiceEnabled=checks.flag("voice_enabled", voice_enabled),
    )
    return _of_location("GET", location_id, "/available", "phonenumbers.read", query=query)


def purchase(
    location_id: str,
    number: AvailableNumber | str,
    *,
    fingerprint_id: str | None = None,
    country_code: str | None = None,
    number_type: str | None = None,
    address_sid: str | None = None,
    bundle_sid: str | None = None,
    locality: str | None = None,
    region: str | None = None,
    payment_intent_id: str | None = None,
    stripe_account_id: str | None = None,
    payment_method_id: str | None = None,
    skip_location_kyc: bool | None = None,
    max_price: Decimal | int | None = None,
) -> Request:
    """`POST /phone-system/numbers/location/{locationId}/purchase`.

    An `AvailableNumber` fills in what it knows and the caller left out.
    """
    as_they_came = {
        "fingerprint_id": fingerprint_id,
        "address_sid": address_sid,
        "bundle_sid": bundle_sid,
    }
    payment = {
        "payment_intent_id": payment_intent_id,
        "stripe_account_id": stripe_account_id,
        "payment_method_id": payment_method_id,
    }
    known = number if isinstance(number, AvailableNumber) else AvailableNumber(number)
    if max_price is not None and is_above(known, max_price):
        raise PriceTooHighError(*price_of(known), max_price)
    kind = _known_type(known) if number_type is None else number_type
    body = {
        "phoneNumber": checks.e164("number", known.phone_number),
        "countryCode": _country(known, country_code),
        "numberType": None if kind is None else checks.number_type("number_type", kind),
        "locality": _either("locality", locality, known.locality),
        "region": _either("region", region, known.region),
        "skipLocationKYC": checks.flag("skip_location_kyc", skip_location_kyc),
        **{camel(name): checks.optional_text(name, value) for name, value in as_they_came.items()},
        **{camel(name): secret_text(name, value) for name, value in payment.items()},
    }
    sent = {name: value for name, value in body.items() if value is not None}
    return _of_location("POST", location_id, "/purchase", "phonenumbers.write", json=sent)


def secret_text(name: str, value: object) -> Secret | None:
    """A string that is shown to nobody, or `None` to leave the parameter out."""
    said = checks.optional_text(name, value)
    return None if said is None else Secret(said)


def is_above(number: AvailableNumber | str, max_price: Decimal | int | None) -> bool:
    """Whether a number costs more than the limit, or does not say its price."""
    limit = checks.price("max_price", max_price)
    if limit is None:
        return False
    price, _ = price_of(number)
    return price is None or price > limit


def price_of(number: AvailableNumber | str) -> tuple[Decimal | None, str | None]:
    """Its price a month and the currency; `None` for each that it does not say, or says wrongly."""
    known = _known_price(number) if isinstance(number, AvailableNumber) else None
    if known is None:
        return None, None
    try:
        price = checks.price("number.price.price", known.price)
    except ValueError:
        price = None
    currency = checks.known_text("number.price.price_unit", known.price_unit)
    return price, currency and currency.upper()


def _known_price(number: AvailableNumber) -> Price | None:
    return None if number.price is None else checks.instance("number.price", number.price, Price)


def _known_type(number: AvailableNumber) -> NumberType | str | None:
    """The type that its price is for, if it is one that can be bought."""
    known = _known_price(number)
    return known.number_type if known is not None and known.number_type in _PURCHASE_TYPES else None


def _country(number: AvailableNumber, given: object) -> str | None:
    if given is not None:
        return checks.country_code("country_code", given)
    if number.iso_country is None:
        return None
    return checks.known_country_code("number.iso_country", number.iso_country)


def _either(name: str, given: object, known: object) -> str | None:
    """What the caller gives, or else what is known of the number."""
    if given is not None:
        return checks.text(name, given)
    return checks.known_text(f"number.{name}", known)


def _of_location(method: str, location_id: str, rest: str, scope: str, **parts: Any) -> Request:
    location = checks.string("location_id", location_id)
    route, path = _paths(location, rest)
    return Request(method, route, path, location, scope, **parts)


@functools.lru_cache(maxsize=1024)
def _paths(location_id: str, rest: str) -> tuple[str, str]:
    """The path with its placeholder, and with a location in it, once that was checked."""
    route = _NUMBERS + rest
    return route, route.replace("{locationId}", checks.path_part("location_id", location_id))


def _query(**parameters: str | bool | None) -> str:
    """A query string of all that is not `None`; booleans as `true` and `false`."""
    sent = []
    for name, value in parameters.items():
        if value is None:
            continue
        if isinstance(value, bool):
            sent.append(f"{name}={'true' if value else 'false'}")
        else:
            sent.append(f"{name}={_quoted(value)}")
    return "&".join(sent)
