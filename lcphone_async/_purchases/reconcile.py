"""Finding out what became of purchases whose makers died, or could not tell.

Each record is looked up in its location's list and replaced by what was found. Only one of
several reconcilers replaces a given version of a record, and only that one tells of it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Container

from attrs import evolve, frozen

from .._http.calls import Calls
from .._internal.tasks import finished
from ..errors import ClientClosedError, JournalUnavailableError
from ..journal import PurchaseRecord, PurchaseState
from . import intention
from .intention import SENT, UNTOLD, GuardedJournal, reason_of
from .listing import is_listed

_logger = logging.getLogger("lcphone_async")


@frozen
class _Finding:
    """A record, and the one that is to follow it, if anything was found out."""

    record: PurchaseRecord
    following: PurchaseRecord | None

    async def keep(self, journal: GuardedJournal) -> PurchaseRecord | None:
        """Returns the record to tell the caller of, if there is anything to tell."""
        was_refused = self.record.state == PurchaseState.REFUSED
        if self.following is None:
            return None if was_refused else self.record
        if not await journal.replace(self.record, self.following):
            return None  # its maker lives, or another reconcile tells of it
        is_news = self.following.state == PurchaseState.BOUGHT or not was_refused
        return self.following if is_news else None


async def reconcile(
    calls: Calls, journal: GuardedJournal, own: Container[str], min_age: float
) -> list[PurchaseRecord]:
    """Returns each purchase that is not final, with what became of it.

    It leaves out what this client (`own`) or another living process is making. What was found to
    be bought is open again if the caller is not told of it.
    """
    all_records = await journal.records()
    last = _last_of_each_number(all_records)
    foreign = [
        record
        for record in all_records
        if (not record.is_final or UNTOLD.get(record.id) == record)
        and (not _is_followed(record, last) or last[_number(record)].is_final)
        and record.id not in own
    ]
    abandoned = await _abandoned(journal, foreign)
    findings = [
        _Finding(record, record.now(PurchaseState.NOT_BOUGHT, record.reason))
        if _is_followed(record, last)
        else await _look(calls, record, min_age)
        for record in abandoned
    ]
    told: list[PurchaseRecord] = []

    async def keep() -> None:
        for finding in findings:
            record = await finding.keep(journal)
            if record is not None:
                told.append(record)

    try:
        await finished(keep())
    except BaseException as error:
        await finished(_reopen(journal, findings, reason_of(error)))
        raise
    return told


def _number(record: PurchaseRecord) -> tuple[str, str]:
    return record.location_id, record.phone_number


def _last_of_each_number(records: list[PurchaseRecord]) -> dict[tuple[str, str], PurchaseRecord]:
    """Of each number's purchases the last one, unless it was not made; `records` oldest first."""
    return {
        _number(record): record for record in records if record.state != PurchaseState.NOT_BOUGHT
    }


def _is_followed(record: PurchaseRecord, last: dict[tuple[str, str], PurchaseRecord]) -> bool:
    """Whether a refused purchase has a later one of its number, which tells of it."""
    return record.state == PurchaseState.REFUSED and last[_number(record)] is not record


async def _abandoned(
    journal: GuardedJournal, records: list[PurchaseRecord]
) -> list[PurchaseRecord]:
    """Returns the records that no living process is making: they do not change for a while."""
    leased = {record.id for record in records if record.is_leased}
    if not leased:
        return records
    await asyncio.sleep(3 * intention.RENEWAL)
    held = {record.id: record for record in await journal.records()}
    return [
        record for record in records if record.id not in leased or held.get(record.id) == record
    ]


async def _look(calls: Calls, record: PurchaseRecord, min_age: float) -> _Finding:
    """What the list shows of a purchase."""
    if record.state == PurchaseState.BOUGHT:
        return _Finding(record, record.now(PurchaseState.BOUGHT, told=True))
    # Of the list that is asked for now.
    is_old = not min_age or SENT.of(record.id, record.sent_at) > min_age
    try:
        listed = await is_listed(calls, record.location_id, record.phone_number)
    except ClientClosedError:
        raise  # it concerns them all
    except Exception as error:  # noqa: BLE001  # one location, or its token, stops no other
        return _Finding(evolve(record, reason=reason_of(error)), None)
    if listed:
        return _Finding(record, record.now(PurchaseState.BOUGHT, told=True))
    if is_old:
        reason = record.reason if record.state == PurchaseState.REFUSED else "it is not in the list"
        return _Finding(record, record.now(PurchaseState.NOT_BOUGHT, reason))
    if record.state == PurchaseState.REFUSED:
        return _Finding(record, None)
    reason = record.reason or "it is not in the list yet"
    return _Finding(record, record.now(PurchaseState.UNKNOWN, reason))


async def _reopen(journal: GuardedJournal, findings: list[_Finding], reason: str) -> None:
    """Opens again what was closed as bought, since no caller is told of it."""
    closed = {finding.following for finding in findings}
    for _ in range(2):
        try:
            for record in await journal.records():
                if record in closed and record.state == PurchaseState.BOUGHT:
                    await journal.replace(record, record.now(PurchaseState.UNKNOWN, reason))
        except asyncio.CancelledError:
            continue  # a loop that ends cancels all tasks, this one too, and once
        except JournalUnavailableError as error:
            UNTOLD.update((record.id, record) for record in closed if record is not None)
            _logger.warning("purchases that were found may not be told: %s", error.reason)
        return
