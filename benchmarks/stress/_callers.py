"""What the callers of the soak do to a client, and what they hold against the sandbox's own books.

A sandbox grows every list, pool and search from its seed, so that each answer is known in advance.
Numbers are sold as often as they are asked for: only the client keeps one from being bought twice.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import aclosing
from pathlib import Path

from attrs import define, field, frozen

from lcphone_async import (
    AgencyTokens,
    AuthenticationError,
    BadRequestError,
    ClientClosedError,
    ConnectFailedError,
    IncompleteListError,
    LCPhoneClient,
    LCPhoneError,
    NotFoundError,
    NumberAlreadyOwnedError,
    OAuthTokens,
    PermissionDeniedError,
    PurchaseInProgressError,
    PurchaseJournal,
    PurchaseOutcomeUnknownError,
    RateLimitedError,
    RateLimiter,
    RequestTimeoutError,
    ResponseFormatError,
    RetryPolicy,
    ServerError,
    TokenUnavailableError,
    TransportError,
    UnprocessableError,
)
from lcphone_async.sandbox.inventory.generator import NumberGenerator
from lcphone_async.sandbox.inventory.stock import Stock, Wanted

SEED, COMPANY, APP = 9, "company", {"client_id": "app", "client_secret": "secret"}
LIMITS = {"max_requests": 1_000, "period": 1.0}
NUMBERS, PAGE_SIZES = 600, (100, 150, 600)
STEADY = [f"steady-{index}" for index in range(8)]
SHIFTING, STRICT = "shifting", "strict"
"""Locations of which a list changes under the walks, and a limit is lower than it says."""
BUYERS, PLACES = 20, 5_000
COUNTRIES = ("US", "CA", "GB", "AU", "DE", "FR", "NL", "SE")

TIMEOUT = 2.0
RETRY = RetryPolicy(max_time=5, initial_wait=0.05, max_wait=0.5, confirm_timeout=1)
LATE = 30.0
"""A purchase that was sent so many seconds ago can take effect no more."""
PATIENCE = 30.0
"""Seconds in which a call that was cancelled has ended."""

EXPLAINED = {
    *(TransportError, ConnectFailedError, RequestTimeoutError, ResponseFormatError, ServerError),
    *(BadRequestError, AuthenticationError, PermissionDeniedError, NotFoundError),
    *(UnprocessableError, RateLimitedError, TokenUnavailableError),
}
"""What a fault on the way may come to; anything else, a kind of these included, is a surprise."""
OF_PURCHASES = {NumberAlreadyOwnedError, PurchaseInProgressError, PurchaseOutcomeUnknownError}


class Tally(logging.Handler):
    """Counts the requests that the client logs, by outcome, and what it warns of."""

    def __init__(self) -> None:
        super().__init__()
        self.outcomes: Counter[str] = Counter()
        self.warnings: Counter[str] = Counter()
        self.retries = 0

    def listen(self) -> None:
        """Begins to count."""
        logger = logging.getLogger("lcphone_async")
        logger.addHandler(self)
        logger.setLevel(logging.DEBUG)
        logger.propagate = False

    def emit(self, record: logging.LogRecord) -> None:
        """Takes in a record."""
        if record.levelno > logging.DEBUG:
            self.warnings[record.msg] += 1
        elif isinstance(record.args, tuple):
            *_, outcome, _, tries = record.args
            self.outcomes[str(outcome)] += 1
            self.retries += tries != 1


@frozen
class Books:
    """What the sandbox will answer, worked out beforehand."""

    lists: dict[str, list[str]]
    searches: dict[str, list[str]]

    @classmethod
    def of(cls, seed: int) -> Books:
        """The books of a sandbox with that seed."""
        lists = {place: listed(seed, place, NUMBERS) for place in (*STEADY, STRICT)}
        kinds, stock = ("local", "tollFree"), Stock(seed)
        wanted = {code: Wanted(country=code, kinds=kinds) for code in COUNTRIES}
        return cls(
            lists, {code: [o.phone_number for o in stock.search(w)] for code, w in wanted.items()}
        )


def listed(seed: int, location_id: str, count: int) -> list[str]:
    """The first numbers of a location."""
    grower = NumberGenerator(seed, location_id)
    return [grower.phone_number(index) for index in range(count)]


def for_sale(seed: int) -> Iterator[tuple[str, str]]:
    """Orders: a location and a number that it may buy, each once."""
    stock = Stock(seed)
    numbers = filter(stock.find, (f"+1212{line}" for line in range(2_000_000, 9_999_999)))
    for index, number in enumerate(numbers):
        yield f"buyer-{index % BUYERS}", number


@define
class Callers:
    """They share one client, and count what came of their calls."""

    url: str
    refresh_token: str
    journal: PurchaseJournal
    told: Path
    """A file of what was told to be bought: in memory it would grow."""
    books: Books = field(factory=lambda: Books.of(SEED))
    limiter: RateLimiter = field(factory=lambda: RateLimiter(**LIMITS))
    calls: Counter[str] = field(factory=Counter)
    answered: int = 0
    errors: Counter[str] = field(factory=Counter)
    errors_of_outages: Counter[str] = field(factory=Counter)
    walks: Counter[str] = field(factory=Counter)
    cut_short: Counter[str] = field(factory=Counter)
    purchases: Counter[str] = field(factory=Counter)
    """How those ended that were not made, or not surely."""
    broken: Counter[str] = field(factory=Counter)
    outage_until: float = 0.0
    """Until so long after an outage any error may be its consequence."""
    tokens: AgencyTokens = field(init=False)
    client: LCPhoneClient = field(init=False)
    orders: Iterator[tuple[str, str]] = field(factory=lambda: for_sale(SEED))
    last_orders: deque[tuple[str, str]] = field(factory=lambda: deque(maxlen=50))

    def __attrs_post_init__(self) -> None:
        source = OAuthTokens(**APP, refresh_token=self.refresh_token, failure_cooldown=0.5)
        self.tokens = AgencyTokens(
            company_id=COMPANY, source=source, max_locations=50, failure_cooldown=0.5
        )
        self.client = self.new_client()

    def new_client(self) -> LCPhoneClient:
        """A client; they all have the same tokens, budget and journal."""
        shared = {"limiter": self.limiter, "journal": self.journal}
        return LCPhoneClient(self.tokens, base_url=self.url, retry=RETRY, timeout=TIMEOUT, **shared)

    async def call(self) -> None:
        """Makes a call of some kind, and now and then cancels it or lets it time out."""
        kinds = {
            self.walk: 20,
            self.leave_a_walk: 12,
            self.walk_over_a_shifting_list: 4,
            self.page: 20,
            self.page_of_any_place: 20,
            self.search: 6,
            self.pools: 10,
            self.buy: 12,
            self.settle: 0.2,
            self.short_life: 4,
        }
        (kind,) = random.choices(list(kinds), kinds.values())
        self.calls[kind.__name__] += 1
        (end,) = random.choices((self.answer, self.cancelled, self.timed_out), (9, 1, 1))
        try:
            await end(kind)
        except LCPhoneError as error:
            self.failed(error)

    async def answer(self, kind: Callable[[], Awaitable[None]]) -> None:
        """Waits for the call's end."""
        await kind()
        self.answered += 1

    async def cancelled(self, kind: Callable[[], Awaitable[None]]) -> None:
        """Cancels the call at some moment, and sees to it that it ends."""
        call = asyncio.ensure_future(kind())
        await asyncio.wait([call], timeout=random.expovariate(5))
        if call.done():
            return call.result()
        call.cancel()
        await asyncio.wait([call], timeout=PATIENCE)
        self.promise(call.done(), f"a call outlived its cancellation: {kind.__name__}")
        if call.done() and not call.cancelled():
            return call.result()
        self.cut_short["cancelled"] += 1
        return None

    async def timed_out(self, kind: Callable[[], Awaitable[None]]) -> None:
        """Lets the call time out at some moment."""
        try:
            async with asyncio.timeout(random.expovariate(5)):
                await kind()
        except TimeoutError:
            self.cut_short["timed out"] += 1

    def failed(self, error: LCPhoneError) -> None:
        """Counts an error, which some fault must explain."""
        if time.monotonic() < self.outage_until:
            self.errors_of_outages[type(error).__name__] += 1
            return
        self.errors[type(error).__name__] += 1
        self.promise(type(error) in EXPLAINED, f"no fault explains {type(error).__name__}")

    def promise(self, holds: object, what: str) -> None:
        """Counts a promise that does not hold."""
        if not holds:
            self.broken[what] += 1

    async def walk(self) -> None:
        """Walks over all numbers of a location, again and again until the walk is complete."""
        location_id = random.choice([*STEADY, STRICT])
        while True:
            seen: list[str] = []
            try:
                async for number in self.client.active_numbers(
                    location_id,
                    page_size=random.choice(PAGE_SIZES),
                    skip_number_pool=False,
                    prefetch=random.choice((None, 0, 3)),
                ):
                    seen.append(number.phone_number)  # noqa: PERF401  # also where it raises
            except LCPhoneError as error:
                self.failed(error)
                self.walks["asked again"] += 1
                await asyncio.sleep(random.uniform(0, 0.2))
            else:
                self.walks["complete"] += 1
                whole = seen == self.books.lists[location_id]
                return self.promise(whole, "a walk was complete, and wrong")
            finally:
                began = seen == self.books.lists[location_id][: len(seen)]
                self.promise(began, "a walk gave a number twice, or not in order")

    async def leave_a_walk(self) -> None:
        """Leaves a walk somewhere, by the book or by a bare `break`."""
        location_id, leave_after = random.choice(STEADY), random.randrange(NUMBERS)
        seen: list[str] = []
        numbers = self.client.active_numbers(location_id, page_size=100, skip_number_pool=False)
        if random.random() < 1 / 2:
            async with aclosing(numbers):
                async for number in numbers:
                    seen.append(number.phone_number)
                    if len(seen) > leave_after:
                        break
        else:
            async for number in numbers:
                seen.append(number.phone_number)
                if len(seen) > leave_after:
                    break
        self.walks["left early"] += 1
        began = seen == self.books.lists[location_id][: len(seen)]
        self.promise(began, "a walk that was left gave a number twice, or not in order")

    async def walk_over_a_shifting_list(self) -> None:
        """Walks over a list whose first number may be released meanwhile."""
        seen: list[str] = []
        try:
            async for number in self.client.active_numbers(SHIFTING, page_size=100):
                seen.append(number.phone_number)  # noqa: PERF401  # also where it raises
        except IncompleteListError:
            self.walks["incomplete, and said so"] += 1
        self.promise(len(seen) == len(set(seen)), "a walk gave a number twice")

    async def page(self) -> None:
        """Asks for one page of a known list."""
        location_id, page = random.choice(STEADY), random.randrange(7)
        got = await self.client.active_numbers_page(
            location_id, page=page, page_size=100, skip_number_pool=False
        )
        known = self.books.lists[location_id][100 * page :][:100]
        self.promise([n.phone_number for n in got.numbers] == known, "a page was wrong")

    async def page_of_any_place(self) -> None:
        """Asks for a little of one of many locations: each has its window and its token."""
        place = f"place-{random.randrange(PLACES)}"
        got = await self.client.active_numbers_page(place, page_size=10, skip_number_pool=False)
        known = listed(SEED, place, 10)
        self.promise([n.phone_number for n in got.numbers] == known, "a page was wrong")

    async def search(self) -> None:
        """Searches in some countries side by side."""
        left = set(random.sample(COUNTRIES, 4))
        async for search in self.client.search_countries(random.choice(STEADY), sorted(left)):
            left.remove(search.country_code)
            if search.error is not None:
                self.failed(search.error)
            if search.result is not None:
                found = [number.phone_number for number in search.result.numbers]
                known = self.books.searches[search.country_code]
                self.promise(found == known, "a search was wrong")
        self.promise(not left, "a search left out a country")

    async def pools(self) -> None:
        """Asks for a location's pools."""
        pools = await self.client.number_pools(random.choice(STEADY))
        self.promise(len(pools) == 2, "the pools were wrong")  # noqa: PLR2004  # as it has grown

    async def buy(self) -> None:
        """Buys a number, at times one that was tried or bought before."""
        is_again = self.last_orders and random.random() < 1 / 5
        order = random.choice(self.last_orders) if is_again else next(self.orders)
        self.last_orders.append(order)
        try:
            await self.client.purchase(*order)
        except tuple(OF_PURCHASES) as error:
            self.purchases[type(error).__name__] += 1
        else:
            with self.told.open("a") as told:
                told.write(" ".join(order) + "\n")

    async def settle(self) -> None:
        """Finds out what became of open purchases."""
        await self.client.reconcile(min_age=LATE)

    async def short_life(self) -> None:
        """Opens another client for a few calls, and closes it, be they answered or not."""
        places = [f"place-{random.randrange(PLACES)}" for _ in range(3)]
        async with self.new_client() as client:
            calls = asyncio.gather(*map(client.number_pools, places), return_exceptions=True)
            await asyncio.wait([calls], timeout=random.uniform(0, 0.5))
        for outcome in await calls:
            if isinstance(outcome, ClientClosedError):
                self.cut_short["closed"] += 1
            elif isinstance(outcome, LCPhoneError):
                self.failed(outcome)
            elif isinstance(outcome, BaseException):
                raise outcome
