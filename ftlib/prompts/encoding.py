"""Encode rows as token ids and labels; no other module does.

Training, evaluation and the demo all call `encode_example`, so they cannot disagree. Labels are built here and not in a collator,
because a collator that masks every padding id also masks EOS where the two are the same token, and the model never learns to stop
(the reference's first fault). `print(render_labels(tokenizer, encode_example(...)))` shows which part of a row is labeled.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TypedDict

from ftlib.prompts.templates import (
    DEFAULT_FORMAT,
    PREFIX,
    Passages,
    PromptFormat,
    Turns,
    build_prompt,
    build_target,
    open_prompt,
)
from ftlib.runtime.errors import FtlibError

IGNORED = -100  # PyTorch's cross entropy skips this label
# settings of `train` that decide ids and labels
ENCODING = ("max_length", "loss_on", "label_eos", "context_tokens", "context_order")
LEAST_PASSAGE = 8  # tokens of a passage's description; with fewer it is left out
TITLE_TOKENS = 128  # longer titles are truncated; the rest of the prompt never is


class PromptTooLong(FtlibError, ValueError):
    """Raised when a prompt alone reaches train.max_length, so that no target token fits."""


class Example(TypedDict):
    """One encoded row.

    Attributes:
        uid: of the row; "" outside a data set.
        input_ids: tokens of prompt and target.
        labels: of the same length; IGNORED where no loss is computed.
        prompt_tokens: number of prompt tokens.
        cut: True if the target was truncated.
    """

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
    context_tokens: int = 512,
    context_order: str = "best_last",
    prompt_format: PromptFormat = DEFAULT_FORMAT,
) -> Example:
    """Encode one row for any chat model; without `content` the prompt alone, for generation.

    The title is truncated at TITLE_TOKENS, the target where the row would exceed `max_length`; a truncated target gets no end
    token, because it does not end there. loss_on='all' and label_eos=False reproduce the reference, for comparison. Few-shot
    turns and passages do not count towards `max_length`, so that the same target tokens are scored with and without them;
    the passages, best first, add at most `context_tokens` (see `context_prompt`).
    Raises PromptTooLong if no target token fits.
    """
    message = build_prompt(truncate_title(tokenizer, title), question, prompt_format.template)
    prompt = plain = encode_prompt(tokenizer, message)
    if passages:
        message, prompt = _with_passages(
            tokenizer, message, plain, passages, context_tokens, context_order, prompt_format.prefix
        )
    if few_shot:
        prompt = encode_prompt(tokenizer, message, few_shot)
    target, cut = [], False
    if content is not None:
        if len(plain) >= max_length:
            raise PromptTooLong(
                f"train.max_length = {max_length}: a prompt alone has {len(plain)} tokens; set it higher"
            )
        target = encode_answer(tokenizer, content, prompt_format.prefix)
        room = max_length - len(plain)
        target, cut = target[:room], len(target) > room
    labels = target[:-1] + [IGNORED] if target and not label_eos and not cut else target
    prompt_labels = prompt if loss_on == "all" and content is not None else [IGNORED] * len(prompt)
    return Example(
        uid=uid, input_ids=prompt + target, labels=prompt_labels + labels, prompt_tokens=len(prompt), cut=cut
    )


def encode_prompt(tokenizer, prompt: str, few_shot: Turns = ()) -> list[int]:
    """Encode a user message with the chat template, up to the start of the assistant's turn.

    Templates differ: Zephyr's (TinyLlama) writes no BOS although the model was trained with one, Llama 3's does. So the text is
    encoded without special tokens, and exactly one BOS is added if the model has one.

    Args:
        tokenizer: of the model.
        prompt: the message.
        few_shot: (user, assistant) turns before it.
    """
    turns = [turn for user, answer in few_shot for turn in _exchange(user, answer)]
    ids = _template_ids(tokenizer, [*turns, {"role": "user", "content": prompt}])
    if not has_bos(tokenizer):
        return ids
    while ids[:1] == [tokenizer.bos_token_id]:
        ids = ids[1:]
    return [tokenizer.bos_token_id, *ids]


def context_prompt(
    tokenizer,
    prompt: str,
    passages: Passages,
    context_tokens: int = 512,
    context_order: str = "best_last",
    prefix: str = PREFIX,
) -> str:
    """Put passages before a prompt, truncated so that they add at most `context_tokens` tokens together.

    Long descriptions are truncated to a common length, so that a short passage leaves its share to the others; a passage
    that gets no room is left out, the last one first.

    Args:
        tokenizer: of the model.
        prompt: the user message.
        passages: (title, description), best first.
        context_tokens: budget of all passages together, their titles and the sentence before them included.
        context_order: best_first or best_last, the order in the prompt.
        prefix: before each description, `prompt.prefix`.
    """
    if not passages:
        return prompt
    plain = encode_prompt(tokenizer, prompt)
    return _with_passages(tokenizer, prompt, plain, passages, context_tokens, context_order, prefix)[0]


def _with_passages(
    tokenizer,
    prompt: str,
    plain: list[int],
    passages: Passages,
    context_tokens: int,
    context_order: str,
    prefix: str = PREFIX,
) -> tuple[str, list[int]]:
    """Return the prompt of `context_prompt` and its ids. plain: ids of the prompt without passages."""
    budget = context_tokens
    while fitted := _fitted(tokenizer, passages, budget, prefix):
        text = open_prompt(prompt, fitted if context_order == "best_first" else fitted[::-1], prefix)
        ids = encode_prompt(tokenizer, text)
        excess = len(ids) - len(plain) - context_tokens
        if excess <= 0:
            return text, ids
        budget -= excess  # pieces have other tokens together than each alone
    return prompt, plain


def _fitted(tokenizer, passages: Passages, budget: int, prefix: str = PREFIX) -> list[tuple[str, str]]:
    """Truncate the descriptions of passages to a common length, such that all passages have about `budget` tokens."""
    passages = [(truncate_title(tokenizer, title), " ".join(text.split())) for title, text in passages]
    while passages:
        room = budget - _token_count(tokenizer, open_prompt("", [(title, "") for title, _ in passages], prefix))
        counts = sorted(_token_count(tokenizer, text) for _, text in passages)
        if room >= LEAST_PASSAGE * len(passages):
            limit = counts[-1]
            for number, count in enumerate(counts):  # short descriptions leave their share to the longer ones
                if count * (len(counts) - number) > room:
                    limit = room // (len(counts) - number)
                    break
                room -= count
            return [(title, truncate_text(tokenizer, text, limit)) for title, text in passages]
        passages = passages[:-1]
    return []


@functools.lru_cache(maxsize=2**15)
def _token_count(tokenizer, text: str) -> int:
    return len(text_ids(tokenizer, text))


def truncate_text(tokenizer, text: str, limit: int) -> str:
    """Truncate a text at `limit` tokens, between words if possible."""
    if _token_count(tokenizer, text) <= limit:
        return text
    start = tokenizer.decode(text_ids(tokenizer, text)[:limit], skip_special_tokens=True).rstrip("\ufffd")
    return start.rpartition(" ")[0] or start


def _template_ids(tokenizer, turns: list[dict[str, str]]) -> list[int]:
    """Encode turns with the chat template, up to the start of the assistant's turn.

    A text that contains a control token (a title with `<|im_end|>` could end its turn and start another) is encoded separately
    from the template around it, as plain text.
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
        ids += tokenizer(before, add_special_tokens=False)["input_ids"]
        ids += _ids_after(tokenizer, before, turn["content"])
    return ids + tokenizer(template, add_special_tokens=False)["input_ids"]


def has_control(tokenizer, text: str) -> bool:
    """Return whether the text contains a control token of the model, such as the end of a turn."""
    return any(token in text for token in _controls(tokenizer))


@functools.lru_cache(maxsize=8)
def _controls(tokenizer) -> frozenset[str]:
    return frozenset({*tokenizer.all_special_tokens, *tokenizer.get_added_vocab()})


def text_ids(tokenizer, text: str) -> list[int]:
    """Encode a text without special tokens; control tokens in it are split into ordinary tokens."""
    if not has_control(tokenizer, text):
        return tokenizer(text, add_special_tokens=False)["input_ids"]
    return tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]


def encode_answer(tokenizer, content: str, prefix: str = PREFIX) -> list[int]:
    """Encode a target text and its end-of-turn token, not truncated.

    The target has the tokens that it has after the template: SentencePiece (Llama 2, so TinyLlama) puts a space before a
    text that stands alone, and an answer after `<|assistant|>` and a line break has none.
    """
    target = build_target(content, prefix)
    return [*_ids_after(tokenizer, _answer_start(tokenizer), target), end_of_turn_id(tokenizer)]


@functools.lru_cache(maxsize=8)
def _answer_start(tokenizer) -> str:
    """Return the last character of the template before an answer."""
    turn = [{"role": "user", "content": "a"}]
    return tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True)[-1:]


def _ids_after(tokenizer, before: str, text: str) -> list[int]:
    """Encode a text that follows another one, as `text_ids`. before: that text or its end."""
    lead = _line_break(tokenizer) if before.endswith("\n") else ()
    return text_ids(tokenizer, "\n" + text)[len(lead) :] if lead else text_ids(tokenizer, text)


@functools.lru_cache(maxsize=8)
def _line_break(tokenizer) -> tuple[int, ...]:
    """Return the ids of a leading line break if the tokenizer puts a space before every text, else ()."""
    first = tokenizer.convert_ids_to_tokens(text_ids(tokenizer, "a"))[0]
    return tuple(text_ids(tokenizer, "\n")) if first.startswith("\u2581") else ()


def has_bos(tokenizer) -> bool:
    """Return whether the model expects a BOS: its tokenizer or its chat template puts one first.

    SmolLM2's `bos_token` is `<|im_start|>`, which starts each turn: the template writes it, and no second one is added.
    """
    return _has_bos(tokenizer, tokenizer.bos_token_id, tokenizer.chat_template)


@functools.lru_cache(maxsize=8)
def _has_bos(tokenizer, bos: int | None, chat_template: str) -> bool:
    """See `has_bos`; computed once for each state of a tokenizer, not for each row."""
    if bos is None:
        return False
    if tokenizer("a")["input_ids"][:1] == [bos]:
        return True
    rendered = tokenizer.apply_chat_template([{"role": "user", "content": "a"}], tokenize=False)
    return rendered.startswith(tokenizer.bos_token)


def end_of_turn_id(tokenizer) -> int | None:
    """Return the token that ends an answer: the one that the chat template writes after it, else EOS.

    It must be an added or special token. Not every such token is an attribute of the tokenizer: Phi-3 ends turns with `<|end|>`,
    and its EOS is another token. None if the template writes none and the tokenizer has no EOS
    (`models.checks` rejects such a model).
    """
    return _end_of_turn_id(tokenizer, tokenizer.eos_token_id, tokenizer.chat_template)


@functools.lru_cache(maxsize=8)
def _end_of_turn_id(tokenizer, eos: int | None, chat_template: str) -> int | None:
    """See `end_of_turn_id`; computed once for each state of a tokenizer, not for each row."""
    mark = "answer"
    rendered = tokenizer.apply_chat_template(_exchange("question", mark), tokenize=False)
    tail = tokenizer(rendered.rpartition(mark)[2].strip(), add_special_tokens=False)["input_ids"]
    if tail and (tail[0] in tokenizer.added_tokens_decoder or tail[0] in tokenizer.all_special_ids):
        return tail[0]
    return eos


def end_ids(tokenizer, model=None) -> list[int]:
    """Return the tokens that end generation: end of turn, EOS, and those of the generation config."""
    configured = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
    configured_ids = configured if isinstance(configured, list) else [configured]
    return sorted({end_of_turn_id(tokenizer), tokenizer.eos_token_id, *configured_ids} - {None})


def _exchange(user: str, answer: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": user}, {"role": "assistant", "content": answer}]


def truncate_title(tokenizer, title: str) -> str:
    """Truncate a title at TITLE_TOKENS, so that the prompt around it stays complete."""
    ids = tokenizer(title, add_special_tokens=False)["input_ids"]
    return title if len(ids) <= TITLE_TOKENS else tokenizer.decode(ids[:TITLE_TOKENS], skip_special_tokens=True)


def encode_rows(
    tokenizer,
    rows,
    train_config,
    few_shot: Turns = (),
    passages: Mapping[str, Passages] | None = None,
    prompt_format: PromptFormat = DEFAULT_FORMAT,
) -> list[Example]:
    """Encode all rows of a data set with the settings of `cfg.train`.

    Args:
        tokenizer: of the model.
        rows: dicts with uid, title, question and content.
        train_config: `cfg.train`.
        few_shot: (user, assistant) turns before each prompt.
        passages: {uid: catalog rows in its prompt}.
        prompt_format: `cfg.prompt_format`.
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
            prompt_format=prompt_format,
            **settings,
        )
        for row in rows
    ]


def encoding_settings(train_config) -> dict:
    """Return the settings of `cfg.train` that decide ids and labels."""
    return {name: getattr(train_config, name) for name in ENCODING}


def render_labels(tokenizer, example: Example) -> str:
    """Decode a row with its labeled part between [[ and ]], to show which tokens are trained on."""
    pieces: list[int | str] = []  # token ids and brackets
    inside = False
    for token, label in zip(example["input_ids"], example["labels"], strict=True):
        labeled = label != IGNORED
        if labeled != inside:
            pieces.append("[[" if labeled else "]]")
            inside = labeled
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
