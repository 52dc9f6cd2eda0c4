"""What can go wrong with a store."""

from __future__ import annotations

from ..errors import LCPhoneError


class StoreError(LCPhoneError):
    """The store cannot be used: it is no store, is in use, or the disk is full."""
