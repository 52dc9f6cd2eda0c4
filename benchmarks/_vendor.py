"""The vendor's SDK, sent to a server of ours; it gives dicts."""

from __future__ import annotations

from typing import Any

from _pages import PAGE
from highlevel import HighLevel


def vendor_client(url: str) -> HighLevel:
    """A client of the vendor's own."""
    client = HighLevel(private_integration_token="pit-token")  # noqa: S106  # of the local server
    client.http_client.base_url = url
    return client


async def vendor_page(client: HighLevel, page: int) -> dict[str, Any]:
    """One page, as the SDK reads it."""
    answer = await client.phone_system.active_numbers("location", "v3", page_size=PAGE, page=page)
    return answer["data"]
