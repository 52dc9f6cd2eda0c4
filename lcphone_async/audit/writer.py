"""The one who writes: a task with a bounded queue, and a thread of its own for DuckDB."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self

from .._tasks import finished
from .store import Store
from .walk import Inventory


class Writer:
    """Takes inventories as they come, and commits all that wait at once.

    So a disk that is slow to sync does not hold up the walk. Leaving its block waits for the last
    commit, and raises what a commit raised.
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
        self._waiting: asyncio.Queue[Inventory | None] = asyncio.Queue(most_waiting)
        self._on_commit = on_commit
        self._thread = ThreadPoolExecutor(1, "lcphone-audit-store")
        self._failure: Exception | None = None

    async def put(self, inventory: Inventory) -> None:
        """Waits for room; raises what a commit raised, mostly `StoreError`."""
        if self._failure is not None:
            raise self._failure
        await self._waiting.put(inventory)

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._write())
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await finished(self._end())
        if self._failure is not None and exc is None:
            raise self._failure

    async def _end(self) -> None:
        await self._waiting.put(None)
        await self._task
        self._thread.shutdown()

    async def _write(self) -> None:
        ended = False
        while not ended:
            group = [await self._waiting.get()]
            while not self._waiting.empty():
                group.append(self._waiting.get_nowait())
            ended = group[-1] is None
            inventories = [inventory for inventory in group if inventory is not None]
            await self._commit(inventories)
            for inventory in inventories:
                inventory.numbers.close()

    async def _commit(self, inventories: Sequence[Inventory]) -> None:
        if not inventories or self._failure is not None:
            return
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._thread, self._store.commit, self._run_id, inventories)
        except Exception as error:  # noqa: BLE001  # raised again where it is waited for
            self._failure = error
        else:
            self._on_commit(inventories)
