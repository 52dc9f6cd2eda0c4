"""The number of pages that a walk prefetches: as many as help, and no more."""

import pytest

from lcphone_async._lists.walk import Pace


@pytest.fixture
def pace():
    return Pace(0.002)


def test_few_pages_for_a_slow_caller(pace):
    """Keeps few pages in memory if the caller takes longer for a page than the service."""
    pace.record(0.1)
    pace.used(2.0)
    assert pace.pages == 2


def test_many_pages_for_a_distant_service(pace):
    """Prefetches as many pages as arrive within a round trip, and a few to spare."""
    pace.record(0.1)
    pace.used(0.0025)
    assert 40 < pace.pages <= 80


def test_the_first_page(pace):
    """Assumes a usual page until the caller has asked for another."""
    pace.record(0.1)
    assert 50 < pace.pages <= 100


def test_a_long_list(pace):
    """Keeps no more pages in memory than the usual budget allows."""
    pace.record(0.1)
    pace.used(0.0025)
    pace.is_long_list = True
    assert pace.pages == 16


def test_the_shortest_time_counts(pace):
    """Does not take responses for slow that wait for a slot or for the caller."""
    for latency, use in ((0.5, 0.03), (0.1, 0.01), (9.0, 0.01), (0.3, 5.0)):
        pace.record(latency)
        pace.used(use)
    assert 15 <= pace.pages <= 17


def test_times_of_zero(pace):
    """Returns a finite number even if the clock did not advance."""
    pace.record(0.1)
    pace.used(0.0)
    assert 100 < pace.pages < 10**7
    assert Pace(0.0005).pages > 100
