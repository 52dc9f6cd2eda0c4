"""An event loop with a fake clock: waits take no time and are exact."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any


class _JumpingSelector(selectors.DefaultSelector):
    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0)
        if not ready and timeout is not None and timeout > 0:
            self.now += timeout
        return ready


class FakeClockLoop(asyncio.SelectorEventLoop):
    """Jumps to the next timer when idle; cannot do real I/O."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


def run(main: Coroutine[Any, Any, Any]) -> Any:
    """Returns the result of `main`, run on a fake clock that starts at 0."""
    with asyncio.Runner(loop_factory=FakeClockLoop) as runner:
        return runner.run(main)
