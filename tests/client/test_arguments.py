"""Invalid arguments: an error that names the argument, before anything is sent.

The tests find the public callables by introspection: a new callable or parameter fails them until
the tables below list its invalid values.
"""

import enum
import inspect
import sys
from datetime import datetime, timedelta
from decimal import Decimal
from math import inf, nan
from pathlib import Path
from types import SimpleNamespace

import aiohttp
import pytest
import pytest_asyncio
from redis import Redis as BlockingRedis
from redis.asyncio import Redis

import lcphone_async
import lcphone_async.audit
import lcphone_async.redis
import lcphone_async.sandbox
from lcphone_async import (
    AvailableNumber,
    FileTokenStore,
    LCPhoneClient,
    Location,
    OAuthTokens,
    PurchaseJournal,
    RateLimiter,
    RetryPolicy,
    SpendingLimit,
    journal,
    models,
)
from lcphone_async.auth import sources, stores
from lcphone_async.sandbox import LocationSettings, OAuthSettings
from support.raw_server import http_json

LONG = "x" * 1_000_000
NUMBER = "+18305551234"

NO_TEXT = [5, 1.5, True, b"loc1", bytearray(b"x"), {}, ["x"], object(), str]
BAD_TEXT = ["a\x00b", "a\r\nX-Evil: 1", "a\n", "a\x7f", "a\x85b", "\ud800", LONG]
MAYBE_TEXT = [*NO_TEXT, *BAD_TEXT]
TEXT = [None, *MAYBE_TEXT]
MAYBE_NAME = [*MAYBE_TEXT, "", " ", "\u2003"]
NAME = [None, *MAYBE_NAME]
SEGMENT = [*NAME, ".", ".."]
FLAG = ["true", "", 1, 0, 1.0, b"", {}, object(), bool]
SWITCH = [None, *FLAG]
NO_WHOLE_NUMBER = ["1", b"1", True, 1.0, nan, inf, Decimal(1), {}, [1], object(), int]
NO_FLOAT = ["1", b"1", True, {}, object(), float, nan, inf, -inf, 10**400, -1, -1e-9]
TIME = [None, *NO_FLOAT, 0]
TIME_OR_ZERO = [None, *NO_FLOAT]
MAYBE_PATH = [5, True, b"x", {}, object(), str, Path, "", "a\0b"]
PATH = [None, *MAYBE_PATH]
NO_FUNCTION = [None, 5, "x", object()]
NO_OBJECT = [5, "x", "", b"x", {}, object()]
NO_TOKEN = [
    *(None, 5, b"pit-", {}, object(), str, OAuthTokens, SimpleNamespace(token="pit-")),
    *("", " ", "a b", "a\r\nX-Evil: 1", "pit-\x00", "pit-é", "pit-\ud800", LONG),
]
NO_VERSION = [*NO_TEXT, "", "v4", "V3", "v3\n", "\ud800", LONG]
NO_URL = [*NO_TEXT, *BAD_TEXT, "", "services.leadconnectorhq.com", "ftp://x", "https://u:p@x"]
COUNTRY = [*TEXT, "", "U", "USA", "U1", "12", "U\n", "ÜS", "\uff35\uff33", NUMBER]
NO_NUMBER = [
    *(None, 18305551234, 1.5, True, b"+18305551234", {}, object(), str, AvailableNumber),
    *("", " ", "hello", "18305551234", "+0123456789", "+1830555", "+1 830 555 1234", LONG),
    *("+1830555123\uff14", "+\u0661\u0668\u0663\u0660\u0665\u0665\u0665\u0661\u0662\u0663\u0664"),
    *("\uff0b18305551234", "+1830555\u20111234", "\u202e+18305551234", "+18305551234\n"),
    *("+1" + "8" * 1_000_000, "\ud800", AvailableNumber(5), AvailableNumber(None)),
    *(AvailableNumber(NUMBER, locality=wrong) for wrong in (5, object(), "\ud800")),
    *(AvailableNumber(NUMBER, region={1}), AvailableNumber(NUMBER, iso_country=5)),
    *(AvailableNumber(NUMBER, iso_country="USA"), AvailableNumber(NUMBER, price="1.15")),
]
NO_PRICE = [1.5, nan, inf, "2", b"2", True, {}, object(), Decimal, Decimal("NaN"), Decimal(-1), -1]
NO_LIST = [5, "US", b"US", object(), list]
RULES = [None, *NO_LIST, [5], [None], [{}], ["no-name"]]
RUN = [*NO_WHOLE_NUMBER, 0, -1]
KINDS = [None, *NO_LIST, [5], [None], ["gone"], [["added"]]]


def whole(lowest, highest=sys.maxsize):
    """Values that are not an integer within these bounds."""
    beyond = [highest + 1, 10**30, 10**5000]
    return [None, *NO_WHOLE_NUMBER, lowest - 1, -(10**30), -(10**5000), *beyond]


def maybe(values):
    """The same for an optional argument."""
    return [value for value in values if value is not None]


# The invalid values of a parameter, by its name or by callable and name.
WRONG = {
    "access_token": maybe(NO_TOKEN),
    "address_sid": MAYBE_TEXT,
    "allow_http": SWITCH,
    "anywhere": MAYBE_TEXT,
    "api_version": NO_VERSION,
    "app_id": NAME,
    "base_url": NO_URL,
    "failure_budget": whole(1),
    "bundle_sid": MAYBE_TEXT,
    "client": [None, *NO_OBJECT, LCPhoneClient],
    "client_id": NAME,
    "client_secret": NAME,
    "code": NAME,
    "company_id": NAME,
    "concurrency": whole(1),
    "count": whole(1),
    "country_code": COUNTRY,
    "country_codes": [None, *NO_LIST, *([code] for code in COUNTRY)],
    "daily_reserve": whole(0),
    "dry_run": SWITCH,
    "expires_at": ["x", True, b"1", {}, nan, inf, -inf, 10**30, 10**400, datetime(2027, 1, 1)],  # noqa: DTZ001  # it is wrong
    "fingerprint_id": MAYBE_TEXT,
    "first_part": MAYBE_TEXT,
    "initial_wait": TIME_OR_ZERO,
    "format": [*TEXT, "", "xlsx", "CSV"],
    "ignore": KINDS,
    "include_rcs_sender_ids": FLAG,
    "is_installed": FLAG,
    "journal": [*NO_OBJECT, PurchaseJournal],
    "key": [None, *NO_TEXT],
    "last_part": MAYBE_TEXT,
    "min_age": TIME_OR_ZERO,
    "lease": TIME,
    "limiter": [*NO_OBJECT, RateLimiter, SimpleNamespace(slot=print, status=print)],
    "local_share": [*NO_OBJECT, RateLimiter],
    "locality": MAYBE_TEXT,
    "location_id": SEGMENT,
    "locations": [
        None,
        *NO_LIST,
        [],
        {},
        *([one] for one in NAME),
        [Location(5)],
        [Location("\ud800")],
        [Location("a", "\ud800")],
        [Location("a", 5)],
    ],
    "make_client": NO_FUNCTION,
    "max_body_size": whole(1),
    "max_locations": whole(1),
    "max_price": NO_PRICE,
    "max_requests": whole(1),
    "max_time": TIME_OR_ZERO,
    "max_tries": whole(1),
    "max_wait": TIME_OR_ZERO,
    "mms_enabled": FLAG,
    "name": NAME,
    "new": PATH,
    "new_run": RUN,
    "number": NO_NUMBER,
    "number_type": [*MAYBE_NAME, "local,mobile"],
    "number_types": [*NO_LIST, [], *([one] for one in NAME), ["local,mobile"]],
    "old": PATH,
    "old_run": RUN,
    "on_progress": NO_FUNCTION,
    "only": KINDS,
    "on_trial": FLAG,
    "order_id": MAYBE_NAME,
    "out": PATH,
    "page": whole(0, 2**31 - 1),
    "page_size": whole(1, 1000),
    "path": PATH,
    "failure_cooldown": TIME,
    "payment_intent_id": MAYBE_TEXT,
    "payment_method_id": MAYBE_TEXT,
    "period": TIME,
    "prefetch": maybe(whole(0)),
    "prefix": TEXT,
    "plan_id": MAYBE_TEXT,
    "prices": MAYBE_PATH,
    "query": MAYBE_TEXT,
    "confirm_timeout": TIME_OR_ZERO,
    "reference": MAYBE_TEXT,
    "regulated": [None, *NO_LIST, [5], ["USA"], [None]],
    "replicas": whole(0),
    "redirect_uri": MAYBE_TEXT,
    "redis": [None, *NO_OBJECT, Redis, BlockingRedis()],
    "refresh_token": maybe(NO_TOKEN),
    "region": MAYBE_TEXT,
    "restrict_to_user_locations": FLAG,
    "resume": SWITCH,
    "retry": [*NO_OBJECT, RetryPolicy],
    "rules": RULES,
    "run_id": RUN,
    "scheduler": NAME,
    "search_filter": MAYBE_TEXT,
    "session": [*NO_OBJECT, aiohttp.ClientSession],
    "since": MAYBE_PATH,
    "skip_location_kyc": FLAG,
    "skip_number_pool": FLAG,
    "sms_enabled": FLAG,
    "source": NO_TEXT,
    "store": PATH,
    "stripe_account_id": MAYBE_TEXT,
    "table": [*TEXT, "", "numbers; DROP TABLE numbers"],
    "text": [None, *NO_TEXT],
    "timeout": TIME,
    "token": NO_TOKEN,
    "trust_env": SWITCH,
    "user_type": MAYBE_TEXT,
    "version_id": MAYBE_TEXT,
    "voice_enabled": FLAG,
    "AgencyTokens.source": NO_TOKEN,
    "LCPhoneClient.locations.location_id": MAYBE_TEXT,
    "LCPhoneClient.locations.page_size": whole(1, 100),
    "LCPhoneClient.api_version": [None, *NO_VERSION],
    "LCPhoneClient.base_url": [None, *NO_URL],
    "LCPhoneClient.find_available.country_code": maybe(COUNTRY),
    "LCPhoneClient.find_available.phone_number": [
        wrong for wrong in NO_NUMBER if not isinstance(wrong, AvailableNumber)
    ],
    "LCPhoneClient.purchase.country_code": maybe(COUNTRY),
    "LCPhoneClient.spending_limit": [*NO_OBJECT, SpendingLimit],
    "SpendingLimit.amount": [None, *NO_PRICE],
    "SpendingLimit.currency": [None, *NO_TEXT, "", "US", "dollars", "U$D"],
    "SpendingLimit.period": [5, 1.5, "x", timedelta(0), timedelta(-1), timedelta, object()],
    "LCPhoneClient.purchase_many.offers": [None, *NO_LIST, *([one] for one in NO_NUMBER)],
    "LCPhoneClient.rate_limit.location_id": NAME,
    "LCPhoneClient.timeout": [
        *maybe(TIME),
        aiohttp.ClientTimeout,
        *(aiohttp.ClientTimeout(total=value) for value in NO_FLOAT),
        *(aiohttp.ClientTimeout(sock_read=value) for value in NO_FLOAT),
    ],
    "OAuthTokens.store": [*NO_OBJECT, FileTokenStore],
    **{
        f"{limiter}.{parameter}": maybe(wrong)
        for limiter in ("RateLimiter", "RedisRateLimiter")
        for parameter, wrong in (("max_requests", whole(1)), ("period", TIME))
    },
    "Rule.name": [None, *NO_TEXT, "", "No", "no name", "no-name\n", 'a"b', "a--b"],
    "Rule.query": [None, *NO_TEXT],
    "Rule.reason": [None, *NO_TEXT],
    "Rule.title": [None, *NO_TEXT],
    "StaticToken.value": NO_TOKEN,
    "audit_on_dask.concurrency": maybe(whole(1)),
    "audit_on_dask.worker_wait": TIME_OR_ZERO,
    "RedisRateLimiter.outage_wait": TIME_OR_ZERO,
    "Fault.body": [5, b"x", [], object()],
    "Fault.change": [5, b"x", object(), "move"],
    "Fault.damage": [5, b"x", object(), "none"],
    "Fault.delay": TIME_OR_ZERO,
    "Fault.limit": maybe(whole(0)),
    "Fault.location": NO_TEXT,
    "Fault.nth": maybe(whole(1)),
    "Fault.operation": [5, b"x", object(), "sell"],
    "Fault.point": [None, 5, b"x", object(), "within"],
    "Fault.probability": [None, *NO_FLOAT, 1.1, 2],
    "Fault.replay": [*maybe(whole(1)), 1],
    "Fault.retry_after": [1.5, b"1", {}, object()],
    "Fault.status": maybe(whole(200, 599)),
    "Fault.times": maybe(whole(1)),
    "OAuthSettings.reconnects": SWITCH,
    "Sandbox.allowed_hosts": [None, *NO_LIST, [5], [None]],
    "Sandbox.list_lag": TIME_OR_ZERO,
    "LocationSettings.account_status": [None, *NO_TEXT],
    "LocationSettings.connected": SWITCH,
    "LocationSettings.numbers": maybe(whole(0, 10_000_000)),
    "LocationSettings.pools": whole(0),
    "LocationSettings.under_lc": SWITCH,
    "OAuthSettings.app_id": NO_TEXT,
    "OAuthSettings.client_id": NO_TEXT,
    "OAuthSettings.client_secret": NO_TEXT,
    "OAuthSettings.company_id": NO_TEXT,
    "OAuthSettings.expires_in": TIME_OR_ZERO,
    "OAuthSettings.grace": TIME_OR_ZERO,
    "OAuthSettings.locations": [*NO_LIST, [5]],
    "OAuthSettings.refresh_expires_in": TIME_OR_ZERO,
    "OAuthSettings.scopes": [None, *NO_LIST, [5]],
    "Sandbox.clock": NO_FUNCTION,
    "Sandbox.daily_quota": whole(0),
    "Sandbox.faults": [None, *NO_LIST, [5], ["x"]],
    "Sandbox.host": [None, *NO_TEXT],
    "Sandbox.keep_requests": whole(0, 2**63 - 1),
    "Sandbox.location.location_id": [None, *NO_TEXT],
    "Sandbox.locations": [5, "x", ["loc1"], {"loc1": 5}, {5: LocationSettings()}],
    "Sandbox.numbers_per_location": whole(0, 10_000_000),
    "Sandbox.oauth_app": [*NO_OBJECT, OAuthSettings],
    "Sandbox.port": whole(0, 65_535),
    "Sandbox.profile": [None, 5, b"x", object(), "none", ["none"]],
    "Sandbox.record": MAYBE_PATH,
    "report.out": [*PATH, "."],
    "Sandbox.seed": [None, *NO_WHOLE_NUMBER],
    "Sandbox.strict": SWITCH,
    "Sandbox.tokens": [5, "t", b"t", object(), [5], {"t": 5}],
    "TokenSettings.app": [None, *NO_TEXT],
    "TokenSettings.kind": [5, b"x", object(), "user"],
    "TokenSettings.locations": [*NO_LIST, [5]],
    "TokenSettings.scopes": [*NO_LIST, [5]],
}

# The required arguments besides the invalid one.
APP = {"client_id": "app", "client_secret": "secret"}
RULE = {"name": "a", "title": "b", "reason": "c", "query": "SELECT 1"}
GOOD = {
    "AgencyTokens": {"company_id": "c", "source": "t"},
    "Fault": {"status": 500},
    "FileTokenStore": {},
    "LCPhoneClient": {"token": "t"},
    "LCPhoneClient.active_number_pages": {"location_id": "loc1"},
    "LCPhoneClient.active_numbers": {"location_id": "loc1"},
    "LCPhoneClient.active_numbers_page": {"location_id": "loc1"},
    "LCPhoneClient.find_available": {"location_id": "loc1", "phone_number": NUMBER},
    "LCPhoneClient.exchange_code": {"code": "code", **APP},
    "LCPhoneClient.locations": {"company_id": "c", "app_id": "a"},
    "LCPhoneClient.number_pools": {},
    "LCPhoneClient.purchase": {"location_id": "loc1", "number": NUMBER},
    "LCPhoneClient.purchase_many": {"location_id": "loc1", "offers": [NUMBER], "count": 1},
    "LCPhoneClient.rate_limit": {},
    "LCPhoneClient.search_available": {"location_id": "loc1", "country_code": "US"},
    "LCPhoneClient.search_countries": {"location_id": "loc1", "country_codes": ["US"]},
    "LCPhoneClient.reconcile": {},
    "LocationSettings": {},
    "OAuthSettings": {},
    "OAuthTokens": APP,
    "PurchaseJournal": {},
    "RateLimiter": {},
    "RateLimiter.slot": {},
    "RateLimiter.status": {},
    "RedisPurchaseJournal": {"redis": Redis(port=1)},
    "RedisRateLimiter": {"redis": Redis(port=1)},
    "RedisRateLimiter.slot": {},
    "RedisRateLimiter.status": {},
    "RedisTokenStore": {"redis": Redis(port=1), "name": "loc1"},
    "RetryPolicy": {},
    "Rule": RULE,
    "Sandbox": {},
    "Sandbox.location": {},
    "SpendingLimit": {"amount": 1},
    "StaticToken": {},
    "TokenSettings": {},
    "audit": {"locations": ["loc1"], "store": "none.duckdb"},
    "audit_on_dask": {
        "scheduler": "tcp://127.0.0.1:1",
        "make_client": print,
        "locations": ["loc1"],
        "store": "none.duckdb",
    },
    "compare": {"old": "none.duckdb", "new": "none.duckdb"},
    "costs": {"store": "none.duckdb"},
    "coverage": {"store": "none.duckdb"},
    "export": {"store": "none.duckdb", "out": "none", "format": "csv"},
    "findings": {"store": "none.duckdb"},
    "read_locations": {"text": ""},
    "read_rules": {},
    "report": {"store": "none.duckdb", "out": "none"},
}

# The names in errors, if they are not the argument's own.
SAID = {"offers": "offers|number", "value": "token"}

# The unchecked callables and parameters, with the reasons.
MADE_BY_THE_LIBRARY = {
    *(name for name in lcphone_async.__all__ if hasattr(models, name) or name == "Grant"),
    *("PurchaseRecord", "AuditSummary", "Change", "Comparison", "Cost", "Costs", "Finding"),
    *("Incomplete", "NotCompared", "Progress", "Run"),
    *("LedgerEntry", "Location", "Number", "OAuth", "Pool", "RequestRecord", "Stock", "TokenEntry"),
}
CALLED_BY_THE_CLIENT = {
    name
    for protocol in (
        journal.Journal,
        stores.TokenStore,
        sources.BoundTokenSource,
        sources.RenewableTokenSource,
    )
    for name in dir(protocol)
    if name[0] != "_"
} | {"check", "spent"}  # of a SpendingLimit, by journals
UNCHECKED = {
    "Fault.concerns.location": "passed by the sandbox",
    "Fault.concerns.operation": "passed by the sandbox",
    "LCPhoneClient.from_env.options": "those of the constructor",
    "LCPhoneClient.purchase_many.options": "those of purchase, which have their own test",
    "RateLimiter.slot.learns": "a promise to oneself, taken by its truth",
    "RedisRateLimiter.slot.learns": "a promise to oneself, taken by its truth",
    "audit_on_dask.locations": "checked by audit, which needs a cluster",
}


def public():
    """Every public callable, under its name in the tables."""
    rooms = (lcphone_async, lcphone_async.audit, lcphone_async.redis, lcphone_async.sandbox)
    found = {name: getattr(room, name) for room in rooms for name in room.__all__}
    for name, value in found.items():
        if inspect.isfunction(value):
            yield name, value
        elif inspect.isclass(value) and not is_exempt(name, value):
            yield name, value
            for method, function in inspect.getmembers(value, inspect.isroutine):
                is_checked = name == "LCPhoneClient" or method not in CALLED_BY_THE_CLIENT
                if method[0] != "_" and is_checked:
                    yield f"{name}.{method}", function


def is_exempt(name, cls):
    is_protocol = getattr(cls, "_is_protocol", False)
    return is_protocol or name in MADE_BY_THE_LIBRARY or issubclass(cls, Exception | enum.Enum)


CALLABLES = dict(public())
PARAMETERS = {
    name: checked
    for name, value in CALLABLES.items()
    if (
        checked := [
            parameter
            for parameter in inspect.signature(value).parameters
            if parameter not in {"self", "cls"} and f"{name}.{parameter}" not in UNCHECKED
        ]
    )
}


@pytest_asyncio.fixture
async def owners(raw_server):
    """The objects that methods are called on."""
    raw_server.reply(http_json({"numbers": []}))
    async with LCPhoneClient("t", base_url=raw_server.url) as client, Redis(port=1) as redis:
        yield {
            "LCPhoneClient": client,
            "RateLimiter": RateLimiter(),
            "RedisRateLimiter": lcphone_async.redis.RedisRateLimiter(redis),
            "Sandbox": lcphone_async.sandbox.Sandbox(),
        }


async def use(function, arguments):
    """Calls the function, and awaits or enters the result; an iterator raises at the call."""
    result = function(**arguments)
    if inspect.isawaitable(result):
        await result
    elif hasattr(result, "__aenter__"):
        async with result:
            pass
    elif hasattr(result, "__enter__"):
        with result:
            pass


def test_the_tables_are_complete():
    """Every public callable and parameter is in the tables."""
    assert PARAMETERS.keys() - GOOD.keys() == set()
    named = {(f"{name}.{one}", one) for name, checked in PARAMETERS.items() for one in checked}
    assert [name for name, parameter in named if not {name, parameter} & WRONG.keys()] == []


@pytest.mark.parametrize("name", PARAMETERS)
async def test_invalid_arguments(owners, raw_server, tmp_path, monkeypatch, name):
    """Raises `TypeError` or `ValueError` with the name and without the value; nothing is sent."""
    monkeypatch.chdir(tmp_path)
    owner, _, method = name.rpartition(".")
    function = getattr(owners[owner], method) if owner else CALLABLES[name]
    given = GOOD[name] | ({"client": owners["LCPhoneClient"]} if name == "audit" else {})
    for parameter in PARAMETERS[name]:
        said = SAID.get(parameter, parameter)
        for value in WRONG.get(f"{name}.{parameter}") or WRONG[parameter]:
            with pytest.raises((TypeError, ValueError), match=said) as caught:
                await use(function, {**given, parameter: value})
                pytest.fail(f"{parameter}: took {ascii(value)[:80]}")
            assert len(str(caught.value)) < 500
    assert raw_server.connections == 0
    assert list(tmp_path.iterdir()) == []


async def test_options_of_many_purchases(owners, raw_server):
    """`purchase_many` checks the options for `purchase`, and refuses unknown ones."""
    client = owners["LCPhoneClient"]
    names = inspect.signature(client.purchase).parameters.keys()
    own = inspect.signature(client.purchase_many).parameters.keys()
    given = GOOD["LCPhoneClient.purchase_many"]
    for name in names - own - {"number"}:
        for value in WRONG.get(f"LCPhoneClient.purchase.{name}") or WRONG[name]:
            with pytest.raises((TypeError, ValueError), match=name):
                await client.purchase_many(**given, **{name: value})
    for name in ("nonsense", "number", "dry_run"):
        with pytest.raises(TypeError, match=name):
            await client.purchase_many(**given, **{name: True})
    with pytest.raises(TypeError, match="nonsense"):
        LCPhoneClient.from_env(token="t", nonsense=1)
    assert raw_server.connections == 0


class Odd(str):
    """A string whose methods return something other than its content."""

    __slots__ = ()

    def __str__(self):
        return "evil\r\nX-Evil: 1"

    def __eq__(self, other):
        return True

    def __hash__(self):
        return hash("evil")

    def strip(self, *_):
        return "evil"

    encode = replace = lower = upper = casefold = format = __format__ = strip


async def test_a_string_subclass(raw_server):
    """Sends the content of a string, whatever its methods return."""
    raw_server.reply(http_json({"numbers": []}))
    options = {"base_url": Odd(raw_server.url), "api_version": Odd("v3")}
    async with LCPhoneClient(Odd("pit-token"), **options) as client:
        await client.active_numbers_page(Odd("loc1"), search_filter=Odd("+91"))
    request = raw_server.request
    assert request.path == "/phone-system/numbers/location/loc1"
    assert request.parameters["searchFilter"] == "+91"
    assert request.headers["authorization"] == "Bearer pit-token"
    assert request.headers["version"] == "v3"
    assert "x-evil" not in request.headers
    with pytest.raises(ValueError, match="api_version"):
        LCPhoneClient("t", api_version=Odd("v4"))
