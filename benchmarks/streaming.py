"""Streaming a location's numbers end to end, against the vendor's SDK, which stops at dicts.

Ours go through the limiter and the retries, and come out one by one as models; the vendor's page
loop is the one that its documents suggest. CPU time of this process; the server has its own.

    python benchmarks/streaming.py [--short]      # with the extra `bench`
"""

from __future__ import annotations

import asyncio

from _measure import Figure, in_turns, is_short, show
from _service import raw_service
from _walks import BUDGET, ours, vendors

GOAL = 0.4


def main(*, short: bool) -> None:
    """Measures, and prints the figure."""
    pages = 3 if short else 50
    with raw_service(pages, max_requests=BUDGET) as url:
        seconds = in_turns(
            {
                "ours": lambda: asyncio.run(ours(url, pages)),
                "vendor's": lambda: asyncio.run(vendors(url, pages)),
            },
            rounds=2 if short else 15,
        )
    per_1000 = {name: [1e3 * second / pages for second in many] for name, many in seconds.items()}
    show(
        Figure(
            "CPU per 1000 numbers streamed",
            "vendor's SDK, dicts",
            per_1000["ours"],
            per_1000["vendor's"],
            "ms",
            f"at most {GOAL}",
            lambda _, ratio: ratio <= GOAL,
        ),
        packages=("aiohttp", "gohighlevel-api-client", "httpx"),
    )


if __name__ == "__main__":
    main(short=is_short(__doc__))
