"""Several purchases: as many of what is offered as were asked for, and no more."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from .._wire import requests
from ..errors import (
    LCPhoneError,
    NumberAlreadyOwnedError,
    NumberUnavailableError,
    PurchaseInProgressError,
    PurchaseOutcomeUnknownError,
)
from ..journal import PurchaseRecord, PurchaseState
from ..models import AvailableNumber, AvailableNumbers, Purchase, PurchaseOrder
from .intention import GuardedJournal, Intention
from .purchase import Order, Purchases, Wanted


def offered(
    location_id: str,
    offers: Iterable[AvailableNumbers | AvailableNumber | str],
    max_price: Decimal | int | None,
    reference: str | None,
    options: Mapping[str, Any],
) -> tuple[list[Wanted], list[Wanted]]:
    """The purchases of what is offered, and those that cost more than the limit, in their order."""
    affordable: list[Wanted] = []
    too_dear: list[Wanted] = []
    for number, fingerprint in _each(offers):
        given = {"fingerprint_id": fingerprint, **options}
        request = requests.purchase(location_id, number, **given)
        wanted = Wanted(request, *requests.price_of(number), reference)
        (too_dear if requests.is_above(number, max_price) else affordable).append(wanted)
    return affordable, too_dear


async def fill_order(
    purchases: Purchases,
    location_id: str,
    affordable: Iterable[Wanted],
    too_dear: Iterable[Wanted],
    *,
    count: int,
    order_id: str | None,
) -> PurchaseOrder:
    """Buys of the affordable numbers in turn until `count` are bought, or may be."""
    before = await _made_before(purchases.journal, location_id, order_id)
    tried = {record.phone_number for record in before}
    bought = [_from(record) for record in before if record.is_final]
    unknown = [record.phone_number for record in before if record.is_open]
    unavailable = [wanted.request.phone_number for wanted in too_dear]
    made: list[tuple[Intention, Purchase]] = []
    error: LCPhoneError | None = None
    async with Order(purchases, order_id) as order:
        async with order.renewals:
            made += [(order.adopt(each), _from(each)) for each in before if _is_untold(each)]
            for wanted in affordable:
                if error is not None or len(bought) + len(made) + len(unknown) >= count:
                    break
                number = wanted.request.phone_number
                if number in tried:
                    continue
                tried.add(number)
                try:
                    purchase = await purchases.buy_for(order, wanted)
                    made.append((order.intentions[-1], purchase))
                except (NumberUnavailableError, NumberAlreadyOwnedError):
                    unavailable.append(number)
                except (PurchaseOutcomeUnknownError, PurchaseInProgressError):
                    unknown.append(number)
                except LCPhoneError as reason:
                    error = reason
        for intention, purchase in made:
            try:
                await order.tell(intention)
                bought.append(purchase)
            except PurchaseOutcomeUnknownError as reason:
                unknown.append(purchase.number)
                error = error or reason
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
    journal: GuardedJournal, location_id: str, order_id: str | None
) -> list[PurchaseRecord]:
    """The order's purchases so far, but for those that were not made."""
    if order_id is None:
        return []
    return [
        record
        for record in await journal.records()
        if (record.location_id, record.order_id) == (location_id, order_id)
        and record.state not in {PurchaseState.NOT_BOUGHT, PurchaseState.REFUSED}
    ]


def _is_untold(record: PurchaseRecord) -> bool:
    return record.state == PurchaseState.BOUGHT and not record.told


def _from(record: PurchaseRecord) -> Purchase:
    return Purchase(
        record.phone_number, record.location_id, confirmed_by="journal", record_id=record.id
    )
