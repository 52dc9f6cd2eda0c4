"""Audits: inventories of many locations in one DuckDB file, with comparisons and reports.

>>> from lcphone_async.audit import audit
>>> async def weekly(client, location_ids):
...     summary = await audit(client, location_ids, "inventory.duckdb")
...     print(summary.numbers, "numbers,", summary.coverage)

It needs the extra `audit`; a report needs `report`, a cluster `dask`. The names below are imported
on first use, so that a program without the extras can import the package.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from .._internal.extras import extra

if TYPE_CHECKING:
    from .changes import ChangeKind
    from .cluster import audit_on_dask
    from .diff import Change, Comparison, NotCompared, compare
    from .errors import ClusterError, PriceListError, RuleError, StoreError
    from .exporter import export
    from .finding import Finding, findings, read_rules
    from .html_report import report
    from .inventory import Coverage
    from .locations import read_locations
    from .prices import Cost, Costs, costs
    from .reader import Incomplete, coverage
    from .rules import REGULATED_COUNTRIES, RULES, Rule
    from .runner import AuditSummary, Progress, audit
    from .store import Run

__all__ = [
    "REGULATED_COUNTRIES",
    "RULES",
    "AuditSummary",
    "Change",
    "ChangeKind",
    "ClusterError",
    "Comparison",
    "Cost",
    "Costs",
    "Coverage",
    "Finding",
    "Incomplete",
    "NotCompared",
    "PriceListError",
    "Progress",
    "Rule",
    "RuleError",
    "Run",
    "StoreError",
    "audit",
    "audit_on_dask",
    "compare",
    "costs",
    "coverage",
    "export",
    "findings",
    "read_locations",
    "read_rules",
    "report",
]

_HOMES = {
    "REGULATED_COUNTRIES": "rules",
    "RULES": "rules",
    "AuditSummary": "runner",
    "Change": "diff",
    "ChangeKind": "changes",
    "ClusterError": "errors",
    "Comparison": "diff",
    "Cost": "prices",
    "Costs": "prices",
    "Coverage": "inventory",
    "Finding": "finding",
    "Incomplete": "reader",
    "NotCompared": "diff",
    "PriceListError": "errors",
    "Progress": "runner",
    "Rule": "rules",
    "RuleError": "errors",
    "Run": "store",
    "StoreError": "errors",
    "audit": "runner",
    "audit_on_dask": "cluster",
    "compare": "diff",
    "costs": "prices",
    "coverage": "reader",
    "export": "exporter",
    "findings": "finding",
    "read_locations": "locations",
    "read_rules": "finding",
    "report": "html_report",
}

_EXTRAS = {"cluster": "dask", "html_report": "report"}


if not TYPE_CHECKING:  # a type checker that sees `__getattr__` accepts every misspelt name

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        home = _HOMES[name]
        with extra(_EXTRAS.get(home, "audit")):
            return getattr(import_module(f".{home}", __name__), name)
