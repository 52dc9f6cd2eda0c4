"""What the token endpoints give, and until when it is good."""

from __future__ import annotations

from datetime import datetime
from math import isfinite
from typing import Self

from attrs import asdict, field, frozen

from .._internal.secrets import Secret
from ..errors import TokenUnavailableError

# A token is renewed so many seconds before it expires, or in the last tenth of its life.
_AHEAD = 300.0

# Seconds until a new token that is refused, as the one before it was, may be replaced: the first
# wait, which doubles with each refusal in a row, and the longest.
_FIRST_BACKOFF = 1.0
_LONGEST_BACKOFF = 300.0

# A refusal after so many seconds is no refusal in a row: the token was good before.
_WAS_GOOD = 3600.0

# Seconds since the epoch: the year 9999, after which there is no date.
_END_OF_TIME = 253_402_300_800.0


def _secret(value: str | None) -> Secret | None:
    return None if value is None else Secret(value)


@frozen
class Grant:
    """Tokens that the service gave. They are secrets: it cannot be pickled."""

    access_token: str = field(repr=False, converter=Secret)
    refresh_token: str | None = field(default=None, repr=False, converter=_secret)
    expires_in: float | None = None
    """Seconds for which the access token is good; `None` where the service does not say."""
    company_id: str | None = None
    """The agency's id."""
    location_id: str | None = None
    """`None` for tokens of an agency."""
    scope: str | None = None
    """What they may do: names with spaces between them."""
    user_type: str | None = None
    """`Location` or `Company`; `None` if the service does not say."""


@frozen
class TokenPair:
    """An access token, until when it is good, and the refresh token that renews it."""

    access_token: Secret | None = field(default=None, converter=_secret)
    refresh_token: Secret | None = field(default=None, converter=_secret)
    expires_at: float | None = None
    """Seconds since the epoch; `None` where nobody knows."""
    due_at: float | None = None
    """When it is time to renew it."""
    began_with: str | None = None
    """A digest of the refresh token that a person gave, of which this one descends."""
    granted_at: float | None = None
    """When the service gave it, in seconds since the epoch; `None` for what a person gave."""
    refusals: int = 0
    """How many access tokens in a row the service had refused before it gave this one."""
    location_id: str | None = None
    """Of the installation, if it is known; `None` for that of an agency."""
    company_id: str | None = None
    """The agency's id, if it is known."""
    refreshing: str | None = None
    """In a store: the mark of the process that is refreshing these tokens."""

    @classmethod
    def of(
        cls,
        access_token: str | None,
        refresh_token: str | None,
        expires_at: datetime | float | None,
        now: float,
    ) -> Self:
        """What a person gives; raises `ValueError` for a date without a time zone."""
        if isinstance(expires_at, datetime):
            if expires_at.tzinfo is None:
                raise ValueError("expires_at has no time zone")
            expires_at = expires_at.timestamp()
        if expires_at is not None and (
            isinstance(expires_at, bool) or not isinstance(expires_at, int | float)
        ):
            raise TypeError("expires_at must be an aware datetime or seconds since the epoch")
        if expires_at is not None and not -_END_OF_TIME < expires_at < _END_OF_TIME:
            raise ValueError("expires_at must be seconds since the epoch")
        began_with = None if refresh_token is None else digest(refresh_token)
        return cls(access_token, refresh_token, expires_at, _due(now, expires_at), began_with)

    @classmethod
    def granted(
        cls,
        grant: Grant,
        asked_at: float,
        before: TokenPair | None = None,
        refusals: int = 0,
    ) -> Self:
        """What the service gave in the place of a pair, from which it takes what is not said."""
        before = before or cls()
        lives = grant.expires_in if grant.expires_in and grant.expires_in > 0 else None
        expires_at = None if lives is None else asked_at + lives
        return cls(
            grant.access_token,
            grant.refresh_token or before.refresh_token,
            expires_at,
            _due(asked_at, expires_at),
            before.began_with,
            asked_at,
            refusals,
            grant.location_id or before.location_id,
            grant.company_id or before.company_id,
        )

    @property
    def bearer(self) -> str:
        """The access token."""
        return self.access_token or Secret()

    def is_expired(self, now: float) -> bool:
        """Whether there is no access token that may be good."""
        return self.access_token is None or (self.expires_at is not None and now >= self.expires_at)

    def is_due(self, now: float) -> bool:
        """Whether it is time to renew it."""
        return self.is_expired(now) or (self.due_at is not None and now >= self.due_at)

    def may_be_replaced(self, now: float) -> bool:
        """Whether another token may be asked for if this one is refused, or not so soon."""
        if self.granted_at is None or not self.refusals:
            return True
        backoff = min(_FIRST_BACKOFF * 2.0 ** min(self.refusals - 1, 20), _LONGEST_BACKOFF)
        return abs(now - self.granted_at) >= backoff  # another machine's clock may be ahead

    def refusals_with_this(self, now: float) -> int:
        """How many tokens in a row were refused, if this one is refused now."""
        was_good = self.granted_at is None or now >= self.granted_at + _WAS_GOOD
        return 1 if was_good else self.refusals + 1

    def to_text(self) -> Secret:
        """All of it, to be kept."""
        import json

        return Secret(json.dumps(asdict(self)))

    @classmethod
    def from_text(cls, text: str, where: str = "the token store") -> Self:
        """What `to_text` was made from; raises `TokenUnavailableError` where it is none."""
        import json

        try:
            fields = json.loads(text)
            return cls(
                _bearer(fields["access_token"]),
                _text(fields["refresh_token"]) or None,
                _time(fields.get("expires_at")),
                _time(fields.get("due_at")),
                _text(fields.get("began_with")),
                _time(fields.get("granted_at")),
                int(_time(fields.get("refusals")) or 0),
                _text(fields.get("location_id")),
                _text(fields.get("company_id")),
                _text(fields.get("refreshing")),
            )
        except (
            ArithmeticError,
            AttributeError,
            LookupError,
            RecursionError,
            TypeError,
            ValueError,
        ):
            reason = (
                f"{where} holds something else than tokens: delete it and authorize the app again"
            )
        raise TokenUnavailableError(reason)


def _text(value: object) -> str | None:
    if value is not None and not isinstance(value, str):
        raise TypeError
    return value


def _bearer(value: object) -> str | None:
    """A token that can stand in a header."""
    token = _text(value)
    if token is None or (token and token.isascii() and token.isprintable() and " " not in token):
        return token
    raise ValueError


def _time(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError
    if not isfinite(value):
        raise ValueError
    return value


def digest(refresh_token: str) -> str:
    """What tells refresh tokens apart and does not give them away."""
    from hashlib import sha256

    return sha256(refresh_token.encode()).hexdigest()[:16]


def _due(now: float, expires_at: float | None) -> float | None:
    if expires_at is None:
        return None
    return expires_at - min(_AHEAD, max(0.0, expires_at - now) / 10)
