"""Inventories, and the findings of each rule in them.

For each rule there are true positives (a finding is expected), true negatives, and near misses
(inventories that resemble a finding).
"""

from attrs import field, frozen

from support.agency import Place, number, pool

A, B, C = "+14155550001", "+14155550002", "+14155550003"
GERMAN, BRITISH = "+4930555001", "+442079460018"


@frozen
class Case:
    """An inventory, and the numbers of a rule's findings in it, by location."""

    rule: str
    name: str
    places: dict
    found: set
    bodies: dict = field(factory=dict)
    """The ids of locations whose requests all fail with 500."""
    pool_errors: dict = field(factory=dict)


def case(rule, name, place, *found):
    """A case of one location, `c`; `None` stands for a finding on the location itself."""
    return Case(rule, name, {"c": place}, {("c", one) for one in found})


def forwards(target, phone_number=A, **changes):
    """A location whose one number forwards to `target`."""
    return Place([number(phone_number, forwardingNumber=target, **changes)])


def serves(kind, value, **changes):
    """A location whose one number has a call service."""
    return Place([number(A, inboundCallService={"type": kind, "value": value}, **changes)])


def idle(**changes):
    """A number without any assignment."""
    return number(A, **{"linkedUser": None, **changes})


def pooled(*, numbers=(A,), members=(A,), place=None, **changes):
    """A location with a pool."""
    listed = [number(one, linkedUser=None) for one in numbers]
    return Place(listed, [pool("p", *members, **changes)], **(place or {}))


SENDER = {"number": "brand", "numberType": "rcsSenderId", "friendlyName": "Brand"}
TWICE = Place([number(A)])
LOOP, TWO, POOL, PAPERS = (
    "forwarding-loop",
    "in-two-locations",
    "pool-number-used-directly",
    "no-papers",
)
DEFAULT, NONE, IDLE, STATUS = (
    "no-default-number",
    "no-number",
    "unassigned",
    "account-not-active",
)

CASES = [
    # Status of the account
    case(STATUS, "suspended", Place([number(A)], status="suspended"), None),
    case(STATUS, "suspended, without a number", Place(status="suspended"), None),
    case(STATUS, "closed, with a number", Place([number(A)], status="closed"), None),
    case(STATUS, "closed, with nothing to lose", Place(status="closed")),
    case(STATUS, "Active with a capital", Place([number(A)], status="Active")),
    case(STATUS, "active and a blank", Place([number(A)], status="active ")),
    Case(
        STATUS,
        "suspended, and answers 500 only",
        {"c": Place([number(A)])},
        {("c", None)},
        bodies={"c": {"msg": "Internal server error", "accountStatus": "suspended"}},
    ),
    Case(
        STATUS,
        "active, and answers 500 only",
        {"c": Place([number(A)])},
        set(),
        bodies={"c": {"msg": "Internal server error", "accountStatus": "active"}},
    ),
    # Loops
    Case(
        LOOP,
        "in a location whose pools were not seen",
        {"c": forwards(A)},
        set(),
        pool_errors={"c": 400},
    ),
    case(LOOP, "to itself", forwards(A), A),
    case(LOOP, "national, with brackets", forwards("(415) 555-0001"), A),
    case(LOOP, "national, with dots", forwards("415.555.0001"), A),
    case(LOOP, "national, with 1", forwards("1-415-555-0001"), A),
    case(
        LOOP,
        "national, with a trunk zero",
        forwards("030 555001", GERMAN, countryCode="DE"),
        GERMAN,
    ),
    case(
        LOOP,
        "with a trunk zero in brackets",
        forwards("+44 (0)20 7946 0018", BRITISH, countryCode="GB"),
        BRITISH,
    ),
    case(
        LOOP,
        "by 00 of its own country",
        forwards("0049 30 555001", GERMAN, countryCode="DE"),
        GERMAN,
    ),
    case(LOOP, "by 00, from the US", forwards("001 415 555 0001"), A),
    case(
        LOOP,
        "by 011, from the US",
        forwards("011 44 20 7946 0018", BRITISH, countryCode="US"),
        BRITISH,
    ),
    case(
        LOOP,
        "by 011, from Britain",
        forwards("011 44 20 7946 0018", BRITISH, countryCode="GB"),
        BRITISH,
    ),
    case(
        LOOP,
        "country code in small letters",
        forwards("030 555001", GERMAN, countryCode="de"),
        GERMAN,
    ),
    case(LOOP, "without a country code", forwards("030 555001", GERMAN, countryCode=None), GERMAN),
    case(LOOP, "with an extension", forwards("+1 415 555 0001 ext. 12"), A),
    case(LOOP, "with x and an extension", forwards("415-555-0001 x12"), A),
    case(LOOP, "with a French extension", forwards("+1 415 555 0001 poste 12"), A),
    case(LOOP, "as a URI", forwards("tel:+1-415-555-0001;ext=12"), A),
    case(LOOP, "digits only", forwards("14155550001"), A),
    case(LOOP, "service, value a text", serves("forward", A), A),
    case(LOOP, "service, Forward", serves("Forward", A), A),
    case(LOOP, "service, value an object", serves("forward", {"number": A}), A),
    case(
        LOOP,
        "service, value an object within one",
        serves("forward", {"to": {"phoneNumber": "(415) 555-0001"}}),
        A,
    ),
    case(LOOP, "service, value a list", serves("forward", [B, A]), A),
    case(LOOP, "service, value a list of objects", serves("forward", [{"phone": A}]), A),
    case(LOOP, "service, value a number", serves("forward", 14155550001), A),
    case(
        LOOP,
        "forward without a value, forwardingNumber",
        serves("forward", None, forwardingNumber=A),
        A,
    ),
    case(LOOP, "empty service, forwardingNumber", serves(None, None, forwardingNumber=A), A),
    case(LOOP, "service none, forwardingNumber", serves("none", "", forwardingNumber=A), A),
    case(LOOP, "active pool", pooled(forwardingNumber="(415) 555-0001"), A),
    case(
        LOOP,
        "active pool, service",
        pooled(inboundCallService={"type": "Forward", "value": {"number": A}}),
        A,
    ),
    case(
        LOOP,
        "pool number in national format",
        pooled(members=("(415) 555-0001",), forwardingNumber=A),
        A,
    ),
    case(
        LOOP,
        "three numbers in a circle",
        Place(
            [
                number(A, forwardingNumber="415 555 0002"),
                number(B, forwardingNumber=C),
                number(C, inboundCallService={"type": "FORWARD", "value": [A]}),
            ]
        ),
        A,
        B,
        C,
    ),
    case(LOOP, "a chain that ends", Place([number(A, forwardingNumber=B), number(B)])),
    case(LOOP, "to a number elsewhere", forwards("+12125559999")),
    case(LOOP, "same digits, another country", forwards("+4155550001")),
    case(LOOP, "same national digits, in another country", forwards("030 555001", A)),
    case(LOOP, "a SIP address with its digits", forwards("sip:+14155550001@example.com")),
    case(
        LOOP,
        "answered by an agent, the vendor's example",
        serves("voice_ai", "68e381b296a83800a27cd1", forwardingNumber=A),
    ),
    case(LOOP, "answered by an IVR", serves("ivr", "flow-123", forwardingNumber=A)),
    case(
        LOOP, "answered by a service without a type", serves(None, "flow-123", forwardingNumber=A)
    ),
    case(
        LOOP,
        "answered by the agent of its pool",
        Place(
            [number(A, forwardingNumber=A)],
            [pool("p", A, inboundCallService={"type": "voice_ai", "value": "x"})],
        ),
    ),
    case(
        LOOP,
        "forwards elsewhere, and shows its caller as itself",
        serves("forward", {"number": "+12125559999", "callerId": A}),
    ),
    case(LOOP, "inactive pool", pooled(forwardingNumber=A, isActive=False)),
    case(
        LOOP,
        "an IVR of the pool",
        pooled(forwardingNumber=A, inboundCallService={"type": "ivr", "value": "x"}),
    ),
    # Two locations
    Case(TWO, "same number", {"c": TWICE, "d": TWICE}, {("c", A), ("d", A)}),
    Case(
        TWO,
        "two spellings",
        {"c": TWICE, "d": Place([number("+1 (415) 555-0001")])},
        {("c", A), ("d", "+1 (415) 555-0001")},
    ),
    Case(
        TWO,
        "one of them national",
        {"c": TWICE, "d": Place([number("415-555-0001")])},
        {("c", A), ("d", "415-555-0001")},
    ),
    Case(
        TWO,
        "same national digits, two countries",
        {
            "c": Place([number("+12079460018")]),
            "d": Place([number("+442079460018", countryCode="GB", bundleSid="BU")]),
        },
        set(),
    ),
    Case(TWO, "two numbers", {"c": TWICE, "d": Place([number(B)])}, set()),
    case(TWO, "twice in one location", Place([number(A), number("+1 (415) 555-0001")])),
    # Pools
    case(POOL, "a user", Place([number(A)], [pool("p", A)]), A),
    case(POOL, "rings several", Place([idle(linkedRingAllUsers=["u1"])], [pool("p", A)]), A),
    case(POOL, "the default number", Place([idle(isDefaultNumber=True)], [pool("p", A)]), A),
    case(POOL, "forwards by itself", Place([idle(forwardingNumber=B)], [pool("p", A)]), A),
    case(
        POOL,
        "an IVR of its own",
        Place([idle(inboundCallService={"type": "ivr", "value": "x"})], [pool("p", A)]),
        A,
    ),
    case(
        POOL, "pool number in national format", Place([number(A)], [pool("p", "(415) 555-0001")]), A
    ),
    case(POOL, "pool number with a blank", Place([number(A)], [pool("p", "+1 415 555 0001")]), A),
    case(POOL, "inactive pool", Place([number(A)], [pool("p", A, isActive=False)])),
    case(POOL, "nothing of its own", pooled()),
    case(POOL, "rings nobody", Place([idle(linkedRingAllUsers=[""])], [pool("p", A)])),
    case(POOL, "empty service", Place([idle(inboundCallService={})], [pool("p", A)])),
    case(POOL, "in no pool", Place([number(A), number(B, linkedUser=None)], [pool("p", B)])),
    # Papers
    case(PAPERS, "Germany", Place([number(GERMAN, countryCode="DE")]), GERMAN),
    case(PAPERS, "small letters", Place([number(GERMAN, countryCode="de")]), GERMAN),
    case(PAPERS, "+44 without a code", Place([number(BRITISH, countryCode=None)]), BRITISH),
    case(PAPERS, "+44 with an empty code", Place([number(BRITISH, countryCode="")]), BRITISH),
    case(
        PAPERS,
        "+1 of the Bahamas without a code",
        Place([number("+12423250001", countryCode=None)]),
        "+12423250001",
    ),
    case(PAPERS, "United States in small letters", Place([number(A, countryCode="us")])),
    case(PAPERS, "Canada", Place([number("+14165550001", countryCode="ca")])),
    *(
        case(PAPERS, f"territory {code}", Place([number(one, countryCode=code)]))
        for code, one in {
            "AS": "+16846331234",
            "GU": "+16716331234",
            "MP": "+16702331234",
            "PR": "+17877231234",
            "VI": "+13407741234",
        }.items()
    ),
    case(
        PAPERS,
        "the Virgin Islands without a code",
        Place([number("+13407741234", countryCode=None)]),
    ),
    case(PAPERS, "US, without a code", Place([number(A, countryCode=None)])),
    case(PAPERS, "a bundle", Place([number(GERMAN, countryCode="DE", bundleSid="BU1")])),
    case(
        PAPERS,
        "an address, small letters",
        Place([number(GERMAN, countryCode="de", addressSid="AD1")]),
    ),
    # Default number
    case(DEFAULT, "two numbers", Place([number(A), number(B)]), None),
    case(DEFAULT, "one in a pool, one not", Place([idle(), number(B)], [pool("p", A)]), None),
    case(DEFAULT, "in an inactive pool", pooled(isActive=False), None),
    case(DEFAULT, "all in pools", pooled()),
    case(DEFAULT, "an RCS sender", Place([number(A)], senders=[SENDER])),
    case(DEFAULT, "closed account", Place([number(A)], status="closed")),
    case(DEFAULT, "one of them missing", Place([number(A), number(B, isDefaultNumber=None)])),
    case(DEFAULT, "there is one", Place([number(A), number(B, isDefaultNumber=True)])),
    # No number
    case(NONE, "nothing at all", Place(), None),
    case(NONE, "an empty pool", Place([], [pool("p")]), None),
    case(NONE, "numbers in a pool only", pooled(numbers=())),
    case(NONE, "an RCS sender", Place(senders=[SENDER])),
    case(NONE, "closed account", Place(status="closed")),
    case(NONE, "a number", Place([number(A)])),
    # Unassigned
    case(IDLE, "service null", Place([idle()]), A),
    case(IDLE, "service {}", Place([idle(inboundCallService={})]), A),
    case(
        IDLE, "service of nulls", Place([idle(inboundCallService={"type": None, "value": None})]), A
    ),
    case(IDLE, "service none", Place([idle(inboundCallService={"type": "none"})]), A),
    case(
        IDLE,
        "service with an empty object",
        Place([idle(inboundCallService={"type": "", "value": {}})]),
        A,
    ),
    case(
        IDLE,
        "forward to nothing",
        Place([idle(inboundCallService={"type": "forward", "value": ""})]),
        A,
    ),
    case(
        IDLE,
        "forward to an object of nothing",
        Place([idle(inboundCallService={"type": "Forward", "value": {"number": None}})]),
        A,
    ),
    case(IDLE, 'rings [""]', Place([idle(linkedRingAllUsers=[""])]), A),
    case(IDLE, "a blank user", Place([idle(linkedUser=" ")]), A),
    case(IDLE, "inactive pool", pooled(isActive=False), A),
    case(IDLE, "the default number", Place([idle(isDefaultNumber=True)])),
    case(IDLE, "active pool", pooled()),
    case(IDLE, "active pool, national format", pooled(members=("(415) 555-0001",))),
    case(IDLE, "forwards", Place([idle(forwardingNumber=B)])),
    case(
        IDLE,
        "forward, forwardingNumber",
        Place([idle(inboundCallService={"type": "forward"}, forwardingNumber=B)]),
    ),
    case(IDLE, "an IVR", Place([idle(inboundCallService={"type": "ivr", "value": "x"})])),
    case(IDLE, "an IVR without a value", Place([idle(inboundCallService={"type": "ivr"})])),
    case(
        IDLE,
        "a service of which only further keys are known",
        Place([idle(inboundCallService={"flow": "x"})]),
    ),
    case(IDLE, "rings one of two", Place([idle(linkedRingAllUsers=["", "u1"])])),
    case(IDLE, "closed account", Place([idle()], status="closed")),
    # Capabilities
    case("no-sms", "no", Place([number(A, capabilities={"sms": False})]), A),
    case("no-sms", "missing", Place([number(A, capabilities={})])),
    case("no-voice", "no", Place([number(A, capabilities={"voice": False})]), A),
    case("no-voice", "missing", Place([number(A, capabilities={})])),
    # Twice in one list
    case("listed-twice", "the same number", Place([number(A), number(B), number(A)]), A),
    case("listed-twice", "three times", Place([number(A), number(A), number(A)]), A),
    case(
        "listed-twice",
        "two spellings",
        Place([number(A), number("+1 (415) 555-0001")]),
        A,
        "+1 (415) 555-0001",
    ),
    case("listed-twice", "once", Place([number(A), number(B)])),
    # A rule that a user wrote, which also joins pools and numbers
    case("in-a-pool", "national format", pooled(members=("(415) 555-0001",)), A),
    case("in-a-pool", "in none", Place([number(A)])),
]
OWN_RULES = {"in-a-pool": "SELECT location_id, phone_number FROM numbers WHERE pool_ids <> []"}
