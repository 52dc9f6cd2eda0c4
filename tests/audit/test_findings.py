"""Each rule finds its problem, and nothing in an inventory without problems."""

import pytest

from lcphone_async.audit import RULES, Rule, RuleError, findings, read_rules
from support.agency import Place, number, pool


def well():
    """Two locations at which no rule has anything to find."""
    return {
        "a": Place(
            [
                number("+12125550001", isDefaultNumber=True),
                number("+12125550002", linkedUser=None, linkedRingAllUsers=["u1"]),
                number("+12125550003", linkedUser=None, forwardingNumber="+12125559999"),
                number("+12125550004", linkedUser=None, inboundCallService={"type": "ivr"}),
                number("+12125550005", linkedUser=None),
                number("+4930555001", countryCode="DE", bundleSid="BU1"),
                number("+4930555002", countryCode="DE", addressSid="AD1"),
            ],
            [pool("p", "+12125550005", forwardingNumber="+12125550001")],
        ),
        "b": Place([number("+13105550001", isDefaultNumber=True, capabilities={})]),
        "unknown values": Place([number("+13105550002", isDefaultNumber=None)]),
    }


@pytest.fixture
def found(take, store, agency):
    """Findings of the rules in the agency."""

    async def look(**options):
        await take(agency, list(agency.places))
        return [
            (one.rule, one.location_id, one.phone_number, one.detail)
            for one in findings(store, **options)
        ]

    return look


async def test_nothing_where_all_is_well(found, agency):
    """Finds nothing in an inventory in which all is well."""
    agency.places = well()
    assert await found() == []


CASES = {
    "account-not-active": (
        {"c": Place([number("+14155550001", isDefaultNumber=True)], status="suspended")},
        [("c", None, "suspended")],
    ),
    "no-number": ({"c": Place()}, [("c", None, None)]),
    "no-default-number": (
        {"c": Place([number("+14155550001"), number("+14155550002")])},
        [("c", None, None)],
    ),
    "unassigned": (
        {
            "c": Place(
                [
                    number("+14155550001", isDefaultNumber=True),
                    number("+14155550002", linkedUser=None),
                ]
            )
        },
        [("c", "+14155550002", None)],
    ),
    "no-sms": (
        {"c": Place([number("+14155550001", isDefaultNumber=True, capabilities={"sms": False})])},
        [("c", "+14155550001", None)],
    ),
    "no-voice": (
        {"c": Place([number("+14155550001", isDefaultNumber=True, capabilities={"voice": False})])},
        [("c", "+14155550001", None)],
    ),
    "no-papers": (
        {"c": Place([number("+4930555003", isDefaultNumber=True, countryCode="DE")])},
        [("c", "+4930555003", "DE")],
    ),
    "in-two-locations": (
        {"c": Place([number("+12125550001", isDefaultNumber=True)])},
        [("a", "+12125550001", "also in c"), ("c", "+12125550001", "also in a")],
    ),
    "listed-twice": (
        {"c": Place([number("+14155550001", isDefaultNumber=True)] * 2)},
        [("c", "+14155550001", "2 times")],
    ),
    "pool-number-used-directly": (
        {
            "c": Place(
                [
                    number("+14155550001", isDefaultNumber=True, linkedUser=None),
                    number("+14155550002", linkedUser="u7"),
                    number("+14155550003", linkedUser=None, linkedRingAllUsers=["u1"]),
                    number("+14155550004", linkedUser=None),
                ],
                [pool("q", "+14155550001", "+14155550002", "+14155550003", "+14155550004")],
            )
        },
        [
            ("c", "+14155550001", "default number"),
            ("c", "+14155550002", "user u7"),
            ("c", "+14155550003", "rings several users"),
        ],
    ),
    "forwarding-loop": (
        {
            "c": Place(
                [
                    number("+14155550001", isDefaultNumber=True, forwardingNumber="+14155550001"),
                    number("+14155550002", forwardingNumber="+1 (415) 555-0003"),
                    number(
                        "+14155550003",
                        inboundCallService={"type": "forward", "value": "+14155550004"},
                    ),
                    number("+14155550004", linkedUser=None),
                    number("+14155550005", linkedUser=None, forwardingNumber="+14155550002"),
                    number("+14155550006", inboundCallService={"value": "+14155550006"}),
                ],
                [
                    pool("q", "+14155550004", forwardingNumber="+14155550002"),
                    pool("r", "+14155550005", forwardingNumber="+14155550005", isActive=False),
                ],
            )
        },
        [
            ("c", "+14155550001", "to +14155550001"),
            ("c", "+14155550002", "to +14155550003"),
            ("c", "+14155550003", "to +14155550004"),
            ("c", "+14155550004", "to +14155550002"),
        ],
    ),
}


def test_every_rule_is_tried():
    """Fails when a rule has no case here."""
    assert {rule.name for rule in RULES} == set(CASES)


async def test_another_list_of_regulated_countries(found, agency):
    """Asks for papers in the countries that the caller names, in any case, and in no others."""
    agency.places = {
        "a": Place([number("+12125550001", isDefaultNumber=True)]),
        "b": Place([number("+4930555001", isDefaultNumber=True, countryCode="DE")]),
    }
    assert await found(regulated=["us"]) == [("no-papers", "a", "+12125550001", "US")]
    assert await found(regulated=[]) == []


@pytest.mark.parametrize("wrong", ["UK", "Germany", ""])
def test_a_country_that_is_none(store, wrong):
    """Refuses a code that no country has, before the store is read."""
    with pytest.raises(ValueError, match="regulated"):
        findings(store, regulated=[wrong])


@pytest.mark.sample(2)
@pytest.mark.parametrize("rule", CASES)
async def test_a_rule_finds_what_it_is_for(found, agency, rule):
    """Finds the seeded problem, and no other."""
    places, expected = CASES[rule]
    agency.places = well() | places
    looked = await found()
    assert looked == [(rule, *one) for one in expected]


async def test_what_was_not_seen_whole_is_not_judged(found, agency):
    """Has no finding on the missing numbers of a location that was not seen whole."""
    agency.places = {"c": Place()}
    agency.errors = {"c": 503}
    assert await found() == []


async def test_numbers_whose_pools_were_not_seen_are_not_judged(found, agency):
    """Takes no number for unassigned that may be in a pool which could not be read."""
    agency.places = {"a": well()["a"]}
    agency.pool_errors = {"a": 400}
    assert await found() == []


async def test_a_loop_through_two_locations(found, agency):
    """Follows a call from one location into another."""
    agency.places = well()
    agency.places["a"].numbers.append(number("+14155550001", forwardingNumber="+14155550002"))
    agency.places["b"].numbers.append(number("+14155550002", forwardingNumber="+14155550001"))
    assert await found() == [
        ("forwarding-loop", "a", "+14155550001", "to +14155550002"),
        ("forwarding-loop", "b", "+14155550002", "to +14155550001"),
    ]


async def test_a_rule_of_ones_own(found, agency):
    """Runs a user's rule beside the others, a few lines long."""
    mine = Rule(
        name="no-name",
        title="Numbers without a name",
        reason="Their purpose is unknown: give them a name.",
        query="SELECT location_id, phone_number FROM numbers WHERE friendly_name IS NULL",
    )
    agency.places = well()
    agency.places["b"].numbers[0]["friendlyName"] = None
    assert await found(rules=[*RULES, mine]) == [("no-name", "b", "+13105550001", None)]


async def test_rules_from_a_file(found, agency, tmp_path):
    """Reads rules from a TOML file."""
    file = tmp_path / "rules.toml"
    file.write_text(
        '[many]\ntitle = "Many"\nreason = "It is a lot."\n'
        'query = """SELECT location_id, count(*)::VARCHAR AS detail FROM numbers GROUP BY ALL"""\n'
    )
    agency.places = {"b": well()["b"]}
    assert await found(rules=read_rules(file)) == [("many", "b", None, "1")]


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        (b"[a]\ntitle = 'x'\n", r"\[a\] must have"),
        (b"a = 1\n", r"\[a\] must have"),
        (b"[a\n", "Expected"),
        (b"a = '\xff'\n", "not UTF-8"),
        (b"a = " + b"[" * 50_000, "nested too deeply"),
        (b"[a]\ntitle = 1\nreason = 'x'\nquery = 'x'\n", r"\[a\]: title must be a string"),
        (b"['A b']\ntitle = 'x'\nreason = 'x'\nquery = 'x'\n", r"\[A b\]: name must be"),
    ],
)
def test_a_file_that_holds_no_rules(tmp_path, wrong, problem):
    """Names the file and the invalid rule."""
    file = tmp_path / "rules.toml"
    file.write_bytes(wrong)
    with pytest.raises(ValueError, match=rf"rules\.toml: {problem}"):
        read_rules(file)


async def test_a_rule_that_is_no_query(found, agency):
    """Names the rule that cannot be run."""
    agency.places = {"b": well()["b"]}
    with pytest.raises(RuleError, match="rule broken: Binder Error"):
        await found(rules=[Rule("broken", "x", "x", "SELECT nonsense FROM numbers")])


@pytest.mark.parametrize("name", ["", "No Name", 'x"; DROP TABLE numbers; --'])
def test_a_rule_s_name_is_a_plain_word(name):
    """Refuses a name that could not be a name in the report or in a query."""
    with pytest.raises(ValueError, match="name"):
        Rule(name, "x", "x", "x")


async def test_rcs_senders_that_were_not_seen(take, agency, store):
    """Has the detail that RCS senders were not seen, if a location may have some."""
    numbers = [number("+12125550001")]
    agency.places = {"none": Place(senders=None), "no-default": Place(numbers, senders=None)}
    await take(agency, [*agency.places])
    found = {(one.location_id, one.rule, one.detail) for one in findings(store)}
    unseen = "RCS senders not seen"
    assert found == {("none", "no-number", unseen), ("no-default", "no-default-number", unseen)}
