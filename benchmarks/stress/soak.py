"""An hour with one client while one request in a hundred meets each kind of fault there is.

The sandbox, in a process of its own, strikes with every fault that it knows, each at 1 %. Callers,
from 1 to 64 of them in waves, walk, search, buy, cancel, leave walks and open clients of a short
life beside the long one, with an agency's tokens that live for seconds. In the middle one of every
three waves the service is out for some seconds: it answers 503 to all, or is frozen.

The run fails if a walk was complete and wrong, any other answer was wrong, an error came that no
fault explains, a number was paid for twice or the ledger and the journal differ in the end, or if
something grew. That is judged at equal load, by the least figure at the troughs and at the crests
of the first third against that of the last: what is in flight for a moment is above the least. The
first wave warms up and is left out. At rest, with the client closed, all must be as at the start.

    python benchmarks/stress/soak.py [--short] [--minutes N]
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import math
import random
import re
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from textwrap import fill

from attrs import define, field, frozen

from lcphone_async import PurchaseJournal, PurchaseRecord, PurchaseState

sys.path.append(str(Path(__file__).parents[1]))  # for the modules that all benchmarks share
from _callers import PATIENCE, TIMEOUT, Callers, Tally
from _hostile import DELAYS, OUTAGES, Account, account, service, steer
from _process import held
from _report import print_table, print_versions
from _server import in_process

MOST_CALLERS, PAUSE = 64, 0.25
RECOVERY = 20.0  # so long after an outage an error may be its consequence
OUTAGE, OUTAGE_AT = 5.0, 0.6  # seconds at the most; the part of its wave before it
SAMPLES, NEAR = 30, 0.1  # a wave; how near to the least and the highest load counts as equal


@frozen
class Plan:
    """Waves of some seconds each: one to warm up, and sets of three."""

    waves: int
    wave: float

    @classmethod
    def of(cls, minutes: float) -> Plan:
        """About seven minutes a set."""
        waves = 1 + 3 * max(1, round(minutes / 7.5))
        return cls(waves, 60 * minutes / waves)

    @property
    def thirds(self) -> tuple[range, range]:
        """The waves that are compared."""
        third = (self.waves - 1) // 3
        return range(1, 1 + third), range(self.waves - third, self.waves)

    @property
    def outage(self) -> float:
        """How long one lasts."""
        return min(OUTAGE, self.wave / 7)

    def outage_of(self, wave: int) -> str:
        """How the service is out in that wave, if it is."""
        return ("", "", "503", "", "", "frozen")[wave % 6]

    @property
    def tolerance(self) -> int:
        """How many times as much may differ, as a third has few samples."""
        return 8 if len(self.thirds[0]) == 1 else 1

    def load(self, seconds: float) -> float:
        """0 at a trough, 1 at a crest."""
        return (1 - math.cos(2 * math.pi * seconds / self.wave)) / 2


# By how much the last third may be above the first at equal load: so many, and such a share. The
# least of some fifty samples is close to what stays. Where a third is one wave there are few, so
# that something is in flight at each: an answer of 32 MiB, a thousand numbers, a page's task.
TOLERANCES: dict[str, tuple[float, float]] = {
    "memory, MiB": (8, 0),
    "objects": (1_000, 0.02),
    "tasks": (8, 0.1),
    "sockets": (8, 0.1),
    "files": (8, 0.1),
    "threads": (0, 0),
    "windows": (64, 0),  # of the limiter: idle ones go when there are so many
}
COLUMNS = ("wave", "calls", "errors", *TOLERANCES, "journal, KiB", "")
WIDTHS = (4, 6, 6, 11, 15, *[9] * (len(TOLERANCES) - 2), 12, 6)


@frozen
class Sample:
    """The process at some moment."""

    wave: int
    load: float
    figures: dict[str, float]


def least(samples: list[Sample], name: str) -> float:
    """The least figure of that name, which is without what is in flight for a moment."""
    return min((sample.figures[name] for sample in samples), default=math.nan)


def at_troughs(samples: list[Sample]) -> list[Sample]:
    """Those at the least load."""
    return [sample for sample in samples if sample.load < NEAR]


def at_crests(samples: list[Sample]) -> list[Sample]:
    """Those at the highest load."""
    return [sample for sample in samples if sample.load > 1 - NEAR]


@define
class Soak:
    """The callers, and what is seen of their process."""

    plan: Plan
    callers: Callers
    folder: Path
    began: float = field(init=False, factory=time.monotonic)
    samples: list[Sample] = field(factory=list)
    recoveries: list[float] = field(factory=list)
    """Seconds from the end of each outage until a call was answered."""

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self.began

    @property
    def is_over(self) -> bool:
        """Whether no call is begun any more."""
        return self.seconds > self.plan.waves * self.plan.wave

    async def run(self) -> None:
        """All waves, and the end of the last calls."""
        callers = [asyncio.create_task(self.call(index)) for index in range(MOST_CALLERS)]
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.watch())
            tasks.create_task(self.outages())
        done, running = await asyncio.wait(callers, timeout=PATIENCE)
        self.callers.promise(not running, "calls did not come to an end")
        for caller in running:
            caller.cancel()
        for outcome in await asyncio.gather(*done, return_exceptions=True):
            self.callers.promise(outcome is None, f"a call ended with {outcome!r}")

    async def call(self, index: int) -> None:
        """One caller, who pauses where fewer are wanted."""
        while not self.is_over:
            if index <= (MOST_CALLERS - 1) * self.plan.load(self.seconds):
                await self.callers.call()
            await asyncio.sleep(random.uniform(0, 2 * PAUSE))

    async def watch(self) -> None:
        """Takes samples, and shows each wave."""
        print("\nthe least of each figure at the wave's trough and at its crest")
        show(COLUMNS)
        for wave in range(self.plan.waves):
            calls, errors = self.callers.calls.total(), self.callers.errors.total()
            while self.seconds < (wave + 1) * self.plan.wave:
                load = self.plan.load(self.seconds)
                self.samples.append(Sample(wave, load, self.figures()))
                await asyncio.sleep(self.plan.wave / SAMPLES)
            calls, errors = self.callers.calls.total() - calls, self.callers.errors.total() - errors
            show([str(wave), f"{calls:,}", f"{errors:,}", *self.told(wave)])

    def figures(self) -> dict[str, float]:
        """What the process holds, its client included."""
        journal = sum(file.stat().st_size for file in self.folder.glob("journal.db*")) / 1024
        windows = len(self.callers.limiter._registry)  # noqa: SLF001  # they are not shown
        return {**held(), "windows": windows, "journal, KiB": journal}

    async def at_rest(self) -> dict[str, float]:
        """The figures once what is left to the garbage collector and to the loop has ended."""
        gc.collect()
        await asyncio.sleep(0.2)
        return self.figures()

    def told(self, wave: int) -> Iterator[str]:
        """The cells of a wave's figures: at its trough and at its crest."""
        samples = [sample for sample in self.samples if sample.wave == wave]
        for name in TOLERANCES:
            low, high = (least(of(samples), name) for of in (at_troughs, at_crests))
            yield f"{low:,.0f} {high:,.0f}"
        yield f"{samples[-1].figures['journal, KiB']:,.0f}"
        yield self.plan.outage_of(wave)

    async def outages(self) -> None:
        """Takes the service away in one wave of each set, and sees when it is back."""
        for wave in filter(self.plan.outage_of, range(self.plan.waves)):
            await asyncio.sleep((wave + OUTAGE_AT) * self.plan.wave - self.seconds)
            self.callers.outage_until = math.inf
            async with OUTAGES[self.plan.outage_of(wave)](self.callers.url):
                await asyncio.sleep(self.plan.outage)
            ended, answered = time.monotonic(), self.callers.answered
            self.callers.outage_until = ended + RECOVERY
            while self.callers.answered == answered and not self.is_over:
                await asyncio.sleep(0.05)
            self.recoveries.append(time.monotonic() - ended)

    def grown(self) -> Iterator[str]:
        """The figures that were higher in the last third than in the first, at equal load."""
        first, last = ([s for s in self.samples if s.wave in third] for third in self.plan.thirds)
        for where in (at_troughs, at_crests):
            for name, (so_many, share) in TOLERANCES.items():
                early, late = least(where(first), name), least(where(last), name)
                if late - early > self.plan.tolerance * (early * share + so_many):
                    place = where.__name__.replace("_", " ")
                    yield f"{name} grew {place}: from {early:,.1f} to {late:,.1f}"


class Surprises:
    """What is told to nobody: errors of tasks and of finalizers, and what was not closed."""

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()
        warnings.simplefilter("error", ResourceWarning)
        sys.unraisablehook = lambda raised: self.see(repr(raised.exc_value))
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: self.see(f"{context['message']}: {context.get('exception')!r}")
        )

    def see(self, what: str) -> None:
        """Counts one, whatever its address."""
        self.seen[re.sub(r" at 0x\w+", "", what)] += 1


def show(cells: Sequence[str]) -> None:
    """Prints a line at once: an hour is long."""
    print(*map(str.rjust, cells, WIDTHS), sep="  ", flush=True)


def show_counts(title: str, counts: Mapping[str, int]) -> None:
    """Prints how often there was what."""
    told = ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()))
    print(fill(f"{title}: {told or 'none'}", width=100, subsequent_indent="    "))


@frozen
class Rest:
    """The figures at no load: before the client, with it, and once it was closed."""

    before: dict[str, float]
    idle: dict[str, float]
    after: dict[str, float]

    def left(self) -> Iterator[str]:
        """What was left behind."""
        for name in ("tasks", "sockets", "files", "threads"):
            if self.after[name] != self.before[name]:
                yield f"{name} left by the client: {self.after[name] - self.before[name]:g}"
        if self.idle["tasks"] != self.before["tasks"]:
            yield f"tasks of an idle client: {self.idle['tasks'] - self.before['tasks']:g}"

    def show(self) -> None:
        """Prints them."""
        moments = {"before": self.before, "client idle": self.idle, "client closed": self.after}
        rows = [[name, *(f"{f[name]:,.0f}" for f in moments.values())] for name in self.before]
        print_table("at rest", ["", *moments], rows)


async def run(soak: Soak, url: str) -> Rest:
    """The client's whole life, and that of its purchases."""
    before = await soak.at_rest()
    await soak.run()
    await steer(url, "DELETE", "faults")
    await asyncio.sleep(max(DELAYS) + 2 * TIMEOUT)  # what was on its way has arrived
    await soak.callers.client.reconcile(min_age=0)
    idle = await soak.at_rest()
    await soak.callers.client.close()
    return Rest(before, idle, await soak.at_rest())


def differences(records: list[PurchaseRecord], told: Path, account: Account) -> Iterator[str]:
    """Where the ledger, the journal and what callers were told differ."""
    orders = {
        state: {(r.location_id, r.phone_number) for r in records if r.state == state}
        for state in PurchaseState
    }
    bought, ledger = orders[PurchaseState.BOUGHT], set(account.ledger)
    results = {tuple(order.split()) for order in told.read_text().splitlines()}
    promises = {
        "paid for twice": {order for order, times in account.ledger.items() if times > 1},
        "in the ledger, and not bought by the journal": ledger - bought,
        "bought by the journal, and not in the ledger": bought - ledger,
        "told to be bought, and not in the ledger": results - ledger,
        "open after the last settle": orders[PurchaseState.SENDING] | orders[PurchaseState.UNKNOWN],
    }
    return (f"{len(found)} numbers {what}" for what, found in promises.items() if found)


async def soaked(plan: Plan, url: str, folder: Path, fetch: Callable[[], Account]) -> list[str]:
    """Runs it and shows what there was to see; gives what was broken."""
    surprises, tally = Surprises(), Tally()
    tally.listen()
    refresh_token = (await steer(url, "POST", "install"))["refresh_token"]
    # The loop reads large answers in threads of its own: one is enough, and there from now on.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
    await asyncio.to_thread(gc.collect)
    with PurchaseJournal(folder / "journal.db") as journal:
        await journal.records()  # its thread is there from now on
        soak = Soak(plan, Callers(url, refresh_token, journal, folder / "told"), folder)
        rest = await run(soak, url)
        records = await journal.records()
    account = fetch()
    show_totals(soak, tally, records, account)
    rest.show()
    return [
        *soak.callers.broken,
        *surprises.seen,
        *soak.grown(),
        *rest.left(),
        *differences(records, folder / "told", account),
        *(f"{s:.0f} s without an answer after an outage" for s in soak.recoveries if s > RECOVERY),
    ]


def show_totals(soak: Soak, tally: Tally, records: list[PurchaseRecord], account: Account) -> None:
    """Prints what there was in all."""
    callers = soak.callers
    counts = {
        f"faults met, {account.faults.total():,} of {len(account.faults)} kinds": account.faults,
        f"calls, {callers.calls.total():,}": callers.calls,
        "errors that calls ended with": callers.errors,
        "errors while the service was out, and soon after": callers.errors_of_outages,
        f"requests, {tally.outcomes.total():,}": tally.outcomes + Counter(retries=tally.retries),
        "warnings": tally.warnings,
        "walks": callers.walks,
        "cut short": callers.cut_short,
        "purchases not made, or not surely": callers.purchases,
        "purchases in the journal": Counter(record.state.value for record in records),
        "the service's ledger": Counter(numbers=len(account.ledger), tokens=account.tokens),
    }
    print()
    for title, counted in counts.items():
        show_counts(title, counted)
    recoveries = ", ".join(f"{seconds:.1f} s" for seconds in soak.recoveries)
    print(f"from the end of an outage to the first answer: {recoveries}")


def main() -> int:
    """Runs it all; gives the exit code."""
    parser = argparse.ArgumentParser(description="One client, an hour, and every fault there is.")
    parser.add_argument("--short", action="store_true", help="a minute, to see that it runs")
    parser.add_argument("--minutes", type=float, default=60)
    options = parser.parse_args()
    plan = Plan.of(0.75 if options.short else options.minutes)
    print_versions("lcphone-async", "aiohttp", "msgspec")
    with tempfile.TemporaryDirectory() as name, in_process(service, account) as (url, fetch):
        broken = asyncio.run(soaked(plan, url, Path(name), fetch))
    print("", *(f"BROKEN: {promise}" for promise in broken or ["nothing"]), sep="\n")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
