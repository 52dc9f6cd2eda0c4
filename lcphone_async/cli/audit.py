"""`lcphone audit`: take inventories of many locations, compare, export and report them."""

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
_PATH = click.Path(path_type=Path, readable=False)  # `open` reports errors; click would add usage

_store = click.option("--store", type=_PATH, required=True, help="File of the audits.")
_run = click.option("--run", "run_id", type=int, help="Run id; the newest run by default.")
_rules = click.option("--rules", "rules_file", type=_PATH, help="TOML file with further rules.")
_prices = click.option(
    "--prices",
    type=_PATH,
    help="CSV file: country_code, type, monthly price, and currency if it is not USD.",
)
_regulated = click.option(
    "--regulated",
    metavar="CODES",
    help="Countries whose numbers need an address or a bundle, such as DE,GB.",
)
_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON value per line.")


@click.group()
def audit() -> None:
    """Take inventories of many locations; compare, export and report them."""


def _audit_command(name: str) -> Callable[[Callable[..., None]], click.Command]:
    """Adds a subcommand to `audit`, with its errors as messages and exit codes."""

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
    help="File of locations (one id per line, CSV or JSON lines), or - for standard input.",
)
@click.option("--installed", is_flag=True, help="All locations of the agency that have the app.")
@click.option("--company", metavar="ID", envvar="LCPHONE_COMPANY_ID", show_envvar=True)
@click.option("--app", "app_id", metavar="ID", envvar="LCPHONE_APP_ID", show_envvar=True)
@_store
@click.option("--resume", is_flag=True, help="Continue the last run, if there is one.")
@click.option(
    "--concurrency",
    type=click.IntRange(min=1),
    help="Locations at a time, each with its own rate limit; 32 by default.",
)
@click.option(
    "--dask",
    "scheduler",
    metavar="ADDRESS",
    help="Run on the workers of this Dask cluster; their environment has the token.",
)
@click.option(
    "--redis",
    "redis_url",
    metavar="URL",
    envvar="LCPHONE_REDIS_URL",
    show_envvar=True,
    help="With --dask: the Redis through which workers share rate limits and tokens.",
)
@click.option(
    "--redis-wait",
    metavar="SECONDS",
    type=click.FloatRange(min=0),
    default=60.0,
    show_default=True,
    help="How long a worker waits for Redis if it is down.",
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

    Writes the numbers (also those in pools), pools, RCS senders and account status of each location
    to one DuckDB file. Each location is written in one transaction; after any interruption,
    --resume continues.

    Exit codes: 0 everything was seen, except for inactive locations; 3 some locations were not seen
    whole; 4 the token was refused; 5 the daily quota of a location is exhausted: resume once it has
    reset, within 24 hours; 6 the store cannot be written, as on a full disk; 1 another error.
    """
    locations: list[Location | str] = [*location_ids, *audit_run.listed(listed)]
    if installed:
        locations += audit_run.installed(service, company, app_id)
    if not locations and not options["resume"]:
        raise click.UsageError("name the locations, or use --locations or --installed")
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
        print_error("interrupted: finished locations are kept, and --resume continues")
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
    help="File, or - for stdout; for parquet a folder, partitioned by run and country.",
)
@click.option(
    "--table",
    type=click.Choice(["numbers", "locations", "pools", "pool_numbers", "rcs_sender_ids"]),
    default="numbers",
    show_default=True,
    help="Table of the inventory.",
)
@_run
def export(store: Path, format_: Any, out: Path, table: Any, run_id: int | None) -> None:
    """Write a table of the inventory as CSV, JSON lines or Parquet.

    Phone numbers are text; the order of rows and columns is fixed. In CSV, an apostrophe precedes
    text that a spreadsheet would evaluate as a formula.
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
@click.option(
    "--only", metavar="KINDS", help="Only these kinds of change, such as 'papers,status'."
)
@click.option("--ignore", metavar="KINDS", help="All kinds of change except these.")
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
    """Show the changes from OLD to NEW: two files, or two runs of one file.

    The most urgent come first: account status, lost papers, default numbers; numbers released,
    moved (which drops their A2P registration) or not seen; routing, capabilities, users, pools, RCS
    senders; numbers added; other fields; names. Only what both runs saw is compared.

    Exit codes: 0 no changes; 1 changes; 3 some or all locations could not be compared (they are
    listed); 2 the runs cannot be compared.
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
    """Show the number of findings of each rule, and why they matter.

    With --json, print every finding.
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
    """Estimate the monthly costs of the numbers, by country and type, with the assumptions.

    With --json, print a line for each country and type, and a last one with the totals by currency,
    the number of phone numbers without a known price, and the assumptions.

    The exit code is 2 if lines of the price list are wrong, match no number of the run, or repeat
    the country and type of another line; the message lists them.
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
@click.option("--out", type=_PATH, required=True, help="HTML file.")
@_run
@click.option(
    "--since",
    type=_PATH,
    help="Show changes since this file's last run; by default since the previous run.",
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
    """Write a report as one HTML file, which opens offline and prints well.

    It has totals, charts, findings, changes, costs and coverage, and neither scripts nor links to
    other files.
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
    """Prints a note if a run is incomplete, as its numbers are then incomplete too."""
    from ..audit import coverage

    found = coverage(store, run_id=run_id)
    missing = sum(n for kind, n in found.items() if not kind.is_whole)
    if missing:
        _print_note(
            f"{missing:,} of {sum(found.values()):,} locations were not seen whole:"
            " `lcphone audit run --resume` tries all except the inactive ones again"
        )


def _print_note(text: str) -> None:
    click.echo(f"Note: {one_line(text)}", err=True)
