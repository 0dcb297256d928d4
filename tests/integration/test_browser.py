"""The page in a real browser, against the smoke model: asking, streaming, sources, voting, and what people do wrong.

Needs a Chromium (Debian's package, or the path of one in FTLIB_CHROMIUM) and the package playwright; skipped without them.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

from ftlib.app import html
from ftlib.app.model_pair import TITLE_CHARS
from ftlib.pipeline.stages import load_dataset

CHROMIUM = os.environ.get("FTLIB_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
sync_api = pytest.importorskip("playwright.sync_api", reason="needs the package playwright")
pytestmark = [
    pytest.mark.integration,
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM, reason="needs a browser: apt-get install chromium, or set FTLIB_CHROMIUM"),
]
W = html.wordings()["en"]
WATCH = """() => {
    const left = document.querySelector('#left'); window.seen = [];
    const watch = {subtree: true, childList: true, characterData: true};
    new MutationObserver(() => window.seen.push(left.innerText)).observe(left, watch);
}"""
LONG = 20_000  # milliseconds: an answer of the smoke model takes one second, on a busy machine some


class Server:
    """`ftlib serve` in a process of its own."""

    def __init__(self, run):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.run, self.process = run, None

    @property
    def address(self):
        return f"http://127.0.0.1:{self.port}/"

    def start(self):
        command = [sys.executable, "-m", "ftlib", "serve", "--run", str(self.run.path), "--port", str(self.port)]
        command += ["--set", "generation.max_new_tokens=64"]
        self.process = subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL)
        for _ in range(600):
            try:
                urllib.request.urlopen(self.address, timeout=1).close()
                return self
            except OSError:
                assert self.process.poll() is None, "the server ended"
                time.sleep(0.1)
        raise AssertionError("the server did not start within a minute")

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        self.process.wait(20)


@pytest.fixture(scope="module")
def server(smoke_run):
    serving = Server(smoke_run).start()
    yield serving
    serving.stop()
    (smoke_run.path / "votes.sqlite").unlink(missing_ok=True)


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox"]
        )  # a container has no sandbox
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def window(browser):
    """The browser of most visitors: it keeps the page's scripts, which take seconds to compile."""
    context = browser.new_context(locale="en-US")
    yield context
    context.close()


@pytest.fixture
def visit(browser, window, server):
    """A function: a new tab with the page, in a browser of its own if something is said about it.

    Nothing may be fetched from elsewhere.
    """
    tabs, elsewhere = [], []

    def opened(**about):
        tab = (browser.new_context(**about) if about else window).new_page()
        tabs.append((tab, tab.context if about else tab))
        tab.set_default_timeout(LONG)
        tab.on("request", lambda request: elsewhere.append(request.url) if _outside(request.url, server) else None)
        tab.goto(server.address)
        tab.locator("#ask").wait_for()
        return tab

    yield opened
    for _, closed in tabs:
        closed.close()
    assert not elsewhere, "the page fetched something from elsewhere"


def _outside(url, server):
    return not url.startswith((server.address, server.address.replace("http", "ws"), "data:", "blob:"))


def field(tab, name):
    return tab.locator(f"#{name} textarea, #{name} input").first


def ask(tab, title, question=""):
    field(tab, "title").fill(title)
    field(tab, "question").fill(question)
    tab.locator("#ask").click()


def whole(tab):
    """Wait until both answers are there; returns their texts."""
    tab.locator("#vote-left").wait_for()
    return [tab.locator(f"#{side} .ft-text").inner_text() for side in ("left", "right")]


def titles(run):
    return load_dataset(run)["train"].select(range(6))


def test_ask_stream_sources_vote(visit, server, smoke_run):
    """The one thing that the page is for."""
    row, tab = titles(smoke_run)[0], visit()
    tab.evaluate(WATCH)
    ask(tab, row["title"])
    left, right = whole(tab)
    seen = tab.evaluate("window.seen")
    assert len({text for text in seen if W["writing"] in text}) > 1  # it was shown while it was written
    assert left.strip() and right.strip() and left != right
    assert "tokens/s" in tab.locator("#right .ft-note").inner_text()
    link = tab.locator("#sources a").first
    assert link.inner_text().startswith(row["uid"])
    with tab.context.expect_page() as opened:
        link.click()
    assert row["content"][:60] in opened.value.locator("p.text").inner_text()
    tab.locator("#vote-right").click()
    assert tab.locator("#thanks").get_by_role("status").inner_text() == W["thanks"].format(
        left=W["base"], right=W["tuned"]
    )
    assert not tab.locator("#vote-right").is_visible()
    command = [sys.executable, "-m", "ftlib", "votes", "--run", str(smoke_run.path)]
    assert "tuned better 1" in subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_blind_names_nobody_before_the_vote(visit, smoke_run):
    """A page that shows the names has no blind votes."""
    tab = visit()
    tab.locator("#blind input").check()
    ask(tab, titles(smoke_run)[1]["title"])
    whole(tab)
    assert [tab.locator(f"#{side} h2").inner_text() for side in ("left", "right")] == ["A", "B"]
    assert W["tuned"] not in tab.locator("main, body").first.inner_text()
    tab.locator("#vote-tie").click()
    assert W["tuned"] in tab.locator("#thanks").get_by_role("status").inner_text()


def test_what_cannot_be_asked_is_said(visit):
    """An empty field or a pasted novel must give a sentence, not a spinner."""
    tab = visit()
    assert field(tab, "title").get_attribute("maxlength") == str(TITLE_CHARS)  # nobody learns only afterwards
    # a script's value is not cut at the field's maxlength, as that of a client without our page would not be
    put = "(field, text) => { field.value = text; field.dispatchEvent(new Event('input', {bubbles: true})); }"
    novels = {"": "The title is empty", "x" * 10_000: "10000 characters", "word " * 2_000: "9999 characters"}
    for title, words in novels.items():
        field(tab, "title").evaluate(put, title)
        tab.locator("#ask").click()
        sync_api.expect(tab.get_by_role("alert")).to_contain_text(words, timeout=LONG)
        assert not tab.locator("#vote-left").is_visible()


@pytest.mark.parametrize(
    "title",
    [
        "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'>",
        pytest.param("${window.hacked = 1} {{7*7}}", marks=pytest.mark.slow),
        "不锈钢水壶 чайник 🫖",
    ],
)
def test_titles_of_all_kinds_are_only_text(visit, title):
    """A title that runs as a script runs in every reader's browser; another alphabet must not stop the page."""
    tab = visit()
    ask(tab, title, title)
    assert all(text.strip() for text in whole(tab))
    assert tab.evaluate("window.hacked") is None
    assert W["no_sources"] in tab.locator("#sources").inner_text()


@pytest.mark.slow
def test_two_tabs_do_not_mix(visit, smoke_run):
    """One visitor gets the other one's answers, or votes on them."""
    rows, tabs = titles(smoke_run), [visit(), visit()]
    for tab, row in zip(tabs, (rows[2], rows[3]), strict=True):
        ask(tab, row["title"])
    for tab, row in zip(tabs, (rows[2], rows[3]), strict=True):
        whole(tab)
        assert tab.locator("#sources a").first.inner_text().startswith(row["uid"])


@pytest.mark.slow
def test_a_closed_tab_does_not_hold_up_the_next_visitor(visit, smoke_run):
    """Somebody asks and leaves; without care the others wait for an answer that nobody reads, or for ever."""
    gone = visit()
    ask(gone, "Cup")
    gone.locator("#left section").wait_for()
    gone.close()
    tab = visit()
    ask(tab, titles(smoke_run)[0]["title"])
    whole(tab)


def test_stop_ends_the_answer_and_the_next_one_comes(visit, smoke_run):
    """Without it a visitor waits for an answer that he does not want, and so do all behind him."""
    tab = visit()
    tab.locator("#decoding button").first.click()
    longest = tab.locator("#decoding input[type=number]").first
    longest.fill("512")
    longest.press("Tab")
    ask(tab, "Cup")
    tab.locator("#left .ft-text:not(:empty)").wait_for()
    tab.locator("#stop").click()
    whole(tab)
    ask(tab, titles(smoke_run)[4]["title"])
    tab.locator("#sources a", has_text=titles(smoke_run)[4]["uid"]).wait_for()


def test_keyboard_alone(visit, smoke_run):
    """Who cannot use a mouse cannot use the page."""
    tab = visit()
    field(tab, "title").focus()
    tab.keyboard.type("Steel kettle")
    tab.keyboard.press("Enter")
    whole(tab)
    for _ in range(40):
        tab.keyboard.press("Tab")
        if tab.evaluate("document.activeElement.id") == "vote-tie":
            break
    tab.keyboard.press("Enter")
    tab.locator("#thanks").get_by_role("status").wait_for()


def test_phone_dark_and_portuguese(visit, smoke_run):
    """Half of the visitors come by phone; some in Portuguese; a screen reader needs a name for each control."""
    tab = visit(viewport={"width": 390, "height": 844}, locale="pt-BR", color_scheme="dark")
    pt = html.wordings()["pt"]
    tab.get_by_label(pt["title"]).fill(titles(smoke_run)[5]["title"])
    tab.get_by_label(pt["blind"]).check()
    tab.get_by_role("button", name=pt["ask"]).click()
    whole(tab)
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390
    boxes = [tab.locator(f"#{side}").bounding_box() for side in ("left", "right")]
    assert boxes[1]["y"] >= boxes[0]["y"] + boxes[0]["height"]  # one below the other
    assert tab.get_by_role("region", name="A").count() == 1 and tab.get_by_role("heading", level=1).count() == 1
    assert tab.evaluate("document.documentElement.lang") == "pt"
    assert tab.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"


@pytest.mark.slow
def test_a_server_that_comes_back_serves_the_open_page(visit, server, smoke_run):
    """A restart in the middle of an answer must cost that answer, not the page."""
    tab = visit()
    ask(tab, "Cup")
    tab.locator("#left section").wait_for()
    server.stop(signal.SIGKILL)
    server.start()
    # the page notices, and loads itself again; on a busy machine its next look at the server can be half a minute away
    sync_api.expect(field(tab, "title")).to_have_value("", timeout=5 * LONG)
    ask(tab, titles(smoke_run)[0]["title"])
    assert all(text.strip() for text in whole(tab))
