"""The inventory of one location: all that it holds, and how far it could be seen."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import aclosing
from enum import StrEnum
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pyarrow as pa
from attrs import define, field

from .. import _clock
from .._tasks import OwnTasks, finished_in_thread
from ..client import LCPhoneClient
from ..errors import (
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
from ..models import ActiveNumbersPage, Location, RcsSenderId
from . import tables
from .errors import StoreError
from .spool import Spool

# Pages under way for one location. Its budget is 10 requests a second, so that this is enough for
# answers that take 0.4 s, and many locations side by side stay small.
_PREFETCH = 4

# What a second look may mend: a list that changed meanwhile, an answer that was garbled on its
# way. All else that passes by itself, the client has tried again already.
_WORTH_ANOTHER_WALK = (IncompleteListError, RepeatedPageError, ResponseFormatError)
_MORE_WALKS = 3

# A 400 of the token endpoints that is final for the location.
_NOT_ACTIVE = re.compile(r"location is not active", re.IGNORECASE)

# What concerns no single location.
_ENDS_THE_AUDIT = (
    AuthorizationLostError,
    BudgetUnavailableError,
    CircuitOpenError,
    ClientClosedError,
    LocalResourceError,
    StoreError,
)


class Coverage(StrEnum):
    """How far the inventory of a location could be taken."""

    PENDING = "pending"
    """Not visited yet."""
    COMPLETE = "complete"
    PARTIAL = "partial"
    """Some of it, such as the pages before one that failed; the reason says why not all."""
    FAILED = "failed"
    """Nothing of it, for the reason given."""
    NOT_CONNECTED = "not connected"
    """The location has no phone system, so there is nothing to see."""
    INACTIVE = "inactive"
    """The location is not active, so the service gives no token for it, and nothing was seen."""

    @property
    def is_whole(self) -> bool:
        """Whether all that there is was seen."""
        return self in {Coverage.COMPLETE, Coverage.NOT_CONNECTED}

    @property
    def is_final(self) -> bool:
        """Whether another visit would see nothing more, so that `resume` makes none."""
        return self.is_whole or self is Coverage.INACTIVE


@define
class Inventory:
    """What a location holds."""

    location: Location
    numbers: Spool
    coverage: Coverage = Coverage.FAILED
    error: Exception | None = None
    """Why it is not complete."""
    account_status: str | None = None
    is_under_lc: bool | None = None
    others: dict[str, pa.RecordBatch] = field(factory=dict)
    """The rows of its other tables, by table."""
    seconds: float = 0.0
    """How long it took."""

    def rows(self, table: str) -> int:
        """How many rows of a table it has."""
        return self.others[table].num_rows if table in self.others else 0

    @property
    def reason(self) -> str | None:
        """Why it is not complete, in words."""
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
    """Walks a location, numbers in pools included; its pools, RCS senders and account status too.

    `folder` is where many numbers wait for the store; `on_page` is told how many a page had.
    What goes wrong with the location is in the inventory; what ends the whole audit is raised.
    """
    started = _clock.seconds()
    inventory = await _attempt(client, location, run_id, folder, on_page)
    for _ in range(_MORE_WALKS):
        if not isinstance(inventory.error, _WORTH_ANOTHER_WALK):
            break
        inventory.numbers.close()
        inventory = await _attempt(client, location, run_id, folder, on_page)
    inventory.seconds = _clock.seconds() - started
    return inventory


async def _attempt(
    client: LCPhoneClient,
    location: Location,
    run_id: int,
    folder: Path | None,
    on_page: Callable[[int], None],
) -> Inventory:
    inventory = Inventory(location, Spool(folder))
    try:
        await _walk(client, inventory, run_id, on_page)
        inventory.coverage = Coverage.COMPLETE
    except BaseException as error:
        if isinstance(error, _ENDS_THE_AUDIT) or not isinstance(error, Exception):
            inventory.numbers.close()
            raise
        # One bad location never stops the others.
        inventory.coverage = Coverage.PARTIAL if inventory.numbers.rows else _nothing_seen(error)
        inventory.error = error
    return inventory


def _nothing_seen(error: Exception) -> Coverage:
    """Why nothing of a location was seen."""
    if isinstance(error, PhoneSystemNotConnectedError):
        return Coverage.NOT_CONNECTED
    is_refusal = getattr(error, "status", None) == HTTPStatus.BAD_REQUEST
    return Coverage.INACTIVE if is_refusal and _NOT_ACTIVE.search(str(error)) else Coverage.FAILED


async def _walk(
    client: LCPhoneClient, inventory: Inventory, run_id: int, on_page: Callable[[int], None]
) -> None:
    location_id = inventory.location.id
    senders: tuple[RcsSenderId, ...] = ()
    async with OwnTasks() as tasks:
        pools = tasks.start(client.number_pools(location_id))
        pages = client.active_number_pages(
            location_id,
            skip_number_pool=False,
            include_rcs_sender_ids=True,
            prefetch=_PREFETCH,
        )
        async with aclosing(pages):
            async for page in pages:
                try:
                    await finished_in_thread(partial(_keep, inventory, run_id, page))
                except OSError as error:
                    reason = f"numbers cannot be kept on the disk: {error.strerror}"
                    raise StoreError(reason) from error
                on_page(len(page.numbers))
                senders = page.rcs_sender_ids or senders
        of_location = (run_id, location_id)
        inventory.others["rcs_sender_ids"] = tables.rcs_sender_ids(*of_location, senders)
        try:
            found = await pools
        except PhoneSystemNotConnectedError:
            if not inventory.numbers.rows:
                raise
            found = []  # it has numbers, and no pools
        inventory.others["pools"] = tables.pools(*of_location, found)
        inventory.others["pool_numbers"] = tables.pool_numbers(*of_location, found)


def _keep(inventory: Inventory, run_id: int, page: ActiveNumbersPage) -> None:
    batch = tables.numbers(run_id, inventory.location.id, page.numbers)
    inventory.numbers.add(batch)
    status: Any = page.account_status
    if status is not None:
        inventory.account_status = str(status)
    if page.is_under_lc is not None:
        inventory.is_under_lc = page.is_under_lc
