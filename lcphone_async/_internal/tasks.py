"""Tasks that end with their owner, and work that is not to be cut short."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable, Coroutine, Iterable
from contextvars import Context
from math import inf
from typing import Any, Self, TypeVar

T = TypeVar("T")


def _is_cancelled() -> bool:
    """Whether the caller was cancelled, and has not come to the end of it."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def ended(
    tasks: Iterable[asyncio.Future[Any]], within: float = inf, grace: float = inf
) -> None:
    """Waits for them, however often the caller is cancelled; that is raised afterwards.

    It waits `within` seconds at the most, and `grace` once the caller is cancelled.
    """
    now = asyncio.get_running_loop().time
    until = now() + (min(within, grace) if _is_cancelled() else within)
    cancelled = None
    while (running := [task for task in tasks if not task.done()]) and now() < until:
        try:
            await asyncio.wait(running, timeout=None if until == inf else until - now())
        except asyncio.CancelledError as error:
            cancelled = error
            until = min(until, now() + grace)
    if cancelled is not None:
        raise cancelled


async def finished(work: Coroutine[Any, Any, T], grace: float = inf) -> T:
    """What the work gives, however often the caller is cancelled; that is raised afterwards.

    Once the caller is cancelled the work has `grace` seconds, and then is cancelled as well.
    """
    async with OwnTasks() as tasks:
        task = tasks.start(work)
        await tasks.ended(grace=grace)
    return task.result()


async def finished_in_thread(work: Callable[[], T]) -> T:
    """The same for work in a thread, which nothing cuts short.

    No task stands for it: a loop that ends cancels all of them, and the thread would be left.
    Raises `OSError` if no thread can be started, as pthreads do.
    """
    try:
        future = asyncio.get_running_loop().run_in_executor(None, work)
    except RuntimeError as error:
        raise OSError(errno.EAGAIN, str(error)) from error
    try:
        await ended([future])
    except asyncio.CancelledError:
        future.cancelled() or future.exception()  # seen
        raise
    return future.result()


class LastingTask(asyncio.Task[T]):
    """A task that has some seconds to end after its event loop was stopped.

    `asyncio.run` cancels every task at its end: after a second Ctrl-C, and if a client was never
    closed. A loop that runs cancels this task as any other.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, T], grace: float, context: Context) -> None:
        super().__init__(coroutine, loop=asyncio.get_running_loop(), context=context)
        self._grace = grace

    def cancel(self, msg: Any = None) -> bool:
        """Cancels it, at once or in its time."""
        loop = self.get_loop()
        if loop.is_running():
            return super().cancel(msg)
        loop.call_later(self._grace, super().cancel, msg)
        return not self.done()


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
        return self.add(asyncio.create_task(coroutine, context=context))

    def add(self, task: asyncio.Task[T]) -> asyncio.Task[T]:
        """Makes a task one of this scope."""
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    async def ended(self, within: float = inf, grace: float = inf) -> None:
        """Waits for all of them, as `ended` does."""
        await ended(tuple(self._running), within, grace)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        for task in self._running:
            task.cancel()
        await ended(tuple(self._running))

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # seen, so that asyncio does not report it as never retrieved
