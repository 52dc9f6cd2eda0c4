"""The audit's public surface as a type checker sees it; only mypy runs this file."""

from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import assert_type

import lcphone_async as lc
from lcphone_async import audit as la


async def streamed() -> AsyncIterator[lc.Location]:
    """Locations as an async iterator."""
    yield lc.Location("a", "Dental Care")


def show(progress: la.Progress) -> None:
    """The argument of a progress callback."""
    assert_type(progress.locations, int)
    assert_type(progress.done, int)
    assert_type(progress.numbers, int)
    assert_type(progress.errors, int)
    assert_type(progress.started, float)
    assert_type(progress.seconds, float)
    assert_type(progress.rate, float)
    assert_type(progress.seconds_left, float | None)


def new_client() -> lc.LCPhoneClient:
    """A worker's client."""
    return lc.LCPhoneClient.from_env()


async def take(client: lc.LCPhoneClient) -> None:
    """An audit accepts ids or locations, and returns a summary."""
    summary = await la.audit(
        client, ["a", lc.Location("b")], "store", resume=True, concurrency=8, on_progress=show
    )
    await la.audit(client, streamed(), Path("store"))
    await la.audit(client, None, "store", resume=True)
    await la.audit(client, [1], "store")  # type: ignore[list-item]
    assert_type(summary, la.AuditSummary)
    assert_type(summary.run_id, int)
    assert_type(summary.coverage, dict[la.Coverage, int])
    assert_type(summary.numbers, int)
    assert_type(summary.seconds, float)
    assert_type(summary.error, lc.LCPhoneError | None)
    assert_type(summary.days_spent, int)
    assert_type(summary.incomplete, tuple[la.Incomplete, ...])
    assert_type(summary.incomplete[0].location_id, str)
    assert_type(summary.incomplete[0].coverage, la.Coverage)
    assert_type(summary.incomplete[0].reason, str | None)
    assert_type(summary.is_complete, bool)
    spread = await la.audit_on_dask(
        "tcp://scheduler:8786",
        new_client,
        ["a"],
        "store",
        resume=True,
        concurrency=8,
        worker_wait=60.0,
        on_progress=show,
    )
    assert_type(spread, la.AuditSummary)


def look() -> None:
    """The queries of a store."""
    assert_type(la.read_locations("a\nb", "a file"), list[lc.Location])
    assert_type(la.read_locations(Path("locations.csv")), list[lc.Location])
    la.export_all()  # type: ignore[attr-defined]
    assert_type(la.coverage("store", run_id=1), dict[la.Coverage, int])
    assert_type(la.Coverage.PARTIAL.is_whole, bool)
    assert_type(la.Coverage.INACTIVE.is_final, bool)
    assert_type(la.export("store", "out", "csv", table="locations", run_id=1), int)
    la.export("store", "out", "xls")  # type: ignore[arg-type]
    rule = la.Rule(name="x", title="X", reason="Because.", query="SELECT location_id FROM numbers")
    assert_type((rule.name, rule.title, rule.reason, rule.query), tuple[str, str, str, str])
    found = la.findings("store", rules=[*la.RULES, rule, *la.read_rules("rules.toml")], run_id=1)
    assert_type(la.REGULATED_COUNTRIES, frozenset[str])
    la.findings("store", regulated=["GB", *la.REGULATED_COUNTRIES])
    la.report("store", "out.html", regulated=["GB"])
    assert_type(found, Iterator[la.Finding])
    finding = next(found)
    assert_type(finding.rule, str)
    assert_type(finding.location_id, str)
    assert_type(finding.phone_number, str | None)
    assert_type(finding.detail, str | None)
    estimate = la.costs("store", prices="prices.csv", run_id=1)
    assert_type(estimate, la.Costs)
    assert_type(estimate.total, Decimal)
    assert_type(estimate.totals, dict[str, Decimal])
    assert_type(estimate.without_price, int)
    assert_type(estimate.assumptions, tuple[str, ...])
    line: la.Cost = estimate.lines[0]
    assert_type(line.country_code, str | None)
    assert_type(line.type, str | None)
    assert_type(line.numbers, int)
    assert_type(line.price, Decimal | None)
    assert_type(line.currency, str | None)
    assert_type(line.total, Decimal | None)
    la.report("store", "out.html", run_id=1, since="old", rules=[rule], prices=Path("prices.csv"))


def changed() -> None:
    """A comparison is open while its block runs."""
    with la.compare("old", "new", only=["moved"], ignore={la.ChangeKind.NAME}) as comparison:
        assert_type(comparison.compared, int)
    with la.compare("old", Path("new"), old_run=1, new_run=2) as comparison:
        assert_type(comparison, la.Comparison)
        assert_type(comparison.counts(), dict[la.ChangeKind, int])
        run: la.Run = comparison.new
        assert_type(comparison.old, la.Run)
        assert_type(run.run_id, int)
        assert_type(run.started_at, datetime)
        assert_type(run.finished_at, datetime | None)
        for change in comparison.changes(la.ChangeKind.MOVED, most=10):
            assert_type(change, la.Change)
            assert_type(change.kind, la.ChangeKind)
            assert_type(change.location_id, str)
            assert_type(change.phone_number, str | None)
            assert_type(change.field, str | None)
            assert_type(change.before, str | None)
            assert_type(change.after, str | None)
            assert_type(change.drops_a2p, bool)
        for unseen in comparison.not_compared():
            assert_type(unseen, la.NotCompared)
            assert_type(unseen.location_id, str)
            assert_type(unseen.before, str)
            assert_type(unseen.after, str)


def errors(
    unusable: la.StoreError, lost: la.ClusterError, wrong: la.RuleError, prices: la.PriceListError
) -> None:
    """All errors are errors of the package."""
    for error in (unusable, lost, wrong, prices):
        assert isinstance(error, lc.LCPhoneError)
    assert_type(wrong.rule, str)
    assert_type(wrong.reason, str)
