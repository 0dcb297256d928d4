"""Logic of the page without Gradio: prompt both models, render their answers, store votes, show rows.

`Desk(pair, run)` is shared by all visitors; `ask` yields views while the answers are generated. Votes are blind: see
`votes`. All text is escaped by `html`, because titles and generated text are untrusted.
"""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import HTMLResponse

from ftlib.app import html
from ftlib.app.model_pair import AskError, Pair, check_asked, language_note, passages_of, sources_of, stream_together
from ftlib.app.votes import Votes, pair_key, question_key
from ftlib.pipeline.stage import Run
from ftlib.prompts.templates import PREFIX, strip_prefix
from ftlib.retrieval.attribution import mark, supporting_sentences

EVERY = 0.1  # seconds between two updates of an answer
EXAMPLES = 3
LONGEST = 512  # largest number of new tokens that a visitor may request


@dataclass(frozen=True)
class AnswerPair:
    """A pair of answers on the page. `order`: system on the left, system on the right."""

    ask: str
    title: str
    question: str
    order: tuple[str, str]
    blind: bool
    answers: dict[str, str]
    question_key: str = ""  # see `votes.question_key`; "" for sampled answers
    stopped: bool = False  # a stopped pair does not count as a blind vote


@dataclass
class View:
    """What the page shows at one moment, as HTML; `answer_pair` once both answers are complete."""

    left: str
    right: str
    sources: str = ""
    notice: str = ""
    answer_pair: AnswerPair | None = None


@dataclass
class Column:
    """One answer while it is generated."""

    text: str = ""
    first: float | None = None
    seconds: float = 0.0


@dataclass
class Desk:
    """Both models and their run, shared by all visitors: prompts the models, stores votes, shows rows."""

    pair: Pair
    run: Run
    title: str = ""
    votes: Votes = field(init=False)
    model: str = field(init=False)

    def __post_init__(self):
        self.votes = Votes(self.run.path / "votes.sqlite")
        self.model = self.run.stage("merged").manifest()["fingerprint"]

    def examples(self) -> list[str]:
        """Return titles that neither model was trained on."""
        if self.pair.index is None:
            return []
        rows = self.pair.index.dataset["test"]
        return [row["title"] for row in rows.select(range(min(EXAMPLES, len(rows))))]

    def ask(
        self,
        title: str,
        question: str,
        open_book: bool,
        blind: bool,
        generation,
        lang: str,
        halted: Callable[[], bool] = lambda: False,
    ) -> Iterator[View]:
        """Yield views of both answers while they are generated, and at the end one with marks and sources.

        halted: called after each word; True stops both answers.
        """
        w = html.wordings()[lang]
        order = ("base", "tuned")
        if blind and random.random() < 0.5:
            order = ("tuned", "base")
        names = self.names(order, blind, w)
        try:
            title, question = check_asked(title, question)
        except AskError as error:
            yield View(
                *(html.answer(name, "", "", w) for name in names),
                notice=html.message(w[error.reason].format(**error.values)),
            )
            return
        key = question_key(self.model, title, question, open_book, generation)
        if not blind:
            self.votes.reveal(self.model, key)  # the names are shown from the first word on
        sources = sources_of(self.pair, title, question) if self.pair.index else None
        passages = passages_of(self.pair, sources or ()) if open_book else ()
        columns = {system: Column() for system in order}
        notice, sources_html = (
            html.message(language_note(question, self.pair.prompt_format.template), "status"),
            html.sources(sources, w),
        )
        yield View(*(html.answer(name, "", w["waiting"], w) for name in names), sources_html, notice)
        started = last_update = time.perf_counter()
        stream, stopped = stream_together(self.pair, title, question, passages, generation), False
        visible = self.blinded if blind else str
        for system, piece in stream:
            column, now = columns[system], time.perf_counter()
            column.text, column.seconds = column.text + piece, now - started
            column.first = column.first or (now - started if piece else None)
            if now - last_update > EVERY:
                last_update = now
                texts = [visible(columns[each].text) for each in order]
                boxes = (html.answer(n, t, w["writing"], w) for n, t in zip(names, texts, strict=True))
                yield View(*boxes, sources_html, notice)
            if halted():
                stream.close()
                stopped = True
                break
        answers = {system: column.text for system, column in columns.items()}
        answer_pair = AnswerPair(uuid.uuid4().hex, title, question, order, blind, answers, key, stopped)
        if not blind:
            self.votes.reveal(self.model, pair_key(answers))
        notes = [self.figures(columns[system], w) for system in order]
        yield self.complete_view(answer_pair, names, notes, sources, notice, w)

    def complete_view(self, answer_pair: AnswerPair, names, notes, sources, notice: str, w) -> View:
        """Render both complete answers: words that the other lacks are underlined, each sentence has its source or none."""
        rows = sources or ()
        numbers = {source.uid: number for number, source in enumerate(rows, start=1)}
        prefix = self.pair.prompt_format.prefix
        texts = [answer_pair.answers[system] for system in answer_pair.order]
        if answer_pair.blind:
            texts = list(map(self.blinded, texts))
        boxes = [
            html.answer(name, text, note, w, other, mark(text, rows, prefix), numbers, prefix)
            for name, text, note, other in zip(names, texts, notes, reversed(texts), strict=True)
        ]
        sources_html = html.sources(None if sources is None else supporting_sentences(texts, rows, prefix), w)
        return View(*boxes, sources_html, notice, answer_pair)

    def figures(self, column: Column, w) -> str:
        """Format tokens, their rate and the time to the first one."""
        tokens = len(self.pair.tokenizer(column.text, add_special_tokens=False)["input_ids"])
        if column.first is None:
            return w["empty"]
        return w["figures"].format(tokens=tokens, rate=f"{tokens / column.seconds:.0f}", first=f"{column.first:.2f}")

    def blinded(self, text: str) -> str:
        """Remove the prefix, which would reveal the fine-tuned model."""
        return blinded(text, self.pair.prompt_format.prefix)

    @staticmethod
    def names(order, blind: bool, w) -> list[str]:
        """Return the headings of the columns; blind votes show letters alone."""
        return [letter if blind else f"{letter}: {w[system]}" for letter, system in zip("AB", order, strict=True)]

    def vote(self, answer_pair: AnswerPair, choice: str, lang: str) -> str:
        """Store a vote (left, right or tie) and reveal which model was which.

        A vote counts as blind only if the models behind these answers were not revealed before: greedy decoding
        generates the same pair again.
        """
        w = html.wordings()[lang]
        chosen = {"left": answer_pair.order[0], "right": answer_pair.order[1], "tie": "tie"}[choice]
        keys = [key for key in (pair_key(answer_pair.answers), answer_pair.question_key) if key]
        counts = answer_pair.blind and not answer_pair.stopped and not self.votes.revealed(self.model, *keys)
        new = self.votes.cast(
            ask=answer_pair.ask,
            model=self.model,
            blind=counts,
            choice=chosen,
            title=answer_pair.title,
            question=answer_pair.question,
            **answer_pair.answers,
        )
        self.votes.reveal(self.model, *keys)
        left, right = (w[system] for system in answer_pair.order)
        if not new:
            return w["voted"]
        thanks = w["thanks"].format(left=left, right=right)
        return (
            thanks if counts or not answer_pair.blind else f"{thanks} {w['half' if answer_pair.stopped else 'known']}"
        )

    def row(self, request: Request) -> HTMLResponse:
        """Render the address row/SPLIT/NUMBER: one row of the catalog."""
        split, row_param = request.path_params["split"], str(request.path_params["place"])
        dataset = self.pair.index.dataset if self.pair.index else {}
        row_idx = int(row_param) if row_param.isascii() and row_param.isdecimal() and len(row_param) <= 12 else -1
        exists = split in dataset and 0 <= row_idx < len(dataset[split])
        page = html.row_page(dataset[split][row_idx] if exists else None, split, language(request))
        return HTMLResponse(page, status_code=200 if exists else 404)


def blinded(text: str, prefix: str = PREFIX) -> str:
    """Remove the prefix that an answer begins with, also while that is being generated."""
    return "" if prefix.startswith(text.strip()) else strip_prefix(text, prefix)


def language(request) -> str:
    """Return the page's language for a request."""
    return html.language_of(request.headers.get("accept-language") if request else None)


def chosen_decoding(generation, choices: dict):
    """Return the run's decoding with a visitor's choices, after checking them; no answer is longer than `LONGEST`."""
    limit = max(LONGEST, generation.max_new_tokens)
    choices = choices | {"max_new_tokens": min(int(choices["max_new_tokens"]), limit)}
    return type(generation).model_validate(generation.model_dump() | choices)
