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

from .access import Tokens, check_kind, check_location, check_scope
from .bodies import CONTRACTS, Contract
from .faults import Faults
from .inventory import Location
from .limits import Budget, Limits
from .operations import Call, Operation
from .refusals import RefusedError
from .settings import TokenSettings
from .state import State
from .trouble import Trouble

_LEGACY: Final = "2021-07-28"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@define
class Gateway:
    """Answers requests out of a state, within the limits."""

    state: State
    tokens: Tokens
    limits: Limits
    clock: Callable[[], float]
    faults: Faults
    trouble: Trouble = field(init=False)
    _budgets: dict[tuple[str, str], Budget] = field(factory=dict, init=False)
    _dice: Random = field(init=False)

    @trouble.default
    def _no_trouble(self) -> Trouble:
        return Trouble(self.refuse)

    @_dice.default
    def _seeded(self) -> Random:
        return Random(self.state.seed)

    def handler(self, operation: Operation) -> Handler:
        """Make what aiohttp's router calls for an operation."""

        async def handle(request: web.Request) -> web.StreamResponse:
            return await self._answer(operation, request)

        return handle

    def refuse(self, refusal: RefusedError) -> web.Response:
        """Word a refusal as the service does."""
        trace_id = UUID(int=self._dice.getrandbits(128), version=4)
        return _json(refusal.status, refusal.body(str(trace_id)))

    async def _answer(self, operation: Operation, request: web.Request) -> web.StreamResponse:
        if operation.scope is None:
            return await self._admitted(operation, request, TokenSettings())
        token = self.tokens.settings(request.headers.get("Authorization", ""))
        budget = self._budget(token, _location_id(request) if operation.is_for_locations else "")
        admitted = budget.admit(self.clock())
        headers = budget.headers()  # those of this request, not of one that comes meanwhile
        if admitted:
            response = await self._admitted(operation, request, token)
        else:
            response = self.refuse(RefusedError(429, "Too Many Requests"))
        response.headers.update(headers)
        return response

    async def _admitted(
        self, operation: Operation, request: web.Request, token: TokenSettings
    ) -> web.StreamResponse:
        try:
            body = await _body(request)
        except RefusedError as refusal:
            return self.refuse(refusal)
        act = partial(self._perform, operation, request, token, body)
        if not self.faults:
            return act()
        struck = self.faults.strike(operation.name, _location_id(request))
        return await self.trouble.through(struck, act)

    def _perform(
        self, operation: Operation, request: web.Request, token: TokenSettings, body: bytes
    ) -> web.Response:
        try:
            version = _version(request, operation)
            locations: Sequence[Location] = ()
            if operation.scope is not None:
                check_kind(token, "location" if operation.is_for_locations else "agency")
                check_scope(token, operation.scope)
            if operation.is_for_locations:
                locations = self._locations(token, CONTRACTS[version], _location_id(request))
            time = datetime.fromtimestamp(self.clock(), UTC)
            content = request.content_type, body
            call = Call(self.state, version, locations, request.query, *content, time)
            return _json(*operation.answer(call))
        except RefusedError as refusal:
            return self.refuse(refusal)

    def _budget(self, token: TokenSettings, location_id: str) -> Budget:
        return self._budgets.setdefault((token.app, location_id), Budget(self.limits))

    def _locations(
        self, token: TokenSettings, contract: Contract, location_id: str
    ) -> Sequence[Location]:
        if location_id:
            return [self._location(token, location_id)]
        if contract.needs_location_for_pools:
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


def _version(request: web.Request, operation: Operation) -> str:
    # The older document of the token endpoint has no such header.
    default = _LEGACY if operation.scope is None else None
    version = request.headers.get("Version", default)
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


def _json(status: int, payload: object) -> web.Response:
    return web.Response(
        status=status,
        body=msgspec.json.encode(payload),
        content_type="application/json",
        charset="utf-8",
    )
