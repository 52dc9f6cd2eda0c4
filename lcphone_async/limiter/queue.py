"""FIFO wait queue; bulk calls yield to others."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from copy import copy
from typing import Generic, TypeVar

from attrs import define, field

from ..errors import LCPhoneError

T = TypeVar("T")

# If bulk calls wait, they get at least one of this many consecutive slots.
_BULK_TURN = 10

_is_bulk: ContextVar[bool] = ContextVar("lcphone_async.bulk", default=False)


@contextmanager
def bulk() -> Iterator[None]:
    """Marks the calls of the block as bulk work, which lets other calls go first.

    While other calls wait, bulk calls get one slot in ten. Otherwise they may use all slots but
    2 %.

    >>> async def audit(client, location_id):
    ...     with bulk():
    ...         return [number async for number in client.active_numbers(location_id)]
    """
    token = _is_bulk.set(True)
    try:
        yield
    finally:
        with suppress(ValueError):  # an async generator may exit in another task
            _is_bulk.reset(token)


def in_bulk() -> bool:
    """Return True inside a `bulk` block."""
    return _is_bulk.get()


@define(eq=False)
class WaitQueue(Generic[T]):
    """FIFO queue of futures, one for bulk calls and one for all others."""

    _others: deque[asyncio.Future[T]] = field(factory=deque)
    _bulk: deque[asyncio.Future[T]] = field(factory=deque)
    _turns_before_bulk: int = _BULK_TURN

    def _of(self, *, bulk: bool) -> deque[asyncio.Future[T]]:
        return self._bulk if bulk else self._others

    def __len__(self) -> int:
        return len(self._others) + len(self._bulk)

    @property
    def only_bulk(self) -> bool:
        """True if no call waits except bulk calls."""
        return not self._others

    def join(self, *, bulk: bool) -> asyncio.Future[T]:
        """Append a future and return it."""
        waiter: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._of(bulk=bulk).append(waiter)
        return waiter

    def leave(self, waiter: asyncio.Future[T], *, bulk: bool) -> None:
        """Remove a future, if it still waits."""
        with suppress(ValueError):
            self._of(bulk=bulk).remove(waiter)

    def serve(self, result: T) -> bool:
        """Set the result of the next future; return False if it was cancelled."""
        bulk_turn = not self._others or (self._turns_before_bulk <= 0 and bool(self._bulk))
        waiter = self._of(bulk=bulk_turn).popleft()
        if waiter.done():
            return False
        self._turns_before_bulk = _BULK_TURN if bulk_turn else self._turns_before_bulk - 1
        waiter.set_result(result)
        return True

    def fail_all(self, error: LCPhoneError, *, bulk: bool) -> None:
        """Raise a copy of the error in all bulk calls that wait, or in all others."""
        line = self._of(bulk=bulk)
        while line:
            waiter = line.popleft()
            if not waiter.done():
                waiter.set_exception(copy(error))
