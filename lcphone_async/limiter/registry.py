"""The limiter protocols, and the registry of each key's window."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar

from ..models import RateLimitStatus
from .budget import Budget

_FIRST_SWEEP = 64


class Slot(Protocol):
    """Room for one request, once it is entered and until a period after it is left."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

    def learn(self, status: RateLimitStatus, *, refused: bool = False) -> None:
        """Takes in what the answer's headers said, and whether it was a refusal (429)."""


class Limiter(Protocol):
    """The budgets of many keys: `RateLimiter`, `RedisRateLimiter`, or one of your own."""

    @property
    def max_requests(self) -> int:
        """How many requests of one key may be under way at once."""
        ...

    def slot(self, key: str, *, learns: bool = False) -> Slot:
        """An async context manager around one request of `key`; entering it waits for room."""
        ...

    def status(self, key: str) -> RateLimitStatus:
        """What the service last said of the key's limits."""
        ...


class Window(Protocol):
    """Sliding window of one key."""

    budget: Budget

    def in_use(self, now: float) -> bool:
        """Return True if its state is still needed."""
        ...


W = TypeVar("W", bound=Window)


class WindowRegistry(Generic[W]):
    """Creates each key's window at its first use.

    Idle windows are dropped each time the number of windows has doubled, so that memory follows
    the keys in use and the cost per new key stays constant.
    """

    def __init__(self, make: Callable[[str], W], budget: Budget) -> None:
        self._make = make
        self.latest: Budget = budget
        """What the limiter as a whole goes by: what is given or, if that may rise, the budget
        whose limit an answer told last."""
        self._by_key: dict[str, W] = {}
        self._sweep_at = _FIRST_SWEEP

    def __len__(self) -> int:
        return len(self._by_key)

    def __iter__(self) -> Iterator[W]:
        return iter(self._by_key.values())

    def of(self, key: str) -> W:
        """Return the key's window."""
        window = self._by_key.get(_checked(key))
        if window is None:
            self._sweep()
            window = self._by_key[key] = self._make(key)
        return window

    def learned(self, budget: Budget) -> None:
        """Notes that an answer told of this budget."""
        if budget.told is not None and not budget.is_ceiling:
            self.latest = budget

    def status(self, key: str) -> RateLimitStatus:
        """What the service last said of the key's limits."""
        window = self._by_key.get(_checked(key))
        return RateLimitStatus() if window is None else window.budget.status(_now())

    def _sweep(self) -> None:
        if len(self._by_key) < self._sweep_at:
            return
        now = asyncio.get_running_loop().time()
        self._by_key = {key: window for key, window in self._by_key.items() if window.in_use(now)}
        self._sweep_at = max(_FIRST_SWEEP, 2 * len(self._by_key))


def _now() -> float:
    try:
        return asyncio.get_running_loop().time()
    except RuntimeError:  # a status may be asked for when no event loop runs: theirs is this clock
        return time.monotonic()


def _checked(key: object) -> str:
    if not isinstance(key, str):
        raise TypeError(f"key must be a string, not {type(key).__name__}")
    return key
