"""Where tokens come from."""

from __future__ import annotations

import re
from typing import Protocol, runtime_checkable

from attrs import field, frozen

# What may stand in a bearer token: visible ASCII (RFC 9110, 5.5, less white space).
_TOKEN = re.compile(r"[\x21-\x7e]+")


@runtime_checkable
class TokenSource(Protocol):
    """Anything that gives a token for a location's call.

    >>> class FromVault:
    ...     async def token(self, location_id: str) -> str:
    ...         return await vault.read(f"lcphone/{location_id}")
    """

    async def token(self, location_id: str) -> str:
        """The bearer token for a call on this location; what it raises comes out of the call."""
        ...


@frozen
class StaticToken:
    """One token for every call, such as a private integration token (`pit-…`)."""

    _value: str = field(repr=False)

    async def token(self, location_id: str) -> str:  # noqa: ARG002  # the same for all
        """The token, whatever the location."""
        return self._value


def checked_token(token: object) -> str:
    """A token that can be a header; white space around it, as pasted, is taken off.

    Raises `TypeError` or `ValueError`, neither of which shows the token.
    """
    if not isinstance(token, str):
        raise TypeError(f"token must be a string or a token source, not {type(token).__name__}")
    stripped = token.strip()
    if not stripped:
        raise ValueError("token is empty")
    if not _TOKEN.fullmatch(stripped):
        raise ValueError("token holds white space, a control character or a non-ASCII one")
    return stripped


def token_source(token: str | TokenSource) -> TokenSource:
    """The source that a client's `token` argument stands for."""
    return token if isinstance(token, TokenSource) else StaticToken(checked_token(token))
