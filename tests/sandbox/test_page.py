"""The page at `/`, in a real browser."""

import shutil

import pytest

from lcphone_async.sandbox import Fault

playwright = pytest.importorskip("playwright.async_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")

ARGUMENTS = [
    "--no-sandbox",
    "--host-resolver-rules=MAP *.example 127.0.0.1",
    "--disable-features=LocalNetworkAccessChecks",  # which not every browser has
]

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")

HOSTILE = '<img src=x onerror="document.title=1">'


@pytest.fixture
async def browser():
    async with playwright.async_playwright() as started:
        launched = await started.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield launched
        await launched.close()


@pytest.fixture
async def page(browser, sandbox):
    """The page of a sandbox; a word on the console or a request elsewhere fails the test."""
    opened = await browser.new_page()
    complaints = []
    opened.on("console", lambda message: complaints.append(message.text))
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("request", lambda request: complaints.append(request.url))
    own = sandbox.url
    await opened.goto(own)
    yield opened
    expected = (own, "Failed to load resource: net::ERR_")
    assert {word for word in complaints if not word.startswith(expected)} == set()


def seen(page, text):
    """Wait until a text is on the page."""
    return playwright.expect(page.get_by_text(text, exact=False).first).to_be_visible()


@pytest.mark.exhaustive
async def test_requests_appear_as_they_come(page, call, sandbox):
    """A request, a location and a purchase are shown without loading the page again."""
    await seen(page, "live")
    assert await page.locator("#url").inner_text() == sandbox.url
    await call(sandbox).active("loc1", searchFilter="+44")
    await seen(page, "/phone-system/numbers/location/loc1 searchFilter=+44")
    await call(sandbox).purchase("loc1", phoneNumber="+18305551234")
    await seen(page, "+18305551234")
    row = page.locator("#locations tr")
    assert (await row.inner_text()).split() == ["loc1", "121", "2", "1", "active"]


@pytest.mark.exhaustive
async def test_hostile_names_are_text(page, call, sandbox):
    """A location whose id is markup is shown as it is written."""
    await call(sandbox).pools(locationId=HOSTILE)
    await call(sandbox).purchase("loc1", phoneNumber=HOSTILE)
    await seen(page, HOSTILE)
    assert await page.locator("main img").count() == 0
    assert await page.title() == "LC Phone sandbox"


@pytest.mark.exhaustive
async def test_faults_are_added_and_cleared(page, call, sandbox):
    """A person adds a fault, sees it strike, and ends it."""
    await page.get_by_label("Operation").select_option("active")
    await page.get_by_label("What goes wrong").select_option("503")
    await page.get_by_label("Times").fill("2")
    await page.get_by_role("button", name="Add").click()
    await seen(page, "operation=active times=2 status=503")
    assert list(sandbox.faults) == [Fault(operation="active", status=503, times=2)]
    assert (await call(sandbox).active("loc1")).status == 503
    await playwright.expect(page.locator("#faults td").nth(1)).to_have_text("1")
    await page.get_by_role("button", name="Clear").click()
    await playwright.expect(page.locator("#faults")).to_have_text("none yet")
    assert not sandbox.faults


@pytest.mark.exhaustive
async def test_every_effect_on_offer_is_a_fault(page, sandbox):
    """Each of the effects that the page offers is one that the sandbox takes."""
    options = page.get_by_label("What goes wrong").locator("option")
    for n in range(await options.count()):
        await page.get_by_label("What goes wrong").select_option(index=n)
        await page.get_by_role("button", name="Add").click()
        await playwright.expect(page.locator("#faults tr")).to_have_count(n + 1)
    assert len(sandbox.faults) == await options.count()


@pytest.mark.exhaustive
async def test_reset(page, call, sandbox):
    """One button takes all back to the start."""
    await call(sandbox).purchase("loc1", phoneNumber="+18305551234")
    await seen(page, "+18305551234")
    await page.get_by_role("button", name="Reset everything").click()
    await playwright.expect(page.locator("#purchases")).to_have_text("none yet")
    assert (sandbox.ledger, sandbox.requests) == ([], [])


@pytest.mark.exhaustive
async def test_it_says_when_the_sandbox_is_gone(page, sandbox):
    """A page whose sandbox has ended says so."""
    await seen(page, "live")
    await sandbox.close()
    await seen(page, "the sandbox does not answer")


@pytest.mark.sample(1)
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_it_can_be_read_in_light_and_dark(page, call, sandbox, scheme):
    """In both colour schemes all text stands out from its ground, by WCAG's 4.5 to 1."""
    sandbox.faults.append(Fault(operation="pools", status=500))
    await call(sandbox).active("loc1")
    await call(sandbox).pools(locationId="loc1")
    sandbox.faults.append(Fault(status=429, operation="available"))
    await call(sandbox).available("loc1", countryCode="US")
    await page.emulate_media(color_scheme=scheme)
    await seen(page, "429")
    contrasts = await page.evaluate(CONTRASTS)
    assert len(contrasts) > 20
    assert {text: ratio for text, ratio in contrasts if ratio < 4.5} == {}


@pytest.mark.exhaustive
async def test_it_can_be_used_by_ear_and_by_keyboard(page):
    """Every table has a name and headers, every field a label, and Tab reaches each."""
    snapshot = await page.locator("body").aria_snapshot()
    for name in ("Last requests", "Locations", "Faults", "Purchases", "Token requests"):
        assert f'region "{name}"' in snapshot
    for name in ("Operation", "What goes wrong", "Times"):
        assert await page.get_by_label(name).count() == 1
    reached = set()
    for _ in range(20):
        await page.keyboard.press("Tab")
        reached.add(await page.evaluate("document.activeElement.textContent.trim().slice(0, 5)"))
    assert {"Reset", "Add", "Clear"} <= reached


async def test_it_loads_nothing_else(session, sandbox):
    """It is one answer, whose policy lets it run its own script and talk to its own sandbox."""
    async with session.get(sandbox.url) as response:
        policy, text = response.headers["Content-Security-Policy"], await response.text()
    assert policy.startswith("default-src 'none'; connect-src 'self'; script-src 'sha256-")
    assert policy.endswith("; frame-ancestors 'none'")
    assert "src=" not in text.partition("<script>")[0]
    assert "http" not in text.replace("http-equiv", "").partition("<body>")[0]


@pytest.fixture
async def elsewhere(browser):
    """The page of another site."""
    opened = await browser.new_page()
    await opened.route(
        "http://elsewhere.example/", lambda route: route.fulfill(body="<p>Hello</p>")
    )
    await opened.goto("http://elsewhere.example/")
    return opened


@pytest.mark.sample(1)
@pytest.mark.parametrize("way", ["form", "fetch"])
async def test_another_sites_page_cannot_reset_it(elsewhere, call, sandbox, way):
    """What a page of another site posts to the sandbox is refused."""
    await call(sandbox).purchase("loc1", phoneNumber="+18305551234")
    reset = f"{sandbox.url}/__sandbox__/reset"
    async with elsewhere.expect_response(reset) as refusal:
        await elsewhere.evaluate(WAYS[way], reset)
    assert (await refusal.value).status == 403
    assert len(sandbox.ledger) == 1


@pytest.mark.sample(1)
@pytest.mark.parametrize("path", ["/", "/__sandbox__/ledger"])
async def test_a_name_that_was_rebound_shows_nothing(browser, sandbox, path):
    """Under another site's name that leads to this machine there is neither page nor state."""
    opened = await browser.new_page()
    answer = await opened.goto(sandbox.url.replace("127.0.0.1", "rebound.example") + path)
    assert answer.status == 403
    assert "rebound.example" in await answer.text()


@pytest.mark.exhaustive
async def test_another_sites_page_cannot_frame_it(elsewhere, sandbox):
    """The page is not shown within another site's."""
    # Chromium says so on its console, whatever Playwright tells of the page that it shows instead.
    async with elsewhere.expect_console_message(lambda said: "frame-ancestors 'none'" in said.text):
        await elsewhere.set_content(f'<iframe src="{sandbox.url}"></iframe>')
    assert sandbox.url not in [frame.url.rstrip("/") for frame in elsewhere.frames]


@pytest.mark.exhaustive
async def test_a_narrow_screen(page, call, sandbox):
    """On a telephone nothing is wider than the screen."""
    await page.set_viewport_size({"width": 360, "height": 640})
    await call(sandbox).active("loc1", searchFilter="x" * 300)
    await seen(page, "xxxx")
    widths = await page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert widths[0] <= widths[1]


WAYS = {
    "fetch": "(url) => { fetch(url, {method: 'POST', mode: 'no-cors'}); }",
    "form": """(url) => {
      const form = Object.assign(document.createElement("form"), {method: "POST", action: url});
      document.body.append(form);
      form.submit();
    }""",
}
CONTRASTS = """() => {
  const parts = (color) => color.match(/[\\d.]+/g).map(Number);
  const light = (color) => {
    const [r, g, b] = parts(color).map((part) => {
      const share = part / 255;
      return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = getComputedStyle(at).backgroundColor;
      if ((parts(color)[3] ?? 1) > 0) return color;
    }
    return "rgb(255, 255, 255)";
  };
  return [...document.querySelectorAll("body *")]
    .filter((one) => [...one.childNodes].some((n) => n.nodeType === 3 && n.data.trim()))
    .filter((one) => one.checkVisibility() && !["SCRIPT", "OPTION"].includes(one.tagName))
    .map((one) => {
      const [a, b] = [light(getComputedStyle(one).color), light(ground(one))];
      return [one.textContent.trim(), (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)];
    });
}"""
