"""How the shared budget holds for 200 processes and 10,000 locations, and what it costs Redis.

The processes' side is the package's own code, on a clock that jumps. Redis is a model in Python of
`redis/window.lua`, which is first compared with the script itself, visit by visit. Work is
spread unevenly over the locations, all processes share the busiest, some die, some answers come
late. The service counts a request at some moment between its grant and its answer. Then the cost
of the script is measured on a redis-server, if there is one. The exit code is 1 if a window was
overdrawn, someone was left waiting, a key was left behind, or the model is not the script.

    python benchmarks/stress/budget_simulation.py [--short]
"""

import argparse
import asyncio
import math
import random
import sys
from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from pathlib import Path
from statistics import mean
from typing import Any

from attrs import define, field
from redis import Redis

from lcphone_async import RateLimitStatus
from lcphone_async.redis import RedisRateLimiter

sys.path.append(str(Path(__file__).parents[2] / "tests"))
from support import fake_clock
from support.redis_server import RedisServer

SCRIPT = (Path(__file__).parents[2] / "lcphone_async/redis/window.lua").read_text()
TIME = "local time = redis.call('TIME')\nlocal now = time[1] * 1000 + time[2] / 1000\n"
LIMIT, PERIOD, PROCESSES = 100, 10.0, 200
SHARED_BY_ALL = 10  # locations
AT_MOST = 3600  # seconds of virtual time
CLAIM = 1e13
NEVER = math.inf


@define
class Window:
    """The script's sorted set, and the script, line for line."""

    scores: dict[str, float] = field(factory=dict)
    order: list[tuple[float, str]] = field(factory=list)
    expires: float = NEVER

    def add(self, score: float, name: str) -> None:
        """ZADD."""
        self.remove(name)
        self.scores[name] = score
        insort(self.order, (score, name))

    def remove(self, name: str) -> None:
        """ZREM."""
        score = self.scores.pop(name, None)
        if score is not None:
            del self.order[bisect_left(self.order, (score, name))]

    def remove_between(self, least: float, most: float) -> None:
        """ZREMRANGEBYSCORE."""
        first, last = bisect_left(self.order, (least,)), self.up_to(most)
        for _, name in self.order[first:last]:
            del self.scores[name]
        del self.order[first:last]

    def up_to(self, score: float) -> int:
        """ZCOUNT from -inf."""
        return bisect_right(self.order, (score, "\x7f"))

    def visit(self, now: float, *arguments: float | str) -> list[int]:
        """What the script does, and returns."""
        limit, period, lease, want, process, number, witness, grace, told, ago, *pairs = arguments
        if told:
            until = now - ago + float(told.rpartition(":")[2]) - 2 * CLAIM
            self.add(max(until, self.scores.get(told, -NEVER)), told)
            self.remove_between(-NEVER, now - 2 * CLAIM)
        first, last = (bisect_left(self.order, (score,)) for score in (now - 2 * CLAIM, -CLAIM))
        limits = [name.split(":") for _, name in self.order[first:last]]
        requests = min((int(most) for _, most, _ in limits), default=0)
        longest = max((float(interval) for *_, interval in limits), default=0)
        if requests:
            limit, period = min(limit, requests), max(period, longest)
        of_all = [requests, math.ceil(longest)]
        lost = 0
        if witness and witness not in self.scores:
            lost = 1
            self.add(now, "hold")
        for name, age in zip(pairs[::2], pairs[1::2], strict=True):
            self.add(now - age, name)
        self.remove_between(0, now - period)
        self.remove_between(-CLAIM, now - grace - CLAIM)
        self.remove(f"claim:{process}")
        self.expires = now + math.ceil(lease + period + grace)
        if "hold" in self.scores:
            return [0, math.ceil(self.scores["hold"] + period - now), lost, *of_all]
        past, claims = (bisect_left(self.order, (score,)) for score in (-CLAIM, 0))
        taken, claims = len(self.order) - claims, claims - past
        granted = max(0, min(want, limit - taken - (self.up_to(now - CLAIM) - past)))
        for i in range(granted):
            self.add(now + lease, f"{process}:{number + i}")
        if granted == want:
            return [granted, 0, lost, *of_all]
        taken += granted
        free = now + period
        if limit > 0 and taken > 0:
            place = min(max(0, taken + claims - limit), taken - 1)
            free = min(self.order[past + claims + place][0] + period, free)
        self.add(free - CLAIM, f"claim:{process}")
        return [granted, math.ceil(free - now), lost, *of_all]


@define
class ModelOfRedis:
    """All windows, what their visitors were told, and the most that was alive at once."""

    windows: defaultdict[str, Window] = field(factory=lambda: defaultdict(Window))
    told: dict[tuple[str, str], float] = field(factory=dict)
    visits: int = 0
    asked_again: int = 0
    peak: tuple[int, int] = (0, 0)

    def visit(self, key: str, arguments: list[float | str]) -> list[int]:
        """One visit, at the time of the clock that jumps."""
        now = round(1.7e15 + asyncio.get_running_loop().time() * 1e6) / 1000
        answer = self.windows[key].visit(now, *arguments)
        self.visits += 1
        process, want = arguments[4], arguments[3]
        self.asked_again += now >= self.told.pop((key, process), NEVER) and not answer[0]
        if answer[0] < want:
            self.told[key, process] = now + answer[1]
        return answer

    def expire(self) -> None:
        """Drops the keys whose time is over, and counts the others."""
        now = 1.7e12 + asyncio.get_running_loop().time() * 1000
        for key, window in list(self.windows.items()):
            if window.expires < now or not window.scores:
                del self.windows[key]
        members = sum(len(window.scores) for window in self.windows.values())
        self.peak = max(self.peak, (members, len(self.windows)))


@define
class WayToRedis:
    """What a process has for a client of Redis; nothing comes through once it is dead."""

    redis: ModelOfRedis
    dead: bool = False

    def register_script(self, script: str) -> None:
        """A client of Redis is known by it, and nothing here goes by it."""
        raise NotImplementedError(script)

    async def execute_command(self, _name: str, *call: Any, **_target: object) -> list[int]:
        """The way there, the visit, whatever script is named, and the way back."""
        _script, _keys, key, *args = call
        await asyncio.sleep(random.uniform(0.0001, 0.001))
        if self.dead:
            raise ConnectionError
        answer = self.redis.visit(key, args)
        await asyncio.sleep(random.uniform(0.0001, 0.001))
        return answer


@define(eq=False)
class Process:
    """A process with work at many locations; another may take its work over when it dies."""

    outcome: "Outcome"
    way: WayToRedis = field(init=False)
    limiter: RedisRateLimiter = field(init=False)
    work: dict[str, int] = field(factory=dict)
    tasks: set[asyncio.Task[None]] = field(factory=set)

    def start(self) -> None:
        """Begins the work that is left, as a new process."""
        self.way = WayToRedis(self.outcome.redis)
        self.limiter = RedisRateLimiter(self.way, LIMIT, PERIOD)
        for location, requests in self.work.items():
            for _ in range(min(requests, 10)):
                self.tasks.add(asyncio.create_task(self.send_all(location)))

    def die(self) -> None:
        """Ends as by SIGKILL: nothing more is sent, and Redis hears nothing."""
        self.way.dead = True
        for task in self.tasks:
            task.cancel()
        self.tasks.clear()

    def unfinished(self) -> int:
        """How many tasks still have something to do."""
        return sum(not task.done() for task in self.tasks)

    async def send_all(self, location: str) -> None:
        """Sends what requests there are for a location, each in a slot."""
        while self.work[location] > 0:
            self.work[location] -= 1
            async with self.limiter.slot(location, learns=True) as slot:
                await self.send(location)
                slot.learn(RateLimitStatus(max_requests=LIMIT, period=PERIOD))

    async def send(self, location: str) -> None:
        """One request: one in a hundred is answered very late."""
        now = asyncio.get_running_loop().time()
        late = random.randrange(100) == 0
        takes = random.uniform(0, 2.5 * PERIOD) if late else random.expovariate(1 / 0.1)
        until_counted = takes * random.choice((0, random.random(), 1))
        self.outcome.grants[location].append(now)
        await asyncio.sleep(until_counted)
        self.outcome.counted[location].append(now + until_counted)
        await asyncio.sleep(takes - until_counted)


def spread_work(processes: list[Process], locations: int, busiest: int) -> None:
    """Zipf: the first ten locations have work from all processes, the others from a few."""
    for rank in range(1, locations + 1):
        requests = max(3, int(busiest / rank**0.8))
        who = processes if rank <= SHARED_BY_ALL else random.sample(processes, random.randint(1, 8))
        for process in who:
            process.work[f"location-{rank}"] = math.ceil(requests / len(who))


@define
class Outcome:
    """What happened in a simulation."""

    redis: ModelOfRedis = field(factory=ModelOfRedis)
    grants: defaultdict[str, list[float]] = field(factory=lambda: defaultdict(list))
    counted: defaultdict[str, list[float]] = field(factory=lambda: defaultdict(list))
    seconds: float = 0.0
    stuck: int = 0
    keys_left: int = 0

    @property
    def slots(self) -> int:
        """How many were granted."""
        return sum(map(len, self.grants.values()))

    def overdrawn(self) -> int:
        """Sliding windows of one period with more than the limit, each from a counted request."""
        overdrawn = 0
        for times in map(sorted, self.counted.values()):
            pairs = zip(times, times[LIMIT:], strict=False)
            overdrawn += sum(last - first < PERIOD - 1e-6 for first, last in pairs)
        return overdrawn

    def use(self, locations: list[str]) -> float:
        """The part of the budget that was used until the last grant."""
        return mean(
            sum(min(PERIOD, at[-1] - granted) for granted in at) / LIMIT / (at[-1] - at[0])
            for at in map(self.grants.__getitem__, locations)
        )


async def simulate(locations: int, busiest: int) -> Outcome:
    """Lets all the work be done, with a death now and then, and waits until keys expire."""
    outcome = Outcome()
    processes = [Process(outcome) for _ in range(PROCESSES)]
    spread_work(processes, locations, busiest)
    for number, process in enumerate(processes):
        await asyncio.sleep(random.expovariate(PROCESSES / PERIOD))
        process.start()
        if number % 20 == 0:
            await asyncio.sleep(0.005)
            process.die()
    while outcome.seconds < AT_MOST and any(process.unfinished() for process in processes):
        outcome.redis.expire()
        await asyncio.sleep(1)
        outcome.seconds = asyncio.get_running_loop().time()
        if outcome.seconds < 10 * PERIOD and random.randrange(3) == 0:
            victim = random.choice(processes)
            victim.die()
            if random.choice((True, False)):
                victim.start()
    outcome.stuck = sum(process.unfinished() for process in processes)
    await asyncio.sleep(3 * PERIOD)
    outcome.redis.expire()
    outcome.keys_left = len(outcome.redis.windows)
    return outcome


def compare(redis: Redis, visits: int) -> int:
    """How often the model and the script differ, in answer or set, on random visits."""
    script = SCRIPT.replace(TIME, "local now = tonumber(table.remove(ARGV))\n")
    visit, model, now, differ = redis.register_script(script), Window(), 1.7e12, 0
    if script == SCRIPT:
        raise RuntimeError("the script no longer reads its clock as this simulation expects")
    for number in range(0, 10 * visits, 10):
        now += round(random.choice((0, 0.5, 40, 400, 4000)) * random.random(), 3)
        slots = [name for name in model.scores if name[0] == "p"]
        known = random.sample(slots, min(len(slots), random.randint(0, 3)))
        period = random.choice((1000, 1000, 1234.5))
        ages = [random.choice((-period, random.uniform(0, 1.2 * period))) for _ in known]
        pairs = [part for pair in zip(known, ages, strict=True) for part in pair]
        witness = random.choice(slots or [""]) if number % 1000 else "lost"
        want, limit = random.choice((0, 1, 1, 2, 9)), random.choice((0, 1, 5, 20, 20))
        process = f"p{random.randint(1, 40)}"
        told = random.choice(("", "", "limit:20:1000.0", "limit:9:1234.5", "limit:200:50.0"))
        ago = random.uniform(0, 1500)
        arguments = [limit, period, 1000, want, process, number, witness, 500, told, ago, *pairs]
        modelled = model.visit(now, *arguments)
        answer = visit(keys=["compared"], args=[*arguments, now])
        members = redis.zrange("compared", 0, -1, withscores=True)
        order = [(score, name.decode()) for name, score in members]
        expires = model.expires < NEVER or not model.scores
        in_redis = answer, order, redis.pttl("compared") != -1
        differ += (modelled, model.order, expires) != in_redis
    return differ


def measure(redis: Redis, slots: int, claims: int, visits: int) -> tuple[float, int]:
    """Redis' own microseconds a visit, and bytes, with so many slots and claims in the set."""
    visit, key, name = redis.register_script(SCRIPT), f"measured-{slots}-{claims}", "0123456789ab"
    limit, period = slots + (claims == 0), 1000 * PERIOD
    limit_told = (f"limit:{limit}:{period}", 0)
    visit(keys=[key], args=[limit, period, period, slots, name, 0, "", 500, *limit_told])
    for other in range(claims):
        visit(keys=[key], args=[limit, period, period, 1, f"{other:012x}", 0, "", 500, "", 0])
    redis.config_resetstat()
    for number in range(slots, slots + visits):
        told = (f"{name}:{number - 1}", period) if number > slots and not claims else ()
        witness = f"{name}:0" if slots > 1 else ""
        limit_told = (f"limit:{limit}:{period}" if number % 50 == 0 else "", 0)  # twice a period
        arguments = [limit, period, period, 1, name, number, witness, 500, *limit_told, *told]
        visit(keys=[key], args=arguments)
    microseconds = redis.info("commandstats")["cmdstat_evalsha"]["usec_per_call"]
    return microseconds, redis.memory_usage(key, samples=0)


def report_costs(redis: Redis, visits: int, visits_a_slot: float) -> None:
    """Prints what the script costs this machine's Redis."""
    print("\n    in the set           us a visit    bytes")
    for slots, claims in ((1, 0), (10, 0), (LIMIT, LIMIT), (LIMIT, 0)):
        microseconds, size = measure(redis, slots, claims, visits)
        print(f"{slots:4} slots, {claims:4} claims {microseconds:12.1f} {size:8,}")
    print(f"one core grants {1e6 / microseconds / visits_a_slot:,.0f} slots a second")
    print(f"10,000 full locations take {size / 2**20 * 10_000:.0f} MiB")


def report(outcome: Outcome) -> None:
    """Prints what the simulation showed."""
    redis, grants, slots = outcome.redis, outcome.grants, outcome.slots
    hot = [f"location-{rank}" for rank in range(1, SHARED_BY_ALL + 1)]
    busy = [key for key, at in grants.items() if len(at) >= 5 * LIMIT and key not in hot]
    print(f"{slots:,} slots at {len(grants):,} locations in {outcome.seconds:,.0f} s")
    print(f"{slots:,} windows checked, {outcome.overdrawn()} overdrawn")
    print(f"{outcome.stuck} left waiting, {outcome.keys_left} keys left behind")
    print(f"use of the budget: {outcome.use(busy):.1%} at {len(busy)} busy locations of 1 to 8")
    print(f"    processes, {outcome.use(hot):.1%} at the {len(hot)} that all share")
    print(f"{redis.visits / slots:.2f} visits a slot, ", end="")
    print(f"{redis.asked_again / slots:.2f} of them because told to come too early")
    print(f"at the peak {redis.peak[0]:,} members in {redis.peak[1]:,} keys")


def main() -> int:
    """Runs all three parts; gives the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--short", action="store_true", help="about ten seconds, for CI")
    short = parser.parse_args().short
    random.seed(1)
    locations, busiest, visits = (1000, 4000, 2000) if short else (10_000, 8000, 20_000)
    outcome = fake_clock.run(simulate(locations, busiest))
    report(outcome)
    kept = not (outcome.overdrawn() or outcome.stuck or outcome.keys_left)
    if RedisServer.program is None:
        print("\nThere is no redis-server here: the model was not compared, no cost was measured.")
        return 0 if kept else 1
    server = RedisServer()
    server.start()
    try:
        redis = Redis(port=server.port)
        differ = compare(redis, visits)
        print(f"\nthe model and the script, {visits:,} random visits: {differ} differ")
        report_costs(redis, visits, outcome.redis.visits / outcome.slots)
    finally:
        server.stop()
    return 0 if kept and not differ else 1


if __name__ == "__main__":
    sys.exit(main())
