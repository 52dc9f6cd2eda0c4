"""A bot's command and its test, with the fixture that comes with the package and a fault."""

import asyncio

from lcphone_async import LCPhoneClient, LCPhoneError, RetryPolicy
from lcphone_async.sandbox import Fault


async def offers(client: LCPhoneClient, location_id: str, country: str) -> str:
    """What the bot answers to `!offers US`."""
    try:
        found = await client.search_available(location_id, country)
    except LCPhoneError:
        return "The phone service does not answer, try again later."
    return "\n".join(number.phone_number for number in found.numbers[:5]) or "Nothing for sale."


def test_the_bot_says_so_when_the_service_is_down(lcphone_sandbox):
    async def ask():
        options = {"base_url": lcphone_sandbox.url, "retry": RetryPolicy(max_tries=1)}
        async with LCPhoneClient("any", **options) as client:
            return await offers(client, "any", "US")

    assert asyncio.run(ask()).startswith("+1")
    lcphone_sandbox.faults.append(Fault(operation="available", status=503))
    assert "try again later" in asyncio.run(ask())
