"""`OAuthTokens`: the tokens of an installed OAuth app, refreshed before they expire."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import datetime
from types import TracebackType

from attrs import frozen

from .._internal import checks
from .._internal.secrets import Secret
from ..errors import AuthorizationLostError, LCPhoneError, TokenUnavailableError
from .refresh_marker import RefreshMarker, lease_of, wait_until_unmarked
from .single_flight import SingleFlight
from .sources import (
    ServiceOfSource,
    ServiceTokens,
    TokenService,
    checked_token,
    unavailable,
)
from .stores import MemoryTokenStore, TokenStore
from .tokens import TokenPair

_logger = logging.getLogger("lcphone_async")

# No refresh takes so many seconds: a store whose lock is held for longer hangs.
_LOCK_WAIT = 120.0

# Nor does a store that waits for nobody.
_STORE_WAIT = 10.0

# Seconds before new tokens that could not be stored are stored again: the first wait, which
# doubles, and the longest. Another process may use the old refresh token meanwhile.
_SAVE_AGAIN = 0.02
_SAVE_AGAIN_MOST = 0.25

# And so long it may take to let go of its lock once the refresh was broken off.
_LET_GO = 1.0


class OAuthTokens(ServiceTokens):
    """The tokens of an installed OAuth app, which renew themselves.

    - `client_id`, `client_secret`: the app's.
    - `refresh_token`: what the installation's last token answer gave.
    - `access_token`, `expires_at` (an aware `datetime` or seconds since the epoch): its access
      token, where it is still good.
    - `store`: where the newest tokens are kept, such as a `FileTokenStore`. What it holds goes
      before the arguments. Without one they live as long as this object, and the refresh token
      that was given is used up by the first refresh.
    - `base_url`, `api_version`: of the token endpoint; by default those of the client.
    - `failure_cooldown`: seconds after a failed refresh in which its error is raised without
      another try.

    Tokens are refreshed shortly before they expire, while calls go on with the old one, and after
    a 401 that says that the token is invalid. However many tasks ask, one refresh is sent; with a
    shared store, however many processes. `docs/tokens.md` draws what happens when it goes wrong.

    Raises `TokenUnavailableError` where a refresh fails, and `AuthorizationLostError` where the
    refresh token is refused: then the app has to be authorized again.
    """

    def __init__(
        self,
        *,
        client_id: str,
        client_secret: str,
        refresh_token: str | None = None,
        access_token: str | None = None,
        expires_at: datetime | float | None = None,
        store: TokenStore | None = None,
        base_url: str | None = None,
        api_version: checks.ApiVersion | None = None,
        failure_cooldown: float = 10.0,
    ) -> None:
        self._client_id = checks.identifier("client_id", client_id)
        self._client_secret = Secret(checks.identifier("client_secret", client_secret))
        self._given = TokenPair.of(
            None if access_token is None else checked_token(access_token, "access_token"),
            None if refresh_token is None else checked_token(refresh_token, "refresh_token"),
            expires_at,
            time.time(),
        )
        if store is not None:
            what = "a token store such as FileTokenStore"
            checks.having("store", store, what, "lock", "load", "replace")
        self._store = MemoryTokenStore() if store is None else store
        self._where = _named(self._store)
        super().__init__(ServiceOfSource.of(base_url, api_version))
        cooldown = checks.seconds("failure_cooldown", failure_cooldown)
        self._flight: SingleFlight[TokenPair] = SingleFlight(cooldown)
        self._pair: TokenPair | None = None
        self._refused: str | None = None
        self._used_up: dict[str, AuthorizationLostError] = {}
        # New tokens that are not stored yet, and the refresh token whose place they take.
        self._unsaved: tuple[str | None, TokenPair] | None = None

    def __repr__(self) -> str:
        return f"OAuthTokens(client_id={self._client_id!r})"

    async def token(self, location_id: str) -> str:  # noqa: ARG002  # the same for all
        """The access token, renewed where that is due."""
        self._check_loop()
        pair = self._pair
        if pair is None or not self._is_good(pair):
            pair = await self._flight.join(self._service, self._renewed)
        elif pair.is_due(time.time()) and self._flight.failure is None:
            self._flight.begin(self._service, self._renewed)
        return pair.bearer

    async def renew(self, location_id: str, refused: str) -> str:
        """Another access token than the one that was refused."""
        pair = self._pair
        if pair is not None and pair.access_token == refused and pair.may_be_replaced(time.time()):
            self._refused = refused
        return await self.token(location_id)

    def _is_good(self, pair: TokenPair) -> bool:
        return pair.access_token != self._refused and not pair.is_expired(time.time())

    def _kept(self, text: str | None) -> TokenPair:
        """What the store holds; where that was emptied, the newest that were here."""
        return self._pair or self._given if text is None else self._read(text)

    def _read(self, text: str) -> TokenPair:
        return TokenPair.from_text(text, self._where)

    def _fresh(self, text: str | None) -> TokenPair | None:
        """What the store holds, where it need not be renewed."""
        pair = self._kept(text)
        return pair if self._is_good(pair) and not pair.is_due(time.time()) else None

    async def _renewed(self, service: TokenService) -> TokenPair:
        try:
            pair = await self._newest(service)
            if not self._is_good(pair):  # refused meanwhile, or kept late
                pair = await self._newest(service)
        except LCPhoneError as error:
            failure = unavailable(error)
        except Exception as error:  # noqa: BLE001  # a store's own may be any
            failure = TokenUnavailableError(_failed(error))
        else:
            self._pair, self._refused = pair, None
            return pair
        if self._pair is not None and self._is_good(self._pair):  # nobody waits for this one
            _logger.warning("tokens could not be renewed ahead of time: %s", failure.reason)
        raise failure  # without the frames of the cause: they hold the tokens

    async def _newest(self, service: TokenService) -> TokenPair:
        """The pair that somebody else has got meanwhile, or a new one, which is kept by then."""
        async with AsyncExitStack() as stack:
            async with _in_time(_LOCK_WAIT):
                text = await self._store.load()
                if pair := self._fresh(text):
                    return pair
                await stack.enter_async_context(_Held(self._store.lock()))
                if not self._has_unsaved(text):
                    text = await wait_until_unmarked(self._store)
            return self._fresh(text) or await self._refreshed(service, text)

    async def _refreshed(self, service: TokenService, text: str | None) -> TokenPair:
        """A new pair in the place of the one that the store holds."""
        if self._unsaved is None or not self._has_unsaved(text):
            kept = self._kept(text)
            candidates = self._candidates(kept)
            # A store that can keep no more is found out before a refresh token is used up, and
            # a process that got hold of a lost lock sees that this refresh is under way.
            marker = RefreshMarker(self._replace, kept, text)
            if not await marker.put():
                reason = "the token store changed under its lock"
                return await self._theirs(TokenUnavailableError(reason))
            try:
                async with marker.kept(lease_of(self._store)):
                    pair = await self._ask(service, kept, candidates)
                    self._unsaved = (kept.refresh_token, pair)
            except AuthorizationLostError as error:
                return await self._theirs(error)
            text = marker.text
        pair = await self._saved(text, self._unsaved[1])
        self._unsaved = None
        return pair

    def _has_unsaved(self, text: str | None) -> bool:
        """Whether there are new tokens that belong in the place of this text."""
        if self._unsaved is None:
            return False
        return text is None or self._read(text).refresh_token == self._unsaved[0]

    async def _saved(self, text: str | None, pair: TokenPair) -> TokenPair:
        """The pair once it is stored, or another's that is newer; those who wait are told why not.

        The lock is held meanwhile: whoever had it next would use the old refresh token again.
        """
        wait, is_late = _SAVE_AGAIN, False
        while True:
            try:
                if await self._replace(text, pair.to_text()):
                    break
                async with _in_time(_STORE_WAIT):
                    text = await self._store.load()
                if not self._has_unsaved(text):
                    return self._kept(text)
            except Exception as error:  # noqa: BLE001  # a store's own may be any
                failure = _unsaved(error)
                if not is_late:
                    _logger.error("%s", failure.reason)  # noqa: TRY400  # frames hold the tokens
                self._flight.fail(failure)
                is_late = True
            await asyncio.sleep(wait)
            wait = min(2 * wait, _SAVE_AGAIN_MOST)
        if is_late:
            _logger.warning("the new tokens are in the token store now")
        return pair

    async def _theirs(self, failure: TokenUnavailableError) -> TokenPair:
        """The pair that another process has kept meanwhile; raises the failure without one."""
        async with _in_time(_STORE_WAIT):
            text = await self._store.load()
        if pair := self._fresh(text):
            return pair
        raise failure

    async def _replace(self, old: str | None, new: str) -> bool:
        async with _in_time(_STORE_WAIT):
            return await self._store.replace(old, new)

    def _refusals(self, kept: TokenPair) -> int:
        """How many access tokens in a row were refused, up to the one that is to be replaced."""
        is_refused = kept.access_token is not None and kept.access_token == self._refused
        return kept.refusals_with_this(time.time()) if is_refused else 0

    async def _ask(
        self, service: TokenService, kept: TokenPair, candidates: dict[str, TokenPair]
    ) -> TokenPair:
        """Sends the refresh token, and where it is refused one that was given since."""
        for refresh_token, before in candidates.items():
            asked_at = time.time()
            try:
                grant = await service.refresh(self._client_id, self._client_secret, refresh_token)
            except AuthorizationLostError as error:
                self._used_up[refresh_token] = error.with_traceback(None)
            else:
                return TokenPair.granted(grant, asked_at, before, self._refusals(before))
        if (pair := await self._reconnected(service, kept)) is not None:
            return pair
        raise self._used_up[refresh_token]

    async def _reconnected(self, service: TokenService, kept: TokenPair) -> TokenPair | None:
        """New tokens of a lost installation, if the service still gives such."""
        asked_at, whose = time.time(), (kept.location_id, kept.company_id)
        async with _in_time(_STORE_WAIT):
            is_renewed = self._fresh(await self._store.load()) is not None
        if is_renewed or whose == (None, None):
            return None
        try:
            grant = await service.reconnect(self._client_id, self._client_secret, *whose)
        except LCPhoneError as error:
            _logger.debug("a lost installation could not be reconnected: %s", error)
            return None
        _logger.warning("the refresh token was refused, and the service gave new tokens for it")
        return TokenPair.granted(grant, asked_at, kept)

    def _candidates(self, kept: TokenPair) -> dict[str, TokenPair]:
        """The pairs to try, by their refresh tokens; never one that was used.

        Raises `TokenUnavailableError` if there is none.
        """
        given = self._given
        found: dict[str, TokenPair] = {}
        if kept.refresh_token is not None:
            found[kept.refresh_token] = kept
        if given.refresh_token is not None and kept.began_with != given.began_with:
            found[given.refresh_token] = given
        if not found:
            reason = f"no refresh token was given, and {self._where} holds none"
            raise TokenUnavailableError(f"{reason}: authorize the app first")
        unused = {token: pair for token, pair in found.items() if token not in self._used_up}
        if not unused:
            raise self._used_up[[*found][-1]]
        return unused


@asynccontextmanager
async def _in_time(seconds: float) -> AsyncIterator[None]:
    """Raises `TokenUnavailableError` where the store takes longer."""
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            yield
    except TimeoutError:
        if not limit.expired():  # the store's own
            raise
        reason = f"for {seconds:g} s the token store gave no answer, or was locked"
        raise TokenUnavailableError(reason) from None


@frozen
class _Held:
    """A store's lock, which is left in time."""

    lock: AbstractAsyncContextManager[object]

    async def __aenter__(self) -> None:
        await self.lock.__aenter__()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        is_cancelled = isinstance(exc, asyncio.CancelledError)
        async with _in_time(_LET_GO if is_cancelled else _STORE_WAIT):
            await self.lock.__aexit__(exc_type, exc, traceback)


def _named(store: TokenStore) -> str:
    """A token store by its file or its Redis key, neither of which is a secret."""
    for attribute, kind in (("path", "file"), ("redis_key", "key in Redis")):
        if (name := getattr(store, attribute, None)) is not None:
            return f"the token {kind} '{name}'"
    return "the token store"


def _unsaved(error: Exception) -> TokenUnavailableError:
    """What happened to new tokens that could not be stored, and what to do."""
    why = error.reason if isinstance(error, TokenUnavailableError) else _failed(error)
    return TokenUnavailableError(
        f"the new tokens are in memory only, because {why} (let this process go on: it stores them "
        "as soon as it can, and without them the app has to be authorized again)"
    )


def _failed(error: Exception) -> str:
    says = str(error)
    if "access_token" in says:  # a database may repeat what it was given
        says = ""
    return ": ".join(filter(None, ("the token store failed", type(error).__name__, says)))
