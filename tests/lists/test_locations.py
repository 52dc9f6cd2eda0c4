"""The list of an agency's locations: complete, without duplicates, and finite."""

import pytest
from attrs import define

from lcphone_async import (
    AgencyTokens,
    AuthenticationError,
    IncompleteListError,
    LCPhoneClient,
    RepeatedPageError,
    ResponseFormatError,
    RetryPolicy,
)
from lcphone_async.sandbox import OAuthSettings, Sandbox
from support.oauth_app import APP, COMPANY
from support.raw_server import http_json

ONE_TRY = RetryPolicy(max_tries=1)


def installed(*numbers, **rest):
    return [{"_id": f"place{number}", "name": f"Place {number}", **rest} for number in numbers]


def v3_page(numbers, following=None, **paging):
    token = {} if following is None else {"nextPageToken": following}
    return http_json({"items": installed(*numbers), "pagination": {**token, **paging}})


def old_page(numbers, **rest):
    return http_json({"locations": installed(*numbers), **rest})


async def walked(raw_server, contract, *pages, **options):
    raw_server.reply(*pages)
    given = {"base_url": raw_server.url, "api_version": contract, "retry": ONE_TRY}
    async with LCPhoneClient("agency-token", **given) as client:
        return [each.id async for each in client.locations("c", "a", **options)]


async def test_every_location_once(app):
    """Yields all locations of the app, page by page, with their details."""
    source = AgencyTokens(company_id=COMPANY, source=app.tokens(app.oauth.install()))
    async with app.client(source) as client:
        found = [location async for location in client.locations(COMPANY, APP, page_size=40)]
        named = [each.id async for each in client.locations(COMPANY, APP, query="place24")]
    assert [each.id for each in found] == list(app.oauth.settings.locations)
    assert {each.is_installed for each in found} == {True}
    assert all(each.installed_at.tzinfo and each.name and each.version_id for each in found)
    assert sorted(named) == sorted(["place24", *(f"place24{digit}" for digit in range(10))])
    assert app.outcomes("location") == []


async def test_a_location_s_token(app):
    """Raises the service's refusal if the token is a location's."""
    async with app.client(app.tokens()) as client:
        with pytest.raises(AuthenticationError):
            await anext(client.locations(COMPANY, APP))


async def test_the_pages_of_v3(raw_server):
    """Follows the page tokens to the end, past short and empty pages."""
    pages = [v3_page([1, 2], "t1"), v3_page([], "t2"), v3_page([3], "t3"), v3_page([4])]
    assert await walked(raw_server, "v3", *pages) == ["place1", "place2", "place3", "place4"]
    tokens = [request.parameters.get("pageToken") for request in raw_server.requests]
    assert tokens == [None, "t1", "t2", "t3"]


async def test_v3_has_no_next_page(raw_server):
    """A short page with a false `hasNextPage` is the last, whatever token it has."""
    page = v3_page([1], "t1", hasNextPage=False, hasPrevPage=False, totalRecords=1.0)
    assert await walked(raw_server, "v3", page) == ["place1"]
    assert await walked(raw_server, "v3", v3_page([1], "t1", hasNextPage=False)) == ["place1"]


def v3_service(size, **paging):
    """A v3 list that has a next page token even after the last page, and contradicts itself."""

    def reply(request):
        start = int(request.parameters.get("pageToken", "0"))
        end = start + int(request.parameters["pageSize"])
        return v3_page(range(start, min(end, size)), str(end), **paging)

    return reply


@pytest.mark.parametrize("size", [100, 200, 250, 60])
@pytest.mark.parametrize("total", [{}, {"totalRecords": 250}, {"totalRecords": "250"}])
@pytest.mark.parametrize("has_next", [False, "false"])
async def test_v3_marks_a_full_page_as_the_last(raw_server, size, total, has_next):
    """Requests the next page if there is a token, unless the total shows that all were listed."""
    service = v3_service(size, hasNextPage=has_next, **total)
    if total and size < 250:
        with pytest.raises(IncompleteListError, match=f"{size} of 250 locations"):
            await walked(raw_server, "v3", service)
    else:
        assert len(await walked(raw_server, "v3", service)) == size


async def test_v3_marks_a_full_page_as_the_last_and_repeats_it(raw_server):
    """Raises `RepeatedPageError`, as there may be more locations."""
    with pytest.raises(RepeatedPageError):
        await walked(raw_server, "v3", v3_page(range(100), "t1", hasNextPage=False))


async def test_a_full_page_that_is_the_whole_list(raw_server):
    """Ends without another request if the total is reached."""
    page = v3_page(range(100), "t1", hasNextPage=False, totalRecords="100")
    assert len(await walked(raw_server, "v3", page)) == 100
    assert len(raw_server.requests) == 1


@pytest.mark.parametrize(
    ("says", "is_last"), [("true", False), ("True", False), ("false", True), ("FALSE", True)]
)
async def test_has_next_page_as_a_text(raw_server, says, is_last):
    """Reads `hasNextPage` as the boolean that the string spells."""
    page = v3_page(range(20), hasNextPage=says)
    if is_last:
        assert len(await walked(raw_server, "v3", page)) == 20
    else:
        with pytest.raises(IncompleteListError, match="20 of at least 21 locations"):
            await walked(raw_server, "v3", page)


@pytest.mark.parametrize("count", ["1231", 1231.0])
async def test_a_count_of_another_type(raw_server, contract, count):
    """Accepts a count that is a string or has a fraction."""
    first = {"items": installed(1, 2), "pagination": {"totalRecords": count}, "count": count}
    last = {"items": [], "pagination": {"totalRecords": count}, "count": count}
    if contract == "2021-07-28":
        del first["pagination"], last["pagination"]
    with pytest.raises(IncompleteListError, match="2 of 1231 locations"):
        await walked(raw_server, contract, http_json(first), http_json(last))


async def test_the_pages_of_2021(raw_server):
    """Advances by the received count, even if the service caps its pages."""
    pages = [old_page([1, 2], count=5), old_page([3, 4], count=5), old_page([5], count=5)]
    assert len(await walked(raw_server, "2021-07-28", *pages, page_size=3)) == 5
    assert [r.parameters["skip"] for r in raw_server.requests] == ["0", "2", "4"]


async def test_a_count_of_more_than_the_list(raw_server):
    """Raises `IncompleteListError` after the last page if `count` is higher."""
    pages = [old_page([1, 2], count=1231), old_page([], count=1231)]
    with pytest.raises(IncompleteListError) as caught:
        await walked(raw_server, "2021-07-28", *pages)
    assert (caught.value.seen, caught.value.total) == (2, 1231)
    assert str(caught.value) == (
        "GET /oauth/installedLocations: the list ended after 2 of 1231 locations "
        "(it may have changed during the walk: walk it again)"
    )


async def test_no_count(raw_server):
    """Without `count`, a page that is not full is the last."""
    pages = [old_page([1, 2]), old_page([3])]
    assert len(await walked(raw_server, "2021-07-28", *pages, page_size=2)) == 3


async def test_a_repeated_location(raw_server):
    """Yields a location once, even if the list shifts during the walk."""
    pages = [v3_page([1, 2], "t1"), v3_page([2, 3])]
    assert await walked(raw_server, "v3", *pages) == ["place1", "place2", "place3"]


async def test_locations_without_the_app(raw_server):
    """Leaves out a location whose `isInstalled` is false."""
    listed = [*installed(1), *installed(2, isInstalled=False), *installed(3, isInstalled=True)]
    page = http_json({"items": listed, "pagination": {"totalRecords": 3}})
    assert await walked(raw_server, "v3", page) == ["place1", "place3"]
    assert raw_server.request.parameters["isInstalled"] == "true"


@pytest.mark.parametrize(
    ("contract", "pages"),
    [
        ("v3", [v3_page([1, 2], "t1")]),
        ("v3", [v3_page([1], "t1"), v3_page([2], "t2"), v3_page([3], "t1")]),
        ("v3", [v3_page([1], "t1"), *(v3_page([], f"t{number}") for number in range(2, 9))]),
        ("2021-07-28", [old_page([1, 2], count=9)]),
        ("2021-07-28", [old_page([1, 2]), old_page([2, 1])]),
    ],
    ids=["same page", "a circle", "nothing new", "skip ignored", "no skip, other order"],
)
async def test_pages_that_do_not_advance(raw_server, contract, pages):
    """Raises `RepeatedPageError` instead of looping for ever."""
    with pytest.raises(RepeatedPageError):
        await walked(raw_server, contract, *pages, page_size=2)
    assert len(raw_server.requests) < 9


@pytest.mark.parametrize(
    ("paging", "total", "says"),
    [
        ({"totalRecords": 7}, 7, "2 of 7 locations"),
        ({"totalRecords": 7, "hasNextPage": False, "nextPageToken": "t1"}, 7, "2 of 7 locations"),
        ({"hasNextPage": True}, 3, "2 of at least 3 locations"),
        ({"hasNextPage": True, "nextPageToken": ""}, 3, "2 of at least 3 locations"),
        ({"hasNextPage": True, "nextPageToken": None}, 3, "2 of at least 3 locations"),
        ({"hasNextPage": True, "nextPageToken": ["t1"]}, 3, "2 of at least 3 locations"),
        ({"hasNextPage": True, "totalRecords": 7}, 7, "2 of 7 locations"),
        ({"hasNextPage": True, "totalRecords": 2}, 3, "2 of at least 3 locations"),
    ],
)
async def test_fewer_than_the_total(raw_server, paging, total, says):
    """Raises `IncompleteListError` after the last location, under v3."""
    raw_server.reply(http_json({"items": installed(1, 2), "pagination": paging}))
    found = []
    async with LCPhoneClient("agency-token", base_url=raw_server.url, retry=ONE_TRY) as client:
        with pytest.raises(IncompleteListError, match=says) as caught:
            async for each in client.locations("c", "a"):
                found.append(each.id)  # noqa: PERF401  # what came before the error counts
    assert found == ["place1", "place2"]
    assert (caught.value.seen, caught.value.total) == (2, total)
    assert caught.value.what == "locations"


async def test_a_page_token_that_is_a_number(raw_server):
    """Follows a page token that is not a string."""
    pages = [v3_page([1], 17, hasNextPage=True), v3_page([2], hasNextPage=False)]
    assert await walked(raw_server, "v3", *pages) == ["place1", "place2"]
    assert raw_server.requests[-1].parameters["pageToken"] == "17"


async def test_v3_without_pagination(raw_server):
    """Raises `IncompleteListError` only for a page as long as a service's limit may be."""
    with pytest.raises(IncompleteListError, match="20 of at least 21 locations"):
        await walked(raw_server, "v3", http_json({"items": installed(*range(20))}))
    assert len(await walked(raw_server, "v3", http_json({"items": installed(*range(7))}))) == 7


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({}, r"\$\.items"),
        ([], r"\$: expected an object"),
        ({"items": {}}, r"\$\.items: expected an array"),
        ({"locations": [{"_id": 7}]}, r"\$\.locations\[0\]\._id"),
        ({"data": {"items": [{}]}}, r"\$\.data\.items\[0\]\._id"),
    ],
)
async def test_an_invalid_list(raw_server, body, where):
    """Raises `ResponseFormatError` with the path of the invalid value."""
    with pytest.raises(ResponseFormatError, match=where):
        await walked(raw_server, "v3", http_json(body))


async def test_the_errors_of_v3(raw_server):
    """Reads the code and the message of an error that v3 wraps in `error`."""
    error = {"code": "RESOURCE_NOT_FOUND", "message": "The requested App 'a' was not found."}
    with pytest.raises(Exception, match=r"404: The requested App 'a' was not found") as caught:
        await walked(raw_server, "v3", http_json({"error": error}, 404))
    assert caught.value.error == "RESOURCE_NOT_FOUND"


@define
class Service:
    """The list of 2021-07-28, under the interpretations that a service may have."""

    with_app: int
    without_app: int = 0
    cap: int = 100
    count: str = "of the list"
    """Or `none`, `of all`, `of the page`, `too many`."""
    skip: str = "offset"
    """Or `page from 0`, `page from 1`, `ignored`."""
    filters: bool = True
    clamps: bool = False

    def __call__(self, request):
        asked = request.parameters
        everywhere = [*installed(*range(self.with_app), isInstalled=True)]
        elsewhere = range(self.with_app, self.with_app + self.without_app)
        everywhere += installed(*elsewhere, isInstalled=False)
        listed = everywhere
        if self.filters and "isInstalled" in asked:
            wanted = asked["isInstalled"] == "true"
            listed = [each for each in everywhere if each["isInstalled"] == wanted]
        if "query" in asked:
            listed = [each for each in listed if asked["query"] in each["name"]]
        size, skip = min(int(asked["limit"]), self.cap), int(asked["skip"])
        start = {
            "offset": skip,
            "page from 0": skip * size,
            "page from 1": max(skip - 1, 0) * size,
            "ignored": 0,
        }[self.skip]
        if self.clamps:
            start = min(start, (len(listed) - 1) // size * size)
        page = listed[start : start + size]
        counts = {
            "of the list": {"count": len(listed)},
            "none": {},
            "of all": {"count": len(everywhere)},
            "of the page": {"count": len(page)},
            "too many": {"count": len(listed) + 1},
        }
        return http_json({"locations": page, **counts[self.count]})


async def listed(raw_server, service, **options):
    """The number of locations that the client finds, and of the requests for them."""
    found = await walked(raw_server, "2021-07-28", service, **options)
    assert len(set(found)) == len(found)
    return len(found)


SIZES = [0, 1, 2, 7, 20, 99, 100, 101, 247, 250]
COUNTS = ["of the list", "none", "of all", "of the page"]


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("skip", ["offset", "page from 0", "page from 1"])
@pytest.mark.parametrize("cap", [100, 50, 20])
async def test_all_interpretations(raw_server, size, cap, count, skip):
    """Finds all locations, whatever `count`, the cap of a page and `skip` mean."""
    service = Service(size, cap=cap, count=count, skip=skip)
    assert await listed(raw_server, service) == size


@pytest.mark.parametrize(
    ("page_size", "clamps"),
    [(1, False), (2, False), (3, False), (10, False), (2, True), (7, True), (10, True)],
)
@pytest.mark.parametrize("skip", ["offset", "page from 0", "page from 1"])
async def test_small_pages(raw_server, page_size, skip, clamps):
    """Finds all in pages of any size, unless the first two pages of one location are equal."""
    if (page_size, skip) == (1, "page from 1"):
        with pytest.raises(RepeatedPageError):
            await listed(raw_server, Service(33, skip=skip), page_size=page_size)
        return
    service = Service(33, count="none", skip=skip, clamps=clamps)
    assert await listed(raw_server, service, page_size=page_size) == 33


@pytest.mark.parametrize("options", [{}, {"query": "Place 4"}, {"is_installed": False}])
@pytest.mark.parametrize("cap", [100, 20])
async def test_a_count_of_all_locations(raw_server, options, cap):
    """Ends without error if `count` includes all sub-accounts: 102, of which 47 have the app."""
    service = Service(47, 55, count="of all", cap=cap)
    expected = {"query": 8, "is_installed": 55}.get(next(iter(options), ""), 47)
    assert await listed(raw_server, service, **options) == expected


async def test_a_sandbox_that_counts_all(contract):
    """Ends without error over a sandbox whose `count` includes all sub-accounts."""
    places = [f"place{number}" for number in range(47)]
    app = OAuthSettings(company_id=COMPANY, app_id=APP, locations=places)
    async with Sandbox(oauth_app=app, profile="count-of-all") as sandbox:
        for number in range(55):
            sandbox.location(f"other{number}")
        token = sandbox.oauth.install().access_token
        async with LCPhoneClient(token, base_url=sandbox.url, api_version=contract) as client:
            assert [each.id async for each in client.locations(COMPANY, APP)] == places


async def test_a_list_of_all_locations(raw_server):
    """Leaves out locations without the app if the service ignores `isInstalled`."""
    assert await listed(raw_server, Service(47, 55, filters=False)) == 47


@pytest.mark.parametrize(
    "service",
    [
        Service(47, count="too many"),
        Service(47, 55, count="too many"),
        Service(47, 47, count="too many"),
        Service(47, 55, count="too many", filters=False),
        Service(0, count="too many"),
        Service(0, 3, count="too many"),
    ],
    ids=repr,
)
async def test_a_wrong_count(raw_server, service):
    """Raises `IncompleteListError` if `count` is neither the list's nor that of all."""
    with pytest.raises(IncompleteListError, match="locations"):
        await listed(raw_server, service)


@pytest.mark.parametrize("count", COUNTS)
async def test_skip_is_ignored(raw_server, count):
    """Raises `RepeatedPageError` if every page is the first one, unless it is complete."""
    with pytest.raises(RepeatedPageError):
        await listed(raw_server, Service(247, count=count, skip="ignored"))
    assert await listed(raw_server, Service(47, count=count, skip="ignored")) == 47


async def test_an_ordinary_list_takes_no_extra_requests(raw_server):
    """Sends one request per page if `count` is right."""
    assert await listed(raw_server, Service(247)) == 247
    assert len(raw_server.requests) == 3


async def test_filters(raw_server):
    """Sends the vendor's filters under their names, as strings."""
    given = {
        "query": "dental",
        "is_installed": False,
        "location_id": "loc1",
        "version_id": "v1",
        "plan_id": "p1",
        "on_trial": True,
        "restrict_to_user_locations": False,
        "page_size": 7,
    }
    await walked(raw_server, "v3", v3_page([1]), **given)
    assert raw_server.request.parameters == {
        "companyId": "c",
        "appId": "a",
        "query": "dental",
        "isInstalled": "false",
        "locationId": "loc1",
        "versionId": "v1",
        "planId": "p1",
        "onTrial": "true",
        "restrictToUserLocations": "false",
        "pageSize": "7",
    }


async def test_any_installation(raw_server):
    """With `None`, does not send `isInstalled`, and yields all that the service lists."""
    listed = [*installed(1), *installed(2, isInstalled=False), *installed(3, isInstalled=True)]
    page = http_json({"items": listed, "pagination": {"totalRecords": 3}})
    assert len(await walked(raw_server, "v3", page, is_installed=None)) == 3
    assert "isInstalled" not in raw_server.request.parameters
    assert await walked(raw_server, "v3", page, is_installed=False) == ["place1", "place2"]


async def test_a_filter_of_v3_only(raw_server):
    """Refuses a filter that the contract does not have, before anything is sent."""
    with pytest.raises(ValueError, match="restrict_to_user_locations"):
        await walked(raw_server, "2021-07-28", restrict_to_user_locations=True)
    assert not raw_server.connections


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("company_id", ""),
        ("app_id", "\n"),
        ("page_size", 101),
        ("query", 5),
        ("is_installed", "yes"),
        ("on_trial", 1),
        ("version_id", 5),
        ("plan_id", 5),
        ("location_id", 5),
        ("restrict_to_user_locations", "no"),
    ],
)
async def test_refuses_invalid_arguments(argument, value):
    """Raises `ValueError` or `TypeError`, which names the argument, before anything is sent."""
    async with LCPhoneClient("t", base_url="http://127.0.0.1:1") as client:
        arguments = {"company_id": "c", "app_id": "a", argument: value}
        with pytest.raises((ValueError, TypeError), match=argument):
            client.locations(**arguments)
