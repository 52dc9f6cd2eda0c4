"""`AgencyTokens`: an agency's token, exchanged for one of each location."""

from __future__ import annotations

import time
from collections import OrderedDict

from attrs import define

from .._internal import checks
from ..errors import LCPhoneError
from .single_flight import SingleFlight
from .sources import (
    ServiceOfSource,
    ServiceTokens,
    TokenCall,
    TokenService,
    TokenSource,
    bind,
    renewed,
    token_source,
    unavailable,
)
from .tokens import TokenPair


@define(eq=False)
class _LocationToken:
    """What is known of one location's token."""

    flight: SingleFlight[TokenPair]
    pair: TokenPair | None = None
    is_refused: bool = False
    """Whether the service calls its access token invalid, so that another is to replace it."""

    def token(self) -> str | None:
        """The token, where it is good for a while yet."""
        if self.pair is None or self.is_refused or self.pair.is_due(time.time()):
            return None
        return self.pair.bearer

    def refusals(self) -> int:
        """How many access tokens in a row were refused, up to the one that is to be replaced."""
        if self.pair is None or not self.is_refused:
            return 0
        return self.pair.refusals_with_this(time.time())


class AgencyTokens(ServiceTokens):
    """An agency's token, turned into one for each location when a call needs it.

    - `company_id`: the agency's id.
    - `source`: where its own token comes from: a string or a token source, such as `OAuthTokens`.
    - `max_locations`: how many locations' tokens are kept; those used least lately go first.
    - `base_url`, `api_version`, `failure_cooldown`: as of `OAuthTokens`.

    A location's token is asked for once, however many tasks need it, and kept until shortly
    before it expires. Asking counts in the agency's own budget, 100 requests in 10 s.

    Raises `TokenUnavailableError` where a location's token cannot be had.

    >>> from lcphone_async import OAuthTokens
    >>> app = OAuthTokens(client_id="id", client_secret="secret", refresh_token="first")
    >>> tokens = AgencyTokens(company_id="company", source=app)
    """

    def __init__(
        self,
        *,
        company_id: str,
        source: str | TokenSource | TokenCall,
        max_locations: int = 10_000,
        base_url: str | None = None,
        api_version: checks.ApiVersion | None = None,
        failure_cooldown: float = 10.0,
    ) -> None:
        self._company_id = checks.identifier("company_id", company_id)
        self._source = token_source(source, "source")
        self._max = checks.whole_number("max_locations", max_locations, 1)
        self._cooldown = checks.seconds("failure_cooldown", failure_cooldown)
        super().__init__(ServiceOfSource.of(base_url, api_version))
        self._by_location: OrderedDict[str, _LocationToken] = OrderedDict()

    def __repr__(self) -> str:
        return f"AgencyTokens(company_id={self._company_id!r}, source={self._source!r})"

    def bind(self, service: TokenService) -> None:
        """Called by each client that it is given to, with its way to the service."""
        super().bind(service)
        bind(self._source, service)

    async def token(self, location_id: str) -> str:
        """The location's token, or the agency's own for calls on the agency."""
        self._check_loop()
        if location_id == self._company_id:
            return await self._source.token(location_id)
        entry = self._entry(location_id)
        if (token := entry.token()) is not None:
            return token

        async def ask(service: TokenService) -> TokenPair:
            entry.pair = await self._ask(service, location_id, entry.refusals())
            entry.is_refused = False
            return entry.pair

        return (await entry.flight.join(self._service, ask)).bearer

    async def renew(self, location_id: str, refused: str) -> str:
        """Another token than the one that was refused."""
        if location_id == self._company_id:
            return await renewed(self._source, location_id, refused) or refused
        entry = self._entry(location_id)
        pair = entry.pair
        if pair is not None and pair.access_token == refused and pair.may_be_replaced(time.time()):
            entry.is_refused = True
        return await self.token(location_id)

    def _entry(self, location_id: str) -> _LocationToken:
        entry = self._by_location.pop(location_id, None) or _LocationToken(
            SingleFlight(self._cooldown)
        )
        self._by_location[location_id] = entry
        while len(self._by_location) > self._max:
            self._by_location.popitem(last=False)
        return entry

    async def _ask(self, service: TokenService, location_id: str, refusals: int) -> TokenPair:
        asked_at = time.time()
        try:
            grant = await service.location_token(self._company_id, location_id, self._source)
        except LCPhoneError as error:
            failure = unavailable(error)
        else:
            return TokenPair.granted(grant, asked_at, refusals=refusals)
        raise failure
