"""Purchases cut short at each stage, and what `reconcile` finds out: arrows 15 to 19."""

import asyncio
import contextlib
import subprocess
import sys

import pytest
from attrs import frozen

from lcphone_async import (
    ClientClosedError,
    LCPhoneClient,
    LCPhoneError,
    NumberAlreadyOwnedError,
    PurchaseOutcomeUnknownError,
    RateLimiter,
    RetryPolicy,
)
from lcphone_async.journal import MemoryJournal
from lcphone_async.sandbox import Fault
from support.shop import NUMBER, ONCE, PATIENT, PLACE, HeldJournal, Shop
from support.until import until


@pytest.fixture
async def shop(tmp_path):
    async with Shop(tmp_path / "purchases.db") as shop:
        yield shop


@frozen
class Stage:
    """A moment of a purchase at which it is held up."""

    name: str
    faults: tuple[Fault, ...] = ()
    """The last of them holds it up."""
    hold: str | None = None
    """Or the journal does."""
    in_line: bool = False
    """Or the limiter."""
    sent: bool = False
    """Whether the service has got the POST."""
    acts: bool = False
    """Whether it acts on it, now or later."""

    def __str__(self):
        return self.name


RESET = Fault(operation="purchase", damage="reset")
ACTED_RESET = Fault(operation="purchase", point="after", damage="reset")
STALLED_LIST = Fault(operation="active", nth=2, damage="stall")

STAGES = [
    Stage("looking up", (Fault(operation="active", damage="stall"),)),
    Stage("intending", hold="begin"),
    Stage("in line", in_line=True),
    Stage("sent", (Fault(operation="purchase", damage="stall"),), sent=True),
    Stage("sent, acts late", (Fault(operation="purchase", delay=0.5),), sent=True, acts=True),
    Stage(
        "sent, acted",
        (Fault(operation="purchase", point="after", damage="stall"),),
        sent=True,
        acts=True,
    ),
    Stage(
        "sent, answers late",
        (Fault(operation="purchase", point="after", delay=0.5),),
        sent=True,
        acts=True,
    ),
    Stage("reading back", (RESET, STALLED_LIST), sent=True),
    Stage("reading back, acted", (ACTED_RESET, STALLED_LIST), sent=True, acts=True),
    Stage(
        "reading back, acted and 503",
        (Fault(operation="purchase", point="after", status=503), STALLED_LIST),
        sent=True,
        acts=True,
    ),
    Stage("ending", hold="replace", sent=True, acts=True),
]

each_stage = pytest.mark.parametrize("stage", STAGES, ids=str)
each_stage_without_a_file = pytest.mark.parametrize(
    "stage", [stage for stage in STAGES if not stage.hold], ids=str
)


class Line(RateLimiter):
    """A limiter in whose line every second request waits, and which counts them."""

    asked = 0

    def __init__(self, period):
        super().__init__(1, period)

    def slot(self, key, **options):
        self.asked += 1
        return super().slot(key, **options)


@contextlib.asynccontextmanager
async def held_up(shop, client, stage):
    """A task that buys the number, and has come to a stage."""
    shop.fails(*stage.faults)
    shop.journal.hold = stage.hold
    buying = asyncio.create_task(client.purchase(PLACE, NUMBER))
    if stage.hold:
        await until(shop.journal.reached.is_set)
    elif stage.in_line:
        await until(lambda: client._calls._limiter.asked == 2)
    else:
        await shop.struck(stage.faults[-1])
    yield buying
    shop.journal.go_on.set()
    await asyncio.wait([buying])


def client_for(shop, stage, **options):
    """A client whose second request waits for long, where the stage is in the limiter's line."""
    limiter = Line(3600) if stage.in_line else None
    return shop.client(**{"retry": PATIENT, "limiter": limiter, **options})


async def finds_out(shop, stage, client):
    """Fails unless `settle` tells what the ledger says, and the number may be bought after that."""
    shop.fails()
    settled = await client.reconcile(min_age=3600)
    if not stage.sent:
        assert settled == []
    elif not stage.acts:
        assert [record.state for record in settled] == ["unknown"]
        assert [record.state for record in await client.reconcile(min_age=0)] == ["not bought"]
    else:
        await until(lambda: shop.paid)
        settled = [record for record in settled if not record.is_open] or await client.reconcile()
        assert [record.state for record in settled] == ["bought"]
    assert await client.reconcile() == []
    assert shop.paid == ([NUMBER] if stage.acts else [])
    if stage.acts:
        with pytest.raises(NumberAlreadyOwnedError):
            await shop.client().purchase(PLACE, NUMBER)
    else:
        await shop.client().purchase(PLACE, NUMBER)
    assert shop.paid == [NUMBER]


@each_stage
async def test_15_cancelled(shop, stage):
    """Whoever cancels a purchase at any stage can find out what became of it."""
    client = client_for(shop, stage)
    async with held_up(shop, client, stage) as buying:
        buying.cancel()
    assert buying.cancelled()
    await finds_out(shop, stage, client)


@pytest.mark.sample(4)
@pytest.mark.parametrize("stage", [each for each in STAGES if each.sent and not each.hold], ids=str)
async def test_15_cancelled_while_the_journal_stands_still(shop, stage, monkeypatch, caplog):
    """Whoever cancels is not held up by the journal, and finds out nevertheless."""
    monkeypatch.setattr("lcphone_async._purchases.intention._LAST_WORD", 0.05)
    client = client_for(shop, stage)
    async with held_up(shop, client, stage) as buying:
        shop.journal.hold = "replace"
        buying.cancel()
        async with asyncio.timeout(30):
            await asyncio.wait([buying])
    assert buying.cancelled()
    assert "is left open in the journal" in caplog.text
    assert NUMBER not in caplog.text
    await finds_out(shop, stage, client)


@pytest.mark.exhaustive
async def test_15_cancelled_while_the_journal_stands_still_before_it_was_sent(shop, monkeypatch):
    """What the journal begins after its caller was cancelled is open, and is given up in time."""
    monkeypatch.setattr("lcphone_async._purchases.intention._LAST_WORD", 0.05)
    client = shop.client()
    async with held_up(shop, client, Stage("intending", hold="begin")) as buying:
        buying.cancel()
        async with asyncio.timeout(30):
            await asyncio.wait([buying])
    assert buying.cancelled()
    assert [record.state for record in await client.reconcile(min_age=0)] == ["not bought"]
    assert (shop.posts, await client.reconcile()) == (0, [])


async def test_15_cancelled_while_bought_is_written(shop, monkeypatch):
    """Whoever cancels then waits for the journal: it must not say what nobody is told."""
    monkeypatch.setattr("lcphone_async._purchases.intention._LAST_WORD", 0.01)
    client = shop.client()
    async with held_up(shop, client, Stage("ending", hold="replace")) as buying:
        buying.cancel()
        await asyncio.sleep(0.1)
        assert not buying.done()
    assert buying.cancelled()
    assert [record.state for record in await client.reconcile()] == ["bought"]


async def test_15_the_loop_ends_while_bought_is_written(shop):
    """Opens the purchase again also where all tasks are cancelled at once, as at a loop's end."""
    async with held_up(shop, shop.client(), Stage("ending", hold="replace")) as buying:
        buying.cancel()
        await asyncio.sleep(0.05)
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()  # those of the sandbox's connections, too
        await asyncio.sleep(0.05)
    assert buying.cancelled()
    assert [record.state for record in await shop.client().reconcile()] == ["bought"]


@each_stage_without_a_file
async def test_15_cancelled_without_a_journal(shop, stage):
    """So can whoever keeps no journal, of the same client."""
    client = client_for(shop, stage, journal=None)
    async with held_up(shop, client, stage) as buying:
        buying.cancel()
    assert buying.cancelled()
    await finds_out(shop, stage, client)


@pytest.mark.sample(7)
@each_stage
async def test_15_out_of_time(shop, stage):
    """A timeout of the caller's own is a cancellation."""
    client = client_for(shop, stage)
    async with held_up(shop, client, stage) as buying:
        asyncio.get_running_loop().call_later(0.05, shop.journal.go_on.set)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(buying, 0.01)
    await finds_out(shop, stage, client)


@each_stage
async def test_15_closed(shop, stage):
    """Closing the client at any stage ends the purchase, and another client finds out."""
    for_hours = RetryPolicy(max_tries=1, confirm_timeout=36_000)
    client = client_for(shop, stage, retry=for_hours)
    async with held_up(shop, client, stage) as buying:
        await client.close()
    if stage.hold == "replace":
        assert (await buying).confirmed_by == "answer"
        assert (shop.paid, await shop.states()) == ([NUMBER], ["bought"])
        return
    expected = PurchaseOutcomeUnknownError if stage.sent else ClientClosedError
    assert type(buying.exception()) is expected
    await finds_out(shop, stage, shop.client())


async def test_15_closed_before(shop):
    """A client that is closed sends and keeps nothing."""
    client = shop.client()
    await client.close()
    with pytest.raises(ClientClosedError):
        await client.purchase(PLACE, NUMBER)
    assert (shop.sandbox.requests, await shop.states()) == ([], [])


@pytest.mark.sample(2)
@each_stage_without_a_file
async def test_15_cancelled_with_another_waiting(shop, stage):
    """Another task of the same purchase buys it if nothing was sent, else is told to settle."""
    client = shop.client(retry=PATIENT, limiter=Line(1) if stage.in_line else None)
    async with held_up(shop, client, stage) as buying:
        other = asyncio.create_task(client.purchase(PLACE, NUMBER))
        await asyncio.sleep(0)
        buying.cancel()
        shop.fails()
        with contextlib.suppress(LCPhoneError):
            await other
    assert buying.cancelled()
    if stage.sent:
        assert isinstance(other.exception(), PurchaseOutcomeUnknownError)
        await finds_out(shop, stage, client)
    else:
        assert other.result().number == NUMBER
        assert (shop.paid, shop.posts) == ([NUMBER], 1)


async def test_15_cancelled_while_another_buys(shop):
    """Whoever only waited for another task's purchase may leave it, and it goes on."""
    on_its_way = Fault(operation="purchase", delay=0.1)
    shop.fails(on_its_way)
    client = shop.client()
    buying, other = (asyncio.create_task(client.purchase(PLACE, NUMBER)) for _ in range(2))
    await shop.struck(on_its_way)
    other.cancel()
    assert (await buying).confirmed_by == "answer"
    assert other.cancelled()
    assert (shop.paid, shop.posts, await shop.states()) == ([NUMBER], 1, ["bought"])


PROGRAM = """
import asyncio, sys
from lcphone_async import LCPhoneClient, PurchaseJournal

async def main(url, path, place, number):
    async with LCPhoneClient("token", base_url=url, journal=PurchaseJournal(path)) as client:
        await client.purchase(place, number, fingerprint_id="f1")

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.sample(1)
@pytest.mark.parametrize(
    "stage", [stage for stage in STAGES if stage.sent and not stage.hold], ids=str
)
async def test_16_killed(shop, stage):
    """What a process was buying when it was killed is in the file, and another settles it."""
    shop.fails(*stage.faults)
    arguments = (shop.sandbox.url, str(shop.path), PLACE, NUMBER)
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", PROGRAM, *arguments)
    await shop.struck(stage.faults[-1])
    process.kill()
    assert await process.wait() == -9
    (record,) = await shop.journal.records()
    assert (record.state, record.fingerprint_id) == ("sending", "f1")
    await finds_out(shop, stage, shop.client())


@pytest.mark.exhaustive
async def test_16_killed_before_it_was_sent(shop):
    """A process that was killed in its look-up leaves nothing behind."""
    stage = STAGES[0]
    shop.fails(*stage.faults)
    arguments = (shop.sandbox.url, str(shop.path), PLACE, NUMBER)
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", PROGRAM, *arguments)
    await shop.struck(stage.faults[-1])
    process.kill()
    await process.wait()
    assert await shop.states() == []
    await finds_out(shop, stage, shop.client())


# Settling


async def left_unknown(shop, *, acted, place=PLACE, client=None):
    """A purchase whose outcome is unknown: its answer was lost, and the list could not be read."""
    shop.fails(
        ACTED_RESET if acted else RESET,
        *(Fault(operation="active", nth=nth, status=503) for nth in range(2, 30)),
    )
    with pytest.raises(PurchaseOutcomeUnknownError):
        await (client or shop.client()).purchase(place, NUMBER)
    shop.fails()


async def test_17_listed(shop):
    """A purchase whose number is in the list is bought, and is told once."""
    await left_unknown(shop, acted=True)
    client = shop.client()
    (record,) = await client.reconcile()
    assert (record.state, record.is_open) == ("bought", False)
    assert (record.location_id, record.phone_number) == (PLACE, NUMBER)
    assert await shop.states() == ["bought"]
    assert await client.reconcile() == []


async def test_17_listed_of_another_journal(shop, tmp_path):
    """Any client can settle any journal, such as the file of a program that is gone."""
    await left_unknown(shop, acted=True)
    with contextlib.closing(HeldJournal(tmp_path / "another.db")) as own:
        client = shop.client(journal=own)
        assert await client.reconcile() == []
        assert [record.state for record in await client.reconcile(shop.journal)] == ["bought"]


async def test_18_not_listed_and_old(shop):
    """A purchase that is older than `min_age` and not in the list was not made."""
    await left_unknown(shop, acted=False)
    (record,) = await shop.client().reconcile(min_age=0)
    assert (record.state, record.reason) == ("not bought", "it is not in the list")
    assert await shop.states() == ["not bought"]


async def test_19_not_listed_and_young(shop):
    """A purchase that is not in the list yet stays open, with its reason, until it is late."""
    await left_unknown(shop, acted=False)
    (before,) = await shop.journal.records()
    (record,) = await shop.client().reconcile()
    assert (record.state, record.reason) == ("unknown", before.reason)
    assert await shop.states() == ["unknown"]


async def test_19_unreadable(shop):
    """A location whose list cannot be read stays open, however old, and stops no other."""
    await left_unknown(shop, acted=True)
    await left_unknown(shop, acted=False, place="loc2")
    shop.fails(Fault(operation="active", location=PLACE, status=401))
    first, second = await shop.client().reconcile(min_age=0)
    assert (first.location_id, first.is_open) == (PLACE, True)
    assert "401" in first.reason
    assert (second.location_id, second.state) == ("loc2", "not bought")
    assert await shop.states() == ["unknown", "not bought"]


@pytest.mark.parametrize("kept_in", ["file", "memory"])
async def test_a_purchase_under_way_is_not_settled(shop, kept_in):
    """A client leaves alone what it is making itself, however late it may be."""
    on_its_way = Fault(operation="purchase", delay=0.3)
    shop.fails(on_its_way)
    client = shop.client(**({} if kept_in == "file" else {"journal": None}))
    buying = asyncio.create_task(client.purchase(PLACE, NUMBER))
    await shop.struck(on_its_way)
    assert await client.reconcile(min_age=0) == []
    assert (await buying).confirmed_by == "answer"
    assert await client.reconcile() == []


@pytest.mark.sample(1)
@pytest.mark.parametrize("min_age", [3600, 0])
@pytest.mark.parametrize("kept_in", ["file", "memory"])
async def test_a_purchase_of_a_living_process_is_left_alone(shop, min_age, kept_in):
    """While its maker lives, a purchase is told to its caller and to no `reconcile`."""
    on_its_way = Fault(operation="purchase", delay=1.5)
    shop.fails(on_its_way)
    journal = MemoryJournal() if kept_in == "memory" else shop.journal
    other = journal if kept_in == "memory" else shop.journal_of_another()
    buying = asyncio.create_task(shop.client(journal=journal).purchase(PLACE, NUMBER))
    await shop.struck(on_its_way)
    assert await shop.client(journal=other).reconcile(min_age=min_age) == []
    assert not buying.done()
    assert (await buying).confirmed_by == "answer"
    assert await shop.client(journal=other).reconcile(min_age=min_age) == []
    assert [record.state for record in await journal.records()] == ["bought"]


@pytest.mark.exhaustive
async def test_a_look_that_was_too_early(shop, stalled):
    """A look before the service acted changes nothing that became known meanwhile."""
    on_its_way = Fault(operation="purchase", delay=1)
    slow_list = Fault(operation="active", point="after", delay=1)
    shop.fails(on_its_way)
    buying = asyncio.create_task(shop.client().purchase(PLACE, NUMBER))
    await shop.struck(on_its_way)
    shop.sandbox.faults.append(slow_list)
    reconciling = asyncio.create_task(shop.client().reconcile(min_age=0))
    await shop.struck(slow_list)
    await buying
    assert await reconciling == []
    assert await shop.states() == ["bought"]


@pytest.mark.sample(1)
@pytest.mark.parametrize("min_age", [3600, 0])
async def test_a_maker_that_stood_still(shop, stalled, min_age):
    """A purchase that `reconcile` has told as bought is not returned to its caller as well."""
    on_its_way = Fault(operation="purchase", point="after", delay=2)
    shop.fails(on_its_way)
    buying = asyncio.create_task(shop.client().purchase(PLACE, NUMBER))
    await shop.struck(on_its_way)
    (record,) = await shop.client().reconcile(min_age=min_age)
    assert record.state == "bought"
    with pytest.raises(PurchaseOutcomeUnknownError, match="a reconcile has told"):
        await buying
    assert await shop.states() == ["bought"]
    assert await shop.client().reconcile() == []


@pytest.mark.exhaustive
async def test_a_maker_that_was_given_up(shop, stalled):
    """What a `reconcile` gave up and the service sold all the same is told to the caller."""
    on_its_way = Fault(operation="purchase", delay=1.5)
    shop.fails(on_its_way)
    buying = asyncio.create_task(shop.client().purchase(PLACE, NUMBER))
    await shop.struck(on_its_way)
    assert [record.state for record in await shop.client().reconcile(min_age=0)] == ["not bought"]
    assert (await buying).confirmed_by == "answer"
    assert await shop.states() == ["bought"]


@pytest.mark.exhaustive
async def test_workers_that_start_together_tell_once(shop):
    """Of three processes that start after a kill, one tells of the purchase."""
    shop.fails(STAGES[5].faults[0])
    arguments = (shop.sandbox.url, str(shop.path), PLACE, NUMBER)
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", PROGRAM, *arguments)
    await shop.struck(STAGES[5].faults[0])
    process.kill()
    await process.wait()
    shop.fails()
    workers = [shop.client(journal=shop.journal_of_another()) for _ in range(3)]
    told = await asyncio.gather(*(worker.reconcile() for worker in workers))
    assert [record.state for records in told for record in records] == ["bought"]


@pytest.mark.exhaustive
async def test_an_order_that_is_killed_is_told(shop):
    """What an order had bought before its process was killed is told by `reconcile`, once."""
    slow = Fault(operation="purchase", nth=3, delay=60)
    shop.fails(slow)
    arguments = (shop.sandbox.url, str(shop.path), PLACE)
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", ORDER, *arguments)
    await shop.struck(slow)
    living = await shop.client().reconcile()
    process.kill()
    await process.wait()
    shop.fails()
    assert living == []
    assert await shop.states() == ["bought", "bought", "sending"]
    told = await shop.client().reconcile()
    assert [record.state for record in told] == ["bought", "bought", "unknown"]
    assert {record.phone_number for record in told[:2]} == set(shop.paid)
    assert [record.state for record in await shop.client().reconcile(min_age=0)] == ["not bought"]


ORDER = """
import asyncio, sys
from lcphone_async import LCPhoneClient, PurchaseJournal
from lcphone_async._purchases import intention

intention.RENEWAL = 0.1

async def main(url, path, place):
    async with LCPhoneClient("token", base_url=url, journal=PurchaseJournal(path)) as client:
        found = await client.search_available(place, "US")
        await client.purchase_many(place, [found], count=3)

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.exhaustive
async def test_18_not_while_it_is_sent_again(shop):
    """A purchase that waits to be sent again has a living maker, and is not given up."""
    shop.fails(Fault(operation="purchase", status=429, retry_after=1, times=1))
    client = shop.client(retry=RetryPolicy(max_tries=3), limiter=RateLimiter(100, 0.1))
    buying = asyncio.create_task(client.purchase(PLACE, NUMBER))
    await until(lambda: shop.posts == 1)
    other = shop.client(journal=shop.journal_of_another())
    assert await other.reconcile(min_age=0) == []
    await buying
    assert shop.paid == [NUMBER]


@pytest.mark.exhaustive
async def test_19_a_slow_look(shop):
    """The age of a purchase is that at which the list was asked, however late it answers."""
    await left_unknown(shop, acted=False)
    shop.fails(Fault(operation="active", delay=1.5))
    assert [record.state for record in await shop.client().reconcile(min_age=1)] == ["unknown"]


async def test_18_of_a_clock_that_was_ahead(shop):
    """With `min_age=0` a purchase is given up whatever the clock said when it was sent."""
    await left_unknown(shop, acted=False)
    ahead = "UPDATE purchases SET sent_at = '2999-01-01T00:00:00+00:00'"
    await shop.journal._run(shop.journal._database.execute, ahead)
    assert [record.state for record in await shop.client().reconcile()] == ["unknown"]
    assert [record.state for record in await shop.client().reconcile(min_age=0)] == ["not bought"]


async def test_19_no_token(shop):
    """A location for which there is no token stays open, and stops no other."""

    async def tokens(location_id):
        return {"loc2": "token"}[location_id]

    await left_unknown(shop, acted=True)
    await left_unknown(shop, acted=False, place="loc2")
    async with LCPhoneClient(tokens, base_url=shop.sandbox.url) as client:
        settled = await client.reconcile(shop.journal, min_age=0)
    assert [record.state for record in settled] == ["unknown", "not bought"]


async def test_15_cancelled_twice(shop):
    """Whoever is cancelled again while that is written down can find out nevertheless."""
    shop.journal.hold = "replace"
    buying = asyncio.create_task(shop.client().purchase(PLACE, NUMBER))
    await until(shop.journal.reached.is_set)
    for _ in range(3):
        buying.cancel()
        await asyncio.sleep(0.01)
    shop.journal.go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await buying
    assert [record.state for record in await shop.client().reconcile()] == ["bought"]


async def cancelled_until_it_ends(task):
    """What a rude caller does."""
    while not task.done():
        task.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_settle_cancelled_again_and_again(shop):
    """Leaves each purchase that nobody was told of to the next one, not only the first."""
    client = shop.client()
    await an_order_left(shop, client)
    shop.journal.hold = "replace"
    settling = asyncio.create_task(client.reconcile())
    await until(shop.journal.reached.is_set)
    shop.journal.go_on.set()
    await cancelled_until_it_ends(settling)
    assert [record.state for record in await client.reconcile()] == ["bought", "bought", "unknown"]


async def test_an_order_cancelled_again_and_again(shop):
    """Leaves each of its purchases to be told by `settle`, not only the first."""
    await an_order_left(shop, shop.client())
    settled = await shop.client().reconcile()
    assert [record.state for record in settled] == ["bought", "bought", "unknown"]


async def an_order_left(shop, client):
    """An order that is cancelled when it has bought two numbers and sent for a third."""
    found = await client.search_available(PLACE, "US")
    slow = Fault(operation="purchase", nth=3, delay=60)
    shop.fails(slow)
    buying = asyncio.create_task(client.purchase_many(PLACE, [found], count=3))
    await shop.struck(slow)
    await cancelled_until_it_ends(buying)
    shop.fails()


class Forgetful(RateLimiter):
    """A limiter that fails once its requests are answered."""

    @contextlib.asynccontextmanager
    async def slot(self, key, **options):
        async with super().slot(key, **options) as slot:
            yield slot
        if self.fails:
            raise ConnectionError("the store is gone")

    fails = False


async def test_a_limiter_that_fails_after_the_answer(shop):
    """A purchase stays open where something else fails before the caller has its answer."""
    limiter = Forgetful()
    client = shop.client(limiter=limiter)
    slow = Fault(operation="purchase", delay=0.2)
    shop.fails(slow)
    buying = asyncio.create_task(client.purchase(PLACE, NUMBER))
    await shop.struck(slow)
    limiter.fails = True
    with pytest.raises(ConnectionError):
        await buying
    assert await shop.states() == ["unknown"]
    limiter.fails = False
    assert [record.state for record in await client.reconcile()] == ["bought"]


async def test_a_settle_in_memory_that_looked_too_early(shop):
    """In memory, too, a purchase that ended meanwhile is not opened again."""
    journal = MemoryJournal()
    await left_unknown(shop, acted=True, client=shop.client(journal=journal))
    slow_list = Fault(operation="active", delay=0.3)
    shop.fails(slow_list)
    one, other = (shop.client(journal=journal, retry=ONCE) for _ in range(2))
    settling = asyncio.create_task(one.reconcile())
    await shop.struck(slow_list)
    shop.fails()
    assert [record.state for record in await other.reconcile()] == ["bought"]
    shop.sandbox.location(PLACE).release(NUMBER)
    assert await settling == []
    assert [record.state for record in await journal.records()] == ["bought"]


@pytest.mark.exhaustive
def test_many_processes_make_the_same_file(tmp_path):
    """Processes that start together may share a journal that is not there yet."""
    program = (
        "import sys; from lcphone_async import PurchaseJournal;"
        "print(flush=True); sys.stdin.readline(); PurchaseJournal(sys.argv[1]).close()"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "new.db")]
    pipe = subprocess.PIPE
    processes = [subprocess.Popen(command, stdin=pipe, stdout=pipe) for _ in range(6)]
    for process in processes:
        process.stdout.readline()
    for process in processes:
        process.stdin.write(b"\n")
        process.stdin.flush()
    for process in processes:
        process.communicate()
    assert [process.returncode for process in processes] == [0] * 6
