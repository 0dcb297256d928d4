"""Shared by the tests that need a model: the smoke profile's parts, made once, and tokenizers with well-known templates."""

from __future__ import annotations

import copy
from functools import lru_cache

from tokenizers import AddedToken

from ftlib.config.settings import Config
from ftlib.models.loading import load_tokenizer
from ftlib.prompts.encoding import encode_example
from ftlib.prompts.templates import QUESTIONS

QUESTION = QUESTIONS["reference"]
# The turn formats of model families, written down from their documentation. None writes what another does.
TEMPLATES = {
    "zephyr": (  # TinyLlama: no BOS in the template although the model has one; the turn ends in EOS and a line end
        "{% for m in messages %}<|{{ m['role'] }}|>\n{{ m['content'] }}</s>\n{% endfor %}"
        "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
    ),
    "llama3": (  # BOS in the template; the turn ends in a special token that is not the EOS of plain text
        "<s>{% for m in messages %}<|h|>{{ m['role'] }}<|/h|>\n\n{{ m['content'] }}<|eot|>{% endfor %}"
        "{% if add_generation_prompt %}<|h|>assistant<|/h|>\n\n{% endif %}"
    ),
    "chatml": (  # SmolLM2: bos_token is the mark of every turn; a system turn is added
        "{% if messages[0]['role'] != 'system' %}<|im_start|>system\nBe brief.<|im_end|>\n{% endif %}"
        "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    ),
    "phi3": (  # the turn ends in an added token that is no named attribute; the EOS comes after the last turn only
        "{% for m in messages %}<|{{ m['role'] }}|>\n{{ m['content'] }}<|end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|assistant|>\n{% else %}{{ eos_token }}{% endif %}"
    ),
    "gemma": (  # a BOS, no system turn, and the assistant is called the model
        "{{ bos_token }}{% for m in messages %}"
        "{% if m['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
        "<start_of_turn>{{ 'model' if m['role'] == 'assistant' else m['role'] }}\n{{ m['content'] | trim }}<end_of_turn>\n"
        "{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
    ),
    "mistral": (  # one pair of marks around the user's turn; an answer ends in EOS
        "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'user' %}[INST] {{ m['content'] }} [/INST]"
        "{% else %} {{ m['content'] }}{{ eos_token }}{% endif %}{% endfor %}"
    ),
    "no_bos": (  # a model without BOS whose turn ends in EOS
        "{% for m in messages %}[{{ m['role'] }}]\n{{ m['content'] }}</s>{% endfor %}"
        "{% if add_generation_prompt %}[assistant]\n{% endif %}"
    ),
}


# A training of four steps with two checkpoints and two evaluations.
FAST = {
    "train__max_steps": 4,
    "train__eval_steps": 2,
    "train__save_steps": 2,
    "train__examples_per_step": 4,
    "train__eval_rows": 4,
}


@lru_cache
def config(**overrides) -> Config:
    return Config.load("smoke", env={}, **overrides)


@lru_cache
def sharp_model():
    """The tiny model in float32 with larger weights: near-ties of tokens would make equal answers a matter of luck."""
    import torch

    from ftlib.models.base_models import fetch
    from ftlib.models.loading import load_plain

    made = load_plain(fetch("tiny:llama"), "float32")
    with torch.no_grad():
        for weight in made.parameters():
            weight.mul_(4)
    return made


@lru_cache
def tokenizer(family: str = "zephyr"):
    """The tiny tokenizer (pad == EOS) with the chat template and the special tokens of a model family."""
    made = copy.deepcopy(load_tokenizer("tiny:llama"))
    made.chat_template = TEMPLATES[family]
    unnamed = {
        "phi3": ["<|end|>", "<|user|>", "<|assistant|>"],
        "gemma": ["<start_of_turn>", "<end_of_turn>"],
        "mistral": ["[INST]", "[/INST]"],
    }
    if family in unnamed:
        made.add_tokens([AddedToken(text, special=True, normalized=False) for text in unnamed[family]])
    if family == "llama3":
        made.add_special_tokens({"additional_special_tokens": ["<|h|>", "<|/h|>", "<|eot|>"]})
    if family == "chatml":
        made.add_special_tokens({"bos_token": "<|im_start|>", "eos_token": "<|im_end|>", "pad_token": "<|im_end|>"})
        made.backend_tokenizer.post_processor = plain_post_processor()
    if family == "no_bos":
        made.bos_token = None
        made.backend_tokenizer.post_processor = plain_post_processor()
    return made


def plain_post_processor():
    """Adds no special token, as in models without a BOS before plain text."""
    from tokenizers import processors

    return processors.ByteLevel()


def examples(count: int = 6, family: str = "zephyr", **options):
    """Encoded rows of different lengths."""
    texts = [f"A blue kettle of {n} litres. " * (1 + n % 4) for n in range(1, count + 1)]
    return [encode_example(tokenizer(family), f"Kettle {n}", QUESTION, text, **options) for n, text in enumerate(texts)]


def rows(count: int = 40) -> list[dict]:
    """Rows as the data set holds them."""
    from ftlib.prompts.templates import build_prompt, build_target

    made = []
    for n in range(count):
        title, content = f"Kettle {n}", f"A blue kettle of {n} litres for tea. " * (1 + n % 3)
        made.append({"uid": f"U{n}", "title": title, "question": QUESTION, "content": content.strip(),
                     "input_text": build_prompt(title), "target_text": build_target(content.strip())})  # fmt: skip
    return made


def dataset(train: int = 32, validation: int = 8, test: int = 8):
    """A small DatasetDict in the form of `catalog.prepare`."""
    from datasets import DatasetDict

    return DatasetDict(_splits(train, validation, test))


@lru_cache  # each is hashed when it is made
def _splits(train: int, validation: int, test: int) -> dict:
    from datasets import Dataset

    made = rows(train + validation + test)
    parts = {"train": made[:train], "validation": made[train : train + validation], "test": made[train + validation :]}
    return {name: Dataset.from_list(part) for name, part in parts.items()}
