"""A local HTTP/1.1 server that records the bytes of requests and sends the given bytes.

Of HTTP it knows only the end of a request; it shares no code with the client.
"""

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

_LOOK_UP = re.compile(r"pageSize=1000&searchFilter=%2B\d{7,}&skipNumberPool=false$")

_REASONS = {200: "OK", 201: "Created"}


@dataclass(frozen=True)
class RawRequest:
    """One request, byte for byte."""

    head: bytes
    body: bytes

    @property
    def method(self) -> str:
        return self._request_line[0]

    @property
    def target(self) -> str:
        """The path and the query, percent-encoded."""
        return self._request_line[1]

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> list[tuple[str, str]]:
        """The parameters in order, decoded."""
        return parse_qsl(
            urlsplit(self.target).query, keep_blank_values=True, strict_parsing=bool(self._query)
        )

    @property
    def parameters(self) -> dict[str, str]:
        """The query as a mapping; fails if a parameter is repeated."""
        assert len(dict(self.query)) == len(self.query), self.target
        return dict(self.query)

    @property
    def headers(self) -> dict[str, str]:
        """The headers, with names in lower case; fails if a header is repeated."""
        lines = [line.split(":", 1) for line in self.head.decode("latin-1").split("\r\n")[1:]]
        headers = {name.lower(): value.strip() for name, value in lines}
        assert len(headers) == len(lines), self.head
        return headers

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def form(self) -> dict[str, str]:
        """The fields of a form as a mapping."""
        return dict(parse_qsl(self.body.decode("ascii"), strict_parsing=True))

    @property
    def _request_line(self) -> list[str]:
        return self.head.split(b"\r\n", 1)[0].decode("ascii").split(" ")

    @property
    def _query(self) -> str:
        return urlsplit(self.target).query


Pieces = AsyncGenerator[bytes, None]
Reply = bytes | Callable[[RawRequest], bytes | Pieces]


class RawServer:
    """A server on a free local port; runs while the `async with` block does.

    Each request receives the next of the `reply(...)` values and, once they are used up, the last
    of them. Then the connection is closed, even within a body, unless `keeps_alive` is set. A reply
    in pieces may be slow and need not end.

    Before and after a purchase, the client looks its number up in the list: `look_ups` records
    these requests separately, and `look_up_reply` is their response.
    """

    def __init__(self, *, keeps_alive: bool = False) -> None:
        self.keeps_alive = keeps_alive
        self.requests: list[RawRequest] = []
        self.look_ups: list[RawRequest] = []
        self.look_up_reply: Reply = http_json({"numbers": [], "total": 0})
        self.connections = 0
        self._replies: list[Reply] = []
        self._failures: list[Exception] = []
        self._serving: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        host, port = self._server.sockets[0].getsockname()[:2]
        return f"http://{host}:{port}"

    @property
    def request(self) -> RawRequest:
        """The only recorded request; fails if there are more."""
        (request,) = self.requests
        return request

    def reply(self, *replies: Reply) -> None:
        """Sets the responses: raw bytes, or a function from the request to bytes or pieces."""
        self._replies = list(replies)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_exc: object) -> None:
        self._server.close()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)
        await self._server.wait_closed()
        if self._failures:
            raise self._failures[0]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._serving.add(asyncio.current_task())
        try:
            await self._converse(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client went away
        except asyncio.CancelledError:
            pass  # the test is over
        except Exception as error:  # noqa: BLE001  a handler of the test's: the test shall fail
            self._failures.append(error)
        finally:
            self._serving.discard(asyncio.current_task())
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            reply = self._answer(await _read(reader))
            async with aclosing(_whole(reply) if isinstance(reply, bytes) else reply) as pieces:
                async for piece in pieces:
                    writer.write(piece)
                    await writer.drain()
            if not self.keeps_alive:
                return

    def _answer(self, request: RawRequest) -> bytes | Pieces:
        if _LOOK_UP.search(request.target):
            self.look_ups.append(request)
            reply = self.look_up_reply
        else:
            self.requests.append(request)
            reply = self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]
        return reply if isinstance(reply, bytes) else reply(request)


async def _whole(response: bytes) -> Pieces:
    yield response


async def _read(reader: asyncio.StreamReader) -> RawRequest:
    head = (await reader.readuntil(b"\r\n\r\n")).removesuffix(b"\r\n\r\n")
    length = int(RawRequest(head, b"").headers.get("content-length", 0))
    return RawRequest(head, await reader.readexactly(length))


def http(
    body: bytes = b"",
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    *,
    content_type: str = "text/html",
    length: int | None = None,
) -> bytes:
    """The bytes of a response; with a `length` beyond the body's, a truncated one."""
    fields = {
        "Content-Type": content_type,
        "Content-Length": str(len(body) if length is None else length),
        "Connection": "close",
        **(headers or {}),
    }
    lines = [f"HTTP/1.1 {status} {_REASONS.get(status, 'No')}"]
    lines += [f"{name}: {value}" for name, value in fields.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def http_json(
    document: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> bytes:
    """The bytes of a JSON response."""
    body = json.dumps(document).encode()
    return http(body, status, headers, content_type="application/json; charset=utf-8")
