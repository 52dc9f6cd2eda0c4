"""No token and no client secret is shown anywhere, or sent to anybody but the service."""

import asyncio
import copy
import logging
import pickle
import traceback
from base64 import b64encode
from contextlib import suppress
from functools import partial
from urllib.parse import quote, quote_plus

import aiohttp
import pytest
from click.testing import CliRunner
from redis.asyncio import Redis

from lcphone_async import (
    AgencyTokens,
    FileTokenStore,
    LCPhoneClient,
    LCPhoneError,
    OAuthTokens,
    PurchaseJournal,
    RetryPolicy,
    StaticToken,
    TokenUnavailableError,
    audit,
)
from lcphone_async._internal.secrets import Secret
from lcphone_async.auth import MemoryTokenStore
from lcphone_async.auth.tokens import Grant, TokenPair
from lcphone_async.cli.commands import lcphone
from lcphone_async.cli.logins import Login
from lcphone_async.redis import RedisTokenStore
from lcphone_async.sandbox import Fault, Sandbox
from support.oauth_app import CLIENT_SECRET, COMPANY
from support.paged_server import PagedServer
from support.raw_server import RawServer, http, http_json
from support.until import until

ONE_TRY = RetryPolicy(max_tries=1, confirm_timeout=0)
SECRET = "pit-0123456789abcdef"
DAMAGES = ["reset", "reset-within", "hang-up", "stall", "cut-off", "corrupted", "html", "empty"]


def everything_about(error):
    """All that an error says, with its causes, its notes and the locals of all frames."""
    told = traceback.TracebackException.from_exception(error, capture_locals=True)
    yield from told.format(chain=True)
    while error is not None:
        yield str(error)
        yield repr(error)
        yield repr(vars(error))
        with suppress(TypeError):
            yield repr(pickle.dumps(error))
        error = error.__cause__ or error.__context__


def assert_unseen(secrets, *texts):
    for text in texts:
        for secret in secrets:
            assert secret not in text


async def failure_of(call):
    with pytest.raises((LCPhoneError, OSError)) as caught:
        await call
    return caught.value


def secrets_of(app):
    """Every token that the sandbox has issued, and the app's secret."""
    return [CLIENT_SECRET, *app.oauth._accesses, *app.oauth._refreshes]


@pytest.fixture
def logs(caplog):
    """All that is logged at debug level, by anybody."""
    caplog.set_level(logging.DEBUG)
    return caplog


@pytest.mark.parametrize(
    "answer",
    [
        http_json({"message": f"no such token: {SECRET}", "error": SECRET}, 401),
        http_json({"message": "oops", "traceId": SECRET}, 500),
        http(SECRET.encode(), 403, content_type="text/plain"),
        http_json({"numbers": SECRET}),
        http_json([SECRET]),
        http(b'{"numbers": [{"phone', length=500),
        b"",
        b"nonsense\r\n\r\n",
    ],
)
async def test_errors_of_a_call(raw_server, logs, answer):
    """Shows no token in what an error says, holds, pickles or has in its frames."""
    raw_server.reply(answer)
    async with LCPhoneClient(SECRET, base_url=raw_server.url, retry=ONE_TRY) as client:
        read = await failure_of(client.active_numbers_page("loc1"))
        bought = await failure_of(client.purchase("loc1", "+18305551234"))
        assert_unseen([SECRET], repr(client), *everything_about(read), *everything_about(bought))
    assert_unseen([SECRET], logs.text)


async def test_errors_without_an_answer(logs):
    """Shows no token where no connection is made, or no answer comes, or the client is closed."""
    async with LCPhoneClient(SECRET, base_url="http://127.0.0.1:1", retry=ONE_TRY) as client:
        refused = await failure_of(client.number_pools("loc1"))
    async with PagedServer().running() as server:
        server.held[0] = 0.0
        options = {"base_url": server.url, "retry": ONE_TRY}
        async with LCPhoneClient(SECRET, timeout=0.05, **options) as client:
            late = await failure_of(client.active_numbers_page("loc1"))
        async with LCPhoneClient(SECRET, **options) as client:
            call = asyncio.create_task(client.active_numbers_page("loc1"))
            await until(lambda: len(server.asked) == 2)
        closed = await failure_of(call)
    for error in (refused, late, closed):
        assert_unseen([SECRET], *everything_about(error))
    assert_unseen([SECRET], logs.text)


@pytest.mark.sample(13)
@pytest.mark.parametrize("operation", ["token", "location-token", "pools"])
@pytest.mark.parametrize("how", [*({"damage": name} for name in DAMAGES), {"status": 400}])
async def test_errors_of_the_token_endpoints(v3, logs, tmp_path, operation, how):
    """Shows no token and no client secret where a refresh, or what follows it, goes wrong."""
    v3.sandbox.faults.append(Fault(operation=operation, point="after", **how))
    store = FileTokenStore(tmp_path / "tokens.json")
    source = v3.tokens(v3.oauth.install(), store=store)
    agency = AgencyTokens(company_id=COMPANY, source=source)
    async with v3.client(agency, retry=ONE_TRY, timeout=0.3) as client:
        error = await failure_of(client.number_pools("place1"))
        shown = [repr(each) for each in (client, agency, source, store)]
    assert_unseen(secrets_of(v3), *everything_about(error), *shown)
    assert_unseen(secrets_of(v3), logs.text)


async def test_a_refusal_that_repeats_what_was_sent(raw_server, contract):
    """Cuts out of a refusal's text whatever secret was sent."""

    def echo(request):
        return http_json(
            {"error": "invalid_grant", "error_description": request.body.decode()}, 400
        )

    raw_server.reply(echo)
    secrets = ["the-refresh-token", "the/client+secret"]
    source = OAuthTokens(client_id="app-1", refresh_token=secrets[0], client_secret=secrets[1])
    options = {"base_url": raw_server.url, "api_version": contract, "retry": ONE_TRY}
    async with LCPhoneClient(source, **options) as client:
        error = await failure_of(client.number_pools("loc1"))
    assert "app-1" in str(error)
    assert_unseen([*secrets, quote_plus(secrets[1])], *everything_about(error))


@pytest.mark.exhaustive
async def test_errors_of_a_store_in_redis(v3):
    """Shows no token where Redis cannot be reached."""
    redis = Redis(port=1)
    source = v3.tokens(store=RedisTokenStore(redis, "loc1"))
    async with v3.client(source) as client:
        error = await failure_of(client.number_pools("loc1"))
    await redis.aclose()
    assert "the token store failed: Redis: Error 111" in str(error)
    assert "(key 'lcphone:tokens:loc1')" in str(error)
    assert_unseen(secrets_of(v3), *everything_about(error))


async def test_a_store_that_repeats_what_it_was_given(v3):
    """Shows no token where a database's own error does."""

    class Telling(MemoryTokenStore):
        async def replace(self, old, new):
            raise LookupError(f"unknown command, with args beginning with: {new:.60}")

    async with v3.client(v3.tokens(store=Telling())) as client:
        error = await failure_of(client.number_pools("loc1"))
    assert "the token store failed: LookupError" in str(error)
    assert "access-" not in str(error)
    assert_unseen(secrets_of(v3), *everything_about(error))


async def test_the_code_of_an_authorization(raw_server, contract):
    """Shows neither the code nor the client's secret nor new tokens that cannot be read."""
    raw_server.reply(http_json({"access_token": 7, "refresh_token": "the-refresh-token"}))
    secrets = ["the-code-of-it", "the-client-secret", "the-refresh-token"]
    given = {"client_id": "app-1", "client_secret": secrets[1]}
    async with LCPhoneClient("t", base_url=raw_server.url, api_version=contract) as client:
        error = await failure_of(client.exchange_code(secrets[0], **given))
    assert_unseen(secrets, *everything_about(error))


@pytest.mark.parametrize("place", ["environment", "login"])
def test_errors_of_the_command(monkeypatch, tmp_path, place):
    """Shows no token where a verb fails, wherever it has the token from."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    monkeypatch.delenv("LCPHONE_TOKEN", raising=False)
    with Sandbox(faults=[Fault(status=422)]).in_thread() as sandbox:
        monkeypatch.setenv("LCPHONE_BASE_URL", sandbox.url)
        if place == "environment":
            monkeypatch.setenv("LCPHONE_TOKEN", SECRET)
        else:
            login = Login.keep(sandbox.url, {"token": Secret(SECRET)}, None)
            assert_unseen([SECRET], repr(login), repr(Login.load(sandbox.url)))
        run = CliRunner().invoke(lcphone, ["whoami", "--location", "loc1"])
    assert isinstance(run.exception, LCPhoneError)
    assert_unseen([SECRET], run.output, *everything_about(run.exception))


def test_a_login_that_cannot_be_kept(monkeypatch, tmp_path):
    """Shows no token where there is no room to keep it."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lcphone_async.auth.stores._make_durable", full)
    with pytest.raises(OSError, match="No space left") as caught:
        Login.keep("https://lcphone.test", {"token": Secret(SECRET)}, None)
    assert_unseen([SECRET], *everything_about(caught.value))


@pytest.mark.parametrize(
    "value",
    [
        StaticToken(SECRET),
        OAuthTokens(client_id="a", client_secret=SECRET, refresh_token=SECRET),
        AgencyTokens(company_id="c", source=SECRET),
        Secret(SECRET),
        Grant(SECRET, SECRET),
        TokenPair(SECRET, SECRET),
        TokenPair(SECRET, SECRET).to_text(),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_holds_a_secret(value):
    """Shows none in its `repr`, and refuses to be pickled."""
    assert_unseen([SECRET], repr(value), repr([value]), repr({"a": value}))
    with pytest.raises(TypeError, match="cannot"):
        pickle.dumps(value)


def test_what_a_function_holds():
    """Shows nothing of what a caller's own function was made with."""
    assert_unseen([SECRET], repr(AgencyTokens(company_id="c", source=partial(print, SECRET))))


def test_a_secret_is_a_string():
    """Is used like any string, and copied like one."""
    secret = Secret(SECRET)
    assert secret == SECRET
    assert f"Bearer {secret}" == f"Bearer {SECRET}"
    assert copy.deepcopy([secret]) == copy.copy([secret]) == [SECRET]


def test_a_client_cannot_be_pickled():
    """Refuses to be pickled, and the token with it."""
    with pytest.raises((TypeError, AttributeError, pickle.PicklingError)):
        pickle.dumps(LCPhoneClient(SECRET))


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_the_token_stays_at_its_origin(raw_server, status):
    """Follows no redirect, neither with a call's token nor with a refresh."""
    async with RawServer() as elsewhere:
        raw_server.reply(http(status=status, headers={"Location": f"{elsewhere.url}/x"}))
        for token in (SECRET, OAuthTokens(client_id="a", client_secret="b", refresh_token="r")):
            async with LCPhoneClient(token, base_url=raw_server.url, retry=ONE_TRY) as client:
                error = await failure_of(client.number_pools("loc1"))
                assert "redirects are not followed" in str(error)
        assert elsewhere.connections == 0
    assert len(raw_server.requests) == 2


async def test_the_session_s_own_traces(v3):
    """Hands the token to the caller's own session, and its errors show none of it."""
    async with aiohttp.ClientSession() as session:
        v3.sandbox.faults.append(Fault(operation="pools", point="before", damage="reset"))
        async with v3.client(v3.tokens(), session=session, retry=ONE_TRY) as client:
            error = await failure_of(client.number_pools("loc1"))
    assert_unseen(secrets_of(v3), *everything_about(error))


async def test_a_connection_that_ends_before_it_is_written_to():
    """Shows no token of the bytes that could not be written."""

    async def hang_up(*_):
        await server.__aexit__()
        await asyncio.sleep(0.05)

    traced = aiohttp.TraceConfig()
    traced.on_connection_reuseconn.append(hang_up)
    server = RawServer(keeps_alive=True)
    server.reply(http_json({"numberPools": []}, headers={"Connection": "keep-alive"}))
    await server.__aenter__()
    async with aiohttp.ClientSession(trace_configs=[traced]) as session:
        options = {"base_url": server.url, "session": session, "retry": ONE_TRY}
        async with LCPhoneClient(SECRET, **options) as client:
            await client.number_pools("loc1")
            error = await failure_of(client.number_pools("loc1"))
    assert_unseen([SECRET], *everything_about(error))


PAYMENT = {
    "payment_intent_id": "pi_3MtwBwLkdIwHu7ix28a3tqPa",
    "stripe_account_id": "acct_1032D82eZvKYlo2C",
    "payment_method_id": "pm_1MqLiJLkdIwHu7ixUEgbFdYF",
}


@pytest.mark.parametrize("many", [False, True])
async def test_payments(raw_server, logs, tmp_path, many):
    """Sends the ids of a payment, and shows none of them in an error, a log or the journal."""
    raw_server.reply(
        lambda request: http_json({"message": request.body.decode(), "statusCode": 400}, 400)
    )
    options = {"base_url": raw_server.url, "retry": ONE_TRY}
    with PurchaseJournal(tmp_path / "purchases.db") as journal:
        async with LCPhoneClient(SECRET, journal=journal, **options) as client:
            if many:
                order = await client.purchase_many("loc1", ["+18305551234"], count=1, **PAYMENT)
                error = order.error
            else:
                error = await failure_of(client.purchase("loc1", "+18305551234", **PAYMENT))
        records = await journal.records()
    assert {name: raw_server.request.json[camel] for camel, name in CAMEL.items()} == PAYMENT
    assert records[0].reason is not None
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir()).decode("latin-1")
    secrets = [SECRET, *PAYMENT.values()]
    assert_unseen(secrets, kept, repr(records), logs.text, *everything_about(error))


CAMEL = {
    "paymentIntentId": "payment_intent_id",
    "stripeAccountId": "stripe_account_id",
    "paymentMethodId": "payment_method_id",
}
SPELLED = "pit-01/23+45=67~89ab"


@pytest.mark.parametrize(
    "spell",
    [
        str,
        str.upper,
        quote_plus,
        lambda token: quote_plus(token).lower(),
        lambda token: quote(token, safe=""),
        lambda token: b64encode(token.encode()).decode(),
        lambda token: f"Bearer {token}, or '{token}'.",
    ],
)
@pytest.mark.parametrize("name", ["message", "error", "traceId", "msg", "error_description"])
async def test_a_token_that_is_repeated_in_another_spelling(raw_server, spell, name):
    """Cuts a token out of a refusal however a service's own tools may have spelled it."""
    told = spell(SPELLED)
    raw_server.reply(http_json({name: f"refused {told} here", "statusCode": 401}, 401))
    async with LCPhoneClient(SPELLED, base_url=raw_server.url, retry=ONE_TRY) as client:
        error = await failure_of(client.number_pools("loc1"))
    assert_unseen([told, SPELLED], str(error), repr(error), repr(vars(error)))


@pytest.mark.parametrize(
    "body",
    [
        b'{"message": "' + "".join(f"\\u{ord(sign):04x}" for sign in SPELLED).encode() + b'"}',
        b'{"message": "' + SPELLED.replace("/", "\\/").encode() + b'"}',
        SPELLED.encode("utf-16-le"),
        SPELLED.encode("utf-16-be"),
    ],
)
async def test_a_token_that_is_repeated_in_another_encoding(raw_server, body):
    """Cuts it out of JSON's escapes, and out of UTF-16 that is taken for something else."""
    raw_server.reply(http(body, 401, content_type="application/json"))
    async with LCPhoneClient(SPELLED, base_url=raw_server.url, retry=ONE_TRY) as client:
        error = await failure_of(client.number_pools("loc1"))
    assert_unseen([SPELLED], *(text.replace("\0", "") for text in everything_about(error)))


@pytest.mark.parametrize(
    "answer",
    [
        http(status=302, headers={"Location": f"https://evil.test/?t={SECRET}"}),
        http_json({"message": "no"}, 401, {f"X-{SECRET}": SECRET, "Server": SECRET}),
        f"HTTP/1.1 500 {SECRET}\r\nContent-Length: 0\r\n\r\n".encode(),
        f"HTTP/1.1 200 OK\r\n{SECRET}\r\n\r\n".encode(),
        http_json({"numbers": [{SECRET: SECRET}]}),
        http_json({"numbers": [{"phoneNumber": "+18305551234", "dateAdded": SECRET}]}),
        http_json({SECRET: SECRET}),
    ],
)
async def test_a_token_in_other_parts_of_an_answer(raw_server, logs, answer):
    """Shows none from a header's name or value, a reason, a Location or a key of JSON."""
    asyncio.get_running_loop().set_debug(True)
    raw_server.reply(answer)
    async with LCPhoneClient(SECRET, base_url=raw_server.url, retry=ONE_TRY) as client:
        error = await failure_of(client.active_numbers_page("loc1"))
    assert_unseen([SECRET], str(error), repr(error), repr(vars(error)), logs.text)


async def test_an_audit(raw_server, tmp_path, logs):
    """Keeps none in the store, its exports and the report of an audit that a service refuses."""
    raw_server.reply(http_json({"message": f"{SECRET} may not see this"}, 403))
    store = tmp_path / "inventory.duckdb"
    async with LCPhoneClient(SECRET, base_url=raw_server.url, retry=ONE_TRY) as client:
        summary = await audit.audit(client, ["loc1"], store)
    assert "may not see this" in str(summary.incomplete)
    audit.export(store, tmp_path / "places.csv", "csv", table="locations")
    audit.report(store, tmp_path / "report.html")
    written = [path.read_bytes().decode("latin-1") for path in tmp_path.iterdir()]
    assert len(written) == 3
    assert_unseen([SECRET], repr(summary), logs.text, *written)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # aiohttp 4 will have none
@pytest.mark.parametrize("own", ["auth", "headers"])
async def test_a_session_with_an_authorization_of_its_own(raw_server, own):
    """Refuses it: it would go to the token endpoints, which get no token."""
    ways = {
        "auth": lambda: aiohttp.BasicAuth("a", SECRET),
        "headers": lambda: {"authorization": f"Bearer {SECRET}"},
    }
    async with aiohttp.ClientSession(**{own: ways[own]()}) as session:
        with pytest.raises(ValueError, match="session must add no Authorization") as caught:
            LCPhoneClient("t", base_url=raw_server.url, session=session)
    assert_unseen([SECRET], str(caught.value))
    assert raw_server.connections == 0


async def test_a_session_with_ways_of_its_own(raw_server):
    """Sends one request with the call's own headers to the client's own base URL."""
    raw_server.reply(http_json({"message": "no"}, 500))
    options = {
        "base_url": "http://127.0.0.1:1/evil/",
        "headers": {"Version": "evil", "User-Agent": "evil", "Accept": "text/html"},
        "cookies": {"session": "mine"},
        "raise_for_status": True,
    }
    async with aiohttp.ClientSession(**options) as session:
        client = LCPhoneClient(SECRET, base_url=raw_server.url, session=session, retry=ONE_TRY)
        error = await failure_of(client.number_pools("loc1"))
    assert "500: no" in str(error)
    headers = raw_server.request.headers
    assert raw_server.request.target == "/phone-system/number-pools?locationId=loc1"
    assert (headers["version"], headers["accept"]) == ("v3", "application/json")
    assert headers["user-agent"].startswith("lcphone_async/")
    assert headers["authorization"] == f"Bearer {SECRET}"


@pytest.mark.parametrize("given", ["a\r\nX-Evil: 1", "a b", "", "é", "\ud800", b"bytes", None, 5])
async def test_what_a_source_gives(raw_server, given):
    """Sends nothing if a caller's own source returns what is no token, and does not repeat it."""

    async def give(_):
        return given

    class Source:
        token = staticmethod(give)

    for source in (give, Source(), AgencyTokens(company_id="c", source=give)):
        async with LCPhoneClient(source, base_url=raw_server.url, retry=ONE_TRY) as client:
            with pytest.raises(TokenUnavailableError, match="token source returned") as caught:
                await client.number_pools("loc1")
        assert "Evil" not in str(caught.value)
    assert raw_server.connections == 0


def test_no_option_takes_a_secret():
    """Has no option for a token or a secret: it would be in the shell's history and in `ps`."""

    def options(command, path=""):
        for name, child in getattr(command, "commands", {}).items():
            yield from options(child, f"{path} {name}")
        yield from ((path, option) for one in command.params for option in one.opts)

    named = {path for path, option in options(lcphone) if set(option.split("-")) & SECRET_WORDS}
    assert named == {" sandbox"}  # which makes up its own


SECRET_WORDS = {"token", "secret", "password", "code", "refresh"}
