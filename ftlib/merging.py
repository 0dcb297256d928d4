"""Merge an adapter into its base: one 16-bit model that plain transformers loads, with a proof.

The adapter is merged onto the base that training saw (`merge.onto`), in float32: an adapter trained on NF4 has learned
to compensate the rounding of its base, so the 16-bit base would get a correction of errors that it does not have;
merging into the 4-bit weights rounds the sum to 4 bits again; and adding in float16 rounds each product. The logit
differences of each way on real weights are in results/*/merge_ways.json. So W + (alpha / r) B A is added in float32 to
the dequantized W (without NF4: to W itself), cast once. DoRA's magnitudes then scale each output; PEFT merges both.

Required: the merged weights in float32 give the adapter's logits and the same greedy tokens, and the saved file holds
exactly the cast weights. Printed only: how far the cast moves the logits, and how far the adapter on the NF4 base is
from the merged model; these belong to the number formats and to the choice of the base. Run by `ftlib merge`.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from peft import PeftModel

from ftlib.config.settings import Config
from ftlib.models.base_models import fetch
from ftlib.models.likelihood import answer_nll, mean_nll
from ftlib.models.loading import load_nf4, load_plain, load_tokenizer, precision
from ftlib.prompts.encoding import encode_prompt, encode_rows, end_ids, end_of_turn_id
from ftlib.runtime import hardware
from ftlib.runtime.errors import FtlibError
from ftlib.runtime.files import write_json

TOLERANCE = (
    1e-3  # largest logit difference allowed between merged and adapter in float32; logits are of the order of 10
)
PROOF_TOKENS = 24  # greedy tokens compared on each prompt


class MergeError(FtlibError):
    """The merged model does not reproduce the adapter; nothing was saved."""


def load_adapter(base, adapter: Path):
    """Return the base with the adapter, in evaluation mode."""
    return PeftModel.from_pretrained(base, str(adapter)).eval()


def merge_base(cfg: Config) -> str:
    """Resolve `merge.onto` to 'dequantized' or 'base'; 'auto' is the base that the adapter was trained on."""
    if cfg.merge.onto != "auto":
        return cfg.merge.onto
    return "dequantized" if precision(cfg).quantization == "nf4" else "base"


def _dequantize(path: str):
    """Load the NF4 base and dequantize it to float32: the values that training multiplied with."""
    return load_nf4(path, "float32").dequantize().float()


def _trained(cfg: Config, adapter: Path):
    """Load what training saved, in float32: the adapter on its base, or the model itself where all weights were trained."""
    if cfg.lora.r == 0:
        return load_plain(str(adapter), "float32")
    path = fetch(cfg.model.name)
    base = _dequantize(path) if merge_base(cfg) == "dequantized" else load_plain(path, "float32")
    return load_adapter(base, adapter)


def merge(cfg: Config, dataset, adapter: Path, folder: Path) -> dict:
    """Merge, save and prove. Writes the model and `proof.json` into `folder` and returns the proof. Raises MergeError."""
    tokenizer = load_tokenizer(cfg.model.name)
    rows = dataset["validation"].select(range(min(cfg.merge.proof_prompts, len(dataset["validation"]))))
    prompts = [encode_prompt(tokenizer, row["input_text"]) for row in rows]
    end = end_of_turn_id(tokenizer)
    device = hardware.device()

    adapted = _trained(cfg, adapter)
    completions = _greedy(adapted, prompts, device, end)
    reference = _outputs(adapted, prompts, completions, device)
    merged = adapted.merge_and_unload(safe_merge=True) if cfg.lora.r else adapted
    against_adapter = compare(reference, _outputs(merged, prompts, completions, device))

    tied_in_base = bool(getattr(merged.config, "tie_word_embeddings", False))
    merged.to(getattr(torch, cfg.merge.dtype))
    cast = {name: weight.detach().clone() for name, weight in merged.state_dict().items()}
    finite = all(bool(torch.isfinite(weight).all()) for weight in cast.values())
    save(merged, tokenizer, folder)
    del merged, adapted

    reloaded = load_plain(str(folder), cfg.merge.dtype)
    same = all(torch.equal(weight, cast[name]) for name, weight in reloaded.state_dict().items())
    tie_right = tied_in_base == _is_tied(reloaded)
    proof = {
        "onto": merge_base(cfg),
        "prompts": len(prompts),
        "tolerance": TOLERANCE,
        "merged_vs_adapter_float32": against_adapter,
        "saved_weights_are_the_cast_weights": same and set(cast) == set(reloaded.state_dict()),
        "all_finite": finite,
        "tie_flag_right": tie_right,
        f"after_cast_to_{cfg.merge.dtype}": compare(
            reference, _outputs(reloaded.float(), prompts, completions, device)
        ),
    }
    del reloaded
    if precision(cfg).quantization == "nf4":
        on_nf4 = load_adapter(load_nf4(fetch(cfg.model.name), precision(cfg).dtype), adapter)
        proof["adapter_on_nf4"] = compare(reference, _outputs(on_nf4, prompts, completions, device))
    check_proof(proof, cfg)
    write_json(folder / "proof.json", proof)
    return proof


def merged_in_memory(cfg: Config, adapter: Path, dtype: str):
    """Return the model that `merge` would write, in `dtype`, without writing or proving it.

    A study evaluates dozens of adapters, and each merged folder is as large as the base. Only weights are cast: rotary
    frequencies stay in float32, as they do when a model is loaded.
    """
    merged = _trained(cfg, adapter)
    if cfg.lora.r:
        merged = merged.merge_and_unload(safe_merge=True)
    for weight in merged.parameters():
        weight.data = weight.data.to(getattr(torch, cfg.merge.dtype))
        check_finite(bool(torch.isfinite(weight).all()), cfg)
        weight.data = weight.data.to(getattr(torch, dtype))
    return merged.eval()


def save(model, tokenizer, folder: Path) -> None:
    """Save safetensors weights, the tokenizer with its template, and generation settings that stop at the end of turn."""
    model.generation_config.eos_token_id = end_ids(tokenizer, model)
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.config.use_cache = True
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def check_finite(finite: bool, cfg: Config) -> None:
    """Raise MergeError with what to set unless all merged weights are finite after the cast."""
    if not finite:
        raise MergeError(f"merge.dtype = {cfg.merge.dtype}: some merged weights overflow; set merge.dtype=bfloat16")


def check_proof(proof: dict, cfg: Config) -> None:
    """Refuse a merge that the proof does not support. Raises MergeError with what failed and what to do."""
    merged = proof["merged_vs_adapter_float32"]
    check_finite(proof["all_finite"], cfg)
    if merged["largest"] > TOLERANCE or merged["greedy_equal"] < proof["prompts"]:
        raise MergeError(
            f"the merged model differs from the adapter on the float32 base: {merged}; is the adapter from this base?"
        )
    if not proof["saved_weights_are_the_cast_weights"] or not proof["tie_flag_right"]:
        raise MergeError(
            "the saved model does not reload as it was saved (weights or tied embeddings); update transformers and peft"
        )


def three_ways(cfg: Config, adapter: Path) -> Iterator[tuple[str, object]]:
    """Yield (name, model) for the ways to use one adapter, one at a time: on NF4 as it was trained, and three merges.

    Merging into NF4 rounds the sum to 4 bits again; merging onto the dequantized base keeps the base that training saw, and is
    what `merge` does; the 16-bit base is what the reference took. All answer in float32, so that only the weights differ.
    """
    place = fetch(cfg.model.name)
    yield "adapter on NF4, as trained", load_adapter(load_nf4(place, "float32"), adapter)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # peft warns that this rounds again; that is what is to be shown
        yield "merged into NF4", load_adapter(load_nf4(place, "float32"), adapter).merge_and_unload()
    yield "merged onto the dequantized base", load_adapter(_dequantize(place), adapter).merge_and_unload()
    yield "merged onto the 16-bit base", load_adapter(load_plain(place, "float32"), adapter).merge_and_unload()


def compare_ways(cfg: Config, dataset, adapter: Path, rows: int = 24, input_text: str = "") -> dict[str, dict]:
    """Return for each of `three_ways` the largest and mean logit difference to the adapter as trained, and the NLL.

    input_text: a prompt; the beginning of each model's greedy completion is then the value `text`.
    """
    tokenizer = load_tokenizer(cfg.model.name)
    asked = [encode_prompt(tokenizer, input_text)] if input_text else []
    held_out = dataset["validation"].select(range(min(rows, len(dataset["validation"]))))
    prompts = [encode_prompt(tokenizer, row["input_text"]) for row in held_out][: cfg.merge.proof_prompts]
    examples = encode_rows(tokenizer, held_out, cfg.train.as_measured(), prompt_format=cfg.prompt_format)
    comparison, trained = {}, None
    for name, model in three_ways(cfg, adapter):
        outputs = _outputs(model, prompts, [[] for _ in prompts], hardware.device())
        trained = trained or outputs
        gaps = compare(trained, outputs)
        comparison[name] = {
            "largest": gaps["largest"],
            "mean": gaps["mean"],
            "nll": mean_nll(*answer_nll(model, examples, tokenizer.pad_token_id, cfg.train.max_length)),
        }
        for ids in _greedy(model, asked, hardware.device(), end_of_turn_id(tokenizer)):
            comparison[name]["text"] = tokenizer.decode(ids, skip_special_tokens=True).strip()
    return comparison


class Outputs(NamedTuple):
    """What a model computes for some prompts.

    Attributes:
        logits: of each prompt, (length, vocabulary) in float32.
        tokens: the most likely token after the prompt and after each token of the completion that was given.
    """

    logits: list[torch.Tensor]
    tokens: list[list[int]]


@torch.no_grad()
def _outputs(model, prompts: list[list[int]], completions: list[list[int]], device: str) -> Outputs:
    """Compute logits and most likely tokens, one prompt at a time, without padding.

    A model writes a completion greedily exactly if each of its tokens is the most likely one after those before it, so one
    forward pass over the completion replaces a decoding step for each of its tokens.
    """
    logits, tokens = [], []
    for prompt, completion in zip(prompts, completions, strict=True):
        ids = torch.tensor([prompt + completion[:-1]], device=device)
        row = model(ids, use_cache=False).logits[0].float().cpu()  # (length, vocabulary)
        logits.append(row[: len(prompt)])
        tokens.append(row[len(prompt) - 1 :].argmax(-1).tolist())
    return Outputs(logits, tokens)


@torch.no_grad()
def _greedy(model, prompts: list[list[int]], device: str, end: int) -> list[list[int]]:
    """Generate the first greedy tokens after each prompt, in one batch padded on the left."""
    if not prompts:
        return []
    longest = max(map(len, prompts))
    batch = torch.tensor([[end] * (longest - len(ids)) + ids for ids in prompts], device=device)  # (prompts, longest)
    mask = torch.tensor([[0] * (longest - len(ids)) + [1] * len(ids) for ids in prompts], device=device)
    out = model.generate(
        input_ids=batch,
        attention_mask=mask,
        max_new_tokens=PROOF_TOKENS,
        do_sample=False,
        eos_token_id=end,
        pad_token_id=end,
        use_cache=True,
    )
    completions = out[:, longest:].tolist()
    return [ids[: ids.index(end) + 1] if end in ids else ids for ids in completions]


def compare(a: Outputs, b: Outputs) -> dict:
    """Return largest and mean absolute logit difference, and on how many prompts the most likely tokens are equal."""
    gaps = [(x - y).abs() for x, y in zip(a.logits, b.logits, strict=True)]
    return {
        "largest": max(float(gap.max()) for gap in gaps),
        "mean": sum(float(gap.mean()) for gap in gaps) / len(gaps),
        "greedy_equal": sum(x == y for x, y in zip(a.tokens, b.tokens, strict=True)),
    }


def _is_tied(model) -> bool:
    """Return True if input and output embeddings share one storage."""
    return model.get_input_embeddings().weight.data_ptr() == model.get_output_embeddings().weight.data_ptr()


def describe(proof: dict) -> str:
    """Format the proof for the terminal."""
    lines = []
    for key, value in proof.items():
        if isinstance(value, dict):
            differ = f"logits differ by {value['largest']:.2g} at most, {value['mean']:.2g} on average"
            greedy = f"{value['greedy_equal']} of {proof['prompts']} prompts answered alike"
            lines.append(f"{key.replace('_', ' ')}: {differ}; {greedy}")
    return "\n".join(lines)
