"""Runs an operation once for each of its await points, and disturbs it at that point.

A task factory wraps each coroutine that runs as a task, so the await points of background tasks
count as well as the caller's own. Those of a server on the same event loop do not count.
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

# An operation with more await points than this is taken for an endless loop.
_MOST_POINTS = 1000

_LONG = 10


class _Watched(Coroutine):
    """A coroutine that reports each suspension."""

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
    """The running event loop: its tasks, their suspensions and the errors that it reports."""

    _loop: asyncio.AbstractEventLoop = field(factory=asyncio.get_running_loop)
    suspended: object = None
    """Called with the future that a task waits for; returns the future to wait for instead."""
    complaints: list = field(factory=list)
    _servers: weakref.WeakSet = field(factory=weakref.WeakSet)

    @contextmanager
    def watched(self):
        """Within the block, watches each new task and records the errors that the loop reports."""
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
            gc.freeze()  # objects from before are not scanned each time
            yield

    def tasks(self):
        """The unfinished tasks, except the current one and those of servers."""
        tasks = asyncio.all_tasks() - {*self._servers, asyncio.current_task()}
        return {task for task in tasks if not _serves(task)}

    async def is_idle(self):
        """Waits until the servers have no task, and therefore no connection, left."""
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
    """Whether a server created the task without the loop's factory, as since Python 3.12."""
    return sys.version_info >= (3, 12) and task.get_context().get(_serving, False)


@asynccontextmanager
async def served(server):
    """Enters a server whose tasks do not count as await points."""
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
    """The outcome for the caller."""

    result: object = None
    error: BaseException | None = None
    cancels: int = 0
    """The cancellations that the task has not raised yet."""


class Disturbance:
    """No disturbance; the base of the others."""

    closing = None

    def __init__(self, loop, nth=0, moment=None):
        self.loop = loop
        self.has_struck = False
        self.left = set()
        """The tasks left when the work ends, before a cancelled task can end as well."""
        self._nth = nth
        self._moment = moment
        self._points = 0

    async def outcome(self, work, close):
        """Returns the outcome of work that is disturbed at its nth await point."""
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
        """Fails unless the outcome fits the disturbance."""
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
        """Disturbs the work."""

    async def _ended(self):
        """Waits for a task that the disturbance started."""

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
    """The caller is cancelled `times` times, again at each following await point."""

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
    """The caller is cancelled, and again during its cleanup."""

    times = 2


class CancelOnAndOn(Cancel):
    """The caller is cancelled at every await point from now on."""

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
"""Each with its moment: while the task waits, or once its future is done."""


def open_files():
    """The number of open file descriptors of this process."""
    return sum(1 for _ in Path("/dev/fd").iterdir())


async def walk(run, disturbance, moment):
    """Disturbs `run` at its first await point, then at its second and so on; returns their number.

    `run` is an async function of the run's number and of the disturbance. Fails if tasks,
    connections or files are left, or if the outcome is wrong.
    """
    loop = Loop()
    with loop.watched():
        await run(0, Disturbance(loop))  # creates what is created once per process
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
