"""What can become of an answer on its way, by name."""

import socket
import struct
from collections.abc import Callable
from typing import Final

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from .faults import Damage

_PROXY_PAGE: Final = "<html><head><title>{0}</title></head><body><h1>{0}</h1></body></html>\n"
_NO_LINGER: Final = struct.pack("ii", 1, 0)


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
        if request.transport is not None:
            connection = request.transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
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
        body = _bytes(whole)
        self.content_length = len(body)
        self._half = body[: len(body) // 2]

    async def write_eof(self, _data: bytes = b"") -> None:
        await self.write(self._half)
        raise ConnectionResetError


def _corrupted(answer: web.Response) -> web.Response:
    body = _bytes(answer)
    answer.body = body[: len(body) // 2] + b"\xff" * (len(body) - len(body) // 2)
    return answer


def _html(answer: web.Response) -> web.Response:
    answer.text = _PROXY_PAGE.format(f"{answer.status} {answer.reason}")
    answer.content_type = "text/html"
    return answer


def _bytes(answer: web.Response) -> bytes:
    return answer.body if isinstance(answer.body, bytes) else b""


DAMAGES: Final[dict[Damage, Callable[[web.Response], web.StreamResponse]]] = {
    "reset": _Reset,
    "hang-up": _HungUp,
    "stall": _Stalled,
    "cut-off": _CutOff,
    "corrupted": _corrupted,
    "html": _html,
}
