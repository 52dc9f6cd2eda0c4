"""What a journal holds, and the protocol that every journal follows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from secrets import randbelow
from typing import Any, Protocol
from uuid import uuid4

from attrs import asdict, evolve, field, frozen

from .._internal import clock
from ..errors import SpendingLimitError


class PurchaseState(StrEnum):
    """What is known of a purchase; `docs/purchases.md` draws how one leads to another."""

    SENDING = "sending"
    """It is being made, or its process has died."""
    UNKNOWN = "unknown"
    """No clear answer came, and the number is not in the list yet."""
    REFUSED = "refused"
    """The service refused it, and the number is not in the list yet.

    A proxy may have sent the request twice: `reconcile` looks again until `min_age` is over.
    """
    BOUGHT = "bought"
    NOT_BOUGHT = "not bought"


_OPEN = (PurchaseState.SENDING, PurchaseState.UNKNOWN)

# Two that change a record at once must not arrive at the same version, nor write the same. Added up
# over years of renewals it stays below 10**14, up to which Lua's numbers are exact as texts.
_LARGEST_STEP = 2**20


# What the records of 26 November 2026 do not have, and what stands for it.
_ADDED = {"reference": None, "price": None, "currency": None, "told": True, "version": 0}


@frozen
class PurchaseRecord:
    """One purchase in a journal."""

    id: str
    location_id: str
    phone_number: str = field(repr=False)
    fingerprint_id: str | None
    order_id: str | None
    """Of `purchase_many`, which counts by it."""
    state: PurchaseState
    reason: str | None
    """Why it is not bought, or not known to be."""
    sent_at: datetime
    """When it was sent, the last time."""
    changed_at: datetime
    """When it was written last. While it is being made, that is every few seconds."""
    reference: str | None = None
    """Free text of the caller's, such as an order or a chat."""
    price: Decimal | None = None
    """A month, in `currency`, as the search said."""
    currency: str | None = None
    told: bool = False
    """True if a caller, of the purchase or of `reconcile`, was told that it is bought."""
    version: int = 0
    """Grows with each change, by a random step: a journal replaces only the version it holds."""

    @property
    def is_open(self) -> bool:
        """True if it keeps the number from being bought again."""
        return self.state in _OPEN

    @property
    def is_final(self) -> bool:
        """True if `reconcile` has nothing to find out or to tell about it."""
        return self.state == PurchaseState.NOT_BOUGHT or self._is_bought(told=True)

    @property
    def is_leased(self) -> bool:
        """True if it belongs to the process that makes it, as long as that process lives."""
        return self.state == PurchaseState.SENDING or self._is_bought(told=False)

    def _is_bought(self, *, told: bool) -> bool:
        return self.state == PurchaseState.BOUGHT and self.told == told

    @classmethod
    def new(
        cls, location_id: str, phone_number: str, fingerprint_id: str | None = None, **kept: Any
    ) -> PurchaseRecord:
        """A purchase that is about to be sent; `kept` are further fields."""
        now = clock.now()
        return cls(
            id=uuid4().hex,
            location_id=location_id,
            phone_number=phone_number,
            fingerprint_id=fingerprint_id,
            state=PurchaseState.SENDING,
            reason=None,
            sent_at=now,
            changed_at=now,
            **{"order_id": None, **kept},
        )

    def sent_again(self) -> PurchaseRecord:
        """The purchase, about to be sent once more."""
        return evolve(self.now(PurchaseState.SENDING), sent_at=clock.now())

    def now(
        self, state: PurchaseState, reason: str | None = None, *, told: bool = False
    ) -> PurchaseRecord:
        """The record that follows, with what has become known."""
        following = evolve(self, state=state, reason=reason, told=told)
        return following.renewed()

    def renewed(self) -> PurchaseRecord:
        """The record that follows, with the same content."""
        version = self.version + 1 + randbelow(_LARGEST_STEP)
        return evolve(self, changed_at=clock.now(), version=version)

    def to_row(self) -> dict[str, str | int | None]:
        """Its fields as JSON and SQL know them."""
        return {
            **asdict(self),
            "state": self.state.value,
            "sent_at": self.sent_at.isoformat(),
            "changed_at": self.changed_at.isoformat(),
            "price": None if self.price is None else str(self.price),
        }

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> PurchaseRecord:
        """The record that `to_row` was made from, here or in a version with fewer fields."""
        row = {**_ADDED, **row}
        parts = {
            "state": PurchaseState(row["state"]),
            "sent_at": datetime.fromisoformat(row["sent_at"]),
            "changed_at": datetime.fromisoformat(row["changed_at"]),
            "price": None if row["price"] is None else Decimal(row["price"]),
            "told": bool(row["told"]),
        }
        return cls(**{**row, **parts})


def _amount(_: object, __: object, value: Decimal | int) -> None:
    if isinstance(value, bool) or not isinstance(value, Decimal | int):
        raise TypeError(f"amount must be a Decimal or an int, not {type(value).__name__}")
    if not Decimal(value).is_finite() or value < 0:
        raise ValueError("amount must be a finite number, 0 or more")


def _period(_: object, __: object, value: timedelta | None) -> None:
    if value is not None and not isinstance(value, timedelta):
        raise TypeError(f"period must be a timedelta or None, not {type(value).__name__}")
    if value is not None and value <= timedelta():
        raise ValueError("period must be positive")


def _currency(value: object) -> str:
    if not (isinstance(value, str) and len(value) == 3 and value.isalpha()):  # noqa: PLR2004  # ISO's
        raise ValueError("currency must be three letters, such as USD")
    return value.upper()


@frozen
class SpendingLimit:
    """The most that may be spent through a journal: monthly prices of the numbers bought, added up.

    Every purchase in the journal counts that was made, or may have been, by any process and
    before any restart, if its price is in `currency`. A number without a price in that currency
    is not bought.

    Raises `TypeError` or `ValueError` for an amount below 0 or a period that is not positive.

    >>> from datetime import timedelta
    >>> limit = SpendingLimit(50, currency="USD", period=timedelta(days=1))
    """

    amount: Decimal | int = field(validator=_amount)
    """In `currency`."""
    currency: str = field(default="USD", kw_only=True, converter=_currency)
    """ISO 4217."""
    period: timedelta | None = field(default=None, kw_only=True, validator=_period)
    """Counts the purchases of so long before each one; `None` counts all."""

    @property
    def since(self) -> datetime | None:
        """Purchases that were sent before this moment do not count; `None` if all do."""
        if self.period is None:
            return None
        try:
            return clock.now() - self.period
        except OverflowError:  # before the year 1
            return None

    def spent(self, records: Iterable[PurchaseRecord], but: str) -> Decimal:
        """The prices of the purchases that count, but for the one with the id `but`."""
        since = self.since
        return sum(
            (
                record.price
                for record in records
                if record.price is not None
                and record.currency == self.currency
                and (record.is_open or record.state == PurchaseState.BOUGHT)
                and (since is None or record.sent_at >= since)
                and record.id != but
            ),
            Decimal(),
        )

    def check(self, record: PurchaseRecord, spent: Decimal = Decimal()) -> None:
        """Raises `SpendingLimitError` if the purchase would exceed the limit."""
        price = record.price if record.currency == self.currency else None
        if price is None or spent + price > self.amount:
            raise SpendingLimitError(Decimal(self.amount), self.currency, spent, price)


@frozen
class Past:
    """What a journal knows of a number of a location."""

    is_open: bool
    """Whether a purchase of it is still open."""
    bought: PurchaseRecord | None
    """The last purchase of it that was made, whatever became of the number later."""


class Journal(Protocol):
    """Where a client keeps its purchases.

    Each method is atomic, across all processes that share the journal, and what it has written
    survives a crash once it returns. A method may raise any error of its own: the client turns it
    into `JournalUnavailableError`, or into `PurchaseOutcomeUnknownError` once a POST was sent.
    """

    async def past(self, location_id: str, phone_number: str) -> Past:
        """Returns what is known of the number; asked before the service is."""
        ...

    async def begin(
        self, record: PurchaseRecord, past: Past, limit: SpendingLimit | None = None
    ) -> None:
        """Keeps a purchase before it is sent, each time, whatever it held of it before.

        It gives the last refused purchase of the same number another version, so that no
        `reconcile` closes that one by what its list shows from now on.

        Raises `PurchaseInProgressError` if another one of the same number for the same location
        is open, `NumberAlreadyOwnedError` if one was made since `past` was asked, and
        `SpendingLimitError` if `limit` does not admit it.
        """
        ...

    async def replace(self, old: PurchaseRecord, new: PurchaseRecord) -> bool:
        """Keeps `new` if it holds the record in the version of `old`; returns whether it did.

        It never opens a purchase of a number that has another open one.
        """
        ...

    async def records(self) -> list[PurchaseRecord]:
        """Returns every purchase, oldest first."""
        ...
