"""`/__sandbox__/`: a running sandbox, read and steered over HTTP from any language; and its page.

| request | gives |
|---|---|
| `GET state` | the locations, the settings and how many requests there were |
| `GET ledger` | `purchases` that took effect, and the requests for `tokens` |
| `GET requests` | the last requests, oldest first |
| `GET faults` | the faults in force, each with how often it struck |
| `POST faults` | 201, and the faults in force: adds one, or an array of them |
| `DELETE faults` | ends all faults |
| `POST install` | 201, and first tokens: of `{"location_id": …}`, or of the agency |
| `POST reset` | 204: all is as it was at the start |
| `GET events` | server-sent events: all of the above whenever it has changed |

Names are those of the Python classes. A request with a foreign `Host` or `Origin` is refused with
403, here and for the page.
"""

import asyncio
from base64 import b64encode
from contextlib import suppress
from functools import cache, partial
from hashlib import sha256
from importlib.resources import files
from typing import Any, Final, Protocol

from aiohttp import web
from attrs import asdict, define, field

from .clock import to_json
from .dispatcher import Handler
from .faulty.rules import Fault, Faults
from .hosts import Hosts
from .inventory.location import Location
from .state import LedgerEntry
from .texts import all_from_json, from_json
from .tokens.oauth import OAuth
from .traffic import RequestRecord

PREFIX: Final = "/__sandbox__/"
_LATEST: Final = 100
_LOOK_AGAIN: Final = 0.2  # seconds: a person sees it as at once


class _Sandbox(Protocol):
    """The sandbox that the endpoints show and change, as `Sandbox` is."""

    @property
    def url(self) -> str: ...
    @property
    def seed(self) -> int: ...
    @property
    def strict(self) -> bool: ...
    @property
    def profiles(self) -> list[str]: ...
    @property
    def max_requests(self) -> int: ...
    @property
    def period(self) -> float: ...
    @property
    def daily_quota(self) -> int: ...
    @property
    def known_locations(self) -> list[Location]: ...
    @property
    def ledger(self) -> list[LedgerEntry]: ...
    @property
    def oauth(self) -> OAuth: ...
    @property
    def requests(self) -> list[RequestRecord]: ...
    @property
    def faults(self) -> Faults: ...
    def reset(self) -> None: ...


@define
class Control:
    """The endpoints of one sandbox."""

    sandbox: _Sandbox
    _hosts: Hosts
    _closing: asyncio.Event = field(factory=asyncio.Event, init=False)

    def add_to(self, app: web.Application) -> None:
        """Put the endpoints into the sandbox's application."""
        app.on_shutdown.append(self._close)
        app.router.add_get("/", partial(self._if_ours, self._page))
        for method, name, handler in (
            ("GET", "state", self._state),
            ("GET", "ledger", self._ledger),
            ("GET", "requests", self._requests),
            ("GET", "faults", self._faults),
            ("POST", "faults", self._add_faults),
            ("DELETE", "faults", self._clear_faults),
            ("POST", "install", self._install),
            ("POST", "reset", self._reset),
            ("GET", "events", self._events),
        ):
            app.router.add_route(method, PREFIX + name, partial(self._if_ours, handler))

    @staticmethod
    def answers(request: web.Request) -> bool:
        """Tell whether a request is for the sandbox itself, and not for the service."""
        return request.path.startswith(PREFIX) or (request.method, request.path) == ("GET", "/")

    async def _if_ours(self, handler: Handler, request: web.Request) -> web.StreamResponse:
        foreign = self._hosts.foreign(request.headers)
        if foreign is None:
            return await handler(request)
        name, value = foreign
        return _json(
            {
                "message": f"{name} {value!r} is not of this sandbox: call it as localhost, or add "
                "its name to allowed_hosts (--allowed-host)"
            },
            403,
        )

    async def _state(self, _: web.Request) -> web.Response:
        return _json(self._told_state())

    async def _ledger(self, _: web.Request) -> web.Response:
        return _json(self._told_ledger())

    async def _requests(self, _: web.Request) -> web.Response:
        return _json(self._told_requests())

    async def _faults(self, _: web.Request) -> web.Response:
        return _json(self._told_faults())

    async def _add_faults(self, request: web.Request) -> web.Response:
        try:
            self.sandbox.faults.extend(all_from_json(Fault, await request.read()))
        except ValueError as error:
            return _json({"message": str(error)}, 400)
        return _json(self._told_faults(), 201)

    async def _clear_faults(self, _: web.Request) -> web.Response:
        self.sandbox.faults.clear()
        return _json(self._told_faults())

    async def _install(self, request: web.Request) -> web.Response:
        body = await request.read()
        try:
            asked = from_json(body or b"{}")
        except ValueError as error:
            return _json({"message": str(error)}, 400)
        location_id = asked.get("location_id") if isinstance(asked, dict) else asked
        if not isinstance(location_id, str | None):
            return _json({"message": "location_id must be a string"}, 400)
        return _json(asdict(self.sandbox.oauth.install(location_id)), 201)

    async def _reset(self, _: web.Request) -> web.Response:
        self.sandbox.reset()
        return web.Response(status=204)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        shown = b""
        while not (self._closing.is_set() or request.transport is None):
            found = to_json(self._told())
            if found != shown:
                await response.write(b"data: " + found + b"\n\n")
                shown = found
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), _LOOK_AGAIN)
        return response

    async def _close(self, _: web.Application) -> None:
        self._closing.set()

    async def _page(self, _: web.Request) -> web.Response:
        page, policy = _page_and_policy()
        headers = {"Content-Security-Policy": policy, "Cache-Control": "no-store"}
        return web.Response(text=page, content_type="text/html", headers=headers)

    def _told(self) -> dict[str, Any]:
        return {
            "state": self._told_state() | {"locations": self._told_locations()[-_LATEST:]},
            "ledger": {name: told[-_LATEST:] for name, told in self._told_ledger().items()},
            "requests": self._told_requests()[-_LATEST:],
            "faults": self._told_faults(),
        }

    def _told_state(self) -> dict[str, Any]:
        sandbox = self.sandbox
        return {
            "url": sandbox.url,
            "seed": sandbox.seed,
            "strict": sandbox.strict,
            "profiles": sandbox.profiles,
            "max_requests": sandbox.max_requests,
            "period": sandbox.period,
            "daily_quota": sandbox.daily_quota,
            "locations": self._told_locations(),
        }

    def _told_locations(self) -> list[dict[str, Any]]:
        return [
            {
                "id": location.id,
                "numbers": len(location.numbers),
                "pools": len(location.pools),
                "bought": location.bought,
                "account_status": location.account_status,
                "under_lc": location.under_lc,
                "connected": location.connected,
            }
            for location in self.sandbox.known_locations
        ]

    def _told_ledger(self) -> dict[str, list[dict[str, Any]]]:
        return {
            "purchases": list(map(asdict, self.sandbox.ledger)),
            "tokens": list(map(asdict, self.sandbox.oauth.ledger)),
        }

    def _told_requests(self) -> list[dict[str, Any]]:
        return [
            asdict(record) | {"query": list(record.query.items())}
            for record in self.sandbox.requests
        ]

    def _told_faults(self) -> list[dict[str, Any]]:
        return [
            {name: value for name, value in asdict(fault).items() if value is not None}
            | {"struck": struck}
            for fault, struck in self.sandbox.faults.counts()
        ]


@cache
def _page_and_policy() -> tuple[str, str]:
    """Give the page, and the policy that lets it run its own script and style, and nothing else."""
    page = files(__package__).joinpath("page.html").read_text("utf-8")
    script, style = (_hash(page, name) for name in ("script", "style"))
    return page, (
        f"default-src 'none'; connect-src 'self'; script-src {script}; style-src {style}; "
        "frame-ancestors 'none'"
    )


def _hash(page: str, element: str) -> str:
    inside = page.partition(f"<{element}>")[2].partition(f"</{element}>")[0]
    return f"'sha256-{b64encode(sha256(inside.encode()).digest()).decode()}'"


def _json(told: object, status: int = 200) -> web.Response:
    return web.Response(status=status, body=to_json(told), content_type="application/json")
