"""What an import costs, net of bare Python, against the SDKs that other services give out.

CPU time of processes that do nothing but import; ours also with the client, for which more of the
package is imported, and `asyncio` with `attrs`, below which nothing built on both can come.

    python benchmarks/imports.py [--short]      # with the extra `bench`
"""

from __future__ import annotations

import subprocess
import sys
from resource import RUSAGE_CHILDREN, getrusage

from _measure import Figure, in_turns, is_short, show

GOAL = 60
BARE = "pass"
OURS = "import lcphone_async"
CLIENT = "from lcphone_async import LCPhoneClient"
FLOOR = "import asyncio, attrs"
PEERS = {
    "twilio.rest": "import twilio.rest",
    "openai": "import openai",
    "telnyx": "import telnyx",
    "vendor's SDK": "import highlevel",
}


def run(code: str) -> None:
    """Runs code in a new interpreter."""
    subprocess.run([sys.executable, "-c", code], check=True)  # noqa: S603


def children() -> float:
    """CPU seconds of the processes that have ended."""
    usage = getrusage(RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main(*, short: bool) -> None:
    """Measures, and prints the figures."""
    seconds = in_turns(
        {
            code: lambda code=code: run(code)
            for code in (BARE, OURS, CLIENT, FLOOR, *PEERS.values())
        },
        rounds=1 if short else 15,
        clock=children,
    )
    net = {
        code: [1000 * (second - bare) for second, bare in zip(many, seconds[BARE], strict=True)]
        for code, many in seconds.items()
    }
    show(
        *(
            Figure(
                OURS,
                peer,
                net[OURS],
                net[code],
                "ms",
                f"at most {GOAL} ms" + (", less than it" if peer == "twilio.rest" else ""),
                lambda ms, ratio: ms <= GOAL and ratio < 1,
            )
            for peer, code in PEERS.items()
        ),
        Figure(CLIENT, "twilio.rest", net[CLIENT], net[PEERS["twilio.rest"]], "ms"),
        Figure(CLIENT, FLOOR, net[CLIENT], net[FLOOR], "ms"),
        packages=("attrs", "twilio", "openai", "telnyx", "gohighlevel-api-client"),
    )


if __name__ == "__main__":
    main(short=is_short(__doc__))
