"""One run for all who need its outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from copy import copy
from functools import partial
from typing import Any, Generic, TypeVar

from attrs import define

from ..errors import ClientClosedError, LCPhoneError
from .sources import ServiceOfSource, TokenService

T = TypeVar("T")

Work = Callable[[TokenService], Coroutine[Any, Any, T]]
"""All of it goes by the client that gives it time to end."""


@define(eq=False)
class SingleFlight(Generic[T]):
    """Runs some work once at a time, and shares what comes of it.

    A failure counts for all who ask within `cooldown` seconds. One who waits may be cancelled, and
    the work goes on for the others. Where it ends because its client was closed, those of other
    clients begin it anew.
    """

    cooldown: float
    _task: asyncio.Task[T | LCPhoneError | None] | None = None
    _outcome: asyncio.Future[T | LCPhoneError | None] | None = None
    _failure: LCPhoneError | None = None
    _cool_at: float = 0.0

    async def join(self, services: ServiceOfSource, work: Work[T]) -> T:
        """What the run under way gives, or that of a new one; raises its failure."""
        outcome: T | LCPhoneError | None = self.failure
        while outcome is None:
            run = self.begin(services, work)
            await asyncio.wait([run])
            outcome = run.result()
        if isinstance(outcome, LCPhoneError):
            raise copy(outcome)
        return outcome

    def begin(
        self, services: ServiceOfSource, work: Work[T]
    ) -> asyncio.Future[T | LCPhoneError | None]:
        """The outcome of the run under way on this event loop, or of a new one."""
        task, loop = self._task, asyncio.get_running_loop()
        if self._outcome is None or task is None or task.done() or task.get_loop() is not loop:
            service = services.get()
            self._task = service.start(self._run(service, work))
            self._outcome = loop.create_future()
            self._task.add_done_callback(partial(_share, self._outcome))
        return self._outcome

    def fail(self, error: LCPhoneError) -> None:
        """Raises `error` for all who ask until the run has ended, which goes on."""
        if self._outcome is not None and not self._outcome.done():
            self._outcome.set_result(error)

    @property
    def failure(self) -> LCPhoneError | None:
        """How the last run failed, while its cooldown lasts."""
        is_cooling = asyncio.get_running_loop().time() < self._cool_at
        return self._failure if is_cooling else None

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
        self._cool_at = asyncio.get_running_loop().time() + self.cooldown
        return self._failure


def _share(
    outcome: asyncio.Future[T | LCPhoneError | None], task: asyncio.Task[T | LCPhoneError | None]
) -> None:
    """Shares what became of a run, unless it failed before its end; `None` if it was cut short."""
    if outcome.done():
        return
    if task.cancelled():
        outcome.set_result(None)
    elif (error := task.exception()) is not None:
        outcome.set_exception(error)
        outcome.exception()  # seen, so that asyncio does not report it as never retrieved
    else:
        outcome.set_result(task.result())
