"""What cannot work is refused before the first stage, in one line with what to do."""

import copy
import json
import shutil
from types import SimpleNamespace

import pytest
import smoke
import torch
import transformers
from safetensors.torch import load_file, save_file

from ftlib.cli.entry import main
from ftlib.config.settings import ConfigError
from ftlib.models.base_models import ModelError, build_tiny
from ftlib.models.checks import check_base, one_of_each, safetensors_problem
from ftlib.models.loading import load_plain, load_tokenizer
from ftlib.pipeline import preflight
from ftlib.pipeline.preflight import check_run
from ftlib.runtime.errors import FtlibError
from ftlib.runtime.files import read_json, write_json

SHORT = (
    "train.max_steps=2 train.eval_steps=2 train.save_steps=2 train.examples_per_step=4 evaluation.rows=4 "
    "evaluation.seen_rows=2 generation.max_new_tokens=8 merge.proof_prompts=2 data.train_size=50"
).split()
SIZES = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "max_position_embeddings": 1024,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 2,
}
# Shapes of the families, tiny and random; the template that goes with each; whether the GGUF writer has the family.
SHAPES = {
    "llama2": ("LlamaConfig", {}, "zephyr", True),
    "llama3": ("LlamaConfig", {"num_key_value_heads": 1, "rope_theta": 500000.0}, "llama3", True),
    "smollm2": ("LlamaConfig", {"num_key_value_heads": 1, "tie_word_embeddings": True}, "chatml", True),
    "mistral": ("MistralConfig", {"num_key_value_heads": 1, "sliding_window": 128}, "mistral", False),
    "qwen2": ("Qwen2Config", {"tie_word_embeddings": True}, "chatml", False),
    "qwen3": ("Qwen3Config", {"head_dim": 32}, "chatml", False),
    "phi3": ("Phi3Config", {}, "phi3", False),
    "gemma3": (
        "Gemma3TextConfig",
        {"head_dim": 32, "sliding_window": 128, "tie_word_embeddings": True},
        "gemma",
        False,
    ),
}


def sets(pairs) -> list[str]:
    return [part for pair in pairs for part in ("--set", pair)]


def save_model(folder, family):
    """A tiny random model of a family with its tokenizer, as a user's folder."""
    kind, options, template, _ = SHAPES[family]
    tokenizer = smoke.tokenizer(template)
    torch.manual_seed(0)
    config = getattr(transformers, kind)(vocab_size=len(tokenizer), **SIZES | options)
    transformers.AutoModelForCausalLM.from_config(config).half().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def tiny(tmp_path):
    """A copy of the smoke model, to be spoiled."""
    return shutil.copytree(build_tiny(), tmp_path / "base")


def of(folder, **overrides):
    return smoke.Config.load("smoke", env={}, **{"model.name": str(folder)} | overrides)


def pickled(folder):
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def truncated(folder, size=5000):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:size])


def sharded(folder):
    weights = load_file(folder / "model.safetensors")
    names = {name: f"model-0000{1 + n % 2}-of-00002.safetensors" for n, name in enumerate(weights)}
    write_json(folder / "model.safetensors.index.json", {"metadata": {}, "weight_map": names})
    part = {name: weights[name] for name, file in names.items() if "00001" in file[:12]}
    save_file(part, folder / "model-00001-of-00002.safetensors", metadata={"format": "pt"})
    (folder / "model.safetensors").unlink()


def no_end(folder):
    tokenizer = load_tokenizer(str(folder))
    tokenizer.chat_template = "{% for m in messages %}{{ m['role'] + ': ' + m['content'] + '\n' }}{% endfor %}"
    tokenizer.save_pretrained(folder)
    config = read_json(folder / "tokenizer_config.json")
    write_json(
        folder / "tokenizer_config.json", {k: v for k, v in config.items() if k not in ("eos_token", "pad_token")}
    )


def no_tokenizer(folder):
    for path in folder.iterdir():
        if "token" in path.name or "template" in path.name:
            path.unlink()


def template(text):
    def change(folder):
        tokenizer = load_tokenizer(str(folder))
        tokenizer.chat_template = text
        tokenizer.save_pretrained(folder)

    return change


def larger_vocabulary(folder):
    tokenizer = load_tokenizer(str(folder))
    tokenizer.add_tokens(["<|one more|>"])
    tokenizer.save_pretrained(folder)


def write(name, content):
    return lambda folder: (folder / name).write_text(content)


LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 1\n"


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (pickled, "its weights are pytorch_model.bin; allowed are safetensors only"),
        (write("model.safetensors", LFS), "is a Git LFS pointer, not the weights: run `git lfs pull`"),
        (truncated, r"model.safetensors has 5,000 bytes of [\d,]+; download it again"),
        (lambda folder: truncated(folder, 4), "has 4 bytes and no complete header"),
        (lambda folder: (folder / "model.safetensors").unlink(), "there is no model.safetensors in that folder"),
        (sharded, "model-00002-of-00002.safetensors is missing"),
        (no_tokenizer, "no tokenizer .* copy the base model's tokenizer files into it"),
        (write("tokenizer.json", "{"), "its tokenizer cannot be loaded; it needs tokenizer.json"),
        (no_end, "no token ends an answer"),
        (template("{{ messages[0]['content'] "), "its chat template fails"),
        (template("hello"), "its chat template drops the messages"),
        (larger_vocabulary, r"its tokenizer has token 2048, and the model has embeddings for 0 to 2047"),
        (write("config.json", "{"), "model.name = .*config.json"),
        (write("config.json", '{"model_type": "nothing_known"}'), "model.name = .*nothing_known"),
        (write("config.json", json.dumps({"model_type": "t5"})), "a t5 model cannot be built here"),
    ],
)
def test_a_base_that_is_broken_is_refused_before_anything_is_built(tiny, spoil, words):
    """Each of these ended in a traceback of a library, most of them after the rows were prepared."""
    spoil(tiny)
    with pytest.raises(ModelError, match=words) as error:
        check_base(of(tiny))
    assert "\n" not in str(error.value)


def test_a_base_that_fits_is_built_once_but_its_files_are_checked_each_time(tiny, monkeypatch):
    """A training checks its base twice; weights that were damaged in between must not pass."""
    from ftlib.models import checks

    built, build = [], checks.check_layers
    monkeypatch.setattr(checks, "check_layers", lambda cfg: built.append(1) or build(cfg))
    for _ in range(2):
        check_base(of(tiny))
    check_base(of(tiny, **{"lora.r": 4}))
    assert len(built) == 2, "once for each setting"
    (tiny / "model.safetensors").write_bytes(b"cut off")
    with pytest.raises(ModelError, match=r"model\.safetensors"):
        check_base(of(tiny))


def test_the_tokenizer_of_a_check_is_handed_on_once(tiny):
    """Loading it takes a quarter of a second, and a training checks its base twice; a third check reads its files again."""
    first, second, third = (check_base(of(tiny)) for _ in range(3))
    assert first is second
    assert third is not second
    assert third("a title")["input_ids"] == first("a title")["input_ids"]


def test_only_the_last_tokenizer_is_kept(tiny):
    """A study checks dozens of settings, and each tokenizer takes megabytes."""
    first = check_base(of(tiny, **{"lora.r": 4}))
    check_base(of(tiny, **{"lora.r": 8}))
    assert check_base(of(tiny, **{"lora.r": 4})) is not first


def test_a_base_without_sdpa_or_linear_layers_is_refused(tmp_path):
    """GPT-2 trained, and failed when it was merged; Gemma 2 failed when it was loaded."""
    from transformers import Gemma2Config, Gemma2ForCausalLM, GPT2Config, GPT2LMHeadModel

    tokenizer = smoke.tokenizer()
    size = {"vocab_size": len(tokenizer), "bos_token_id": 1, "eos_token_id": 2}
    models = {
        "gpt2": (GPT2LMHeadModel(GPT2Config(n_embd=64, n_layer=2, n_head=2, **size)), "Conv1D layers"),
        "gemma2": (
            Gemma2ForCausalLM(Gemma2Config(hidden_size=64, num_hidden_layers=2, intermediate_size=128, **size)),
            "a gemma2 model caps its attention logits",
        ),
    }
    for name, (model, words) in models.items():
        model.save_pretrained(tmp_path / name)
        tokenizer.save_pretrained(tmp_path / name)
        with pytest.raises(ModelError, match=words):
            check_base(of(tmp_path / name))


def test_missing_weights_are_not_drawn_at_random(tiny):
    """transformers warns, and draws the weights that a file lacks at random."""
    weights = load_file(tiny / "model.safetensors")
    del weights["model.layers.1.mlp.down_proj.weight"]
    save_file(weights, tiny / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match="1 weights are missing, model.layers.1.mlp.down_proj.weight among them"):
        load_plain(str(tiny), "float32")


def test_a_complete_safetensors_file_has_no_problem():
    """A check that refuses sound files would be worse than none."""
    assert safetensors_problem(build_tiny() / "model.safetensors") is None


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"lora.target_modules": ["q_proj", "vproj"]}, "has no module vproj; it has down_proj, gate_proj"),
        ({"lora.target_modules": "nothing"}, "lora.target_modules = nothing: .* Linear layers of"),
        ({"lora.target_modules": ["q_proj", "mlp"]}, "Target module LlamaMLP is not supported"),
        ({"lora.modules_to_save": ["embeddings"]}, "has no module embeddings; it has lm_head, embed_tokens"),
        ({"train.max_length": 2048}, "train.max_length = 2048: .* has 1024 positions"),
        ({"generation.max_new_tokens": 5000}, "generation.max_new_tokens = 5000: .* has 1024 positions"),
        ({"train.max_length": 64, "data.questions": ["why " * 80]}, r"a prompt alone has \d+ tokens or more"),
    ],
)
def test_settings_that_do_not_fit_the_model_are_refused_before_anything_is_built(overrides, words):
    """PEFT passes over a misspelt module as long as another one fits; then less is trained than was asked for."""
    with pytest.raises(ConfigError, match=words):
        check_base(of("tiny:llama", **overrides))


@pytest.mark.parametrize(
    "modules",
    ["all-linear", ["q_proj"], ["layers.1.self_attn.q_proj", "layers.0.mlp.up_proj"], r".*\.layers\.1\..*q_proj"],
)
def test_an_adapter_of_some_layers_alone_is_accepted(modules):
    """The check looks at one layer of each kind where all layers get the same, and only there."""
    check_base(of("tiny:llama", **{"lora.target_modules": modules, "train.seed": 7}))  # settings no other test checked


def test_a_model_with_one_of_each_layer_keeps_every_kind():
    """PEFT would not see a layer that it refuses, in a model whose layers differ."""
    narrow, wide = (torch.nn.Sequential(torch.nn.Linear(4, size)) for size in (4, 8))
    model = torch.nn.Module()
    model.head, model.layers = torch.nn.Linear(4, 2), torch.nn.ModuleList([narrow, wide, copy.deepcopy(narrow), wide])
    copied = one_of_each(model)
    assert [layer[0].out_features for layer in copied.layers] == [4, 8] and copied.head.out_features == 2
    assert len(model.layers) == 4 and copied.head is not model.head


def test_a_full_disk_and_a_folder_that_cannot_be_written_are_told_at_once(tmp_path, monkeypatch):
    """After an hour of training there was no room for the merged model."""
    cfg = of("tiny:llama")
    check_run(cfg, tmp_path / "run", merges=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(FtlibError, match="file"):
        check_run(cfg, tmp_path / "file" / "run", merges=True)
    monkeypatch.setattr(preflight.shutil, "disk_usage", lambda _: SimpleNamespace(free=10**8))
    with pytest.raises(FtlibError, match=r"0.1 GB are free, and a run with tiny:llama writes about 0.2 GB"):
        check_run(cfg, tmp_path / "run", merges=True)
    check_run(cfg, tmp_path / "run", merges=False)


def test_more_rows_than_there_are_is_refused_before_the_training(tmp_path, capsys):
    """The evaluation said so, after the training."""
    run = tmp_path / "run"
    options = ["--run", str(run), *sets([*SHORT, "evaluation.rows=5000"])]
    assert main(["run", "--profile", "smoke", *options]) == 2
    assert "evaluation.rows = 5000: allowed is at most" in capsys.readouterr().err
    assert (run / "dataset" / "manifest.json").exists() and not (run / "adapter").exists()


def test_sampling_values_without_sampling_do_not_stop_the_merge(tiny, tmp_path):
    """Many bases name a temperature without do_sample; transformers loads such a file and refuses to save it."""
    values = {"bos_token_id": 1, "eos_token_id": 2, "temperature": 0.9, "top_p": 0.6, "top_k": 5, "min_p": 0.1}
    write_json(tiny / "generation_config.json", values)
    load_plain(str(tiny), "float16").save_pretrained(tmp_path / "saved")
    saved = read_json(tmp_path / "saved" / "generation_config.json")
    assert saved["eos_token_id"] == 2 and not {"temperature", "top_p", "top_k", "min_p"} & set(saved)
    write_json(tiny / "generation_config.json", values | {"do_sample": True})
    load_plain(str(tiny), "float16").save_pretrained(tmp_path / "sampled")
    assert read_json(tmp_path / "sampled" / "generation_config.json")["temperature"] == 0.9


@pytest.mark.parametrize("family", [pytest.param(f, marks=() if f == "phi3" else pytest.mark.slow) for f in SHAPES])
def test_a_family_goes_from_prepare_to_ask(tmp_path, capsys, family):
    """A base of a well-known family is what a reader tries first after the course's own."""
    options = ["--profile", "smoke", "--run", str(tmp_path / "run"), *sets(SHORT)]
    base = save_model(tmp_path / "base", family)
    assert main(["run", *options, "--set", f"model.name={base}"]) == 0
    assert ("cannot be exported as GGUF" in capsys.readouterr().out) == (not SHAPES[family][3])
    proof = read_json(tmp_path / "run" / "merged" / "proof.json")
    assert proof["saved_weights_are_the_cast_weights"] and proof["tie_flag_right"]
    ends = read_json(tmp_path / "run" / "merged" / "generation_config.json")["eos_token_id"]
    assert set(smoke.tokenizer(SHAPES[family][2]).added_tokens_decoder) >= set(ends)
    capsys.readouterr()
    assert main(["ask", "A blue kettle", "--run", str(tmp_path / "run"), "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)["answers"]) == {"base", "tuned"}
    status = main(["export", "gguf", "--run", str(tmp_path / "run"), "--type", "f16"])
    said = capsys.readouterr().err
    assert status == (0 if SHAPES[family][3] else 2) and "Traceback" not in said
    if not SHAPES[family][3]:
        assert "ftlib writes Llamas only" in said
