"""What can go wrong around an audit."""

from __future__ import annotations

from attrs import define

from ..errors import LCPhoneError


class StoreError(LCPhoneError):
    """The store cannot be used: it is no store, is in use, or the disk is full."""


class PriceListError(LCPhoneError, ValueError):
    """Lines of a price list are wrong, repeat another, or match no number of the run."""


@define(slots=False)
class RuleError(LCPhoneError, ValueError):
    """The query of a rule of your own cannot be run."""

    rule: str
    """The rule's name."""
    reason: str
    """What DuckDB says of it."""

    def __str__(self) -> str:
        return f"rule {self.rule}: {self.reason}"


class ClusterError(LCPhoneError):
    """The Dask cluster cannot be used, or was lost."""


@define(slots=False)
class ListChangedError(LCPhoneError):
    """No two walks over a location's list agreed, so that numbers may be missing."""

    walks: int

    def __str__(self) -> str:
        return f"the list changed during {self.walks} walks, so that numbers may be missing"
