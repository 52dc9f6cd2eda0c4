"""Searches of several countries side by side, each handed out as it completes."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from .._internal import checks
from .._internal.tasks import OwnTasks
from .._wire import requests
from ..errors import ClientClosedError, LCPhoneError
from ..models import AvailableNumbers, CountrySearch

if TYPE_CHECKING:
    from .._wire.requests import Request


def requests_by_country(
    location_id: str,
    country_codes: Iterable[str],
    *,
    number_types: Iterable[str] | None,
    **filters: Any,
) -> dict[str, Request]:
    """The same search in each of the countries, once."""
    types = None if number_types is None else checks.several("number_types", number_types)
    codes = checks.several("country_codes", country_codes)
    return {
        code: requests.available_numbers(location_id, code, number_types=types, **filters)
        for code in dict.fromkeys(checks.country_code("country_codes", code) for code in codes)
    }


async def search_side_by_side(
    searches: Mapping[str, Request],
    send: Callable[[Request], Awaitable[AvailableNumbers]],
    concurrency: int,
) -> AsyncGenerator[CountrySearch, None]:
    """The searches by country, `concurrency` at once; one that fails gives its error."""

    async def search(country_code: str, request: Request) -> CountrySearch:
        try:
            return CountrySearch(country_code, result=await send(request))
        except ClientClosedError:
            raise  # it concerns them all
        except LCPhoneError as error:
            return CountrySearch(country_code, error=error)

    waiting = iter(searches.items())
    running: set[asyncio.Task[CountrySearch]] = set()
    async with OwnTasks() as tasks:

        def start(count: int) -> None:
            running.update(tasks.start(search(*item)) for item in itertools.islice(waiting, count))

        start(concurrency)
        while running:
            done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            running -= done
            start(len(done))
            for task in done:
                yield task.result()
