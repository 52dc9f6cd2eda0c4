"""Tasks that end with their owner, and work that is not to be cut short."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from contextvars import Context
from types import TracebackType
from typing import Any, Self, TypeVar

T = TypeVar("T")


async def ended(tasks: Iterable[asyncio.Future[Any]]) -> None:
    """Waits for them, however often the caller is cancelled; that is raised afterwards."""
    cancelled = None
    while running := [task for task in tasks if not task.done()]:
        try:
            await asyncio.wait(running)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled


async def finished(work: Coroutine[Any, Any, T]) -> T:
    """What the work gives, however often the caller is cancelled; that is raised afterwards."""
    return await _result(asyncio.create_task(work))


async def finished_in_thread(work: Callable[[], T]) -> T:
    """The same for work in a thread.

    No task stands for it: a loop that ends cancels all of them, and the thread would be left.
    """
    return await _result(asyncio.get_running_loop().run_in_executor(None, work))


async def _result(future: asyncio.Future[T]) -> T:
    try:
        await ended([future])
    except asyncio.CancelledError:
        future.cancelled() or future.exception()  # seen
        raise
    return future.result()


class OwnTasks:
    """A scope whose tasks are cancelled, and have ended, when it is left.

    Unlike an `asyncio.TaskGroup` it may be left open across a `yield`, waits for nothing that
    nobody asked for, and hands a task's error only to whoever awaits that task.
    """

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    def start(
        self, coroutine: Coroutine[Any, Any, T], context: Context | None = None
    ) -> asyncio.Task[T]:
        """A task of this scope."""
        task = asyncio.create_task(coroutine, context=context)
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    async def ended(self, within: float) -> None:
        """Waits for all of them, so many seconds at the most."""
        if self._running:
            await asyncio.wait(self._running, timeout=within)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for task in self._running:
            task.cancel()
        await ended(tuple(self._running))

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # seen, so that asyncio does not report it as never retrieved
