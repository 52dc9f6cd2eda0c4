"""The door: from an HTTP request, through the checks that all operations share, to its answer."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from random import Random
from uuid import UUID

import msgspec
from aiohttp import web
from attrs import define, field

from .access import Tokens, check_location, check_scope
from .bodies import CONTRACTS, Contract
from .inventory import Location
from .limits import Budget, Limits
from .operations import Call, Operation
from .refusals import Refusal
from .settings import TokenSettings
from .state import State

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@define
class Gateway:
    """Answers requests out of a state, within the limits."""

    state: State
    tokens: Tokens
    limits: Limits
    clock: Callable[[], float]
    _budgets: dict[tuple[str, str], Budget] = field(factory=dict, init=False)
    _dice: Random = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._dice = Random(self.state.seed)

    def handler(self, operation: Operation) -> Handler:
        """Make what aiohttp's router calls for an operation."""

        async def handle(request: web.Request) -> web.StreamResponse:
            return await self._answer(operation, request)

        return handle

    def refuse(self, refusal: Refusal) -> web.Response:
        """Word a refusal as the service does."""
        trace_id = UUID(int=self._dice.getrandbits(128), version=4)
        return _json(refusal.status, refusal.body(str(trace_id)))

    async def _answer(self, operation: Operation, request: web.Request) -> web.Response:
        token = self.tokens.settings(request.headers.get("Authorization", ""))
        now = self.clock()
        budget = self._budget(token, _location_id(request))
        admitted = budget.admit(now)
        headers = budget.headers()
        try:
            if not admitted:
                raise Refusal(429, "Too Many Requests")  # noqa: TRY301
            body = await request.read()
            response = _json(*operation.answer(self._call(operation, token, request, body, now)))
        except Refusal as refusal:
            response = self.refuse(refusal)
        response.headers.update(headers)
        return response

    def _budget(self, token: TokenSettings, location_id: str) -> Budget:
        return self._budgets.setdefault((token.app, location_id), Budget(self.limits))

    def _call(
        self,
        operation: Operation,
        token: TokenSettings,
        request: web.Request,
        body: bytes,
        now: float,
    ) -> Call:
        contract = _contract(request)
        check_scope(token, operation.scope)
        return Call(
            self.state,
            contract,
            self._locations(token, contract, _location_id(request)),
            request.query,
            body,
            datetime.fromtimestamp(now, UTC),
        )

    def _locations(
        self, token: TokenSettings, contract: Contract, location_id: str
    ) -> Sequence[Location]:
        if location_id:
            return [self._location(token, location_id)]
        if contract.needs_location_for_pools:
            raise Refusal(400, "Invalid locationId format")
        seen = self.state.locations if token.locations is None else sorted(token.locations)
        return [self._location(token, each) for each in seen]

    def _location(self, token: TokenSettings, location_id: str) -> Location:
        location = self.state.location(location_id)
        if location is None:
            raise Refusal(401, "This location is not accessible from this token!")
        check_location(token, location_id)
        if not location.connected:
            raise Refusal(404, "Phone system is not connected to this account")
        return location


def _location_id(request: web.Request) -> str:
    return request.match_info.get("location_id") or request.query.get("locationId", "")


def _contract(request: web.Request) -> Contract:
    version = request.headers.get("Version")
    if version is None:
        raise Refusal(401, "version header was not found.")
    if version not in CONTRACTS:
        raise Refusal(401, "version header is invalid")
    return CONTRACTS[version]


def _json(status: int, payload: object) -> web.Response:
    return web.Response(
        status=status,
        body=msgspec.json.encode(payload),
        content_type="application/json",
        charset="utf-8",
    )
