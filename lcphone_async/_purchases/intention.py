"""One purchase in its journal, from the moment before it is sent until its caller is told.

The record is the caller's as long as this process lives: it is renewed every few seconds, and
`reconcile` of another process leaves alone a record that changes. Whoever closes a record does it
by replacing the version that they know, so that exactly one of maker and reconcilers tells of it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from math import inf

from attrs import define, frozen

from .._internal import clock
from .._internal.tasks import finished
from ..errors import (
    JournalUnavailableError,
    LCPhoneError,
    NumberAlreadyOwnedError,
    PurchaseInProgressError,
    PurchaseOutcomeUnknownError,
    SpendingLimitError,
)
from ..journal import Journal, Past, PurchaseRecord, PurchaseState, SpendingLimit

_logger = logging.getLogger("lcphone_async")

# Seconds between two signs of life. A record that does not change for three times as long is
# that of a process that died.
RENEWAL = 2.0

# Seconds for which a cancelled caller waits for a journal, if its last word may be left unsaid.
_LAST_WORD = 1.0

# Of all clients, as one may reconcile what another sent. A clock that is set forward must not
# make a purchase look so old that it is given up, or made again, while it is under way.
SENT = clock.Ages()

# What a journal may hold as told though nobody was told of it, as it failed before that was undone.
UNTOLD: dict[str, PurchaseRecord] = {}


@frozen
class GuardedJournal:
    """A journal whose own errors become `JournalUnavailableError`."""

    inner: Journal

    async def past(self, location_id: str, phone_number: str) -> Past:
        """Returns what is known of the number."""
        with _errors(phone_number):
            return await self.inner.past(location_id, phone_number)

    async def begin(self, record: PurchaseRecord, past: Past, limit: SpendingLimit | None) -> None:
        """Keeps a purchase before it is sent."""
        with _errors(record.phone_number, _IN_THE_WAY):
            await self.inner.begin(record, past, limit)

    async def replace(self, old: PurchaseRecord, new: PurchaseRecord) -> bool:
        """Keeps `new` if the journal holds the version of `old`."""
        with _errors(old.phone_number):
            return await self.inner.replace(old, new)

    async def records(self) -> list[PurchaseRecord]:
        """Returns every purchase, oldest first."""
        with _errors():
            return await self.inner.records()


_FAILED = (JournalUnavailableError,)
# What `begin` raises by the protocol. Any other error says that the journal failed, be it ours, of
# a service that the journal asks: it must not look like an error of the POST.
_IN_THE_WAY = (
    *_FAILED,
    NumberAlreadyOwnedError,
    PurchaseInProgressError,
    SpendingLimitError,
)


@contextmanager
def _errors(
    phone_number: str | None = None, raised: tuple[type[LCPhoneError], ...] = _FAILED
) -> Iterator[None]:
    """Raises a journal's errors as ours, without the number: databases tell what they keep."""
    try:
        yield
    except raised:
        raise
    except Exception as error:
        reason = reason_of(error)
        if phone_number is not None:
            reason = reason.replace(phone_number.removeprefix("+"), "…")
        raise JournalUnavailableError(reason) from error


def unknown(record: PurchaseRecord, reason: str) -> PurchaseOutcomeUnknownError:
    """The error of a purchase that may be made or not."""
    return PurchaseOutcomeUnknownError(
        path=f"/phone-system/numbers/location/{record.location_id}/purchase",
        reason=reason,
        location_id=record.location_id,
        phone_number=record.phone_number,
        fingerprint_id=record.fingerprint_id,
        sent_at=record.sent_at,
    )


def reason_of(error: BaseException) -> str:
    """Why a purchase is not bought or not known to be, for its record."""
    if isinstance(error, PurchaseOutcomeUnknownError | JournalUnavailableError):
        return error.reason
    if isinstance(error, asyncio.CancelledError):
        return "the caller was cancelled"
    return str(error) or type(error).__name__


@define(eq=False)
class Intention:
    """One purchase that is being made."""

    journal: GuardedJournal
    record: PurchaseRecord
    past: Past
    """What the journal knew of the number before it was looked up."""
    limit: SpendingLimit | None
    is_begun: bool = False
    _closing: PurchaseRecord | None = None
    """The record that says `bought`, once the journal may hold it."""

    async def begin(self) -> None:
        """Makes the purchase durable, before each POST.

        Raises `JournalUnavailableError`, `PurchaseInProgressError`, `NumberAlreadyOwnedError` or
        `SpendingLimitError`.
        """
        self.is_begun = True
        self.record = self.record.sent_again()
        SENT.begin(self.record.id)
        await self.journal.begin(self.record, self.past, self.limit)

    async def renew(self) -> None:
        """Shows other processes, every few seconds, that this one lives."""
        while True:
            await asyncio.sleep(RENEWAL)
            before = self.record
            if not (self.is_begun and before.is_leased):
                continue
            with suppress(JournalUnavailableError):
                after = before.renewed()
                if await self.journal.replace(before, after) and self.record is before:
                    self.record = after

    async def bought(self, *, told: bool) -> None:
        """Says that it is bought, and whether its caller is told of that now.

        Raises `PurchaseOutcomeUnknownError` if a `reconcile` has told, or the journal fails.
        """
        try:
            is_ours = await self._change(PurchaseState.BOUGHT, told=told)
        except JournalUnavailableError as error:
            problem = f"the service sold it, but the journal cannot be written: {error.reason}"
            raise unknown(self.record, problem) from error
        if not is_ours:
            raise unknown(self.record, "a reconcile has told that it is bought")

    async def last_word(self, state: PurchaseState, reason: str) -> None:
        """Says how it ended, as far as the journal can be written.

        A journal that fails leaves the purchase open, and does not hide the error that ended it.
        """
        if not self.is_begun:
            return
        problem = "the journal is slow"
        for _ in range(2 if self.may_be_closed else 1):
            try:
                await self._change(state, reason)
            except asyncio.CancelledError:
                continue  # a loop that ends cancels all tasks, this one too, and once
            except JournalUnavailableError as error:
                problem = error.reason
                break
            else:
                return
        if self._closing is not None:
            UNTOLD[self.record.id] = self._closing
        _logger.warning("purchase %s is left open in the journal: %s", self.record.id, problem)

    @property
    def may_be_closed(self) -> bool:
        """Whether the journal may say that it is bought."""
        return self._closing is not None

    async def _change(
        self, state: PurchaseState, reason: str | None = None, *, told: bool = False
    ) -> bool:
        """Replaces the record; returns `False` if a `reconcile` has closed it."""
        while True:
            before = self.record
            after = before.now(state, reason, told=told)
            if state == PurchaseState.BOUGHT:
                self._closing = after
            if await self.journal.replace(before, after):
                self.record = after
                return True
            held = await self._held()
            may_be_made = state in {PurchaseState.BOUGHT, PurchaseState.UNKNOWN}
            if held is None:  # a journal in memory keeps none that was given up
                if may_be_made:
                    await self._keep_anew(after)
                return True
            was_told = held.is_final and held != self._closing
            was_given_up = held.state == PurchaseState.NOT_BOUGHT and may_be_made
            if held.version == before.version or (was_told and not was_given_up):
                return False
            self.record = held

    async def _keep_anew(self, record: PurchaseRecord) -> None:
        """Keeps a record that the journal has forgotten, unless another took its place."""
        with suppress(NumberAlreadyOwnedError, PurchaseInProgressError):
            await self.journal.begin(record, self.past, None)
            self.record = record

    async def _held(self) -> PurchaseRecord | None:
        records = await self.journal.records()
        return next((record for record in records if record.id == self.record.id), None)


async def last_words(intentions: Iterable[Intention], state: PurchaseState, reason: str) -> None:
    """Says how purchases ended of which no caller is told, however often the caller is cancelled.

    A journal that may say `bought` must hear of it; another is waited for a second.
    """
    ended = tuple(intentions)

    async def say() -> None:
        for intention in ended:
            await intention.last_word(state, reason)

    await finished(say(), inf if any(each.may_be_closed for each in ended) else _LAST_WORD)
