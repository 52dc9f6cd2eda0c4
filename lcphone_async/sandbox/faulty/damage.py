"""What can become of an answer on its way, by name."""

import socket
import struct
from asyncio import get_running_loop
from collections.abc import Callable
from typing import Final

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from .rules import Damage

_PROXY_PAGE: Final = "<html><head><title>{0}</title></head><body><h1>{0}</h1></body></html>\n"
_NO_LINGER: Final = struct.pack("ii", 1, 0)
_BLOCK: Final = 1 << 20
_BLOCKS: Final = 32
_DEPTH: Final = 100_000
_UNTIL_READ: Final = 0.05
# Two of each limit, as the token endpoint has none of its own that they could contradict.
_OTHERS: Final = {
    "Content-Type": ("text/html",),
    "X-RateLimit-Limit-Daily": ("1", "2"),
    "X-RateLimit-Daily-Remaining": ("0", "1"),
    "X-RateLimit-Daily-Reset": ("1", "2"),
    "X-RateLimit-Interval-Milliseconds": ("1", "2"),
    "X-RateLimit-Max": ("1", "2"),
    "X-RateLimit-Remaining": ("0", "1"),
}


class _Silence(web.StreamResponse):
    """No answer at all. aiohttp closes a connection whose answer fails with `ConnectionError`."""

    def __init__(self, _: web.Response) -> None:
        super().__init__(status=0)

    async def prepare(self, _request: web.BaseRequest) -> AbstractStreamWriter | None:
        raise ConnectionResetError

    async def write_eof(self, data: bytes = b"") -> None:
        """Write nothing."""


class _HungUp(_Silence):
    """The connection is closed in order."""


class _Reset(_Silence):
    """The connection is reset."""

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        _linger_not(request)
        return await super().prepare(request)


class _Stalled(_Silence):
    """The connection stays open, as between two requests, so that no task waits for its end."""

    @property
    def keep_alive(self) -> bool:
        """Keep aiohttp from closing the connection."""
        return True

    async def prepare(self, _request: web.BaseRequest) -> AbstractStreamWriter | None:
        return None


class _CutOff(web.StreamResponse):
    """Half of the body, of which the headers promise the whole."""

    def __init__(self, whole: web.Response) -> None:
        super().__init__(status=whole.status, headers=whole.headers)
        self.content_length = len(_bytes(whole))
        self._sent = _bytes(whole)[: len(_bytes(whole)) // 2]

    async def write_eof(self, _data: bytes = b"") -> None:
        await self.write(self._sent)
        raise ConnectionResetError


class _ResetWithin(_CutOff):
    """Half of the body, and the connection is reset."""

    _request: web.BaseRequest

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        self._request = request
        return await super().prepare(request)

    async def write_eof(self, _data: bytes = b"") -> None:
        await self.write(self._sent)
        _linger_not(self._request)
        raise ConnectionResetError


class _ResetAfter(web.StreamResponse):
    """The whole body, and a little later the connection is reset."""

    def __init__(self, whole: web.Response) -> None:
        super().__init__(status=whole.status, headers=whole.headers)
        self._sent = _bytes(whole)
        self.content_length = len(self._sent)

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        _linger_not(request)
        if request.transport is not None:
            # A reset takes along what the client's side has not read yet.
            get_running_loop().call_later(_UNTIL_READ, request.transport.abort)
        return await super().prepare(request)

    async def write_eof(self, _data: bytes = b"") -> None:
        await self.write(self._sent)
        await super().write_eof()


class _Oversized(web.StreamResponse):
    """The body, and white space after it for as long as the client reads."""

    def __init__(self, whole: web.Response) -> None:
        super().__init__(status=whole.status, headers=whole.headers)
        self._sent = _bytes(whole)
        self.content_length = len(self._sent) + _BLOCK * _BLOCKS

    async def write_eof(self, _data: bytes = b"") -> None:
        await self.write(self._sent)
        for _ in range(_BLOCKS):
            await self.write(b" " * _BLOCK)
        await super().write_eof()


def _corrupted(answer: web.Response) -> web.Response:
    body = _bytes(answer)
    answer.body = body[: len(body) // 2] + b"\xff" * (len(body) - len(body) // 2)
    return answer


def _empty(answer: web.Response) -> web.Response:
    answer.body = None
    return answer


def _deeply_nested(answer: web.Response) -> web.Response:
    answer.body = b"[" * _DEPTH + b"]" * _DEPTH
    return answer


def _wrong_type(answer: web.Response) -> web.Response:
    answer.content_type = "text/plain"
    return answer


def _wrong_encoding(answer: web.Response) -> web.Response:
    answer.headers["Content-Encoding"] = "gzip"
    return answer


def _wrong_charset(answer: web.Response) -> web.Response:
    answer.body = _bytes(answer).decode().encode("utf-16")
    return answer


def _duplicate_headers(answer: web.Response) -> web.Response:
    answer.headers.extend([(name, value) for name, values in _OTHERS.items() for value in values])
    return answer


def _html(answer: web.Response) -> web.Response:
    answer.text = _PROXY_PAGE.format(f"{answer.status} {answer.reason}")
    answer.content_type = "text/html"
    return answer


def _linger_not(request: web.BaseRequest) -> None:
    """Let the connection end with a reset."""
    if request.transport is not None:
        connection = request.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)


def _bytes(answer: web.Response) -> bytes:
    return answer.body if isinstance(answer.body, bytes) else b""


DAMAGES: Final[dict[Damage, Callable[[web.Response], web.StreamResponse]]] = {
    "reset": _Reset,
    "reset-within": _ResetWithin,
    "reset-after": _ResetAfter,
    "hang-up": _HungUp,
    "stall": _Stalled,
    "cut-off": _CutOff,
    "corrupted": _corrupted,
    "html": _html,
    "empty": _empty,
    "oversized": _Oversized,
    "deeply-nested": _deeply_nested,
    "wrong-type": _wrong_type,
    "wrong-encoding": _wrong_encoding,
    "wrong-charset": _wrong_charset,
    "duplicate-headers": _duplicate_headers,
}
