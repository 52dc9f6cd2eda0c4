"""A purchase is never made twice, and never lost.

`docs/purchases.md` draws its states; each function here is an arrow or two of that drawing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from contextlib import aclosing, suppress
from datetime import datetime
from math import inf
from typing import TYPE_CHECKING

from attrs import define, field, frozen

from . import _checks as checks
from . import _clock, _wire
from ._bodies import understood
from ._calls import Calls, Tries
from ._paging import Walk, walk_pages
from ._tasks import finished
from ._wire import requests
from .errors import (
    APIError,
    ClientClosedError,
    IncompleteListError,
    LCPhoneError,
    NumberAlreadyOwnedError,
    NumberUnavailableError,
    PurchaseInProgressError,
    PurchaseOutcomeUnknownError,
    RateLimitedError,
    ResponseFormatError,
    TransportError,
)
from .journal import Journal, Past, PurchaseRecord, PurchaseState
from .models import Purchase

if TYPE_CHECKING:
    from ._wire.requests import Request

_logger = logging.getLogger("lcphone_async")

# So many last digits make a search that shows one number, or few.
_TELLING_DIGITS = 7

# After it was bought a number may be missing from the list for so many seconds.
_LIST_LAG = 300.0

# So many seconds whoever is cancelled waits for a journal whose last word may be left unsaid.
_LAST_WORD = 1.0

# Of all clients: what one of them sends another may settle. A clock that is set forward must not
# make a purchase look so old that it is given up, or made again, while it is under way.
_SENT = _clock.Ages()


@define
class _Intention:
    """A purchase in its journal, which has it before each POST."""

    journal: Journal
    record: PurchaseRecord
    past: Past
    """What the journal knew of the number before it was looked up."""
    is_begun: bool = False
    may_be_closed: bool = False
    """Whether the journal may say `bought`: nobody is told of that any more."""

    async def keep(self) -> None:
        """Makes it durable; raises where the number is being bought elsewhere, or was."""
        self.is_begun = True
        self.record = self.record.sent_again()
        _SENT.begin(self.record.id)
        await self.journal.begin(self.record, self.past)

    async def close(self) -> None:
        """Says that it is bought. A caller who is cancelled now is not told: it stays open then."""
        self.may_be_closed = True
        await self.journal.change(self.record.now(PurchaseState.BOUGHT))

    async def end(self, state: PurchaseState, reason: str | None = None) -> None:
        """Has the last word. One that is open in the journal may stay so: `settle` will tell."""
        if self.is_begun:
            grace = inf if self.may_be_closed else _LAST_WORD
            await _last_words(self.journal, [self.record.now(state, reason)], grace)


async def _last_words(
    journal: Journal, records: Iterable[PurchaseRecord], grace: float = inf
) -> None:
    """Keeps what is known at the end, however often the caller is cancelled, `grace` seconds long.

    A journal that fails leaves the purchase open, and does not hide its error.
    """

    async def keep(record: PurchaseRecord) -> None:
        # A loop that ends cancels all tasks, this one too, and once: it must be said all the same.
        for _ in range(2 if grace == inf else 1):
            try:
                await journal.change(record)
            except asyncio.CancelledError:
                reason = "the journal is slow"
            except Exception as error:  # noqa: BLE001  # a journal's own may be any
                reason = repr(error)
                break
            else:
                return
        _logger.warning("purchase %s is left to be settled: %s", record.id, reason)

    async def keep_all() -> None:
        for record in records:
            await keep(record)

    await finished(keep_all(), grace)


async def _reopen(
    journal: Journal, records: Iterable[PurchaseRecord], error: BaseException
) -> None:
    """Opens again what was bought, since nobody is told of it: `settle` will."""
    reason = reason_of(error)
    await _last_words(journal, [record.now(PurchaseState.UNKNOWN, reason) for record in records])


@define
class Order:
    """Purchases whose caller is told of all of them at the end."""

    id: str | None = None
    made: list[PurchaseRecord] = field(factory=list)


@frozen
class _Look:
    """An open purchase, and what was found of it, if anything."""

    record: PurchaseRecord
    found: PurchaseRecord | None = None

    async def kept(self, journal: Journal) -> PurchaseRecord:
        """The purchase as it is now."""
        if self.found is None:
            return self.record
        return await journal.settle(self.record, self.found)


@frozen
class Purchases:
    """The purchases of one client."""

    calls: Calls
    journal: Journal
    read_back_time: float
    """Seconds for which a purchase without a clear answer is looked for in the list."""
    _running: dict[tuple[str, str], asyncio.Future[Purchase | None]] = field(factory=dict)
    """The outcomes to come; `None` where nothing was sent, and another may try."""

    async def make(self, request: Request, order: Order | None = None) -> Purchase:
        """Buys the number, once, however many tasks ask for it at the same time.

        They share the purchase; but what another call buys is not of an order.
        """
        key = (request.location_id, request.phone_number)
        while (running := self._running.get(key)) is not None:
            if order is not None:
                await asyncio.wait([running])
            elif (bought := await asyncio.shield(running)) is not None:
                return bought
        outcome = self._running[key] = asyncio.get_running_loop().create_future()
        tries = Tries()
        try:
            bought = await self._make(request, order or Order(), tries)
        except BaseException as error:
            if isinstance(error, LCPhoneError):
                outcome.set_exception(error)
            elif tries.in_doubt:
                outcome.set_exception(_unknown(request, reason_of(error)))
            else:
                outcome.set_result(None)
            outcome.exception()  # seen: often nobody else waits for it
            raise
        else:
            outcome.set_result(bought)
            return bought
        finally:
            del self._running[key]

    async def check_not_owned(self, request: Request) -> None:
        """Raises `NumberAlreadyOwnedError` where the location has the number."""
        if await self._is_listed(request.location_id, request.phone_number):
            raise NumberAlreadyOwnedError(request.location_id, request.phone_number)

    async def check(self, request: Request) -> None:
        """All that can be checked of a purchase without spending: raises what it would raise."""
        await self._past(request)
        await self.check_not_owned(request)
        if not await self._is_for_sale(request):
            raise NumberUnavailableError(
                404, "no search shows the number", method="a dry run of POST", path=request.path
            )

    async def _is_for_sale(self, request: Request) -> bool:
        """Whether a search shows the number; taken for granted where its country is not known."""
        country = (request.json or {}).get("countryCode") or checks.country_of(request.phone_number)
        if country is None:
            return True
        search = requests.available_numbers(
            request.location_id,
            country,
            number_types=("local", "tollFree", "mobile"),
            last_part=request.phone_number[-_TELLING_DIGITS:],
        )
        answer = await self.calls.send(search)
        found = await understood(_wire.answers.available_numbers, search, answer)
        return any(number.phone_number == request.phone_number for number in found.numbers)

    async def settle(self, journal: Journal, late: float) -> list[PurchaseRecord]:
        """Each open purchase of a journal, with what became of it.

        What was bought is open again where the caller is not told of it.
        """
        open_records = [record for record in await journal.records() if record.is_open]
        looks = [await self._look(record, late) for record in open_records]
        settled: list[PurchaseRecord] = []

        async def keep() -> None:
            for look in looks:
                settled.append(await look.kept(journal))  # noqa: PERF401  # also if one fails

        try:
            await finished(keep())
        except BaseException as error:
            bought = [
                record
                for look, record in zip(looks, settled, strict=False)
                if record == look.found and record.state == PurchaseState.BOUGHT
            ]
            await _reopen(journal, bought, error)
            raise
        return settled

    async def leave(self, order: Order, error: BaseException) -> None:
        """Ends an order whose caller is told of nothing."""
        await _reopen(self.journal, order.made, error)

    async def _make(self, request: Request, order: Order, tries: Tries) -> Purchase:
        self.calls.check_open(request)
        past = await self._past(request)
        known_not_owned = await self._know_not_owned(request, past)
        fingerprint = (request.json or {}).get("fingerprintId")
        record = PurchaseRecord.new(
            request.location_id, request.phone_number, fingerprint, order.id
        )
        intention = _Intention(self.journal, record, past)
        tries.before_each = intention.keep
        try:
            purchase = await self._send(request, intention, tries, known_not_owned=known_not_owned)
            await intention.close()
        except BaseException as error:
            state = PurchaseState.UNKNOWN if tries.in_doubt else PurchaseState.NOT_BOUGHT
            await intention.end(state, reason_of(error))
            raise
        order.made.append(intention.record)
        return purchase

    async def _past(self, request: Request) -> Past:
        """What the journal knows of the number; raises where one is open, or was just made."""
        past = await self.journal.past(request.location_id, request.phone_number)
        if past.is_open:
            raise PurchaseInProgressError(request.location_id, request.phone_number)
        if past.bought is not None and _age(past.bought) < _LIST_LAG:
            raise NumberAlreadyOwnedError(request.location_id, request.phone_number)
        return past

    async def _know_not_owned(self, request: Request, past: Past) -> bool:
        """`False` where the list cannot be read: then finding the number later proves nothing.

        A number that was bought before is not bought again as long as that is so.
        """
        try:
            await self.check_not_owned(request)
        except RateLimitedError:
            raise
        except (APIError, ResponseFormatError):
            if past.bought is not None:
                raise
            return False
        return True

    async def _send(
        self, request: Request, intention: _Intention, tries: Tries, *, known_not_owned: bool
    ) -> Purchase:
        try:
            answer = await self.calls.send(request, tries)
            return await understood(_wire.answers.purchase, request, answer)
        except (APIError, ResponseFormatError, TransportError) as error:
            if not tries.in_doubt:
                raise
            cause = error
        may_read_back = known_not_owned and not isinstance(cause, ClientClosedError)
        if may_read_back and await self._read_back(request):
            return Purchase(request.phone_number, request.location_id, confirmed_by="read-back")
        raise _unknown(request, str(cause), intention.record.sent_at) from cause

    async def _read_back(self, request: Request) -> bool:
        """Whether the number turns up in the list within the time for that."""
        wait = self.read_back_time / 30
        with suppress(TimeoutError, ClientClosedError):
            async with asyncio.timeout(self.read_back_time):
                while not await self._is_seen(request):
                    await asyncio.sleep(wait)
                    wait *= 2
                return True
        return False

    async def _is_seen(self, request: Request) -> bool:
        """Whether the number is in the list now; one that cannot be read shows nothing."""
        try:
            return await self._is_listed(request.location_id, request.phone_number)
        except ClientClosedError:
            raise
        except LCPhoneError:
            return False

    async def _is_listed(self, location_id: str, number: str) -> bool:
        """Whether the location has the number, be it in a pool or not."""

        def request(page: int) -> Request:
            return requests.active_numbers(
                location_id,
                page=page,
                page_size=1000,
                search_filter=number,
                skip_number_pool=False,
                include_rcs_sender_ids=None,
            )

        walk = walk_pages(self.calls.send, request, Walk(request(0).path, 1000), lambda _: 0)
        is_filtered = True
        try:
            async with aclosing(walk) as pages:
                async for page in pages:
                    if any(listed.phone_number == number for listed in page.numbers):
                        return True
                    is_filtered = is_filtered and not page.numbers
        except IncompleteListError:
            if not is_filtered:
                raise
            # The total is that of the list without the filter.
        return False

    async def _look(self, record: PurchaseRecord, late: float) -> _Look:
        """What the list shows of an open purchase."""
        if (record.location_id, record.phone_number) in self._running:
            return _Look(record)  # this client is making it
        is_late = not late or _age(record) > late  # of the list that is asked for now
        try:
            listed = await self._is_listed(record.location_id, record.phone_number)
        except ClientClosedError:
            raise  # it concerns them all
        except Exception as error:  # noqa: BLE001  # one location, or its token, stops no other
            return _Look(record.now(record.state, reason_of(error)))
        if listed:
            found = record.now(PurchaseState.BOUGHT)
        elif is_late:
            found = record.now(PurchaseState.NOT_BOUGHT, "it is not in the list")
        else:
            found = record.now(PurchaseState.UNKNOWN, record.reason or "it is not in the list yet")
        return _Look(record, found)


def _age(record: PurchaseRecord) -> float:
    """Seconds since it was sent."""
    return _SENT.of(record.id, record.sent_at)


def reason_of(error: BaseException) -> str:
    """Why a purchase is not bought or not known to be, for its record."""
    if isinstance(error, PurchaseOutcomeUnknownError):
        return error.reason
    if isinstance(error, asyncio.CancelledError):
        return "the caller was cancelled"
    return str(error) or type(error).__name__


def _unknown(
    request: Request, reason: str, sent_at: datetime | None = None
) -> PurchaseOutcomeUnknownError:
    return PurchaseOutcomeUnknownError(
        path=request.path,
        reason=reason,
        location_id=request.location_id,
        phone_number=request.phone_number,
        fingerprint_id=(request.json or {}).get("fingerprintId"),
        sent_at=sent_at or _clock.now(),
    )
