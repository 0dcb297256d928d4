"""The model hub, as it really answers: on 127.0.0.1, with the installed release of its client (1.x or 2.x)."""

import functools
from pathlib import Path

import fake_hub
import huggingface_hub
import pytest
from huggingface_hub import constants

from ftlib.cli.entry import main
from ftlib.export.model_card import upload
from ftlib.models.base_models import ModelError, fetch
from ftlib.models.hub_errors import HubError, explain
from ftlib.models.loading import load_model_config, load_plain, load_tokenizer

pytestmark = pytest.mark.integration


@functools.cache
def tiny_files() -> dict[str, bytes]:
    return fake_hub.files_of(Path(fetch("tiny:llama")))


@pytest.fixture(scope="module")
def server():
    files = tiny_files()
    without_weights = {name: data for name, data in files.items() if not name.endswith(".safetensors")}
    with fake_hub.running({"me/tiny": files, "me/half": files, "me/bare": without_weights, "me/mine": {}}) as found:
        yield found


@pytest.fixture
def online(server, monkeypatch, tmp_path):
    """A function: point the hub's client to an address (default: the fake hub), with a token; an empty cache."""

    def connect(address=server[0], token=None, offline=False):
        for name, value in {
            "ENDPOINT": address,
            "HUGGINGFACE_CO_URL_TEMPLATE": address + "/{repo_id}/resolve/{revision}/{filename}",
            "HF_HUB_OFFLINE": offline,
            "HF_HUB_CACHE": str(tmp_path / "hub"),
            "HF_HUB_DISABLE_XET": True,
            "HF_TOKEN_PATH": str(tmp_path / "token"),
        }.items():
            monkeypatch.setattr(constants, name, value)
        monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: None)  # between attempts
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.delenv("HF_TOKEN", raising=False)
        if token:
            monkeypatch.setenv("HF_TOKEN", token)
        server[1].log.clear()

    connect()
    return connect


def one_line(error) -> str:
    text = str(error.value)
    assert "\n" not in text and "Traceback" not in text and len(text) < 500, text
    return text


def test_a_model_of_the_hub_is_loaded(online):
    """The errors below would prove nothing if a good repository failed as well."""
    assert load_model_config("me/tiny").model_type == "llama"
    assert load_tokenizer("me/tiny").chat_template and load_plain("me/tiny", "float32").num_parameters() > 0


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("me/missing", "no such model, or this token may not see it: check the spelling"),
        ("me/private", "for a private one run `hf auth login`"),
        ("me/gated", "is gated: accept its terms at https://huggingface.co/me/gated, then run `hf auth login`"),
        ("me/forbidden", "this token may not read it (403)"),
        ("me/busy", "too many requests from here (429)"),
        ("me/down", "the hub has a problem of its own (503)"),
        ("me/my model", "is not a valid repository name"),
        ("a/b/c", "is not a valid repository name"),
    ],
)
def test_a_model_that_cannot_be_had_says_how_to_get_access(online, name, words):
    """A gated model ended in a hundred lines of three libraries, of which one says what to do."""
    with pytest.raises(ModelError) as error:
        load_model_config(name)
    assert words in one_line(error) and str(error.value).startswith("model.name = ")


@pytest.mark.parametrize(("name", "load"), [("me/half", load_plain), ("me/bare", load_plain)])
def test_weights_that_stop_on_the_way_are_told(online, name, load):
    """A download that breaks off after gigabytes must say that it can be tried again, and be no model afterwards."""
    with pytest.raises((ModelError, OSError)) as error:
        load(name, "float32")
    if name == "me/half":
        assert "cannot be reached" in one_line(error) and "try again" in str(error.value)


def test_no_network_and_offline_mode_name_what_works_without(online):
    """On a train or in a closed lab the reader must learn that a local folder or the cpu profile needs no hub."""
    online("http://127.0.0.1:9")
    with pytest.raises(ModelError) as error:
        load_model_config("me/tiny")
    assert "--profile cpu" in one_line(error) and "reached" in str(error.value)
    online(offline=True)
    with pytest.raises(ModelError) as error:
        load_model_config("me/tiny")
    assert "HF_HUB_OFFLINE is set" in one_line(error) and "local folder" in str(error.value)


def test_an_error_that_nobody_caught_is_one_line_of_the_command_line(online, capsys):
    """`ftlib train` with a base of the hub must not end in a traceback wherever the hub is asked first."""
    assert main(["train", "--set", "model.name=me/gated", "--run", "nowhere"]) == 2
    assert "me/gated is gated" in capsys.readouterr().err.splitlines()[-1]
    assert explain(KeyError("title")) is None and explain(OSError(28, "No space left on device")) is None


@pytest.mark.parametrize(
    ("token", "words"),
    [
        (None, "there is no token for the hub on this machine: run `hf auth login`"),
        ("hf_wrong", "the hub does not accept this token (401)"),
        ("hf_read", "this token may not write there (403)"),
        ("hf_full", "the hub has no room for these files (413)"),
        ("hf_down", "the hub has a problem of its own (500)"),
        ("hf_cut", "cannot be reached"),
    ],
)
def test_an_upload_that_is_refused_says_why(online, smoke_run, token, words):
    """A read-only token is the usual one; its owner must learn which kind is needed and where to get it."""
    online(token=token)
    with pytest.raises(HubError) as error:
        upload(smoke_run, "me/new", "adapter")
    assert words in one_line(error) and "me/new" in str(error.value)


def test_a_broken_transfer_of_the_rust_client_is_told():
    """hf_xet raises Python's own ConnectionError, which belongs to no library: an upload ended in its traceback."""
    error = ConnectionError("Network error: Request error: error decoding response body, domain: no-url")
    assert "cannot be reached" in explain(error, "me/new", writing=True)
    assert explain(ConnectionError("a socket of something else")) is None


@pytest.mark.parametrize(("token", "place"), [("hf_good", "me/new"), ("hf_fine", "me/mine")])
def test_an_upload_reaches_the_hub(online, server, smoke_run, token, place):
    """A fine-grained token for one repository may not create any, and its upload was refused although it may write."""
    online(token=token)
    assert upload(smoke_run, place, "adapter").endswith(place)
    assert {"adapter_model.safetensors", "README.md"} <= set(server[1].files[place])
    with pytest.raises(HubError, match="may not write there"):
        online(token="hf_fine")
        upload(smoke_run, "me/other", "adapter")


@pytest.mark.parametrize(
    "place", ["me/my model", "me/a--b", "me/.hidden", "me/x.git", "me", "a/b/c", "me/" + "x" * 100]
)
def test_a_dry_run_refuses_what_the_hub_would_refuse(online, server, smoke_run, place, capsys):
    """A dry run that shows a fine upload under a name that the hub refuses is no dry run."""
    run = ["export", "hub", place, "--kind", "adapter", "--run", str(smoke_run.path)]
    assert main([*run, "--dry-run"]) == main(run) == 2
    assert len(capsys.readouterr().err.splitlines()) == 2 and not server[1].log


def test_the_release_under_test_is_supported():
    """These tests count for the release that is installed; both majors are run."""
    assert huggingface_hub.__version__.split(".")[0] in ("1", "2")
