"""Budgets, journals and tokens shared by many machines, through Redis or Valkey (extra `redis`)."""

from .._internal.extras import extra

with extra("redis"):
    from .journal import RedisPurchaseJournal
    from .limiter import RedisRateLimiter
    from .tokens import RedisTokenStore

__all__ = ["RedisPurchaseJournal", "RedisRateLimiter", "RedisTokenStore"]
