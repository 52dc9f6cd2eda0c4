"""A list of 50 pages whose every answer takes 100 ms, against the vendor's SDK.

The SDK gives one page a call: in a loop, as its documents show it, or all at once with `gather`
by a caller who knows how many there are. Ours finds that out. Wall time, budget and retry in place.

    python benchmarks/latency.py [--short]      # with the extra `bench`
"""

from __future__ import annotations

import asyncio
from time import perf_counter

from _measure import Figure, in_turns, is_short, show
from _service import raw_service
from _walks import check, vendor_client, vendor_page

from lcphone_async import LCPhoneClient

LATENCY = 0.1


async def ours(url: str, pages: int) -> None:
    """A walk over all pages, by a client with its usual limits."""
    async with LCPhoneClient("pit-token", base_url=url) as client:
        count = 0
        async for page in client.active_number_pages("location"):
            count += len(page.numbers)
    check(count, pages)


async def loop(url: str, pages: int) -> None:
    """One page after another."""
    client = vendor_client(url)
    count = 0
    for page in range(pages):
        count += len((await vendor_page(client, page))["numbers"])
    await client.close()
    check(count, pages)


async def gather(url: str, pages: int) -> None:
    """All pages at once."""
    client = vendor_client(url)
    data = await asyncio.gather(*(vendor_page(client, page) for page in range(pages)))
    await client.close()
    check(sum(len(page["numbers"]) for page in data), pages)


def main(*, short: bool) -> None:
    """Measures, and prints the figures."""
    pages = 3 if short else 50
    with raw_service(pages, LATENCY) as url:
        seconds = in_turns(
            {
                kind.__name__: lambda kind=kind: asyncio.run(kind(url, pages))
                for kind in (ours, loop, gather)
            },
            rounds=2 if short else 9,
            clock=perf_counter,
        )
    what = f"{pages} pages at 100 ms latency"
    show(
        *(
            Figure(
                what,
                against,
                seconds["ours"],
                seconds[theirs],
                "s",
                f"{times} times as fast",
                lambda _, ratio, times=times: ratio <= 1 / times,
            )
            for theirs, against, times in (
                ("loop", "vendor's SDK in a loop", 15),
                ("gather", "vendor's SDK under gather", 1.7),
            )
        ),
        packages=("aiohttp", "gohighlevel-api-client", "httpx"),
    )


if __name__ == "__main__":
    main(short=is_short(__doc__))
