"""10,000 searches at once through one client: what each of them costs while it waits for a slot.

The callers' own tasks are measured on their own, as tasks that wait for an event. Memory is what
the process holds; the searches wait because the budget is spent by the first ones.

    python benchmarks/waiting.py [--short]
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Coroutine
from typing import Any

from _measure import Figure, in_new_process, is_short, show
from _service import raw_service
from _walks import resident

from lcphone_async import LCPhoneClient, RateLimiter

GOAL = 4.0


async def held(callers: int, call: Callable[[], Coroutine[Any, Any, object]]) -> tuple[float, int]:
    """Kilobytes a caller and tasks beyond the callers', once all wait; then they are cancelled."""
    gc.collect()
    before, others = resident(), len(asyncio.all_tasks())
    tasks = [asyncio.create_task(call()) for _ in range(callers)]
    await asyncio.sleep(0.5 + callers / 10_000)
    if any(task.done() for task in tasks):
        raise RuntimeError("not all of them wait")
    kilobytes = (resident() - before) / callers
    more = len(asyncio.all_tasks()) - others - callers
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return kilobytes, more


async def searches(url: str, callers: int) -> tuple[float, int]:
    """Searches of a client whose budget is spent."""

    async def search() -> None:
        await client.search_available("location", "US")

    async with LCPhoneClient("pit-token", base_url=url, limiter=RateLimiter(1, 3600)) as client:
        await search()
        return await held(callers, search)


async def bare_tasks(callers: int) -> tuple[float, int]:
    """Tasks that only wait."""
    never = asyncio.Event()
    return await held(callers, never.wait)


def of_searches(url: str, callers: int) -> tuple[float, int]:
    """In a process of its own, as memory that was freed is used again."""
    return asyncio.run(searches(url, callers))


def of_bare_tasks(callers: int) -> tuple[float, int]:
    """The same."""
    return asyncio.run(bare_tasks(callers))


def main(*, short: bool) -> None:
    """Measures, and prints the figure."""
    callers = 500 if short else 10_000
    rounds = 1 if short else 3
    with raw_service(1) as url:
        ours = [in_new_process(of_searches, url, callers) for _ in range(rounds)]
    bare = [in_new_process(of_bare_tasks, callers) for _ in range(rounds)]
    more = max(tasks for _, tasks in ours)
    show(
        Figure(
            f"a waiting call of {callers}, its task included",
            "the caller's own task alone",
            [kilobytes for kilobytes, _ in ours],
            [kilobytes for kilobytes, _ in bare],
            "kB",
            f"under {GOAL:g} kB",
            lambda kilobytes, _: kilobytes < GOAL and more == 0,
        ),
        packages=("aiohttp", "attrs"),
    )
    print(f"tasks beyond the callers' own: {more}")


if __name__ == "__main__":
    main(short=is_short(__doc__))
