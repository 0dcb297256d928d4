"""The adapter that ships with the course belongs to the sample, to its base and to the recipe; the reader's own comes first."""

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors import safe_open
from transformers import LlamaConfig, LlamaForCausalLM

from ftlib.config.settings import Config
from ftlib.course import pretrained_adapter
from ftlib.pipeline.stage import Run
from ftlib.pipeline.stages import ensure, stage_key
from ftlib.runtime.files import read_json, write_json

# SmolLM2-135M, from its published configuration
SMOLLM2 = dict(
    hidden_size=576, intermediate_size=1536, num_hidden_layers=30, num_attention_heads=9, num_key_value_heads=3
)


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """A folder for the runs of this test alone."""
    monkeypatch.setenv("FTLIB_RUNS", str(tmp_path))
    return tmp_path


def load(profile="cpu", **overrides):
    return Config.load(profile, env={}, **{"data.path": "sample"} | overrides)


def test_it_belongs_to_the_sample_and_to_the_recipe_of_its_profile(runs):
    """After a change of the sample or of the cpu profile every notebook would train for minutes, in front of a class.

    If this fails, make it anew: `ftlib course record --rebuild`.
    """
    cfg, run = load(), Run(runs / "cpu")
    ensure("dataset", cfg, run)
    manifest = read_json(pretrained_adapter.FOLDER / "manifest.json")
    assert manifest["fingerprint"] == stage_key("adapter", cfg, run).fingerprint
    assert manifest["read"]["dataset"] == run.stage("dataset").manifest()["fingerprint"]


def test_it_loads_on_its_base():
    """Weights that do not fit the base are loaded without an error by some libraries, and then do nothing."""
    recorded = read_json(pretrained_adapter.FOLDER / "adapter_config.json")
    with torch.device("meta"):
        base = LlamaForCausalLM(LlamaConfig(vocab_size=49152, tie_word_embeddings=True, **SMOLLM2))
        model = get_peft_model(base, LoraConfig(r=recorded["r"], target_modules=recorded["target_modules"]))
    expected = {
        name.replace(".default.", "."): list(weight.shape)
        for name, weight in model.named_parameters()
        if "lora_" in name
    }
    with safe_open(pretrained_adapter.FOLDER / pretrained_adapter.WEIGHTS, "pt") as file:
        found = {name: list(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
        assert any(file.get_tensor(name).any() for name in found if "lora_B" in name)
    assert found == expected
    assert "SmolLM2-135M" in recorded["base_model_name_or_path"]
    assert (pretrained_adapter.FOLDER / pretrained_adapter.WEIGHTS).stat().st_size < 6e6


def test_it_is_taken_where_nothing_was_trained_and_can_be_forgotten(runs, capsys):
    """Ten minutes of training at the start of a lesson, or an adapter that never leaves again: both end the lesson."""
    cfg, run = pretrained_adapter.take(load(), Run(runs / "cpu"))
    assert run.stage("adapter").manifest()["shipped"] and "ships with the course" in capsys.readouterr().out
    assert ensure("adapter", cfg, run) and "adapter: up to date" in capsys.readouterr().out
    pretrained_adapter.forget(run)
    assert not run.stage("adapter").started


def test_the_readers_own_adapter_comes_first(runs):
    """An hour of the reader's training must not be shadowed by ours."""
    run = Run(runs / "cpu")
    write_json(run.stage("adapter").path / "manifest.json", {"own": True})
    pretrained_adapter.take(load(), run)
    pretrained_adapter.forget(run)
    assert run.stage("adapter").manifest() == {"own": True}


def test_a_gpu_takes_the_run_that_it_belongs_to(runs):
    """On Colab's GPU the shipped adapter is of another model than the profile's; mixing them would give noise."""
    cfg, run = pretrained_adapter.take(load("t4"), Run(runs / "t4"), **{"data.path": "sample"})
    assert (cfg.profile, run.path.name) == ("cpu", "cpu") and "SmolLM2" in cfg.model.name
    assert run.stage("adapter").complete and not (runs / "t4").exists()


@pytest.mark.parametrize("overrides", [{"lora.r": 4}, {"data.seed": 1}])
def test_other_settings_are_trained(runs, overrides):
    """A reader who changes the rank must see the effect of that rank."""
    cfg, run = pretrained_adapter.take(load(**overrides), Run(runs / "cpu"), **overrides)
    assert not run.stage("adapter").started


def test_own_rows_are_trained_on(runs, write_rows, products):
    """Answers about the synthetic sample, shown as answers about the reader's catalog, are wrong."""
    path = str(write_rows(products(60)))
    cfg, run = pretrained_adapter.take(load(**{"data.path": path}), Run(runs / "cpu"), **{"data.path": path})
    assert not run.stage("adapter").started


def test_keeping_an_adapter_halves_it_and_says_so(smoke_run, tmp_path):
    """Float32 weights would double the repository for digits that nobody can measure."""
    pretrained_adapter.keep(smoke_run, tmp_path / "kept")
    with safe_open(tmp_path / "kept" / pretrained_adapter.WEIGHTS, "pt") as file:
        assert {file.get_tensor(name).dtype for name in file.keys()} == {torch.float16}  # noqa: SIM118
    assert read_json(tmp_path / "kept" / "manifest.json")["shipped"] == "weights rounded to float16"
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == sorted(
        [*pretrained_adapter.FILES, "manifest.json", "README.md"]
    )


def test_its_card_says_what_its_manifest_says():
    """A card typed by hand describes an adapter that was replaced since. If this fails: see `pretrained_adapter.keep`."""
    manifest = read_json(pretrained_adapter.FOLDER / "manifest.json")
    page = (pretrained_adapter.FOLDER / "README.md").read_text(encoding="utf-8")
    assert page == pretrained_adapter.card(manifest)
    assert "license: apache-2.0" in page and f"{manifest['validation_loss']} nats" in page and "Q4_1.gguf" in page
