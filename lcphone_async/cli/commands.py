"""The command `lcphone`: its options, and subcommands for numbers and purchases."""

from __future__ import annotations

import io
import sys
from contextlib import aclosing, suppress
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import click

from .._version import __version__
from ..client import LCPhoneClient
from ..errors import LCPhoneError
from ..models import AvailableNumber
from . import tables
from .account import locations, login, whoami
from .audit import audit
from .journals import journal_option, open_journal, read_journal
from .output import json_lines, new_console, one_line, os_error_text, write, write_rich
from .purchase import look_up, purchase, reconcile
from .sandbox import sandbox
from .service import (
    INTERRUPTED,
    Service,
    print_error,
    run_until_signal,
    with_location,
    with_service,
)


def _price(text: str) -> Decimal:
    with suppress(InvalidOperation):
        if (price := Decimal(text)).is_finite():
            return price
    raise click.BadParameter(f"{text!r} is not a price")


_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON value per line.")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, message="%(prog)s %(version)s")
def lcphone() -> None:
    """List, search and buy phone numbers with the LC Phone API.

    The token comes from LCPHONE_TOKEN, from `lcphone login`, or from a prompt on a terminal.
    Start with `lcphone demo`, which needs neither an account nor a network.
    """


for _verb in (audit, login, whoami, locations, sandbox):
    lcphone.add_command(_verb)


@lcphone.command()
def demo() -> None:
    """Run a demonstration on a local service.

    It streams 2,500 numbers, searches three countries, buys a number and finds it in the inventory,
    without an account, money or a network.
    """
    from .demo import demo as story

    run_until_signal(story(new_console()))


@lcphone.command()
@click.option(
    "--filter", "search_filter", metavar="TEXT", help="Part of the number, such as +1830."
)
@click.option("--pools/--no-pools", default=None, help="With or without the numbers in pools.")
@click.option("--page-size", type=int, default=1000, show_default=True, help="Numbers per request.")
@_json
@with_location
def numbers(
    service: Service,
    *,
    location_id: str,
    search_filter: str | None,
    pools: bool | None,
    page_size: int,
    as_json: bool,
) -> None:
    """List the numbers that a location owns.

    The service leaves out the numbers in pools unless you add --pools.
    """

    async def stream(client: LCPhoneClient) -> None:
        console = new_console()
        count = 0
        pages = client.active_number_pages(
            location_id,
            page_size=page_size,
            search_filter=search_filter,
            skip_number_pool=None if pools is None else not pools,
        )
        async with aclosing(pages):
            async for page in pages:
                if as_json:
                    await write(json_lines(page.numbers))
                else:
                    table = tables.active_numbers(page.numbers, header=not count)
                    await write_rich(console, table)
                count += len(page.numbers)
        if not as_json:
            await write(f"\n{count:,} numbers\n")

    service.run(stream)


@lcphone.command()
@click.argument("countries", metavar="COUNTRY...", nargs=-1, required=True)
@click.option("--type", "types", metavar="TYPE", multiple=True, help="local, tollFree or mobile.")
@click.option("--first-part", metavar="DIGITS", help="First digits of the national number.")
@click.option("--last-part", metavar="DIGITS", help="Last digits of the number.")
@click.option("--anywhere", metavar="DIGITS", help="Digits anywhere in the number.")
@click.option(
    "--sms", "sms_enabled", is_flag=True, default=None, help="The number must support SMS."
)
@click.option(
    "--mms", "mms_enabled", is_flag=True, default=None, help="The number must support MMS."
)
@click.option(
    "--voice", "voice_enabled", is_flag=True, default=None, help="The number must support calls."
)
@_json
@with_location
def search(
    service: Service,
    *,
    location_id: str,
    countries: tuple[str, ...],
    types: tuple[str, ...],
    as_json: bool,
    **filters: Any,
) -> None:
    """Search for numbers to buy, in several countries at a time.

    COUNTRY is a two-letter code, such as US. Each country is shown as soon as its search is done.
    """
    if types:
        filters["number_types"] = types

    async def stream(client: LCPhoneClient) -> None:
        console = new_console()
        failed = False
        searches = client.search_countries(location_id, countries, **filters)
        async with aclosing(searches):
            async for search in searches:
                if as_json:
                    await write(json_lines([search]))
                elif search.result:
                    await write_rich(console, tables.found(search.country_code, search.result))
                if search.error:
                    failed = True
                    print_error(f"{search.country_code}: {search.error}")
        if failed:
            raise click.exceptions.Exit(1)

    service.run(stream)


@lcphone.command()
@_json
@with_location
def pools(service: Service, *, location_id: str, as_json: bool) -> None:
    """List the number pools of a location."""

    async def show(client: LCPhoneClient) -> None:
        found = await client.number_pools(location_id)
        if as_json:
            await write(json_lines(found))
        else:
            await write_rich(new_console(), tables.number_pools(found))

    service.run(show)


@lcphone.command()
@click.argument("number")
@click.option(
    "--country", metavar="CC", help="Country of the number; by default that of its prefix."
)
@click.option(
    "--max-price",
    metavar="PRICE",
    type=_price,
    help="Do not buy the number if it costs more per month.",
)
@click.option(
    "--fingerprint-id", metavar="ID", help="Fingerprint id of a search; by default of a new one."
)
@click.option("--type", "number_type", metavar="TYPE", help="local, tollFree or mobile.")
@click.option("--address-sid", metavar="SID", help="Address that the country requires.")
@click.option("--bundle-sid", metavar="SID", help="Regulatory bundle that it requires.")
@click.option("--locality", metavar="TEXT", help="Town; by default that of the search.")
@click.option("--region", metavar="TEXT", help="State; by default that of the search.")
@click.option("--payment-intent-id", metavar="ID", help="Payment intent to use.")
@click.option("--stripe-account-id", metavar="ID", help="Stripe account that pays.")
@click.option("--payment-method-id", metavar="ID", help="Payment method to use.")
@click.option(
    "--skip-location-kyc/--no-skip-location-kyc", default=None, help="As agreed with the vendor."
)
@click.option("--yes", is_flag=True, help="Buy without asking.")
@_json
@journal_option
@with_location
def buy(
    service: Service,
    *,
    path: Path | None,
    location_id: str,
    number: str,
    country: str | None,
    fingerprint_id: str | None,
    yes: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Buy a number. This spends money.

    NUMBER is in E.164 format, such as +18305551234. A search first shows the number and its price;
    then you are asked to confirm. The purchase is recorded: see `lcphone purchases`.
    """
    if not yes and not sys.stdin.isatty():
        raise click.ClickException(
            "there is no terminal to ask on: add --yes to buy without asking"
        )
    with open_journal(path) as journal:
        offer, found_in = service.run(lambda client: look_up(client, location_id, number, country))
        new_console(stderr=True).print(tables.offer(offer, location_id))
        if yes and offer == AvailableNumber(number):
            raise click.ClickException(
                "no search shows this number (is --country right?):"
                " to buy it unseen, leave --yes out"
            )
        if not yes and not click.confirm("Buy it?", err=True):
            raise click.ClickException("nothing was bought")
        options |= {"fingerprint_id": fingerprint_id or found_in, "country_code": country}
        bought = service.run(
            lambda client: purchase(client, journal, location_id, offer, **options), journal
        )
    if as_json:
        click.echo(json_lines([bought]), nl=False)
    else:
        new_console().print(tables.purchase(bought))


@lcphone.command()
@click.option(
    "--settle", "settling", is_flag=True, help="First find out the outcome of open purchases."
)
@_json
@journal_option
@with_service
def purchases(service: Service, *, path: Path | None, settling: bool, as_json: bool) -> None:
    """List the purchases that `lcphone buy` made, and their outcomes.

    A purchase that was interrupted, or got no clear response, stays open until --settle finds out
    its outcome from the location's list of numbers. The exit code is 1 if one is still unknown
    then.
    """
    all_known = True
    if settling:
        with open_journal(path) as journal:
            all_known = service.run(reconcile, journal)
    records, file = read_journal(path)

    async def show() -> None:
        if as_json:
            await write(json_lines(records))
        else:
            await write_rich(new_console(), tables.purchases(records))
            await write(f"\n{len(records):,} purchases in {one_line(file)}\n")

    run_until_signal(show())
    if not all_known:
        raise click.exceptions.Exit(1)


def run() -> int:
    """Runs the command and returns its exit code; prints errors on one line of stderr."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        return lcphone.main(prog_name="lcphone", standalone_mode=False) or 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        return INTERRUPTED
    except OSError as error:
        print_error(os_error_text(error))
        return 1
    except (LCPhoneError, ValueError) as error:
        print_error(error)
        return 1
