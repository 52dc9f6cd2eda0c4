"""What was bought, or may have been: durable before the money is spent, settled afterwards."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from enum import StrEnum
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar
from uuid import uuid4

from attrs import asdict, evolve, field, frozen

from .errors import NumberAlreadyOwnedError, PurchaseInProgressError

T = TypeVar("T")


class PurchaseState(StrEnum):
    """What is known of a purchase; `docs/purchases.md` draws how one leads to another."""

    SENDING = "sending"
    """It is being made, or whoever made it is gone."""
    UNKNOWN = "unknown"
    """No clear answer came, and the number was not found in the list yet."""
    BOUGHT = "bought"
    NOT_BOUGHT = "not bought"


_OPEN = (PurchaseState.SENDING, PurchaseState.UNKNOWN)


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
    started_at: datetime
    changed_at: datetime

    @property
    def is_open(self) -> bool:
        """Whether it is still to be settled."""
        return self.state in _OPEN

    @classmethod
    def begin(
        cls, location_id: str, phone_number: str, fingerprint_id: str | None, order_id: str | None
    ) -> PurchaseRecord:
        """A purchase that is about to be sent."""
        now = datetime.now(UTC)
        state = PurchaseState.SENDING
        return cls(
            uuid4().hex, location_id, phone_number, fingerprint_id, order_id, state, None, now, now
        )

    def now(self, state: PurchaseState, reason: str | None = None) -> PurchaseRecord:
        """The record with what has become known."""
        return evolve(self, state=state, reason=reason, changed_at=datetime.now(UTC))

    def to_row(self) -> dict[str, str | None]:
        """Its fields as texts, to be kept."""
        dates = {"started_at": self.started_at, "changed_at": self.changed_at}
        return {
            **asdict(self),
            **{name: date.isoformat() for name, date in dates.items()},
            "state": self.state.value,
        }

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> PurchaseRecord:
        """The record that `to_row` was made from."""
        dates = {name: datetime.fromisoformat(row[name]) for name in ("started_at", "changed_at")}
        return cls(**{**row, **dates, "state": PurchaseState(row["state"])})


class Journal(Protocol):
    """Where a client keeps its purchases."""

    async def begin(self, record: PurchaseRecord) -> None:
        """Keeps a purchase before it is sent.

        Raises `PurchaseInProgressError` where one of the same number for the same location is
        open, and `NumberAlreadyOwnedError` where one was bought since this one was started.
        """
        ...

    async def change(self, record: PurchaseRecord) -> None:
        """Keeps what has become known of a purchase."""
        ...

    async def was_bought(self, location_id: str, phone_number: str) -> bool:
        """Whether the location bought the number, whatever became of it later."""
        ...

    async def records(self) -> list[PurchaseRecord]:
        """Every purchase, oldest first."""
        ...


class MemoryJournal:
    """The open purchases of one client, for as long as it lives."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, str], PurchaseRecord] = {}
        self._bought: set[tuple[str, str]] = set()

    async def begin(self, record: PurchaseRecord) -> None:
        """Keeps a purchase before it is sent."""
        key = (record.location_id, record.phone_number)
        if key in self._open:
            raise PurchaseInProgressError(record.location_id, record.phone_number)
        self._open[key] = record

    async def change(self, record: PurchaseRecord) -> None:
        """Keeps what has become known; forgets a purchase that is settled."""
        key = (record.location_id, record.phone_number)
        kept = self._open.get(key)
        if kept is None or kept.id != record.id:
            return  # settled meanwhile: it must not end another, nor open again
        if record.is_open:
            self._open[key] = record
        else:
            del self._open[key]
        if record.state == PurchaseState.BOUGHT:
            self._bought.add(key)

    async def was_bought(self, location_id: str, phone_number: str) -> bool:
        """Whether the location bought the number, whatever became of it later."""
        return (location_id, phone_number) in self._bought

    async def records(self) -> list[PurchaseRecord]:
        """The open purchases, oldest first."""
        return list(self._open.values())


_TIMEOUT = 30.0
_CANCELLED = "the caller was cancelled before it was sent"

_SCHEMA = """
CREATE TABLE IF NOT EXISTS purchases (
    id TEXT PRIMARY KEY, location_id TEXT NOT NULL, phone_number TEXT NOT NULL,
    fingerprint_id TEXT, order_id TEXT, state TEXT NOT NULL, reason TEXT,
    started_at TEXT NOT NULL, changed_at TEXT NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS one_open_purchase_a_number
    ON purchases (location_id, phone_number) WHERE state IN ('sending', 'unknown');
CREATE INDEX IF NOT EXISTS purchases_of_a_number ON purchases (location_id, phone_number);
"""


_NOT_BOUGHT_SINCE = """
WHERE NOT EXISTS (
    SELECT 1 FROM purchases
    WHERE location_id = :location_id AND phone_number = :phone_number
        AND state = 'bought' AND changed_at >= :started_at
)
"""

# Whoever looked into the list before it was bought must not have the last word.
_CHANGE = """
UPDATE purchases SET state = :state, reason = :reason, changed_at = :changed_at
WHERE id = :id AND NOT (state = 'bought' AND :state = 'not bought')
"""


class PurchaseJournal:
    """A journal in a SQLite file, which the processes of one machine may share.

    A purchase is on the disk before it is sent. Give it to `LCPhoneClient` as its `journal`, and
    call `client.settle()` when the program starts, in case it was killed before.

    >>> async def main(client_class):
    ...     with PurchaseJournal("purchases.db") as journal:
    ...         async with client_class.from_env(journal=journal) as client:
    ...             await client.settle()

    Raises `sqlite3.Error` where the file cannot be used.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        Path(path).touch(mode=0o600)
        # One thread, so that what is asked later happens later, cancelled or not.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="purchase-journal")
        self._database = sqlite3.connect(
            path, timeout=_TIMEOUT, isolation_level=None, check_same_thread=False
        )
        self._database.row_factory = sqlite3.Row
        try:
            self._prepare()
        except BaseException:
            self._database.close()
            raise

    async def begin(self, record: PurchaseRecord) -> None:
        """Keeps a purchase before it is sent."""
        try:
            inserted = await self._run(self._insert, record)
        except sqlite3.IntegrityError:
            raise PurchaseInProgressError(record.location_id, record.phone_number) from None
        except asyncio.CancelledError:  # it may be kept, or about to be
            self._thread.submit(self._update, record.now(PurchaseState.NOT_BOUGHT, _CANCELLED))
            raise
        if not inserted:
            raise NumberAlreadyOwnedError(record.location_id, record.phone_number)

    async def change(self, record: PurchaseRecord) -> None:
        """Keeps what has become known of a purchase."""
        await self._run(self._update, record)

    async def was_bought(self, location_id: str, phone_number: str) -> bool:
        """Whether the location bought the number, whatever became of it later."""
        return await self._run(self._has_bought, location_id, phone_number)

    async def records(self) -> list[PurchaseRecord]:
        """Every purchase, oldest first."""
        return await self._run(self._select)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file, once all that was asked is done."""
        self._thread.shutdown()
        self._database.close()

    async def _run(self, work: Callable[..., T], *arguments: object) -> T:
        """The disk may take its time: not on the event loop's."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)

    def _prepare(self) -> None:
        """SQLite itself does not wait where another process is making the same file a journal."""
        deadline = time.monotonic() + _TIMEOUT
        while True:
            try:
                self._database.execute("PRAGMA journal_mode = WAL")
                self._database.execute("PRAGMA synchronous = FULL")
                self._database.executescript(_SCHEMA)
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
            else:
                return

    def _insert(self, record: PurchaseRecord) -> bool:
        """Whether it was kept: not where another process bought the number meanwhile."""
        row = record.to_row()
        marks = ", ".join(f":{name}" for name in row)
        statement = f"INSERT INTO purchases ({', '.join(row)}) SELECT {marks} {_NOT_BOUGHT_SINCE}"
        return self._database.execute(statement, row).rowcount == 1

    def _update(self, record: PurchaseRecord) -> None:
        self._database.execute(_CHANGE, record.to_row())

    def _has_bought(self, location_id: str, phone_number: str) -> bool:
        statement = (
            "SELECT 1 FROM purchases "
            "WHERE location_id = ? AND phone_number = ? AND state = 'bought'"
        )
        return self._database.execute(statement, (location_id, phone_number)).fetchone() is not None

    def _select(self) -> list[PurchaseRecord]:
        rows = self._database.execute("SELECT * FROM purchases ORDER BY started_at, id")
        return [PurchaseRecord.from_row(dict(row)) for row in rows]
