"""Check a base model before the first stage runs: its files, tokenizer, chat template and layers."""

from __future__ import annotations

import copy
import json
import re
import struct
from pathlib import Path
from typing import Any

from ftlib.config.settings import Config, ConfigError
from ftlib.models.base_models import ModelError, fetch
from ftlib.models.loading import SUPPORTED, load_model_config, load_tokenizer, lora_config, shape_of
from ftlib.prompts.encoding import encode_prompt, end_of_turn_id
from ftlib.prompts.templates import build_prompt, questions_of
from ftlib.runtime.files import fingerprint

_passed: set[str] = set()  # fingerprints of settings that `check_base` has found to fit their model
# {fingerprint: tokenizer} of the last one, for whoever checks next; one only, because a study checks dozens of settings
_handed_on: dict[str, Any] = {}
TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "spiece.model", "tekken.json")


LFS = b"version https://git-lfs"  # first bytes of a Git LFS pointer


def check_base(cfg: Config):
    """Check the base model's files, tokenizer, chat template and layers against the settings; return the tokenizer.

    Raises:
        ModelError: the model is incomplete or unsupported.
        ConfigError: a setting does not fit the model.
    """
    name = cfg.model.name
    path = Path(fetch(name))
    if path.is_dir():
        check_weight_files(path, name)
        if not any((path / file).exists() for file in TOKENIZER_FILES):
            raise ModelError(
                f"model.name = {name}: no tokenizer ({', '.join(TOKENIZER_FILES[:3])}) in that folder; copy the base model's "
                "tokenizer files into it, or give a folder saved with tokenizer.save_pretrained"
            )
    settings = fingerprint(cfg.to_dict())
    if settings in _passed:  # what follows takes a second for a large model, and a training checks twice
        tokenizer = _handed_on.pop(settings, None)  # for one use: its files may change
        return load_tokenizer(name) if tokenizer is None else tokenizer
    config, tokenizer = load_model_config(name), load_tokenizer(name)
    if getattr(config.get_text_config(), "attn_logit_softcapping", None):
        raise ModelError(
            f"model.name = {name}: a {config.model_type} model caps its attention logits, which SDPA silently ignores; "
            f"supported are {SUPPORTED}"
        )
    check_tokenizer(tokenizer, config, name)
    check_layers(cfg)
    check_lengths(cfg, tokenizer, config)
    _passed.add(settings)
    _handed_on.clear()
    _handed_on[settings] = tokenizer
    return tokenizer


def check_weight_files(folder: Path, name: str) -> None:
    """Check that a folder has complete safetensors weights. Raises ModelError."""
    files = [folder / "model.safetensors"]
    index_path = folder / "model.safetensors.index.json"
    if not files[0].exists() and index_path.exists():
        try:
            files = [
                folder / file for file in sorted(set(json.loads(index_path.read_text("utf-8"))["weight_map"].values()))
            ]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ModelError(f"model.name = {name}: {index_path.name} is damaged ({error}); {_again(name)}") from error
    if len(files) == 1 and not files[0].exists():
        others = sorted(p.name for p in folder.iterdir() if p.suffix in (".bin", ".pt", ".pth", ".gguf", ".h5"))
        if others:
            raise ModelError(
                f"model.name = {name}: its weights are {', '.join(others[:3])}; allowed are safetensors only, because pickles "
                "run code when they are loaded: load it once with transformers and call save_pretrained"
            )
        raise ModelError(f"model.name = {name}: there is no model.safetensors in that folder; {_again(name)}")
    for path in files:
        if problem := safetensors_problem(path):
            raise ModelError(f"model.name = {name}: {path.name} {problem}; {_again(name)}")


def safetensors_problem(path: Path) -> str | None:
    """Return what is wrong with a safetensors file, or None; only its header is read.

    The format: 8 bytes with the length of the header, a JSON header, the tensors. Source: README of safetensors.
    """
    if not path.exists():
        return "is missing"
    size = path.stat().st_size
    with open(path, "rb") as file:
        first = file.read(8)
        if first + file.read(len(LFS) - 8) == LFS:
            return "is a Git LFS pointer, not the weights: run `git lfs pull`"
        if len(first) < 8 or (length := struct.unpack("<Q", first)[0]) > size - 8:
            return f"has {size:,} bytes and no complete header"
        file.seek(8)
        try:
            header = json.loads(file.read(length))
            end = max((tensor["data_offsets"][1] for key, tensor in header.items() if key != "__metadata__"), default=0)
        except (ValueError, KeyError, TypeError, AttributeError, IndexError):
            return "has a damaged header"
    if 8 + length + end != size:
        return f"has {size:,} bytes of {8 + length + end:,}"
    return None


def _again(name: str) -> str:
    return "download it again" if "/" in name else "save it again"


def check_tokenizer(tokenizer, config, name: str) -> None:
    """Check that chats can be encoded, answers can end, and every token has an embedding.

    Raises:
        ModelError: one of these does not hold.
    """
    from jinja2 import TemplateError

    mark = "a question"
    try:
        turns = [{"role": "user", "content": mark}, {"role": "assistant", "content": "an answer"}]
        rendered = tokenizer.apply_chat_template(turns, tokenize=False)
    except (TemplateError, TypeError, ValueError, KeyError) as error:
        raise ModelError(
            f"model.name = {name}: its chat template fails ({error}); use an instruction-tuned model"
        ) from error
    if mark not in rendered or "an answer" not in rendered:
        raise ModelError(f"model.name = {name}: its chat template drops the messages; use an instruction-tuned model")
    if end_of_turn_id(tokenizer) is None:
        raise ModelError(
            f"model.name = {name}: no token ends an answer (neither the chat template writes one, nor has the tokenizer an EOS), "
            "so the model could not learn to stop; set eos_token in tokenizer_config.json"
        )
    vocab_size = config.get_text_config().vocab_size
    last_id = max(tokenizer.get_vocab().values(), default=0)
    if last_id >= vocab_size:
        raise ModelError(
            f"model.name = {name}: its tokenizer has token {last_id}, and the model has embeddings for 0 to {vocab_size - 1}; "
            "use the tokenizer that belongs to it"
        )


def check_layers(cfg: Config) -> None:
    """Check that the adapter of `cfg.lora` fits the base model.

    PEFT ignores a target name that matches no module as long as another one matches; fewer layers would be trained than
    configured.

    Raises:
        ModelError: the model has unsupported layers.
        ConfigError: a module name matches nothing, or PEFT rejects the settings.
    """
    import torch
    from peft import get_peft_model
    from transformers.pytorch_utils import Conv1D

    name = cfg.model.name
    shape = shape_of(name)
    names = [path for path, _ in shape.named_modules()]
    if any(isinstance(module, Conv1D) for module in shape.modules()):
        raise ModelError(
            f"model.name = {name}: a {shape.config.model_type} model has Conv1D layers, which NF4 and the merge would turn "
            f"around; supported are {SUPPORTED}"
        )
    if not cfg.lora.r:
        return
    listed = [] if isinstance(cfg.lora.target_modules, str) else cfg.lora.target_modules
    linear = sorted({path.rsplit(".", 1)[-1] for path, m in shape.named_modules() if isinstance(m, torch.nn.Linear)})
    for key, modules in (("target_modules", listed), ("modules_to_save", cfg.lora.modules_to_save)):
        for module in modules:
            if not any(path == module or path.endswith("." + module) for path in names):
                known = ", ".join(linear if key == "target_modules" else ["lm_head", "embed_tokens"])
                raise ConfigError(f"lora.{key} = {modules}: {name} has no module {module}; it has {known}")
    everywhere = cfg.lora.target_modules == "all-linear" or (listed and not any("." in module for module in listed))
    try:
        with torch.device("meta"):
            get_peft_model(one_of_each(shape) if everywhere else copy.deepcopy(shape), lora_config(cfg, shape))
    except (ValueError, TypeError, NotImplementedError, RuntimeError) as error:
        message = re.sub(r"\(\n.*\n\)", "", str(error), flags=re.DOTALL)  # PEFT prints all that is in a module
        reason = message.strip().splitlines()[0][:200]
        raise ConfigError(
            f"lora.target_modules = {cfg.lora.target_modules}: {reason} Linear layers of {name}: {', '.join(linear)}"
        ) from error


def one_of_each(model):
    """Return a copy of a model with one of its layers of each kind; PEFT takes its time for each, alike or not."""
    import torch

    copied = copy.deepcopy(model)
    for parent in list(copied.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, torch.nn.ModuleList):
                setattr(parent, name, torch.nn.ModuleList({repr(layer): layer for layer in child}.values()))
    return copied


def check_lengths(cfg: Config, tokenizer, config) -> None:
    """Check that prompts and completions of the configured lengths fit. Raises ConfigError."""
    positions = getattr(config.get_text_config(), "max_position_embeddings", None)
    for key in ("train.max_length", "generation.max_new_tokens"):
        if positions and cfg.get(key) > positions:
            raise ConfigError(
                f"{key} = {cfg.get(key)}: {cfg.model.name} has {positions} positions; allowed is at most that"
            )
    if positions and cfg.train.context_rows and cfg.train.row_length > positions:
        raise ConfigError(
            f"train.context_tokens = {cfg.train.context_tokens}: with train.max_length = {cfg.train.max_length} a row has up to "
            f"{cfg.train.row_length} tokens, and {cfg.model.name} has {positions} positions; allowed is at most "
            f"{positions - cfg.train.max_length}"
        )
    longest = max(
        len(encode_prompt(tokenizer, build_prompt("a", question, cfg.prompt.template)))
        for question in questions_of(cfg.data.questions)
    )
    if longest >= cfg.train.max_length:
        raise ConfigError(
            f"train.max_length = {cfg.train.max_length}: a prompt alone has {longest} tokens or more; allowed is at least "
            f"{longest + 64}"
        )


def gguf_problem(config) -> str | None:
    """Return why `ftlib export gguf` cannot write a model, or None.

    It supports Llamas without biases and with plain RoPE.
    """
    rope = getattr(config, "rope_parameters", None) or {}
    if config.model_type != "llama":
        return (
            f"a {config.model_type} model: ftlib writes Llamas only; llama.cpp's convert_hf_to_gguf.py supports others"
        )
    if rope.get("rope_type", "default") != "default":
        return f"rope_type = {rope['rope_type']}: only plain rotary embeddings are written; use convert_hf_to_gguf.py"
    if config.attention_bias or config.mlp_bias:
        return "this Llama has biases, which are not written; use llama.cpp's convert_hf_to_gguf.py"
    return None
