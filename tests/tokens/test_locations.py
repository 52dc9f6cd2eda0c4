"""The list of an agency's locations: complete, each once, and never without an end."""

import pytest
from wire.raw_server import http_json

from lcphone_async import (
    AgencyTokens,
    AuthenticationError,
    IncompleteListError,
    LCPhoneClient,
    RepeatedPageError,
    ResponseFormatError,
    RetryPolicy,
)

from .conftest import APP, COMPANY

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
    """Streams all locations of the app, page by page, with what the service tells of them."""
    source = AgencyTokens(company_id=COMPANY, source=app.tokens(app.oauth.install()))
    async with app.client(source) as client:
        found = [location async for location in client.locations(COMPANY, APP, page_size=40)]
        named = [each.id async for each in client.locations(COMPANY, APP, query="place24")]
    assert [each.id for each in found] == list(app.oauth.settings.locations)
    assert {each.is_installed for each in found} == {True}
    assert all(each.installed_at.tzinfo and each.name and each.version_id for each in found)
    assert sorted(named) == sorted(["place24", *(f"place24{digit}" for digit in range(10))])
    assert app.outcomes("location") == []


async def test_a_location_s_token_may_not(app):
    """Raises the service's refusal where the token is one of a location."""
    async with app.client(app.tokens()) as client:
        with pytest.raises(AuthenticationError):
            await anext(client.locations(COMPANY, APP))


async def test_the_pages_of_v3(raw_server):
    """Follows the page tokens to the end, also over a page that is short or empty."""
    pages = [v3_page([1, 2], "t1"), v3_page([], "t2"), v3_page([3], "t3"), v3_page([4])]
    assert await walked(raw_server, "v3", *pages) == ["place1", "place2", "place3", "place4"]
    tokens = [request.parameters.get("pageToken") for request in raw_server.requests]
    assert tokens == [None, "t1", "t2", "t3"]


async def test_v3_says_that_there_is_no_next_page(raw_server):
    """Believes `hasNextPage`, whatever token stands beside it."""
    page = v3_page([1], "t1", hasNextPage=False, hasPrevPage=False, totalRecords=1.0)
    assert await walked(raw_server, "v3", page) == ["place1"]


async def test_the_pages_of_2021(raw_server):
    """Goes on by what came, also where the service gives fewer a page than asked for."""
    pages = [old_page([1, 2], count=5), old_page([3, 4], count=5), old_page([5], count=5)]
    assert len(await walked(raw_server, "2021-07-28", *pages, page_size=3)) == 5
    assert [r.parameters["skip"] for r in raw_server.requests] == ["0", "2", "4"]


async def test_a_count_of_more_than_the_list(raw_server):
    """Ends with an empty page where `count` counts locations without the app too."""
    pages = [old_page([1, 2], count=1231), old_page([], count=1231)]
    assert len(await walked(raw_server, "2021-07-28", *pages)) == 2


async def test_no_count(raw_server):
    """Ends with a page that is not full where there is no `count`."""
    pages = [old_page([1, 2]), old_page([3])]
    assert len(await walked(raw_server, "2021-07-28", *pages, page_size=2)) == 3


async def test_a_location_that_comes_twice(raw_server):
    """Gives a location once though the list shifted under the walk."""
    pages = [v3_page([1, 2], "t1"), v3_page([2, 3])]
    assert await walked(raw_server, "v3", *pages) == ["place1", "place2", "place3"]


async def test_locations_without_the_app(raw_server):
    """Leaves out a location that says that the app is not installed there."""
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
async def test_pages_that_do_not_move_on(raw_server, contract, pages):
    """Raises `RepeatedPageError` instead of going round for ever."""
    with pytest.raises(RepeatedPageError):
        await walked(raw_server, contract, *pages, page_size=2)
    assert len(raw_server.requests) < 9


async def test_fewer_than_promised(raw_server):
    """Raises `IncompleteListError` once all that came was handed out."""
    with pytest.raises(IncompleteListError) as caught:
        await walked(raw_server, "v3", v3_page([1, 2], totalRecords=7))
    assert (caught.value.seen, caught.value.total) == (2, 7)


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
async def test_what_is_no_list(raw_server, body, where):
    """Raises `ResponseFormatError` with the path of what does not fit."""
    with pytest.raises(ResponseFormatError, match=where):
        await walked(raw_server, "v3", http_json(body))


async def test_the_errors_of_v3(raw_server):
    """Reads the code and the message of an error that v3 wraps in `error`."""
    error = {"code": "RESOURCE_NOT_FOUND", "message": "The requested App 'a' was not found."}
    with pytest.raises(Exception, match=r"404: The requested App 'a' was not found") as caught:
        await walked(raw_server, "v3", http_json({"error": error}, 404))
    assert caught.value.error == "RESOURCE_NOT_FOUND"


@pytest.mark.parametrize(
    ("argument", "value"), [("company_id", ""), ("app_id", "\n"), ("page_size", 101), ("query", 5)]
)
async def test_refuses_what_it_cannot_use(argument, value):
    """Raises `ValueError` or `TypeError`, which names the argument, before anything is sent."""
    async with LCPhoneClient("t", base_url="http://127.0.0.1:1") as client:
        arguments = {"company_id": "c", "app_id": "a", argument: value}
        with pytest.raises((ValueError, TypeError), match=argument):
            client.locations(**arguments)
