"""Merging an adapter, and the proof that is written beside the model."""

import json

import pytest
import smoke
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from ftlib import merging
from ftlib.config.settings import ConfigError
from ftlib.models.base_models import fetch
from ftlib.models.likelihood import answer_nll, mean_nll
from ftlib.models.loading import load_nf4, load_plain
from ftlib.prompts.encoding import encode_prompt, end_of_turn_id
from ftlib.runtime.files import read_json
from ftlib.training import fine_tuning


@pytest.fixture(scope="module")
def adapter(tmp_path_factory):
    """A trained adapter whose effect is large enough to be seen (a tiny one would make every proof pass)."""
    folder = tmp_path_factory.mktemp("adapter")
    cfg = smoke.config(train__max_steps=3, train__eval_steps=None, train__learning_rate=5e-2, train__warmup_from="zero")
    fine_tuning.train(cfg, smoke.dataset(), folder)
    return folder


@pytest.mark.parametrize(("onto", "load_base"), [("auto", load_nf4), ("base", load_plain)])
def test_merged_model_is_loaded_by_plain_transformers_and_answers_as_the_adapter(adapter, tmp_path, onto, load_base):
    """Whoever gets the merged model has neither ftlib nor peft; it must be what was trained and measured.

    Without a wish of the user that is the adapter on the NF4 base; on the 16-bit base it is another model, and said to be.
    """
    in_float32 = {"model.dtype": "float32"}  # 16 bits, which some CPUs choose, blur the difference
    proof = merging.merge(smoke.config(**{"merge.onto": onto} | in_float32), smoke.dataset(), adapter, tmp_path)
    assert json.loads((tmp_path / "proof.json").read_text()) == proof
    assert proof["merged_vs_adapter_float32"]["largest"] < merging.TOLERANCE
    assert proof["merged_vs_adapter_float32"]["greedy_equal"] == proof["prompts"] == 4
    like_trained = proof["adapter_on_nf4"]["largest"] < merging.TOLERANCE
    assert like_trained == (onto == "auto") == (proof["onto"] == "dequantized")

    tok, plain = AutoTokenizer.from_pretrained(tmp_path), AutoModelForCausalLM.from_pretrained(tmp_path)
    assert (
        plain.dtype == torch.float16
        and not hasattr(plain.config, "quantization_config")
        and not (tmp_path / "adapter_config.json").exists()
    )
    assert plain.generation_config.eos_token_id == [tok.eos_token_id]
    ids = torch.tensor([encode_prompt(tok, smoke.rows(1)[0]["input_text"])])
    with torch.no_grad():
        reference = merging.load_adapter(load_base(fetch("tiny:llama"), "float32"), adapter)(
            ids, use_cache=False
        ).logits
        base = load_plain(fetch("tiny:llama"), "float32")(ids, use_cache=False).logits
        got = plain.float()(ids, use_cache=False).logits
    assert (got - reference).abs().max() < 0.05 < (base - reference).abs().max()


def test_the_model_merged_in_memory_is_the_one_that_is_saved(adapter, tmp_path):
    """A study would otherwise report another model than the one that `ftlib merge` hands out."""
    merging.merge(smoke.config(), smoke.dataset(), adapter, tmp_path)
    examples, pad = smoke.examples(), smoke.tokenizer().pad_token_id
    for dtype in ("float32", "bfloat16"):
        models = load_plain(str(tmp_path), dtype), merging.merged_in_memory(smoke.config(), adapter, dtype)
        saved, in_memory = (mean_nll(*answer_nll(model, examples, pad, 256)) for model in models)
        assert in_memory == pytest.approx(saved, abs=1e-3)
        assert [b.dtype for b in models[0].buffers()] == [b.dtype for b in models[1].buffers()]


@pytest.mark.parametrize("onto", ["auto", "base"])
def test_dora_is_merged_as_peft_merges_it(tmp_path, onto):
    """DoRA rescales each output; a merge that only adds B A gives a model that nobody trained."""
    from peft import PeftModel

    cfg = smoke.config(**{"lora.variant": "dora", "train.max_steps": 3, "train.eval_steps": None, "merge.onto": onto,
                          "train.learning_rate": 5e-2})  # fmt: skip
    adapter = tmp_path / "adapter"
    fine_tuning.train(cfg, smoke.dataset(), adapter)
    saved = load_file(adapter / "adapter_model.safetensors")
    magnitudes = {name: weight for name, weight in saved.items() if "lora_magnitude_vector" in name}
    assert magnitudes and read_json(adapter / "adapter_config.json")["use_dora"] is True
    proof = merging.merge(cfg, smoke.dataset(), adapter, tmp_path / "merged")
    assert proof["merged_vs_adapter_float32"]["greedy_equal"] == proof["prompts"]
    # W' = m (W + s B A) / |W + s B A|, by hand and by PEFT
    base = merging._dequantize(fetch("tiny:llama")) if onto == "auto" else load_plain(fetch("tiny:llama"), "float32")
    name = "model.layers.0.mlp.down_proj"
    a, b, m = (saved[f"base_model.model.{name}.{part}"] for part in
               ("lora_A.weight", "lora_B.weight", "lora_magnitude_vector"))  # fmt: skip
    direction = base.get_submodule(name).weight.detach() + cfg.lora.alpha / cfg.lora.r * b @ a
    by_hand = m[:, None] * direction / direction.norm(dim=1, keepdim=True)
    assert (by_hand - direction).abs().max() > 1e-4
    by_peft = PeftModel.from_pretrained(base, str(adapter)).merge_and_unload().get_submodule(name).weight
    written = load_file(tmp_path / "merged" / "model.safetensors")[f"{name}.weight"]
    in_memory = merging.merged_in_memory(cfg, adapter, "float32").get_submodule(name).weight
    for weight, tolerance in ((by_peft, 1e-6), (written.float(), 1e-3), (in_memory, 1e-3)):
        assert torch.allclose(weight, by_hand, atol=tolerance)
    assert torch.equal(written.float(), in_memory)


def test_a_merge_that_differs_from_the_adapter_is_refused(adapter, tmp_path, monkeypatch):
    """A wrong base or a broken library would otherwise give a model that nobody trained."""
    from peft.tuners.lora import LoraModel

    honest = LoraModel.merge_and_unload

    def forgetful(self, *args, **kwargs):
        merged = honest(self, *args, **kwargs)
        merged.model.layers[0].mlp.down_proj.weight.data *= 0.9
        return merged

    monkeypatch.setattr(LoraModel, "merge_and_unload", forgetful)
    with pytest.raises(merging.MergeError, match="differs from the adapter"):
        merging.merge(smoke.config(), smoke.dataset(), adapter, tmp_path)


def test_weights_that_overflow_float16_are_refused_with_the_way_out(adapter, tmp_path):
    """float16 ends at 65,504; an infinite weight answers with nothing but noise."""
    import shutil

    broken = tmp_path / "adapter"
    shutil.copytree(adapter, broken)
    weights = load_file(broken / "adapter_model.safetensors")
    name = next(key for key in weights if "lora_B" in key)
    weights[name] = weights[name] + 1e6
    save_file(weights, broken / "adapter_model.safetensors", metadata={"format": "pt"})
    with pytest.raises(merging.MergeError, match="overflow; set merge.dtype=bfloat16"):
        merging.merge(smoke.config(), smoke.dataset(), broken, tmp_path / "merged")


def test_modules_to_save_are_part_of_the_merged_model(tmp_path):
    """The seed recipe trains lm_head and embeddings; a merge that drops them silently loses most of its training."""
    cfg = smoke.Config.load(
        "smoke", env={}, lora__modules_to_save=["lm_head", "embed_tokens"], train__max_steps=2, train__eval_steps=None
    )
    fine_tuning.train(cfg, smoke.dataset(), tmp_path / "adapter")
    merging.merge(cfg, smoke.dataset(), tmp_path / "adapter", tmp_path / "merged")
    before, after = load_plain(fetch("tiny:llama"), "float32"), load_plain(str(tmp_path / "merged"), "float32")
    assert not torch.equal(before.lm_head.weight, after.lm_head.weight)
    assert not torch.equal(before.model.embed_tokens.weight, after.model.embed_tokens.weight)


def test_the_three_ways_to_merge_are_told_apart(adapter):
    """Notebook 04 argues with these numbers: the dequantized merge is what was trained, the one into NF4 is further off."""
    found = merging.compare_ways(smoke.config(), smoke.dataset(), adapter)
    trained, into_nf4, dequantized, onto_16 = found.values()
    assert trained["largest"] == 0 and dequantized["mean"] < 1e-4 < into_nf4["mean"] and onto_16["mean"] > 1e-4
    assert all(6 < way["nll"] < 10 and "text" not in way for way in found.values())


def test_each_way_to_merge_writes_about_one_product(adapter):
    """Differences of logits are hard to imagine; a text that falls apart is not."""
    dataset = smoke.dataset()
    prompt = dataset["test"][0]["input_text"]
    texts = [way["text"] for way in merging.compare_ways(smoke.config(), dataset, adapter, 4, prompt).values()]
    assert len(texts) == 4 and texts[0] == texts[2]  # the dequantized merge is the trained model


@pytest.mark.parametrize("fast", [False, True], ids=["plain step", "fast step"])
def test_without_an_adapter_all_weights_are_trained_and_saved(tmp_path, fast):
    """A comparison with LoRA in which the embeddings stayed frozen, or the untrained weights were saved, proves nothing."""
    cfg = smoke.config(**{"lora.r": 0, "model.quantization": "none", "train.max_steps": 3, "train.learning_rate": 1e-3,
                          "train.compile": fast})  # fmt: skip
    result = fine_tuning.train(cfg, smoke.dataset(), tmp_path / "trained")
    base, trained = load_plain(fetch("tiny:llama"), "float32"), load_plain(str(tmp_path / "trained"), "float32")
    before = base.state_dict()
    assert all(not torch.equal(weight, before[name]) for name, weight in trained.state_dict().items())
    assert result["trainable_parameters"] == sum(weight.numel() for weight in base.parameters())
    proof = merging.merge(cfg, smoke.dataset(), tmp_path / "trained", tmp_path / "merged")
    assert proof["saved_weights_are_the_cast_weights"] and proof["merged_vs_adapter_float32"]["largest"] == 0
    merged = load_plain(str(tmp_path / "merged"), "float32").state_dict()
    assert all(
        torch.allclose(weight, merged[name], rtol=1e-3, atol=1e-6) for name, weight in trained.state_dict().items()
    )


def test_all_weights_in_four_bits_are_refused(tmp_path):
    """Frozen 4-bit weights under the name of a full training would be taken for one."""
    with pytest.raises(ConfigError, match="lora.r = 0 trains all weights"):
        fine_tuning.train(smoke.config(**{"lora.r": 0}), smoke.dataset(), tmp_path)


def test_the_folder_holds_what_a_server_needs(smoke_run):
    """vLLM and others read these files and nothing of ours; without the template or the end they answer without end."""
    folder = smoke_run.path / "merged"
    tokenizer, config = AutoTokenizer.from_pretrained(folder), read_json(folder / "config.json")
    asked = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Cup"}], tokenize=False, add_generation_prompt=True
    )
    assert "Cup" in asked and tokenizer.chat_template
    ends = GenerationConfig.from_pretrained(folder).eos_token_id
    assert end_of_turn_id(tokenizer) in (ends if isinstance(ends, list) else [ends])
    assert config["architectures"] == ["LlamaForCausalLM"] and "auto_map" not in config  # no code of our own
    index = folder / "model.safetensors.index.json"  # written where there are several files
    files = set(read_json(index)["weight_map"].values()) if index.exists() else {"model.safetensors"}
    assert files == {file.name for file in folder.iterdir() if file.suffix in (".safetensors", ".bin", ".pt")}
    names = set().union(*(safe_open(folder / file, "pt").keys() for file in files))
    model = AutoModelForCausalLM.from_pretrained(folder)
    assert {name for name, _ in model.named_parameters()} <= names | {"lm_head.weight"}
