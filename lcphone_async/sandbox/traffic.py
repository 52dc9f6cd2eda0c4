"""What was asked and answered: the last requests in memory, and all of them in a file."""

import os
from collections import deque
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec
from aiohttp import web
from attrs import define, field, frozen
from multidict import MultiMapping

from .clock import to_json

_HIDDEN: Final = "…"
_SECRETS: Final = frozenset(
    {
        "authorization",
        "cookie",
        "set-cookie",
        "proxy-authorization",
        "accesstoken",
        "refreshtoken",
        "clientsecret",
        "code",
    }
)
"""Names whose values are secrets, in lower case and without underscores."""
_SHORTEST_SECRET: Final = 8
"""A shorter token is a stand-in such as `any`, and may be a part of any word."""


@frozen
class RequestRecord:
    """A request that was answered."""

    method: str
    path: str
    """As it was sent, escapes and all, without the query."""
    query: MultiMapping[str]
    status: int
    """0 where no answer went out, because of a fault."""
    time: float
    """When the answer went out, in seconds since the epoch by the sandbox's clock."""
    seconds: float
    """How long it took, by a clock on the wall."""


@define
class Traffic:
    """Remembers requests, and writes them down where there is a file."""

    last: deque[RequestRecord]
    path: Path | None
    _file: int | None = field(default=None, init=False)

    def open(self) -> None:
        """Begin to write, at the end of a file that nobody else may read."""
        if self.path is not None:
            self._file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def close(self) -> None:
        """Write no more."""
        file, self._file = self._file, None
        if file is not None:
            os.close(file)

    async def note(
        self, record: RequestRecord, request: web.Request, answer: web.StreamResponse
    ) -> None:
        """Remember a request and its answer."""
        self.last.append(record)
        if self._file is not None:
            sent = await request.read() if request.content.is_eof() else b""
            os.write(self._file, _line(record, request, sent, answer))


def _line(
    record: RequestRecord, request: web.Request, sent: bytes, answer: web.StreamResponse
) -> bytes:
    """Write an exchange as a line of JSON, without secrets."""
    _, _, bearer = request.headers.get("Authorization", "").partition(" ")
    given = answer.body if isinstance(answer, web.Response) else None
    exchange = {
        "time": datetime.fromtimestamp(record.time, UTC),
        "seconds": round(record.seconds, 6),
        "request": {
            "method": record.method,
            "path": record.path,
            "query": _pairs(record.query.items()),
            "headers": _pairs(request.headers.items()),
            "body": _hidden_where_unread(record.path, _read(request.content_type, sent)),
        },
        "answer": {
            "status": record.status,
            "headers": _pairs(answer.headers.items()),
            "body": _read(answer.content_type, given if isinstance(given, bytes) else b""),
        },
    }
    line = to_json(exchange)
    if len(bearer) >= _SHORTEST_SECRET:
        line = line.replace(to_json(bearer)[1:-1], _HIDDEN.encode())
    return line + b"\n"


def _read(content_type: str, body: bytes) -> Any:
    """Give a body as plain data where it is some, else as text; `None` where there is none."""
    if not body:
        return None
    if content_type == "application/x-www-form-urlencoded":
        pairs = parse_qsl(body.decode(errors="replace"), keep_blank_values=True)
        if pairs and all(name.isidentifier() for name, _ in pairs):
            return _pairs(pairs)
    try:
        return _without_secrets(msgspec.json.decode(body))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return body.decode(errors="replace")


def _hidden_where_unread(path: str, body: Any) -> Any:
    """Hide what was sent to the token endpoints, where nobody can tell what of it is a secret."""
    return _HIDDEN if path.startswith("/oauth/") and isinstance(body, str) else body


def _pairs(items: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(str(name), _HIDDEN if _is_secret(name) else value) for name, value in items]


def _without_secrets(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            name: _HIDDEN if _is_secret(name) else _without_secrets(part)
            for name, part in value.items()
        }
    return list(map(_without_secrets, value)) if isinstance(value, list) else value


def _is_secret(name: str) -> bool:
    return name.casefold().replace("_", "") in _SECRETS
