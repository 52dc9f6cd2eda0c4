"""What the client adds to bare aiohttp, for a small call: a search.

Bare aiohttp sends the same request with the same headers and decodes the answer with the same
code; ours goes through arguments' checks, tokens, limiter, retries and limit headers, too. CPU
time of this process, one call after another; the server has its own.

    python benchmarks/overhead.py [--short]
"""

from __future__ import annotations

import asyncio

import aiohttp
from _measure import Figure, in_turns, is_short, show
from _service import raw_service

from lcphone_async import LCPhoneClient, RateLimiter
from lcphone_async._wire import responses
from lcphone_async._wire.requests import Request
from lcphone_async._wire.responses import Response

GOAL = 1.25
BUDGET = 10**6  # requests in 10 s, so that nobody waits
PATH = "/phone-system/numbers/location/location/available"
HEADERS = {"Accept": "application/json", "Authorization": "Bearer pit-token", "Version": "v3"}
REQUEST = Request("GET", PATH, PATH, "location", "")


async def ours(client: LCPhoneClient, calls: int) -> None:
    """Searches, one after another."""
    for _ in range(calls):
        await client.search_available("location", "US")


async def bare(session: aiohttp.ClientSession, url: str, calls: int) -> None:
    """The same by hand."""
    parameters = {"countryCode": "US", "numberTypes": "local,tollFree"}
    for _ in range(calls):
        async with session.get(f"{url}{PATH}", params=parameters, headers=HEADERS) as response:
            answer = Response(response.status, response.headers, await response.read())
        responses.available_numbers(REQUEST, answer)


def main(*, short: bool) -> None:
    """Measures, and prints the figure."""
    calls = 20 if short else 100
    with raw_service(1, max_requests=BUDGET) as url, asyncio.Runner() as runner:
        run = runner.run

        async def opened() -> tuple[aiohttp.ClientSession, LCPhoneClient]:
            limiter = RateLimiter(max_requests=BUDGET)
            client = LCPhoneClient("pit-token", base_url=url, limiter=limiter)
            return aiohttp.ClientSession(), client

        session, client = run(opened())
        seconds = in_turns(
            {
                "ours": lambda: run(ours(client, calls)),
                "bare": lambda: run(bare(session, url, calls)),
            },
            rounds=2 if short else 200,
        )
        run(session.close())
        run(client.close())
    micro = {name: [1e6 * second / calls for second in many] for name, many in seconds.items()}
    show(
        Figure(
            "CPU per small call",
            "bare aiohttp, same decoder",
            micro["ours"],
            micro["bare"],
            "µs",
            f"at most {GOAL}",
            lambda _, ratio: ratio <= GOAL,
        ),
        packages=("aiohttp", "msgspec"),
    )


if __name__ == "__main__":
    main(short=is_short(__doc__))
