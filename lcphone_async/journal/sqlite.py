"""`PurchaseJournal`: the journal in a SQLite file, for the processes of one machine."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self, TypeVar

from .._internal import clock
from .._internal.paths import checked_path, make_private, regular_file, tighten
from ..errors import NumberAlreadyOwnedError, PurchaseInProgressError
from .records import Past, PurchaseRecord, SpendingLimit

T = TypeVar("T")

_TIMEOUT = 30.0

_SCHEMA = """
CREATE TABLE IF NOT EXISTS purchases (
    id TEXT PRIMARY KEY, location_id TEXT NOT NULL, phone_number TEXT NOT NULL,
    fingerprint_id TEXT, order_id TEXT, state TEXT NOT NULL, reason TEXT,
    sent_at TEXT NOT NULL, changed_at TEXT NOT NULL,
    reference TEXT, price TEXT, currency TEXT, told INTEGER NOT NULL, version INTEGER NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS one_open_purchase_a_number
    ON purchases (location_id, phone_number) WHERE state IN ('sending', 'unknown');
CREATE INDEX IF NOT EXISTS purchases_of_a_number ON purchases (location_id, phone_number);
"""

# The columns that journals of before do not have.
_ADDED = {
    "reference": "TEXT",
    "price": "TEXT",
    "currency": "TEXT",
    "told": "INTEGER NOT NULL DEFAULT 1",
    "version": "INTEGER NOT NULL DEFAULT 0",
}

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
    :sent_at, :changed_at, :reference, :price, :currency, :told, :version
WHERE :last_bought IS ({_LAST_BOUGHT.format(columns="id")})
ON CONFLICT (id) DO UPDATE SET
    state = :state, reason = :reason, sent_at = :sent_at, changed_at = :changed_at,
    told = :told, version = :version
"""

# No reconcile may close a refused purchase by what its list shows from now on.
_TOUCH_REFUSED = """
UPDATE purchases SET version = version + 1
WHERE location_id = :location_id AND phone_number = :phone_number
    AND state = 'refused' AND id != :id
"""

_REPLACE = """
UPDATE purchases SET
    state = :state, reason = :reason, changed_at = :changed_at, told = :told,
    version = :version
WHERE id = :id AND version = :old_version
"""

# What `SpendingLimit.spent` may count.
_COUNTS = """
SELECT * FROM purchases
WHERE currency = ? AND state IN ('sending', 'unknown', 'bought') AND sent_at >= ?
"""


class PurchaseJournal:
    """A journal in a SQLite file, which the processes of one machine may share.

    A purchase is on the disk before it is sent. Give it to `LCPhoneClient` as its `journal`, and
    call `client.reconcile()` when the program starts, in case it was killed before.

    >>> async def main(client_class):
    ...     with PurchaseJournal("purchases.db") as journal:
    ...         async with client_class.from_env(journal=journal) as client:
    ...             await client.reconcile()

    A process that was forked opens the file again: neither SQLite nor a thread comes along.

    Only its owner may read the file, whatever the umask; a symbolic link is not followed. Raises
    `sqlite3.Error` or `OSError` if the file cannot be used, and `RuntimeError` if it was opened
    before a fork.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        file = checked_path("path", path)
        make_private(file)
        if not os.access(file, os.W_OK):  # else the first purchase would find out
            raise PermissionError(errno.EACCES, "the file cannot be written", str(file))
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
        """Returns what is known of the number."""
        return await self._run(self._past, location_id, phone_number)

    async def begin(
        self, record: PurchaseRecord, past: Past, limit: SpendingLimit | None = None
    ) -> None:
        """Keeps a purchase before it is sent, each time."""
        try:
            is_kept = await self._run(self._begin, record, past, limit)
        except sqlite3.IntegrityError:
            raise PurchaseInProgressError(record.location_id, record.phone_number) from None
        if not is_kept:
            raise NumberAlreadyOwnedError(record.location_id, record.phone_number)

    async def replace(self, old: PurchaseRecord, new: PurchaseRecord) -> bool:
        """Keeps `new` if it holds the version of `old`."""
        return await self._run(self._replace, old, new)

    async def records(self) -> list[PurchaseRecord]:
        """Returns every purchase, oldest first."""
        return await self._run(self._select)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
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
        deadline = clock.seconds() + _TIMEOUT
        while True:
            try:
                self._database.execute("PRAGMA journal_mode = WAL")
                tighten(self._file, "-wal", "-shm")  # new ones get the mode of the file
                self._database.execute("PRAGMA synchronous = FULL")
                # It is looked up a row at a time: 256 KiB of pages are enough.
                self._database.execute("PRAGMA cache_size = -256")
                self._database.executescript(_SCHEMA)
                self._add_columns()
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or clock.seconds() > deadline:
                    raise
                time.sleep(0.01)
            else:
                return

    def _add_columns(self) -> None:
        """Brings a journal of before up to date."""
        if not self._missing_columns():
            return
        with self._transaction():
            for name in self._missing_columns():
                self._database.execute(f"ALTER TABLE purchases ADD COLUMN {name} {_ADDED[name]}")

    def _missing_columns(self) -> list[str]:
        rows = self._database.execute("PRAGMA table_info(purchases)").fetchall()
        there = {row["name"] for row in rows}
        return [name for name in _ADDED if name not in there]

    def _past(self, location_id: str, phone_number: str) -> Past:
        number = {"location_id": location_id, "phone_number": phone_number}
        # In this order: an open purchase may be made meanwhile, not the other way round.
        is_open = self._database.execute(_IS_OPEN, number).fetchone() is not None
        bought = self._database.execute(_LAST_BOUGHT.format(columns="*"), number).fetchone()
        return Past(is_open, bought and PurchaseRecord.from_row(dict(bought)))

    def _begin(self, record: PurchaseRecord, past: Past, limit: SpendingLimit | None) -> bool:
        """Whether it is kept: not if another process bought the number meanwhile."""
        row = {**record.to_row(), "last_bought": past.bought and past.bought.id}
        with self._transaction():
            if limit is not None:
                limit.check(record, limit.spent(self._counting(limit), but=record.id))
            is_kept = self._database.execute(_BEGIN, row).rowcount == 1
            if is_kept:
                self._database.execute(_TOUCH_REFUSED, row)
        return is_kept

    def _counting(self, limit: SpendingLimit) -> list[PurchaseRecord]:
        since = "" if limit.since is None else limit.since.isoformat()
        rows = self._database.execute(_COUNTS, (limit.currency, since))
        return [PurchaseRecord.from_row(dict(row)) for row in rows]

    def _replace(self, old: PurchaseRecord, new: PurchaseRecord) -> bool:
        row = {**new.to_row(), "old_version": old.version}
        try:
            return self._database.execute(_REPLACE, row).rowcount == 1
        except sqlite3.IntegrityError:  # another purchase of the number is open
            return False

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Takes the file for writing, so that no other process spends between look and entry."""
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")

    def _select(self) -> list[PurchaseRecord]:
        return _records_in(self._database)


def read_records(path: str | PathLike[str]) -> list[PurchaseRecord]:
    """Every purchase in a journal's file, oldest first; the file may be on a read-only mount.

    Raises `sqlite3.Error` or `OSError` if it cannot be read, also for a symbolic link.
    """
    file = checked_path("path", path).absolute()
    if not regular_file(file).st_size:
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
