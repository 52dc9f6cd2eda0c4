"""The body of a response: whole, unpacked, no longer than a limit, and understood.

It is decoded here and not by aiohttp, whose versions differ in how much memory a small body that
grows can take, and in how long many small ones can hold up the event loop.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

if TYPE_CHECKING:
    import aiohttp
    from multidict import MultiMapping

    from .._wire.requests import Request
    from .._wire.responses import Response

P = ParamSpec("P")
T = TypeVar("T")

# What is asked for. Without Brotli and zstd nothing hangs on which libraries are installed.
ACCEPTED = "gzip"

# The two that zlib tells apart by itself.
_READABLE = {"gzip", "x-gzip", "deflate"}
_EITHER = zlib.MAX_WBITS | 32

# A page of 1000 numbers has half of it, and so much takes a tenth of a second to understand.
_LARGE = 2**20


class TooLargeError(Exception):
    """The body is longer than the limit; no more than that was kept of it."""


class UnreadableError(Exception):
    """The body is in an encoding that was not asked for, or is not what it says."""


async def read_whole(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """The decoded body; a connection on which there is more is not used again by aiohttp."""
    if (response.content_length or 0) > limit:
        raise TooLargeError
    inflater = _Inflater() if _is_packed(response.headers) else None
    pieces = []
    left = limit
    while piece := await response.content.readany():
        plain = piece if inflater is None else inflater.inflated(piece, left)
        left -= len(plain)
        if left < 0:
            raise TooLargeError
        pieces.append(plain)
    if inflater is not None:
        inflater.check_end()
    return b"".join(pieces)


async def decoded(
    read: Callable[Concatenate[Request, Response, P], T],
    request: Request,
    response: Response,
    *args: P.args,
    **kwargs: P.kwargs,
) -> T:
    """What `read` makes of a response; of a large one in a thread, while the event loop goes on."""
    work = partial(read, request, response, *args, **kwargs)
    if len(response.body) < _LARGE:
        return work()
    try:
        in_thread = asyncio.get_running_loop().run_in_executor(None, work)
    except RuntimeError:  # no thread can be started: better late than never
        return work()
    return await in_thread


def _is_packed(headers: MultiMapping[str]) -> bool:
    encoding = ",".join(headers.getall("Content-Encoding", [])).strip().lower()
    if encoding in {"", "identity"}:
        return False
    if encoding in _READABLE:
        return True
    raise UnreadableError


class _Inflater:
    """Decodes one stream, piece by piece."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(_EITHER)
        self._has_begun = False

    def inflated(self, piece: bytes, most: int) -> bytes:
        """All that the piece holds, or one byte more than `most`."""
        self._has_begun = True
        try:
            plain = self._stream.decompress(piece, most + 1)
        except zlib.error:
            raise UnreadableError from None
        if self._stream.unused_data:  # a second stream, or what is none
            raise UnreadableError
        return plain

    def check_end(self) -> None:
        """Raises `UnreadableError` for a stream that is cut off; an empty body is none."""
        if self._has_begun and not self._stream.eof:
            raise UnreadableError
