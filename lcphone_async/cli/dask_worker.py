"""Client of a Dask worker: its token is in the worker's environment, its limits in Redis."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from ..auth import AgencyTokens, OAuthTokens, TokenSource
from ..client import LCPhoneClient
from ..redis import RedisRateLimiter, RedisTokenStore


def silence_dask() -> None:
    """Silences Dask's loggers: Dask logs tracebacks, and the command prints one line instead."""
    import distributed  # noqa: F401  # the import sets the levels of its loggers

    for name in ("distributed", *logging.root.manager.loggerDict):
        if name.split(".")[0] in {"distributed", "tornado"}:
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    logging.getLogger("asyncio").addFilter(_is_not_from_dask)


def _is_not_from_dask(record: logging.LogRecord) -> bool:
    """False for the exception of a task that Dask started and never awaited."""
    error = record.exc_info[0] if record.exc_info else None
    return error is None or not error.__module__.startswith("distributed")


@asynccontextmanager
async def worker_client(
    options: dict[str, Any], redis_url: str, redis_wait: float
) -> AsyncIterator[LCPhoneClient]:
    """Opens a worker's client, which shares rate limits and tokens with the other workers.

    A task contains no secrets. The worker's environment has `LCPHONE_TOKEN`, or the
    `LCPHONE_CLIENT_ID`, `LCPHONE_CLIENT_SECRET` and `LCPHONE_REFRESH_TOKEN` of an app, whose newest
    tokens are then kept in Redis; and `LCPHONE_COMPANY_ID` if the token belongs to an agency.
    """
    from redis.asyncio import Redis

    async with Redis.from_url(redis_url) as redis:
        limiter = RedisRateLimiter(redis, outage_wait=redis_wait)
        try:
            async with LCPhoneClient(_tokens(redis), limiter=limiter, **options) as opened:
                yield opened
        finally:
            await limiter.close()


def _tokens(redis: Any) -> TokenSource | str:
    company = os.environ.get("LCPHONE_COMPANY_ID")
    source: TokenSource | str | None = os.environ.get("LCPHONE_TOKEN")
    if source is None:
        client_id = os.environ.get("LCPHONE_CLIENT_ID")
        client_secret = os.environ.get("LCPHONE_CLIENT_SECRET")
        if client_id is None or client_secret is None:
            raise ValueError("a worker has neither LCPHONE_TOKEN nor LCPHONE_CLIENT_ID and _SECRET")
        source = OAuthTokens(
            client_id=client_id,
            client_secret=client_secret,
            refresh_token=os.environ.get("LCPHONE_REFRESH_TOKEN"),
            store=RedisTokenStore(redis, company or client_id),
        )
    return source if company is None else AgencyTokens(company_id=company, source=source)
