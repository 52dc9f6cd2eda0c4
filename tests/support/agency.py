"""A local service of a few locations whose numbers and pools a test defines one by one."""

from collections.abc import Callable
from contextlib import asynccontextmanager

from aiohttp import web
from attrs import define, field


def number(phone_number, **changes):
    """A number as v3 lists it, without any finding."""
    return {
        "phoneNumber": phone_number,
        "friendlyName": "Front desk",
        "sid": f"PN{phone_number}",
        "countryCode": "US",
        "capabilities": {"voice": True, "sms": True, "mms": True, "fax": False},
        "type": "local",
        "isDefaultNumber": False,
        "linkedUser": "user-1",
        "linkedRingAllUsers": [],
        "inboundCallService": None,
        "forwardingNumber": "",
        "isGroupConversationEnabled": False,
        "addressSid": None,
        "bundleSid": None,
        "dateAdded": "2026-02-23T22:00:52.000Z",
        "dateUpdated": "2026-02-24T22:00:52.000Z",
        "origin": "twilio",
        **changes,
    }


def pool(pool_id, *phone_numbers, **changes):
    """A pool as the 2021-07-28 document lists it."""
    return {
        "id": pool_id,
        "name": f"Pool {pool_id}",
        "numbers": [{"phoneNumber": one, "friendlyName": one} for one in phone_numbers],
        "forwardingNumber": None,
        "whisper": False,
        "whisperMessage": "",
        "callRecording": False,
        "isActive": True,
        "inboundCallService": None,
        **changes,
    }


@define
class Place:
    """A location and its numbers."""

    numbers: list = field(factory=list)
    pools: list = field(factory=list)
    status: str = "active"
    senders: list | None = field(factory=list)
    """`None` if the list has no such field."""


@define
class Agency:
    """The locations by id; `errors` maps a location to the status of its errors."""

    places: dict = field(factory=dict)
    errors: dict = field(factory=dict)
    pool_errors: dict = field(factory=dict)
    """The statuses of locations whose pools fail, but not their lists."""
    pool_bodies: dict = field(factory=dict)
    """The bodies of errors, if not the usual one."""
    bodies: dict = field(factory=dict)
    skipped_pools: list = field(factory=list)
    """The `skipNumberPool` of each request for a list."""
    requests: list = field(factory=list)
    """The requests: a location with a page, a search, or `pools`."""
    on_page: Callable = lambda *_: None
    """Called with the location and the page number before a page is served."""
    search_errors: dict = field(factory=dict)
    unlisted: set = field(factory=set)
    """Numbers that only a search returns."""
    filters: bool = True
    """Whether `searchFilter` has an effect."""
    tells_total: bool = True
    is_flat: bool = False
    """Whether responses follow the 2021-07-28 contract and leave out false flags."""
    hidden: int = 0
    """The count of numbers that `total` includes but no page lists."""
    url: str = ""

    @asynccontextmanager
    async def serving(self):
        app = web.Application()
        app.router.add_get("/phone-system/numbers/location/{id}", self._numbers)
        app.router.add_get("/phone-system/number-pools", self._pools)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await runner.cleanup()

    async def _numbers(self, request):
        place_id = request.match_info["id"]
        page, size = int(request.query["page"]), int(request.query["pageSize"])
        wanted = request.query.get("searchFilter", "")
        self.requests.append((place_id, wanted or page))
        if not wanted:
            self.on_page(place_id, page)
        if status := self.errors.get(place_id):
            return _refusal(status, self.bodies.get(place_id))
        place = self.places[place_id]
        self.skipped_pools.append(request.query["skipNumberPool"])
        if wanted and (status := self.search_errors.get(place_id)):
            return _refusal(status)
        sought = wanted if self.filters else ""
        listed = [
            each
            for each in place.numbers
            if sought in each["phoneNumber"]
            and (sought or each["phoneNumber"] not in self.unlisted)
        ]
        data = {
            "numbers": listed[page * size : (page + 1) * size],
            "isUnderLc": True,
            "pageSize": size,
            "page": page,
            "accountStatus": place.status,
            "total": len(listed) + self.hidden,
            "rcsSenderIds": place.senders,
        }
        if not self.tells_total:
            del data["total"]
        if place.senders is None:
            del data["rcsSenderIds"]
        if self.is_flat:
            listed = ({k: v for k, v in one.items() if v is not False} for one in data["numbers"])
            flat = {"numbers": list(listed), "isUnderGhl": True, "pageSize": size, "page": page}
            return web.json_response({**flat, "accountStatus": place.status})
        return web.json_response(
            {"status": "success", "data": data, "message": "OK", "statusCode": 200}
        )

    async def _pools(self, request):
        place_id = request.query["locationId"]
        self.requests.append((place_id, "pools"))
        if status := self.errors.get(place_id) or self.pool_errors.get(place_id):
            body = self.bodies.get(place_id) or self.pool_bodies.get(place_id)
            return _refusal(status, body)
        pools = self.places[place_id].pools
        return web.json_response({"success": True, "data": pools, "total": len(pools)})


def _refusal(status, body=None):
    message = "Phone system is not connected to this account" if status == 404 else "refused"
    return web.json_response(body or {"message": message, "statusCode": status}, status=status)
