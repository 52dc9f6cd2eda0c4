"""The arrows of `docs/purchases.md` up to the answer, and every fault of a purchase.

The number of a test's name is that of its arrow. Arrows 15 to 19 are in `test_interrupted.py`.
"""

import asyncio
import contextlib
from datetime import UTC, datetime
from decimal import Decimal
from typing import get_args

import aiohttp
import pytest
from attrs import evolve

from lcphone_async import (
    APIError,
    AvailableNumber,
    BadRequestError,
    ConnectFailedError,
    JournalUnavailableError,
    LCPhoneClient,
    LCPhoneError,
    NotFoundError,
    NumberAlreadyOwnedError,
    NumberUnavailableError,
    PermissionDeniedError,
    Price,
    PriceTooHighError,
    PurchaseInProgressError,
    PurchaseOutcomeUnknownError,
    RateLimitedError,
    RateLimiter,
    RequestTimeoutError,
    RetryPolicy,
    ServerError,
    TransportError,
    UnprocessableError,
)
from lcphone_async.sandbox import Fault, Sandbox
from lcphone_async.sandbox.faulty.rules import Damage
from support.raw_server import RawServer, http, http_json
from support.shop import NUMBER, ONCE, PATIENT, PLACE, HeldJournal, Shop
from support.until import until

READABLE = ("oversized", "wrong-type", "duplicate-headers")
DAMAGES = [damage for damage in get_args(Damage) if damage not in {*READABLE, "reset-after"}]
TIMEOUT = 1.0  # seconds; a busy machine needs some for one request


@pytest.fixture
async def shop(tmp_path):
    async with Shop(tmp_path / "purchases.db") as shop:
        yield shop


# Looking up


@pytest.mark.parametrize("contract", ["v3", "2021-07-28"])
async def test_1_owned(shop, contract):
    """A number that the location has is not bought again."""
    shop.sandbox.location(PLACE).add(NUMBER)
    with pytest.raises(NumberAlreadyOwnedError):
        await shop.client(api_version=contract).purchase(PLACE, NUMBER)
    assert (shop.paid, shop.posts, await shop.states()) == ([], 0, [])


async def test_1_owned_in_a_pool(shop):
    """A number in a pool is owned too, though the service leaves it out of its usual list."""
    location = shop.sandbox.location(PLACE)
    pooled = location.pool_numbers(location.pools[0])[0].phone_number
    with pytest.raises(NumberAlreadyOwnedError):
        await shop.client().purchase(PLACE, pooled)
    assert (shop.posts, await shop.states()) == (0, [])


async def test_1_owned_by_another_location(shop):
    """What another location has does not count; the service itself says that it is gone."""
    client = shop.client()
    await client.purchase("loc2", NUMBER)
    with pytest.raises(NumberUnavailableError):
        await client.purchase(PLACE, NUMBER)
    assert shop.paid == [NUMBER]
    assert await shop.states() == ["bought", "refused"]


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault(operation="active", status=429), RateLimitedError),
        (Fault(operation="active", damage="reset"), TransportError),
        (Fault(operation="active", damage="hang-up"), TransportError),
        (Fault(operation="active", damage="stall"), RequestTimeoutError),
    ],
    ids=lambda value: str(getattr(value, "damage", "")),
)
async def test_2_no_answer_to_the_look_up(shop, fault, error):
    """Where nobody answers the look-up, nothing is sent and nothing is kept."""
    shop.fails(fault)
    with pytest.raises(error) as caught:
        await shop.client(timeout=TIMEOUT).purchase(PLACE, NUMBER)
    assert getattr(caught.value, "method", "GET") == "GET"
    assert (shop.paid, shop.posts, await shop.states()) == ([], 0, [])


UNREADABLE = [
    *({"status": status} for status in (400, 401, 403, 404, 422, 500, 502, 503, 504)),
    {"damage": "html", "status": 200},
    {"damage": "corrupted", "status": 200},
    {"status": 200, "body": {"numbers": "many"}},
]


@pytest.mark.parametrize("what", UNREADABLE, ids=str)
async def test_4_unreadable(shop, what):
    """A list that cannot be read does not keep a number from being bought."""
    shop.fails(Fault(operation="active", **what))
    purchase = await shop.client().purchase(PLACE, NUMBER)
    assert (purchase.number, purchase.confirmed_by) == (NUMBER, "answer")
    assert (shop.paid, shop.posts, await shop.states()) == ([NUMBER], 1, ["bought"])


@pytest.mark.parametrize("owned_before", [True, False])
async def test_14_no_proof(shop, owned_before):
    """After an unreadable list a number that is found proves nothing: it may be owned for long."""
    if owned_before:
        shop.sandbox.location(PLACE).add(NUMBER)
    point = "before" if owned_before else "after"
    shop.fails(
        Fault(operation="active", status=503, times=1),
        Fault(operation="purchase", point=point, damage="reset"),
    )
    with pytest.raises(PurchaseOutcomeUnknownError):
        await shop.client(retry=PATIENT).purchase(PLACE, NUMBER)
    assert shop.paid == ([] if owned_before else [NUMBER])
    assert (shop.posts, await shop.states()) == (1, ["unknown"])


# Intending


async def test_5_busy(shop):
    """Of two clients that share a journal file one sends a POST; the other is told of it."""
    on_its_way = Fault(operation="purchase", delay=0.3)
    shop.fails(on_its_way)
    first = asyncio.create_task(shop.client().purchase(PLACE, NUMBER))
    await shop.struck(on_its_way)
    with pytest.raises(PurchaseInProgressError):
        await shop.client(journal=shop.journal_of_another()).purchase(PLACE, NUMBER)
    assert (await first).confirmed_by == "answer"
    assert (shop.paid, shop.posts, await shop.states()) == ([NUMBER], 1, ["bought"])


@pytest.mark.parametrize("kept_in", ["file", "memory"])
async def test_5_busy_until_settled(shop, kept_in):
    """A number whose purchase is open is not bought again before that is settled."""
    client = shop.client(**({} if kept_in == "file" else {"journal": None}))
    shop.fails(Fault(operation="purchase", damage="reset", times=1))
    with pytest.raises(PurchaseOutcomeUnknownError):
        await client.purchase(PLACE, NUMBER)
    with pytest.raises(PurchaseInProgressError):
        await client.purchase(PLACE, NUMBER)
    assert shop.posts == 1
    assert [record.state for record in await client.reconcile(min_age=0)] == ["not bought"]
    await client.purchase(PLACE, NUMBER)
    assert (shop.paid, shop.posts) == ([NUMBER], 2)


async def test_5_busy_with_others(shop):
    """An open purchase keeps nobody from other numbers, nor the number from other locations."""
    client = shop.client()
    shop.fails(Fault(operation="purchase", damage="reset", times=1))
    with pytest.raises(PurchaseOutcomeUnknownError):
        await client.purchase(PLACE, NUMBER)
    another = next(f"+1830555{n}" for n in range(2000, 3000) if is_for_sale(shop, f"+1830555{n}"))
    await client.purchase(PLACE, another)
    await client.purchase("loc2", NUMBER)
    assert shop.paid == [another, NUMBER]


@pytest.mark.exhaustive
async def test_5_busy_though_listed(shop):
    """A purchase of unknown outcome is told to be open also once its number is in the list."""
    client = shop.client(timeout=TIMEOUT)
    shop.fails(Fault(operation="purchase", delay=3 * TIMEOUT))
    with pytest.raises(PurchaseOutcomeUnknownError):
        await client.purchase(PLACE, NUMBER)
    await until(lambda: shop.paid)
    with pytest.raises(PurchaseInProgressError):
        await client.purchase(PLACE, NUMBER)
    with pytest.raises(PurchaseInProgressError):
        await client.purchase(PLACE, NUMBER, dry_run=True)
    assert [record.state for record in await client.reconcile()] == ["bought"]


async def test_6_bought_meanwhile(shop):
    """A number that another client of the journal bought after our look-up is not bought again."""
    late_answer = Fault(operation="active", point="after", delay=0.4, times=1)
    shop.fails(late_answer)
    slow = asyncio.create_task(shop.client().purchase(PLACE, NUMBER))
    await shop.struck(late_answer)
    await shop.client(journal=shop.journal_of_another()).purchase(PLACE, NUMBER)
    with pytest.raises(NumberAlreadyOwnedError):
        await slow
    assert (shop.paid, shop.posts, await shop.states()) == ([NUMBER], 1, ["bought"])


async def test_7_durable(shop):
    """The journal has the purchase, with all that it needs, before the service gets the POST."""
    shop.journal.hold = "begin"
    buying = asyncio.create_task(shop.client().purchase(PLACE, NUMBER, fingerprint_id="f1"))
    await until(shop.journal.reached.is_set)
    assert shop.posts == 0
    on_its_way = Fault(operation="purchase", delay=0.2)
    shop.fails(on_its_way)
    shop.journal.go_on.set()
    await shop.struck(on_its_way)
    (record,) = await shop.journal_of_another().records()
    assert (record.state, record.is_open, record.fingerprint_id) == ("sending", True, "f1")
    assert (record.location_id, record.phone_number) == (PLACE, NUMBER)
    await buying


async def test_6_bought_a_moment_ago(shop):
    """A number that the journal says was just bought is owned, though the list lags behind."""
    client = shop.client()
    await client.purchase(PLACE, NUMBER)
    shop.sandbox.location(PLACE).release(NUMBER)  # as a list that is behind would show it
    with pytest.raises(NumberAlreadyOwnedError):
        await client.purchase(PLACE, NUMBER)
    older = "UPDATE purchases SET id = 'of another process', sent_at = '2026-01-01T00:00:00+00:00'"
    await shop.journal._run(shop.journal._database.execute, older)
    with pytest.raises(NumberUnavailableError):  # the service is asked again
        await client.purchase(PLACE, NUMBER)
    assert shop.paid == [NUMBER]


@pytest.mark.exhaustive
async def test_7_sent_when_there_is_a_slot(shop):
    """A purchase that waits in the limiter's line is not in the journal: none can give it up."""
    client = shop.client(limiter=RateLimiter(1, 1.0))
    buying = asyncio.create_task(client.purchase(PLACE, NUMBER))
    await until(lambda: shop.sandbox.requests)  # the look-up
    assert await shop.client().reconcile(min_age=0) == []
    looked_at = datetime.now(UTC)
    await buying
    (record,) = await shop.journal.records()
    assert record.sent_at > looked_at
    assert shop.paid == [NUMBER]


async def test_7_not_durable(shop):
    """If the journal cannot be written, nothing is sent, and the error says so."""
    shop.journal.hold, shop.journal.error = "begin", OSError("disk full")
    with pytest.raises(JournalUnavailableError, match=r"nothing was sent: disk full"):
        await shop.client().purchase(PLACE, NUMBER)
    assert (shop.posts, shop.paid, await shop.states()) == (0, [], [])


# Sending


async def test_8_again_after_429(shop):
    """After a 429, which says that the service did not act, the POST is sent again."""
    shop.fails(Fault(operation="purchase", status=429, retry_after=0, times=2))
    client = shop.client(retry=RetryPolicy(max_tries=3), limiter=RateLimiter(100, 0.1))
    await client.purchase(PLACE, NUMBER)
    assert (shop.paid, shop.posts, await shop.states()) == ([NUMBER], 3, ["bought"])


@pytest.mark.exhaustive
async def test_8_given_up_between_two_tries(shop, stalled):
    """A purchase that another client's `reconcile` gave up is kept anew before it is sent again."""
    refused = Fault(operation="purchase", status=429, retry_after=1, times=1)
    shop.fails(refused)
    client = shop.client(retry=RetryPolicy(max_tries=3), limiter=RateLimiter(100, 0.1))
    buying = asyncio.create_task(client.purchase(PLACE, NUMBER))
    await until(lambda: shop.posts == 1)
    other = shop.client(journal=shop.journal_of_another())
    assert [record.state for record in await other.reconcile(min_age=0)] == ["not bought"]
    on_its_way = Fault(operation="purchase", delay=0.2)
    shop.fails(on_its_way)
    await shop.struck(on_its_way)
    assert await shop.states() == ["sending"]
    await buying
    assert (shop.paid, await shop.states()) == ([NUMBER], ["bought"])


@pytest.mark.exhaustive
async def test_8_bought_between_two_tries(shop, stalled):
    """A number that another client bought while this one waited to try again is not sent again."""
    shop.fails(Fault(operation="purchase", status=429, retry_after=1, times=1))
    client = shop.client(retry=RetryPolicy(max_tries=3), limiter=RateLimiter(100, 0.1))
    buying = asyncio.create_task(client.purchase(PLACE, NUMBER))
    await until(lambda: shop.posts == 1)
    other = shop.client(journal=shop.journal_of_another())
    await other.reconcile(min_age=0)
    await other.purchase(PLACE, NUMBER)
    with pytest.raises(NumberAlreadyOwnedError):
        await buying
    assert (shop.paid, shop.posts) == ([NUMBER], 2)


class Closing(HeldJournal):
    """A journal that closes the sandbox between the look-up and the POST."""

    def __init__(self, shop):
        super().__init__(shop.path)
        self.sandbox = shop.sandbox

    async def begin(self, record, past, limit=None):
        await super().begin(record, past, limit)
        await self.sandbox.close()


@pytest.fixture
async def closing(shop):
    """What a client needs to find nobody there when it sends the POST."""
    connector = aiohttp.TCPConnector(force_close=True)
    with contextlib.closing(Closing(shop)) as journal:
        async with aiohttp.ClientSession(connector=connector) as session:
            yield {"journal": journal, "session": session}


async def test_8_no_connection(shop, closing, caplog):
    """Where no connection is made the POST is sent again, until somebody is there."""
    caplog.set_level("DEBUG", "lcphone_async")
    port = int(shop.sandbox.url.rpartition(":")[2])
    client = shop.client(**closing, retry=RetryPolicy(max_tries=99, max_wait=0.1))
    buying = asyncio.create_task(client.purchase(PLACE, NUMBER))
    await until(lambda: "no answer" in caplog.text)
    async with Sandbox(port=port) as back:
        assert (await buying).confirmed_by == "answer"
        assert len(back.ledger) == 1
    assert await shop.states() == ["bought"]


async def test_8_never_a_connection(shop, closing):
    """Where no connection was made nothing was bought, and the caller is told just that."""
    with pytest.raises(ConnectFailedError):
        await shop.client(**closing).purchase(PLACE, NUMBER)
    assert (shop.paid, shop.posts, await shop.states()) == ([], 0, ["not bought"])


async def test_9_answered(shop):
    """The service's answer is the purchase."""
    purchase = await shop.client().purchase(PLACE, NUMBER)
    assert (purchase.number, purchase.location_id) == (NUMBER, PLACE)
    assert purchase.id
    assert purchase.confirmed_by == "answer"
    assert (shop.paid, shop.posts, await shop.states()) == ([NUMBER], 1, ["bought"])


@pytest.mark.parametrize("damage", READABLE)
async def test_9_answered_oddly(shop, damage):
    """An answer that can be read is one."""
    shop.fails(Fault(operation="purchase", point="after", damage=damage))
    assert (await shop.client().purchase(PLACE, NUMBER)).confirmed_by == "answer"
    assert (shop.paid, await shop.states()) == ([NUMBER], ["bought"])


async def test_10_no_token(shop):
    """Where there is no token nothing was sent, whatever the source of tokens raises."""

    async def tokens(location_id):
        if shop.sandbox.requests:  # after the look-up
            raise ServerError(503, "the vault is closed", method="GET", path="/vault")
        return "token"

    own = {"base_url": shop.sandbox.url, "journal": shop.journal, "retry": ONCE}
    async with LCPhoneClient(tokens, **own) as client:
        with pytest.raises(ServerError, match="vault"):
            await client.purchase(PLACE, NUMBER)
    assert (shop.posts, await shop.states()) == (0, [])


async def test_11_a_hook_of_the_session_fails(shop):
    """An error of somebody else's connection does not say that there was none to the service."""

    async def count(session, context, parameters):
        if parameters.method == "POST":
            async with aiohttp.ClientSession() as other:
                await other.post("http://127.0.0.1:9/metrics")

    tracing = aiohttp.TraceConfig()
    tracing.on_request_end.append(count)
    async with aiohttp.ClientSession(trace_configs=[tracing]) as session:
        client = shop.client(session=session, retry=RetryPolicy(confirm_timeout=5))
        assert (await client.purchase(PLACE, NUMBER)).confirmed_by == "read-back"
    assert shop.paid == [NUMBER]


async def test_9_answered_late(shop):
    """An answer that takes its time is an answer."""
    shop.fails(
        Fault(operation="purchase", delay=0.1),
        Fault(operation="purchase", point="after", delay=0.1),
    )
    assert (await shop.client().purchase(PLACE, NUMBER)).confirmed_by == "answer"
    assert (shop.paid, shop.posts, await shop.states()) == ([NUMBER], 1, ["bought"])


async def test_9_answered_to_two_tasks(shop):
    """Two tasks that buy the same number at once send one POST, and both get the purchase."""
    client = shop.client()
    one, other = await asyncio.gather(*(client.purchase(PLACE, NUMBER) for _ in range(2)))
    assert one == other
    assert (shop.paid, shop.posts, await shop.states()) == ([NUMBER], 1, ["bought"])


async def test_10_refused_to_two_tasks(shop):
    """Two tasks that buy the same number at once get the same error too."""
    shop.sandbox.stock.take(NUMBER)
    client = shop.client()
    buying = (client.purchase(PLACE, NUMBER) for _ in range(2))
    outcomes = await asyncio.gather(*buying, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [NumberUnavailableError] * 2
    assert (shop.paid, shop.posts) == ([], 1)


@pytest.mark.exhaustive
async def test_9_kept_by_a_journal_that_fails(shop):
    """If `bought` cannot be written, the caller learns that money may be spent, and reconciles."""
    shop.journal.hold, shop.journal.error = "replace", OSError("disk full")
    client = shop.client()
    with pytest.raises(PurchaseOutcomeUnknownError, match="disk full"):
        await client.purchase(PLACE, NUMBER)
    assert (shop.paid, await shop.states()) == ([NUMBER], ["sending"])
    shop.journal.hold = None
    assert [record.state for record in await client.reconcile()] == ["bought"]


REFUSALS = {
    400: BadRequestError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: NumberUnavailableError,
    410: NumberUnavailableError,
    422: UnprocessableError,
    429: RateLimitedError,
}


@pytest.mark.parametrize("damage", [None, "html"])
@pytest.mark.parametrize("status", REFUSALS)
async def test_10_refused(shop, status, damage):
    """A refusal is raised if the list does not show the number; `reconcile` has no news of it."""
    shop.fails(Fault(operation="purchase", status=status, damage=damage))
    client = shop.client()
    with pytest.raises(REFUSALS[status]) as caught:
        await client.purchase(PLACE, NUMBER)
    assert caught.value.status == status
    assert (shop.paid, shop.posts, await shop.states()) == ([], 1, ["refused"])
    assert await client.reconcile() == []
    assert await shop.states() == ["refused"]
    assert await client.reconcile(min_age=0) == []
    assert await shop.states() == ["not bought"]


async def test_10_refused_with_a_journal_that_fails(shop, caplog):
    """A journal that cannot be written does not hide why nothing was bought."""
    shop.sandbox.stock.take(NUMBER)
    shop.journal.hold, shop.journal.error = "replace", OSError("disk full")
    with pytest.raises(NumberUnavailableError):
        await shop.client().purchase(PLACE, NUMBER)
    assert await shop.states() == ["sending"]
    assert "disk full" in caplog.text
    assert NUMBER not in caplog.text


@pytest.mark.parametrize("contract", ["v3", "2021-07-28"])
@pytest.mark.parametrize("status", [400, 402, 404, 405, 409, 410, 413, 422])
async def test_12_refused_after_it_took_effect(shop, status, contract):
    """A refusal proves nothing: a proxy may have sent the POST twice, so the list decides."""
    shop.fails(Fault(operation="purchase", point="after", status=status))
    purchase = await shop.client(api_version=contract).purchase(PLACE, NUMBER)
    assert (purchase.number, purchase.confirmed_by) == (NUMBER, "read-back")
    assert (shop.paid, shop.posts, await shop.states()) == ([NUMBER], 1, ["bought"])


LAGGING = Fault(operation="active", nth=2, status=200, body={"numbers": [], "total": 0})


@pytest.mark.parametrize("min_age", [0, 300])
@pytest.mark.parametrize("status", [400, 429])
async def test_17_refused_and_a_list_that_lags(shop, status, min_age):
    """A refused purchase that turns up in the list later is told by `reconcile`, once."""
    shop.fails(Fault(operation="purchase", point="after", status=status), LAGGING)
    client = shop.client()
    with pytest.raises(APIError) as caught:
        await client.purchase(PLACE, NUMBER)
    assert caught.value.status == status
    assert await shop.states() == ["refused"]
    shop.fails()
    (record,) = await client.reconcile(min_age=min_age)
    assert (record.state, record.told) == ("bought", True)
    assert await client.reconcile() == []


async def test_10_one_look_after_a_refusal(shop):
    """A refusal costs one request more; that of a token, and a 429, cost none."""
    no_access = {"message": "The token does not have access to this location"}
    for status, body, looks in (
        (400, None, 2),
        (403, None, 2),
        (403, no_access, 1),
        (429, None, 1),
    ):
        shop.fails(Fault(operation="purchase", status=status, body=body))
        before = len(shop.sandbox.requests)
        with pytest.raises(APIError):
            await shop.client().purchase(PLACE, NUMBER)
        sent = [record.method for record in shop.sandbox.requests[before:]]
        assert sent == ["GET", "POST", *["GET"] * (looks - 1)]


@pytest.mark.parametrize("contract", ["v3", "2021-07-28"])
@pytest.mark.parametrize("status", [400, 409])
@pytest.mark.parametrize("readable", ["before", "after"])
async def test_14_refused_and_no_proof(shop, readable, status, contract):
    """A refusal that the list cannot confirm is in doubt: no other number is bought instead."""
    lists = (1,) if readable == "after" else range(2, 30)
    shop.fails(
        Fault(operation="purchase", point="after", status=status, times=1),
        *(Fault(operation="active", nth=nth, status=503) for nth in lists),
    )
    client = shop.client(api_version=contract)
    order = await client.purchase_many(PLACE, [NUMBER, "+18305551999"], count=1)
    assert (order.bought, order.unknown) == ((), (NUMBER,))
    assert (shop.paid, await shop.states()) == ([NUMBER], ["unknown"])
    shop.fails()
    assert [record.state for record in await client.reconcile()] == ["bought"]


@pytest.mark.exhaustive
async def test_10_refused_and_a_list_that_fails_once(shop):
    """The list is asked again until it can be read, and decides then."""
    lists = [Fault(operation="active", nth=nth, status=503) for nth in (2, 3)]
    shop.fails(Fault(operation="purchase", status=400), *lists)
    with pytest.raises(BadRequestError):
        await shop.client(retry=PATIENT).purchase(PLACE, NUMBER)
    shop.fails(Fault(operation="purchase", point="after", status=400), *lists)
    assert (await shop.client(retry=PATIENT).purchase(PLACE, NUMBER)).confirmed_by == "read-back"


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_14_refused_and_a_look_that_is_denied_once(shop, status):
    """A list that could be read before is asked again, whatever else it says now."""
    denied = Fault(operation="active", nth=2, status=status, damage="html")
    shop.fails(Fault(operation="purchase", point="after", status=400), denied)
    assert (await shop.client(retry=PATIENT).purchase(PLACE, NUMBER)).confirmed_by == "read-back"


async def test_17_refused_and_then_not_sent(shop, closing):
    """A refused purchase is looked at again though a later one of the number was never sent."""
    shop.fails(Fault(operation="purchase", point="after", status=400), LAGGING)
    with pytest.raises(BadRequestError):
        await shop.client().purchase(PLACE, NUMBER, reference="first")
    shop.fails(evolve(LAGGING, nth=None))
    ledger = list(shop.paid)
    with pytest.raises(ConnectFailedError):
        await shop.client(**closing).purchase(PLACE, NUMBER, reference="second")
    async with Sandbox() as back:
        back.location(PLACE).add(NUMBER)
        async with LCPhoneClient("token", base_url=back.url, journal=shop.journal) as client:
            told = [(record.state, record.reference) for record in await client.reconcile()]
            assert told == [("bought", "first")]
            assert await client.reconcile() == []
    assert ledger == [NUMBER]


async def test_11_a_journal_that_fails_before_the_second_try(shop):
    """After a POST that was answered 429 a journal that fails leaves the purchase in doubt."""
    shop.fails(Fault(operation="purchase", point="after", status=429, retry_after=0, times=1))
    client = shop.client(retry=RetryPolicy(max_tries=3), limiter=RateLimiter(100, 0.1))

    async def break_it():
        await until(lambda: shop.posts == 1)
        shop.journal.hold, shop.journal.error = "begin", OSError("disk full")

    breaking = asyncio.create_task(break_it())
    with pytest.raises(PurchaseOutcomeUnknownError, match="disk full"):
        await client.purchase(PLACE, NUMBER)
    await breaking
    shop.journal.hold = None
    assert [record.state for record in await client.reconcile()] == ["bought"]


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_10_refused_for_a_token_that_may_not_read(shop, status):
    """A refusal is raised as it is if the token may never read the list."""
    shop.fails(Fault(operation="active", status=status), Fault(operation="purchase", status=410))
    with pytest.raises(NumberUnavailableError):
        await shop.client().purchase(PLACE, NUMBER)
    assert await shop.states() == ["refused"]


async def test_10_refused_twice(shop):
    """Of a number that was refused twice, only the newer purchase is looked at again."""
    shop.fails(Fault(operation="purchase", point="after", status=429), LAGGING)
    client = shop.client()
    for error in (RateLimitedError, NumberUnavailableError):
        with pytest.raises(error):
            await client.purchase(PLACE, NUMBER, reference=error.__name__)
        shop.fails(evolve(LAGGING, nth=None))
    shop.fails()
    (record,) = await client.reconcile()
    assert (record.state, record.reference) == ("bought", "NumberUnavailableError")
    assert await shop.states() == ["refused", "bought"]
    assert await client.reconcile() == []
    assert await shop.states() == ["not bought", "bought"]
    assert shop.paid == [NUMBER]


async def test_10_gone(shop):
    """Where a number is gone, no other is bought in its place."""
    client = shop.client()
    found = await client.search_available(PLACE, "US", first_part="830")
    shop.sandbox.stock.take(found.numbers[0].phone_number)
    with pytest.raises(NumberUnavailableError):
        await client.purchase(PLACE, found.numbers[0], fingerprint_id=found.fingerprint_id)
    assert (shop.paid, shop.posts, await shop.states()) == ([], 1, ["refused"])


async def test_too_dear(shop):
    """Nothing is sent or kept for a number above the limit, or one without a price."""
    client = shop.client()
    found = await client.search_available(PLACE, "US", first_part="830")
    price = found.numbers[0].price.price
    dear = (found.numbers[0], price - Decimal("0.01"), price)
    for number, limit, expected in (dear, (NUMBER, 1000, None)):
        with pytest.raises(PriceTooHighError, match="max_price") as caught:
            await client.purchase(PLACE, number, max_price=limit)
        assert isinstance(caught.value, ValueError)
        assert (caught.value.price, caught.value.max_price) == (expected, limit)
    assert [record.path.endswith("available") for record in shop.sandbox.requests] == [True]
    assert (shop.paid, await shop.states()) == ([], [])
    await client.purchase(PLACE, found.numbers[0], max_price=price)
    assert shop.paid == [found.numbers[0].phone_number]


@pytest.mark.parametrize(
    ("price", "error"),
    [
        *((wrong, "does not say its price") for wrong in (Decimal("NaN"), Decimal(-1), None)),
        *((wrong, r"number\.price\.price must be") for wrong in (1.5, "1.15", object())),
    ],
)
async def test_a_price_that_is_none(shop, price, error):
    """A price that cannot be compared is no price, and nothing is sent."""
    number = AvailableNumber(NUMBER, price=Price(price=price))
    with pytest.raises((TypeError, ValueError), match=error):
        await shop.client().purchase(PLACE, number, max_price=5)
    assert not shop.sandbox.requests


async def test_what_the_service_itself_said_is_no_hindrance(shop):
    """A place with a control character in its name goes back as it came."""
    number = AvailableNumber(NUMBER, locality="St. John\x92s", price=Price(price=Decimal(-1)))
    await shop.client().purchase(PLACE, number)
    assert shop.paid == [NUMBER]


async def test_dry_run(shop):
    """A dry run says what a purchase would, and spends and keeps nothing."""
    client = shop.client()
    purchase = await client.purchase(PLACE, NUMBER, dry_run=True)
    assert (purchase.number, purchase.confirmed_by) == (NUMBER, "dry run")
    shop.sandbox.location(PLACE).add(NUMBER)
    with pytest.raises(NumberAlreadyOwnedError):
        await client.purchase(PLACE, NUMBER, dry_run=True)
    with pytest.raises(ValueError, match=r"E\.164"):
        await client.purchase(PLACE, "+1830", dry_run=True)
    assert (shop.paid, shop.posts, await shop.states()) == ([], 0, [])


# Reading back


UNCLEAR = [
    *({"damage": damage} for damage in DAMAGES),
    *({"status": status} for status in (302, 408, 425, 499, 500, 502, 503, 504, 520)),
    *({"status": status, "damage": "html"} for status in (500, 502, 503, 504)),
    {"status": 201, "body": {"status": "success"}},
    {"status": 200, "body": "<h1>OK</h1>"},
    {"status": 204},
]
each_unclear_answer = pytest.mark.parametrize(
    "what", UNCLEAR, ids=lambda what: "-".join(str(value) for value in what.values())
)


@each_unclear_answer
async def test_12_found(shop, what):
    """A service that acted is found out by reading back, whatever became of its answer."""
    shop.fails(Fault(operation="purchase", point="after", **what))
    purchase = await shop.client(retry=PATIENT, timeout=TIMEOUT).purchase(PLACE, NUMBER)
    assert (purchase.number, purchase.confirmed_by) == (NUMBER, "read-back")
    assert (shop.paid, shop.posts, await shop.states()) == ([NUMBER], 1, ["bought"])


@pytest.mark.sample(7)
@each_unclear_answer
async def test_13_not_found(shop, what):
    """Where no clear answer comes and the number is not found, the caller is told, and no more."""
    shop.fails(Fault(operation="purchase", **what))
    retry = RetryPolicy(max_tries=3, initial_wait=0, confirm_timeout=0.05)
    with pytest.raises(PurchaseOutcomeUnknownError) as caught:
        await shop.client(retry=retry, timeout=TIMEOUT).purchase(PLACE, NUMBER, fingerprint_id="f1")
    error = caught.value
    assert (error.location_id, error.phone_number) == (PLACE, NUMBER)
    assert error.fingerprint_id == "f1"
    assert NUMBER not in str(error)
    assert "client.reconcile()" in str(error)
    assert (shop.paid, shop.posts, await shop.states()) == ([], 1, ["unknown"])
    (record,) = await shop.journal.records()
    assert record.reason == error.reason
    assert record.sent_at == error.sent_at


@pytest.mark.exhaustive
async def test_12_found_late(shop):
    """A service that acts after the client has given up waiting is found while reading back."""
    shop.fails(Fault(operation="purchase", delay=2 * TIMEOUT))
    purchase = await shop.client(retry=PATIENT, timeout=TIMEOUT).purchase(PLACE, NUMBER)
    assert purchase.confirmed_by == "read-back"
    assert (shop.paid, shop.posts, await shop.states()) == ([NUMBER], 1, ["bought"])


@pytest.mark.exhaustive
async def test_12_found_in_a_list_that_fails(shop):
    """A list that cannot be read while reading back is read again."""
    shop.fails(
        Fault(operation="purchase", point="after", damage="reset"),
        *(Fault(operation="active", nth=nth, status=503) for nth in (2, 3)),
        Fault(operation="active", nth=4, damage="reset"),
    )
    purchase = await shop.client(retry=PATIENT).purchase(PLACE, NUMBER)
    assert purchase.confirmed_by == "read-back"
    assert (shop.paid, shop.posts) == ([NUMBER], 1)


@pytest.mark.exhaustive
async def test_13_not_found_in_time(shop):
    """A service that acts after the reading back leaves the purchase unknown until settled."""
    late = Fault(operation="purchase", delay=3 * TIMEOUT)
    shop.fails(late)
    client = shop.client(timeout=TIMEOUT)
    with pytest.raises(PurchaseOutcomeUnknownError):
        await client.purchase(PLACE, NUMBER)
    assert [record.state for record in await client.reconcile()] == ["unknown"]
    await until(lambda: shop.paid)
    assert [record.state for record in await client.reconcile()] == ["bought"]
    assert (shop.paid, await shop.states()) == ([NUMBER], ["bought"])


BOUGHT = {"number": NUMBER, "locationId": PLACE, "id": "acc1", "underLcAccount": True}
LISTED = http_json({"numbers": [{"phoneNumber": NUMBER}], "total": 1})
NOT_LISTED = http_json({"numbers": [], "total": 0})
WHOLE = http_json({"data": BOUGHT}, 201)

PIECES = {
    "nothing": b"",
    "half a status": WHOLE[:12],
    "half the headers": WHOLE[:40],
    "headers without an end": WHOLE[: WHOLE.index(b"\r\n\r\n")],
    "headers without a body": WHOLE[: WHOLE.index(b"\r\n\r\n") + 4],
    "all but a byte": WHOLE[:-1],
    "no HTTP": b"\x00\x01\x02\r\n\r\n",
    "an unknown encoding": http(b"??", 201, {"Content-Encoding": "gzip"}),
    "another number": http_json({"data": {**BOUGHT, "number": "+18305550000"}}, 201),
    "no number": http_json({"data": {"id": "acc1"}}, 201),
    "an empty body": http(b"", 201),
}


@pytest.mark.sample(7)
@pytest.mark.parametrize("acted", [True, False])
@pytest.mark.parametrize("answer", PIECES.values(), ids=list(PIECES))
async def test_11_unclear(raw_server: RawServer, answer, acted):
    """An answer that breaks off anywhere, or is about something else, is none: it is read back."""
    raw_server.reply(answer)
    raw_server.look_up_reply = lambda _: LISTED if acted and raw_server.requests else NOT_LISTED
    async with LCPhoneClient("token", base_url=raw_server.url, retry=ONCE) as client:
        if acted:
            assert (await client.purchase(PLACE, NUMBER)).confirmed_by == "read-back"
        else:
            with pytest.raises(PurchaseOutcomeUnknownError):
                await client.purchase(PLACE, NUMBER)
    assert [request.method for request in raw_server.requests] == ["POST"]


@pytest.mark.exhaustive
async def test_errors_tell_whether_anything_may_be_bought(shop):
    """Of all errors of a purchase only the unknown outcome leaves the journal open."""
    kinds = [*({"damage": damage} for damage in DAMAGES), *({"status": s} for s in (400, 401, 503))]
    for what in kinds:
        shop.fails(Fault(operation="purchase", **what))
        client = shop.client(timeout=TIMEOUT, retry=RetryPolicy(max_tries=1, confirm_timeout=0))
        with pytest.raises(LCPhoneError) as caught:
            await client.purchase(PLACE, NUMBER)
        is_open = any(record.is_open for record in await shop.journal.records())
        assert is_open == isinstance(caught.value, PurchaseOutcomeUnknownError)
        await client.reconcile(min_age=0)
    assert shop.paid == []


def is_for_sale(shop, number):
    return number != NUMBER and shop.sandbox.stock.find(number) is not None
