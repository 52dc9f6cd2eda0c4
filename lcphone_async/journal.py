"""What was bought, or may have been: durable before the money is spent, settled afterwards."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime
from enum import StrEnum
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar
from uuid import uuid4

from attrs import asdict, evolve, field, frozen

from . import _clock
from ._paths import checked_path, make_private, not_a_link, tighten
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
    sent_at: datetime
    """When it was sent, the last time."""
    changed_at: datetime

    @property
    def is_open(self) -> bool:
        """Whether it is still to be settled."""
        return self.state in _OPEN

    @classmethod
    def new(
        cls,
        location_id: str,
        phone_number: str,
        fingerprint_id: str | None = None,
        order_id: str | None = None,
    ) -> PurchaseRecord:
        """A purchase that is about to be sent."""
        now = _clock.now()
        state = PurchaseState.SENDING
        return cls(
            uuid4().hex, location_id, phone_number, fingerprint_id, order_id, state, None, now, now
        )

    def sent_again(self) -> PurchaseRecord:
        """The purchase, about to be sent once more."""
        now = _clock.now()
        return evolve(self, state=PurchaseState.SENDING, reason=None, sent_at=now, changed_at=now)

    def now(self, state: PurchaseState, reason: str | None = None) -> PurchaseRecord:
        """The record with what has become known."""
        return evolve(self, state=state, reason=reason, changed_at=_clock.now())

    def to_row(self) -> dict[str, str | None]:
        """Its fields as texts, to be kept."""
        dates = {"sent_at": self.sent_at, "changed_at": self.changed_at}
        return {
            **asdict(self),
            **{name: date.isoformat() for name, date in dates.items()},
            "state": self.state.value,
        }

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> PurchaseRecord:
        """The record that `to_row` was made from."""
        dates = {name: datetime.fromisoformat(row[name]) for name in ("sent_at", "changed_at")}
        return cls(**{**row, **dates, "state": PurchaseState(row["state"])})


@frozen
class Past:
    """What a journal knows of a number of a location."""

    is_open: bool
    """Whether a purchase of it is still to be settled."""
    bought: PurchaseRecord | None
    """The last purchase of it that was made, whatever became of the number later."""


class Journal(Protocol):
    """Where a client keeps its purchases."""

    async def past(self, location_id: str, phone_number: str) -> Past:
        """What is known of the number, to be asked before the service is."""
        ...

    async def begin(self, record: PurchaseRecord, past: Past) -> None:
        """Keeps a purchase before it is sent, each time.

        Raises `PurchaseInProgressError` where another one of the same number for the same
        location is open, and `NumberAlreadyOwnedError` where one was made since `past` was asked.
        """
        ...

    async def change(self, record: PurchaseRecord) -> None:
        """Keeps what whoever makes a purchase knows of it."""
        ...

    async def settle(self, record: PurchaseRecord, found: PurchaseRecord) -> PurchaseRecord:
        """Keeps what was found of an open purchase, unless it has changed since.

        Gives the purchase as it is kept then.
        """
        ...

    async def records(self) -> list[PurchaseRecord]:
        """Every purchase, oldest first."""
        ...


class MemoryJournal:
    """The purchases of one client that are open or were made, for as long as it lives."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, str], PurchaseRecord] = {}
        self._bought: dict[tuple[str, str], PurchaseRecord] = {}

    async def past(self, location_id: str, phone_number: str) -> Past:
        """What is known of the number."""
        key = (location_id, phone_number)
        return Past(key in self._open, self._bought.get(key))

    async def begin(self, record: PurchaseRecord, past: Past) -> None:
        """Keeps a purchase before it is sent, each time."""
        key = (record.location_id, record.phone_number)
        if self._open.get(key, record).id != record.id:
            raise PurchaseInProgressError(*key)
        if self._bought.get(key) != past.bought:
            raise NumberAlreadyOwnedError(*key)
        self._open[key] = record

    async def change(self, record: PurchaseRecord) -> None:
        """Keeps what whoever makes a purchase knows of it; forgets one that was not made."""
        key = (record.location_id, record.phone_number)
        if self._open.get(key, record).id != record.id:
            return  # it was given up meanwhile, and must not end another
        self._open.pop(key, None)
        if record.is_open:
            self._open[key] = record
        elif record.state == PurchaseState.BOUGHT:
            self._bought[key] = record

    async def settle(self, record: PurchaseRecord, found: PurchaseRecord) -> PurchaseRecord:
        """Keeps what was found of an open purchase, unless it has changed since."""
        key = (record.location_id, record.phone_number)
        if self._open.get(key) == record:
            await self.change(found)
            return found
        now = (self._open.get(key), self._bought.get(key))
        return next((kept for kept in now if kept and kept.id == record.id), found)

    async def records(self) -> list[PurchaseRecord]:
        """The purchases that are open or were made, oldest first."""
        records = [*self._bought.values(), *self._open.values()]
        return sorted(records, key=lambda record: record.sent_at)


_TIMEOUT = 30.0

_SCHEMA = """
CREATE TABLE IF NOT EXISTS purchases (
    id TEXT PRIMARY KEY, location_id TEXT NOT NULL, phone_number TEXT NOT NULL,
    fingerprint_id TEXT, order_id TEXT, state TEXT NOT NULL, reason TEXT,
    sent_at TEXT NOT NULL, changed_at TEXT NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS one_open_purchase_a_number
    ON purchases (location_id, phone_number) WHERE state IN ('sending', 'unknown');
CREATE INDEX IF NOT EXISTS purchases_of_a_number ON purchases (location_id, phone_number);
"""

# Of one number one purchase is open at a time: the last that was made was begun last.
_LAST_BOUGHT = """
SELECT {columns} FROM purchases
WHERE location_id = :location_id AND phone_number = :phone_number AND state = 'bought'
ORDER BY rowid DESC LIMIT 1
"""

_IS_OPEN = """
SELECT 1 FROM purchases
WHERE location_id = :location_id AND phone_number = :phone_number
    AND state IN ('sending', 'unknown')
"""

_BEGIN = f"""
INSERT INTO purchases SELECT
    :id, :location_id, :phone_number, :fingerprint_id, :order_id, :state, :reason,
    :sent_at, :changed_at
WHERE :last_bought IS ({_LAST_BOUGHT.format(columns="id")})
ON CONFLICT (id) DO UPDATE
SET state = :state, reason = :reason, sent_at = :sent_at, changed_at = :changed_at
"""

# What the list showed to be bought is bought, whatever the service answered.
_CHANGE = """
UPDATE purchases SET state = :state, reason = :reason, changed_at = :changed_at
WHERE id = :id AND NOT (state = 'bought' AND :state = 'not bought')
"""

_SETTLE = """
UPDATE purchases SET state = :state, reason = :reason, changed_at = :changed_at
WHERE id = :id AND state = :state_before AND sent_at = :sent_at
"""


class PurchaseJournal:
    """A journal in a SQLite file, which the processes of one machine may share.

    A purchase is on the disk before it is sent. Give it to `LCPhoneClient` as its `journal`, and
    call `client.settle()` when the program starts, in case it was killed before.

    >>> async def main(client_class):
    ...     with PurchaseJournal("purchases.db") as journal:
    ...         async with client_class.from_env(journal=journal) as client:
    ...             await client.settle()

    A process that was forked opens the file again: neither SQLite nor a thread comes along.

    Only its owner may read the file, whatever the umask; a symbolic link is not followed. Raises
    `sqlite3.Error` or `OSError` if the file cannot be used, and `RuntimeError` if it was opened
    before a fork.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        file = checked_path("path", path)
        make_private(file)
        self._file = file
        self._process = os.getpid()
        # One thread, so that what is asked later happens later, cancelled or not.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="purchase-journal")
        self._database = sqlite3.connect(
            file, timeout=_TIMEOUT, isolation_level=None, check_same_thread=False
        )
        self._database.row_factory = sqlite3.Row
        try:
            self._prepare()
        except BaseException:
            self._database.close()
            raise

    async def past(self, location_id: str, phone_number: str) -> Past:
        """What is known of the number."""
        return await self._run(self._past, location_id, phone_number)

    async def begin(self, record: PurchaseRecord, past: Past) -> None:
        """Keeps a purchase before it is sent, each time."""
        try:
            is_kept = await self._run(self._begin, record, past)
        except sqlite3.IntegrityError:
            raise PurchaseInProgressError(record.location_id, record.phone_number) from None
        if not is_kept:
            raise NumberAlreadyOwnedError(record.location_id, record.phone_number)

    async def change(self, record: PurchaseRecord) -> None:
        """Keeps what whoever makes a purchase knows of it."""
        await self._run(self._change, record)

    async def settle(self, record: PurchaseRecord, found: PurchaseRecord) -> PurchaseRecord:
        """Keeps what was found of an open purchase, unless it has changed since."""
        return await self._run(self._settle, record, found)

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
        """Closes the file, once all that was asked is done; not that of another process."""
        if self._process != os.getpid():
            return
        self._thread.shutdown()
        self._database.close()

    async def _run(self, work: Callable[..., T], *arguments: object) -> T:
        """The disk may take its time: not on the event loop's."""
        if self._process != os.getpid():
            raise RuntimeError("the journal was opened before a fork: open its file again")
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)

    def _prepare(self) -> None:
        """SQLite itself does not wait where another process is making the same file a journal."""
        deadline = time.monotonic() + _TIMEOUT
        while True:
            try:
                self._database.execute("PRAGMA journal_mode = WAL")
                tighten(self._file, "-wal", "-shm")  # new ones get the mode of the file
                self._database.execute("PRAGMA synchronous = FULL")
                # It is looked up a row at a time: 256 KiB of pages are enough.
                self._database.execute("PRAGMA cache_size = -256")
                self._database.executescript(_SCHEMA)
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
            else:
                return

    def _past(self, location_id: str, phone_number: str) -> Past:
        number = {"location_id": location_id, "phone_number": phone_number}
        # In this order: an open purchase may be made meanwhile, not the other way round.
        is_open = self._database.execute(_IS_OPEN, number).fetchone() is not None
        bought = self._database.execute(_LAST_BOUGHT.format(columns="*"), number).fetchone()
        return Past(is_open, bought and PurchaseRecord.from_row(dict(bought)))

    def _begin(self, record: PurchaseRecord, past: Past) -> bool:
        """Whether it is kept: not where another process bought the number meanwhile."""
        row = {**record.to_row(), "last_bought": past.bought and past.bought.id}
        return self._database.execute(_BEGIN, row).rowcount == 1

    def _change(self, record: PurchaseRecord) -> None:
        self._database.execute(_CHANGE, record.to_row())

    def _settle(self, record: PurchaseRecord, found: PurchaseRecord) -> PurchaseRecord:
        self._database.execute(_SETTLE, {**found.to_row(), "state_before": record.state.value})
        row = self._database.execute("SELECT * FROM purchases WHERE id = ?", (record.id,))
        return PurchaseRecord.from_row(dict(row.fetchone()))

    def _select(self) -> list[PurchaseRecord]:
        return _records_in(self._database)


def read_records(path: str | PathLike[str]) -> list[PurchaseRecord]:
    """Every purchase in a journal's file, oldest first; the file may be on a read-only mount.

    Raises `sqlite3.Error` or `OSError` if it cannot be read, also for a symbolic link.
    """
    file = checked_path("path", path).absolute()
    if not not_a_link(file).st_size:
        return []  # it is being made
    wal = file.with_name(f"{file.name}-wal")
    try:
        return _read(file, "mode=ro")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_CANTOPEN:
            raise
    # SQLite needs a -shm, which it cannot make here. Without one no process has the file open.
    if not wal.exists():
        return _read(file, "immutable=1")
    with TemporaryDirectory() as folder:
        copies = [Path(shutil.copy(each, folder)) for each in (file, wal)]
        return _read(copies[0], "mode=rw")


def _read(file: Path, how: str) -> list[PurchaseRecord]:
    uri = f"{file.as_uri()}?{how}"
    with closing(sqlite3.connect(uri, uri=True, timeout=_TIMEOUT)) as database:
        database.row_factory = sqlite3.Row
        return _records_in(database)


def _records_in(database: sqlite3.Connection) -> list[PurchaseRecord]:
    rows = database.execute("SELECT * FROM purchases ORDER BY sent_at, id")
    return [PurchaseRecord.from_row(dict(row)) for row in rows]
