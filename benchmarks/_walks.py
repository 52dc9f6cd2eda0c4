"""Walks over all of a location's numbers: ours, and one with the vendor's SDK, which gives dicts.

As a program, `python _walks.py ours|vendors URL PAGES` prints the kilobytes that it took at most;
so each walk imports only what it needs.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

PAGE = 1000
BUDGET = 10**6  # requests in 10 s, so that nobody waits for the limiter


async def ours(url: str, pages: int) -> None:
    """Number by number, as models, with limiter and retries in place."""
    from lcphone_async import LCPhoneClient, RateLimiter

    limiter = RateLimiter(max_requests=BUDGET)
    async with LCPhoneClient("pit-token", base_url=url, limiter=limiter) as client:
        count = 0
        async for number in client.active_numbers("location"):
            count += number.capabilities.sms is True
    check(count, pages)


async def vendors(url: str, pages: int) -> None:
    """Page by page and number by number, as dicts."""
    client = vendor_client(url)
    count = 0
    for page in range(pages):
        data = await vendor_page(client, page)
        for number in data["numbers"]:
            count += number["capabilities"]["sms"] is True
    await client.close()
    check(count, pages)


def vendor_client(url: str) -> Any:
    """A client of the vendor's own, sent to a server of ours."""
    from highlevel import HighLevel

    client = HighLevel(private_integration_token="pit-token")  # noqa: S106  # of the local server
    client.http_client.base_url = url
    return client


async def vendor_page(client: Any, page: int) -> dict[str, Any]:
    """One page, as the vendor's SDK reads it."""
    answer = await client.phone_system.active_numbers("location", "v3", page_size=PAGE, page=page)
    return answer["data"]


def check(count: int, pages: int) -> None:
    """Raises if numbers are missing."""
    if count != pages * PAGE:
        raise RuntimeError(f"{count} numbers of {pages * PAGE}")


def resident(kind: str = "VmRSS") -> float:
    """Kilobytes of memory that this process holds, or with `VmHWM` has held at its peak."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if kind in line)
    return float(line.split()[1])


if __name__ == "__main__":
    walk, url, pages = sys.argv[1:]
    asyncio.run({"ours": ours, "vendors": vendors}[walk](url, int(pages)))
    print(resident("VmHWM"))
