"""The journal of a client that has no other."""

from __future__ import annotations

from ..errors import NumberAlreadyOwnedError, PurchaseInProgressError
from .records import Past, PurchaseRecord, PurchaseState, SpendingLimit

# A client that never reconciles keeps so many refused purchases, the newest.
_MOST_REFUSED = 1000


class MemoryJournal:
    """The purchases of one client that are not final or were made, for as long as it lives."""

    def __init__(self) -> None:
        self._records: dict[str, PurchaseRecord] = {}
        self._open: dict[tuple[str, str], str] = {}
        self._bought: dict[tuple[str, str], list[str]] = {}
        self._refused: dict[tuple[str, str], str] = {}

    async def past(self, location_id: str, phone_number: str) -> Past:
        """Returns what is known of the number."""
        key = (location_id, phone_number)
        return Past(key in self._open, self._last_bought(key))

    async def begin(
        self, record: PurchaseRecord, past: Past, limit: SpendingLimit | None = None
    ) -> None:
        """Keeps a purchase before it is sent, each time."""
        key = (record.location_id, record.phone_number)
        if self._open.get(key, record.id) != record.id:
            raise PurchaseInProgressError(*key)
        last = self._last_bought(key)
        if (last and last.id) != (past.bought and past.bought.id):
            raise NumberAlreadyOwnedError(*key)
        if limit is not None:
            limit.check(record, limit.spent(self._records.values(), but=record.id))
        refused = self._records.get(self._refused.get(key, ""))
        if refused is not None and refused.id != record.id:
            self._keep(refused.renewed())  # no reconcile may close it by what its list shows now
        self._keep(record)

    async def replace(self, old: PurchaseRecord, new: PurchaseRecord) -> bool:
        """Keeps `new` if it holds the version of `old`; forgets a purchase that was not made."""
        kept = self._records.get(old.id)
        other = self._open.get((new.location_id, new.phone_number), new.id)
        if kept is None or kept.version != old.version or (new.is_open and other != new.id):
            return False
        self._keep(new)
        return True

    async def records(self) -> list[PurchaseRecord]:
        """Returns the purchases that are not final or were made, oldest first."""
        return sorted(self._records.values(), key=lambda record: record.sent_at)

    def _last_bought(self, key: tuple[str, str]) -> PurchaseRecord | None:
        bought = self._bought.get(key)
        return self._records[bought[-1]] if bought else None

    def _keep(self, record: PurchaseRecord) -> None:
        self._forget(record.id)
        key = (record.location_id, record.phone_number)
        if record.state == PurchaseState.NOT_BOUGHT:
            return
        self._records[record.id] = record
        if record.is_open:
            self._open[key] = record.id
        elif record.state == PurchaseState.REFUSED:
            self._refused[key] = record.id
            if len(self._refused) > _MOST_REFUSED:
                self._forget(next(iter(self._refused.values())))
        else:
            self._bought.setdefault(key, []).append(record.id)

    def _forget(self, record_id: str | None) -> None:
        record = self._records.pop(record_id or "", None)
        if record is None:
            return
        key = (record.location_id, record.phone_number)
        for ids in (self._open, self._refused):
            if ids.get(key) == record.id:
                del ids[key]
        if record.id in self._bought.get(key, ()):
            self._bought[key].remove(record.id)
