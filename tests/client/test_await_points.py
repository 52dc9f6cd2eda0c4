"""Every operation, cancelled, timed out and closed at each of its await points."""

import asyncio
import threading
from contextlib import aclosing, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from attrs import define, evolve, field, frozen
from redis.asyncio import Redis

from lcphone_async import (
    AgencyTokens,
    ClientClosedError,
    FileTokenStore,
    LCPhoneClient,
    LCPhoneError,
    NumberUnavailableError,
    OAuthTokens,
    PurchaseJournal,
    PurchaseOutcomeUnknownError,
    PurchaseRecord,
    PurchaseState,
    RateLimiter,
    RetryPolicy,
    bulk,
)
from lcphone_async.audit import audit
from lcphone_async.redis import RedisRateLimiter, RedisTokenStore
from lcphone_async.sandbox import Fault, OAuthSettings, Sandbox
from support.await_points import DISTURBANCES, Cancel, CancelAll, CancelTwice, Close, served, walk
from support.redis_server import RedisServer

COMPANY, APP = "company-1", "app-1"
NUMBERS = [f"+1830555{last}" for last in (1230, 1232, 1234)]
LISTED, POOLS = 5, 2
AT_ONCE = RetryPolicy(initial_wait=0, max_wait=0)
PLACES = [f"loc{number}" for number in range(250)]


@define
class Scene:
    """One run's location, client, limiter, journal and files."""

    sandbox: Sandbox
    journal: PurchaseJournal
    folder: Path
    place: str
    limiter: RateLimiter
    redis: Redis
    token: Any = "token"
    client: Any = None
    others: list = field(factory=list)
    """Tasks that may outlive the operation."""
    is_known: bool = False
    """Whether the caller may learn of a purchase other than from the call."""

    def new_client(self, **options):
        given = {
            "base_url": self.sandbox.url,
            "journal": self.journal,
            "limiter": self.limiter,
            "retry": AT_ONCE,
        }
        return LCPhoneClient(self.token, **{**given, **options})

    def beside(self, work):
        self.others.append(asyncio.create_task(work))

    async def no_more_visits(self):
        if isinstance(self.limiter, RedisRateLimiter):
            await self.limiter.close()

    async def records(self):
        records = await self.journal.records()
        return [record for record in records if record.location_id == self.place]


def installed(place=None):
    """Returns a factory of an app's token source, whose access token must be refreshed first."""

    def give(scene, **options):
        refresh_token = scene.sandbox.oauth.install(place and scene.place).refresh_token
        return OAuthTokens(
            client_id="id", client_secret="secret", refresh_token=refresh_token, **options
        )

    return give


def kept(scene):
    """A location's tokens, stored in a file."""
    return installed("place")(scene, store=FileTokenStore(scene.folder / f"{scene.place}.json"))


def kept_in_redis(scene):
    """A location's tokens, stored in Redis."""
    return installed("place")(scene, store=RedisTokenStore(scene.redis, scene.place))


def refused(scene):
    """A location's tokens, which the service refuses until they are refreshed."""
    grant = scene.sandbox.oauth.install(scene.place)
    scene.sandbox.oauth.revoke(grant.access_token)
    return OAuthTokens(
        client_id="id",
        client_secret="secret",
        refresh_token=grant.refresh_token,
        access_token=grant.access_token,
    )


def of_agency(scene):
    """An agency's tokens, from which the location's are derived."""
    store = FileTokenStore(scene.folder / f"{scene.place}.json")
    return AgencyTokens(company_id=COMPANY, source=installed()(scene, store=store))


@frozen
class Operation:
    """An operation, and its result without a disturbance."""

    act: Any
    gives: Any
    faults: tuple = field(default=(), converter=tuple)
    slots: tuple = (10_000,)
    """The arguments of its limiter."""
    tokens: Any = None
    """Returns the client's token source for a scene."""
    options: Any = field(default=lambda _: {})
    """Returns further options of the client for a scene."""
    before: Any = None
    """Run on the same client before the operation."""
    by_redis: bool = False
    """Whether it requires Redis."""

    def __str__(self):
        return self.act.__name__


OPERATIONS = []


def operation(gives, **options):
    """Registers an operation whose await points are tested."""

    def added(act):
        OPERATIONS.append(Operation(act, gives, **options))
        return act

    return added


# Reading


@operation(LISTED)
async def a_page(scene):
    page = await scene.client.active_numbers_page(scene.place, skip_number_pool=False)
    return len(page.numbers)


@operation(LISTED)
async def a_walk(scene):
    numbers = scene.client.active_numbers(scene.place, page_size=2, skip_number_pool=False)
    return len([number async for number in numbers])


@operation(LISTED, faults=[Fault(operation="active", nth=nth, status=503) for nth in (1, 3, 4)])
async def a_walk_with_retries(scene):
    return await a_walk(scene)


@operation(LISTED, slots=(1, 0.001))
async def a_walk_in_the_wait_queue(scene):
    return await a_walk(scene)


@operation(LISTED, slots=(2, 0.001))
async def a_walk_beside_a_bulk_walk(scene):
    with bulk():
        scene.beside(a_walk(scene))
    return await a_walk(scene)


@operation([2, 2, 1])
async def pages_without_prefetch(scene):
    options = {"page_size": 2, "prefetch": 0, "skip_number_pool": False}
    pages = scene.client.active_number_pages(scene.place, **options)
    return [len(page.numbers) async for page in pages]


@operation([2, 2, 1])
async def pages_with_prefetch(scene):
    options = {"page_size": 2, "prefetch": 2, "skip_number_pool": False}
    pages = scene.client.active_number_pages(scene.place, **options)
    return [len(page.numbers) async for page in pages]


@operation(True)
async def a_walk_that_ends_early(scene):
    numbers = scene.client.active_numbers(scene.place, page_size=1, skip_number_pool=False)
    async with aclosing(numbers):
        return (await anext(numbers)).phone_number.startswith("+")


@operation(True)
async def a_search(scene):
    return bool((await scene.client.search_available(scene.place, "US")).numbers)


@operation(["CA", "GB", "US"], faults=[Fault(operation="available", nth=2, status=503)])
async def searches(scene):
    found = scene.client.search_countries(scene.place, ["US", "CA", "GB"], concurrency=2)
    return sorted([search.country_code async for search in found if search.result])


@operation(POOLS)
async def pools(scene):
    return len(await scene.client.number_pools(scene.place))


@operation(
    POOLS,
    slots=(10_000, 0.001),
    faults=[
        Fault(operation="pools", nth=1, damage="reset"),
        Fault(operation="pools", nth=2, status=503),
        Fault(operation="pools", nth=3, status=429, retry_after=0),
        Fault(operation="pools", nth=4, damage="cut-off"),
    ],
)
async def pools_at_the_fifth_attempt(scene):
    return await pools(scene)


def by_name(scene):
    return {"base_url": scene.sandbox.url.replace("127.0.0.1", "localhost")}


@operation(POOLS, options=by_name)
async def pools_with_name_resolution(scene):
    return await pools(scene)


# Buying


def without_a_journal(scene):
    return {"journal": None}


ACTED = {"operation": "purchase", "point": "after"}
GONE = {"status": 400, "body": {"message": "Phone number is no longer available"}}


@operation("answer")
async def a_purchase(scene):
    return (await scene.client.purchase(scene.place, NUMBERS[0])).confirmed_by


@operation("answer", options=without_a_journal)
async def a_purchase_without_a_journal(scene):
    return await a_purchase(scene)


@operation("answer", slots=(1, 0.001))
async def a_purchase_in_the_wait_queue(scene):
    return await a_purchase(scene)


@operation(
    "answer",
    slots=(10_000, 0.001),
    faults=[Fault(operation="purchase", nth=1, status=429, retry_after=0)],
)
async def a_purchase_at_the_second_attempt(scene):
    return await a_purchase(scene)


@operation(
    "read-back",
    faults=[Fault(**ACTED, damage="reset"), Fault(operation="active", nth=2, status=503)],
)
async def a_purchase_that_is_read_back(scene):
    return await a_purchase(scene)


def without_patience(scene):
    return {"retry": evolve(AT_ONCE, confirm_timeout=0.03)}


@operation(
    "unknown", faults=[Fault(operation="purchase", damage="reset")], options=without_patience
)
async def a_purchase_of_unknown_outcome(scene):
    try:
        return await a_purchase(scene)
    except PurchaseOutcomeUnknownError:
        return "unknown"


@operation("refused", faults=[Fault(operation="purchase", **GONE)])
async def a_refused_purchase(scene):
    try:
        return await a_purchase(scene)
    except NumberUnavailableError:
        return "refused"


@operation("dry run")
async def a_dry_run(scene):
    bought = await scene.client.purchase(scene.place, NUMBERS[0], dry_run=True)
    return bought.confirmed_by


@operation("answer")
async def a_concurrent_purchase(scene):
    scene.is_known = True
    scene.beside(a_purchase(scene))
    await asyncio.sleep(0)
    return await a_purchase(scene)


@operation(2, faults=[Fault(operation="purchase", nth=1, **GONE)])
async def several_purchases(scene):
    order = await scene.client.purchase_many(scene.place, NUMBERS, count=2, order_id=scene.place)
    is_closed = isinstance(order.error, ClientClosedError) or order.unknown
    scene.is_known = bool(is_closed)
    return 2 if is_closed else len(order.bought)


async def left_unknown(scene):
    scene.sandbox.faults.append(Fault(**ACTED, damage="reset"))
    scene.sandbox.faults.append(Fault(operation="active", status=401))
    with suppress(LCPhoneError):
        await a_purchase(scene)
    scene.sandbox.faults.clear()


@operation(["bought"], before=left_unknown)
async def reconciling(scene):
    scene.is_known = True
    return [record.state.value for record in await scene.client.reconcile()]


# Tokens


@operation(POOLS, tokens=installed("place"))
async def pools_with_a_refreshed_token(scene):
    return await pools(scene)


@operation(POOLS, tokens=kept)
async def pools_with_a_stored_token(scene):
    return await pools(scene)


@operation(POOLS, tokens=refused)
async def pools_with_a_refused_token(scene):
    return await pools(scene)


@operation(POOLS, tokens=of_agency)
async def pools_with_an_agency_s_token(scene):
    return await pools(scene)


@operation(len(PLACES), tokens=of_agency)
async def locations(scene):
    found = scene.client.locations(COMPANY, APP, page_size=100)
    return len([location async for location in found])


@operation(True)
async def a_code(scene):
    code = scene.sandbox.oauth.authorize(scene.place)
    grant = await scene.client.exchange_code(code, client_id="id", client_secret="secret")
    return bool(grant.refresh_token)


# Redis


def one_at_a_time(scene):
    scene.limiter = RedisRateLimiter(scene.redis, 1, 0.01, timeout=20)
    return {"limiter": scene.limiter}


@operation(POOLS, options=one_at_a_time, by_redis=True)
async def pools_in_the_wait_queue_of_redis(scene):
    scene.beside(pools(scene))
    return await pools(scene)


@operation(POOLS, tokens=kept_in_redis, by_redis=True)
async def pools_with_a_token_stored_in_redis(scene):
    return await pools(scene)


# The client itself


@operation(None, tokens=kept, slots=(2, 0.001))
async def closing(scene):
    for _ in range(3):
        scene.beside(pools(scene))
    while not scene.sandbox.oauth.ledger and not scene.others[0].done():
        await asyncio.sleep(0)
    await scene.client.close()


@operation(POOLS)
async def a_block(scene):
    async with scene.client as client:
        return len(await client.number_pools(scene.place))


@operation({"complete": 2})
async def an_audit(scene):
    places = [scene.place, f"{scene.place}-2"]
    summary = await audit(
        scene.client, places, scene.folder / f"{scene.place}.duckdb", concurrency=2
    )
    if isinstance(summary.error, ClientClosedError):
        raise summary.error
    return {coverage.value: count for coverage, count in summary.coverage.items()}


# Parts that are used without a client


async def in_slots(limiter):
    async def one():
        async with limiter.slot("key"):
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        for _ in range(6):
            group.create_task(one())


@operation(None, slots=(2, 0.001))
async def slots(scene):
    await in_slots(scene.limiter)


@operation(["not bought"], options=without_a_journal)
async def journalling(scene):
    record = PurchaseRecord.new(scene.place, NUMBERS[0])
    past = await scene.journal.past(scene.place, NUMBERS[0])
    await scene.journal.begin(record, past)
    await scene.journal.replace(record, record.now(PurchaseState.NOT_BOUGHT))
    return [record.state.value for record in await scene.records()]


@operation("new")
async def a_store(scene):
    store = FileTokenStore(scene.folder / f"{scene.place}.txt")
    async with store.lock():
        await store.replace(await store.load(), "new")
        return await store.load()


# Checks after each run


async def assert_limiter_is_free(limiter):
    """Fails if a slot is taken, or if the next slots are not granted within a period."""
    for window in limiter._registry:
        if isinstance(limiter, RedisRateLimiter):
            assert (window._in_flight, len(window._queue)) == ({}, 0)
        else:
            assert (window.in_flight, window.waking, len(window.queue)) == (0, 0, 0)
    async with asyncio.timeout(30):
        await in_slots(limiter)


async def assert_journal_is_true(scene, outcome):
    """Fails unless the journal and the ledger agree on each purchase."""
    paid = {entry.phone_number for entry in scene.sandbox.ledger}
    records = await scene.records()
    assert {record.phone_number for record in records if record.state == "bought"} <= paid
    assert paid <= {r.phone_number for r in records if r.is_open or r.state == "bought"}
    assert "sending" not in {record.state for record in records}
    if outcome.error is not None and not scene.is_known:
        assert "bought" not in {record.state for record in records}  # the caller does not know
    async with scene.new_client() as client:
        await client.reconcile(min_age=0)
    assert paid == {r.phone_number for r in await scene.records() if r.state == "bought"}
    assert not [record for record in await scene.records() if record.is_open]


def is_apart(task):
    """Whether the task does not belong to the call, such as a refresh that others wait for."""
    ours = ("SingleFlight._run", "RefreshMarker._renew", "_keep", "SharedWindow._sync_loop")
    of_aiohttp = ("write_bytes", "_resolve_host", "getaddrinfo", "_wait_for_close")
    of_redis = ("_send_packed_command",)
    return any(name in repr(task) for name in ours + of_aiohttp + of_redis)


async def runs(operation, sandbox, journal, folder, port):
    """Returns a function that runs an operation, for `walk`."""

    async def run(number, in_the_way):
        async with Redis(port=port) as redis:
            await run_with(redis, number, in_the_way)

    async def run_with(redis, number, in_the_way):
        sandbox.reset()
        limiter = RateLimiter(*operation.slots)
        scene = Scene(sandbox, journal, folder, f"loc{number}", limiter, redis)
        if operation.tokens is not None:
            scene.token = operation.tokens(scene)
        client = scene.client = scene.new_client(**operation.options(scene))
        if operation.before is not None:
            await operation.before(scene)
        sandbox.faults.extend(operation.faults)
        outcome = await in_the_way.outcome(operation.act(scene), client.close)
        sandbox.faults.clear()
        if not scene.others:
            assert not [each for each in in_the_way.left if not is_apart(each)]
        if not client._calls.is_closed:
            assert await pools(scene) == POOLS
            await asyncio.wait(scene.others) if scene.others else None
        await client.close()
        await scene.no_more_visits()
        assert client._transport._session is None or client._transport._session.closed
        assert scene.others or not in_the_way.loop.tasks()
        await asyncio.gather(*scene.others, return_exceptions=True)
        in_the_way.check(outcome, operation.gives)
        await in_the_way.loop.is_idle()
        await assert_limiter_is_free(scene.limiter)
        if scene.client._purchases.journal.inner is journal:
            await assert_journal_is_true(scene, outcome)
        async with scene.new_client() as another:
            assert len(await another.number_pools(scene.place)) == POOLS
        await scene.no_more_visits()

    return run


@pytest.fixture
async def sandbox(request):
    app = None
    if request.getfixturevalue("operation").tokens is not None:
        app = OAuthSettings(app_id=APP, company_id=COMPANY, locations=PLACES)
    options = {"numbers_per_location": LISTED, "max_requests": 10_000, "period": 0.01}
    async with served(Sandbox(oauth_app=app, **options)) as sandbox:
        yield sandbox


@pytest.fixture
def folder():
    """A folder in memory if possible, since thousands of runs sync their files to disk."""
    memory = Path("/dev/shm")  # noqa: S108  # where Linux has its files in memory
    with TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)


@pytest.fixture
async def port(request, operation):
    """The port of an empty Redis, if the operation requires one."""
    if not operation.by_redis:
        return 0
    port = request.getfixturevalue("redis_server").port
    async with Redis(port=port) as redis:
        await redis.flushall()
    return port


needs_redis = pytest.mark.skipif(
    RedisServer.program is None, reason="neither redis-server nor valkey-server is installed"
)


def disturbances_of(operation):
    """All disturbances, or a selection if the operation is slow."""
    if operation.act is an_audit:
        return [(CancelTwice, "asleep"), (Close, "asleep")]
    if operation.by_redis:
        return [(Cancel, "asleep"), (Cancel, "waking"), (Close, "asleep")]
    return DISTURBANCES


def each_disturbance():
    """Every operation with each of its disturbances."""
    for of in OPERATIONS:
        marks = [needs_redis] if of.by_redis else []
        for kind, moment in disturbances_of(of):
            name = f"{of}-{kind.__name__}-{moment}"
            yield pytest.param(of, kind, moment, id=name, marks=marks)


@pytest.mark.sample(9)
@pytest.mark.parametrize(("operation", "disturbance", "moment"), list(each_disturbance()))
async def test_disturbed(operation, disturbance, moment, sandbox, folder, port, record_property):
    """Leaves no task, connection, slot, file or warning, and a journal that matches the ledger."""
    with PurchaseJournal(folder / "purchases.db") as journal:
        run = await runs(operation, sandbox, journal, folder, port)
        points = await walk(run, disturbance, moment)
    assert points
    record_property("await points", points)


@pytest.mark.exhaustive
async def test_an_audit_whose_loop_ends(folder):
    """Ends if all tasks are cancelled at once, leaves no thread, and can be resumed."""

    async def take(client, path, **options):
        summary = await audit(client, PLACES[:2], path, concurrency=1, **options)
        return summary.coverage

    async def run(number, in_the_way):
        path = folder / f"{number}.duckdb"
        async with LCPhoneClient("token", base_url=sandbox.url) as client:
            outcome = await in_the_way.outcome(take(client, path), client.close)
            in_the_way.check(outcome, {"complete": 2})
            assert not in_the_way.loop.tasks()
            assert not [each for each in threading.enumerate() if "audit" in each.name]
            assert await take(client, path, resume=True) == {"complete": 2}

    async with served(Sandbox(numbers_per_location=LISTED)) as sandbox:
        assert await walk(run, CancelAll, "asleep")
