"""The page: a title, a question, both models' answers side by side as they are generated, their sources, and a vote.

`build(desk)` lays the page out with Gradio and `serve` opens it; the logic is in `session`. By default only this
machine can reach it (127.0.0.1); nothing is shared, counted or fetched from elsewhere. `guard` refuses unknown hosts,
other sites and large requests; files cannot be uploaded. One pair of answers is generated at a time, the others wait in
a queue of `QUEUE`, which no request can bypass. `ftlib serve`; in a notebook `show(pair, run)` as the last line of a
cell.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # set before the import, or Gradio reports each start
os.environ["GRADIO_RUN_HISTORY"] = "False"  # the history can upload questions to the hub; older versions have none

from collections import OrderedDict
from dataclasses import dataclass

import gradio as gr
from gradio.route_utils import FnIndexInferError
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from ftlib.app import html
from ftlib.app.guard import Guard, allowed_hosts
from ftlib.app.model_pair import QUESTION_CHARS, TITLE_CHARS, Pair
from ftlib.app.session import LONGEST, Desk, chosen_decoding, language
from ftlib.pipeline.stage import Run
from ftlib.runtime.console import log

QUEUE = 64  # visitors in the queue; further requests are refused
SESSIONS = 1000  # visitors that are remembered: the most recent ones
KEPT_FOR = 3600  # seconds that a pair of answers waits for a vote


class Stopped:
    """Visitors who stopped the answer that is being generated; the newest `limit` are kept."""

    def __init__(self, limit: int = SESSIONS):
        self.limit, self.visitors = limit, OrderedDict()

    def add(self, visitor: str | None) -> None:
        """Remember a visitor."""
        self.visitors[visitor] = True
        self.visitors.move_to_end(visitor)
        while len(self.visitors) > self.limit:
            self.visitors.popitem(last=False)

    def discard(self, visitor: str | None) -> None:
        """Forget a visitor."""
        self.visitors.pop(visitor, None)

    def __contains__(self, visitor: str | None) -> bool:
        return visitor in self.visitors


@dataclass
class Controls:
    """The components that events read or write. `ballots`: {left, tie, right: button}; `decoding`: {setting: control}."""

    answer_pair: gr.State
    title: gr.Textbox
    question: gr.Textbox
    open_book: gr.Checkbox
    blind: gr.Checkbox
    decoding: dict[str, gr.components.Component]
    button: gr.Button
    stop: gr.Button
    notice: gr.HTML
    left: gr.HTML
    right: gr.HTML
    voting: gr.Column
    ballots: dict[str, gr.Button]
    thanks: gr.HTML
    sources: gr.HTML


def build(desk: Desk) -> gr.Blocks:
    """Lay out the page and connect its events; it is not served yet."""
    say = gr.I18n(**html.wordings())  # selected by the browser's language
    stopped = Stopped()
    with gr.Blocks(title="ftlib", analytics_enabled=False) as page:
        _connect(_lay_out(desk, say), desk, stopped)
    page.queue(max_size=QUEUE, api_open=False)
    page.stopped = stopped
    page.say = say
    return page


def _lay_out(desk: Desk, say: gr.I18n) -> Controls:
    """Create the components inside the current Blocks, top to bottom."""
    answer_pair = gr.State(None, time_to_live=KEPT_FOR)
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
        open_book = gr.Checkbox(desk.pair.open_book, label=say("open_book"), container=False, elem_id="open-book")
        blind = gr.Checkbox(False, label=say("blind"), container=False, elem_id="blind")
    with gr.Accordion(say("decoding"), open=False, elem_id="decoding"):
        decoding = _decoding(desk.pair.generation, say)
    with gr.Row():
        button = gr.Button(say("ask"), variant="primary", elem_id="ask", scale=4)
        stop = gr.Button(say("stop"), elem_id="stop", scale=1)
    notice = gr.HTML(elem_id="said")
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
    return Controls(
        answer_pair, title, question, open_book, blind, decoding, button, stop, notice, left, right, voting, ballots, thanks,
        sources,
    )  # fmt: skip


def _connect(controls: Controls, desk: Desk, stopped: Stopped) -> None:
    """Connect the components to the desk."""

    def ask(title, question, open_book, blind, request: gr.Request, *chosen):
        generation = chosen_decoding(desk.pair.generation, dict(zip(controls.decoding, chosen, strict=True)))
        visitor = request.session_hash
        settings = (title, question, open_book, blind, generation, language(request))
        try:
            for view in desk.ask(*settings, halted=lambda: visitor in stopped):
                can_vote = gr.Column(visible=view.answer_pair is not None)
                yield view.left, view.right, view.sources, view.notice, view.answer_pair, can_vote, ""
        finally:
            stopped.discard(visitor)

    def begin(request: gr.Request):
        stopped.discard(request.session_hash)

    def halt(request: gr.Request):
        # also while the question is queued: its answer then stops after the first word
        stopped.add(request.session_hash)

    def voter(choice: str):
        def vote(answer_pair, request: gr.Request):
            message = desk.vote(answer_pair, choice, language(request)) if answer_pair else ""
            return html.message(message, "status"), gr.Column(visible=False)

        return vote

    private = {"show_progress": "hidden", "api_visibility": "private"}
    submitted = gr.on(
        [controls.button.click, controls.title.submit, controls.question.submit], begin, queue=False, **private
    )
    submitted.then(
        ask,
        [controls.title, controls.question, controls.open_book, controls.blind, *controls.decoding.values()],
        [
            controls.left,
            controls.right,
            controls.sources,
            controls.notice,
            controls.answer_pair,
            controls.voting,
            controls.thanks,
        ],
        concurrency_limit=1,
        **private,
    )
    controls.stop.click(halt, queue=False, **private)
    for choice, ballot in controls.ballots.items():
        ballot.click(voter(choice), [controls.answer_pair], [controls.thanks, controls.voting], **private)


def _decoding(generation, say) -> dict[str, gr.components.Component]:
    """Add the decoding controls, folded away: {setting: control}, with the run's values."""
    longest = max(LONGEST, generation.max_new_tokens)
    return {
        "max_new_tokens": gr.Slider(8, longest, generation.max_new_tokens, step=1, label=say("longest")),
        "do_sample": gr.Checkbox(generation.do_sample, label=say("sample")),
        "temperature": gr.Slider(0.1, 2.0, generation.temperature, step=0.05, label=say("temperature")),
        "top_p": gr.Slider(0.05, 1.0, generation.top_p, step=0.05, label=say("top_p")),
        "min_p": gr.Slider(0.0, 0.5, generation.min_p, step=0.01, label=say("min_p")),
        "repetition_penalty": gr.Slider(1.0, 2.0, generation.repetition_penalty, step=0.05, label=say("penalty")),
    }


def serve(
    desk: Desk, host: str = "127.0.0.1", port: int | None = None, block: bool = True, allow: Sequence[str] = ()
) -> str:
    """Serve the page and return its address.

    allow: further host names to accept, such as a proxy's; see `guard`. Raises OSError if the port is taken.
    """
    _, address = launch(desk, host, port, block, allow)
    return address


def launch(desk: Desk, host: str, port: int | None, block: bool, allow: Sequence[str] = ()) -> tuple[gr.Blocks, str]:
    """Serve the page and return it with its address, so that it can be closed."""
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
        css=html.CSS,
        js="() => { document.documentElement.lang = navigator.language.startsWith('pt') ? 'pt' : 'en' }",
        footer_links=["settings"],
        max_file_size=0,
        enable_monitoring=False,
        mcp_server=False,
        state_session_capacity=SESSIONS,
        app_kwargs={
            "routes": [Route("/row/{split}/{place}", desk.row)],
            "middleware": [Middleware(Guard, allowed=allowed_hosts(host, allow))],
            "exception_handlers": {FnIndexInferError: lambda *_: PlainTextResponse("no such function\n", 404)},
        },
    )
    if block:
        log.info(f"the page: {address}  (Ctrl-C ends it)")
        page.block_thread()
    return page, address


def show(pair: Pair, run: Run, title: str = "") -> None:
    """Show the page inside a notebook, also on Colab, with a title to begin with."""
    serve(Desk(pair, run, title), block=False)
