"""What a sandbox can be told of its locations, its tokens and its app."""

from collections.abc import Iterable
from typing import Final, Literal

from attrs import field, frozen, validators
from attrs.converters import optional

from .growing import MAX_NUMBERS

SCOPES: Final = frozenset(
    {"numberpools.read", "phonenumbers.read", "phonenumbers.write", "oauth.readonly", "oauth.write"}
)
"""What the operations ask for."""
_YEAR: Final = 365 * 86_400


def _names(values: Iterable[str]) -> frozenset[str]:
    if isinstance(values, str):
        raise TypeError(f"expected several names, got the string {values!r}")
    return frozenset(values)


def _ordered_names(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(values if _names(values) else ())


@frozen(kw_only=True)
class LocationSettings:
    """What a location starts with.

    >>> LocationSettings(numbers=2_500, account_status="suspended").pools
    2
    """

    numbers: int | None = field(
        default=None,
        validator=validators.optional([validators.ge(0), validators.le(MAX_NUMBERS)]),
    )
    """How many numbers, those in pools included; `None` takes the sandbox's own default."""
    pools: int = field(default=2, validator=validators.ge(0))
    """How many number pools. They share every fourth number, up to 25 numbers a pool."""
    account_status: str = "active"
    """`active`, `suspended` or `closed`; other words go out as they are."""
    under_lc: bool = True
    """`isUnderLc` (v3), `isUnderGhl` (2021-07-28)."""
    connected: bool = True
    """`False` answers 404 "Phone system is not connected to this account"."""


@frozen(kw_only=True)
class TokenSettings:
    """What a token may do; `None` stands for all.

    >>> readonly = TokenSettings(locations=["loc1"], scopes=["phonenumbers.read"])
    """

    locations: frozenset[str] | None = field(default=None, converter=optional(_names))
    scopes: frozenset[str] | None = field(default=None, converter=optional(_names))
    kind: Literal["location", "agency"] | None = None
    """Phone operations want a token of a `location`; an `agency`'s gets tokens for locations."""
    app: str = "app"
    """Tokens of one app share the budget of a location."""


@frozen(kw_only=True)
class OAuthSettings:
    """The app that the token endpoints serve, and how its tokens live; `None` takes any.

    >>> OAuthSettings(client_id="app-1", client_secret="s3cret", expires_in=60).grace
    0.0
    """

    client_id: str | None = None
    client_secret: str | None = field(default=None, repr=False)
    app_id: str | None = None
    company_id: str | None = None
    locations: tuple[str, ...] | None = field(default=None, converter=optional(_ordered_names))
    """Where it is installed, in the order of the list; `None` is wherever there is a location."""
    scopes: frozenset[str] = field(default=SCOPES, converter=_names)
    """What its tokens may do."""
    expires_in: float = field(default=86_399, validator=validators.ge(0))
    """Seconds in which an access token is taken."""
    refresh_expires_in: float = field(default=_YEAR, validator=validators.ge(0))
    """Seconds in which a refresh token is taken."""
    grace: float = field(default=0.0, validator=validators.ge(0))
    """Seconds in which a refresh token that is used again gives the same answer again. After
    them, its use ends the installation: none of its tokens is taken any more."""
