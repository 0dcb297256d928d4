"""The page: a title, a question, both models' answers side by side as they are written, their sources, and a vote.

What: `build(desk)` lays the page out with Gradio, `serve` opens it; what it does is in `desk.py`.
Who may use it: this machine alone (127.0.0.1), unless told otherwise; nothing is shared, counted or fetched from elsewhere.
One pair of answers is written at a time, the others wait in a queue of `QUEUE`; lengths are limited.
How: `ftlib serve`; in a notebook `show(pair, run)` as the last line of a cell.
"""

from __future__ import annotations

import os

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # before Gradio is imported: it would report each start

import gradio as gr
from starlette.routing import Route

from ftlib.app import shown
from ftlib.app.desk import LONGEST, Desk, chosen_decoding, language
from ftlib.asking import QUESTION_CHARS, TITLE_CHARS, Pair
from ftlib.runs import Run

QUEUE = 64  # people who may wait; more are told to come back


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
            settings = (title, question, open_book, blind, generation, language(request))
            for view in desk.ask(*settings, halted=lambda: visitor in stopped):
                can_vote = gr.Column(visible=view.told is not None)
                yield view.left, view.right, view.sources, view.said, view.told, can_vote, ""

        def begin(request: gr.Request):
            stopped.discard(request.session_hash)

        def halt(
            request: gr.Request,
        ):  # also while the question waits in the queue: its answer then ends at its first word
            stopped.add(request.session_hash)

        def voter(choice: str):
            def vote(told, request: gr.Request):
                message = desk.vote(told, choice, language(request)) if told else ""
                return shown.message(message, "status"), gr.Column(visible=False)

            return vote

        gr.on(
            [button.click, title.submit, question.submit],
            begin,
            show_progress="hidden",
            queue=False,
            api_visibility="private",
        ).then(
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
