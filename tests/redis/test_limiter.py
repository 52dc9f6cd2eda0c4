"""The budget in Redis: one window for many processes, whatever becomes of them and of Redis."""

import asyncio
import gc
from bisect import bisect_left
from contextlib import suppress

import pytest
from redis.asyncio import Redis

from lcphone_async import (
    BudgetUnavailableError,
    CircuitOpenError,
    DailyQuotaExhaustedError,
    LCPhoneClient,
    OAuthTokens,
    PurchaseInProgressError,
    PurchaseState,
    RateLimiter,
    RateLimitStatus,
    bulk,
)
from lcphone_async.journal import Past
from lcphone_async.limiter.budget import Budget
from lcphone_async.redis import RedisPurchaseJournal, RedisRateLimiter, RedisTokenStore
from lcphone_async.redis.window import Granted, ScriptRunner, SharedWindow
from lcphone_async.sandbox import Fault, Sandbox
from support.redis_server import RedisServer

pytestmark = pytest.mark.skipif(
    RedisServer.program is None, reason="neither redis-server nor valkey-server is installed"
)

PERIOD = 0.4
NUMBER = "+18305551234"
NOTHING = Past(is_open=False, bought=None)


@pytest.fixture
def server(redis_server):
    """Which some tests stop, freeze and start again."""
    return redis_server


@pytest.fixture
async def connect(server):
    """Makes limiters, each with a connection of its own, as one process of many has."""
    clients, limiters = [], []

    def connect(max_requests=10, period=PERIOD, **options):
        clients.append(Redis(port=server.port, socket_connect_timeout=5))
        limiters.append(RedisRateLimiter(clients[-1], max_requests, period, **options))
        return limiters[-1]

    async with Redis(port=server.port) as redis:
        await redis.flushall()
    yield connect
    for limiter in limiters:
        await limiter.close()
    for client in clients:
        await client.aclose()


def clock():
    return asyncio.get_running_loop().time()


async def take(limiter, log, key="a", seconds=0.001):
    async with limiter.slot(key):
        log.append(clock())
        await asyncio.sleep(seconds)
        log.append(clock())


def fullest_window(times, period=PERIOD):
    """The most that any window of a period holds, whichever moments of a slot are counted."""
    times = sorted(times)
    return max(bisect_left(times, time + period) - index for index, time in enumerate(times))


async def test_what_is_not_sent_takes_no_slot(connect):
    """Gives a slot back at once whose holder found the circuit open."""
    limiter = connect(1, 1000)
    async with asyncio.timeout(20):
        for _ in range(3):
            with suppress(CircuitOpenError):
                async with limiter.slot("a"):
                    raise CircuitOpenError("GET", "/", "503", 5.0)


@pytest.mark.exhaustive
async def test_limiters_share_one_window(connect):
    """Never grants more in any period than the limit, to all of the processes together."""
    limiters = [connect() for _ in range(4)]
    sent = []

    async def worker(limiter):
        for _ in range(3):
            async with limiter.slot("a"):
                await asyncio.sleep(0.002)
                sent.append(clock())
                await asyncio.sleep(0.002)

    await asyncio.gather(*(worker(limiter) for limiter in limiters for _ in range(5)))
    assert len(sent) == 60
    assert fullest_window(sent) <= 10


@pytest.mark.exhaustive
async def test_a_slot_is_taken_until_a_period_after_the_answer(connect):
    """Grants a slot that another process used only one period after its answer."""
    first, second, log = connect(1), connect(1), []
    await take(first, log, seconds=0.1)
    await take(second, log)
    assert log[2] - log[1] >= PERIOD


async def test_keys_have_budgets_of_their_own(connect):
    """Grants one location's slots whatever another has used."""
    limiter = connect(1, 60)
    async with asyncio.timeout(30):
        await asyncio.gather(*(take(limiter, [], key) for key in "abc"))


async def test_waiters_of_a_process_are_served_in_order(connect):
    """Serves those who wait in one process in the order in which they came."""
    limiter, order = connect(2, 0.05), []

    async def one(name):
        async with limiter.slot("a"):
            order.append(name)

    await asyncio.gather(*(one(name) for name in range(10)))
    assert order == list(range(10))


@pytest.mark.exhaustive
async def test_waiters_do_not_poll(server, connect):
    """Visits Redis about once for each slot, however many wait and however long."""
    limiters = [connect(5, 0.2) for _ in range(4)]
    async with Redis(port=server.port) as redis:
        await redis.config_resetstat()
        slots = [take(limiter, []) for limiter in limiters for _ in range(15)]
        await asyncio.gather(*slots)
        stats = await redis.info("commandstats")
    visits = sum(row["calls"] for name, row in stats.items() if name.startswith("cmdstat_eval"))
    assert visits <= 2 * len(slots)


@pytest.mark.sample(1)
@pytest.mark.parametrize("moment", [0.0, 0.1, 0.4, 0.6], ids="after {} periods".format)
async def test_a_cancelled_call_loses_no_slot(connect, moment):
    """Serves all others when calls are cancelled before, at and after their grant."""
    limiter, log = connect(3), []
    tasks = [asyncio.create_task(take(limiter, log)) for _ in range(9)]
    await asyncio.sleep(moment * PERIOD)
    for task in tasks[::2]:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    async with asyncio.timeout(5 * PERIOD):
        await asyncio.gather(*(take(limiter, log) for _ in range(3)))


@pytest.mark.exhaustive
async def test_the_slots_of_a_dead_process_come_back(connect):
    """Grants again the slots of a process that died with its requests under way."""
    dead, alive, log = connect(2), connect(2), []
    for _ in range(2):
        await dead.slot("a").__aenter__()
    dead._registry.of("a")._sync_task.cancel()  # it is dead: it tells nothing and renews nothing
    async with asyncio.timeout(10 * PERIOD):
        await take(alive, log)


@pytest.mark.exhaustive
async def test_a_slow_request_keeps_its_slot(connect):
    """Keeps a slot taken for as long as its request is under way, leases or not."""
    slow, other, log = connect(1), connect(1), []
    async with asyncio.timeout(20 * PERIOD):
        await asyncio.gather(take(slow, log, seconds=4 * PERIOD), take(other, log))
    assert log[2] - log[1] >= PERIOD


@pytest.mark.exhaustive
async def test_keys_expire(server, connect):
    """Leaves nothing in Redis of a location that is not used any more."""
    await take(connect(), [])
    async with Redis(port=server.port) as redis, asyncio.timeout(20 * PERIOD):
        assert await redis.keys() == [b"lcphone:budget:a"]
        while await redis.keys():
            await asyncio.sleep(PERIOD / 10)


async def test_keys_expire_from_the_first_visit_on(server, connect):
    """Gives a key its time to live at once, in case that nobody comes again."""
    async with Redis(port=server.port) as redis, connect().slot("a"):
        assert 0 < await redis.pttl("lcphone:budget:a") < 10_000 * PERIOD


async def test_more_locations_at_once_than_connections(connect):
    """Serves hundreds of locations side by side over the client's one pool."""
    limiter = connect(1, timeout=10)
    await asyncio.gather(*(take(limiter, [], str(number)) for number in range(300)))


async def test_scripts_survive_a_flush(server, connect):
    """Goes on when Redis has forgotten the script."""
    limiter = connect()
    async with Redis(port=server.port) as redis:
        await take(limiter, [])
        await redis.script_flush()
        await take(limiter, [])


@pytest.mark.exhaustive
async def test_nothing_is_overdrawn_when_redis_forgets(server, connect):
    """Waits until all that Redis may have forgotten is over, when it lost its data."""
    limiters = [connect() for _ in range(3)]
    sent = []
    async with Redis(port=server.port) as redis:
        await asyncio.gather(*(take(limiter, sent) for limiter in limiters for _ in range(3)))
        await redis.flushall()
        await asyncio.gather(*(take(limiter, sent) for limiter in limiters for _ in range(5)))
    assert fullest_window(sent[::2]) <= 10


@pytest.mark.exhaustive
async def test_calls_fail_clearly_while_redis_is_down(connect, server):
    """Raises `BudgetUnavailableError` and sends nothing while Redis is down, and goes on after."""
    async with Sandbox() as sandbox:
        limiter = connect()
        async with LCPhoneClient("any", base_url=sandbox.url, limiter=limiter) as client:
            await client.number_pools("a")
            server.stop()
            try:
                with pytest.raises(BudgetUnavailableError, match="nothing was sent: Redis: "):
                    await client.number_pools("a")
                assert len(sandbox.requests) == 1
            finally:
                server.start()
            async with asyncio.timeout(30):
                while len(sandbox.requests) == 1:
                    await call_again(client)


async def test_a_limiter_that_is_closed(connect, server):
    """Visits Redis no more, so that its client can be closed, and goes on with the next call."""
    limiter, log = connect(), []
    await take(limiter, log)
    await limiter.close()
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []
    await take(limiter, log)
    assert len(log) == 4


def test_the_end_of_the_loop():
    """Leaves no timer that could begin another visit, of which nobody would hear."""

    class ScriptRunner:
        visits = 0

        async def visit(self, key, arguments):
            self.visits += 1
            await asyncio.Event().wait()

    async def visiting():
        window.began_locally(Granted("slot", 0, is_local=True))
        while not runner.visits:
            await asyncio.sleep(0.01)
        return asyncio.get_running_loop()

    runner = ScriptRunner()
    runner.process = "process"
    window = SharedWindow(runner, "key", Budget(10, 0.04, 0))
    loop = asyncio.run(visiting())
    assert not [timer for timer in loop._scheduled if not timer.cancelled()]


@pytest.mark.exhaustive
def test_one_loop_after_the_other(server, lcphone_sandbox):
    """Takes the same limiter, token store and journal on each of several loops in turn."""
    redis = Redis(port=server.port)
    limiter, journal = RedisRateLimiter(redis, 10, 0.05), RedisPurchaseJournal(redis)
    store = RedisTokenStore(redis, "a")
    source = OAuthTokens(client_id="id", client_secret="secret", refresh_token="r", store=store)
    options = {"base_url": lcphone_sandbox.url, "limiter": limiter, "journal": journal}

    async def hold():
        async with store.lock():
            await store.load()

    async def use(number):
        async with redis, asyncio.timeout(20):
            async with LCPhoneClient(source, **options) as client:
                await asyncio.gather(*(client.number_pools("a") for _ in range(4)))
                assert (await client.purchase("a", number)).number == number
            await asyncio.gather(*(hold() for _ in range(3)))
            await limiter.close()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    for last in (0, 2):
        asyncio.run(use(f"+1830555123{last}"))


class Answering(ScriptRunner):
    """A way to a Redis that has room, or that does not answer."""

    answers = False

    async def visit(self, key, arguments):
        if not self.answers:
            await asyncio.Event().wait()
        return arguments[3], 0.0, False, (0, 0.0)


def test_what_a_loop_left_undone():
    """Goes on where the last loop ended with a call in line, and a visit that nobody ended."""
    runner = Answering(Redis(), 1, has_local_share=False)
    window = SharedWindow(runner, "key", Budget(10, 0.04, 0))

    async def in_line():
        waiting = asyncio.create_task(window.acquire(bulk=False))
        await asyncio.sleep(0.01)
        return waiting, window._sync_task

    async def served():
        async with asyncio.timeout(30):
            await window.acquire(bulk=False)
        await window.stop_sync()

    loop = asyncio.new_event_loop()
    left = loop.run_until_complete(in_line())
    loop.close()
    runner.answers = True
    asyncio.run(served())
    for task in left:
        task._log_destroy_pending = False


async def test_on_two_loops_at_once(connect):
    """Says that the limiter is in use on another loop, and loses nobody who waits there."""
    limiter, log = connect(1), []
    await take(limiter, log)
    waiting = asyncio.create_task(take(limiter, log))
    await asyncio.sleep(0.01)

    async def elsewhere():
        async with asyncio.timeout(30):
            await take(limiter, [])

    with pytest.raises(BudgetUnavailableError, match="in use on another event loop"):
        await asyncio.to_thread(asyncio.run, elsewhere())
    await waiting


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_connections_of_a_loop_that_ended(server):
    """Says what to do where the client of redis-py was not closed before its loop ended."""
    limiter = RedisRateLimiter(Redis(port=server.port), 10, 0.1)

    async def use():
        async with asyncio.timeout(30):
            async with limiter.slot("a"):
                pass
        await limiter.close()

    asyncio.run(use())
    with pytest.raises(BudgetUnavailableError, match="close its client before an event loop ends"):
        asyncio.run(use())
    limiter._registry = None
    gc.collect()  # what is unclosed is told of here


async def call_again(client):
    try:
        await client.number_pools("a")
    except BudgetUnavailableError:
        await asyncio.sleep(0.1)


@pytest.mark.exhaustive
async def test_the_local_share_takes_over_while_redis_is_down(connect, server):
    """Goes on with the local share, and no more than that, until Redis is back."""
    limiter = connect(10, local_share=RateLimiter(3, PERIOD))
    sent = []
    await take(limiter, sent)
    server.stop()
    try:
        await asyncio.gather(*(take(limiter, sent) for _ in range(9)))
    finally:
        server.start()
    assert fullest_window(sent[2::2]) <= 3
    await asyncio.sleep(1)  # for as long Redis is left alone
    async with asyncio.timeout(30):
        await asyncio.gather(*(take(limiter, sent) for _ in range(10)))
    assert fullest_window(sent[::2]) <= 10


async def test_a_slow_redis_counts_as_down(connect, server):
    """Raises `BudgetUnavailableError` when Redis does not answer within the timeout."""
    limiter = connect(timeout=0.05)
    await take(limiter, [])
    async with Redis(port=server.port) as redis:
        await redis.client_pause(500)
        with pytest.raises(BudgetUnavailableError, match="no answer within"):
            await take(limiter, [])


@pytest.mark.sample(1)
@pytest.mark.parametrize("left", [0, 5])
async def test_bulk_calls_held_back_ask_again(connect, monkeypatch, left):
    """Lets one bulk call a while through, whatever answers without the header come meanwhile."""
    limiter = connect(daily_reserve=5)
    monkeypatch.setattr("lcphone_async.limiter.budget._ASK_AGAIN", 0.2)
    async with limiter.slot("a") as slot, limiter.slot("a") as other:
        slot.learn(RateLimitStatus(daily_limit=10, daily_remaining=left))
        with bulk(), pytest.raises(DailyQuotaExhaustedError):
            await take(limiter, [])
        await asyncio.sleep(0.2)
        other.learn(RateLimitStatus())
        with bulk():
            await take(limiter, [])
            with pytest.raises(DailyQuotaExhaustedError):
                await take(limiter, [])


async def test_a_spent_day_is_told_at_once(connect):
    """Raises `DailyQuotaExhaustedError` without a visit, as the limiter in process does."""
    limiter = connect()
    async with limiter.slot("a") as slot:
        slot.learn(RateLimitStatus(daily_limit=10, daily_remaining=0))
    assert limiter.status("a").daily_remaining == 0
    with pytest.raises(DailyQuotaExhaustedError):
        await take(limiter, [])


async def test_a_call_goes_before_bulk_calls(connect):
    """Serves a single call before the bulk calls that waited longer."""
    limiter, order = connect(1, 0.05), []

    async def one(name):
        async with limiter.slot("a"):
            order.append(name)

    with bulk():
        tasks = [asyncio.create_task(one("bulk")) for _ in range(5)]
    await asyncio.sleep(0.01)
    await one("search")
    await asyncio.gather(*tasks)
    assert order.index("search") <= 2


async def learn(limiter, max_requests, period, log=None):
    """One request whose answer tells a limit; logs when it was sent."""
    async with limiter.slot("a") as slot:
        if log is not None:
            log.append(clock())
        slot.learn(RateLimitStatus(max_requests=max_requests, period=period))


@pytest.mark.sample(1)
@pytest.mark.parametrize("max_requests", [3, 200])
async def test_all_processes_share_what_one_was_told(connect, max_requests):
    """Follows the service's limit in each process, once an answer told one of them."""
    first, *others = (connect(None, None) for _ in range(4))
    sent = []
    await learn(first, max_requests, 0.9, sent)
    assert (first.max_requests, first.period) == (max_requests, 0.9)
    await take(first, [])  # Redis hears of it
    calls = (
        learn(limiter, max_requests, 0.9, sent)
        for limiter in others
        for _ in range(2 * max_requests)
    )
    with suppress(TimeoutError):
        async with asyncio.timeout(3):
            await asyncio.gather(*calls)
    assert fullest_window(sent, 0.9) <= max_requests
    assert fullest_window(sent, 0.9) > 100 or max_requests < 100


@pytest.mark.exhaustive
async def test_a_laxer_limit_holds_once_no_process_was_told_a_stricter_one(connect):
    """Keeps to the strictest limit of the last period, of whichever process."""
    one, other, sent = connect(None, None), connect(None, None), []
    start = clock()
    await learn(one, 4, 0.5)
    await take(one, [])  # Redis hears of it
    async with asyncio.timeout(20):
        while len(sent) < 60:
            await learn(other, 50, 0.5, sent)
    assert sum(time < start + 0.5 for time in sent) <= 2
    assert other.max_requests == 50


@pytest.mark.exhaustive
async def test_a_ceiling_is_never_passed(connect):
    """Takes no more than what was given, whatever the service allows."""
    limiter, sent = connect(4, 0.4), []
    async with asyncio.timeout(20):
        for _ in range(3):
            await asyncio.gather(*(learn(limiter, 100, 0.1, sent) for _ in range(4)))
    assert fullest_window(sent) <= 4
    assert (limiter.max_requests, limiter.period) == (4, 0.4)


@pytest.mark.parametrize(
    "wrong", [{"max_requests": 0}, {"period": 0}, {"daily_reserve": -1}], ids=str
)
def test_refuses_a_budget_of_nothing(connect, wrong):
    """Raises `ValueError`, as the limiter in process does."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        connect(**wrong)


async def test_a_journal_for_many_machines(server):
    """Lets one of two machines buy, keeps what became of it, and settles what is open."""
    async with (
        Sandbox() as sandbox,
        Redis(port=server.port) as one,
        Redis(port=server.port) as other,
        client_with(sandbox, RedisPurchaseJournal(one)) as first,
        client_with(sandbox, RedisPurchaseJournal(other)) as second,
    ):
        await one.flushall()
        sandbox.faults.append(Fault(operation="purchase", point="after", damage="stall"))
        buying = asyncio.create_task(first.purchase("a", NUMBER))
        while not sandbox.ledger:
            await asyncio.sleep(0.01)
        sandbox.location("a").release(NUMBER)  # as a list that is behind would show it
        with pytest.raises(PurchaseInProgressError):
            await second.purchase("a", NUMBER)
        buying.cancel()
        with pytest.raises(asyncio.CancelledError):
            await buying
        (open_still,) = await second.reconcile()
        assert open_still.state == PurchaseState.UNKNOWN
        sandbox.location("a").add(NUMBER)
        (settled,) = await second.reconcile()
        assert (settled.state, await first.reconcile()) == (PurchaseState.BOUGHT, [])
        assert [record.id for record in await RedisPurchaseJournal(one).records()] == [settled.id]
        assert len(sandbox.ledger) == 1


def client_with(sandbox, journal):
    return LCPhoneClient("any", base_url=sandbox.url, journal=journal)
