"""Writer of a store: a bounded queue, and one thread that commits its content."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import TracebackType
from typing import Self

from .._internal.tasks import ended
from .errors import StoreError
from .inventory import Inventory
from .store import Store


class Writer:
    """Queue of inventories; each commit writes everything that is queued.

    So a disk with slow syncs does not delay the walks. The end of its block waits for the last
    commit, and raises the error of a commit. There is no task: an event loop that ends cancels its
    tasks, and the queued inventories would be lost.
    """

    def __init__(
        self,
        store: Store,
        run_id: int,
        most_waiting: int,
        on_commit: Callable[[Sequence[Inventory]], None],
    ) -> None:
        self._store = store
        self._run_id = run_id
        self._waiting: asyncio.Queue[Inventory] = asyncio.Queue(most_waiting)
        self._on_commit = on_commit
        self._thread = ThreadPoolExecutor(1, "lcphone-audit-store")
        self._failure: BaseException | None = None
        self._idle = asyncio.get_running_loop().create_future()
        self._idle.set_result(None)

    async def put(self, inventory: Inventory) -> None:
        """Queues an inventory, and waits for room; raises the error of a failed commit."""
        if self._failure is not None:
            raise self._failure
        await self._waiting.put(inventory)
        if self._idle.done():
            self._idle = asyncio.get_running_loop().create_future()
            self._commit_waiting()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            await ended([self._idle])
        finally:
            self._thread.shutdown()
        if self._failure is not None and exc is None:
            raise self._failure

    def _commit_waiting(self) -> None:
        """Commits the queue in the thread; after a failed commit, drops it instead."""
        group = [self._waiting.get_nowait() for _ in range(self._waiting.qsize())]
        if group and self._failure is None:
            try:
                commit = asyncio.get_running_loop().run_in_executor(
                    self._thread, self._store.commit, self._run_id, group
                )
            except RuntimeError as error:  # no thread can be started
                self._failure = StoreError(f"the store cannot be written: {error}")
            else:
                commit.add_done_callback(partial(self._committed, group))
                return
        _close_all(group)
        self._idle.set_result(None)

    def _committed(self, group: Sequence[Inventory], commit: asyncio.Future[None]) -> None:
        _close_all(group)
        self._failure = commit.exception()
        if self._failure is None:
            self._on_commit(group)
        self._commit_waiting()


def _close_all(inventories: Sequence[Inventory]) -> None:
    for inventory in inventories:
        inventory.numbers.close()
