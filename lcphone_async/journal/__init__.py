"""The journal of purchases: durable before money is spent, reconciled afterwards."""

from .memory import MemoryJournal
from .records import Journal, Past, PurchaseRecord, PurchaseState, SpendingLimit
from .sqlite import PurchaseJournal, read_records

__all__ = [
    "Journal",
    "MemoryJournal",
    "Past",
    "PurchaseJournal",
    "PurchaseRecord",
    "PurchaseState",
    "SpendingLimit",
    "read_records",
]
