"""Where text becomes ids and labels; the only place in the project where that happens.

What: `encode_example(tokenizer, title, question, content)` renders the model's own chat template, adds exactly one BOS where
the model has one, cuts what is too long, and labels the answer and its end. Training, evaluation and the demo all call it, so
they cannot disagree. Why labels are built here and not in a collator: a collator that masks every padding id also masks EOS
when the two are the same token, and the model never learns to stop (the reference's first fault).
How: `print(render_labels(tokenizer, encode_example(...)))` shows a row with its labelled part marked.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TypedDict

from ftlib.prompts.templates import Passages, Turns, build_prompt, build_target, open_prompt
from ftlib.runtime.errors import FtlibError

IGNORED = -100  # the label that PyTorch's cross entropy leaves out
ENCODING = ("max_length", "loss_on", "label_eos")  # the settings of `train` that decide ids and labels
TITLE_TOKENS = 128  # a longer title is cut; the rest of the prompt never is


class PromptTooLong(FtlibError, ValueError):
    """A prompt leaves no room for an answer within train.max_length; the message says how long it is."""


class Example(TypedDict):
    """One encoded row. `labels` is as long as `input_ids`; IGNORED where no loss is counted. `uid`: "" outside a data set."""

    uid: str
    input_ids: list[int]
    labels: list[int]
    prompt_tokens: int
    cut: bool


def encode_example(
    tokenizer,
    title: str,
    question: str,
    content: str | None = None,
    *,
    uid: str = "",
    max_length: int = 512,
    loss_on: str = "answer",
    label_eos: bool = True,
    few_shot: Turns = (),
    passages: Passages = (),
) -> Example:
    """Encode one row for any chat model; without `content`, the prompt alone, ready for generation.

    The title is cut at 128 tokens and the description where the row would pass `max_length`; a description that was cut gets
    no EOS, because it does not end there. loss_on='all' and label_eos=False are the reference's way, kept for comparison.
    few_shot, passages: as in `encode_prompt` and `open_prompt`; they do not count towards `max_length`, so that
    the same part of the answer is scored.
    Raises PromptTooLong if the prompt alone leaves no room for an answer.
    """
    message = build_prompt(truncate_title(tokenizer, title), question)
    prompt = plain = encode_prompt(tokenizer, message)
    if few_shot or passages:
        prompt = encode_prompt(tokenizer, open_prompt(message, passages), few_shot)
    if content is None:
        return Example(uid=uid, input_ids=prompt, labels=[IGNORED] * len(prompt), prompt_tokens=len(prompt), cut=False)
    if len(plain) >= max_length:
        raise PromptTooLong(f"train.max_length = {max_length}: a prompt alone has {len(plain)} tokens; set it higher")
    answer = encode_answer(tokenizer, content)
    room = max_length - len(plain)
    cut = len(answer) > room
    labels = answer[:room]
    if not label_eos and not cut:
        labels = labels[:-1] + [IGNORED]
    prompt_labels = prompt if loss_on == "all" else [IGNORED] * len(prompt)
    return Example(
        uid=uid,
        input_ids=prompt + answer[:room],
        labels=prompt_labels + labels,
        prompt_tokens=len(prompt),
        cut=cut,
    )


def encode_prompt(tokenizer, prompt: str, few_shot: Turns = ()) -> list[int]:
    """The ids of a user message in the model's chat template, up to where the assistant begins, with one BOS if it has one.

    few_shot: turns before it, such as an answered example (one-shot).

    Templates differ: Zephyr's (TinyLlama) writes no BOS although the model was trained with it, Llama 3's writes one. So the
    text is encoded without special tokens and the BOS is counted here.
    """
    turns = [turn for user, answer in few_shot for turn in _exchange(user, answer)]
    ids = _template_ids(tokenizer, [*turns, {"role": "user", "content": prompt}])
    if not has_bos(tokenizer):
        return ids
    while ids[:1] == [tokenizer.bos_token_id]:
        ids = ids[1:]
    return [tokenizer.bos_token_id, *ids]


def _template_ids(tokenizer, turns: list[dict[str, str]]) -> list[int]:
    """The ids of some turns in the chat template, up to where the assistant begins.

    A text that holds a control token (a title with `<|im_end|>` could end its own turn and begin another) is encoded by itself,
    apart from the template around it, so that it stays text.
    """

    def rendered(messages: list[dict[str, str]]) -> str:
        return tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)

    if not any(has_control(tokenizer, turn["content"]) for turn in turns):
        return tokenizer(rendered(turns), add_special_tokens=False)["input_ids"]
    marks = [f"text{number}of{len(turns)}" for number in range(len(turns))]
    template = rendered([turn | {"content": mark} for turn, mark in zip(turns, marks, strict=True)])
    ids: list[int] = []
    for turn, mark in zip(turns, marks, strict=True):
        before, _, template = template.partition(mark)
        ids += tokenizer(before, add_special_tokens=False)["input_ids"] + text_ids(tokenizer, turn["content"])
    return ids + tokenizer(template, add_special_tokens=False)["input_ids"]


def has_control(tokenizer, text: str) -> bool:
    """True if the text holds a control token of the model, such as the end of a turn."""
    return any(token in text for token in _controls(tokenizer))


@functools.lru_cache(maxsize=8)
def _controls(tokenizer) -> frozenset[str]:
    return frozenset({*tokenizer.all_special_tokens, *tokenizer.get_added_vocab()})


def text_ids(tokenizer, text: str) -> list[int]:
    """The ids of a text in which nothing is a control token, whatever it looks like."""
    if not has_control(tokenizer, text):
        return tokenizer(text, add_special_tokens=False)["input_ids"]
    return tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]


def encode_answer(tokenizer, content: str) -> list[int]:
    """The ids of a whole answer with its end."""
    return text_ids(tokenizer, build_target(content)) + [end_of_turn_id(tokenizer)]


def has_bos(tokenizer) -> bool:
    """True if the model expects a BOS: its tokenizer puts one before plain text, or its template writes one at the start.

    SmolLM2's `bos_token` is `<|im_start|>`, the mark of each turn: its template writes it, and it is counted as written.
    """
    if tokenizer.bos_token_id is None:
        return False
    if tokenizer("a")["input_ids"][:1] == [tokenizer.bos_token_id]:
        return True
    rendered = tokenizer.apply_chat_template([{"role": "user", "content": "a"}], tokenize=False)
    return rendered.startswith(tokenizer.bos_token)


def end_of_turn_id(tokenizer) -> int | None:
    """Return the token that ends an answer: the added token that the chat template writes after it, else EOS.

    Not every such token is a named attribute of the tokenizer: Phi-3 ends turns with `<|end|>`, and its EOS is another.
    None if the template writes none and the tokenizer has no EOS (`preflight` refuses such a model).
    """
    mark = "answer"
    rendered = tokenizer.apply_chat_template(_exchange("question", mark), tokenize=False)
    tail = tokenizer(rendered.rpartition(mark)[2].strip(), add_special_tokens=False)["input_ids"]
    if tail and (tail[0] in tokenizer.added_tokens_decoder or tail[0] in tokenizer.all_special_ids):
        return tail[0]
    return tokenizer.eos_token_id


def end_ids(tokenizer, model=None) -> list[int]:
    """Return the tokens at which an answer stops: end of turn, EOS, and those of the model's generation config."""
    named = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
    ids = {end_of_turn_id(tokenizer), tokenizer.eos_token_id, *(named if isinstance(named, list) else [named])}
    return sorted(ids - {None})


def _exchange(user: str, answer: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": user}, {"role": "assistant", "content": answer}]


def truncate_title(tokenizer, title: str) -> str:
    """The title, cut at 128 tokens; a title that long is a keyword list, and the prompt around it must stay whole."""
    ids = tokenizer(title, add_special_tokens=False)["input_ids"]
    return title if len(ids) <= TITLE_TOKENS else tokenizer.decode(ids[:TITLE_TOKENS], skip_special_tokens=True)


def encode_rows(
    tokenizer, rows, train_config, few_shot: Turns = (), passages: Mapping[str, Passages] | None = None
) -> list[Example]:
    """Encode rows of the data set (dicts with uid, title, question, content) as `cfg.train` says; drops none.

    few_shot: turns before each. passages: {uid: rows of the catalogue in its prompt}.
    """
    settings, passages = encoding_settings(train_config), passages or {}
    return [
        encode_example(
            tokenizer,
            row["title"],
            row["question"],
            row["content"],
            uid=row["uid"],
            few_shot=few_shot,
            passages=passages.get(row["uid"], ()) if passages else (),
            **settings,
        )
        for row in rows
    ]


def encoding_settings(train_config) -> dict:
    """The part of `cfg.train` that decides ids and labels."""
    return {name: getattr(train_config, name) for name in ENCODING}


def render_labels(tokenizer, example: Example) -> str:
    """The row as text, its labelled part between [[ and ]], so that one sees what is trained on."""
    pieces: list[int | str] = []
    inside = False
    for token, label in zip(example["input_ids"], example["labels"], strict=True):
        labelled = label != IGNORED
        if labelled != inside:
            pieces.append("[[" if labelled else "]]")
            inside = labelled
        pieces.append(token)
    if inside:
        pieces.append("]]")
    text = ""
    run: list[int] = []
    for piece in [*pieces, ""]:
        if isinstance(piece, int):
            run.append(piece)
            continue
        text += tokenizer.decode(run) + piece
        run = []
    return text
