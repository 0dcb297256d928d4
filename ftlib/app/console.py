"""`ftlib ask`: both answers side by side as they are generated, and their sources, in a terminal or a file.

In a terminal the answers are shown in two columns (rendered by rich); in a pipe or a file each follows its model's
name. Control characters are removed from generated and catalog text: they could move the cursor, color the screen or
rename the window. Everything but the answer goes to standard error, so that `--json` can be piped.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from ftlib.app.model_pair import (
    Pair,
    check_asked,
    language_note,
    passages_of,
    print_both,
    sources_of,
    stream_together,
    summary,
)
from ftlib.data.text import plain
from ftlib.prompts.templates import Passages
from ftlib.retrieval.attribution import supporting_sentences
from ftlib.runtime.language import to_translate, tr

NO_SOURCE = to_translate(
    "No row of the catalog belongs to this title: the answer is from the model's memory alone, and may be invented."
)
MARKS = {True: to_translate("✓ supported by a source"), False: to_translate("? supported by no source")}


def tell(pair: Pair, title: str, question: str = "", open_book: bool | None = None, quiet: bool = False) -> dict:
    """Ask the pair's models, print the answers as they are generated unless `quiet`, and return `model_pair.summary`.

    open_book: put the sources into the prompt; None: if the model was trained so.
    Raises AskError for a title or question that cannot be asked.
    """
    title, question = check_asked(title, question)
    sources = sources_of(pair, title, question)
    open_book = pair.open_book if open_book is None else open_book
    passages = passages_of(pair, sources) if open_book else ()
    for note in notes(pair, question, open_book, bool(sources)):
        print(note, file=sys.stderr, flush=True)
    answers = dict.fromkeys(pair.models, "")
    if quiet:
        for system, piece in stream_together(pair, title, question, passages):
            answers[system] += piece
    elif sys.stdout.isatty() and len(answers) > 1:
        _in_columns(pair, title, question, passages, answers)
    else:
        answers = print_both(pair, title, question, passages)
    return summary(title, question, answers, sources, pair.prompt_format.prefix)


def notes(pair: Pair, question: str, open_book: bool, has_sources: bool) -> Iterator[str]:
    """Yield notes to print before the answer."""
    if note := language_note(question, pair.prompt_format.template):
        yield note
    if open_book and not has_sources:
        yield "with retrieval: no row of the catalog belongs to this title, so none is shown to the models"


def _in_columns(pair: Pair, title: str, question: str, passages: Passages, answers: dict[str, str]) -> None:
    from rich.live import Live
    from rich.table import Table
    from rich.text import Text

    def render() -> Table:
        table = Table(expand=True, pad_edge=False)
        for system in answers:
            table.add_column(system, ratio=1)
        table.add_row(*(Text(plain(text)) for text in answers.values()))
        return table

    with Live(render(), refresh_per_second=8) as screen:
        for system, piece in stream_together(pair, title, question, passages):
            answers[system] += piece
            screen.update(render())


def print_sources(pair: Pair, result: dict) -> None:
    """Print the sources, the sentences that support the answers, and the sentences that no source supports."""
    if not result["sources"]:
        print(tr(NO_SOURCE))
        return
    sources = sources_of(pair, result["title"], result["question"])
    sources = supporting_sentences(result["answers"].values(), sources, pair.prompt_format.prefix)
    for number, source in enumerate(sources, start=1):
        trained = (
            tr("trained on it")
            if source.split == "train"
            else tr("not trained on it, {split} split", split=source.split)
        )
        score = tr("score {score:.2f}; {trained}", score=source.score, trained=trained)
        print(f"[{number}] {source.uid}  {plain(source.title)}  ({score})")
        for sentence in source.sentences:
            print(f"    {plain(sentence)}")
    print()
    for sentence in result["sentences"]:
        print(f"  {tr(MARKS[sentence['supported']])}: {plain(sentence['text'])}")
