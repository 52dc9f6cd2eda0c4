"""The arguments that are handed on as `**options`, with their types."""

from __future__ import annotations

from typing import TypedDict

from .._internal.checks import ApiVersion
from .._internal.lazy import aiohttp
from ..auth.sources import TokenCall, TokenSource
from ..journal import Journal, SpendingLimit
from ..limiter.registry import Limiter
from .retry import RetryPolicy


class ClientOptions(TypedDict, total=False):
    """The arguments of `LCPhoneClient`."""

    token: str | TokenSource | TokenCall
    base_url: str
    api_version: ApiVersion
    session: aiohttp.ClientSession | None
    limiter: Limiter | None
    retry: RetryPolicy | None
    timeout: float | aiohttp.ClientTimeout | None
    max_body_size: int
    journal: Journal | None
    spending_limit: SpendingLimit | None
    allow_http: bool
    trust_env: bool


class PurchaseOptions(TypedDict, total=False):
    """The arguments of `LCPhoneClient.purchase` that may be the same for several numbers."""

    fingerprint_id: str | None
    country_code: str | None
    number_type: str | None
    address_sid: str | None
    bundle_sid: str | None
    locality: str | None
    region: str | None
    payment_intent_id: str | None
    stripe_account_id: str | None
    payment_method_id: str | None
    skip_location_kyc: bool | None
