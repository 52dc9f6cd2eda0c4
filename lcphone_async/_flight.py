"""One run for all who need its outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from copy import copy
from typing import Any, Generic, TypeVar

from attrs import define

from .errors import LCPhoneError, TokenUnavailableError

T = TypeVar("T")

Work = Callable[[], Coroutine[Any, Any, T]]
Start = Callable[[Coroutine[Any, Any, Any]], asyncio.Task[Any]]
"""Makes a task that outlives whoever waits for it."""


@define(eq=False)
class Flight(Generic[T]):
    """Runs some work once at a time, and shares what comes of it.

    A failure counts for all who ask within `pause` seconds. One who waits may be cancelled, and
    the work goes on for the others.
    """

    pause: float
    _task: asyncio.Task[T | LCPhoneError] | None = None
    _failure: LCPhoneError | None = None
    _pause_until: float = 0.0

    async def join(self, start: Start, work: Work[T]) -> T:
        """What the run under way gives, or that of a new one; raises its failure."""
        outcome: T | LCPhoneError | None = self.failure
        if outcome is None:
            outcome = await asyncio.shield(self.begin(start, work))
        if isinstance(outcome, LCPhoneError):
            raise copy(outcome)
        return outcome

    def begin(self, start: Start, work: Work[T]) -> asyncio.Task[T | LCPhoneError]:
        """The run under way, or a new one."""
        if self._task is None or self._task.done():
            self._task = start(self._run(work))
        return self._task

    @property
    def failure(self) -> LCPhoneError | None:
        """How the last run failed, while its pause lasts."""
        in_pause = asyncio.get_running_loop().time() < self._pause_until
        return self._failure if in_pause else None

    async def _run(self, work: Work[T]) -> T | LCPhoneError:
        try:
            return await work()
        except LCPhoneError as error:
            self._failure = error.with_traceback(None)  # its frames would live as long
        except asyncio.CancelledError:  # with its owner: others may still wait
            self._failure = TokenUnavailableError("its client was closed before the answer came")
        self._pause_until = asyncio.get_running_loop().time() + self.pause
        return self._failure
