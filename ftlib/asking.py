"""Ask base and tuned model about a product, and see both answers as they are written.

What: `load_pair(cfg, run)` holds both models, in the same 16-bit precision as in the evaluation; `stream_both` yields their
answers piece by piece. Why both: what a tuned model says means something only beside what its base says to the same prompt.
`tells_apart` asks the one question that fluent text hides: does the model know this product, or only what descriptions look like?
How: notebook 06 calls them; `ftlib.app.panel` puts a title and a question box in front.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ftlib import hardware
from ftlib.config import Config
from ftlib.errors import FtlibError
from ftlib.generation import stream_answer
from ftlib.models import load_plain, load_tokenizer
from ftlib.prompts import QUESTIONS, build_prompt, cut_title, encode_example
from ftlib.retrieval import Nearest
from ftlib.runs import Run
from ftlib.scoring import answer_nll
from ftlib.sources import fetch

SYSTEMS = ("base", "tuned")
TITLE_CHARS, QUESTION_CHARS = 500, 500


class AskError(FtlibError, ValueError):
    """The title or the question cannot be asked; the message says what is allowed."""


@dataclass(frozen=True)
class Pair:
    """Both models with what they need to answer. `models`: {'base': model, 'tuned': model}."""

    models: dict
    tokenizer: object
    generation: object
    row_length: int


def load_pair(cfg: Config, run: Run) -> Pair:
    """Base and merged model of a run. Raises StageMissing if nothing was merged yet."""
    merged = run.stage("merged")
    merged.manifest()
    dtype, _ = hardware.compute_dtype()
    models = {"base": load_plain(fetch(cfg.model.name), dtype), "tuned": load_plain(str(merged.path), dtype)}
    return Pair(models, load_tokenizer(cfg.model.name), cfg.generation, cfg.train.max_length)


def check_asked(title: str, question: str) -> tuple[str, str]:
    """Title and question on one line each, default question if it is empty. Raises AskError if one cannot be asked."""
    title, question = (" ".join(text.split()) for text in (title, question))
    if not title:
        raise AskError("the title is empty; write the product's title as a shop would")
    for name, text, limit in (("title", title, TITLE_CHARS), ("question", question, QUESTION_CHARS)):
        if len(text) > limit:
            raise AskError(f"the {name} has {len(text)} characters; allowed are at most {limit}")
    return title, question or QUESTIONS["reference"]


def stream_one(pair: Pair, system: str, title: str, question: str = "") -> Iterator[str]:
    """Yield one model's answer piece by piece. Raises AskError before anything is generated."""
    title, question = check_asked(title, question)
    prompt = build_prompt(cut_title(pair.tokenizer, title), question)
    return stream_answer(pair.models[system], pair.tokenizer, prompt, pair.generation)


def stream_both(pair: Pair, title: str, question: str = "") -> Iterator[tuple[str, str]]:
    """Yield (system, piece): first the base's whole answer, then the tuned model's, so that both get the full speed."""
    title, question = check_asked(title, question)
    for system in SYSTEMS:
        for piece in stream_one(pair, system, title, question):
            yield system, piece


def print_both(pair: Pair, title: str, question: str = "") -> dict[str, str]:
    """Stream both answers to the console, without widgets; returns {system: text}."""
    answers = dict.fromkeys(SYSTEMS, "")
    for system in SYSTEMS:
        print(f"--- {system}", flush=True)
        for piece in stream_one(pair, system, title, question):
            answers[system] += piece
            print(piece, end="", flush=True)
        print("\n", flush=True)
    return answers


def tells_apart(pair: Pair, system: str, rows: list[dict], count: int = 40) -> list[float]:
    """Does a model give two similar titles their own descriptions? 1.0 or 0.0 for each of the first `count` rows.

    Each is paired with the row among all `rows` whose title is most similar. Right if both true pairs together are likelier
    than the same two descriptions swapped. Each text is scored under both titles, so a text that is likely anyway, or long,
    gains nothing. A coin would be right in half of the cases.
    """
    others = Nearest([row["title"] for row in rows], [row["content"] for row in rows]).neighbours()
    examples = []
    for row, other in zip(rows[:count], (rows[place] for place in others[:count]), strict=True):
        for title, text in ((row, row), (other, other), (row, other), (other, row)):
            examples.append(_example(pair, title["title"], text["content"]))
    sums, _ = answer_nll(pair.models[system], examples, pair.tokenizer.pad_token_id, pair.row_length)
    fours = [sums[start : start + 4] for start in range(0, len(sums), 4)]
    return [float(own + others_own < swapped + back) for own, others_own, swapped, back in fours]


def _example(pair: Pair, title: str, text: str) -> dict:
    return encode_example(pair.tokenizer, title, QUESTIONS["reference"], text, max_length=pair.row_length)
