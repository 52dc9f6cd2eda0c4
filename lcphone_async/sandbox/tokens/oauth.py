"""The app's installations, and the tokens that stand for them."""

from collections.abc import Callable, Iterator
from itertools import count
from math import inf
from typing import Final, Literal

from attrs import define, evolve, field, frozen

from ..inventory.numbers import digest
from ..refusals import RefusedError
from .settings import OAuthSettings, TokenSettings

GrantType = Literal["authorization_code", "refresh_token", "location"]

COMPANY: Final = "company"
"""The agency, where the settings name none."""
_LOCATION: Final = "location"
_BAD_REFRESH: Final = "Invalid grant: refresh token is invalid"
_WRONG_TYPE: Final = "Token's user type mismatch!"
_BAD_CODE: Final = "Invalid grant: authorization code is invalid"


@frozen
class Grant:
    """What a token endpoint gave."""

    access_token: str
    refresh_token: str
    company_id: str
    location_id: str | None
    """`None` for a token of the agency."""
    scopes: tuple[str, ...]
    expires_in: float
    """Seconds."""


@frozen
class TokenEntry:
    """A request for a token on which the service acted."""

    grant_type: GrantType
    """`location` is an agency's token turned into a location's."""
    location_id: str | None
    """`None` for the agency's, and where the request did not tell."""
    outcome: str
    """`issued`, `repeated` (the last answer, within the grace) or the refusal's message."""
    time: float
    """Seconds since the epoch."""


@define(eq=False)
class _Installation:
    location_id: str | None
    scopes: frozenset[str]
    is_alive: bool = True


@define(eq=False)
class _Refresh:
    installation: _Installation
    until: float
    used: float = 0.0
    answer: Grant | None = None


@frozen(eq=False)
class _Access:
    installation: _Installation
    may: TokenSettings
    until: float


@define(eq=False)
class OAuth:
    """The tokens of a sandbox, for a test to steer.

    >>> from lcphone_async.sandbox import OAuthSettings, Sandbox
    >>> oauth = Sandbox(oauth_app=OAuthSettings(expires_in=60)).oauth
    >>> oauth.install("loc1").expires_in
    60
    >>> oauth.suspended.add("loc1")
    """

    settings: OAuthSettings
    is_enforced: bool
    """Whether tokens are checked; where they are not, any code and refresh token is taken too."""
    seed: int
    clock: Callable[[], float]
    suspended: set[str] = field(factory=set, init=False)
    """Locations that are not active: no token for them, until they are taken out again."""
    ledger: list[TokenEntry] = field(factory=list, init=False)
    """What was asked for and what came of it, oldest first."""
    _revoked: set[str] = field(factory=set, init=False)
    _codes: dict[str, _Installation] = field(factory=dict, init=False)
    _refreshes: dict[str, _Refresh] = field(factory=dict, init=False)
    _accesses: dict[str, _Access] = field(factory=dict, init=False)
    _serial: Iterator[int] = field(factory=count, init=False)

    def install(self, location_id: str | None = None) -> Grant:
        """Install the app for a location, or for the agency, and give the first tokens."""
        return self._issue(self._installed(location_id))

    def authorize(self, location_id: str | None = None) -> str:
        """Give a code that buys the first tokens of a location, or of the agency, once."""
        code = self._new("code")
        self._codes[code] = self._installed(location_id)
        return code

    def uninstall(self, token: str) -> None:
        """End the installation that an access or refresh token is of, with all its tokens."""
        held = self._refreshes.get(token) or self._accesses.get(token)
        if held is None:
            raise LookupError("the sandbox issued no such token")
        held.installation.is_alive = False

    def revoke(self, token: str) -> None:
        """Take one token back: an access token, a refresh token or a private one."""
        self._revoked.add(token)

    def is_revoked(self, token: str) -> bool:
        """Tell whether a token was taken back."""
        return token in self._revoked

    def clear(self) -> None:
        """Forget every installation and token, and the ledger."""
        for known in (self.suspended, self._revoked, self._codes, self._refreshes, self._accesses):
            known.clear()
        self.ledger.clear()

    def access(self, token: str) -> TokenSettings | None:
        """Say what an access token may do now, or `None` for one that is none (any more)."""
        access = self._accesses.get(token)
        if access is None or self.is_revoked(token) or not access.installation.is_alive:
            return None
        return access.may if self.clock() < access.until else None

    def exchange(self, code: str, user_type: str | None = None) -> Grant:
        """Give the first tokens for a code, of the type that is asked for.

        An agency's code may give a location's tokens, that of the first location where the app is
        installed; a location's code gives no agency's, and is not used up by asking.
        """
        installation = self._codes.get(code)
        is_agencys = installation is not None and installation.location_id is None
        is_anybodys = installation is None and not self.is_enforced
        if is_anybodys or (is_agencys and user_type == "Location"):
            installation = self._anybody(user_type)

        def exchanged() -> tuple[Grant, str]:
            if installation is None:
                raise RefusedError(400, _BAD_CODE)
            if user_type == "Company" and installation.location_id is not None:
                raise RefusedError(401, _WRONG_TYPE)
            self._codes.pop(code, None)
            return self._issue(self._active(installation)), "issued"

        return self._noted("authorization_code", installation, exchanged)

    def refresh(self, token: str, user_type: str | None) -> Grant:
        """Give new tokens for a refresh token, which is used up by it."""
        held = self._refreshes.get(token)
        if held is None and not self.is_enforced:
            held = self._refreshes[token] = _Refresh(self._anybody(user_type), inf)
        installation = None if held is None else held.installation
        return self._noted("refresh_token", installation, lambda: self._rotated(token, held))

    def location_token(self, location_id: str) -> Grant:
        """Give a location's tokens to the agency."""
        installation = self._installed(location_id)

        def given() -> tuple[Grant, str]:
            if self.settings.locations is not None and location_id not in self.settings.locations:
                raise RefusedError(400, "Invalid parameter: locationId")
            return self._issue(self._active(installation)), "issued"

        return self._noted("location", installation, given)

    def location_of(self, token: str) -> str | None:
        """Say which location a code or a refresh token is of; `None` for the agency's."""
        held = self._refreshes.get(token)
        installation = held.installation if held else self._codes.get(token)
        return installation.location_id if installation else None

    def _rotated(self, token: str, held: _Refresh | None) -> tuple[Grant, str]:
        if held is None or not self._is_good(token, held):
            raise RefusedError(400, _BAD_REFRESH)
        self._active(held.installation)
        if held.answer is None:
            held.used, held.answer = self.clock(), self._issue(held.installation)
            return held.answer, "issued"
        if self.clock() < held.used + self.settings.grace:
            return held.answer, "repeated"
        held.installation.is_alive = False
        raise RefusedError(400, _BAD_REFRESH)

    def _noted(
        self,
        grant_type: GrantType,
        installation: _Installation | None,
        give: Callable[[], tuple[Grant, str]],
    ) -> Grant:
        location_id = installation.location_id if installation else None
        try:
            grant, outcome = give()
        except RefusedError as refusal:
            self.ledger.append(TokenEntry(grant_type, location_id, refusal.message, self.clock()))
            raise
        self.ledger.append(TokenEntry(grant_type, location_id, outcome, self.clock()))
        return grant

    def _is_good(self, token: str, held: _Refresh) -> bool:
        in_time = self.clock() < held.until
        return held.installation.is_alive and in_time and not self.is_revoked(token)

    def _active(self, installation: _Installation) -> _Installation:
        if installation.location_id in self.suspended:
            raise RefusedError(400, "Location is not active")
        return installation

    def _anybody(self, user_type: str | None) -> _Installation:
        first = (self.settings.locations or (_LOCATION,))[0]
        return self._installed(None if user_type == "Company" else first)

    def _installed(self, location_id: str | None) -> _Installation:
        return _Installation(location_id, self.settings.scopes)

    def _issue(self, installation: _Installation) -> Grant:
        grant = Grant(
            access_token=self._new("access"),
            refresh_token=self._new("refresh"),
            company_id=self.settings.company_id or COMPANY,
            location_id=installation.location_id,
            scopes=tuple(sorted(installation.scopes)),
            expires_in=self.settings.expires_in,
        )
        now, own = self.clock(), installation.location_id
        may = TokenSettings(scopes=installation.scopes, kind="agency")
        if own is not None:
            may = evolve(may, locations=[own], kind="location")
        until = now + self.settings.expires_in
        self._accesses[grant.access_token] = _Access(installation, may, until)
        until = now + self.settings.refresh_expires_in
        self._refreshes[grant.refresh_token] = _Refresh(installation, until)
        return grant

    def _new(self, what: str) -> str:
        return f"{what}-{digest(what, self.seed, next(self._serial)).hex()}"
