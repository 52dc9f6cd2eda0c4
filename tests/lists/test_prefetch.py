"""How far ahead a walk asks: as far as it helps, and no further."""

import pytest

from lcphone_async._lists.walk import Pace


@pytest.fixture
def pace():
    return Pace(0.002)


def test_a_page_at_a_time_where_nothing_is_slower_than_the_caller(pace):
    """Has few pages in memory where the caller needs longer for one than the service does."""
    pace.answered(0.1)
    pace.used(2.0)
    assert pace.pages == 2


def test_many_at_once_where_the_service_is_far_away(pace):
    """Asks for as many as come in during an answer's way, and for some to spare."""
    pace.answered(0.1)
    pace.used(0.0025)
    assert 40 < pace.pages <= 80


def test_a_first_page_that_says_nothing_of_the_caller_yet(pace):
    """Takes a usual page for the first one, before the caller has asked for another."""
    pace.answered(0.1)
    assert 50 < pace.pages <= 100


def test_a_long_list_need_not_be_asked_for_at_once(pace):
    """Has no more of a long list in memory than the usual budget can use."""
    pace.answered(0.1)
    pace.used(0.0025)
    pace.is_long_list = True
    assert pace.pages == 16


def test_what_is_learned_at_the_quickest_holds(pace):
    """Does not mistake answers for late that wait for a slot or for the caller."""
    for latency, use in ((0.5, 0.03), (0.1, 0.01), (9.0, 0.01), (0.3, 5.0)):
        pace.answered(latency)
        pace.used(use)
    assert 15 <= pace.pages <= 17


def test_times_that_are_too_short_to_be_told(pace):
    """Gives a finite number also where the clock did not move."""
    pace.answered(0.1)
    pace.used(0.0)
    assert 100 < pace.pages < 10**7
    assert Pace(0.0005).pages > 100
