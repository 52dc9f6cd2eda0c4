"""`LCPhoneClient`: every operation of the LC Phone API."""

from __future__ import annotations

import os
import warnings
from collections.abc import AsyncGenerator, Iterable
from contextlib import AsyncExitStack
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any, Self, Unpack, cast

from . import _wire
from ._http.body import decoded
from ._http.calls import Calls
from ._http.options import ClientOptions, PurchaseOptions
from ._http.retry import RetryPolicy
from ._http.token_endpoints import ClientTokenService
from ._internal import checks
from ._internal.lazy import aiohttp, import_all
from ._internal.secrets import Secret
from ._lists.countries import requests_by_country, search_side_by_side
from ._lists.locations import walk_locations
from ._lists.walk import Walk, numbers_of, walk_pages
from ._wire import requests, token_requests
from ._wire.requests import secret_text
from .auth.sources import TokenCall, TokenSource, bind, token_source
from .auth.tokens import Grant
from .journal import Journal, MemoryJournal, PurchaseRecord, SpendingLimit
from .limiter.local import RateLimiter
from .limiter.registry import Limiter
from .models import (
    ActiveNumber,
    ActiveNumbersPage,
    AvailableNumber,
    AvailableNumbers,
    CountrySearch,
    Location,
    NumberPool,
    Purchase,
    PurchaseOrder,
    RateLimitStatus,
)

if TYPE_CHECKING:
    from ._wire.requests import Request
    from ._wire.responses import Response

_DEFAULT_NUMBER_TYPES = ("local", "tollFree")
_PAYMENT = {"payment_intent_id", "stripe_account_id", "payment_method_id"}


class LCPhoneClient:
    """A client of the LC Phone API.

    - `token`: a private integration token, a location's access token, a token source such as
      `OAuthTokens` or `AgencyTokens`, or an async function that gives a location's token.
    - `base_url`: where the service is; the token is sent nowhere else.
    - `allow_http`: permits a `base_url` with `http://` that is not on this machine.
    - `api_version`: `v3` or `2021-07-28`.
    - `session`: an `aiohttp.ClientSession` to send through (for its proxy, connector or trace
      configs, which hear of no chunks of a body); it stays open, and must add no `Authorization` of
      its own, nor find one in a `.netrc` (with `trust_env`): aiohttp raises `ValueError` then.
      Without one the client makes its own, which keeps no cookies, and closes it.
    - `limiter`: the budget, a `RateLimiter` or a `RedisRateLimiter`; without one `RateLimiter()`,
      which begins with the documented 100 requests in 10 s for each location, and follows what
      the service says.
    - `retry`: when to try again; without one `RetryPolicy()`.
    - `timeout`: of one attempt, in seconds or as an `aiohttp.ClientTimeout`; without one 60 s
      in all and 10 s to connect. A token source of your own may take as long. A call as a whole,
      with its waits and its further attempts, is bounded by an `asyncio.timeout` around it.
    - `max_body_size`: bytes that a response may have once it is unpacked; 64 MiB unless told
      otherwise. A larger one is not read to its end: `AnswerTooLargeError`.
    - `journal`: where purchases are kept, such as a `PurchaseJournal`; without one in memory.
    - `trust_env`: use the proxies and the CAs that `HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY` and
      `SSL_CERT_FILE` name (`docs/proxies.md`).
    - `spending_limit`: a `SpendingLimit` on the purchases in the journal; none unless given.

    Use it on one event loop, as an async context manager, or `await client.close()` at the end.
    Every call raises `LCPhoneError` for what goes wrong on the way (`lcphone_async.errors` draws
    the tree). A bad argument raises `ValueError` or `TypeError` before anything is sent: what gives
    an async iterator raises it when it is called, what is awaited when it is awaited.
    """

    def __init__(
        self,
        token: str | TokenSource | TokenCall,
        *,
        base_url: str = requests.BASE_URL,
        api_version: checks.ApiVersion = "v3",
        session: aiohttp.ClientSession | None = None,
        limiter: Limiter | None = None,
        retry: RetryPolicy | None = None,
        timeout: float | aiohttp.ClientTimeout | None = None,
        max_body_size: int = 64 * 2**20,
        journal: Journal | None = None,
        spending_limit: SpendingLimit | None = None,
        allow_http: bool = False,
        trust_env: bool = False,
    ) -> None:
        from ._http.transport import Transport
        from ._purchases.intention import GuardedJournal
        from ._purchases.purchase import Purchases

        import_all()
        policy = RetryPolicy() if retry is None else checks.instance("retry", retry, RetryPolicy)
        budgets = RateLimiter() if limiter is None else checks.limiter("limiter", limiter)
        kept = MemoryJournal() if journal is None else checks.journal("journal", journal)
        if spending_limit is not None:
            checks.instance("spending_limit", spending_limit, SpendingLimit)
        source = token_source(token)
        self._transport = Transport(
            base_url,
            api_version,
            session,
            timeout,
            max_body_size=max_body_size,
            allow_http=allow_http,
            trust_env=trust_env,
        )
        self._calls = Calls(source, self._transport, budgets, policy)
        self._tokens = ClientTokenService.over(self._calls, self._transport)
        bind(source, self._tokens)
        self._purchases = Purchases(
            self._calls, GuardedJournal(kept), policy.confirm_timeout, spending_limit
        )

    @classmethod
    def from_env(cls, **options: Unpack[ClientOptions]) -> Self:
        """A client from `LCPHONE_TOKEN`, `LCPHONE_BASE_URL` and `LCPHONE_API_VERSION`.

        `options` are the constructor's and go before the environment. Raises `ValueError` if
        there is no token.
        """
        names = ("token", "base_url", "api_version")
        from_env = {name: os.environ.get(f"LCPHONE_{name.upper()}") for name in names}
        given: dict[str, Any] = {name: value for name, value in from_env.items() if value}
        given |= options
        if "token" not in given:
            raise ValueError("LCPHONE_TOKEN is not set in the environment")
        return cls(**given)

    def active_numbers(
        self,
        location_id: str,
        *,
        page_size: int = checks.MAX_PAGE_SIZE,
        search_filter: str | None = None,
        skip_number_pool: bool | None = None,
        include_rcs_sender_ids: bool | None = None,
        prefetch: int | None = None,
    ) -> AsyncGenerator[ActiveNumber, None]:
        """Every active number of a location, each once, in the service's order.

        Takes the arguments of `active_number_pages` and raises what it raises. To leave early,
        wrap it in `contextlib.aclosing`, and what is being fetched ahead ends at once.
        """
        return numbers_of(
            self.active_number_pages(
                location_id,
                page_size=page_size,
                search_filter=search_filter,
                skip_number_pool=skip_number_pool,
                include_rcs_sender_ids=include_rcs_sender_ids,
                prefetch=prefetch,
            )
        )

    def active_number_pages(
        self,
        location_id: str,
        *,
        page_size: int = checks.MAX_PAGE_SIZE,
        search_filter: str | None = None,
        skip_number_pool: bool | None = None,
        include_rcs_sender_ids: bool | None = None,
        prefetch: int | None = None,
    ) -> AsyncGenerator[ActiveNumbersPage, None]:
        """Every page of a location's active numbers, in order, without a number twice.

        - `page_size`: numbers a page, 1 to 1000.
        - `search_filter`: a part of the number, such as `+91`.
        - `skip_number_pool`: `False` to include the numbers in pools; the service's default
          leaves them out.
        - `prefetch`: pages to fetch ahead; without it as many as come in while one is used, as
          far as the budget and the connections allow, at most 16 of a list of more than 100 pages,
          and only a few where the service does not say how many there are.

        `None` leaves a parameter to the service. Raises `RepeatedPageError` if the service keeps
        giving the same page, and `IncompleteListError`, after all numbers were handed out, if
        there were fewer than it had promised.
        """
        _, pages = self._walk_active_numbers(
            location_id,
            page_size=page_size,
            search_filter=search_filter,
            skip_number_pool=skip_number_pool,
            include_rcs_sender_ids=include_rcs_sender_ids,
            prefetch=prefetch,
        )
        return pages

    def _walk_active_numbers(
        self,
        location_id: str,
        *,
        page_size: int = checks.MAX_PAGE_SIZE,
        search_filter: str | None = None,
        skip_number_pool: bool | None = None,
        include_rcs_sender_ids: bool | None = None,
        prefetch: int | None = None,
    ) -> tuple[Walk, AsyncGenerator[ActiveNumbersPage, None]]:
        """The pages, and what is known of the walk as it goes."""

        def request(page: int, page_size: int) -> Request:
            return requests.active_numbers(
                location_id,
                page=page,
                page_size=page_size,
                search_filter=search_filter,
                skip_number_pool=skip_number_pool,
                include_rcs_sender_ids=include_rcs_sender_ids,
            )

        walk = Walk(request(0, page_size).path, page_size)
        if prefetch is not None:
            fixed = checks.whole_number("prefetch", prefetch, 0)
            return walk, walk_pages(self._send, request, walk, lambda _: fixed)
        most = partial(self._calls.most_at_once, location_id)
        pages = walk_pages(self._send, request, walk, lambda pace: min(most(), pace.pages))
        return walk, pages

    async def active_numbers_page(
        self,
        location_id: str,
        *,
        page: int = 0,
        page_size: int = 50,
        search_filter: str | None = None,
        skip_number_pool: bool | None = None,
        include_rcs_sender_ids: bool | None = None,
    ) -> ActiveNumbersPage:
        """One page of a location's active numbers, counted from 0, just as the service gives it."""
        request = requests.active_numbers(
            location_id,
            page=page,
            page_size=page_size,
            search_filter=search_filter,
            skip_number_pool=skip_number_pool,
            include_rcs_sender_ids=include_rcs_sender_ids,
        )
        response = await self._calls.send(request)
        return await decoded(_wire.responses.active_numbers, request, response, page)

    async def search_available(
        self,
        location_id: str,
        country_code: str,
        *,
        number_types: Iterable[str] | None = _DEFAULT_NUMBER_TYPES,
        first_part: str | None = None,
        last_part: str | None = None,
        anywhere: str | None = None,
        sms_enabled: bool | None = None,
        mms_enabled: bool | None = None,
        voice_enabled: bool | None = None,
    ) -> AvailableNumbers:
        """Numbers of one country that can be bought, about 30 at the most.

        - `country_code`: ISO 3166-1 alpha-2, such as `GB`.
        - `number_types`: of `local`, `tollFree` and `mobile`; without any the service was seen
          to answer with an empty list.
        - `first_part`, `last_part`, `anywhere`: digits of the national number. A calling code is
          taken off `first_part` if it is the country's, else it raises `ValueError`.
        - `sms_enabled`, `mms_enabled`, `voice_enabled`: what it must be able to do.
        """
        request = requests.available_numbers(
            location_id,
            country_code,
            number_types=number_types,
            first_part=first_part,
            last_part=last_part,
            anywhere=anywhere,
            sms_enabled=sms_enabled,
            mms_enabled=mms_enabled,
            voice_enabled=voice_enabled,
        )
        return await self._available_numbers(request)

    async def find_available(
        self, location_id: str, phone_number: str, *, country_code: str | None = None
    ) -> AvailableNumbers:
        """Searches one number, with its price and the fingerprint that a purchase takes.

        - `phone_number`: in E.164 format.
        - `country_code`: ISO 3166-1 alpha-2; without it the one that the number belongs to.

        Raises `NumberUnavailableError` if the number is not for sale, and `ValueError` if its
        country is not known.
        """
        from ._purchases.listing import find_available

        number = checks.e164("phone_number", phone_number)
        country = checks.country_of(number) if country_code is None else country_code
        if country is None:
            raise ValueError("the country of this number is not known: pass its country_code")
        return await find_available(self._calls, location_id, number, country)

    def search_countries(
        self,
        location_id: str,
        country_codes: Iterable[str],
        *,
        concurrency: int = 10,
        number_types: Iterable[str] | None = _DEFAULT_NUMBER_TYPES,
        first_part: str | None = None,
        last_part: str | None = None,
        anywhere: str | None = None,
        sms_enabled: bool | None = None,
        mms_enabled: bool | None = None,
        voice_enabled: bool | None = None,
    ) -> AsyncGenerator[CountrySearch, None]:
        """The searches of several countries side by side, each as it completes.

        A country that is named twice is searched once; one that fails gives its error and the
        others go on. `concurrency` is how many run at once; the other arguments are those of
        `search_available`. A `first_part` with `+` must suit each of the countries.
        """
        searches = requests_by_country(
            location_id,
            country_codes,
            number_types=number_types,
            first_part=first_part,
            last_part=last_part,
            anywhere=anywhere,
            sms_enabled=sms_enabled,
            mms_enabled=mms_enabled,
            voice_enabled=voice_enabled,
        )
        most = checks.whole_number("concurrency", concurrency, 1)
        return search_side_by_side(searches, self._available_numbers, most)

    async def purchase(
        self,
        location_id: str,
        number: AvailableNumber | str,
        *,
        fingerprint_id: str | None = None,
        country_code: str | None = None,
        number_type: str | None = None,
        address_sid: str | None = None,
        bundle_sid: str | None = None,
        locality: str | None = None,
        region: str | None = None,
        payment_intent_id: str | None = None,
        stripe_account_id: str | None = None,
        payment_method_id: str | None = None,
        skip_location_kyc: bool | None = None,
        max_price: Decimal | int | None = None,
        reference: str | None = None,
        dry_run: bool = False,
    ) -> Purchase:
        """Buys one number for a location. This spends money.

        - `number`: one that a search found, which fills in its country, type, locality and
          region, or any number in E.164 format.
        - `fingerprint_id`: that of the search's result.
        - `max_price`: a limit on the price that the search gave, a `Decimal` or an `int` in the
          price's own currency.
        - `reference`: free text of yours, such as an order or a chat, kept in the journal. Tasks
          that buy the same number for the same reference share one purchase.
        - `dry_run`: check all that can be checked without spending, and buy nothing.

        If no clear response comes, or the service refuses, the number is looked for in the list, as
        a proxy may have sent the request twice; a purchase that is found there is returned as
        confirmed by reading back. No other number is ever bought in the number's place.

        Raises `NumberAlreadyOwnedError` if the location has the number, `NumberUnavailableError`
        if it is gone, `PriceTooHighError` if it costs more than `max_price` or has no price,
        `SpendingLimitError` if the client's limit does not admit it, `PurchaseInProgressError` if
        the journal holds an open purchase of it, `JournalUnavailableError` if the journal failed
        before anything was sent, and `PurchaseOutcomeUnknownError` if the number may be bought or
        not: then `reconcile` finds out.
        """
        # In their place, so that they are not among the locals of a traceback.
        payment_intent_id = secret_text("payment_intent_id", payment_intent_id)
        stripe_account_id = secret_text("stripe_account_id", stripe_account_id)
        payment_method_id = secret_text("payment_method_id", payment_method_id)
        request = requests.purchase(
            location_id,
            number,
            country_code=country_code,
            number_type=number_type,
            locality=locality,
            region=region,
            skip_location_kyc=skip_location_kyc,
            max_price=max_price,
            fingerprint_id=fingerprint_id,
            address_sid=address_sid,
            bundle_sid=bundle_sid,
            payment_intent_id=payment_intent_id,
            stripe_account_id=stripe_account_id,
            payment_method_id=payment_method_id,
        )
        from ._purchases.purchase import Wanted

        said = checks.optional_text("reference", reference)
        wanted = Wanted(request, *requests.price_of(number), said)
        if not checks.switch("dry_run", dry_run):
            return await self._purchases.buy(wanted)
        await self._purchases.check(wanted)
        await self._purchases.check_spending(wanted)
        await self._purchases.check_not_owned(wanted)
        country = (request.json or {}).get("countryCode") or checks.country_of(request.phone_number)
        if country is not None:
            await self.find_available(location_id, request.phone_number, country_code=country)
        return Purchase(request.phone_number, location_id, confirmed_by="dry run")

    async def purchase_many(
        self,
        location_id: str,
        offers: Iterable[AvailableNumbers | AvailableNumber | str],
        *,
        count: int,
        max_price: Decimal | int | None = None,
        order_id: str | None = None,
        reference: str | None = None,
        **options: Unpack[PurchaseOptions],
    ) -> PurchaseOrder:
        """Buys `count` of the numbers that are offered, in their order. This spends money.

        - `offers`: results of searches, or single numbers. A number that is gone, owned already
          or above `max_price` is passed over for the next of these, never for any other.
        - `order_id`: a name of your own. After a crash, call `reconcile`, then this again with
          the same name and offers: what the client's journal holds of the order counts. One call
          at a time may work on an order.
        - `reference`: free text of yours, kept in the journal with each purchase.
        - `options`: the other arguments of `purchase`, the same for each number.

        An error that concerns more than one number ends it and is given with what was bought.
        """
        wanted = checks.whole_number("count", count, 1)
        order = None if order_id is None else checks.identifier("order_id", order_id)
        checks.path_part("location_id", location_id)
        checks.price("max_price", max_price)
        said = checks.optional_text("reference", reference)
        given = cast("dict[str, Any]", options)
        given |= {name: secret_text(name, given[name]) for name in _PAYMENT & given.keys()}
        from ._purchases.order import fill_order, offered

        numbers = checks.several("offers", offers)
        purchases = offered(location_id, numbers, max_price, said, given)
        return await fill_order(
            self._purchases, location_id, *purchases, count=wanted, order_id=order
        )

    async def reconcile(
        self, journal: Journal | None = None, *, min_age: float = 300.0
    ) -> list[PurchaseRecord]:
        """Finds out what became of the open purchases of a journal; the client's own by default.

        Call it when a program starts that may have been killed, and after a purchase that was
        cancelled or of unknown outcome. It returns each purchase once that turned out to be
        bought, or not bought: not in the list, and sent more than `min_age` seconds ago. It
        returns each time a purchase that may still arrive (`is_open`). It leaves out what a
        living process is making, for which it watches the journal for a few seconds. A purchase
        that the service refused is returned only if it turned out to be bought.

        Raises `JournalUnavailableError` if the journal fails.
        """
        from ._purchases.intention import GuardedJournal
        from ._purchases.reconcile import reconcile

        age = checks.seconds("min_age", min_age, zero=True)
        kept = self._purchases.journal
        if journal is not None:
            kept = GuardedJournal(checks.journal("journal", journal))
        return await reconcile(self._calls, kept, self._purchases.own, age)

    async def number_pools(self, location_id: str) -> list[NumberPool]:
        """The number pools of a location."""
        request = requests.number_pools(location_id)
        response = await self._calls.send(request)
        return await decoded(_wire.responses.number_pools, request, response)

    def locations(
        self,
        company_id: str,
        app_id: str,
        *,
        query: str | None = None,
        is_installed: bool | None = True,
        location_id: str | None = None,
        version_id: str | None = None,
        plan_id: str | None = None,
        on_trial: bool | None = None,
        restrict_to_user_locations: bool | None = None,
        page_size: int = 100,
    ) -> AsyncGenerator[Location, None]:
        """Every location of an agency where the app is installed, each once.

        It wants a token of the agency, such as `AgencyTokens` have.

        - `query`: a part of the location's name.
        - `is_installed`: `False` for the locations without the app.
        - `location_id`, `version_id`, `plan_id`, `on_trial`: one location, one version of the app,
          one plan, or those on trial.
        - `restrict_to_user_locations`: only those that the token's user may see; v3 alone.
        - `page_size`: locations a page, 1 to 100.

        Raises `RepeatedPageError` if the service keeps giving the same page, and
        `IncompleteListError`, after all were handed out, if the service said that there are more.
        """
        filters = token_requests.locations(
            self._transport.api_version,
            company_id,
            app_id,
            query=query,
            is_installed=is_installed,
            location_id=location_id,
            version_id=version_id,
            plan_id=plan_id,
            on_trial=on_trial,
            restrict_to_user_locations=restrict_to_user_locations,
            page_size=page_size,
        )
        return walk_locations(self._send, filters)

    async def exchange_code(
        self,
        code: str,
        *,
        client_id: str,
        client_secret: str,
        redirect_uri: str | None = None,
        user_type: str | None = None,
    ) -> Grant:
        """The first tokens of an installation, for the code that its authorization gave.

        Give the refresh token to `OAuthTokens` at once, with a store: it is the only copy.

        - `client_id`, `client_secret`: the app's. The client's own token is not used.
        - `redirect_uri`: the one that the authorization was asked for with.
        - `user_type`: `Company` for the tokens of an agency, or `Location`.
        """
        client_id = checks.identifier("client_id", client_id)
        # In their place, so that they are not among the locals of a traceback either.
        client_secret = Secret(checks.identifier("client_secret", client_secret))
        code = Secret(checks.identifier("code", code))
        redirect_uri = checks.optional_text("redirect_uri", redirect_uri)
        user_type = checks.optional_text("user_type", user_type)
        return await self._tokens.exchange(
            client_id, client_secret, code, redirect_uri=redirect_uri, user_type=user_type
        )

    def rate_limit(self, location_id: str) -> RateLimitStatus:
        """What the service's last response said of a location's limits; empty before the first."""
        return self._calls.rate_limit(checks.identifier("location_id", location_id))

    async def close(self) -> None:
        """Ends the calls that are under way with `ClientClosedError`, and closes the session.

        It may be called more than once. A session that the caller passed stays open. A refresh of
        tokens that is under way has up to 15 seconds, since its response must not be lost, and 5 if
        the caller is cancelled, such as by Ctrl-C or a timeout.
        """
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._transport.close)
            stack.push_async_callback(self._tokens.close)
            await self._calls.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    def __del__(self) -> None:
        calls = getattr(self, "_calls", None)  # none where the constructor raised
        if calls is not None and calls.is_open:
            what = f"unclosed {self!r}: use it in `async with`, or await its close()"
            warnings.warn(what, ResourceWarning, source=self, stacklevel=2)

    async def _send(self, request: Request) -> Response:
        """The response to a request of a walk, which keeps its client: token sources need that."""
        return await self._calls.send(request)

    async def _available_numbers(self, request: Request) -> AvailableNumbers:
        response = await self._calls.send(request)
        return await decoded(_wire.responses.available_numbers, request, response)
