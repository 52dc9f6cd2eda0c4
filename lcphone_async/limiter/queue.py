"""Who waits for a slot: first come, first served, and bulk calls after the others."""

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

# Of so many slots in a row, one at least goes to a bulk call, where there is one.
_BULK_TURN = 10

_is_bulk: ContextVar[bool] = ContextVar("lcphone_async.bulk", default=False)


@contextmanager
def bulk() -> Iterator[None]:
    """Marks the calls of the block as bulk work, which lets other calls go first.

    Where there is a line, one slot in ten still goes to bulk calls, and where there is none they
    take all but two in a hundred.

    >>> async def audit(client, location_id):
    ...     with bulk():
    ...         return [number async for number in client.active_numbers(location_id)]
    """
    token = _is_bulk.set(True)
    try:
        yield
    finally:
        with suppress(ValueError):  # left in another task, as an async generator may be
            _is_bulk.reset(token)


def in_bulk() -> bool:
    """Whether the running call is bulk work."""
    return _is_bulk.get()


@define(eq=False)
class WaitQueue(Generic[T]):
    """Futures of those who wait; serving one is to give its future a result."""

    _others: deque[asyncio.Future[T]] = field(factory=deque)
    _bulk: deque[asyncio.Future[T]] = field(factory=deque)
    _turns_before_bulk: int = _BULK_TURN

    def _of(self, *, bulk: bool) -> deque[asyncio.Future[T]]:
        return self._bulk if bulk else self._others

    def __len__(self) -> int:
        return len(self._others) + len(self._bulk)

    @property
    def only_bulk(self) -> bool:
        """Whether nobody but bulk calls waits."""
        return not self._others

    def join(self, *, bulk: bool) -> asyncio.Future[T]:
        """A place at the end."""
        waiter: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._of(bulk=bulk).append(waiter)
        return waiter

    def leave(self, waiter: asyncio.Future[T], *, bulk: bool) -> None:
        """Gives a place up; it may have been served already."""
        with suppress(ValueError):
            self._of(bulk=bulk).remove(waiter)

    def serve(self, result: T) -> bool:
        """Gives a result to whose turn it is; `False` where it was given up meanwhile."""
        bulk_turn = not self._others or (self._turns_before_bulk <= 0 and bool(self._bulk))
        waiter = self._of(bulk=bulk_turn).popleft()
        if waiter.done():
            return False
        self._turns_before_bulk = _BULK_TURN if bulk_turn else self._turns_before_bulk - 1
        waiter.set_result(result)
        return True

    def fail_all(self, error: LCPhoneError, *, bulk: bool) -> None:
        """Ends the wait of all bulk calls, or of all others, with an error of their own each."""
        line = self._of(bulk=bulk)
        while line:
            waiter = line.popleft()
            if not waiter.done():
                waiter.set_exception(copy(error))
