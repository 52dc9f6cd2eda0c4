"""Walks the await points of an operation: at each of them, in turn, something gets in its way.

A task factory wraps every coroutine that is run as a task, so that the points of tasks in the
background count as well as the caller's own. A server on the same event loop does not count.
"""

import asyncio
import gc
import sys
import warnings
import weakref
from collections.abc import Coroutine
from contextlib import ExitStack, asynccontextmanager, contextmanager
from contextvars import ContextVar
from pathlib import Path

from attrs import define, field, frozen

from lcphone_async import ClientClosedError, PurchaseOutcomeUnknownError

_serving = ContextVar("serving", default=False)

# No operation here has so many await points: it would go on for ever.
_MOST_POINTS = 1000

_LONG = 10


class _Watched(Coroutine):
    """A coroutine that tells when it suspends."""

    def __init__(self, coroutine, suspended):
        self._coroutine = coroutine
        self._suspended = suspended

    def send(self, value):
        return self._suspended(self._coroutine.send(value))

    def throw(self, *error):
        return self._suspended(self._coroutine.throw(*error))

    def close(self):
        self._coroutine.close()

    def __await__(self):
        return self._coroutine.__await__()

    def __getattr__(self, name):
        return getattr(self._coroutine, name)


@define(eq=False)
class Loop:
    """The running loop: the tasks that are on it, where they suspend, and what it complains of."""

    _loop: asyncio.AbstractEventLoop = field(factory=asyncio.get_running_loop)
    suspended: object = None
    """Called with what a task waits for, and gives what it is to wait for."""
    complaints: list = field(factory=list)
    _servers: weakref.WeakSet = field(factory=weakref.WeakSet)

    @contextmanager
    def watched(self):
        """Tasks that begin in the block are watched, and what is complained of is kept."""
        with ExitStack() as stack:
            stack.callback(self._loop.set_task_factory, self._loop.get_task_factory())
            self._loop.set_task_factory(self._task)
            stack.callback(self._loop.set_exception_handler, None)
            self._loop.set_exception_handler(lambda _, context: self.complaints.append(context))
            stack.enter_context(warnings.catch_warnings())
            warnings.simplefilter("always")
            warnings.showwarning = lambda message, *_: self.complaints.append(message)
            stack.callback(setattr, sys, "unraisablehook", sys.unraisablehook)
            sys.unraisablehook = lambda args: self.complaints.append(repr(args))
            gc.collect()
            stack.callback(gc.unfreeze)
            gc.freeze()  # what was there before is not looked through each time
            yield

    def tasks(self):
        """Those that are neither this one nor a server's."""
        tasks = asyncio.all_tasks() - {*self._servers, asyncio.current_task()}
        return {task for task in tasks if not _serves(task)}

    async def is_idle(self):
        """Waits until the servers, too, have no task left, and so no connection."""
        async with asyncio.timeout(_LONG):
            while asyncio.all_tasks() != {asyncio.current_task()}:
                await asyncio.sleep(0)

    def _task(self, loop, coroutine, **options):
        if _serving.get():
            task = asyncio.Task(coroutine, loop=loop, **options)
            self._servers.add(task)
            return task
        return asyncio.Task(_Watched(coroutine, self._on_suspend), loop=loop, **options)

    def _on_suspend(self, awaited):
        if self.suspended is not None:
            self.suspended(awaited)
        return awaited


def _serves(task):
    """Whether it is of a server that made it without the loop's factory, as of Python 3.12."""
    return sys.version_info >= (3, 12) and task.get_context().get(_serving, False)


@asynccontextmanager
async def served(server):
    """Enters a server whose tasks do not count."""
    token = _serving.set(True)
    try:
        await server.__aenter__()
    finally:
        _serving.reset(token)
    try:
        yield server
    finally:
        await server.__aexit__(None, None, None)


@frozen
class Outcome:
    """What a caller saw."""

    result: object = None
    error: BaseException | None = None
    cancels: int = 0
    """The cancellations that its task is to obey still."""


class Disturbance:
    """Nothing gets in the way."""

    closing = None

    def __init__(self, loop, nth=0, moment=None):
        self.loop = loop
        self.has_struck = False
        self.left = set()
        """The tasks that are there when the work ends, before one that is cancelled can end too."""
        self._nth = nth
        self._moment = moment
        self._points = 0

    async def outcome(self, work, close):
        """What comes of some work that is disturbed at the nth of its await points."""
        self._close = close
        self._test = asyncio.current_task()
        self.loop.suspended = self._suspended
        task = self._caller = asyncio.create_task(self._seen_to_its_end(work))
        async with asyncio.timeout(_LONG):
            await asyncio.wait([task])
        self.loop.suspended = None
        await self._ended()
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        return Outcome(None if error else task.result(), error, task.cancelling())

    def check(self, outcome, expected):
        """Fails unless the caller saw what it is to see."""
        assert outcome == Outcome(expected), outcome

    async def _seen_to_its_end(self, work):
        others = self.loop.tasks()
        try:
            return await self._call(work)
        finally:
            self.left = self.loop.tasks() - others - {self.closing}

    async def _call(self, work):
        return await work

    def _strike(self):
        """Gets in the way."""

    async def _ended(self):
        """Waits for what it began itself."""

    def _suspended(self, awaited):
        self._points += 1
        if self._points == self._nth:
            self._strike_at_moment(awaited)

    def _strike_at_moment(self, awaited):
        self.has_struck = True
        if self._moment == "waking" and awaited is not None:
            awaited.add_done_callback(self._strike_if_it_runs)
        else:
            asyncio.get_running_loop().call_soon(self._strike_if_it_runs)

    def _strike_if_it_runs(self, _=None):
        if not self._caller.done():
            self._strike()


class Cancel(Disturbance):
    """Whoever calls is cancelled, `times` times: again at each next await point."""

    times = 1

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self._obeyed = 0
        self._left = self.times

    def check(self, outcome, expected):
        if self._obeyed:
            assert isinstance(outcome.error, asyncio.CancelledError), outcome
            assert outcome.cancels == self._obeyed
        else:
            super().check(outcome, expected)

    def _suspended(self, awaited):
        self._points += 1
        if self._points >= self._nth and self._left:
            self._left -= 1
            self._strike_at_moment(awaited)

    def _strike(self):
        self._obeyed += self._caller.cancel()


class CancelTwice(Cancel):
    """The second time while it cleans up."""

    times = 2


class CancelOnAndOn(Cancel):
    """Whatever it does."""

    times = 7


class CancelAll(Cancel):
    """Every task is cancelled, as `asyncio.run` does when its main task has ended."""

    def _strike(self):
        super()._strike()
        for task in self.loop.tasks() - {self._caller, self._test}:
            task.cancel()


class TimeOut(Disturbance):
    """The caller's own timeout ends."""

    def check(self, outcome, expected):
        if self._timeout.expired():
            assert isinstance(outcome.error, TimeoutError), outcome
            assert outcome.cancels == 0
        else:
            super().check(outcome, expected)

    async def _call(self, work):
        async with asyncio.timeout(None) as self._timeout:
            return await work

    def _strike(self):
        self._timeout.reschedule(0)


class Close(Disturbance):
    """Another task closes the client."""

    def check(self, outcome, expected):
        if outcome.error is None:
            super().check(outcome, expected)
        else:
            assert isinstance(outcome.error, ClientClosedError | PurchaseOutcomeUnknownError)
            assert (self.has_struck, outcome.cancels) == (True, 0)

    def _strike(self):
        self.closing = asyncio.create_task(self._close())

    async def _ended(self):
        if self.closing is not None:
            async with asyncio.timeout(_LONG):
                await self.closing


DISTURBANCES = [
    (Cancel, "asleep"),
    (Cancel, "waking"),
    (CancelTwice, "asleep"),
    (CancelOnAndOn, "waking"),
    (TimeOut, "asleep"),
    (Close, "asleep"),
    (Close, "waking"),
]
"""Each with its moment: while the task waits, or once what it waits for is there."""


def open_files():
    """How many file descriptors this process has."""
    return sum(1 for _ in Path("/dev/fd").iterdir())


async def walk(run, disturbance, moment):
    """Disturbs at the first await point, at the second and so on; gives how many there are.

    `run` is an async function of a number, which tells runs apart, and of what comes in its way.
    It fails unless all is well afterwards.
    """
    loop = Loop()
    with loop.watched():
        await run(0, Disturbance(loop))  # what is made once is made now
        files = open_files()
        for nth in range(1, _MOST_POINTS):
            in_the_way = disturbance(loop, nth, moment)
            try:
                await run(nth, in_the_way)
                await loop.is_idle()
                gc.collect()
                assert not loop.complaints, loop.complaints
                assert open_files() <= files
            except BaseException as error:
                error.add_note(f"at await point {nth}")
                raise
            if not in_the_way.has_struck:
                return nth - 1
    raise AssertionError("it does not end")
