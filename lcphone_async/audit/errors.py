"""Errors of audits."""

from __future__ import annotations

from attrs import define

from ..errors import LCPhoneError


class StoreError(LCPhoneError):
    """The store cannot be used: it is another kind of file, in use, or the disk is full."""


class PriceListError(LCPhoneError, ValueError):
    """A price list has lines that are wrong, repeated, or without a number in the run."""


@define(slots=False)
class RuleError(LCPhoneError, ValueError):
    """The query of a custom rule cannot be run."""

    rule: str
    """Name of the rule."""
    reason: str
    """Error message of DuckDB."""

    def __str__(self) -> str:
        return f"rule {self.rule}: {self.reason}"


class ClusterError(LCPhoneError):
    """The Dask cluster cannot be used, or was lost."""


@define(slots=False)
class ListChangedError(LCPhoneError):
    """No two walks over a location's list agreed, so that numbers may be missing."""

    walks: int
    """How many walks were made."""

    def __str__(self) -> str:
        return f"the list changed during {self.walks} walks, so that numbers may be missing"
