"""Purchases: made once and never lost. `docs/purchases.md` draws their states."""
