"""A purchase is never made twice, and never lost: `docs/purchases.md` draws its states."""
