"""One run for all who need its outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from copy import copy
from typing import Any, Generic, TypeVar

from attrs import define

from ._token_sources import ServiceOfSource, TokenService
from .errors import ClientClosedError, LCPhoneError

T = TypeVar("T")

Work = Callable[[TokenService], Coroutine[Any, Any, T]]
"""All of it goes by the client that gives it time to end."""


@define(eq=False)
class Flight(Generic[T]):
    """Runs some work once at a time, and shares what comes of it.

    A failure counts for all who ask within `pause` seconds. One who waits may be cancelled, and
    the work goes on for the others. Where it ends because its client was closed, those of other
    clients begin it anew.
    """

    pause: float
    _task: asyncio.Task[T | LCPhoneError | None] | None = None
    _failure: LCPhoneError | None = None
    _pause_until: float = 0.0

    async def join(self, services: ServiceOfSource, work: Work[T]) -> T:
        """What the run under way gives, or that of a new one; raises its failure."""
        outcome: T | LCPhoneError | None = self.failure
        while outcome is None:
            task = self.begin(services, work)
            await asyncio.wait([task])
            outcome = None if task.cancelled() else task.result()
        if isinstance(outcome, LCPhoneError):
            raise copy(outcome)
        return outcome

    def begin(
        self, services: ServiceOfSource, work: Work[T]
    ) -> asyncio.Task[T | LCPhoneError | None]:
        """The run under way on this event loop, or a new one."""
        task, loop = self._task, asyncio.get_running_loop()
        if task is None or task.done() or task.get_loop() is not loop:
            service = services.get()
            self._task = task = service.start(self._run(service, work))
        return task

    @property
    def failure(self) -> LCPhoneError | None:
        """How the last run failed, while its pause lasts."""
        in_pause = asyncio.get_running_loop().time() < self._pause_until
        return self._failure if in_pause else None

    async def _run(self, service: TokenService, work: Work[T]) -> T | LCPhoneError | None:
        """What it gives or how it failed; `None` where its client was closed before that."""
        try:
            return await work(service)
        except asyncio.CancelledError:
            return None
        except LCPhoneError as error:
            if isinstance(error, ClientClosedError) and not service.is_open:
                return None
            self._failure = error.with_traceback(None)  # its frames would live as long
        self._pause_until = asyncio.get_running_loop().time() + self.pause
        return self._failure
