"""A bot's command and its test, with the fixtures that come with the package and a fault."""

import asyncio

from lcphone_async import LCPhoneClient, LCPhoneError
from lcphone_async.sandbox import Fault, Sandbox


async def offers(client: LCPhoneClient, location_id: str, country: str) -> str:
    """What the bot answers to `!offers US`."""
    try:
        found = await client.search_available(location_id, country)
    except LCPhoneError:
        return "The phone service does not answer, try again later."
    return "\n".join(number.phone_number for number in found.numbers[:5]) or "Nothing for sale."


def test_the_bot_says_so_when_the_service_is_down(
    lcphone_client: LCPhoneClient, lcphone_sandbox: Sandbox
) -> None:
    async def scene() -> None:
        async with lcphone_client as client:
            assert (await offers(client, "any", "US")).startswith("+1")
            lcphone_sandbox.faults.append(Fault(operation="available", status=503))
            assert "try again later" in await offers(client, "any", "US")

    asyncio.run(scene())
