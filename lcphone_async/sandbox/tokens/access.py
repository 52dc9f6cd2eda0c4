"""Who may do what: the bearer token, its kind, its scopes and its locations."""

from collections.abc import Iterable, Mapping

from attrs import field, frozen

from .. import arguments
from ..refusals import RefusedError
from .oauth import OAuth
from .settings import TokenSettings

_ANY = TokenSettings()


def _settings(
    tokens: Iterable[str] | Mapping[str, TokenSettings] | None,
) -> Mapping[str, TokenSettings] | None:
    if tokens is None:
        return None
    texts = arguments.texts("tokens", tokens)
    known = tokens if isinstance(tokens, Mapping) else dict.fromkeys(texts, _ANY)
    if not all(isinstance(settings, TokenSettings) for settings in known.values()):
        raise TypeError("'tokens' must map texts to TokenSettings")
    return known


@frozen
class Tokens:
    """The tokens that a sandbox was told of, and those that it issued."""

    known: Mapping[str, TokenSettings] | None = field(converter=_settings)
    oauth: OAuth

    def settings(self, authorization: str) -> TokenSettings:
        """Say what the token of an `Authorization` header may do."""
        scheme, _, token = authorization.partition(" ")
        settings = self._of(token)
        if scheme.lower() != "bearer" or not token.strip() or settings is None:
            raise RefusedError(401, "Invalid token: access token is invalid")
        return settings

    def _of(self, token: str) -> TokenSettings | None:
        if self.oauth.is_revoked(token):
            return None
        if not self.oauth.is_enforced:
            return _ANY
        return (self.known or {}).get(token) or self.oauth.access(token)


def check_kind(token: TokenSettings, kind: str) -> None:
    """Refuse an agency's token where a location's is wanted, and the other way about."""
    if token.kind not in (None, kind):
        raise RefusedError(401, "This authClass type is not allowed to access this scope.")


def check_scope(token: TokenSettings, scope: str) -> None:
    """Refuse a token that lacks the scope."""
    if token.scopes is not None and scope not in token.scopes:
        raise RefusedError(401, "not authorized for this scope")


def check_location(token: TokenSettings, location_id: str) -> None:
    """Refuse a token that is for other locations."""
    if token.locations is not None and location_id not in token.locations:
        raise RefusedError(403, "token does not have access to this location")
