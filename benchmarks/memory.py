"""The peak memory of a process that streams a million numbers, against the vendor's SDK.

Each walks 1000 pages of 1000, from a server that answers at once, so that nothing but the client
bounds what waits, and ours also from one that takes 100 ms. The peak is that of a process of its
own, interpreter and libraries included.

    python benchmarks/memory.py [--short]      # with the extra `bench`
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from _measure import Figure, is_short, show
from _service import raw_service
from _walks import BUDGET

GOAL = 55
WALKS = str(Path(__file__).with_name("_walks.py"))


def peak(walk: str, pages: int, latency: float) -> float:
    """Megabytes."""
    with raw_service(pages, latency, max_requests=BUDGET) as url:
        command = [sys.executable, WALKS, walk, url, str(pages)]
        told = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603
    return float(told.split()[-1]) / 1000


def main(*, short: bool) -> None:
    """Measures, and prints the figures."""
    pages, rounds = (3, 1) if short else (1000, 3)
    ours = [peak("ours", pages, 0.0) for _ in range(rounds)]
    ours_far = [peak("ours", pages, 0.1) for _ in range(rounds)]
    vendors = [peak("vendors", pages, 0.0) for _ in range(rounds)]
    show(
        *(
            Figure(
                f"peak memory, {pages * 1000} numbers streamed{where}",
                "vendor's SDK in a loop",
                megabytes,
                vendors,
                "MB",
                f"at most {GOAL} MB",
                lambda megabytes, _: megabytes <= GOAL,
            )
            for where, megabytes in (("", ours), (", each page after 100 ms", ours_far))
        ),
        packages=("aiohttp", "gohighlevel-api-client", "httpx"),
    )


if __name__ == "__main__":
    main(short=is_short(__doc__))
