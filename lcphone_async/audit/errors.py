"""What can go wrong around an audit."""

from __future__ import annotations

from ..errors import LCPhoneError


class StoreError(LCPhoneError):
    """The store cannot be used: it is no store, is in use, or the disk is full."""


class ClusterError(LCPhoneError):
    """The Dask cluster cannot be used, or was lost."""
