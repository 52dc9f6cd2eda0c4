"""The door: from an HTTP request, through the checks that all operations share, to its answer."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from random import Random
from typing import Final
from uuid import UUID

import msgspec
from aiohttp import web
from attrs import define, field

from .clock import to_json
from .faulty.injection import FaultInjector
from .faulty.list_changes import change_list
from .faulty.rules import Faults
from .inventory.location import Location
from .rate_limits import Budget, Limits
from .refusals import RefusedError
from .state import State
from .tokens.access import Tokens, check_kind, check_location, check_scope
from .tokens.settings import TokenSettings
from .wire.bodies import CONTRACTS
from .wire.operations import Asked, Call, Operation
from .wire.parameters import check_single
from .wire.profiles import Wire
from .wire.variants import Said

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

LEGACY: Final = "2021-07-28"
_OF_AN_SDK: Final = "2023-02-21"
"""In no document, but what the vendor's TypeScript SDK sends to all operations unless told."""
_PYTHONS: Final = ("python", "aiohttp")


@define
class Dispatcher:
    """Answers requests out of a state, within the limits."""

    state: State
    tokens: Tokens
    limits: Limits
    clock: Callable[[], float]
    faults: Faults
    wire: Wire
    is_strict: bool
    injector: FaultInjector = field(init=False)
    budgets: dict[tuple[str, str], Budget] = field(factory=dict, init=False)
    """What was used of the limits, by app and location; an agency's location is empty."""
    _dice: Random = field(init=False)

    @injector.default
    def _new_injector(self) -> FaultInjector:
        return FaultInjector(self.refuse)

    @_dice.default
    def _seeded(self) -> Random:
        return Random(self.state.seed)

    def handler(self, operation: Operation) -> Handler:
        """Make what aiohttp's router calls for an operation."""

        async def handle(request: web.Request) -> web.StreamResponse:
            return await self._answer(operation, request)

        return handle

    def refuse(self, refusal: RefusedError, operation: str = "") -> web.Response:
        """Word a refusal as the service does."""
        trace_id = UUID(int=self._dice.getrandbits(128), version=4)
        return self._say(Said(operation, refusal.status, refusal.body(str(trace_id))))

    async def _answer(self, operation: Operation, request: web.Request) -> web.StreamResponse:
        if self.wire.turns_python_away and _is_python(request):
            return web.Response(status=403, text="error code: 1010")
        if operation.scope is None:
            return await self._admitted(operation, request, TokenSettings())
        token = self.tokens.settings(request.headers.get("Authorization", ""))
        location_id = _location_id(request) if operation.is_for_locations else ""
        budget = self.budgets.setdefault((token.app, location_id), Budget(self.limits))
        admitted = budget.admit(self.clock())
        headers = budget.headers()  # those of this request, not of one that comes meanwhile
        if admitted:
            response = await self._admitted(operation, request, token)
        else:
            response = self.refuse(RefusedError(429, "Too Many Requests"), operation.name)
        response.headers.extend(headers)  # a fault may have put in some of its own
        return response

    async def _admitted(
        self, operation: Operation, request: web.Request, token: TokenSettings
    ) -> web.StreamResponse:
        try:
            body = await _body(request)
        except RefusedError as refusal:
            return self.refuse(refusal, operation.name)
        asked = Asked(_location_id(request), request.query, request.content_type, body)
        act = partial(self._perform, operation, request.headers.get("Version"), token, asked)
        if not self.faults:
            return act()
        location_id = operation.location_id(self.state, asked)
        struck = self.faults.strike(operation.name, location_id, self.clock())
        return await self.injector.through(
            struck, act, partial(change_list, self.state, location_id, self._now())
        )

    def _perform(
        self, operation: Operation, version: str | None, token: TokenSettings, asked: Asked
    ) -> web.Response:
        try:
            contract = _contract(version, operation, is_strict=self.is_strict)
            locations: Sequence[Location] = ()
            if self.is_strict and operation.is_for_locations:
                check_single(asked.query)
            if operation.scope is not None:
                check_kind(token, "location" if operation.is_for_locations else "agency")
                check_scope(token, operation.scope)
            if operation.is_for_locations:
                locations = self._locations(token, contract, asked.location_id)
            call = Call(
                self.state, contract, locations, asked, self._now(), self.wire, self.is_strict
            )
            return self._say(Said(operation.name, *operation.answer(call)))
        except RefusedError as refusal:
            return self.refuse(refusal, operation.name)

    def _say(self, said: Said) -> web.Response:
        if self.wire.changes:
            plain = msgspec.json.decode(to_json(said.body))
            said = self.wire.said(Said(said.operation, said.status, plain))
        return web.Response(
            status=said.status,
            headers=said.headers,
            body=to_json(said.body),
            content_type="application/json",
            charset="utf-8",
        )

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self.clock(), UTC)

    def _locations(self, token: TokenSettings, version: str, location_id: str) -> list[Location]:
        if location_id:
            return [self._location(token, location_id)]
        if CONTRACTS[version].needs_location_for_pools:
            raise RefusedError(400, "Invalid locationId format")
        ids = self.state.known_ids() if token.locations is None else sorted(token.locations)
        found = map(self.state.location, ids)
        return [location for location in found if location and location.connected]

    def _location(self, token: TokenSettings, location_id: str) -> Location:
        location = self.state.location(location_id)
        if location is None:
            raise RefusedError(401, "This location is not accessible from this token!")
        check_location(token, location_id)
        if not location.connected:
            raise RefusedError(404, "Phone system is not connected to this account")
        return location


def _location_id(request: web.Request) -> str:
    return request.match_info.get("location_id") or request.query.get("locationId", "")


def _is_python(request: web.Request) -> bool:
    return request.headers.get("User-Agent", "").casefold().startswith(_PYTHONS)


def _contract(version: str | None, operation: Operation, *, is_strict: bool) -> str:
    if version == _OF_AN_SDK and not is_strict:
        version = LEGACY
    if version is None and operation.scope is None:
        return LEGACY  # whose document of the token endpoint has no such header
    if version is None:
        raise RefusedError(401, "version header was not found.")
    if version not in CONTRACTS or operation.version not in (None, version):
        raise RefusedError(401, "version header is invalid")
    return version


async def _body(request: web.Request) -> bytes:
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise RefusedError(413, "request entity too large") from None
    except ConnectionError:
        raise RefusedError(400, "request aborted") from None
