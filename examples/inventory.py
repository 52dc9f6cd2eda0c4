"""Every number of several locations as CSV, side by side, and one bad location stops no other.

LCPHONE_TOKEN=… python examples/inventory.py LOCATION_ID … > numbers.csv
"""

import asyncio
import csv
import sys

from lcphone_async import LCPhoneClient, LCPhoneError, bulk

FIELDS = ("phone_number", "type", "country_code", "linked_user", "forwarding_number", "date_added")


async def export(client: LCPhoneClient, location_id: str, at_once: asyncio.Semaphore) -> None:
    """Writes the numbers of one location, those in pools included."""
    table = csv.writer(sys.stdout)
    async with at_once:
        try:
            async for page in client.active_number_pages(location_id, skip_number_pool=False):
                for number in page.numbers:
                    table.writerow([location_id, *(getattr(number, name) for name in FIELDS)])
        except LCPhoneError as error:
            print(f"{location_id} is not complete: {error}", file=sys.stderr)


async def main(location_ids: list[str]) -> None:
    """Ten locations at a time; each has a budget of its own."""
    csv.writer(sys.stdout).writerow(["location_id", *FIELDS])
    at_once = asyncio.Semaphore(10)
    with bulk():  # a bot that shares the limiter would go first
        async with LCPhoneClient.from_env() as client, asyncio.TaskGroup() as tasks:
            for location_id in location_ids:
                tasks.create_task(export(client, location_id, at_once))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
