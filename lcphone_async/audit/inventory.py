"""Inventory of one location: its numbers, pools and RCS senders, and its coverage.

Pages are requested by offset, so a number that is released during a walk shifts another one across
a page boundary, and no page shows it. A list is therefore complete only if one response had all
of it, or if two walks saw the same numbers. Otherwise it is walked again, up to four times.

Numbers go into a `Spool` as they arrive, so that memory does not grow with the list. An error of
the location ends up in `Inventory.error`; the errors in `FATAL_ERRORS` concern all locations and
are raised.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import aclosing
from enum import StrEnum
from functools import partial
from http import HTTPStatus
from pathlib import Path

import pyarrow as pa
from attrs import define, field

from .._internal import clock
from .._internal.tasks import OwnTasks, finished_in_thread
from ..client import LCPhoneClient
from ..errors import (
    APIError,
    AuthorizationLostError,
    BudgetUnavailableError,
    CircuitOpenError,
    ClientClosedError,
    IncompleteListError,
    LCPhoneError,
    LocalResourceError,
    PhoneSystemNotConnectedError,
    RepeatedPageError,
    ResponseFormatError,
)
from ..models import ActiveNumbersPage, Location, NumberPool, RcsSenderId
from . import tables
from .errors import ListChangedError, StoreError
from .spool import Spool

# Pages requested ahead for one location. At its limit of 10 requests a second, four keep up with
# responses that take 0.4 s; more would only take memory.
_PREFETCH = 4

# A list that changed during the walk, or a garbled response. The client itself has already retried
# other temporary errors.
_WORTH_A_RETRY = (IncompleteListError, RepeatedPageError, ResponseFormatError)
_MAX_TRIES = 4

# The token endpoints answer 400 with this text; it is final for the location.
_NOT_ACTIVE = re.compile(r"location is not active", re.IGNORECASE)

# These concern all locations, so they end the audit.
FATAL_ERRORS = (
    AuthorizationLostError,
    BudgetUnavailableError,
    CircuitOpenError,
    ClientClosedError,
    LocalResourceError,
    StoreError,
)


class Coverage(StrEnum):
    """How much of a location was seen."""

    PENDING = "pending"
    """Not visited yet."""
    COMPLETE = "complete"
    """All numbers, pools and RCS senders were seen."""
    PARTIAL = "partial"
    """Some of it was seen, such as the pages before one that failed."""
    FAILED = "failed"
    """Nothing was seen, because of an error."""
    NOT_CONNECTED = "not connected"
    """The location has no phone system, and so no numbers."""
    INACTIVE = "inactive"
    """The location is not active: the service issues no token for it."""

    @property
    def is_whole(self) -> bool:
        """True if everything was seen, or if there is nothing to see."""
        return self in {Coverage.COMPLETE, Coverage.NOT_CONNECTED}

    @property
    def is_final(self) -> bool:
        """True if another visit would see nothing more, so that `resume` makes none."""
        return self.is_whole or self is Coverage.INACTIVE


@define
class Inventory:
    """Content of one location as seen by one visit, which may have several walks."""

    location: Location
    """The location."""
    numbers: Spool
    """Numbers of the best walk."""
    coverage: Coverage = Coverage.FAILED
    """How much was seen."""
    error: Exception | None = None
    """Why it is not complete."""
    account_status: str | None = None
    """Status of the phone account, also if only an error stated it."""
    is_under_lc: bool | None = None
    """True if LC Phone provides the numbers."""
    pages: int = 0
    """Pages received, by all walks together."""
    other_tables: dict[str, pa.RecordBatch] = field(factory=dict)
    """Rows of the tables other than `numbers`; a table that was not seen is missing."""
    seconds: float = 0.0
    """Duration of the visit."""

    def rows(self, table: str) -> int | None:
        """Returns the number of rows of a table other than `numbers`; `None` if not seen."""
        return self.other_tables[table].num_rows if table in self.other_tables else None

    @property
    def numbers_seen(self) -> int | None:
        """Number of phone numbers; `None` if the list was not seen."""
        is_seen = self.pages or self.coverage is Coverage.NOT_CONNECTED
        return self.numbers.rows if is_seen else None

    def batches(self, table: str) -> Iterable[pa.RecordBatch]:
        """Returns the rows for a table of the store."""
        if table == "numbers":
            return self.numbers.batches()
        return [self.other_tables[table]] if table in self.other_tables else []

    def replaces(self, table: str, numbers: int) -> bool:
        """True if its rows replace those of an earlier visit, which saw `numbers` numbers."""
        if self.coverage is Coverage.COMPLETE:
            return True
        if table in {"numbers", "repeated_numbers"}:
            return self.numbers.rows >= numbers
        return table in self.other_tables

    def add_walk(self, seen: _ListWalk, run_id: int, *, is_stable: bool) -> None:
        """Adds a walk: its error, its facts, and its numbers unless an earlier walk saw more."""
        self.error = seen.error
        self.account_status = (
            _account_status_in(seen.error) or seen.account_status or self.account_status
        )
        if seen.is_under_lc is not None:
            self.is_under_lc = seen.is_under_lc
        self.pages += seen.pages
        key = (run_id, self.location.id)
        if seen.senders or (seen.senders is not None and "rcs_sender_ids" not in self.other_tables):
            senders = tables.rcs_sender_ids(*key, seen.senders)
            self.other_tables["rcs_sender_ids"] = senders
        if is_stable or seen.error is None or seen.numbers.rows >= self.numbers.rows:
            self.numbers.close()
            self.numbers = seen.numbers
            repeated = tables.repeated_numbers(*key, seen.repeated if is_stable else {})
            self.other_tables["repeated_numbers"] = repeated
        else:
            seen.numbers.close()

    @property
    def reason(self) -> str | None:
        """Why it is not complete, as text."""
        if self.error is None:
            return None
        if isinstance(self.error, LCPhoneError):
            return str(self.error)
        return f"{type(self.error).__name__}: {self.error}"


async def take_inventory(
    client: LCPhoneClient,
    location: Location,
    run_id: int,
    folder: Path | None = None,
    on_page: Callable[[int], None] = lambda _: None,
) -> Inventory:
    """Reads a location: its numbers (also those in pools), pools, RCS senders and account status.

    - `folder`: for temporary files of long lists.
    - `on_page`: called with the number of phone numbers of each page of the first walk.

    An error of the location is in the returned inventory. Raises the errors in `FATAL_ERRORS`.
    """
    started = clock.seconds()
    inventory = Inventory(location, Spool(folder))
    try:
        async with OwnTasks() as tasks:
            pools = tasks.start(_read_pools(client, location.id))
            await _walk_until_stable(client, inventory, run_id, folder, on_page)
            _take_pools(inventory, run_id, await pools)
    except BaseException:
        inventory.numbers.close()
        raise
    inventory.coverage = _coverage(inventory)
    inventory.seconds = clock.seconds() - started
    return inventory


@define
class _ListWalk:
    """Result of one walk over a location's list."""

    numbers: Spool
    account_status: str | None = None
    is_under_lc: bool | None = None
    senders: tuple[RcsSenderId, ...] | None = None
    """`None` if no page has the field."""
    pages: int = 0
    repeated: Counter[str] = field(factory=Counter)
    reached_total: bool = False
    error: Exception | None = None
    digest: int = 0
    """Sum of the hashes of the numbers: equal for two walks that saw the same, in any order."""

    def add(self, run_id: int, location_id: str, page: ActiveNumbersPage) -> None:
        """Adds a page."""
        self.numbers.add(tables.numbers(run_id, location_id, page.numbers))
        self.digest += sum(hash(number.phone_number) for number in page.numbers)
        if page.account_status is not None:
            self.account_status = str(page.account_status)
        if page.is_under_lc is not None:
            self.is_under_lc = page.is_under_lc
        if page.rcs_sender_ids is not None:
            self.senders = page.rcs_sender_ids or self.senders or ()

    @property
    def reached_end(self) -> bool:
        """True if the walk came to the end of the list."""
        return self.error is None or isinstance(self.error, IncompleteListError)

    def agrees_with(self, other: _ListWalk | None) -> bool:
        """True if both walks came to the end and saw the same numbers equally often."""
        return (
            other is not None
            and self.reached_end
            and other.reached_end
            and (self.numbers.rows, self.digest, self.repeated)
            == (other.numbers.rows, other.digest, other.repeated)
        )


async def _walk_until_stable(
    client: LCPhoneClient,
    inventory: Inventory,
    run_id: int,
    folder: Path | None,
    on_page: Callable[[int], None],
) -> None:
    """Walks a list until one response has all of it or two walks agree."""
    before: _ListWalk | None = None
    for _ in range(_MAX_TRIES):
        seen = await _walk(client, inventory.location.id, run_id, folder, on_page)
        is_stable = seen.agrees_with(before) or (seen.pages == 1 and seen.error is None)
        if is_stable and seen.reached_total:
            seen.error = None  # the total counts repeated numbers twice
        inventory.add_walk(seen, run_id, is_stable=is_stable)
        if is_stable or not (seen.error is None or isinstance(seen.error, _WORTH_A_RETRY)):
            return
        before, on_page = (seen if seen.reached_end else before), _ignore
    inventory.error = inventory.error or ListChangedError(_MAX_TRIES)


async def _walk(
    client: LCPhoneClient,
    location_id: str,
    run_id: int,
    folder: Path | None,
    on_page: Callable[[int], None],
) -> _ListWalk:
    """Walks a list once; raises the errors in `FATAL_ERRORS`."""
    seen = _ListWalk(Spool(folder))
    try:
        walk, pages = client._walk_active_numbers(  # noqa: SLF001  # of this package
            location_id,
            skip_number_pool=False,
            include_rcs_sender_ids=True,
            prefetch=_PREFETCH,
        )
        try:
            async with aclosing(pages):
                async for page in pages:
                    await _add_in_thread(partial(seen.add, run_id, location_id, page))
                    on_page(len(page.numbers))
        finally:
            seen.pages, seen.repeated = walk.pages, walk.repeated
            seen.reached_total = walk.reached_total
    except BaseException as error:
        if isinstance(error, FATAL_ERRORS) or not isinstance(error, Exception):
            seen.numbers.close()
            raise
        seen.error = error  # a bad location never stops the others
    return seen


async def _add_in_thread(add: Callable[[], None]) -> None:
    try:
        await finished_in_thread(add)
    except OSError as error:
        reason = f"numbers cannot be kept on the disk: {error.strerror}"
        raise StoreError(reason) from error


async def _read_pools(client: LCPhoneClient, location_id: str) -> list[NumberPool] | Exception:
    """Returns a location's pools, or their error; raises the errors in `FATAL_ERRORS`."""
    for attempt in range(1, _MAX_TRIES + 1):
        try:
            return await client.number_pools(location_id)
        except FATAL_ERRORS:
            raise
        except Exception as error:  # noqa: BLE001  # one bad location never stops the others
            if attempt == _MAX_TRIES or not isinstance(error, ResponseFormatError):
                return error
    raise AssertionError


def _coverage(inventory: Inventory) -> Coverage:
    """Returns the coverage of an inventory, by its error and its rows."""
    error = inventory.error
    if error is None:
        return Coverage.COMPLETE
    if not inventory.numbers.rows:
        is_refusal = getattr(error, "status", None) == HTTPStatus.BAD_REQUEST
        if is_refusal and _NOT_ACTIVE.search(str(error)):
            return Coverage.INACTIVE
        if not inventory.pages and not inventory.rows("pools"):
            is_off = isinstance(error, PhoneSystemNotConnectedError)
            return Coverage.NOT_CONNECTED if is_off else Coverage.FAILED
    return Coverage.PARTIAL


def _take_pools(inventory: Inventory, run_id: int, found: list[NumberPool] | Exception) -> None:
    if isinstance(found, Exception):
        inventory.account_status = _account_status_in(found) or inventory.account_status
        inventory.error = inventory.error or found
        return
    key = (run_id, inventory.location.id)
    inventory.other_tables["pools"] = tables.pools(*key, found)
    inventory.other_tables["pool_numbers"] = tables.pool_numbers(*key, found)


def _account_status_in(error: Exception | None) -> str | None:
    """Returns the account status in an error's body (`{msg, accountStatus}`)."""
    status = error.extra.get("accountStatus") if isinstance(error, APIError) else None
    return status if isinstance(status, str) and status else None


def _ignore(_: int) -> None:
    """Ignores the pages of a second walk, whose numbers are already counted."""
