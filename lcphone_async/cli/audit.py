"""`lcphone audit`: inventories of many locations, taken, compared, exported and reported."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .._internal.extras import MissingExtraError, extra
from ..errors import LCPhoneError
from ..models import Location
from . import audit_diff, audit_run, tables
from .output import json_lines, new_console, one_line
from .progress import shown_progress
from .service import Service, print_error, with_service

if TYPE_CHECKING:
    from ..audit import Rule

_CANNOT_COMPARE = 2
_STDOUT = Path("/dev/stdout")
_PATH = click.Path(path_type=Path, readable=False)  # a file's own error is told on one line

_store = click.option("--store", type=_PATH, required=True, help="The file of the audits.")
_run = click.option("--run", "run_id", type=int, help="Of this run; the newest by default.")
_rules = click.option("--rules", "rules_file", type=_PATH, help="A TOML file of further rules.")
_prices = click.option(
    "--prices",
    type=_PATH,
    help="A CSV file: country_code, type, price a month, and currency if it is not USD.",
)
_regulated = click.option(
    "--regulated",
    metavar="CODES",
    help="The countries whose numbers need an address or a bundle, such as DE,GB.",
)
_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON value a line.")


@click.group()
def audit() -> None:
    """Inventories of many locations: take, compare, export and report them."""


def _audit_command(name: str) -> Callable[[Callable[..., None]], click.Command]:
    """A verb of `audit`, which says what to install where its extra is missing."""

    def decorate(work: Callable[..., None]) -> click.Command:
        @functools.wraps(work)
        def verb(**options: Any) -> None:
            try:
                with extra("audit"):
                    work(**options)
            except MissingExtraError as error:
                raise click.ClickException(str(error)) from None
            except LCPhoneError as error:
                named = f"{options['rules_file']}: " if _is_rule_error(error) else ""
                print_error(f"{named}{error}")
                raise click.exceptions.Exit(audit_run.exit_code_of(error)) from None

        return audit.command(name)(verb)

    return decorate


@_audit_command("run")
@click.argument("location_ids", metavar="[LOCATION]...", nargs=-1)
@click.option(
    "--locations",
    "listed",
    type=click.Path(path_type=Path, allow_dash=True, readable=False),
    help="A file of locations (an id a line, CSV or JSON lines), or - for standard input.",
)
@click.option("--installed", is_flag=True, help="All locations of the agency that have the app.")
@click.option("--company", metavar="ID", envvar="LCPHONE_COMPANY_ID", show_envvar=True)
@click.option("--app", "app_id", metavar="ID", envvar="LCPHONE_APP_ID", show_envvar=True)
@_store
@click.option("--resume", is_flag=True, help="Go on with the last run; without one begin it.")
@click.option(
    "--concurrency",
    type=click.IntRange(min=1),
    help="Locations side by side, each with a budget of its own; 32 by default.",
)
@click.option(
    "--dask",
    "scheduler",
    metavar="ADDRESS",
    help="Walk on the workers of this Dask cluster, which have their token in their environment.",
)
@click.option(
    "--redis",
    "redis_url",
    metavar="URL",
    envvar="LCPHONE_REDIS_URL",
    show_envvar=True,
    help="With --dask: where the workers share their budgets and tokens.",
)
@click.option(
    "--redis-wait",
    metavar="SECONDS",
    type=click.FloatRange(min=0),
    default=60.0,
    show_default=True,
    help="How long a worker waits for a Redis that is down.",
)
@click.option(
    "--worker-wait",
    metavar="SECONDS",
    type=click.FloatRange(min=0),
    help="How long to wait for a new worker if all of them died; 60 by default.",
)
@_json
@with_service
def run(
    service: Service,
    *,
    location_ids: tuple[str, ...],
    listed: Path | None,
    installed: bool,
    company: str | None,
    app_id: str | None,
    store: Path,
    scheduler: str | None,
    redis_url: str | None,
    redis_wait: float,
    as_json: bool,
    **options: Any,
) -> None:
    """Take the inventory of many locations.

    Numbers (those in pools too), pools, RCS senders and account status of each, side by side, into
    one DuckDB file. A location is in it whole or not at all. After an interruption of any kind,
    --resume goes on.

    Exit codes: 0 all was seen, but of locations that are not active; 3 some locations were not
    seen whole; 4 the token was refused; 5 a location's requests of the day are spent, resume once
    its limit has reset, within 24 hours; 6 the store cannot be written, as on a full disk; 1
    another error.
    """
    locations: list[Location | str] = [*location_ids, *audit_run.listed(listed)]
    if installed:
        locations += audit_run.installed(service, company, app_id)
    if not locations and not options["resume"]:
        raise click.UsageError("name the locations, give a file with --locations, or --installed")
    given = {name: value for name, value in options.items() if value is not None}
    try:
        with shown_progress() as show:
            summary = audit_run.run_audit(
                service,
                scheduler,
                (redis_url, redis_wait),
                (locations or None, store),
                on_progress=show,
                **given,
            )
    except click.exceptions.Exit:
        print_error("interrupted: what is done is kept, and --resume goes on")
        raise
    if as_json:
        click.echo(json_lines([summary]), nl=False)
    else:
        console = new_console()
        console.print(tables.counts(("Coverage", "Locations"), summary.coverage.items()))
        console.print(f"{summary.numbers:,} numbers in run {summary.run_id}")
    for place in summary.incomplete:
        if place.reason is not None:
            report_line = _print_note if place.coverage.is_final else print_error
            report_line(f"{place.location_id}: {place.coverage}: {place.reason}")
    if code := audit_run.exit_code(summary):
        print_error(audit_run.outcome(summary))
        raise click.exceptions.Exit(code)


@_audit_command("export")
@_store
@click.option(
    "--format",
    "format_",
    type=click.Choice(["csv", "jsonl", "parquet"]),
    required=True,
    help="csv for spreadsheets; jsonl or parquet for programs.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, allow_dash=True, readable=False),
    required=True,
    help="A file, or - for stdout; for parquet a folder, with a part for each run and country.",
)
@click.option(
    "--table",
    type=click.Choice(["numbers", "locations", "pools", "pool_numbers", "rcs_sender_ids"]),
    default="numbers",
    show_default=True,
    help="What of the inventory.",
)
@_run
def export(store: Path, format_: Any, out: Path, table: Any, run_id: int | None) -> None:
    """Write a table of the inventory as CSV, JSON lines or Parquet.

    Phone numbers are text, rows and columns have an order that stays. In CSV, text that a
    spreadsheet would take for a formula begins with an apostrophe.
    """
    from ..audit import export as write_export

    out = _STDOUT if str(out) == "-" else out
    rows = write_export(store, out, format_, table=table, run_id=run_id)
    click.echo(one_line(f"{rows:,} rows in {out}"), err=True)
    _note_gaps(store, run_id)


@_audit_command("diff")
@click.argument("old", required=False)
@click.argument("new", required=False)
@click.option(
    "--store",
    type=_PATH,
    help="OLD and NEW are runs of this file; by default its last two.",
)
@click.option("--only", metavar="KINDS", help="These kinds of change, such as 'papers,status'.")
@click.option("--ignore", metavar="KINDS", help="All kinds of change but these.")
@_json
def diff(
    *,
    old: str | None,
    new: str | None,
    store: Path | None,
    only: str | None,
    ignore: str | None,
    as_json: bool,
) -> None:
    """Show what changed from OLD to NEW: two files, or two runs of one.

    The most urgent first: account status, lost papers, default numbers; numbers released, moved
    (which drops their A2P registration) or not seen; routing, capabilities, users, pools, RCS
    senders; numbers added; other fields; names. A change is told if both runs saw it.

    Exit codes: 0 compared, and nothing changed; 1 something changed; 3 some locations, which are
    named, or all were not compared, whatever changed in the others; 2 the runs cannot be compared.
    """
    from ..audit import StoreError, compare

    runs = audit_diff.compared_runs(old, new, store)
    runs["only"] = audit_diff.kinds("--only", only)
    runs["ignore"] = audit_diff.kinds("--ignore", ignore)
    try:
        with compare(**runs) as comparison:
            code = audit_diff.show(comparison, as_json=as_json)
    except (StoreError, ValueError) as error:
        print_error(error)
        raise click.exceptions.Exit(_CANNOT_COMPARE) from None
    if code:
        raise click.exceptions.Exit(code)


@_audit_command("findings")
@_store
@_run
@_rules
@_regulated
@_json
def findings(
    store: Path,
    run_id: int | None,
    rules_file: Path | None,
    regulated: str | None,
    *,
    as_json: bool,
) -> None:
    """Show what is worth a look: how often each rule finds something, and why it matters.

    With --json, every finding.
    """
    from ..audit import findings as look

    rules = _read_rules(rules_file)
    counts = dict.fromkeys((rule.name for rule in rules), 0)
    for found in look(store, rules=rules, run_id=run_id, **_regulated_argument(regulated)):
        counts[found.rule] += 1
        if as_json:
            click.echo(json_lines([found]), nl=False)
    if not as_json:
        new_console().print(tables.findings((rule, counts[rule.name]) for rule in rules))
    _note_gaps(store, run_id)


@_audit_command("costs")
@_store
@_run
@_prices
@_json
def costs(store: Path, run_id: int | None, prices: Path | None, *, as_json: bool) -> None:
    """Estimate what the numbers cost a month, by country and type, with the assumptions.

    With --json, a line for each country and type, and a last one with the totals by currency, how
    many numbers have no known price, and the assumptions.

    The exit code is 2 if lines of the price list are wrong, match no number of the run, or name the
    country and type of another line; all of them are named.
    """
    from ..audit import costs as estimate

    estimated = estimate(store, prices=prices, run_id=run_id)
    if as_json:
        click.echo(json_lines(estimated.lines), nl=False)
        totals = {currency: str(total) for currency, total in estimated.totals.items()}
        rest = {"without_price": estimated.without_price, "assumptions": estimated.assumptions}
        click.echo(json.dumps({"totals": totals, **rest}))
    else:
        console = new_console()
        console.print(tables.costs(estimated))
        for assumption in estimated.assumptions:
            console.print(f"- {one_line(assumption)}")
    _note_gaps(store, run_id)


@_audit_command("report")
@_store
@click.option("--out", type=_PATH, required=True, help="An HTML file.")
@_run
@click.option(
    "--since",
    type=_PATH,
    help="Changes since this other file's last run; by default since the run before.",
)
@_rules
@_regulated
@_prices
def report(
    *,
    store: Path,
    out: Path,
    run_id: int | None,
    since: Path | None,
    rules_file: Path | None,
    regulated: str | None,
    prices: Path | None,
) -> None:
    """Write a report to look at: one HTML file that opens offline and prints.

    Totals, charts, findings, changes, costs and coverage. It has no script and fetches nothing.
    """
    from ..audit import report as write_report

    rules = _read_rules(rules_file)
    write_report(
        store,
        out,
        run_id=run_id,
        since=since,
        rules=rules,
        prices=prices,
        **_regulated_argument(regulated),
    )
    click.echo(one_line(f"{out}: {out.stat().st_size / 1024:,.0f} KiB"), err=True)


def _read_rules(path: Path | None) -> list[Rule]:
    from ..audit import RULES, read_rules

    try:
        return [*RULES, *(read_rules(path) if path else ())]
    except ValueError as error:
        print_error(error)
        raise click.exceptions.Exit(audit_run.BAD_FILE) from None


def _is_rule_error(error: LCPhoneError) -> bool:
    from ..audit import RuleError

    return isinstance(error, RuleError)


def _regulated_argument(codes: str | None) -> dict[str, list[str]]:
    return {} if codes is None else {"regulated": [code.strip() for code in codes.split(",")]}


def _note_gaps(store: Path, run_id: int | None) -> None:
    """Says on stderr where a run is not whole, so that nobody takes its numbers for all."""
    from ..audit import coverage

    found = coverage(store, run_id=run_id)
    missing = sum(n for kind, n in found.items() if not kind.is_whole)
    if missing:
        _print_note(
            f"{missing:,} of {sum(found.values()):,} locations were not seen whole:"
            " `lcphone audit run --resume` tries all but the inactive ones again"
        )


def _print_note(text: str) -> None:
    click.echo(f"Note: {one_line(text)}", err=True)
