"""The hub's default model, from download to upload: TinyLlama's form with random weights, Llama 2's real tokenizer.

The ids below are those of Llama 2's vocabulary, written down by hand: BOS 1, EOS 2, a line break 13, `▁<` 529, `<` 29966,
`|` 29989, `>` 29958, `user` 1792, `ass` `istant` 465 22137, `▁Hello` 15043, `Hello` 10994, `Description` 9868. The sequence
of a Zephyr prompt stands in many projects that run TinyLlama. Between `</s>` and the line break, tokenizers that take
tokenizer.json as it is (transformers 4, llama.cpp) have one more token, `▁` 29871; transformers 5 obeys TinyLlama's
`legacy: false` and has none.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import fake_hub
import huggingface_hub
import llama2
import nbformat
import pytest
from huggingface_hub import constants
from packaging.version import Version

from ftlib.export.usage import adds_special_tokens
from ftlib.models.base_models import ModelError
from ftlib.models.loading import load_plain, load_tokenizer
from ftlib.prompts.encoding import IGNORED, encode_answer, encode_example, encode_prompt, end_ids, end_of_turn_id
from ftlib.prompts.templates import QUESTIONS, build_prompt

pytestmark = pytest.mark.integration

USER = [529, 29989, 1792, 29989, 29958, 13]
ASSISTANT = [29966, 29989, 465, 22137, 29989, 29958, 13]
SMALL = {  # the settings of the walk: a job of half a minute
    "model.name": llama2.NAME,
    "data.train_size": 64,
    "data.validation_size": 8,
    "data.test_size": 8,
    "train.max_steps": 4,
    "train.eval_steps": 2,
    "train.save_steps": 2,
    "train.eval_rows": 4,
    "train.log_steps": 1,
    "train.examples_per_step": 4,
    "train.micro_batch": 2,
    "train.max_length": 256,
    "merge.proof_prompts": 2,
    "generation.max_new_tokens": 12,
    "evaluation.rows": 6,
    "evaluation.seen_rows": 4,
    "evaluation.bootstrap": 100,
}


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    return llama2.write_model(tmp_path_factory.mktemp("tinyllama"))


@pytest.fixture(scope="module")
def tokenizer(repository):
    return load_tokenizer(str(repository))


def without_space(ids):
    """The ids without the `▁` between EOS and a line break, which depends on the release of transformers."""
    return [each for n, each in enumerate(ids) if not (each == 29871 and ids[n - 1] == 2 and ids[n + 1] == 13)]


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("Hello world", [15043, 3186]),
        ("grabbed", [2646, 1327, 287]),
        ("ax\n####\nboo", [4853, 13, 4136, 13, 833, 29877]),
        ("镇", [29871, 30411]),
        ("🦙", [29871, 243, 162, 169, 156]),
    ],
)
def test_the_vocabulary_is_that_of_llama_2(tokenizer, text, ids):
    """With another vocabulary (Mistral's has as many entries) every check below would pass and prove nothing."""
    assert tokenizer(text, add_special_tokens=False)["input_ids"] == ids
    assert tokenizer.decode(ids) == text and len(tokenizer) == 32000


def test_a_prompt_has_the_ids_that_the_model_was_tuned_on(tokenizer):
    """Without its BOS, or with two, TinyLlama continues another text than it was taught, and nothing says so."""
    ids = encode_prompt(tokenizer, "Hello")
    assert without_space(ids) == [1, *USER, 10994, 2, 13, *ASSISTANT]
    assert ids.count(tokenizer.bos_token_id) == 1 and end_of_turn_id(tokenizer) == 2 == tokenizer.eos_token_id
    prompt = build_prompt("Kettle 5", QUESTIONS["reference"])
    turn = [{"role": "user", "content": prompt}]
    theirs = tokenizer.apply_chat_template(turn, add_generation_prompt=True, return_dict=False)
    assert encode_prompt(tokenizer, prompt) == [1, *theirs]


def test_a_row_has_the_ids_of_the_whole_chat_and_labels_on_the_answer(tokenizer):
    """`▁Description` for `Description`: the first token of every answer was one that the chat template never produces."""
    row = encode_example(tokenizer, "Kettle 5", QUESTIONS["reference"], "A blue kettle.")
    turns = [
        {"role": "user", "content": build_prompt("Kettle 5", QUESTIONS["reference"])},
        {"role": "assistant", "content": "Description: A blue kettle."},
    ]
    whole = tokenizer.apply_chat_template(turns, return_dict=False)
    answer = [9868, 29901, 319, 7254, 413, 1803, 280, 29889, 2]
    assert encode_answer(tokenizer, "A blue kettle.") == answer
    assert row["input_ids"] == [1, *whole[: len(row["input_ids"]) - 1]] and row["input_ids"][-len(answer) :] == answer
    assert row["labels"] == [IGNORED] * row["prompt_tokens"] + answer
    assert tokenizer.decode(answer, skip_special_tokens=True) == "Description: A blue kettle."
    assert whole[len(row["input_ids"]) - 1 :][-1] == 13  # the template's line break after EOS is no part of an answer


def test_a_title_with_a_control_token_keeps_the_ids_around_it(tokenizer):
    """A title with `</s>` in it would end its own turn, or begin with a space that no other title has."""
    ids = encode_prompt(tokenizer, "Hello</s>Hello")
    assert ids.count(2) == 1 and without_space(ids)[: len(USER) + 2] == [1, *USER, 10994]


def test_the_generation_config_causes_no_warning_with_every_answer(repository, tokenizer):
    """TinyLlama's `max_length: 2048` beside our max_new_tokens printed a warning for every batch of answers."""
    model = load_plain(str(repository), "float32")
    assert model.generation_config.max_length is None and end_ids(tokenizer, model) == [2]


def test_code_for_others_adds_the_bos(repository):
    """Zephyr's template writes no BOS: the card's code asked the model without the first token of every training row."""
    assert adds_special_tokens(repository, "Hello") is True


@pytest.fixture
def hub(repository, monkeypatch, tmp_path):
    """A hub with TinyLlama on it, and the hub's client of this process pointed to it, with an empty cache."""
    with fake_hub.running({llama2.NAME: fake_hub.files_of(repository)}) as (address, server):
        for name, value in {
            "ENDPOINT": address,
            "HUGGINGFACE_CO_URL_TEMPLATE": address + "/{repo_id}/resolve/{revision}/{filename}",
            "HF_HUB_OFFLINE": False,
            "HF_HUB_CACHE": str(tmp_path / "hub"),
            "HF_HUB_DISABLE_XET": True,
            "DOWNLOAD_CHUNK_SIZE": 2**20,  # the client keeps whole chunks; the real weights have hundreds of its 10 MB
        }.items():
            monkeypatch.setattr(constants, name, value)
        monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda seconds: None)  # between attempts
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield address, server


@pytest.mark.skipif(
    Version(huggingface_hub.__version__) < Version("2"), reason="huggingface_hub resumes within a call since 2"
)
def test_a_download_that_breaks_continues_where_it_stopped(hub):
    """A connection that is cut at 2 GB of 2.2 must not cost the first 2 GB again."""
    hub[1].cuts = 2
    model = load_plain(llama2.NAME, "bfloat16")
    starts = [first for file, first in hub[1].ranges if file == "model.safetensors"]
    assert len(starts) == 2 and 0 < starts[0] < starts[1] and hub[1].cuts == 0
    assert model.config.num_key_value_heads == 1 and model.config.vocab_size == 32000


def test_a_download_that_breaks_for_good_can_be_run_again(hub):
    """After the client gave up, the same command must download a complete model, not load half of one."""
    hub[1].cuts = 1000
    with pytest.raises(ModelError, match="cannot be reached.*try again"):
        load_plain(llama2.NAME, "bfloat16")
    hub[1].cuts = 0
    assert load_plain(llama2.NAME, "bfloat16").num_parameters() > 8_000_000


@pytest.mark.slow
def test_the_whole_walk_from_the_hub_and_back(repository, tmp_path):
    """Every reader with a GPU takes this path, and no machine of ours has a hub: download, run, ask, upload, read back."""
    run, environment = tmp_path / "run", {**os.environ, "HF_HOME": str(tmp_path / "hf"), "HF_TOKEN": "hf_good"}
    environment |= {"HF_HUB_DISABLE_XET": "1", "NO_PROXY": "127.0.0.1", "FTLIB_RUNS": str(tmp_path)}
    environment.pop("HF_HUB_OFFLINE", None)

    def python(*arguments):
        done = subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
        return done.stdout + done.stderr

    def ftlib(*arguments):
        return python("-m", "ftlib", *arguments, "--run", str(run))

    with fake_hub.running({llama2.NAME: fake_hub.files_of(repository)}) as (address, server):
        environment["HF_ENDPOINT"], server.cuts = address, 1
        sets = [part for key, value in SMALL.items() for part in ("--set", f"{key}={value}")]
        said = ftlib("run", "--profile", "t4", "--data", "sample", *sets)
        assert "report:" in said and server.cuts == 0
        assert "max_length" not in said and "Token indices sequence length" not in said
        manifest = json.loads((run / "adapter" / "manifest.json").read_text(encoding="utf-8"))
        assert manifest["precision"]["quantization"] == "nf4" and manifest["config"]["model"]["name"] == llama2.NAME
        weights = sum(path.endswith("model.safetensors") and method == "GET" for method, path, _ in server.log)
        assert weights == 2  # the one that was cut, and the rest of it: every later stage reads the cache
        for kind in ("adapter", "merged"):
            assert f"me/kettle-{kind}" in ftlib("export", "hub", f"me/kettle-{kind}", "--kind", kind)
            files = server.files[f"me/kettle-{kind}"]
            assert {"README.md", "notebook.ipynb", "tokenizer.json"} <= set(files) and "manifest.json" not in files
            local = run / kind
            for name in ("adapter_model.safetensors", "model.safetensors", "tokenizer.json"):
                assert name not in files or files[name] == (local / name).read_bytes()
            cells = nbformat.reads(files["notebook.ipynb"].decode(), as_version=4).cells
            code = "\n".join(c.source for c in cells if c.cell_type == "code" and not c.source.startswith("%pip"))
            script = tmp_path / f"{kind}.py"
            from_hub = _answer(python, script, code)
            own = code.replace(f'"me/kettle-{kind}"', repr(str(local)))
            assert own != code and from_hub == _answer(python, script, own) and from_hub["ids"][0] == 1
        assert "answered alike" in ftlib("export", "gguf", "--type", "f16")


def _answer(python, script: Path, code: str) -> dict:
    """Run a notebook's code; return the ids of its prompt and answer."""
    end = '\nimport json; print("IDS" + json.dumps(dict(ids=answer[0].tolist())))'
    script.write_text(code + end, encoding="utf-8")
    return json.loads(python(str(script)).partition("IDS")[2].splitlines()[0])
