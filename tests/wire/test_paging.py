"""`docs/wire.md`: Paging."""

from collections.abc import Callable

import pytest

from lcphone_async import (
    IncompleteListError,
    LCPhoneClient,
    NumberAlreadyOwnedError,
    RepeatedPageError,
)
from support.raw_server import RawRequest, RawServer, http_json

LOCATION = "loc1"
PREFETCH = pytest.mark.parametrize("prefetch", [None, 0, 1, 10])
PageOf = Callable[[int], list[int]]


def number(n: int) -> str:
    return f"+1830555{n:04}"


def pages(page_of: PageOf, **more: object) -> Callable[[RawRequest], bytes]:
    """A service that returns `page_of(page)`, and `more` with every page."""

    def respond(request: RawRequest) -> bytes:
        numbers = [{"phoneNumber": number(n)} for n in page_of(int(request.parameters["page"]))]
        return http_json({"numbers": numbers, **more})

    return respond


def slices(count: int, size: int) -> PageOf:
    """The pages of a correct service with `count` numbers."""
    return lambda page: list(range(count))[page * size : (page + 1) * size]


async def walk(client: LCPhoneClient, **options: object) -> list[str]:
    return [n.phone_number async for n in client.active_numbers(LOCATION, **options)]


async def walk_until(
    error: type[Exception], client: LCPhoneClient, **options: object
) -> tuple[list[str], Exception]:
    """Returns the numbers before `error`, and the error."""
    seen = []
    with pytest.raises(error) as caught:
        async for n in client.active_numbers(LOCATION, **options):
            seen.append(n.phone_number)  # noqa: PERF401  kept as they come, up to the error
    return seen, caught.value


def requested(raw_server: RawServer) -> list[int]:
    return [int(request.parameters["page"]) for request in raw_server.requests]


async def test_a_walk_sends_page_and_page_size(client: LCPhoneClient, raw_server: RawServer):
    """A walk sends `page`, which starts at 0, and a `pageSize` of 1000."""
    raw_server.reply(http_json({"numbers": []}))
    assert await walk(client) == []
    assert raw_server.request.parameters == {"page": "0", "pageSize": "1000"}


async def test_one_page_sends_page_and_page_size(client: LCPhoneClient, raw_server: RawServer):
    """A single page sends both as well; the documented default is 50."""
    raw_server.reply(http_json({"numbers": []}))
    await client.active_numbers_page(LOCATION)
    assert raw_server.request.parameters == {"page": "0", "pageSize": "50"}


@pytest.mark.parametrize("page_size", [1, 2, 999, 1000])
async def test_page_size_is_1_to_1000(client: LCPhoneClient, raw_server: RawServer, page_size):
    """`pageSize` is 1 to 1000."""
    raw_server.reply(http_json({"numbers": []}))
    await client.active_numbers_page(LOCATION, page=7, page_size=page_size)
    assert raw_server.request.parameters == {"page": "7", "pageSize": str(page_size)}


async def test_a_response_without_page_is_the_requested_page(
    client: LCPhoneClient, raw_server: RawServer
):
    """A response may leave `page` out."""
    raw_server.reply(http_json({"numbers": []}))
    assert (await client.active_numbers_page(LOCATION, page=4)).page == 4


@PREFETCH
@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5, 7])
@pytest.mark.parametrize("with_total", [True, False])
async def test_a_walk_yields_every_number_once_in_order(
    v3: LCPhoneClient, raw_server: RawServer, count, prefetch, with_total
):
    """A walk ends by `total`, or at a short or empty page."""
    more = {"total": count} if with_total else {}
    raw_server.reply(pages(slices(count, 2), **more))
    assert await walk(v3, page_size=2, prefetch=prefetch) == [number(n) for n in range(count)]


@pytest.mark.parametrize(("count", "last"), [(0, 0), (1, 0), (2, 0), (4, 1), (5, 2)])
async def test_total_ends_a_walk(v3: LCPhoneClient, raw_server: RawServer, count, last):
    """With `total`, no page beyond the last is requested."""
    raw_server.reply(pages(slices(count, 2), total=count))
    await walk(v3, page_size=2)
    assert sorted(requested(raw_server)) == list(range(last + 1))


async def test_a_short_page_ends_a_walk(v2021: LCPhoneClient, raw_server: RawServer):
    """Without `total`, a short page is the last."""
    raw_server.reply(pages(slices(5, 2)))
    await walk(v2021, page_size=2, prefetch=0)
    assert requested(raw_server) == [0, 1, 2]


async def test_an_empty_page_ends_a_walk(v2021: LCPhoneClient, raw_server: RawServer):
    """Without `total`, an empty page is the end."""
    raw_server.reply(pages(slices(4, 2)))
    await walk(v2021, page_size=2, prefetch=0)
    assert requested(raw_server) == [0, 1, 2]


@PREFETCH
@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 9])
@pytest.mark.parametrize("with_total", [True, False])
async def test_a_service_may_count_from_one(
    v3: LCPhoneClient, raw_server: RawServer, prefetch, count, with_total
):
    """If page 1 equals page 0, the service counts from 1 and the walk continues with page 2."""
    honest = slices(count, 2)
    more = {"total": count} if with_total else {}
    raw_server.reply(pages(lambda page: honest(max(page, 1) - 1), **more))
    assert await walk(v3, page_size=2, prefetch=prefetch) == [number(n) for n in range(count)]


@PREFETCH
@pytest.mark.parametrize("more", [{}, {"total": 10}, {"total": 3}], ids=str)
@pytest.mark.parametrize("page_named", [True, False])
async def test_a_service_that_ignores_page_ends_the_walk(
    v3: LCPhoneClient, raw_server: RawServer, prefetch, more, page_named
):
    """A page that repeats the page before it ends the walk with an error."""
    more = {**more, "page": 0} if page_named else more
    raw_server.reply(pages(lambda _page: [0, 1], **more))
    seen, _ = await walk_until(RepeatedPageError, v3, page_size=2, prefetch=prefetch)
    assert seen == [number(0), number(1)]
    assert len(raw_server.requests) < 20


@PREFETCH
@pytest.mark.parametrize("more", [{}, {"total": 9}], ids=str)
async def test_a_service_that_clamps_page_ends_the_walk(
    v3: LCPhoneClient, raw_server: RawServer, prefetch, more
):
    """A service that repeats its last page for ever ends the walk."""
    raw_server.reply(pages(lambda page: slices(4, 2)(min(page, 1)), **more))
    seen, _ = await walk_until(RepeatedPageError, v3, page_size=2, prefetch=prefetch)
    assert seen == [number(n) for n in range(4)]
    assert len(raw_server.requests) < 20


@PREFETCH
@pytest.mark.parametrize("more", [{}, {"total": 10**15}], ids=str)
async def test_pages_that_go_in_a_circle_end_the_walk(
    v3: LCPhoneClient, raw_server: RawServer, prefetch, more
):
    """Pages in a cycle end the walk, whatever `total` is."""
    raw_server.reply(pages(lambda page: slices(4, 2)(page % 2), **more))
    seen, _ = await walk_until(RepeatedPageError, v3, page_size=2, prefetch=prefetch)
    assert seen == [number(n) for n in range(4)]
    assert len(raw_server.requests) < 100


@PREFETCH
async def test_a_long_shift_does_not_end_the_walk(
    v3: LCPhoneClient, raw_server: RawServer, prefetch
):
    """If many numbers are bought at once, many pages shift and hold no new numbers."""
    first, rest = slices(60, 2), slices(70, 2)
    raw_server.reply(pages(lambda page: first(page) if page < 30 else rest(page - 30), total=130))
    seen, error = await walk_until(IncompleteListError, v3, page_size=2, prefetch=prefetch)
    assert seen == [number(n) for n in range(70)]
    assert (error.seen, error.total) == (70, 130)


@PREFETCH
async def test_a_purchase_during_a_walk_causes_no_duplicates(
    v2021: LCPhoneClient, raw_server: RawServer, prefetch
):
    """A number that is bought during a walk shifts the pages; no number is yielded twice."""
    shifted = [[0, 1], [1, 2], [3, 4], [5]]
    raw_server.reply(pages(lambda page: shifted[page] if page < len(shifted) else []))
    seen = await walk(v2021, page_size=2, prefetch=prefetch)
    assert seen == [number(n) for n in range(6)]


@PREFETCH
async def test_a_missed_purchase_is_reported(v3: LCPhoneClient, raw_server: RawServer, prefetch):
    """If a number is bought on a page before, `total` reveals that it was missed."""
    shifted = {0: [0, 1], 1: [1, 2], 2: [3, 4], 3: [5]}

    def respond(request: RawRequest) -> bytes:
        total = 6 if request.parameters["page"] == "0" else 7
        return pages(lambda page: shifted.get(page, []), total=total)(request)

    raw_server.reply(respond)
    seen, error = await walk_until(IncompleteListError, v3, page_size=2, prefetch=prefetch)
    assert seen == [number(n) for n in range(6)]
    assert (error.seen, error.total) == (6, 7)


@PREFETCH
@pytest.mark.parametrize("with_total", [True, False])
async def test_a_released_number_does_not_end_the_walk(
    v3: LCPhoneClient, raw_server: RawServer, prefetch, with_total
):
    """A number that is released during a walk shifts the pages the other way."""
    shifted = {0: [0, 1], 1: [3, 4], 2: [5]}

    def respond(request: RawRequest) -> bytes:
        total = 6 if request.parameters["page"] == "0" else 5
        more = {"total": total} if with_total else {}
        return pages(lambda page: shifted.get(page, []), **more)(request)

    raw_server.reply(respond)
    seen = await walk(v3, page_size=2, prefetch=prefetch)
    assert seen == [number(n) for n in (0, 1, 3, 4, 5)]


async def test_a_page_holds_no_number_twice(client: LCPhoneClient, raw_server: RawServer):
    """A page yields no number twice."""
    raw_server.reply(pages(lambda _page: [0, 1, 0]))
    assert await walk(client, page_size=10) == [number(0), number(1)]


async def test_pages_hold_no_number_twice(client: LCPhoneClient, raw_server: RawServer):
    """The pages of `active_number_pages` have no duplicates either."""
    shifted = [[0, 1], [1, 2], [3]]
    raw_server.reply(pages(lambda page: shifted[page]))
    walked = client.active_number_pages(LOCATION, page_size=2, prefetch=0)
    seen = [n.phone_number async for page in walked for n in page.numbers]
    assert seen == [number(n) for n in range(4)]


@PREFETCH
@pytest.mark.parametrize(
    "given", [[[0, 1], [2]], [[0, 1], [2], []], [[0, 1], [1, 2], [], []], [[0, 1, 2]]], ids=str
)
async def test_a_short_walk_is_reported(v3: LCPhoneClient, raw_server: RawServer, prefetch, given):
    """With `total`, a short walk yields its numbers and raises `IncompleteListError`."""
    raw_server.reply(pages(lambda page: given[page] if page < len(given) else [], total=9))
    size = len(given[0])
    seen, error = await walk_until(IncompleteListError, v3, page_size=size, prefetch=prefetch)
    assert seen == [number(n) for n in range(3)]
    assert (error.seen, error.total) == (3, 9)


async def test_the_last_total_counts(v3: LCPhoneClient, raw_server: RawServer):
    """A walk is short only by the `total` of the last page."""
    totals = [4, 3, 3]
    raw_server.reply(
        lambda r: pages(slices(3, 2), total=totals[int(r.parameters["page"])])(r),
    )
    assert await walk(v3, page_size=2) == [number(n) for n in range(3)]


@pytest.mark.parametrize(("value", "sent"), [(True, "true"), (False, "false")])
@pytest.mark.parametrize(
    ("name", "wire_name"),
    [
        ("skip_number_pool", "skipNumberPool"),
        ("include_rcs_sender_ids", "includeRcsSenderIds"),
    ],
)
async def test_flags_are_sent_when_set(
    v3: LCPhoneClient, raw_server: RawServer, name, wire_name, value, sent
):
    """`skipNumberPool` is true by default at the service, so `false` is sent."""
    raw_server.reply(http_json({"numbers": []}))
    await v3.active_numbers_page(LOCATION, **{name: value})
    await walk(v3, **{name: value})
    assert [request.parameters[wire_name] for request in raw_server.requests] == [sent, sent]


@pytest.mark.parametrize("value", ["+91", "+1813", "", "%2B91", "9 1", "9&page=3", "#9", "٩"])
async def test_search_filter_is_sent_unchanged(client: LCPhoneClient, raw_server: RawServer, value):
    """`searchFilter` matches a part of the whole number (`+91`)."""
    raw_server.reply(http_json({"numbers": []}))
    await walk(client, search_filter=value)
    sent = {"page": "0", "pageSize": "1000", "searchFilter": value}
    assert raw_server.request.parameters == sent
    assert "+" not in raw_server.request.target.replace("9+1", "")


async def test_every_page_has_the_same_filters(v3: LCPhoneClient, raw_server: RawServer):
    """Each page of a walk is requested with the same parameters."""
    raw_server.reply(pages(slices(6, 2), total=6))
    await walk(
        v3, page_size=2, search_filter="+1", skip_number_pool=False, include_rcs_sender_ids=True
    )
    same = {
        "pageSize": "2",
        "searchFilter": "+1",
        "skipNumberPool": "false",
        "includeRcsSenderIds": "true",
    }
    sent = sorted((r.parameters for r in raw_server.requests), key=lambda sent: sent["page"])
    assert sent == [{"page": str(page), **same} for page in range(3)]


def capped(count: int, cap: int, *, counts_by_asked: bool = False, first: int = 0, **more: object):
    """A service with at most `cap` numbers a page, which echoes the requested size.

    Its pages begin at multiples of the cap, or of the requested size.
    """

    def respond(request: RawRequest) -> bytes:
        page, asked_size = (int(request.parameters[name]) for name in ("page", "pageSize"))
        size = min(cap, asked_size)
        start = max(page - first, 0) * (asked_size if counts_by_asked else size)
        listed = range(count)[start : start + size]
        numbers = [{"phoneNumber": number(n)} for n in listed]
        return http_json({"numbers": numbers, "page": page, "pageSize": asked_size, **more})

    return respond


CAPS = [10, 15, 16, 20, 25, 30, 32, 48, 50, 60, 64, 75, 96, 100, 120, 125, 128, 150, 200, 250, 256]
CAPS += [384, 500, 512, 750]


@pytest.mark.parametrize("counts_by_asked", [True, False])
@pytest.mark.parametrize("cap", CAPS)
async def test_a_service_may_cap_its_pages(
    client: LCPhoneClient, raw_server: RawServer, cap, counts_by_asked
):
    """Without `total`, a short page may be one that the service capped."""
    count = 2 * cap + 3
    raw_server.reply(capped(count, cap, counts_by_asked=counts_by_asked))
    assert await walk(client, prefetch=0) == [number(n) for n in range(count)]
    assert requested(raw_server) == [0, 1, 2]


@PREFETCH
@pytest.mark.parametrize("count", [50, 51, 100, 101, 340])
@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("with_total", [True, False])
async def test_a_capped_list_is_complete(
    v3: LCPhoneClient, raw_server: RawServer, prefetch, count, first, with_total
):
    """With any prefetch, if the service counts from 1, and if it sends its total."""
    more = {"total": count} if with_total else {}
    raw_server.reply(capped(count, 50, first=first, **more))
    assert await walk(v3, prefetch=prefetch) == [number(n) for n in range(count)]


@pytest.mark.parametrize("counts_by_asked", [True, False])
async def test_a_capped_list_with_a_total_is_complete(
    v3: LCPhoneClient, raw_server: RawServer, counts_by_asked
):
    """Each page begins at the end of the page before, wherever the service's pages begin."""
    raw_server.reply(capped(340, 100, counts_by_asked=counts_by_asked, total=340))
    assert await walk(v3) == [number(n) for n in range(340)]
    assert sorted(requested(raw_server)) == [0, 1, 2, 3]


@PREFETCH
@pytest.mark.parametrize("count", [15, 50, 64, 75, 100, 250, 256])
async def test_a_round_count_costs_one_more_page(
    v2021: LCPhoneClient, raw_server: RawServer, prefetch, count
):
    """One more request returns an empty page, which shows that the list is complete."""
    raw_server.reply(capped(count, 1000))
    assert await walk(v2021, prefetch=prefetch) == [number(n) for n in range(count)]
    assert requested(raw_server) == [0, 1]


@PREFETCH
@pytest.mark.parametrize("count", [1, 5, 8, 12, 37, 49, 51, 63, 66, 99, 123, 127, 257, 999])
async def test_an_ordinary_short_page_costs_no_more(
    v2021: LCPhoneClient, raw_server: RawServer, prefetch, count
):
    """Without `total`, a short page is the last."""
    raw_server.reply(capped(count, 1000))
    assert await walk(v2021, prefetch=prefetch) == [number(n) for n in range(count)]
    assert requested(raw_server) == [0]


async def test_a_round_count_with_its_total_costs_no_more(v3: LCPhoneClient, raw_server: RawServer):
    """With `total`, no page beyond the last is requested."""
    raw_server.reply(capped(50, 1000, total=50))
    assert await walk(v3) == [number(n) for n in range(50)]
    assert requested(raw_server) == [0]


async def test_a_short_page_after_a_full_one_is_the_last(
    v2021: LCPhoneClient, raw_server: RawServer
):
    """A service that returned a full page does not cap its pages."""
    raw_server.reply(capped(150, 1000))
    assert await walk(v2021, page_size=100, prefetch=0) == [number(n) for n in range(150)]
    assert requested(raw_server) == [0, 1]


@PREFETCH
async def test_a_repeated_round_count_is_the_whole_list(
    v2021: LCPhoneClient, raw_server: RawServer, prefetch
):
    """A service that clamps `page` repeats the only short page it has."""
    raw_server.reply(pages(lambda _page: list(range(50))))
    assert await walk(v2021, prefetch=prefetch) == [number(n) for n in range(50)]
    assert requested(raw_server) == [0, 1, 2]


async def test_a_lookup_reads_a_capped_list(v2021: LCPhoneClient, raw_server: RawServer):
    """An owned number is found in a list that ignores the filter and caps its pages."""
    raw_server.look_up_reply = capped(340, 50)
    raw_server.reply(capped(340, 50))
    with pytest.raises(NumberAlreadyOwnedError):
        await v2021.purchase(LOCATION, number(333))
