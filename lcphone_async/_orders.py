"""Several purchases: as many of what is offered as were asked for, and no more."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ._purchases import Order, Purchases
from ._wire import requests
from .errors import (
    LCPhoneError,
    NumberAlreadyOwnedError,
    NumberUnavailableError,
    PurchaseInProgressError,
    PurchaseOutcomeUnknownError,
)
from .journal import Journal, PurchaseRecord, PurchaseState
from .models import AvailableNumber, AvailableNumbers, Purchase, PurchaseOrder

if TYPE_CHECKING:
    from ._wire.requests import Request


def offered(
    location_id: str,
    offers: Iterable[AvailableNumbers | AvailableNumber | str],
    max_price: Decimal | int | None,
    options: Mapping[str, Any],
) -> tuple[list[Request], list[Request]]:
    """The purchases of what is offered, and those that cost more than the limit, in their order."""
    affordable: list[Request] = []
    too_dear: list[Request] = []
    for number, fingerprint in _each(offers):
        given = {"fingerprint_id": fingerprint, **options}
        purchase = requests.purchase(location_id, number, **given)
        (too_dear if requests.is_above(number, max_price) else affordable).append(purchase)
    return affordable, too_dear


async def fill_order(
    purchases: Purchases,
    location_id: str,
    affordable: Iterable[Request],
    too_dear: Iterable[Request],
    *,
    count: int,
    order_id: str | None,
) -> PurchaseOrder:
    """Buys of the affordable numbers in turn until `count` are bought, or may be."""
    before = await _made_before(purchases.journal, location_id, order_id)
    tried = {record.phone_number for record in before}
    bought = [_from(record) for record in before if not record.is_open]
    unknown = [record.phone_number for record in before if record.is_open]
    unavailable = [request.phone_number for request in too_dear]
    order = Order(order_id)
    error = None
    for request in affordable:
        if error is not None or len(bought) + len(unknown) >= count:
            break
        if request.phone_number in tried:
            continue
        tried.add(request.phone_number)
        try:
            bought.append(await purchases.make(request, order))
        except (NumberUnavailableError, NumberAlreadyOwnedError):
            unavailable.append(request.phone_number)
        except (PurchaseOutcomeUnknownError, PurchaseInProgressError):
            unknown.append(request.phone_number)
        except LCPhoneError as reason:
            error = reason
        except BaseException as interruption:
            await purchases.leave(order, interruption)
            raise
    return PurchaseOrder(tuple(bought), tuple(unavailable), tuple(unknown), error)


def _each(
    offers: Iterable[AvailableNumbers | AvailableNumber | str],
) -> Iterator[tuple[AvailableNumber | str, str | None]]:
    """Every number that is offered, with the fingerprint of the search that found it."""
    for offer in offers:
        if isinstance(offer, AvailableNumbers):
            yield from ((number, offer.fingerprint_id) for number in offer.numbers)
        else:
            yield offer, None


async def _made_before(
    journal: Journal, location_id: str, order_id: str | None
) -> list[PurchaseRecord]:
    """The order's purchases so far, but for those that surely were not made."""
    if order_id is None:
        return []
    return [
        record
        for record in await journal.records()
        if (record.location_id, record.order_id) == (location_id, order_id)
        and record.state != PurchaseState.NOT_BOUGHT
    ]


def _from(record: PurchaseRecord) -> Purchase:
    return Purchase(record.phone_number, record.location_id, confirmed_by="journal")
