"""What faults do to a request: waiting, answering in the service's place, damaging its answer."""

from asyncio import Task, current_task, sleep, wait
from collections.abc import Callable, Iterable

from aiohttp import web
from attrs import define, field

from ..refusals import RefusedError, phrase
from .damage import DAMAGES
from .list_changes import ListChange
from .rules import Fault


@define
class FaultInjector:
    """Takes requests through the faults that strike them."""

    refuse: Callable[[RefusedError], web.Response]
    _waiting: set[Task[object]] = field(factory=set, init=False)

    async def through(
        self,
        faults: Iterable[Fault],
        act: Callable[[], web.Response],
        change: Callable[[ListChange], None],
    ) -> web.StreamResponse:
        """Let the service act, unless a fault answers before; the faults come in their order."""
        answer = None
        for fault in faults:
            if fault.point == "after" and answer is None:
                answer = act()
            await self._wait(fault.delay)
            if fault.change is not None:
                change(fault.change)
            for _ in range(fault.replay or 0):
                answer = act()
            if fault.answers:
                return self._spoiled(fault, answer)
        return act() if answer is None else answer

    async def stop(self, _: web.Application) -> None:
        """End what waits, also for clients that hung up long ago: aiohttp forgets those."""
        for task in self._waiting:
            task.cancel()
        if self._waiting:
            await wait(self._waiting)

    async def _wait(self, seconds: float) -> None:
        task = current_task()
        if not seconds or task is None:
            return
        self._waiting.add(task)
        try:
            await sleep(seconds)
        finally:
            self._waiting.discard(task)

    def _spoiled(self, fault: Fault, answer: web.Response | None) -> web.StreamResponse:
        if fault.says is not None or answer is None:
            answer = self._instead(fault)
        return answer if fault.damage is None else DAMAGES[fault.damage](answer)

    def _instead(self, fault: Fault) -> web.Response:
        status = 500 if fault.says is None else fault.says
        if fault.body is None:
            answer = self.refuse(RefusedError(status, phrase(status)))
        elif isinstance(fault.body, str):
            answer = web.Response(status=status, text=fault.body, content_type="text/html")
        else:
            answer = web.json_response(dict(fault.body), status=status)
        if fault.retry_after is not None:
            answer.headers["Retry-After"] = str(fault.retry_after)
        return answer
