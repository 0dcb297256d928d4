"""The page's logic: ask both models, render views of the answers, keep votes, show rows. Free of Gradio, for tests.

`Desk(pair, run)` is what all visitors share; `ask` yields views while the answers are generated. Votes are blind: see
`votes`. All text passes through `html`, because it is written by strangers and by models.
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
from ftlib.app.votes import Votes, asked_key, pair_key
from ftlib.pipeline.stage import Run
from ftlib.prompts.templates import PREFIX, strip_prefix
from ftlib.retrieval.attribution import mark, supporting_sentences

EVERY = 0.1  # seconds between two pictures of an answer
EXAMPLES = 3
LONGEST = 512  # tokens that a visitor may ask for


@dataclass(frozen=True)
class Told:
    """A pair of answers on the page. `order`: system on the left, system on the right."""

    ask: str
    title: str
    question: str
    order: tuple[str, str]
    blind: bool
    answers: dict[str, str]
    asked: str = ""  # see `votes.asked_key`; "" for answers that are drawn at random
    stopped: bool = False  # half an answer is no pair to vote on


@dataclass
class View:
    """What the page shows at one moment, as HTML; `told` once both answers are complete."""

    left: str
    right: str
    sources: str = ""
    said: str = ""
    told: Told | None = None


@dataclass
class Column:
    """One answer while it is generated."""

    text: str = ""
    first: float | None = None
    seconds: float = 0.0


@dataclass
class Desk:
    """Both models with the run that they belong to: asks, votes and shows rows, for one or many visitors."""

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

        halted: asked after each word; True ends both answers where they are.
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
                said=html.message(w[error.reason].format(**error.values)),
            )
            return
        asked = asked_key(self.model, title, question, open_book, generation)
        if not blind:
            self.votes.reveal(self.model, asked)  # the names are on the page from its first word on
        found = sources_of(self.pair, title, question) if self.pair.index else None
        passages = passages_of(self.pair, found or ()) if open_book else ()
        columns = {system: Column() for system in order}
        said, listed = html.message(language_note(question), "status"), html.sources(found, w)
        yield View(*(html.answer(name, "", w["waiting"], w) for name in names), listed, said)
        started = drawn = time.perf_counter()
        stream, stopped = stream_together(self.pair, title, question, passages, generation), False
        visible = blinded if blind else str
        for system, piece in stream:
            column, now = columns[system], time.perf_counter()
            column.text, column.seconds = column.text + piece, now - started
            column.first = column.first or (now - started if piece else None)
            if now - drawn > EVERY:
                drawn = now
                texts = [visible(columns[each].text) for each in order]
                boxes = (html.answer(n, t, w["writing"], w) for n, t in zip(names, texts, strict=True))
                yield View(*boxes, listed, said)
            if halted():
                stream.close()
                stopped = True
                break
        answers = {system: column.text for system, column in columns.items()}
        told = Told(uuid.uuid4().hex, title, question, order, blind, answers, asked, stopped)
        if not blind:
            self.votes.reveal(self.model, pair_key(answers))
        notes = [self.figures(columns[system], w) for system in order]
        yield self.whole(told, names, notes, found, said, w)

    def whole(self, told: Told, names, notes, found, said: str, w) -> View:
        """Render both complete answers: words that the other lacks are underlined, each sentence has its source or none."""
        rows = found or ()
        numbers = {source.uid: number for number, source in enumerate(rows, start=1)}
        texts = [told.answers[system] for system in told.order]
        if told.blind:
            texts = list(map(blinded, texts))
        boxes = [
            html.answer(name, text, note, w, other, mark(text, rows), numbers)
            for name, text, note, other in zip(names, texts, notes, reversed(texts), strict=True)
        ]
        listed = html.sources(None if found is None else supporting_sentences(texts, rows), w)
        return View(*boxes, listed, said, told)

    def figures(self, column: Column, w) -> str:
        """Format tokens, their rate and the time to the first one."""
        tokens = len(self.pair.tokenizer(column.text, add_special_tokens=False)["input_ids"])
        if column.first is None:
            return w["empty"]
        return w["figures"].format(tokens=tokens, rate=f"{tokens / column.seconds:.0f}", first=f"{column.first:.2f}")

    @staticmethod
    def names(order, blind: bool, w) -> list[str]:
        """Return the headings of the columns; blind votes show letters alone."""
        return [letter if blind else f"{letter}: {w[system]}" for letter, system in zip("AB", order, strict=True)]

    def vote(self, told: Told, choice: str, lang: str) -> str:
        """Keep a vote (left, right or tie) and show which model was which.

        A blind vote counts as one only if nobody has seen before which of these answers is whose: the same pair comes back
        with greedy decoding.
        """
        w = html.wordings()[lang]
        chosen = {"left": told.order[0], "right": told.order[1], "tie": "tie"}[choice]
        keys = [key for key in (pair_key(told.answers), told.asked) if key]
        counts = told.blind and not told.stopped and not self.votes.revealed(self.model, *keys)
        new = self.votes.cast(
            ask=told.ask,
            model=self.model,
            blind=counts,
            choice=chosen,
            title=told.title,
            question=told.question,
            **told.answers,
        )
        self.votes.reveal(self.model, *keys)
        left, right = (w[system] for system in told.order)
        if not new:
            return w["voted"]
        thanks = w["thanks"].format(left=left, right=right)
        return thanks if counts or not told.blind else f"{thanks} {w['half' if told.stopped else 'known']}"

    def row(self, request: Request) -> HTMLResponse:
        """Render the address row/SPLIT/NUMBER: one row of the catalog."""
        split, place = request.path_params["split"], str(request.path_params["place"])
        dataset = self.pair.index.dataset if self.pair.index else {}
        number = int(place) if place.isascii() and place.isdecimal() and len(place) <= 12 else -1
        there = split in dataset and 0 <= number < len(dataset[split])
        page = html.row_page(dataset[split][number] if there else None, split, language(request))
        return HTMLResponse(page, status_code=200 if there else 404)


def blinded(text: str) -> str:
    """Remove the "Description:" that an answer begins with, also while that is being generated."""
    return "" if PREFIX.startswith(text.strip()) else strip_prefix(text)


def language(request) -> str:
    """Return the page's language for a request."""
    return html.language_of(request.headers.get("accept-language") if request else None)


def chosen_decoding(now, chosen: dict):
    """Return the run's decoding with a visitor's choices, after checking them; no answer is longer than `LONGEST`."""
    limit = max(LONGEST, now.max_new_tokens)
    chosen = chosen | {"max_new_tokens": min(int(chosen["max_new_tokens"]), limit)}
    return type(now).model_validate(now.model_dump() | chosen)
