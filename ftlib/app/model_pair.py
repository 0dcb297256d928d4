"""Ask base and fine-tuned model about a product, stream both answers, and find their sources.

`load_pair(cfg, run)` loads both models in the same 16-bit precision as in the evaluation; `stream_together` yields
their answers piece by piece, `sources_of` the catalog rows that belong to the question. Both are prompted because a
fine-tuned answer can only be judged against the base model's answer to the same prompt. `tells_apart` tests whether a
model distinguishes products or has only learned the form of descriptions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ftlib.config.settings import Config
from ftlib.data.lexical import words
from ftlib.data.text import ENGLISH, PORTUGUESE, fold, plain
from ftlib.evaluation.bootstrap import paired_ratio_difference, ratio_interval
from ftlib.generation.batched import stream_answer
from ftlib.models.base_models import fetch
from ftlib.models.likelihood import answer_nll
from ftlib.models.loading import load_plain, load_tokenizer
from ftlib.pipeline.stage import Run
from ftlib.pipeline.stages import load_dataset
from ftlib.prompts.encoding import context_prompt, encode_example, encode_rows, truncate_title
from ftlib.prompts.templates import DEFAULT_FORMAT, PREFIX, QUESTIONS, TEMPLATE, Passages, PromptFormat, build_prompt
from ftlib.retrieval.attribution import _stem, mark, supporting_sentences
from ftlib.retrieval.bm25_index import Index, Source
from ftlib.retrieval.nearest_title import Nearest
from ftlib.runtime import hardware
from ftlib.runtime.errors import FtlibError

SYSTEMS = ("base", "tuned")
TITLE_CHARS, QUESTION_CHARS = 500, 500


class AskError(FtlibError, ValueError):
    """The title or the question cannot be asked; the message says what is allowed.

    `reason`: empty_title, long_title or long_question, with `values` for translated messages.
    """

    REASONS = {
        "empty_title": "the title is empty; write the product's title as a retailer would",
        "long_title": "the title has {length} characters; allowed are at most {limit}",
        "long_question": "the question has {length} characters; allowed are at most {limit}",
    }

    def __init__(self, reason: str, **values: int):
        super().__init__(self.REASONS[reason].format(**values))
        self.reason, self.values = reason, values


@dataclass(frozen=True)
class Pair:
    """Both models with what they need to answer.

    Attributes:
        models: {'base': model, 'tuned': model}.
        tokenizer: of both.
        generation: `cfg.generation`.
        row_length: `train.max_length`, for likelihoods.
        index: of the data set, None without one.
        open_rows: passages of a prompt.
        context_tokens, context_order: of the passages, as in training.
        open_book: whether prompts have passages unless the user decides; True for a model that was trained with them.
        prompt_format: of the prompts that the model was trained on.
    """

    models: dict
    tokenizer: object
    generation: object
    row_length: int
    index: Index | None = None
    open_rows: int = 2
    context_tokens: int = 512
    context_order: str = "best_last"
    open_book: bool = False
    prompt_format: PromptFormat = DEFAULT_FORMAT


def load_pair(cfg: Config, run: Run, systems: Sequence[str] = SYSTEMS) -> Pair:
    """Load base and merged model of a run, and its index if it has one. Raises StageMissing, StageDamaged."""
    merged, index = run.stage("merged").verified(), run.stage("index")
    dtype, _ = hardware.compute_dtype()
    model_ids = {"base": cfg.model.name, "tuned": str(merged)}
    models = {system: load_plain(fetch(model_ids[system]), dtype) for system in systems}
    opened = Index.open(load_dataset(run), index.verified()) if index.complete else None
    return Pair(
        models,
        load_tokenizer(cfg.model.name),
        cfg.generation,
        cfg.train.max_length,
        opened,
        cfg.open_rows,
        cfg.train.context_tokens,
        cfg.train.context_order,
        cfg.train.context_rows > 0,
        cfg.prompt_format,
    )


def check_asked(title: str, question: str) -> tuple[str, str]:
    """Return title and question on one line each, the default question if it is empty. Raises AskError."""
    title, question = (" ".join(text.split()) for text in (title, question))
    if not title:
        raise AskError("empty_title")
    for name, text, limit in (("title", title, TITLE_CHARS), ("question", question, QUESTION_CHARS)):
        if len(text) > limit:
            raise AskError(f"long_{name}", length=len(text), limit=limit)
    return title, question or QUESTIONS["reference"]


def sources_of(pair: Pair, title: str, question: str = "", k: int = 3) -> list[Source]:
    """Return the catalog rows that belong to a title and a question, best first. Raises AskError."""
    title, question = check_asked(title, question)
    return pair.index.sources(title, question, k) if pair.index else []


def language_note(question: str, template: str = TEMPLATE) -> str:
    """Return a note for a question in Portuguese, since the answer is in English; "" for any other question.

    Of data with a template of its own (`prompt.template`) the language is not known, so there is no note.
    """
    asked = set(fold(question))
    if template != TEMPLATE or question in QUESTIONS.values() or len(asked & PORTUGUESE) <= len(asked & ENGLISH):
        return ""
    return "The catalog is in English, and so is the answer. / O catálogo está em inglês, e a resposta também."


def stream_one(
    pair: Pair, system: str, title: str, question: str = "", passages: Passages = (), generation=None
) -> Iterator[str]:
    """Yield one model's answer piece by piece. Raises AskError before anything is generated.

    passages: rows of the catalog to put into the prompt (with retrieval). generation: overrides the pair's settings.
    """
    title, question = check_asked(title, question)
    template, prefix = pair.prompt_format
    prompt = build_prompt(truncate_title(pair.tokenizer, title), question, template)
    prompt = context_prompt(pair.tokenizer, prompt, passages, pair.context_tokens, pair.context_order, prefix)
    return stream_answer(pair.models[system], pair.tokenizer, prompt, generation or pair.generation)


def passages_of(pair: Pair, sources: Sequence[Source]) -> Passages:
    """Return the passages for the prompt: the first of the sources."""
    return [(source.title, source.content) for source in sources[: pair.open_rows]]


def stream_together(
    pair: Pair, title: str, question: str = "", passages: Passages = (), generation=None
) -> Iterator[tuple[str, str]]:
    """Yield (system, piece) of all models in turn, so that both columns fill at once. Closing it ends both answers."""
    title, question = check_asked(title, question)
    streams = {system: stream_one(pair, system, title, question, passages, generation) for system in pair.models}
    try:
        while streams:
            for system in list(streams):
                piece = next(streams[system], None)
                if piece is None:
                    del streams[system]
                else:
                    yield system, piece
    finally:
        for stream in streams.values():
            stream.close()


def summary(
    title: str, question: str, answers: dict[str, str], sources: Sequence[Source], prefix: str = PREFIX
) -> dict:
    """Return what was asked and answered, as `ftlib ask --json` prints it.

    `sentences` are those of the tuned model's answer, or of the only answer; `sentence` is the source's sentence with
    the most support for an answer. prefix: `prompt.prefix`.
    """
    supporting = supporting_sentences(answers.values(), sources, prefix)
    main_answer = answers.get("tuned") or next(iter(answers.values()), "")
    return {
        "title": title,
        "question": question,
        "answers": answers,
        "sources": [
            {
                "uid": source.uid,
                "title": source.title,
                "score": source.score,
                "split": source.split,
                "sentence": source.sentences[0] if source.sentences else "",
            }
            for source in supporting
        ],
        "sentences": [{"text": each.text, "supported": each.supported} for each in mark(main_answer, sources, prefix)],
    }


def print_both(pair: Pair, title: str, question: str = "", passages: Passages = ()) -> dict[str, str]:
    """Stream the answers to the console one after the other, without control characters; returns {system: text}."""
    answers = dict.fromkeys(pair.models, "")
    for system in answers:
        print(f"--- {system}", flush=True)
        for piece in stream_one(pair, system, title, question, passages):
            answers[system] += piece
            print(plain(piece), end="", flush=True)
        print("\n", flush=True)
    return answers


def without_words(text: str, titles: Sequence[str]) -> str:
    """Remove from a text every word that one of the titles has too, by stem; reading then gives nothing away."""
    hidden = {_stem(word) for title in titles for word in words(title)}
    return " ".join(piece for piece in text.split() if not hidden & {_stem(word) for word in words(piece)})


def tells_apart(
    pair: Pair, system: str, rows: list[dict], count: int = 40, hide_title_words: bool = False
) -> list[float]:
    """Test whether a model distinguishes two similar titles: 1.0 or 0.0 for each of the first `count` rows.

    Each row is paired with the row among all `rows` whose title is most similar. Correct (1.0) if the two true pairs
    together have a higher likelihood than the same two descriptions swapped. Each text is scored under both titles, so
    generic or long texts have no advantage. Chance level is 0.5.

    hide_title_words: remove the words of both titles from both descriptions, so that only knowledge of the products can
        tell which is which. Rows whose descriptions are then empty or equal are left out.
    """
    neighbors = Nearest([row["title"] for row in rows], [row["content"] for row in rows]).neighbors()
    examples = []
    for row, other in zip(rows[:count], (rows[row_idx] for row_idx in neighbors[:count]), strict=True):
        texts, titles = [row["content"], other["content"]], [row["title"], other["title"]]
        if hide_title_words:
            texts = [without_words(text, titles) for text in texts]
        if hide_title_words and (not all(texts) or texts[0] == texts[1]):
            continue
        for title_idx, text_idx in ((0, 0), (1, 1), (0, 1), (1, 0)):
            examples.append(_example(pair, titles[title_idx], texts[text_idx]))
    if not examples:
        return []
    sums, _ = answer_nll(pair.models[system], examples, pair.tokenizer.pad_token_id, pair.row_length)
    groups = [sums[start : start + 4] for start in range(0, len(sums), 4)]
    return [float(true_a + true_b < swapped_a + swapped_b) for true_a, true_b, swapped_a, swapped_b in groups]


def closed_and_open(
    pair: Pair, cfg: Config, rows: list[dict], passages: Mapping[str, Passages]
) -> Iterator[tuple[str, str, dict]]:
    """Yield (system, condition, interval in nats per token) of the true descriptions, without and with retrieval.

    passages: {uid: rows in the prompt}, see `evaluation.systems.passages_for`.
    """
    train, size = cfg.train.as_measured(), cfg.evaluation.bootstrap
    for system, model in pair.models.items():
        sums = {}
        for condition, in_prompt in (("without retrieval", {}), ("with retrieval", passages)):
            examples = encode_rows(pair.tokenizer, rows, train, passages=in_prompt, prompt_format=pair.prompt_format)
            longest = max(train.max_length, *(len(example["input_ids"]) for example in examples))
            sums[condition] = answer_nll(model, examples, pair.tokenizer.pad_token_id, longest)
            yield system, condition, ratio_interval(*sums[condition], size)
        yield (
            system,
            "with - without retrieval",
            paired_ratio_difference(*sums["with retrieval"], *sums["without retrieval"], size),
        )


def _example(pair: Pair, title: str, text: str) -> dict:
    return encode_example(
        pair.tokenizer,
        title,
        QUESTIONS["reference"],
        text,
        max_length=pair.row_length,
        prompt_format=pair.prompt_format,
    )
