"""The merged model as GGUF: read back by another program it says the same, or the export is refused."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import gguf
import pytest
import smoke
from tokenizers import Tokenizer, models, normalizers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from ftlib.cli.entry import main
from ftlib.export import gguf as exporting
from ftlib.export.gguf import ExportError, add_tokenizer, ollama_template, pre_tokenizer
from ftlib.generation.batched import Answer
from ftlib.models.base_models import fetch
from ftlib.models.checks import gguf_problem
from ftlib.models.loading import load_plain, load_tokenizer
from ftlib.prompts.encoding import encode_prompt, end_ids
from ftlib.prompts.templates import build_prompt
from ftlib.runtime.files import read_json


@pytest.fixture(scope="module")
def exported(smoke_run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("gguf")
    assert main(["export", "gguf", "--run", str(smoke_run.path), "--out", str(folder)]) == 0
    return folder


def test_the_files_say_the_same_words(exported):
    """Ollama would answer with another model than the one that was measured."""
    proof = read_json(exported / "proof.json")
    assert proof["prompts"] >= 12 and proof["f16"]["same_ids"] and proof["f16"]["same_words"] == proof["prompts"]
    assert proof["q8_0"]["same_ids"] and proof["q8_0"]["bytes"] < 0.7 * proof["f16"]["bytes"]


def test_a_file_that_says_something_else_is_refused(smoke_run, tmp_path, monkeypatch, capsys):
    """Without llama.cpp's order of rows the file loads, and talks nonsense."""
    monkeypatch.setattr(exporting, "paired", lambda weight, heads: weight)
    assert main(["export", "gguf", "--run", str(smoke_run.path), "--out", str(tmp_path), "--type", "f16"]) == 2
    assert "do not use this file" in capsys.readouterr().err and not (tmp_path / "Modelfile").exists()


def test_the_file_carries_what_llama_cpp_asks_for(exported):
    """A missing key ends the program that loads the file, on the reader's machine."""
    fields = gguf.GGUFReader(exported / "model-f16.gguf").fields
    tokenizer = smoke.tokenizer()
    assert fields["tokenizer.chat_template"].contents() and fields["general.architecture"].contents() == "llama"
    assert (
        fields["tokenizer.ggml.pre"].contents() == "gpt-2" and fields["tokenizer.ggml.add_bos_token"].contents() is True
    )
    assert fields["tokenizer.ggml.eos_token_id"].contents() == tokenizer.eos_token_id
    assert len(fields["tokenizer.ggml.tokens"].contents()) == len(tokenizer) == fields["llama.vocab_size"].contents()


@pytest.mark.parametrize("family", smoke.TEMPLATES)
def test_ollamas_prompt_is_ours(family):
    """A prompt that differs by a line end is one that the model was never trained on."""
    tokenizer, prompt = smoke.tokenizer(family), build_prompt("Blue cup")
    template = ollama_template(tokenizer)
    plain = template.partition("{{ else }}")[2] or template
    filled = plain.partition("{{ end }}")[0].partition("{{ .Response }}")[0].replace("{{ .Prompt }}", prompt)
    # what llama.cpp makes of it: a BOS in front if the file says so
    ids = tokenizer(filled, add_special_tokens=False)["input_ids"]
    assert [tokenizer.bos_token_id] * exporting.adds_bos(tokenizer) + ids == encode_prompt(tokenizer, prompt)
    assert template.endswith("{{ .Response }}" + tokenizer.decode([exporting.end_of_turn_id(tokenizer)]))


def test_the_modelfile_decodes_as_the_evaluation_did(exported):
    """Ollama's own defaults sample, and punish repetition: other answers than those that were measured."""
    page = (exported / "Modelfile").read_text()
    lines = dict(
        line.removeprefix("PARAMETER ").split(" ", 1) for line in page.splitlines() if line.startswith("PARAMETER")
    )
    assert page.startswith("FROM ./model-f16.gguf\n") and 'TEMPLATE """' in page
    assert lines["temperature"] == "0" and json.loads(lines["stop"])
    assert float(lines["repeat_penalty"]) == smoke.config().generation.repetition_penalty
    assert "\n# generation.length_decay was set when" in page  # said, because Ollama cannot do it
    assert int(lines["num_predict"]) == smoke.config().generation.max_new_tokens


def sentencepiece_like() -> PreTrainedTokenizerFast:
    """TinyLlama's kind of tokenizer: pieces with a mark for the space, bytes for what is unknown."""
    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    letters = ["▁", *"abcdeiklnprtu"]
    merges = [("▁", "b"), ("l", "u"), ("▁b", "lu"), ("▁blu", "e"), ("▁", "c"), ("u", "p"), ("▁c", "up"), ("e", "t")]
    vocabulary = {piece: place for place, piece in enumerate([*pieces, *("".join(pair) for pair in merges), *letters])}
    made = Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=made, bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="</s>"
    )
    fast.chat_template = smoke.TEMPLATES["zephyr"]
    return fast


def file_of(tokenizer, folder) -> dict:
    """Write a tokenizer without a model; return the file's fields."""
    config = load_plain(fetch("tiny:llama"), "float32").config
    writer = gguf.GGUFWriter(str(folder / "t.gguf"), "llama")
    writer.add_context_length(config.max_position_embeddings)
    add_tokenizer(writer, tokenizer, len(tokenizer), [tokenizer.eos_token_id])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    return {name: field.contents() for name, field in gguf.GGUFReader(folder / "t.gguf").fields.items()}


def test_a_sentencepiece_vocabulary_is_read_back_alike(tmp_path):
    """TinyLlama's tokenizer has scores in the file where others have merges; wrong ones cut words elsewhere."""
    tokenizer = sentencepiece_like()
    fields = file_of(tokenizer, tmp_path)
    tokens, scores, kinds = (fields[f"tokenizer.ggml.{name}"] for name in ("tokens", "scores", "token_type"))
    assert scores[tokens.index("▁b")] > scores[tokens.index("▁blue")] > scores[tokens.index("a")]
    assert (
        kinds[tokens.index("<unk>")] == gguf.TokenType.UNKNOWN and kinds[tokens.index("<0x41>")] == gguf.TokenType.BYTE
    )
    assert kinds[tokens.index("</s>")] == gguf.TokenType.CONTROL
    read = AutoTokenizer.from_pretrained(tmp_path, gguf_file="t.gguf")
    for text in ("blue cup", "blue kettle", "cup étui"):
        assert (
            read(text, add_special_tokens=False)["input_ids"] == tokenizer(text, add_special_tokens=False)["input_ids"]
        )


def test_merges_are_written_for_a_vocabulary_without_bytes(tmp_path):
    """transformers 5.17 sets byte_fallback for every BPE tokenizer that it reads from a GGUF file, without a byte in it."""
    tokenizer = load_tokenizer("tiny:llama")
    settings = json.loads(tokenizer.backend_tokenizer.to_str())
    settings["model"]["byte_fallback"] = True
    tokenizer._tokenizer = Tokenizer.from_str(json.dumps(settings))
    fields = file_of(tokenizer, tmp_path)
    assert fields["tokenizer.ggml.model"] == "gpt2" and fields["tokenizer.ggml.merges"]


def test_llama_cpp_is_asked_where_it_is_installed(monkeypatch):
    """A count of answers that nobody compared would pass for a proof."""
    tokenizer, prompts = smoke.tokenizer(), [build_prompt("Cup"), build_prompt("Kettle")]
    generation = smoke.config().generation
    words, ends = [Answer("a blue cup", 3, True), Answer("a kettle", 2, True)], end_ids(tokenizer)
    first = tokenizer(words[0].text, add_special_tokens=False)["input_ids"]

    class Llama:
        def __init__(self, path, n_ctx, **_):
            assert n_ctx >= generation.max_new_tokens + len(encode_prompt(tokenizer, prompts[1]))

        def generate(self, ids, **settings):
            assert settings == {"temp": 0.0, "repeat_penalty": 1.0}  # its own defaults sample
            yield from first
            yield exporting.end_of_turn_id(tokenizer)

    monkeypatch.setitem(sys.modules, "llama_cpp", SimpleNamespace(Llama=Llama))
    found = exporting.llama_cpp(Path("model.gguf"), tokenizer, prompts, generation, words, ends)
    assert found == {"llama_cpp_same_words": 1}
    monkeypatch.setitem(sys.modules, "llama_cpp", None)
    assert exporting.llama_cpp(Path("model.gguf"), tokenizer, prompts, generation, words, ends) == {}


def test_what_cannot_be_written_is_refused_with_the_way_out():
    """A file that loads and answers nonsense is worse than none."""
    config = smoke.sharp_model().config
    assert gguf_problem(config) is None
    for change in ({"model_type": "qwen2"}, {"rope_parameters": {"rope_type": "llama3"}}, {"attention_bias": True}):
        other = type("Config", (), {"mlp_bias": False, **config.to_dict(), "model_type": "llama", **change})()
        assert "convert_hf_to_gguf" in gguf_problem(other)
    with pytest.raises(ExportError, match="convert_hf_to_gguf"):
        pre_tokenizer({"type": "Whitespace"})
    assert pre_tokenizer({"pretokenizers": [{"type": "Digits"}, {"type": "ByteLevel"}]}) == "smollm"
