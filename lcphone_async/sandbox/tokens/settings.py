"""What a sandbox can be told of its tokens and its app."""

from collections.abc import Iterable
from typing import Final, Literal

from attrs import field, frozen, validators
from attrs.converters import optional

from .. import arguments

SCOPES: Final = frozenset(
    {"numberpools.read", "phonenumbers.read", "phonenumbers.write", "oauth.readonly", "oauth.write"}
)
"""What the operations ask for."""
_maybe_a_text = validators.optional(arguments.a_text)
_YEAR: Final = 365 * 86_400


def _locations(values: Iterable[str]) -> frozenset[str]:
    return frozenset(arguments.texts("locations", values))


def _ordered_locations(values: Iterable[str]) -> tuple[str, ...]:
    return arguments.texts("locations", values)


def _scopes(values: Iterable[str]) -> frozenset[str]:
    return frozenset(arguments.texts("scopes", values))


@frozen(kw_only=True)
class TokenSettings:
    """What a token may do; `None` stands for all.

    >>> readonly = TokenSettings(locations=["loc1"], scopes=["phonenumbers.read"])
    """

    locations: frozenset[str] | None = field(default=None, converter=optional(_locations))
    scopes: frozenset[str] | None = field(default=None, converter=optional(_scopes))
    kind: Literal["location", "agency"] | None = field(
        default=None, validator=arguments.among(None, "location", "agency")
    )
    """Phone operations want a token of a `location`; an `agency`'s gets tokens for locations."""
    app: str = field(default="app", validator=arguments.a_text)
    """Tokens of one app share the budget of a location."""


@frozen(kw_only=True)
class OAuthSettings:
    """The app that the token endpoints serve, and how its tokens live; `None` takes any.

    >>> OAuthSettings(client_id="app-1", client_secret="s3cret", expires_in=60).grace
    0.0
    """

    client_id: str | None = field(default=None, validator=_maybe_a_text)
    client_secret: str | None = field(default=None, repr=False, validator=_maybe_a_text)
    app_id: str | None = field(default=None, validator=_maybe_a_text)
    company_id: str | None = field(default=None, validator=_maybe_a_text)
    locations: tuple[str, ...] | None = field(default=None, converter=optional(_ordered_locations))
    """Where it is installed, in the order of the list; `None` is wherever there is a location."""
    scopes: frozenset[str] = field(default=SCOPES, converter=_scopes)
    """What its tokens may do."""
    expires_in: float = field(default=86_399, validator=arguments.number(0))
    """Seconds in which an access token is taken."""
    refresh_expires_in: float = field(default=_YEAR, validator=arguments.number(0))
    """Seconds in which a refresh token is taken."""
    grace: float = field(default=0.0, validator=arguments.number(0))
    """Seconds in which a refresh token that is used again gives the same answer again. After
    them, its use ends the installation: none of its tokens is taken any more."""
    reconnects: bool = field(default=False, validator=arguments.a_switch)
    """Whether `/oauth/reconnect` gives a code for a lost installation, or was removed (400)."""
