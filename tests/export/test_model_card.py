"""The model card says what the run recorded, and the upload sends the model and nothing of this machine."""

import nbformat
import pytest
from huggingface_hub import ModelCard
from huggingface_hub.errors import LocalTokenNotFoundError

from ftlib.export.model_card import HubError, card, files, upload
from ftlib.export.usage import TITLE, notebook
from ftlib.models.loading import load_tokenizer
from ftlib.pipeline.stage import Run, StageMissing
from ftlib.prompts.encoding import encode_prompt
from ftlib.prompts.templates import QUESTIONS, build_prompt
from ftlib.runtime.files import read_json


class Hub:
    """Stands in for HfApi and remembers what it was asked."""

    def __init__(self):
        self.calls = {}

    def __getattr__(self, name):
        return lambda *args, **kwargs: self.calls.setdefault(name, (args, kwargs)) and "https://hub/me/kettle"


@pytest.fixture
def hub(monkeypatch):
    made = Hub()
    monkeypatch.setattr("huggingface_hub.HfApi", lambda: made)
    return made


def test_the_card_has_the_figures_that_were_measured(smoke_run):
    """A figure that is not from this model's evaluation is a claim about another model."""
    text = card(smoke_run, "merged", "me/kettle")
    found = ModelCard(text).data  # the hub reads it
    measured = read_json(smoke_run.stage("evaluation").path / "metrics.json")["unseen"]["systems"]["tuned"]
    scores = {result.metric_name: result.metric_value for result in found.eval_results}
    assert scores["rougeL"] == round(measured["rougeL"]["mean"], 4) and found.pipeline_tag == "text-generation"
    assert "synthetic sample catalog" in text and 'from_pretrained("me/kettle"' in text
    assert str(smoke_run.path) not in text


def test_an_adapter_is_loaded_onto_its_base(smoke_run):
    """A card whose code does not run is the first thing that a reader tries."""
    text = card(smoke_run, "adapter", "me/kettle")
    assert 'AutoModelForCausalLM.from_pretrained(fetch("tiny:llama")' in text
    assert 'PeftModel.from_pretrained(model, "me/kettle")' in text and "library_name: peft" in text


def test_what_goes_up_is_the_model_and_the_card(smoke_run, hub):
    """A manifest names folders of the machine that it was made on."""
    assert upload(smoke_run, "me/kettle") == "https://hub/me/kettle"
    assert hub.calls["create_repo"][1] == {"private": True, "exist_ok": True}
    sent = hub.calls["upload_folder"][1]["allow_patterns"]
    assert {"model.safetensors", "tokenizer.json", "config.json"} <= set(sent) and "manifest.json" not in sent
    assert b"synthetic sample catalog" in hub.calls["upload_file"][1]["path_or_fileobj"]


@pytest.mark.parametrize("kind", ["adapter", "merged"])
def test_the_notebook_asks_the_model_as_it_was_trained(smoke_run, kind, capsys):
    """The hub's button 'open in Colab' needs notebook.ipynb, and one that fails, or prompts otherwise, is worse than none."""
    repo_id = str(smoke_run.stage(kind).path)  # a folder in the place of OWNER/NAME
    made = nbformat.reads(notebook(smoke_run, kind, repo_id), as_version=4)
    nbformat.validate(made)
    assert made.metadata.accelerator == "GPU" and made.metadata.colab.gpuType == "T4"
    namespace = {}
    for cell in made.cells:
        if cell.cell_type == "code" and not cell.source.startswith("%pip"):
            exec(cell.source, namespace)
    answer = capsys.readouterr().out.strip().splitlines()[-1]
    assert namespace["inputs"]["input_ids"][0].tolist() == encode_prompt(
        load_tokenizer("tiny:llama"), build_prompt(TITLE, QUESTIONS["reference"])
    )
    settings = smoke_run.stage("evaluation").manifest()["config"]["generation"]
    assert answer and f"max_new_tokens={settings['max_new_tokens']}" in made.cells[-1].source


def test_a_dry_run_sends_nothing_and_shows_all(smoke_run, hub, capsys):
    """Who looks first must not have published by looking."""
    upload(smoke_run, "me/kettle", "adapter", dry_run=True)
    said = capsys.readouterr().out
    assert not hub.calls and all(path.name in said for path in files(smoke_run, "adapter")) and "# kettle" in said
    assert "notebook.ipynb" in said


def test_errors_say_what_to_do(smoke_run, tmp_path, monkeypatch):
    """A traceback of the hub's client tells a student nothing."""
    with pytest.raises(HubError, match="OWNER/NAME"):
        upload(smoke_run, "kettle")
    with pytest.raises(StageMissing):
        card(Run(tmp_path / "nothing"))

    def no_token(*_, **__):
        raise LocalTokenNotFoundError("no token")

    monkeypatch.setattr("huggingface_hub.HfApi.create_repo", no_token)
    with pytest.raises(HubError, match="hf auth login"):
        upload(smoke_run, "me/kettle")


def test_the_card_and_the_report_are_english_whatever_the_notebooks_speak(smoke_run, monkeypatch):
    """Notebook 04 shows the card that will lie on the hub, where readers of every language expect English."""
    from ftlib.reporting import html_report
    from ftlib.runtime.files import read_json

    metrics = read_json(smoke_run.path / "evaluation" / "metrics.json")
    expected = card(smoke_run), html_report.html(smoke_run.path, metrics, [])
    monkeypatch.setenv("FTLIB_LANGUAGE", "pt-BR")
    assert (card(smoke_run), html_report.html(smoke_run.path, metrics, [])) == expected
