"""What a sandbox can be told of its locations and tokens."""

from collections.abc import Iterable

from attrs import field, frozen, validators

from .numbers import MAX_NUMBERS


def _names(values: Iterable[str] | None) -> frozenset[str] | None:
    if isinstance(values, str):
        raise TypeError(f"expected several names, got the string {values!r}")
    return None if values is None else frozenset(values)


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

    locations: frozenset[str] | None = field(default=None, converter=_names)
    scopes: frozenset[str] | None = field(default=None, converter=_names)
    app: str = "app"
    """Tokens of one app share the budget of a location."""
