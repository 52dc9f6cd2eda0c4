"""The report: its content, that it needs no other file, and that a browser shows it cleanly."""

import asyncio
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser

import pytest

from lcphone_async import Location
from lcphone_async.audit import Rule, report
from lcphone_async.audit.charts import Chart
from lcphone_async.sandbox import Sandbox
from support.agency import Place, number, pool

HOSTILE = "</td><script>alert(1)</script><img src=http://evil.example/x onerror=alert(2)>"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


class Page(HTMLParser):
    """The elements, attributes and visible text of a page."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.attributes, self.words = set(), set(), []
        self.hidden = 0
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.hidden += tag in {"style", "svg", "head"}

    def handle_endtag(self, tag):
        self.hidden -= tag in {"style", "svg", "head"}

    def handle_data(self, data):
        if not self.hidden:
            self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


@pytest.fixture
def made(store, tmp_path):
    """A report of the store, as HTML."""

    def make(**options):
        out = tmp_path / "report.html"
        report(store, out, **options)
        return out.read_text(encoding="utf-8")

    return make


def hostile_agency(agency):
    """Every text that the service may choose, chosen to do harm."""
    bad = HOSTILE
    agency.places = {
        "a": Place(
            [
                number(
                    "+12125550001",
                    friendlyName=bad,
                    countryCode=bad,
                    type=bad,
                    origin=bad,
                    linkedUser=bad,
                    forwardingNumber=bad,
                ),
                number(bad, sid=bad),
            ],
            [pool(bad, "+12125550001", name=bad)],
            status=bad,
        ),
        bad: Place([number("+12125550001")]),
    }


@pytest.mark.exhaustive
async def test_the_figures(take, made, agency):
    """Has totals, findings with reasons, changes, costs with assumptions, and coverage."""
    agency.places = {
        "a": Place([number(f"+1212555{i:04}", isDefaultNumber=i == 0) for i in range(1_200)]),
        "b": Place(
            [
                number("+13105550001", linkedUser=None),
                number("+13105550003", isDefaultNumber=True),
            ]
        ),
    }
    await take(agency, [Location("a", "Dental Care"), "b"])
    agency.places["b"].numbers.append(number("+13105550002"))
    await take(agency, [Location("a", "Dental Care"), "b"])
    text = Page(made()).text
    assert "1,203 numbers" in text
    assert "2 locations, all seen whole" in text
    assert "$1,383 a month, estimated" in text
    assert "1 Numbers without a user or call routing They have no user" in text
    assert "+13105550001 b" in text
    assert re.search(r"1 change since .* 1 Numbers added .*\+13105550002 b", text)
    assert "Dental Care" in text
    assert "no calls, texts, registrations or taxes" in text
    assert "Complete 2" in text
    for chart in ("By country", "By type", "Capabilities", "By origin", "By age"):
        assert chart in text


async def test_what_is_missing_comes_first(take, made, agency):
    """Has a banner at the top if the inventory is incomplete, with reasons."""
    agency.places["a"] = Place([number("+12125550001")])
    agency.errors["b"] = 503
    await take(agency, ["a", "b"])
    text = Page(made()).text
    assert "2 locations, 1 not seen whole" in text
    assert text.index("Not everything was seen") < text.index("Findings")
    assert "failed GET /phone-system/numbers/location/b: 503" in text


async def test_an_empty_inventory(take, made, agency):
    """Works for an empty inventory."""
    agency.errors["a"] = 503
    await take(agency, ["a"])
    assert "0 numbers" in Page(made()).text


@pytest.mark.exhaustive
async def test_hostile_names_are_text(take, made, agency):
    """Shows the service's strings as text everywhere, and runs none of them."""
    hostile_agency(agency)
    await take(agency, list(agency.places))
    agency.places["a"].numbers[0]["linkedUser"] = HOSTILE + "2"
    agency.places["a"].status = HOSTILE + "3"
    await take(agency, [Location("a", HOSTILE), HOSTILE])
    html = made(rules=[Rule("all", HOSTILE, HOSTILE, "SELECT * FROM numbers")])
    page = Page(html)
    assert not page.tags & {"script", "img", "iframe", "object", "link", "base", "form", "a"}
    assert not {name for name in page.attributes if name.startswith("on")}
    assert HOSTILE in page.text
    assert "default-src 'none'" in html


@pytest.mark.exhaustive
async def test_texts_that_no_drawing_can_hold(take, store, agency, tmp_path):
    """Draws a sign for each character that XML does not admit, and does not end the process."""
    odd = "a\0\x01\x0b\x1b\ufffe\uffffb"
    agency.places["a"] = Place([number("+12125550001", countryCode=odd, type=odd, origin=odd)])
    await take(agency, [Location("a", odd)])
    out = tmp_path / "report.html"
    program = f"from lcphone_async.audit import report; report({str(store)!r}, {str(out)!r})"
    done = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", program], check=False)
    assert done.returncode == 0
    assert out.read_text(encoding="utf-8").count("a\ufffd\ufffd\ufffd\ufffd\ufffd\ufffdb") >= 4


def test_a_chart_of_texts_that_are_none():
    """Draws a replacement character for a lone surrogate, which XML cannot hold."""
    assert "a\ufffdb" in Chart("By name", [("a\ud800b", 1)]).svg


async def test_it_needs_nothing_else(take, made, agency):
    """Names no address that a browser would fetch."""
    agency.places["a"] = Place([number("+12125550001")])
    await take(agency, ["a"])
    html = made()
    assert not {"src", "href", "srcset", "xlink:href"} & Page(html).attributes
    assert "@import" not in html
    assert "url(" not in re.sub(r'clip-path="url\(#\w+\)"', "", html)


@pytest.mark.exhaustive
async def test_it_stays_small(take, made):
    """Is a few hundred kilobytes at the most, however large the inventory."""
    async with Sandbox(numbers_per_location=20_000) as sandbox:
        await take(sandbox, ["a", "b"])
    html = made()
    assert len(html) < 300_000
    assert "more." in Page(html).text


@pytest.mark.exhaustive
async def test_changes_since_another_store(take, made, tmp_path, agency):
    """Compares with another file's newest run with `--since`."""
    agency.places["a"] = Place([number("+12125550001")])
    await take(agency, ["a"], tmp_path / "last-week")
    agency.places["a"].numbers.append(number("+12125550002"))
    await take(agency, ["a"])
    assert "since" not in Page(made()).text
    assert "1 Numbers added" in Page(made(since=tmp_path / "last-week")).text


@pytest.mark.exhaustive
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
async def test_a_browser_has_no_complaint(take, made, agency, tmp_path):
    """Opens in headless Chromium with no console message, no request and no script run."""
    hostile_agency(agency)
    await take(agency, [Location("a", HOSTILE), HOSTILE])
    await take(agency, [Location("a", HOSTILE), HOSTILE])
    made()
    net = tmp_path / "net.json"
    browser = await asyncio.create_subprocess_exec(
        CHROMIUM,
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-component-update",
        "--no-first-run",
        "--enable-logging=stderr",
        f"--log-net-log={net}",
        f"--user-data-dir={tmp_path / 'profile'}",
        "--dump-dom",
        (tmp_path / "report.html").as_uri(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    page, told = await browser.communicate()
    assert b"<h1>Phone number audit</h1>" in page
    assert b"CONSOLE" not in told
    assert "evil.example" not in net.read_text()
