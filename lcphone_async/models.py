"""What the service's answers become: frozen values with Python names.

Field names are the vendor's document's own in snake_case. Only what identifies a
value is required; anything else that the service left out is `None` or empty.
What a model does not know is kept, as it was sent, in its `extra`. Half of a pair of surrogates,
which no file and no database takes as UTF-8, stands in texts as U+FFFD.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Literal

from attrs import field, frozen

from .errors import LCPhoneError


class NumberType(StrEnum):
    """The types of number that the documents name; the service may send others.

    The list spells `toll-free` what search and purchase spell `tollFree`, and prices are told
    for `toll free`: all are `TOLL_FREE`.
    """

    LOCAL = "local"
    TOLL_FREE = "tollFree"
    MOBILE = "mobile"
    NATIONAL = "national"

    @classmethod
    def _missing_(cls, value: object) -> NumberType | None:
        return cls.TOLL_FREE if value in {"toll-free", "toll free"} else None


class AccountStatus(StrEnum):
    """The account states that the documents name; the service may send others."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    CLOSED = "closed"


def _extra() -> Any:
    return field(factory=dict, hash=False, kw_only=True)


@frozen
class Capabilities:
    """What a number can do; `None` where the service does not say."""

    voice: bool | None = None
    sms: bool | None = None
    mms: bool | None = None
    fax: bool | None = None
    """A search never says."""
    extra: Mapping[str, Any] = _extra()


@frozen
class InboundCallService:
    """What answers an incoming call."""

    type: str | None = None
    """`voice_ai`, `ivr`, `forward` or another."""
    value: Any = field(default=None, hash=False)
    """The service's configuration or its id, mostly a string."""
    extra: Mapping[str, Any] = _extra()


@frozen
class ActiveNumber:
    """A phone number that a location owns."""

    phone_number: str
    """In E.164 format."""
    friendly_name: str | None = None
    sid: str | None = None
    country_code: str | None = None
    """ISO 3166-1 alpha-2."""
    capabilities: Capabilities = Capabilities()
    type: NumberType | str | None = None
    is_default_number: bool | None = None
    linked_user: str | None = None
    """The id of the user whom the number is assigned to."""
    linked_ring_all_users: tuple[str, ...] = ()
    inbound_call_service: InboundCallService | None = None
    forwarding_number: str | None = None
    is_group_conversation_enabled: bool | None = None
    address_sid: str | None = None
    bundle_sid: str | None = None
    date_added: datetime | None = None
    """Aware; also read from `dateCreated`, its legacy twin."""
    date_updated: datetime | None = None
    origin: str | None = None
    """`twilio`, `hosted`, `ported` or another."""
    extra: Mapping[str, Any] = _extra()


@frozen
class RcsSenderId:
    """A sender id for RCS messages."""

    number: str
    number_type: str | None = None
    friendly_name: str | None = None
    rcs_meta: Mapping[str, Any] = field(factory=dict, hash=False)
    extra: Mapping[str, Any] = _extra()


@frozen
class ActiveNumbersPage:
    """One page of a location's active numbers."""

    numbers: tuple[ActiveNumber, ...] = ()
    page: int = 0
    """Zero-based."""
    page_size: int | None = None
    total: int | None = None
    """How many numbers the whole list has; the 2021-07-28 contract does not say."""
    is_under_lc: bool | None = None
    """Whether LC manages the account (`isUnderGhl` in the 2021-07-28 contract)."""
    account_status: AccountStatus | str | None = None
    rcs_sender_ids: tuple[RcsSenderId, ...] | None = None
    """`None` if the service does not say, as under the 2021-07-28 contract."""
    extra: Mapping[str, Any] = _extra()


@frozen
class Price:
    """What a number costs a month."""

    number_type: NumberType | str | None = None
    price: Decimal | None = None
    price_unit: str | None = None
    """The currency, such as `USD`."""
    extra: Mapping[str, Any] = _extra()


@frozen
class AvailableNumber:
    """A phone number that can be bought."""

    phone_number: str
    """In E.164 format."""
    friendly_name: str | None = None
    iso_country: str | None = None
    """ISO 3166-1 alpha-2."""
    lata: str | None = None
    locality: str | None = None
    rate_center: str | None = None
    latitude: str | None = None
    longitude: str | None = None
    region: str | None = None
    postal_code: str | None = None
    address_requirements: str | None = None
    """`none`, `any`, `local` or `foreign`: whether a purchase needs an address."""
    beta: bool | None = None
    capabilities: Capabilities = Capabilities()
    price: Price | None = None
    extra: Mapping[str, Any] = _extra()


@frozen
class AvailableNumbers:
    """What a search found; the service gives about 30 numbers and no second page."""

    fingerprint_id: str | None = None
    """Identifies this result; goes into the purchase of one of its numbers."""
    numbers: tuple[AvailableNumber, ...] = ()
    extra: Mapping[str, Any] = _extra()


@frozen
class CountrySearch:
    """What became of one country's search: a result or an error, never both."""

    country_code: str
    result: AvailableNumbers | None = None
    error: LCPhoneError | None = None


@frozen
class Purchase:
    """A number that was bought."""

    number: str
    """In E.164 format."""
    location_id: str | None = None
    id: str | None = None
    """Of the provider's account record, not of the number."""
    under_lc_account: bool | None = None
    confirmed_by: Literal["answer", "read-back", "journal", "dry run"] = "answer"
    """The service's answer; the list, where it was found later; a journal, of an earlier run of
    an order; nothing, in a dry run."""
    record_id: str | None = None
    """Of the `PurchaseRecord` in the client's journal; `None` in a dry run."""
    extra: Mapping[str, Any] = _extra()


@frozen
class PurchaseOrder:
    """What became of buying several numbers; together they are never more than the count."""

    bought: tuple[Purchase, ...] = ()
    unavailable: tuple[str, ...] = ()
    """Numbers that were gone, owned already, or above the price."""
    unknown: tuple[str, ...] = ()
    """Numbers that may be bought or not, until `reconcile` finds out; they count as bought."""
    error: LCPhoneError | None = None
    """What ended the order before its count was reached and all numbers were tried."""


@frozen
class PoolNumber:
    """A phone number of a pool."""

    phone_number: str
    """In E.164 format."""
    friendly_name: str | None = None
    extra: Mapping[str, Any] = _extra()


@frozen
class NumberPool:
    """Numbers that are handed out in turn, such as for call tracking."""

    id: str
    name: str | None = None
    location_id: str | None = None
    numbers: tuple[PoolNumber, ...] = ()
    forwarding_number: str | None = None
    whisper: bool | None = None
    whisper_message: str | None = None
    call_recording: bool | None = None
    is_active: bool | None = None
    inbound_call_service: InboundCallService | None = None
    extra: Mapping[str, Any] = _extra()


@frozen
class Location:
    """A location of an agency, as the list of an app's installations shows it."""

    id: str
    name: str | None = None
    address: str | None = None
    is_installed: bool | None = None
    """Whether the app is installed there; `None` where the service does not say."""
    version_id: str | None = None
    """Of the app's version that is installed."""
    installed_at: datetime | None = None
    """Aware."""
    extra: Mapping[str, Any] = _extra()


@frozen
class RateLimitStatus:
    """What the limit headers of an answer said; `None` where they did not.

    Once the `period` is over, `remaining` is all of it again; once the day is, `daily_remaining`.
    """

    max_requests: int | None = None
    """Requests allowed in one `period`."""
    period: float | None = None
    """Seconds."""
    remaining: int | None = None
    """Requests left in this period."""
    daily_limit: int | None = None
    """Requests allowed in a day."""
    daily_remaining: int | None = None
    """Requests left today."""
    daily_reset: float | None = None
    """Seconds from `as_of` until the day's limit resets; unknown, it is within 24 hours."""
    as_of: datetime | None = field(default=None, eq=False)
    """When the answer came, aware and in UTC; not compared."""
