"""Single flight: concurrent callers share one run and its outcome.

How it works: the first caller starts a task, which belongs to a client that is still open; later
callers wait for the same outcome. A caller that is cancelled leaves the task running, because a
refresh that was sent must be stored. If the task's client was closed, the outcome is `None` and
the callers of other clients start a new run. A failure is raised again, as a copy for each
caller, until its cooldown has passed. `fail` raises an error early while the task goes on.
"""

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
    """Runs work once at a time; a failure is raised again for `cooldown` seconds."""

    cooldown: float
    _task: asyncio.Task[T | LCPhoneError | None] | None = None
    _outcome: asyncio.Future[T | LCPhoneError | None] | None = None
    _failure: LCPhoneError | None = None
    _cool_at: float = 0.0

    async def join(self, services: ServiceOfSource, work: Work[T]) -> T:
        """Return the result of the current or a new run; raise its failure."""
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
        """Return the outcome of the current run on this event loop, or of a new one."""
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
        """Return the result or the failure; `None` if its client was closed first."""
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
