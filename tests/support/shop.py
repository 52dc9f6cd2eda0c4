"""A sandbox that sells one number, the clients that buy it, and the journal of both."""

import threading
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Self

from lcphone_async import LCPhoneClient, PurchaseJournal, PurchaseRecord, PurchaseState, RetryPolicy
from lcphone_async.sandbox import Fault, Sandbox
from support.until import until

PLACE, NUMBER = "loc1", "+18305551234"

ONCE = RetryPolicy(max_tries=1, confirm_timeout=0.1)
PATIENT = RetryPolicy(max_tries=1, confirm_timeout=5)


class HeldJournal(PurchaseJournal):
    """A journal whose disk can stall or fail when a record is begun or replaced."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.hold: str | None = None
        self.reached = threading.Event()
        self.go_on = threading.Event()
        self.error: Exception | None = None

    def _begin(self, record: PurchaseRecord, *rest: Any) -> bool:
        self._disk("begin")
        return super()._begin(record, *rest)

    def _replace(self, old: PurchaseRecord, new: PurchaseRecord) -> bool:
        if new.state != PurchaseState.SENDING:  # a lease renewal does not count
            self._disk("replace")
        return super()._replace(old, new)

    def _disk(self, moment: str) -> None:
        if moment != self.hold:
            return
        if self.error is not None:
            raise self.error
        self.hold = None
        self.reached.set()
        assert self.go_on.wait(20)


class Shop:
    """One sandbox and one journal file; they are open while the `async with` block runs."""

    def __init__(self, path: Path, **options: Any) -> None:
        self.path = path
        self.sandbox = Sandbox(period=0.1, **options)  # so that a 429 passes soon

    async def __aenter__(self) -> Self:
        self._stack = AsyncExitStack()
        await self._stack.enter_async_context(self.sandbox)
        self.journal = self.journal_of_another()
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.journal.go_on.set()
        await self._stack.aclose()

    def journal_of_another(self) -> HeldJournal:
        """Opens the journal file again, as another process would."""
        journal = HeldJournal(self.path)
        self._stack.callback(journal.close)
        return journal

    def client(self, **options: Any) -> LCPhoneClient:
        """A client without retries, by default with the journal file."""
        options = {"base_url": self.sandbox.url, "retry": ONCE, "journal": self.journal, **options}
        client = LCPhoneClient("token", **options)
        self._stack.push_async_callback(client.close)
        return client

    def fails(self, *faults: Fault) -> None:
        """Replaces the sandbox's faults."""
        self.sandbox.faults.clear()
        self.sandbox.faults.extend(faults)

    @property
    def paid(self) -> list[str]:
        """The purchased numbers, from the sandbox's ledger."""
        return [entry.phone_number for entry in self.sandbox.ledger]

    @property
    def posts(self) -> int:
        """The number of POSTs that the service has processed."""
        return [record.method for record in self.sandbox.requests].count("POST")

    async def states(self) -> list[str]:
        """The state of each purchase in the journal, oldest first."""
        return [record.state.value for record in await self.journal.records()]

    async def struck(self, fault: Fault) -> None:
        """Waits until the sandbox has reached this fault."""
        await until(lambda: fault in self.sandbox.faults.struck)
