"""A sandbox on an event loop of its own, in a thread."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, contextmanager
from threading import Thread
from typing import TypeVar

Server = TypeVar("Server", bound=AbstractAsyncContextManager[object])


@contextmanager
def running_in_thread(server: Server) -> Iterator[Server]:
    """Enter `server` in a new thread, and leave it there when the block ends."""
    started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()
    thread = Thread(target=_serve, args=(server, started), name="lcphone-sandbox", daemon=True)
    thread.start()
    loop, stop = started.result()
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()


def _serve(
    server: AbstractAsyncContextManager[object],
    started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]],
) -> None:
    async def serve() -> None:
        stop = asyncio.Event()
        async with server:
            started.set_result((asyncio.get_running_loop(), stop))
            await stop.wait()

    try:
        asyncio.run(serve())
    except BaseException as error:
        if started.done():
            raise
        started.set_exception(error)
