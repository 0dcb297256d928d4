"""The page: a title, a question, both models' answers side by side as they are written, their sources, and a vote.

What: `build(desk)` lays the page out with Gradio; `Desk` does the work, without Gradio, so that it can be tested alone.
Why blind: see `votes.py`. Why all text passes through `shown.py`: it is written by strangers and by models.
Who may use it: this machine alone (127.0.0.1), unless told otherwise; nothing is shared, counted or fetched from elsewhere.
One pair of answers is written at a time, the others wait in a queue of `QUEUE`; lengths are limited.
How: `ftlib serve`; in a notebook `show(pair, run)` as the last line of a cell.
"""

from __future__ import annotations

import os
import random
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # before Gradio is imported: it would report each start

import gradio as gr
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

from ftlib.app import shown
from ftlib.app.votes import Votes
from ftlib.asking import (
    QUESTION_CHARS,
    TITLE_CHARS,
    AskError,
    Pair,
    check_asked,
    entries_of,
    language_note,
    sources_of,
    stream_together,
)
from ftlib.runs import Run
from ftlib.support import mark, rests_on

QUEUE = 64  # people who may wait; more are told to come back
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


@dataclass
class View:
    """What the page shows at one moment, as HTML; `told` once both answers are whole."""

    left: str
    right: str
    sources: str = ""
    said: str = ""
    told: Told | None = None


@dataclass
class Column:
    """One answer while it is written."""

    text: str = ""
    pieces: int = 0
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
        """Titles that neither model was trained on."""
        if self.pair.index is None:
            return []
        return [row["title"] for row in self.pair.index.dataset["test"].select(range(EXAMPLES))]

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
        """Views of both answers while they are written, and at the end the whole one with marks and sources.

        halted: asked after each word; True ends both answers where they are.
        """
        w = shown.wordings()[lang]
        order = ("base", "tuned")
        if blind and random.random() < 0.5:
            order = ("tuned", "base")
        names = self.names(order, blind, w)
        try:
            title, question = check_asked(title, question)
        except AskError as error:
            yield View(
                *(shown.answer(name, "", "", w) for name in names),
                said=shown.message(w[error.reason].format(**error.values)),
            )
            return
        found = sources_of(self.pair, title, question) if self.pair.index else None
        entries = entries_of(self.pair, found or ()) if open_book else ()
        columns = {system: Column() for system in order}
        said, listed = shown.message(language_note(question), "status"), shown.sources(found, w)
        yield View(*(shown.answer(name, "", w["waiting"], w) for name in names), listed, said)
        started = drawn = time.perf_counter()
        stream = stream_together(self.pair, title, question, entries, generation)
        for system, piece in stream:
            column, now = columns[system], time.perf_counter()
            column.text, column.pieces, column.seconds = column.text + piece, column.pieces + 1, now - started
            column.first = column.first or (now - started if piece else None)
            if now - drawn > EVERY:
                drawn = now
                texts = [columns[each].text for each in order]
                boxes = (shown.answer(n, t, w["writing"], w) for n, t in zip(names, texts, strict=True))
                yield View(*boxes, listed, said)
            if halted():
                stream.close()
                break
        answers = {system: column.text for system, column in columns.items()}
        told = Told(uuid.uuid4().hex, title, question, order, blind, answers)
        notes = [self.figures(columns[system], w) for system in order]
        yield self.whole(told, names, notes, found, said, w)

    def whole(self, told: Told, names, notes, found, said: str, w) -> View:
        """Both finished answers: what the other does not say is underlined, each sentence has its source or none."""
        rows = found or ()
        numbers = {source.uid: number for number, source in enumerate(rows, start=1)}
        texts = [told.answers[system] for system in told.order]
        boxes = [
            shown.answer(name, text, note, w, other, mark(text, rows), numbers)
            for name, text, note, other in zip(names, texts, notes, reversed(texts), strict=True)
        ]
        listed = shown.sources(None if found is None else rests_on(texts, rows), w)
        return View(*boxes, listed, said, told)

    def figures(self, column: Column, w) -> str:
        """Tokens, their rate and the time to the first one, in words."""
        tokens = len(self.pair.tokenizer(column.text, add_special_tokens=False)["input_ids"])
        if column.first is None:
            return w["empty"]
        return w["figures"].format(tokens=tokens, rate=f"{tokens / column.seconds:.0f}", first=f"{column.first:.2f}")

    @staticmethod
    def names(order, blind: bool, w) -> list[str]:
        """Headings of the columns; blind votes show letters alone."""
        return [letter if blind else f"{letter}: {w[system]}" for letter, system in zip("AB", order, strict=True)]

    def vote(self, told: Told, choice: str, lang: str) -> str:
        """Keep a vote (left, right or tie) and say which model was which."""
        w = shown.wordings()[lang]
        chosen = {"left": told.order[0], "right": told.order[1], "tie": "tie"}[choice]
        new = self.votes.cast(
            ask=told.ask,
            model=self.model,
            blind=told.blind,
            choice=chosen,
            title=told.title,
            question=told.question,
            **told.answers,
        )
        left, right = (w[system] for system in told.order)
        return w["thanks"].format(left=left, right=right) if new else w["voted"]

    def row(self, request: Request) -> HTMLResponse:
        """The address row/SPLIT/NUMBER: one row of the catalogue."""
        split, place = request.path_params["split"], request.path_params["place"]
        dataset = self.pair.index.dataset if self.pair.index else {}
        there = split in dataset and place < len(dataset[split])
        page = shown.row_page(dataset[split][place] if there else None, split, _language(request))
        return HTMLResponse(page, status_code=200 if there else 404)


def _language(request) -> str:
    return shown.language_of(request.headers.get("accept-language") if request else None)


def build(desk: Desk) -> gr.Blocks:
    """The page, not yet served."""
    say = gr.I18n(**shown.wordings())  # the browser's language chooses
    with gr.Blocks(title="ftlib", analytics_enabled=False) as page:
        told = gr.State(None)
        gr.Markdown(say("heading"), elem_id="heading")
        gr.Markdown(say("intro"))
        title = gr.Textbox(
            desk.title, label=say("title"), placeholder=say("title_hint"), max_length=TITLE_CHARS, elem_id="title"
        )
        question = gr.Textbox(
            label=say("question"), placeholder=say("question_hint"), max_length=QUESTION_CHARS, elem_id="question"
        )
        if desk.examples():
            gr.Examples([[each] for each in desk.examples()], [title], label=say("examples"), elem_id="examples")
        with gr.Row():
            open_book = gr.Checkbox(False, label=say("open_book"), container=False, elem_id="open-book")
            blind = gr.Checkbox(False, label=say("blind"), container=False, elem_id="blind")
        with gr.Accordion(say("decoding"), open=False, elem_id="decoding"):
            decoding = _decoding(desk.pair.generation, say)
        with gr.Row():
            button = gr.Button(say("ask"), variant="primary", elem_id="ask", scale=4)
            stop = gr.Button(say("stop"), elem_id="stop", scale=1)
        said = gr.HTML(elem_id="said")
        with gr.Row():
            with gr.Column(min_width=320):
                left = gr.HTML(elem_id="left")
            with gr.Column(min_width=320):
                right = gr.HTML(elem_id="right")
        with gr.Column(visible=False, elem_id="voting") as voting:
            gr.Markdown(say("legend"))
            gr.Markdown(say("better"))
            with gr.Row():
                ballots = {each: gr.Button(say(each), elem_id=f"vote-{each}") for each in ("left", "tie", "right")}
        thanks = gr.HTML(elem_id="thanks")
        sources = gr.HTML(elem_id="sources")

        stopped: set[str] = set()  # visitors who have had enough of the answer that is being written

        def ask(title, question, open_book, blind, request: gr.Request, *chosen):
            generation = chosen_decoding(desk.pair.generation, dict(zip(decoding, chosen, strict=True)))
            visitor = request.session_hash
            stopped.discard(visitor)
            settings = (title, question, open_book, blind, generation, _language(request))
            for view in desk.ask(*settings, halted=lambda: visitor in stopped):
                can_vote = gr.Column(visible=view.told is not None)
                yield view.left, view.right, view.sources, view.said, view.told, can_vote, ""

        def halt(request: gr.Request):
            stopped.add(request.session_hash)

        def voter(choice: str):
            def vote(told, request: gr.Request):
                message = desk.vote(told, choice, _language(request)) if told else ""
                return shown.message(message, "status"), gr.Column(visible=False)

            return vote

        gr.on(
            [button.click, title.submit, question.submit],
            ask,
            [title, question, open_book, blind, *decoding.values()],
            [left, right, sources, said, told, voting, thanks],
            show_progress="hidden",
            concurrency_limit=1,
            api_visibility="private",
        )
        stop.click(halt, show_progress="hidden", queue=False, api_visibility="private")
        for choice, ballot in ballots.items():
            ballot.click(voter(choice), [told], [thanks, voting], show_progress="hidden", api_visibility="private")
    page.queue(max_size=QUEUE)
    page.say = say
    return page


def _decoding(now, say) -> dict[str, gr.components.Component]:
    """The controls that lie folded away: {setting: control}, at first as the run was evaluated."""
    longest = max(LONGEST, now.max_new_tokens)
    return {
        "max_new_tokens": gr.Slider(8, longest, now.max_new_tokens, step=1, label=say("longest")),
        "do_sample": gr.Checkbox(now.do_sample, label=say("sample")),
        "temperature": gr.Slider(0.1, 2.0, now.temperature, step=0.05, label=say("temperature")),
        "top_p": gr.Slider(0.05, 1.0, now.top_p, step=0.05, label=say("top_p")),
        "min_p": gr.Slider(0.0, 0.5, now.min_p, step=0.01, label=say("min_p")),
        "repetition_penalty": gr.Slider(1.0, 2.0, now.repetition_penalty, step=0.05, label=say("penalty")),
    }


def chosen_decoding(now, chosen: dict):
    """The run's decoding with what a visitor chose. What a browser sends is checked; no answer is longer than `LONGEST`."""
    limit = max(LONGEST, now.max_new_tokens)
    chosen = chosen | {"max_new_tokens": min(int(chosen["max_new_tokens"]), limit)}
    return type(now).model_validate(now.model_dump() | chosen)


def serve(desk: Desk, host: str = "127.0.0.1", port: int | None = None, block: bool = True):
    """Serve the page; returns its address. block: until interrupted. port: None takes the first free one from 7860 on.

    Raises OSError if the port is taken.
    """
    page = build(desk)
    system = ["system-ui", "sans-serif"]  # Gradio's own fonts would be fetched from elsewhere
    _, address, _ = page.launch(
        server_name=host,
        server_port=port,
        share=False,
        quiet=True,
        inline=not block,
        prevent_thread_lock=True,
        ssr_mode=False,
        i18n=page.say,
        theme=gr.themes.Default(font=system, font_mono=["ui-monospace", "monospace"]),
        css=shown.CSS,
        js="() => { document.documentElement.lang = navigator.language.startsWith('pt') ? 'pt' : 'en' }",
        footer_links=["settings"],
        app_kwargs={"routes": [Route("/row/{split}/{place:int}", desk.row)]},
    )
    if block:
        print(f"the page: {address}  (Ctrl-C ends it)", flush=True)
        page.block_thread()
    return address


def show(pair: Pair, run: Run, title: str = "") -> None:
    """The page inside a notebook, also on Colab, with a title to begin with."""
    serve(Desk(pair, run, title), block=False)
