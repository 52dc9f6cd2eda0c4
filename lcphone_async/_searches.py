"""Searches of several countries side by side, each handed out as it completes."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from ._tasks import OwnTasks
from .errors import ClientClosedError, LCPhoneError
from .models import AvailableNumbers, CountrySearch

if TYPE_CHECKING:
    from ._wire.requests import Request


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
