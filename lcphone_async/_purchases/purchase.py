"""Making a purchase: look up, write the intention, send one POST, read back if in doubt, record.

A POST is sent again only if the service surely did not act on the first. Its refusal alone proves
nothing: a proxy may have sent the request twice, and show the second answer. `docs/purchases.md`
draws the states; each function here is an arrow or two of that drawing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from decimal import Decimal
from enum import Enum, auto
from typing import TYPE_CHECKING, Self

from attrs import define, evolve, field, frozen

from .. import _wire
from .._http.body import decoded
from .._http.calls import Calls, Tries
from .._internal.tasks import OwnTasks
from ..errors import (
    APIError,
    AuthenticationError,
    ClientClosedError,
    JournalUnavailableError,
    LCPhoneError,
    NotFoundError,
    NumberAlreadyOwnedError,
    PermissionDeniedError,
    PurchaseInProgressError,
    PurchaseOutcomeUnknownError,
    RateLimitedError,
    ResponseFormatError,
    TransportError,
)
from ..journal import Past, PurchaseRecord, PurchaseState, SpendingLimit
from ..models import Purchase
from .intention import SENT, GuardedJournal, Intention, last_words, reason_of, unknown
from .listing import is_listed

if TYPE_CHECKING:
    from .._wire.requests import Request

# After it was bought a number may be missing from the list for so many seconds.
_LIST_LAG = 300.0


@frozen
class Wanted:
    """A number that is to be bought: the POST, and what the journal keeps beside it."""

    request: Request
    price: Decimal | None = None
    currency: str | None = None
    reference: str | None = None

    @property
    def key(self) -> tuple[str, str]:
        """The location and the number."""
        return self.request.location_id, self.request.phone_number


class _LookUp(Enum):
    """What the list showed before the POST."""

    NOT_OWNED = auto()
    FAILED = auto()
    """Nothing, so that finding the number later proves nothing."""
    DENIED = auto()
    """Nothing, as it may not be read."""


_DENIALS = (AuthenticationError, PermissionDeniedError, NotFoundError)


class Order:
    """Purchases whose caller is told of all of them at the end.

    Until then each is leased: other processes leave it alone as long as this one lives. Leaving
    it by an error opens all of them again, since no caller is told of them.
    """

    def __init__(self, purchases: Purchases, order_id: str | None = None) -> None:
        self.id = order_id
        self.intentions: list[Intention] = []
        self.renewals = OwnTasks()
        """To be left before the first purchase is told: then nothing is awaited any more."""
        self._purchases = purchases

    def add(self, intention: Intention) -> None:
        """Takes in a purchase that is about to be sent."""
        self.intentions.append(intention)
        self._purchases.own.add(intention.record.id)
        self.renewals.start(intention.renew())

    def adopt(self, record: PurchaseRecord) -> Intention:
        """Takes over a purchase that a process made which died before it told of it."""
        past = Past(is_open=False, bought=None)
        intention = Intention(self._purchases.journal, record, past, None, is_begun=True)
        self.add(intention)
        return intention

    async def drop(self, intention: Intention, state: PurchaseState, reason: str) -> None:
        """Ends a purchase that was not made, or may not have been."""
        self.intentions.remove(intention)
        try:
            await last_words([intention], state, reason)
        finally:
            self._purchases.own.discard(intention.record.id)

    async def tell(self, intention: Intention) -> None:
        """Says that a purchase is bought and that its caller is told.

        Raises `PurchaseOutcomeUnknownError` if the journal fails, or a `reconcile` told of it.
        """
        try:
            await intention.bought(told=True)
        except PurchaseOutcomeUnknownError as error:
            await self.drop(intention, PurchaseState.UNKNOWN, error.reason)
            raise

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: object
    ) -> None:
        try:
            if exc is not None and self.intentions:
                await last_words(self.intentions, PurchaseState.UNKNOWN, reason_of(exc))
        finally:
            self._purchases.own.difference_update(each.record.id for each in self.intentions)


@define
class _Running:
    """A purchase that is being made by a task of this client."""

    wanted: Wanted
    is_shared: bool
    """Whether other tasks that want the same may return its outcome as theirs."""
    outcome: asyncio.Future[Purchase | None]
    """`None` if nothing was sent and another task may try."""
    purchase: Purchase | None = None


@frozen
class Purchases:
    """The purchases of one client."""

    calls: Calls
    journal: GuardedJournal
    confirm_timeout: float
    """Seconds for which a purchase without a clear answer is looked for in the list."""
    limit: SpendingLimit | None = None
    own: set[str] = field(factory=set)
    """The ids of the records that this client will close itself."""
    _running: dict[tuple[str, str], _Running] = field(factory=dict)

    async def buy(self, wanted: Wanted) -> Purchase:
        """Buys the number, and tells the caller.

        Tasks that want the same number for the same reference share one purchase.
        """
        while (running := self._running.get(wanted.key)) is not None:
            if not (running.is_shared and running.wanted.reference == wanted.reference):
                await asyncio.wait([running.outcome])
            elif (bought := await asyncio.shield(running.outcome)) is not None:
                return bought
        tries = Tries()
        with self._claimed(wanted, tries, is_shared=True) as running:
            async with Order(self) as order:
                async with order.renewals:
                    running.purchase = await self._make(wanted, order, tries)
                await order.tell(*order.intentions)
            return running.purchase

    async def buy_for(self, order: Order, wanted: Wanted) -> Purchase:
        """Buys the number for an order, whose caller is told later."""
        while (running := self._running.get(wanted.key)) is not None:
            await asyncio.wait([running.outcome])
        tries = Tries()
        with self._claimed(wanted, tries, is_shared=False):
            purchase = await self._make(wanted, order, tries)
            await order.intentions[-1].bought(told=False)
            return purchase

    async def check(self, wanted: Wanted) -> Past:
        """Checks all that can be checked without spending: raises what a purchase would raise."""
        if self.limit is not None:
            self.limit.check(_record(wanted))
        past = await self.journal.past(*wanted.key)
        if past.is_open:
            raise PurchaseInProgressError(*wanted.key)
        if past.bought is not None and SENT.of(past.bought.id, past.bought.sent_at) < _LIST_LAG:
            raise NumberAlreadyOwnedError(*wanted.key)
        return past

    async def check_spending(self, wanted: Wanted) -> None:
        """Raises `SpendingLimitError` if the limit does not admit the number now."""
        if self.limit is not None:
            spent = self.limit.spent(await self.journal.records(), but="")
            self.limit.check(_record(wanted), spent)

    async def check_not_owned(self, wanted: Wanted) -> None:
        """Raises `NumberAlreadyOwnedError` if the location has the number."""
        if await is_listed(self.calls, *wanted.key):
            raise NumberAlreadyOwnedError(*wanted.key)

    @contextmanager
    def _claimed(self, wanted: Wanted, tries: Tries, *, is_shared: bool) -> Iterator[_Running]:
        """Keeps this client's other tasks from the number, and tells them of the outcome."""
        outcome = asyncio.get_running_loop().create_future()
        running = self._running[wanted.key] = _Running(wanted, is_shared, outcome)
        try:
            yield running
        except BaseException as error:
            if isinstance(error, LCPhoneError):
                outcome.set_exception(error)
            elif tries.in_doubt:
                outcome.set_exception(unknown(_record(wanted), reason_of(error)))
            else:
                outcome.set_result(None)
            outcome.exception()  # seen: often no other task waits for it
            raise
        else:
            outcome.set_result(running.purchase)
        finally:
            del self._running[wanted.key]

    async def _make(self, wanted: Wanted, order: Order, tries: Tries) -> Purchase:
        """Makes a purchase, which is the order's last intention then."""
        self.calls.check_open(wanted.request)
        past = await self.check(wanted)
        look_up = await self._look_up(wanted, past)
        record = _record(wanted, order.id)
        intention = Intention(self.journal, record, past, self.limit)
        order.add(intention)
        tries.before_each = intention.begin
        try:
            purchase = await self._send(wanted, intention, tries, look_up)
        except BaseException as error:
            if tries.in_doubt:
                state = PurchaseState.UNKNOWN
            elif tries.is_refused:
                state = PurchaseState.REFUSED
            else:
                state = PurchaseState.NOT_BOUGHT
            await order.drop(intention, state, reason_of(error))
            raise
        return evolve(purchase, record_id=record.id)

    async def _look_up(self, wanted: Wanted, past: Past) -> _LookUp:
        """Looks at the list before the POST.

        A number that was bought before is not bought again as long as the list cannot be read.
        """
        try:
            await self.check_not_owned(wanted)
        except RateLimitedError:
            raise
        except (APIError, ResponseFormatError) as error:
            if past.bought is not None:
                raise
            is_denied = isinstance(error, _DENIALS) and not _wire.errors.is_passing(error)
            return _LookUp.DENIED if is_denied else _LookUp.FAILED
        return _LookUp.NOT_OWNED

    async def _send(
        self, wanted: Wanted, intention: Intention, tries: Tries, look_up: _LookUp
    ) -> Purchase:
        """Sends the POST; looks at the list before the caller hears of anything but success."""
        request = wanted.request
        try:
            answer = await self.calls.send(request, tries)
            return await decoded(_wire.responses.purchase, request, answer)
        except JournalUnavailableError as error:
            if not tries.is_refused:
                raise
            tries.in_doubt = True  # before its second try: the first one was sent
            raise unknown(intention.record, error.reason) from error
        except (APIError, ResponseFormatError, TransportError) as error:
            is_refusal = not tries.in_doubt
            if is_refusal and not (tries.is_refused and _proves_nothing(error)):
                raise
            cause = error
        if is_refusal and look_up is _LookUp.DENIED:
            raise cause  # a token that may only buy
        listed = None
        is_known = look_up is _LookUp.NOT_OWNED
        if not isinstance(cause, ClientClosedError) and (is_refusal or is_known):
            listed = await self._look(wanted, once=is_refusal)
        if listed and is_known:
            return Purchase(request.phone_number, request.location_id, confirmed_by="read-back")
        if is_refusal and listed is False:
            raise cause
        tries.in_doubt = True
        raise unknown(intention.record, str(cause)) from cause

    async def _look(self, wanted: Wanted, *, once: bool) -> bool | None:
        """Whether the list shows the number within `confirm_timeout`, or `once` it can be read.

        Returns `None` if it cannot be read.
        """
        listed = None
        wait = self.confirm_timeout / 30
        with suppress(TimeoutError):
            async with asyncio.timeout(None if once else self.confirm_timeout) as limit:
                while True:
                    listed = await self._is_listed(wanted)
                    if listed or (once and listed is False) or self.calls.is_closed:
                        break
                    if limit.when() is None:  # after a refusal there is a look, however short it is
                        now = asyncio.get_running_loop().time()
                        limit.reschedule(now + self.confirm_timeout)
                    await asyncio.sleep(wait)
                    wait *= 2
        return listed

    async def _is_listed(self, wanted: Wanted) -> bool | None:
        """Whether the number is in the list now; `None` if the list cannot be read."""
        try:
            return await is_listed(self.calls, *wanted.key)
        except LCPhoneError:
            return None


def _proves_nothing(error: LCPhoneError) -> bool:
    """Whether a refusal may be that of a POST that a proxy sent after another one had bought."""
    return isinstance(error, APIError) and not _wire.errors.is_final_refusal(error)


def _record(wanted: Wanted, order_id: str | None = None) -> PurchaseRecord:
    return PurchaseRecord.new(
        *wanted.key,
        (wanted.request.json or {}).get("fingerprintId"),
        order_id=order_id,
        reference=wanted.reference,
        price=wanted.price,
        currency=wanted.currency,
    )
