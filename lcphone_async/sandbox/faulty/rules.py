"""Faults by rule: which requests they strike, and what each does to them."""

import sys
from collections.abc import Iterable, Iterator, Mapping
from itertools import count
from random import Random
from typing import Any, Literal, get_args

from attrs import define, field, frozen, validators

from .. import arguments
from ..inventory.numbers import digest
from ..rate_limits import Budget, Limits
from ..wire.operations import OperationName
from .list_changes import ListChange

Damage = Literal[
    "reset",
    "reset-within",
    "reset-after",
    "hang-up",
    "stall",
    "cut-off",
    "corrupted",
    "html",
    "empty",
    "oversized",
    "deeply-nested",
    "wrong-type",
    "wrong-encoding",
    "wrong-charset",
    "duplicate-headers",
]
Point = Literal["before", "after"]

_one_or_more = validators.optional(arguments.whole(1))


@frozen(kw_only=True)
class Fault:
    """Something that goes wrong, and when.

    The first fields tell which requests it strikes, of those that came whole and within the limits;
    the others what it does: it waits, changes the list, replays the request, answers with a status,
    damages the answer, or several of these.

    >>> down = Fault(status=503, retry_after=2, times=3)
    >>> bought_but_lost = Fault(operation="purchase", nth=2, point="after", damage="reset")
    >>> slow_now_and_then = Fault(operation="purchase", delay=1.5, probability=0.1)
    >>> stricter_than_it_says = Fault(location="loc1", limit=20)
    >>> sent_again_by_a_proxy = Fault(operation="purchase", point="after", replay=1)
    >>> shifted_under_a_walk = Fault(operation="active", nth=2, change="release")
    """

    operation: OperationName | None = field(
        default=None, validator=arguments.among(None, *get_args(OperationName))
    )
    """`None` is any, here and for the location."""
    location: str | None = field(default=None, validator=validators.optional(arguments.a_text))
    nth: int | None = field(default=None, validator=_one_or_more)
    """Only the nth of these requests, from 1, since the fault was added."""
    probability: float = field(default=1.0, validator=arguments.number(0, 1))
    """The sandbox's seed throws the dice."""
    times: int | None = field(default=None, validator=_one_or_more)
    """How often it strikes before it is spent; `None` is always."""
    limit: int | None = field(default=None, validator=validators.optional(arguments.whole(0)))
    """Strikes the requests to a location beyond so many in a period, with a 429 unless told
    otherwise: a limit that is lower than the headers say."""
    point: Point = field(default="before", validator=arguments.among(*get_args(Point)))
    """`before` the service acts: it never does, unless all the fault does is wait.
    `after` it acted: what it did stays done, whatever becomes of the answer."""
    delay: float = field(default=0.0, validator=arguments.number(0))
    """Seconds to wait first. The service goes on also if the client has hung up meanwhile."""
    change: ListChange | None = field(
        default=None, validator=arguments.among(None, *get_args(ListChange))
    )
    """What happens to the location's numbers: `release` takes out the first of the list, `add`
    puts in another. The ledger does not show it."""
    replay: int | None = field(default=None, validator=_one_or_more)
    """How often the request comes again `after` the service acted, as a proxy replays one whose
    response it lost. The client gets the last response; the limits count the request once."""
    status: int | None = field(
        default=None,
        validator=validators.optional(arguments.whole(200, 599)),
    )
    """The status of another answer in place of the service's own."""
    retry_after: int | str | None = field(
        default=None, validator=validators.optional(arguments.a(int, str))
    )
    """The header `Retry-After` of that answer."""
    body: str | Mapping[str, Any] | None = field(
        default=None,
        hash=False,
        validator=validators.optional(arguments.a(str, Mapping)),
    )
    """Its body, HTML or JSON; `None` is the service's usual error."""
    damage: Damage | None = field(default=None, validator=arguments.among(None, *get_args(Damage)))
    """What becomes of the answer.

    - `reset`, `reset-within`, `reset-after`: the connection is reset before the answer, in the
      middle of its body, or once it is out.
    - `hang-up`: there is none, and the connection is closed in order.
    - `stall`: there is none, until the client hangs up or the sandbox closes.
    - `cut-off`: it ends in the middle of its body.
    - `corrupted`: its body is no JSON.
    - `html`: its body is a proxy's page.
    - `empty`: it has no body.
    - `oversized`: its body is followed by 32 MiB of white space.
    - `deeply-nested`: its body is an array in an array, 100,000 deep.
    - `wrong-type`: it says that it is `text/plain`.
    - `wrong-encoding`: it says that it is compressed, and is not.
    - `wrong-charset`: it says that it is UTF-8, and is UTF-16.
    - `duplicate-headers`: its type and its limits come several times, and disagree.

    `before` the service acts, with no status given, that answer is a 500.
    """

    def __attrs_post_init__(self) -> None:
        if not (self.delay or self.change or self.replay or self.answers):
            raise ValueError(
                "a fault needs a delay, a status, a damage, a limit, a change or a replay"
            )
        if self.replay and self.point == "before":
            raise ValueError("replay belongs to point='after': the service acted on the first one")
        if self.says is None and (self.retry_after, self.body) != (None, None):
            raise ValueError("retry_after and body belong to a status")

    @property
    def says(self) -> int | None:
        """The status in place of the service's own, if any."""
        return 429 if self.status is None and self.limit is not None else self.status

    @property
    def answers(self) -> bool:
        """Whether it answers in the service's place, or damages the answer."""
        return self.says is not None or self.damage is not None

    def concerns(self, operation: str, location: str) -> bool:
        """Tell whether it is about such requests."""
        return self.operation in (None, operation) and self.location in (None, location)


@define
class _Rule:
    """A fault among the others, and what it has seen."""

    fault: Fault
    dice: Random
    period: float
    seen: int = 0
    struck: int = 0
    _budgets: dict[str, Budget] = field(factory=dict)

    def is_due(self, operation: str, location: str, now: float) -> bool:
        """Count a request that the fault is about, and tell whether it should strike."""
        if not self.fault.concerns(operation, location) or self._is_within_limit(location, now):
            return False
        self.seen += 1
        lucky = self.dice.random() >= self.fault.probability
        spent = self.fault.times is not None and self.struck >= self.fault.times
        return not (lucky or spent) and self.fault.nth in (None, self.seen)

    def _is_within_limit(self, location: str, now: float) -> bool:
        if self.fault.limit is None:
            return False
        limits = Limits(self.fault.limit, self.period, daily_quota=sys.maxsize)
        return self._budgets.setdefault(location, Budget(limits)).admit(now)


@define(eq=False)
class Faults:
    """The faults of a sandbox, which a test may change at any time.

    A request meets all that are due, first those `before`, each in the order of this list, up to
    one that answers.

    >>> from lcphone_async.sandbox import Sandbox
    >>> faults = Sandbox(faults=[Fault(status=503)]).faults
    >>> faults.append(Fault(delay=0.5))
    >>> faults.remove(Fault(status=503))
    >>> [fault.delay for fault in faults]
    [0.5]
    """

    _seed: int
    _period: float
    struck: list[Fault] = field(factory=list, init=False)
    """Those that struck, oldest first, a fault as often as it did."""
    _rules: list[_Rule] = field(factory=list, init=False)
    _places: Iterator[int] = field(factory=count, init=False)

    def append(self, fault: Fault) -> None:
        """Add a fault, that begins to count now."""
        dice = Random(digest("fault", self._seed, next(self._places)))
        self._rules.append(_Rule(fault, dice, self._period))

    def extend(self, faults: Iterable[Fault]) -> None:
        """Add several."""
        for fault in faults:
            self.append(fault)

    def remove(self, fault: Fault) -> None:
        """End a fault; `ValueError` if it is not there."""
        del self._rules[list(self).index(fault)]

    def clear(self) -> None:
        """End all faults."""
        self._rules.clear()

    def counts(self) -> list[tuple[Fault, int]]:
        """Give each fault with how often it struck."""
        return [(rule.fault, rule.struck) for rule in list(self._rules)]

    def __iter__(self) -> Iterator[Fault]:
        return iter([rule.fault for rule in list(self._rules)])

    def __len__(self) -> int:
        return len(self._rules)

    def strike(self, operation: str, location: str, now: float) -> list[Fault]:
        """Give what a request that has just come meets, in order; only the last one answers."""
        due = [rule for rule in list(self._rules) if rule.is_due(operation, location, now)]
        met: list[Fault] = []
        for rule in sorted(due, key=lambda rule: rule.fault.point == "after"):
            rule.struck += 1
            met.append(rule.fault)
            if rule.fault.answers:
                break
        self.struck += met
        return met
