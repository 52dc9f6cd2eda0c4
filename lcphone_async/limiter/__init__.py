"""Rate limiters: a budget of requests for each location, never overdrawn.

`RateLimiter` is for one process; `lcphone_async.redis.RedisRateLimiter` shares its budgets.
"""

from typing import TYPE_CHECKING

from .._internal.lazy import exports

if TYPE_CHECKING:
    from .local import RateLimiter
    from .queue import bulk
    from .registry import Limiter, Slot

__all__ = ["Limiter", "RateLimiter", "Slot", "bulk"]

if not TYPE_CHECKING:  # with it, a type checker takes any name
    __getattr__ = exports(
        __name__, local=("RateLimiter",), queue=("bulk",), registry=("Limiter", "Slot")
    )
