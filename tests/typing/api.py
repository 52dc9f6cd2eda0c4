"""The public surface as a type checker sees it; only mypy runs this file."""

from collections.abc import AsyncGenerator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Literal, assert_type

import aiohttp
from redis.asyncio import Redis

import lcphone_async as lc
from lcphone_async.auth import BoundTokenSource, RenewableTokenSource, TokenService
from lcphone_async.redis import RedisPurchaseJournal, RedisRateLimiter, RedisTokenStore


class OwnTokens:
    """A minimal token source."""

    async def token(self, location_id: str) -> str:
        return f"token of {location_id}"


class OwnRenewableTokens(OwnTokens):
    """A token source that renews refused tokens and can be bound to a client."""

    def __init__(self, inner: lc.OAuthTokens) -> None:
        self.inner = inner

    async def renew(self, location_id: str, refused: str) -> str:
        return await self.inner.renew(location_id, refused)

    def bind(self, service: TokenService) -> None:
        self.inner.bind(service)


async def own_token(location_id: str) -> str:
    """A token source that is a function."""
    return f"token of {location_id}"


def token_sources(now: datetime) -> None:
    """The token sources and the stores accept every documented argument."""
    store: lc.TokenStore = lc.FileTokenStore("tokens.json")
    oauth = lc.OAuthTokens(
        client_id="id",
        client_secret="secret",
        refresh_token="refresh",
        access_token="access",
        expires_at=now,
        store=store,
        base_url="https://services.leadconnectorhq.com",
        api_version="v3",
        failure_cooldown=10.0,
    )
    lc.OAuthTokens(client_id="id", client_secret="secret", expires_at=1.5)
    store = RedisTokenStore(Redis(), "installation", prefix="lcphone:tokens:", lease=10.0)
    agency = lc.AgencyTokens(
        company_id="company",
        source=oauth,
        max_locations=1000,
        base_url="https://services.leadconnectorhq.com",
        api_version="v3",
        failure_cooldown=10.0,
    )
    renewable: RenewableTokenSource = OwnRenewableTokens(oauth)
    bound: BoundTokenSource = OwnRenewableTokens(oauth)
    for source in (oauth, agency, renewable, bound, own_token, "pit-"):
        lc.LCPhoneClient(source, allow_http=True)
        lc.AgencyTokens(company_id="company", source=source)


async def construct(session: aiohttp.ClientSession) -> None:
    """The constructor accepts every documented argument, and `async with` returns the client."""
    source: lc.TokenSource = OwnTokens()
    client = lc.LCPhoneClient(
        source,
        base_url="https://services.leadconnectorhq.com",
        api_version="2021-07-28",
        session=session,
        limiter=lc.RateLimiter(max_requests=100, period=10.0, daily_reserve=50),
        retry=lc.RetryPolicy(max_tries=5, max_time=60.0, initial_wait=0.5, max_wait=10.0),
        timeout=aiohttp.ClientTimeout(total=5),
        max_body_size=2**20,
        journal=lc.PurchaseJournal("purchases.db"),
        trust_env=False,
        spending_limit=lc.SpendingLimit(Decimal(50), currency="USD", period=timedelta(days=1)),
    )
    async with client as entered:
        assert_type(entered, lc.LCPhoneClient)
    assert_type(await client.close(), None)
    assert_type(lc.LCPhoneClient.from_env(timeout=2.5), lc.LCPhoneClient)
    lc.LCPhoneClient.from_env(timeot=2.5)  # type: ignore[call-arg]
    lc.LCPhoneClient.from_env(timeout="2.5")  # type: ignore[arg-type]
    lc.LCPhoneClient("pit-", api_version="v4")  # type: ignore[arg-type]
    lc.LCPhoneClint("pit-")  # type: ignore[attr-defined]
    lc.LCPhoneClient(lc.StaticToken("pit-"))
    lc.LCPhoneClient(lc.StaticToken(value="pit-"))
    shared = RedisRateLimiter(
        Redis(), local_share=lc.RateLimiter(max_requests=25), outage_wait=60.0
    )
    assert_type(await shared.close(), None)
    lc.LCPhoneClient("pit-", limiter=shared, journal=RedisPurchaseJournal(Redis()))
    lc.LCPhoneClient(12)  # type: ignore[arg-type]
    lc.LCPhoneClient("pit-", "https://example.org")  # type: ignore[call-arg]


def share(journal: lc.Journal, limiter: lc.Limiter) -> lc.LCPhoneClient:
    """The protocols are public: a program can type its own journal or limiter."""
    return lc.LCPhoneClient("pit-", journal=journal, limiter=limiter)


async def operations(client: lc.LCPhoneClient) -> None:
    """Every operation accepts its documented arguments and returns models."""
    assert_type(
        client.active_numbers(
            "location",
            page_size=1000,
            search_filter="+91",
            skip_number_pool=False,
            include_rcs_sender_ids=True,
            prefetch=4,
        ),
        AsyncGenerator[lc.ActiveNumber, None],
    )
    assert_type(
        client.active_number_pages(
            "location",
            page_size=1000,
            search_filter="+91",
            skip_number_pool=False,
            include_rcs_sender_ids=True,
            prefetch=4,
        ),
        AsyncGenerator[lc.ActiveNumbersPage, None],
    )
    assert_type(
        await client.active_numbers_page(
            "location",
            page=0,
            page_size=50,
            search_filter="+91",
            skip_number_pool=False,
            include_rcs_sender_ids=True,
        ),
        lc.ActiveNumbersPage,
    )
    found = await client.search_available(
        "location",
        "US",
        number_types=(lc.NumberType.LOCAL, "tollFree"),
        first_part="830",
        last_part="1",
        anywhere="2",
        sms_enabled=True,
        mms_enabled=True,
        voice_enabled=True,
    )
    assert_type(found, lc.AvailableNumbers)
    assert_type(
        client.search_countries(
            "location",
            ["US", "CA"],
            concurrency=3,
            number_types=["local"],
            first_part="830",
            last_part="1",
            anywhere="2",
            sms_enabled=True,
            mms_enabled=True,
            voice_enabled=True,
        ),
        AsyncGenerator[lc.CountrySearch, None],
    )
    assert_type(
        await client.purchase(
            "location",
            found.numbers[0],
            fingerprint_id=found.fingerprint_id,
            country_code="US",
            number_type="local",
            address_sid="AD",
            bundle_sid="BU",
            locality="Austin",
            region="TX",
            payment_intent_id="pi",
            stripe_account_id="acct",
            payment_method_id="pm",
            skip_location_kyc=False,
            max_price=Decimal("1.15"),
            reference="order 7",
            dry_run=True,
        ),
        lc.Purchase,
    )
    assert_type(await client.purchase("location", "+18305551234"), lc.Purchase)
    order = await client.purchase_many(
        "location",
        [found, "+18305551234"],
        count=2,
        max_price=2,
        order_id="order 7",
        country_code="US",
        skip_location_kyc=True,
    )
    await client.purchase_many("location", [found], count=1, countrycode="US")  # type: ignore[call-arg]
    await client.purchase_many("location", [found], count=1, region=7)  # type: ignore[arg-type]
    assert_type(order.bought, tuple[lc.Purchase, ...])
    assert_type(order.unavailable, tuple[str, ...])
    assert_type(order.unknown, tuple[str, ...])
    assert_type(order.error, lc.LCPhoneError | None)
    assert_type(order.bought[0].record_id, str | None)
    assert_type(
        await client.find_available("location", "+18305551234", country_code="US"),
        lc.AvailableNumbers,
    )
    journal = lc.PurchaseJournal("purchases.db")
    assert_type(await client.reconcile(journal, min_age=60), list[lc.PurchaseRecord])
    for record in await journal.records():
        assert_type(record.reference, str | None)
        assert_type(record.price, Decimal | None)
        assert_type(record.currency, str | None)
        assert_type(record.told, bool)
        assert_type(record.is_open, bool)
    assert_type(await client.number_pools("location"), list[lc.NumberPool])
    assert_type(client.rate_limit("location"), lc.RateLimitStatus)
    assert_type(
        client.locations(
            "company",
            "app",
            query="text",
            is_installed=None,
            location_id="location",
            version_id="version",
            plan_id="plan",
            on_trial=False,
            restrict_to_user_locations=True,
            page_size=100,
        ),
        AsyncGenerator[lc.Location, None],
    )


async def exchange(client: lc.LCPhoneClient) -> None:
    """A code is exchanged for tokens."""
    grant = await client.exchange_code(
        "code", client_id="id", client_secret="s", redirect_uri="https://…", user_type="Company"
    )
    assert_type(grant, lc.Grant)
    assert_type(grant.access_token, str)
    assert_type(grant.refresh_token, str | None)
    assert_type(grant.expires_in, float | None)
    assert_type(grant.company_id, str | None)
    assert_type(grant.location_id, str | None)
    assert_type(grant.scope, str | None)
    assert_type(grant.user_type, str | None)


def location(location: lc.Location) -> None:
    """The fields of a location."""
    assert_type(location.id, str)
    assert_type(location.name, str | None)
    assert_type(location.address, str | None)
    assert_type(location.is_installed, bool | None)
    assert_type(location.version_id, str | None)
    assert_type(location.installed_at, datetime | None)


def active_number(number: lc.ActiveNumber) -> None:
    """The fields of an active number."""
    assert_type(number.phone_number, str)
    assert_type(number.friendly_name, str | None)
    assert_type(number.sid, str | None)
    assert_type(number.country_code, str | None)
    assert_type(number.capabilities, lc.Capabilities)
    assert_type(number.type, lc.NumberType | str | None)
    assert_type(number.is_default_number, bool | None)
    assert_type(number.linked_user, str | None)
    assert_type(number.linked_ring_all_users, tuple[str, ...])
    assert_type(number.inbound_call_service, lc.InboundCallService | None)
    assert_type(number.forwarding_number, str | None)
    assert_type(number.is_group_conversation_enabled, bool | None)
    assert_type(number.address_sid, str | None)
    assert_type(number.bundle_sid, str | None)
    assert_type(number.date_added, datetime | None)
    assert_type(number.date_updated, datetime | None)
    assert_type(number.origin, str | None)
    assert_type(number.extra, Mapping[str, Any])
    number.origin = "ported"  # type: ignore[misc]


def parts(
    capabilities: lc.Capabilities, service: lc.InboundCallService, sender: lc.RcsSenderId
) -> None:
    """The fields of the parts of numbers and pages."""
    assert_type(capabilities.voice, bool | None)
    assert_type(capabilities.sms, bool | None)
    assert_type(capabilities.mms, bool | None)
    assert_type(capabilities.fax, bool | None)
    assert_type(service.type, str | None)
    assert_type(service.value, Any)
    assert_type(sender.number, str)
    assert_type(sender.number_type, str | None)
    assert_type(sender.friendly_name, str | None)
    assert_type(sender.rcs_meta, Mapping[str, Any])


def page(page: lc.ActiveNumbersPage) -> None:
    """The fields of a page."""
    assert_type(page.numbers, tuple[lc.ActiveNumber, ...])
    assert_type(page.page, int)
    assert_type(page.page_size, int | None)
    assert_type(page.total, int | None)
    assert_type(page.is_under_lc, bool | None)
    assert_type(page.account_status, lc.AccountStatus | str | None)
    assert_type(page.rcs_sender_ids, tuple[lc.RcsSenderId, ...] | None)


def available(number: lc.AvailableNumber, price: lc.Price, search: lc.CountrySearch) -> None:
    """The fields of a search's result."""
    assert_type(number.phone_number, str)
    assert_type(number.friendly_name, str | None)
    assert_type(number.iso_country, str | None)
    assert_type(number.lata, str | None)
    assert_type(number.locality, str | None)
    assert_type(number.rate_center, str | None)
    assert_type(number.latitude, str | None)
    assert_type(number.longitude, str | None)
    assert_type(number.region, str | None)
    assert_type(number.postal_code, str | None)
    assert_type(number.address_requirements, str | None)
    assert_type(number.beta, bool | None)
    assert_type(number.capabilities, lc.Capabilities)
    assert_type(number.price, lc.Price | None)
    assert_type(price.number_type, lc.NumberType | str | None)
    assert_type(price.price, Decimal | None)
    assert_type(price.price_unit, str | None)
    assert_type(search.country_code, str)
    assert_type(search.result, lc.AvailableNumbers | None)
    assert_type(search.error, lc.LCPhoneError | None)


def bought(purchase: lc.Purchase, pool: lc.NumberPool, limit: lc.RateLimitStatus) -> None:
    """The fields of a purchase, of a pool and of the rate limit's status."""
    assert_type(purchase.number, str)
    assert_type(purchase.location_id, str | None)
    assert_type(purchase.id, str | None)
    assert_type(purchase.under_lc_account, bool | None)
    assert_type(purchase.confirmed_by, Literal["answer", "read-back", "journal", "dry run"])
    assert_type(pool.id, str)
    assert_type(pool.name, str | None)
    assert_type(pool.location_id, str | None)
    assert_type(pool.numbers, tuple[lc.PoolNumber, ...])
    assert_type(pool.numbers[0].phone_number, str)
    assert_type(pool.numbers[0].friendly_name, str | None)
    assert_type(pool.forwarding_number, str | None)
    assert_type(pool.whisper, bool | None)
    assert_type(pool.whisper_message, str | None)
    assert_type(pool.call_recording, bool | None)
    assert_type(pool.is_active, bool | None)
    assert_type(pool.inbound_call_service, lc.InboundCallService | None)
    assert_type(limit.max_requests, int | None)
    assert_type(limit.period, float | None)
    assert_type(limit.remaining, int | None)
    assert_type(limit.daily_limit, int | None)
    assert_type(limit.daily_remaining, int | None)
    assert_type(limit.daily_reset, float | None)
    assert_type(limit.as_of, datetime | None)


def errors(
    api: lc.APIError,
    shape: lc.ResponseFormatError,
    unknown: lc.PurchaseOutcomeUnknownError,
    short: lc.IncompleteListError,
    again: lc.RepeatedPageError,
    no_token: lc.TokenUnavailableError,
    down: lc.CircuitOpenError,
) -> None:
    """The fields of the errors."""
    assert_type(api.status, int)
    assert_type(api.message, str)
    assert_type(api.error, str | None)
    assert_type(api.trace_id, str | None)
    assert_type(api.extra, Mapping[str, Any])
    assert_type(api.method, str)
    assert_type(api.path, str)
    assert_type(api.retry_after, float | None)
    assert_type(shape.where, str)
    assert_type(shape.problem, str)
    assert_type(unknown.phone_number, str)
    assert_type(unknown.fingerprint_id, str | None)
    assert_type(unknown.sent_at, datetime)
    assert_type(short.seen, int)
    assert_type(short.total, int)
    assert_type(short.what, str)
    assert_type(short.at_least, bool)
    assert_type(again.page, int)
    assert_type(no_token.reason, str)
    assert_type(no_token.status, int | None)
    assert_type(down.reason, str)
    assert_type(down.retry_after, float)


async def limiter(limiter: lc.RateLimiter) -> None:
    """A slot is an async context manager around one request."""
    async with limiter.slot("location") as slot:
        assert_type(slot.learn(lc.RateLimitStatus(), refused=False), None)
    assert_type(limiter.status("location"), lc.RateLimitStatus)
    with lc.bulk():
        pass
    assert_type(limiter.max_requests, int)
    assert_type(limiter.period, float)
