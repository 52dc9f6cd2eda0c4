"""HTML report of a run: one file without scripts, to read, forward and print."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import jinja2
from attrs import frozen

from .._internal.paths import checked_path, replacing
from .._version import __version__
from .changes import ChangeKind
from .charts import Chart
from .diff import Change, NotCompared, compare
from .finding import checked_countries, checked_rules, count_matches, create_rule_tables, matches
from .prices import estimate
from .reader import RunReader, open_run
from .rules import REGULATED_COUNTRIES, RULES, Rule

# Rows shown of a finding or a kind of change; the export has all of them.
_MAX_ROWS: Final = 50
_MAX_BARS: Final = 9


_TITLES: Final = {
    ChangeKind.STATUS: "Locations whose phone account changed its status",
    ChangeKind.DISCONNECTED: "Locations whose phone system was disconnected",
    ChangeKind.PAPERS: "Numbers whose address or bundle changed or was removed",
    ChangeKind.DEFAULT: "Default numbers",
    ChangeKind.RELEASED: "Numbers released",
    ChangeKind.RELEASED_OR_MOVED: "Numbers released, or moved to a location that was not seen",
    ChangeKind.MOVED: "Numbers moved to another location",
    ChangeKind.PERHAPS_MOVED: "Numbers perhaps moved to another location",
    ChangeKind.NOT_SEEN: "Numbers that were not seen, perhaps released",
    ChangeKind.ROUTING: "Numbers with other call routing",
    ChangeKind.CAPABILITY: "Numbers with other capabilities",
    ChangeKind.USER: "Numbers with another user",
    ChangeKind.POOL: "Pools",
    ChangeKind.RCS_SENDER: "RCS senders",
    ChangeKind.ADDED_OR_MOVED: "Numbers added, or moved from a location that was not seen before",
    ChangeKind.ADDED: "Numbers added",
    ChangeKind.CONNECTED: "Locations whose phone system was connected",
    ChangeKind.LOCATION_ADDED: "Locations that were not in the list before",
    ChangeKind.LOCATION_GONE: "Locations that are not in the list any more",
    ChangeKind.TYPE: "Numbers of another type, origin or country",
    ChangeKind.DETAIL: "Other fields of numbers, pools and RCS senders",
    ChangeKind.NAME: "Names",
}


@frozen
class _RuleResult:
    """Count and first findings of a rule."""

    rule: Rule
    count: int
    first: list[dict[str, Any]]


@frozen
class _ChangeGroup:
    """Count and first changes of a kind."""

    kind: ChangeKind
    count: int
    first: list[Change]

    @property
    def title(self) -> str:
        return _TITLES[self.kind]


@frozen
class _ChangesSince:
    """Changes since an earlier run."""

    date: str
    kinds: list[_ChangeGroup]
    not_compared: list[NotCompared]

    @property
    def count(self) -> int:
        return sum(changed.count for changed in self.kinds)


def report(
    store: str | Path,
    out: str | Path,
    *,
    run_id: int | None = None,
    since: str | Path | None = None,
    rules: Sequence[Rule] = RULES,
    prices: str | Path | None = None,
    regulated: Iterable[str] = REGULATED_COUNTRIES,
) -> None:
    """Writes the report of a run, the newest by default, as one HTML file without a script.

    - `since`: another store, whose newest run the report compares with. By default the previous run
      of the same store, if there is one.
    - `rules`, `regulated`: as of `findings`.
    - `prices`: a price list, as of `costs`.

    Raises `StoreError`, `PriceListError`, and `OSError` if `out` cannot be written.
    """
    path, given = checked_path("out", out), checked_rules(rules)
    countries = checked_countries(regulated)
    if path.is_dir():
        raise ValueError("out must be a file, but is a folder")
    for name, other in {"since": since, "prices": prices}.items():
        if other is not None:
            checked_path(name, other)
    with open_run(store, run_id) as run:
        create_rule_tables(run, countries)
        content = _content(run, given, prices)
    content["since"] = _changes_since(store, content["run"].run_id, since)
    page = _template().render(content)
    try:
        with replacing(path) as file:
            file.write_text(page, encoding="utf-8")
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def _content(run: RunReader, rules: Sequence[Rule], prices: str | Path | None) -> dict[str, Any]:
    """Returns the variables of the template, except for the changes."""
    coverage = run.coverage()
    missing = sum(n for kind, n in coverage.items() if not kind.is_whole)
    (totals,) = run.records(
        "SELECT count(*) AS numbers, count(*) FILTER (pool_ids <> []) AS pooled FROM numbers"
    )
    results = [
        _RuleResult(rule, count_matches(run, rule), list(matches(run, rule, _MAX_ROWS)))
        for rule in rules
    ]
    names = run.rows("SELECT location_id, location_name FROM locations")
    return {
        "version": __version__,
        "run": run.run,
        "store": run.path.name,
        "names": {location_id: name for location_id, name in names if name},
        "totals": totals,
        "locations": sum(coverage.values()),
        "coverage": coverage,
        "missing": missing,
        "incomplete": run.incomplete(_MAX_ROWS),
        "results": results,
        "costs": estimate(run, prices),
        "charts": [chart for chart in _charts(run, totals["numbers"]) if chart.rows],
    }


def _charts(run: RunReader, numbers: int) -> list[Chart]:
    capabilities = ", ".join(
        f"count(*) FILTER (capabilities.{name}) AS {name}"
        for name in ("voice", "sms", "mms", "fax")
    )
    (can,) = run.records(f"SELECT {capabilities} FROM numbers")
    spelled = {"voice": "Calls", "sms": "Texts (SMS)", "mms": "Pictures (MMS)", "fax": "Fax"}
    return [
        _chart_by(run, "By country", "country_code", numbers),
        _chart_by(run, "By type", "replace(type, 'tollFree', 'toll-free')", numbers),
        Chart(
            "Capabilities",
            [(spelled[name], n) for name, n in can.items()] if numbers else [],
            numbers,
            "A number counts once for each of its capabilities.",
        ),
        _chart_by(run, "By origin", "origin", numbers),
        _age_chart(run, numbers),
        Chart(
            "Locations with the most numbers",
            run.rows(
                "SELECT coalesce(location_name, location_id), numbers FROM locations"
                " WHERE numbers > 0 ORDER BY numbers DESC, location_id LIMIT ?",
                _MAX_BARS,
            ),
        ),
    ]


def _chart_by(run: RunReader, title: str, column: str, numbers: int) -> Chart:
    """Returns a chart of the most frequent values of a column; the others are one bar."""
    found = run.rows(
        f"SELECT coalesce({column}, 'unknown') AS name, count(*) AS n FROM numbers"
        " GROUP BY name ORDER BY n DESC, name"
    )
    rest = found[_MAX_BARS:]
    others = [(f"{len(rest)} others", sum(n for _, n in rest))] if rest else []
    return Chart(title, found[:_MAX_BARS] + others, numbers)


_AGES: Final = (
    ("less than a month", "0 days", "1 month"),
    ("1 to 6 months", "1 month", "6 months"),
    ("6 to 12 months", "6 months", "1 year"),
    ("1 to 2 years", "1 year", "2 years"),
    ("2 to 3 years", "2 years", "3 years"),
    ("3 years and more", "3 years", "1000 years"),
)


def _age_chart(run: RunReader, numbers: int) -> Chart:
    """Returns a chart of the time since the numbers were added, as of the run."""
    counts = ", ".join(
        f"count(*) FILTER (added <= began - INTERVAL '{least}'"
        f" AND added > began - INTERVAL '{most}') AS \"{name}\""
        for name, least, most in _AGES
    )
    (ages,) = run.records(
        f'SELECT {counts}, count(*) FILTER (added IS NULL) AS "unknown" FROM'
        " (SELECT date_added AS added, ?::TIMESTAMPTZ AS began FROM numbers)",
        run.run.started_at,
    )
    return Chart("By age", [(name, n) for name, n in ages.items() if n], numbers)


def _changes_since(
    store: str | Path, run_id: int, since: str | Path | None
) -> _ChangesSince | None:
    """Returns the changes since another store's newest run, or since the previous run."""
    if since is None and run_id == 1:
        return None
    with compare(since or store, store, new_run=run_id) as comparison:
        kinds = [
            _ChangeGroup(kind, n, list(comparison.changes(kind, _MAX_ROWS)))
            for kind, n in comparison.counts().items()
        ]
        old, new = comparison.old.started_at, comparison.new.started_at
        date = f"{old:%-d %B %Y}" if old.date() != new.date() else f"{old:%H:%M} UTC"
        return _ChangesSince(date, kinds, comparison.not_compared())


def _amount(value: Decimal, currency: str, digits: int = 2) -> str:
    return f"${value:,.{digits}f}" if currency == "USD" else f"{value:,.{digits}f} {currency}"


def _template() -> Any:
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["count"] = "{:,}".format
    environment.filters["amount"] = _amount
    text = files(__package__).joinpath("report.html").read_text(encoding="utf-8")
    return environment.from_string(text)
