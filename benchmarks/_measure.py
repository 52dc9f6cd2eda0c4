"""How the speed figures are taken and shown: in turns within one run, as ratios, a line each."""

from __future__ import annotations

import argparse
import gc
import statistics
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from time import process_time
from typing import TypeVar

from _report import print_versions
from attrs import frozen

T = TypeVar("T")

_ENOUGH = 3
"""Rounds without which no goal counts as met or missed."""

COLUMNS = ("figure", "ours", "against", "theirs", "ratio", "middle half", "goal", "")


def is_short(description: str | None) -> bool:
    """Whether the script is only to show that it runs."""
    parser = argparse.ArgumentParser(description=(description or "").splitlines()[0])
    parser.add_argument("--short", action="store_true", help="only see that it runs")
    return bool(parser.parse_args().short)


def in_turns(
    cases: Mapping[str, Callable[[], object]],
    rounds: int,
    clock: Callable[[], float] = process_time,
) -> dict[str, list[float]]:
    """Seconds of each case, round by round, each case once in every round.

    The first round warms up and is left out.
    """
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    for number in range(rounds + 1):
        for name, run in cases.items():
            gc.collect()
            began = clock()
            run()
            if number:
                seconds[name].append(clock() - began)
    return seconds


def in_new_process(function: Callable[..., T], *arguments: object) -> T:
    """What a function gives in a process that has done nothing else yet."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


@frozen
class Figure:
    """Something of ours against something of another's, from the same rounds."""

    what: str
    against: str
    ours: list[float]
    theirs: list[float]
    unit: str
    goal: str = ""
    met: Callable[[float, float], bool] | None = None
    """Whether our median and the median ratio reach the goal."""

    def row(self) -> list[str]:
        """The cells of its line."""
        ratios = [ours / theirs for ours, theirs in zip(self.ours, self.theirs, strict=True)]
        ours, theirs, ratio = map(statistics.median, (self.ours, self.theirs, ratios))
        low, _, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
        verdict = ""
        if self.met is not None and len(ratios) >= _ENOUGH:
            verdict = "met" if self.met(ours, ratio) else "missed"
        amounts = (f"{ours:.3g} {self.unit}", f"{theirs:.3g} {self.unit}")
        spread = f"{low:.2f} to {high:.2f}"
        return [
            self.what,
            amounts[0],
            self.against,
            amounts[1],
            f"{ratio:.2f}",
            spread,
            self.goal,
            verdict,
        ]


def show(*figures: Figure, packages: tuple[str, ...]) -> None:
    """Prints what the figures were taken with, and a Markdown table of them."""
    print_versions("lcphone-async", *packages)
    print("".join(head() + [line(figure.row()) for figure in figures]), end="")


def head() -> list[str]:
    """The first two lines of a table of figures."""
    return [line(COLUMNS), line(["---"] * len(COLUMNS))]


def line(cells: Sequence[str]) -> str:
    """A line of a Markdown table."""
    return f"| {' | '.join(cells)} |\n"
