"""The token endpoints, for the token sources of one client."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextvars import Context
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import evolve, field, frozen

from .. import _wire
from .._internal import checks
from .._internal.tasks import LastingTask, OwnTasks
from .._wire import token_requests
from ..auth.sources import TokenSource
from ..errors import APIError, AuthorizationLostError, ClientClosedError, ResponseFormatError
from .body import decoded
from .calls import Calls

if TYPE_CHECKING:
    from .._wire.requests import Request
    from ..auth.tokens import Grant
    from .transport import Transport

T = TypeVar("T")

# So long a refresh under way may keep a client that is being closed: a response that nobody reads
# may hold the only refresh token that is still good.
_TIME_TO_END = 15.0

# The same if the closing task is cancelled, as by Ctrl-C, or the event loop is stopped: most
# responses come within this time.
_TIME_TO_BREAK_OFF = 5.0


@frozen
class ClientTokenService:
    """What `auth.TokenService` describes, over the calls of a client."""

    calls: Calls
    base_url: str
    api_version: str
    allow_http: bool
    timeout: float
    """Seconds that a token source of the user's may take."""
    _tasks: OwnTasks = field(factory=OwnTasks)

    @classmethod
    def over(cls, calls: Calls, transport: Transport) -> ClientTokenService:
        """The service where the client's other calls go."""
        return cls(
            calls,
            transport.base_url,
            transport.api_version,
            transport.allow_http,
            transport.token_timeout,
        )

    @property
    def is_open(self) -> bool:
        """Whether the client can still be used."""
        return not self.calls.is_closed

    def at(self, base_url: str | None, api_version: str | None) -> ClientTokenService:
        """The same at another base URL or under the other contract."""
        url = base_url and checks.base_url(base_url, allow_http=self.allow_http)
        return evolve(
            self, base_url=url or self.base_url, api_version=api_version or self.api_version
        )

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """A task that the client gives time to end when it is closed."""
        if not self.is_open:
            work.close()
            raise ClientClosedError("POST", "/oauth", "the client is closed")
        # Its own context: it is not part of the call that happened to need it first.
        return self._tasks.add(LastingTask(work, _TIME_TO_BREAK_OFF, Context()))

    async def refresh(self, client_id: str, client_secret: str, refresh_token: str) -> Grant:
        """New tokens; raises `AuthorizationLostError` where the refresh token is refused."""
        request = self._here(
            token_requests.refresh(self.api_version, client_id, client_secret, refresh_token)
        )
        try:
            return await self._granted(request)
        except ResponseFormatError:  # the tokens in it are lost, if it is not given again
            return await self._granted(request)

    async def exchange(self, client_id: str, client_secret: str, code: str, **more: Any) -> Grant:
        """The first tokens of an installation. A code is good once: it is not sent again."""
        request = token_requests.exchange(self.api_version, client_id, client_secret, code, **more)
        response = await self.calls.send(request)
        return await decoded(_wire.token_responses.grant, request, response)

    async def reconnect(
        self, client_id: str, client_secret: str, location_id: str | None, company_id: str | None
    ) -> Grant:
        """New tokens of an installation whose refresh token is refused; raises `LCPhoneError`."""
        request = self._here(
            token_requests.reconnect(client_id, client_secret, location_id, company_id)
        )
        response = await self.calls.send_to_the_end(request)
        code = await decoded(_wire.token_responses.authorization_code, request, response)
        user_type = "Location" if location_id else "Company"
        more = {"redirect_uri": None, "user_type": user_type}
        request = self._here(
            token_requests.exchange(self.api_version, client_id, client_secret, code, **more)
        )
        response = await self.calls.send_to_the_end(request)
        return await decoded(_wire.token_responses.grant, request, response)

    async def location_token(self, company_id: str, location_id: str, agency: TokenSource) -> Grant:
        """A token of the location, for one of the agency."""
        request = self._here(
            token_requests.location_token(self.api_version, company_id, location_id)
        )
        response = await self.calls.send(request, tokens=agency)
        return await decoded(_wire.token_responses.grant, request, response)

    async def close(self) -> None:
        """Gives what was started its time to end, and then ends it."""
        async with self._tasks as tasks:
            await tasks.ended(_TIME_TO_END, _TIME_TO_BREAK_OFF)

    async def _granted(self, request: Request) -> Grant:
        try:
            response = await self.calls.send_to_the_end(request)
        except APIError as error:
            if not _wire.errors.is_invalid_grant(error):
                raise
            refusal = AuthorizationLostError(str(error), error.status)
        else:
            return await decoded(_wire.token_responses.grant, request, response)
        raise refusal

    def _here(self, request: Request) -> Request:
        return evolve(request, base_url=self.base_url, api_version=self.api_version)
