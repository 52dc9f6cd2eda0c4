"""`lcphone demo`: a client streams, searches and buys on a local sandbox."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import aclosing
from time import perf_counter

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

from ..client import LCPhoneClient
from ..errors import LCPhoneError
from ..models import ActiveNumber, AvailableNumbers, CountrySearch
from ..sandbox import LocationSettings, Sandbox
from . import tables

_LOCATION = "demo-location"
_NUMBERS = 2_500
_PAGE_SIZE = 100
_COUNTRIES = ("US", "CA", "GB")
_TYPES = ("local", "tollFree", "mobile")
_MAX_ROWS = 4


async def demo(console: Console) -> None:
    """Runs the demonstration, and prints its requests and duration at the end."""
    started = perf_counter()
    sandbox = Sandbox(locations={_LOCATION: LocationSettings(numbers=_NUMBERS)})
    async with sandbox, LCPhoneClient("demo-token", base_url=sandbox.url) as client:
        _print(console, Text(f"A local LC Phone service runs at {sandbox.url}"))
        streamed = await _stream(console, client)
        found = await _search(console, client)
        bought = await _buy(console, client, found[_COUNTRIES[0]])
        listed = await _find_bought(console, client, bought)
    numbers = streamed + sum(len(result.numbers) for result in found.values()) + listed
    seconds = perf_counter() - started
    ending = f"Done: {len(sandbox.requests)} requests, {numbers:,} numbers, {seconds:.1f} seconds."
    console.print(Text(ending, "bold"))


async def _stream(console: Console, client: LCPhoneClient) -> int:
    """Streams every number of the location with a progress bar; returns the count."""
    _heading(console, "1. Every number of a location, streamed")
    traits = Counter[tuple[str, str]]()
    pages = client.active_number_pages(_LOCATION, page_size=_PAGE_SIZE, skip_number_pool=False)
    with _progress(console) as progress:
        task = progress.add_task("numbers", total=None)
        async with aclosing(pages):
            async for page in pages:
                traits.update(trait for number in page.numbers for trait in _traits(number))
                progress.update(task, total=page.total, advance=len(page.numbers))
    countries = Counter({country: n for (country, trait), n in traits.items() if trait == "any"})
    rows = [
        (country, n, traits[country, "sms"], traits[country, "user"])
        for country, n in countries.most_common()
    ]
    _print(console, tables.counts(("Country", "Numbers", "With SMS", "With a user"), rows))
    return countries.total()


async def _search(console: Console, client: LCPhoneClient) -> dict[str, AvailableNumbers]:
    """Searches several countries at a time, and shows each as soon as it is done."""
    _heading(console, f"2. Numbers for sale in {', '.join(_COUNTRIES)}, searched concurrently")
    found: dict[str, AvailableNumbers] = {}
    searches = client.search_countries(_LOCATION, _COUNTRIES, number_types=_TYPES)
    async with aclosing(searches):
        async for search in searches:
            match search:
                case CountrySearch(country, AvailableNumbers() as result):
                    _print(console, tables.found(country, result, show=_MAX_ROWS))
                    found[country] = result
                case CountrySearch(error=LCPhoneError() as error):
                    raise error
    return found


async def _buy(console: Console, client: LCPhoneClient, found: AvailableNumbers) -> str:
    """Buys the first number that a search found; returns it."""
    _heading(console, "3. One of them, bought")
    number = found.numbers[0]
    purchase = await client.purchase(
        _LOCATION, number, fingerprint_id=found.fingerprint_id, max_price=2
    )
    _print(console, tables.offer(number, _LOCATION))
    _print(console, Text(f"Bought, for account {purchase.id}.", "green"))
    return purchase.number


async def _find_bought(console: Console, client: LCPhoneClient, phone_number: str) -> int:
    """Finds the bought number in the location's list; returns the number of matches."""
    _heading(console, "4. There it is, in the inventory")
    page = await client.active_numbers_page(_LOCATION, search_filter=phone_number)
    _print(console, tables.active_numbers(page.numbers))
    return len(page.numbers)


def _heading(console: Console, title: str) -> None:
    console.print(Text(f"{title}\n", "bold magenta"))


def _print(console: Console, renderable: RenderableType) -> None:
    console.print(renderable)
    console.print()


def _progress(console: Console) -> Progress:
    return Progress(TextColumn(" "), BarColumn(), MofNCompleteColumn(), console=console)


def _traits(number: ActiveNumber) -> Iterator[tuple[str, str]]:
    """Yields (country, trait) for each trait of a number that the demo counts."""
    country = number.country_code or "?"
    yield country, "any"
    if number.capabilities.sms:
        yield country, "sms"
    if number.linked_user:
        yield country, "user"
