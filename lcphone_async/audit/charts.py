"""Bar charts of the report as static SVG, by Altair and vl-convert.

A chart without a script opens offline, prints, and cannot run a hostile name. Its colours are CSS
variables of the page, so that one drawing serves light and dark mode.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import altair as alt
import vl_convert
from attrs import frozen

_ROW, _BAR = 26, 16  # pixels
_LABELS, _BARS = 145, 285  # pixels; together they fill a card
_MIN_SHARE = 0.005
_SCALE_FACTOR = 1.55  # leaves room for the text to the right of the longest bar

# Characters that XML cannot hold (XML 1.0, 2.2): vl-convert aborts the process on one.
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@frozen
class Chart:
    """A horizontal bar chart with a count beside each bar."""

    title: str
    """Heading above the chart."""
    rows: Sequence[tuple[str, int]]
    """Label and count of each bar, from top to bottom."""
    total: int | None = None
    """Sum that each bar is shown as a percentage of; `None` shows counts only."""
    note: str = ""
    """Remark below the title."""

    @property
    def svg(self) -> str:
        """The chart as an SVG document."""
        values = [
            {"name": _NOT_IN_XML.sub("\ufffd", name), "count": n, "text": self._text(n)}
            for name, n in self.rows
        ]
        most = max((n for _, n in self.rows), default=1)
        y = alt.Y("name:N", sort=None, title=None, axis=_AXIS)
        x = alt.X("count:Q", axis=None, scale=alt.Scale(domain=[0, most * _SCALE_FACTOR]))
        bars = alt.Chart().mark_bar(color="var(--accent)", height=_BAR).encode(x=x, y=y)
        style: dict[str, Any] = {"align": "left", "dx": 6, "color": "var(--ink)", "fontSize": 12}
        texts = alt.Chart().mark_text(**style).encode(x=x, y=y, text="text:N")
        chart = (
            alt.layer(bars, texts, data={"values": values})
            .properties(width=_BARS, height=_ROW * len(values))
            .configure(font="system-ui, sans-serif", background="transparent", padding=2)
            .configure_view(stroke=None)
        )
        return vl_convert.vegalite_to_svg(chart.to_dict())

    def _text(self, count: int) -> str:
        if not self.total:
            return f"{count:,}"
        share = count / self.total
        return (
            f"{count:,} · {share:.0%}" if share >= _MIN_SHARE or not count else f"{count:,} · <1%"
        )


_AXIS: dict[str, Any] = {
    "labelColor": "var(--ink)",
    "labelFontSize": 12,
    "labelLimit": _LABELS - 30,
    "minExtent": _LABELS,
    "maxExtent": _LABELS,
    "labelPadding": 8,
    "domain": False,
    "ticks": False,
}
