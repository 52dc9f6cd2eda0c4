"""Texts that are sent to the service and shown to nobody."""

from __future__ import annotations

from typing import Any, Self, SupportsIndex


class _Hidden:
    """Keeps a value out of `repr`, and with it out of the locals of a traceback, and of pickles."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'…'"

    def __reduce_ex__(self, protocol: SupportsIndex) -> Any:
        raise TypeError("this holds a token or another secret, which cannot be pickled or copied")

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _memo: object) -> Self:
        return self


class Secret(_Hidden, str):
    """A string such as a token."""

    __slots__ = ()


class SecretBytes(_Hidden, bytes):
    """Bytes that hold a secret, such as a request's body."""

    __slots__ = ()
