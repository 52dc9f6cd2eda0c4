"""A raw LC Phone service for the speed figures, in a process of its own.

It knows what a list and a search look like and nothing else: a request costs it some tens of
microseconds and what its bytes take, so that it is never what is measured.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from _pages import active_page, search
from _server import in_process

_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\n"
    b"X-RateLimit-Limit-Daily: 200000\r\nX-RateLimit-Daily-Remaining: 199000\r\n"
    b"X-RateLimit-Interval-Milliseconds: 10000\r\nX-RateLimit-Max: %d\r\n"
    b"X-RateLimit-Remaining: %d\r\nContent-Length: %d\r\n\r\n"
)


class RawService:
    """A location's `pages` whole pages, and one search's answer, each after `latency` seconds."""

    def __init__(self, pages: int, latency: float, max_requests: int) -> None:
        self.pages, self.latency, self.max_requests = pages, latency, max_requests

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        new = partial(_Connection, self)
        self._server = await loop.create_server(new, "127.0.0.1", backlog=4096)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._server.close()

    def answer(self, target: str) -> bytes:
        """A whole answer."""
        parts = urlsplit(target)
        if parts.path.endswith("/available"):
            body = search()
        else:
            body = active_page(int(float(parse_qs(parts.query)["page"][0])), self.pages)
        return _HEAD % (self.max_requests, self.max_requests - 1, len(body)) + body


class _Connection(asyncio.Protocol):
    def __init__(self, service: RawService) -> None:
        self._service = service
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Takes a request without a body; on loopback it comes in one piece."""
        target = data.split(b" ", 2)[1].decode()
        self._loop.call_later(self._service.latency, self._answer, target)

    def _answer(self, target: str) -> None:
        self._transport.write(self._service.answer(target))


@contextmanager
def raw_service(pages: int, latency: float = 0.0, max_requests: int = 100) -> Iterator[str]:
    """The URL of such a service."""
    make: Callable[[], RawService] = partial(RawService, pages, latency, max_requests)
    with in_process(make, repr) as (url, _):
        yield url
