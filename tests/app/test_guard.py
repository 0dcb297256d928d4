"""Bad requests to a page that is really served, on 127.0.0.1: each is refused, and a visitor's are answered."""

import json

import httpx
import pytest

from ftlib.app import gradio_app, guard
from ftlib.app.model_pair import TITLE_CHARS, load_pair
from ftlib.app.session import Desk
from ftlib.config.settings import Config

HUGE = "a" * 20_000_000


@pytest.fixture(scope="module")
def served(smoke_run):
    """The page, served by this process: a client whose base address is its own."""
    cfg = Config.load("smoke", env={}, **{"generation.max_new_tokens": 6})
    blocks, address = gradio_app.launch(Desk(load_pair(cfg, smoke_run), smoke_run), "127.0.0.1", None, block=False)
    with httpx.Client(base_url=address, timeout=60) as client:
        client.blocks = blocks
        yield client
    blocks.close(verbose=False)
    (smoke_run.path / "votes.sqlite").unlink(missing_ok=True)


def join(client, title: str, **options) -> httpx.Response:
    """A question, as the page's own script puts it into the queue."""
    (ask,) = (each for each in client.get("config").json()["dependencies"] if each["api_name"] == "ask")
    data = [title, "", False, True, 8, False, 0.7, 0.9, 0.0, 1.0]
    body = {"data": data, "fn_index": ask["id"], "session_hash": "me"}
    return client.post("gradio_api/queue/join", json=body, **options)


def test_a_question_of_a_visitor_is_answered(served):
    """A guard that also refuses the page's own requests shows an empty page."""
    assert served.get("/").status_code == 200
    own = {"origin": str(served.base_url).rstrip("/")}
    assert join(served, "Blue cup", headers=own).status_code == 200
    with served.stream("GET", "gradio_api/queue/data", params={"session_hash": "me"}, headers=own) as stream:
        messages = [json.loads(line[5:]) for line in stream.iter_lines() if line.startswith("data:")]
    (done,) = (message for message in messages if message["msg"] == "process_completed")
    assert done["success"] and "me" not in served.blocks.stopped


@pytest.mark.parametrize("host", ["evil.example", "evil.example:7860", "localhost.evil.example", "", "a@[", "10.0.0.1"])
def test_an_unknown_host_is_refused(served, host):
    """A web site that points its own name at this machine reads the catalog through the visitor's browser."""
    for place in ("/", "config", "row/test/0"):
        found = served.get(place, headers={"host": host})
        assert found.status_code == 400 and "lamp" not in found.text.lower()
    assert join(served, "Cup", headers={"host": host}).status_code == 400


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:7860", "127.0.0.1", "[::1]:7860"])
def test_the_names_of_this_machine_are_known(served, host):
    """Who types localhost in place of 127.0.0.1 gets an error."""
    assert served.get("config", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1.evil.example"])
def test_another_site_is_refused(served, origin):
    """A web site that the visitor has open asks and votes in the visitor's name, or reads what the page serves."""
    assert join(served, "Cup", headers={"origin": origin}).status_code == 403
    assert served.get("config", headers={"origin": origin}).status_code == 403


def test_nothing_can_be_uploaded(served):
    """A stranger fills the disk, file by file."""
    for size in (1, 100_000):
        found = served.post("gradio_api/upload", files={"files": ("a.txt", b"a" * size)})
        assert found.status_code == 413
    assert not served.blocks.upload_file_set


@pytest.mark.parametrize("place", ["gradio_api/run/ask", "gradio_api/api/ask", "gradio_api/api/predict", "api/predict"])
def test_no_request_passes_by_the_queue(served, place):
    """One visitor's script takes the models, and everybody else waits."""
    found = served.post(place, json={"data": ["Cup", "", False, False, 8, False, 0.7, 0.9, 0.0, 1.0]})
    assert found.status_code in (404, 405)


def test_a_large_request_is_refused(served):
    """A title of 20 MB is read into memory before anybody looks at its length."""
    assert join(served, HUGE).status_code == 413
    body = json.dumps({"data": [HUGE[:1_000_000]], "fn_index": 0, "session_hash": "me"}).encode()
    pieces = (body[start : start + 10_000] for start in range(0, len(body), 10_000))  # no length is stated
    headers = {"content-type": "application/json"}
    assert served.post("gradio_api/queue/join", content=pieces, headers=headers).status_code == 413
    assert TITLE_CHARS * 4 < guard.LARGEST_BODY


def test_what_is_kept_of_visitors_is_bounded(served):
    """A script that presses Stop under a million names fills the memory."""
    (halt,) = (each for each in served.get("config").json()["dependencies"] if each["api_name"] == "halt")
    found = served.post("gradio_api/run/halt", json={"data": [], "fn_index": halt["id"], "session_hash": "somebody"})
    assert found.status_code == 200 and "somebody" in served.blocks.stopped
    stopped = gradio_app.Stopped(limit=3)
    for visitor in "abcda":
        stopped.add(visitor)
    assert list(stopped.visitors) == ["c", "d", "a"] and "b" not in stopped
    assert (
        served.blocks.state_session_capacity == gradio_app.SESSIONS
        and served.blocks.stopped.limit == gradio_app.SESSIONS
    )


def test_nothing_is_shared_or_recorded_elsewhere(served):
    """Gradio's run history sends what visitors ask to the hub; its monitoring shows it to everybody."""
    config = served.get("config").json()
    assert not config.get("run_history") and not config.get("is_space") and served.blocks.analytics_enabled is False
    assert served.get("gradio_api/runs").status_code == 404
    assert served.post("gradio_api/run-history/connect", json={"bucket_id": "a/b"}).status_code in (404, 405)
    assert served.get("monitoring/summary").status_code == 403 and served.blocks.share_url is None


def test_a_row_number_of_many_digits_is_no_row(served):
    """An address with five thousand digits ends in a traceback on the owner's screen."""
    assert served.get(f"row/test/{'9' * 5000}").status_code == 404
    assert served.get("row/test/-1").status_code == served.get("row/test/x").status_code == 404
    assert served.get("row/test/0").status_code == 200


def test_hosts_are_those_of_the_machine_and_of_the_service_it_runs_at(monkeypatch):
    """`--host 0.0.0.0`, a notebook service's proxy or a tunnel shows "unknown host", and there is no way to allow it."""
    for variable in (*guard.SERVICES, guard.ENVIRONMENT):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(guard.socket, "gethostname", lambda: "Desk")
    monkeypatch.setattr(guard.socket, "getfqdn", lambda: "desk.home.example")

    def known(name, host="127.0.0.1", extra=()):
        return guard.is_allowed(name, guard.allowed_hosts(host, extra))

    assert known("localhost") and known("localhost.") and not known("192.168.1.5") and not known("desk.local")
    for name in ("192.168.1.5", "fe80::1", "desk", "desk.local", "desk.home.example"):
        assert known(name, "0.0.0.0"), name  # noqa: S104, nothing is bound here
    assert not known("evil.example", "0.0.0.0") and known("shop.example", "shop.example")  # noqa: S104
    assert known("a.trycloudflare.com", extra=["*.trycloudflare.com"]) and not known(
        "trycloudflare.com.evil", extra=["*.com"]
    )
    monkeypatch.setenv(guard.ENVIRONMENT, " demo.example , *.lan")
    assert known("demo.example") and known("pc.lan") and not known("lan")
    assert not known("x-colab.googleusercontent.com")
    monkeypatch.setenv("COLAB_RELEASE_TAG", "release-colab")
    assert known("x-colab.googleusercontent.com") and known("8000-m-s.us-west1-0.prod.colab.dev")
    monkeypatch.setenv(guard.ENVIRONMENT, "*")
    assert known("anything.example")
