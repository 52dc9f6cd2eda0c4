"""Purchases over a real socket while everything goes wrong: none is made twice, none is lost.

The sandbox fails a third of them: before it acts, after it acted, in the middle of the answer,
late, with each status, and by a replay, as of a proxy that sends the POST again. It sells a number
as often as it is asked, so that nothing but the client keeps a number from being paid for twice.
Processes of 50 tasks, with one journal, buy the same list, some numbers of which stand in it twice;
again and again one of them is killed with SIGKILL and started anew, reconciles what was in flight,
and goes on.

What the caller knows is the journal, and the results written down before a process was killed. The
run fails if the ledger has a number twice, one that nobody asked for, or one that the caller does
not know as bought or as still to be reconciled, and after the last `reconcile` as bought. It also
fails if a purchase is told to be bought by two processes, or to none.

    python benchmarks/stress/purchase_chaos.py [--short] [--seed N] [--processes N]
"""

import argparse
import asyncio
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from itertools import islice
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, get_args

from attrs import define, field, frozen

from lcphone_async import (
    LCPhoneClient,
    LCPhoneError,
    PurchaseJournal,
    PurchaseRecord,
    PurchaseState,
    RateLimiter,
    RetryPolicy,
)
from lcphone_async.sandbox import Fault, Sandbox
from lcphone_async.sandbox.faulty.rules import Damage

sys.path.append(str(Path(__file__).parents[1]))  # for the modules that all benchmarks share
from _report import print_table
from _resale import selling_again

TASKS, LOCATIONS = 50, 100
SHARE = 0.36  # of the purchases that a fault strikes, as long as there are faults
TIMEOUT = 0.5
RETRY = RetryPolicy(max_time=1, initial_wait=0.05, confirm_timeout=0.5)
LIMITS = {"max_requests": 1_000_000, "period": 0.1}  # they are not to be the bottleneck

Order = tuple[str, str]  # a location and a number


@frozen
class Plan:
    """How much is bought and how much goes wrong; the latest purchase is `longest` seconds late."""

    purchases: int
    kills: int
    longest: float
    processes: int

    @property
    def late(self) -> float:
        """When a purchase that was begun so long ago can take effect no more."""
        return self.longest + RETRY.max_time + 2 * TIMEOUT + 1

    def faults(self) -> list[Fault]:
        """Every kind on the purchases, equally likely, and some on the lists that they read."""
        ambiguous: list[dict[str, Any]] = [
            *({"damage": damage} for damage in get_args(Damage)),
            *({"delay": delay} for delay in (TIMEOUT / 2, 1.5 * TIMEOUT, self.longest)),
            *({"status": status} for status in (500, 502, 503, 504)),
        ]
        # Replays first: those that come while a late answer waits would be sold the number again.
        kinds: list[dict[str, Any]] = [{"replay": times, "point": "after"} for times in (1, 3)]
        kinds += [{"point": point, **what} for what in ambiguous for point in ("before", "after")]
        kinds += [
            {"point": point, "status": status}
            for status in (400, 401, 403, 404, 409, 410, 422)
            for point in ("before", "after")
        ]
        kinds.append({"status": 429})
        chance = 1 - (1 - SHARE) ** (1 / len(kinds))
        return [
            *(Fault(operation="purchase", probability=chance, **kind) for kind in kinds),
            Fault(operation="active", probability=0.01, damage="reset"),
            Fault(operation="active", probability=0.01, delay=TIMEOUT / 2, point="after"),
            Fault(operation="active", probability=0.5, status=503, location="location-0"),
        ]


class Book:
    """What the caller knows: the journal, and the results that were written down."""

    def __init__(self, folder: Path) -> None:
        self.journal_path, self.results = folder / "journal.db", folder / "results"
        self.results.touch()

    def records(self) -> list[PurchaseRecord]:
        """What the journal holds."""
        with closing(PurchaseJournal(self.journal_path)) as journal:
            return asyncio.run(journal.records())

    def with_state(self, *states: PurchaseState) -> set[Order]:
        """The numbers that have such a purchase in the journal."""
        return {(r.location_id, r.phone_number) for r in self.records() if r.state in states}

    def to_reconcile(self) -> set[Order]:
        """Those that `reconcile` looks at."""
        return self.with_state(PurchaseState.SENDING, PurchaseState.UNKNOWN, PurchaseState.REFUSED)

    def bought(self) -> set[Order]:
        """Those that are bought, by the journal or by a result."""
        return self.with_state(PurchaseState.BOUGHT) | self.told()

    def hear(self, *words: str) -> None:
        """Writes down that a call told this process of a purchase."""
        with self.results.open("a") as results:
            results.write(" ".join((*words, str(os.getpid()))) + "\n")

    def heard(self) -> list[list[str]]:
        """Location, number and record id of each purchase, by which call it was told, and whom."""
        return list(map(str.split, self.results.read_text().splitlines()))

    def told(self) -> set[Order]:
        """Those that a process was told to be bought."""
        return {(location, number) for location, number, *_ in self.heard()}

    def told_twice(self) -> int:
        """How many purchases were told by more than one call; tasks of a client may share one."""
        tellers = Counter(record_id for _, _, record_id, *_ in set(map(tuple, self.heard())))
        return sum(count > 1 for count in tellers.values())

    def told_to_none(self) -> int:
        """How many purchases the journal has as bought, with nobody told of them."""
        return sum(r.state == PurchaseState.BOUGHT and not r.told for r in self.records())


def live(url: str, book: Book, orders: list[Order], late: float) -> None:
    """One life of a process: it reconciles what was in flight, and buys what is missing."""
    bought = book.bought()
    missing = iter([order for order in orders if order not in bought])

    async def task(client: LCPhoneClient) -> None:
        for order in missing:
            with suppress(LCPhoneError):  # a later life tries again
                purchase = await client.purchase(*order)
                book.hear(*order, purchase.record_id or "", "purchase")

    async def main() -> None:
        own = {"journal": PurchaseJournal(book.journal_path), "limiter": RateLimiter(**LIMITS)}
        async with LCPhoneClient("t", base_url=url, retry=RETRY, timeout=TIMEOUT, **own) as client:
            for found in await client.reconcile(min_age=late):
                if found.state == PurchaseState.BOUGHT:
                    book.hear(found.location_id, found.phone_number, found.id, "reconcile")
            await asyncio.gather(*(task(client) for _ in range(TASKS)))

    asyncio.run(main())


@define
class Chaos:
    """The processes that buy, and what was seen at the end of each."""

    sandbox: Sandbox
    book: Book
    start: Callable[[], BaseProcess]
    ends: Counter[int | None] = field(factory=Counter)
    """By exit code."""
    found_open: int = 0
    forgotten: set[Order] = field(factory=set)
    """Told to be bought, and not bought in the journal."""
    lost: set[Order] = field(factory=set)
    """In the ledger, and neither bought nor to be reconciled by what the caller knew."""

    def run(self, processes: int, marks: list[int]) -> None:
        """Lets them buy; kills one after so many purchases, and again soon after its restart."""
        alive = [self.start() for _ in range(processes)]
        for mark in marks:
            while len(self.sandbox.ledger) < mark and any(p.is_alive() for p in alive):
                time.sleep(0.02)
            for soon in (0.2, 2):
                time.sleep(random.uniform(0, soon))
                victim = random.randrange(processes)
                alive[victim].kill()
                self.end(alive[victim])
                alive[victim] = self.start()
        for process in alive:
            self.end(process)

    def end(self, process: BaseProcess) -> None:
        """Waits for its end, and compares the ledger with what the caller knows then."""
        process.join()
        self.ends[process.exitcode] += 1
        entries, told = set(ledger(self.sandbox)), self.book.told()  # first: others go on buying
        to_reconcile, bought = self.book.to_reconcile(), self.book.bought()
        self.found_open += len(entries & to_reconcile - bought)
        self.forgotten |= told - self.book.with_state(PurchaseState.BOUGHT)
        self.lost |= entries - to_reconcile - bought


def ledger(sandbox: Sandbox) -> Counter[Order]:
    """How often each number was paid for."""
    return Counter((entry.location_id, entry.phone_number) for entry in sandbox.ledger)


def run(plan: Plan) -> int:
    """The whole story."""
    started = time.monotonic()
    world = {"seed": random.randrange(2**32), "numbers_per_location": 3, "keep_requests": 10**6}
    sandbox = Sandbox(faults=plan.faults(), **world, **LIMITS)
    for_sale = filter(sandbox.stock.find, (f"+1212{line}" for line in range(2_000_000, 9_999_999)))
    numbers = enumerate(islice(for_sale, plan.purchases))
    asked = [(f"location-{index % LOCATIONS}", number) for index, number in numbers]
    orders = [order for i, order in enumerate(asked) for _ in range(1 if i % 10 else 2)]
    with tempfile.TemporaryDirectory() as folder, selling_again(), sandbox.in_thread():
        book = Book(Path(folder))

        def start() -> BaseProcess:
            spawn = multiprocessing.get_context("spawn").Process
            process = spawn(target=live, args=(sandbox.url, book, orders, plan.late))
            process.start()
            return process

        chaos = Chaos(sandbox, book, start)
        marks = sorted(random.sample(range(plan.purchases * 3 // 4), plan.kills // 2))
        chaos.run(plan.processes, marks)
        sandbox.faults.clear()
        for _ in range(5):  # the last reconcile; what was not bought is bought then, as ever
            if book.to_reconcile() or book.bought() != set(asked):
                time.sleep(plan.late)
                chaos.end(start())
        code = report(chaos, set(asked))
    print(f"{'seconds':<50} {time.monotonic() - started:>7.0f}")
    return code


def told(fault: Fault) -> str:
    """A fault's kind, in a few words."""
    if fault.replay is not None:
        return f"replayed {fault.replay} times"
    return str(fault.damage or fault.status or f"{fault.delay:g} s late")


def report(chaos: Chaos, asked: set[Order]) -> int:
    """Prints the figures; 1 if a promise was broken."""
    book, entries = chaos.book, ledger(chaos.sandbox)
    struck = [fault for fault in chaos.sandbox.faults.struck if fault.operation == "purchase"]
    posts = sum(request.method == "POST" for request in chaos.sandbox.requests)
    kinds = Counter((told(fault), fault.point) for fault in struck)
    names = sorted({name for name, _ in kinds})
    rows = [[name, *(str(kinds[name, point]) for point in ("before", "after"))] for name in names]
    print_table("faults", ["", "before it acts", "after it acted"], rows)
    figures = {
        "purchases asked for": len(asked),
        "POSTs received": posts,
        "faults that struck them": len(struck),
        "kills": (kills := chaos.ends[-signal.SIGKILL]),
        "ledger entries": entries.total(),
        "found to be reconciled when a process ended": chaos.found_open,
    }
    promises = {
        "numbers paid for twice": sum(count > 1 for count in entries.values()),
        "bought beyond what was asked for": len(set(entries) - asked),
        "unknown to the caller when a process ended": len(chaos.lost),
        "told as bought, and not so in the journal": len(chaos.forgotten),
        "not known as bought after the last reconcile": len(set(entries) - book.bought()),
        "bought by the journal, but not in the ledger": len(book.bought() - set(entries)),
        "asked for, and not bought in the end": len(asked - set(entries)),
        "told by two calls": book.told_twice(),
        "bought, and told by none in the end": book.told_to_none(),
        "to be reconciled in the end": len(book.to_reconcile()),
        "processes that failed": chaos.ends.total() - kills - chaos.ends[0],
    }
    print()
    for name, figure in (figures | promises).items():
        print(f"{name:<50} {figure:>7}{'  BROKEN' if figure and name in promises else ''}")
    return int(any(promises.values()))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", help="only see that it runs")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2, help="that share the journal")
    options = parser.parse_args()
    random.seed(options.seed)
    size = (300, 6, 1.2) if options.short else (10_000, 30, 3)
    sys.exit(run(Plan(*size, options.processes)))
