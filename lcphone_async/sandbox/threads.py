"""A sandbox on an event loop of its own, in a thread."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, contextmanager
from threading import Thread
from typing import TypeVar

from .clock import Loop

Server = TypeVar("Server", bound=AbstractAsyncContextManager[object])
_Started = Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]]
_Ended = Future[None]


@contextmanager
def running_in_thread(server: Server) -> Iterator[Server]:
    """Enter `server` in a new thread, and leave it there when the block ends.

    What goes wrong in the thread is raised here: at the start, or at the end.
    """
    started, ended = _Started(), _Ended()
    args = (server, started, ended)
    thread = Thread(target=_run, args=args, name="lcphone-sandbox", daemon=True)
    thread.start()
    loop, stop = started.result()
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        ended.result()


def _run(server: AbstractAsyncContextManager[object], started: _Started, ended: _Ended) -> None:
    async def serve() -> None:
        stop = asyncio.Event()
        async with server:
            started.set_result((asyncio.get_running_loop(), stop))
            await stop.wait()

    try:
        with asyncio.Runner(loop_factory=Loop) as runner:
            runner.run(serve())
    except BaseException as error:  # noqa: BLE001 - raised again in the other thread
        (ended if started.done() else started).set_exception(error)
    else:
        ended.set_result(None)
