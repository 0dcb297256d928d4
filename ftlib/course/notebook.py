"""What notebooks call: open a run, report the environment, show labels and source code.

The set-up cell calls `ftlib.set_up()`, which ends in `report_environment()`; the first cell that needs results calls `cfg, run =
ftlib.open_run("dataset")`, which builds missing stages at the profile's size and waits for a stage that another process
is writing.
"""

from __future__ import annotations

import html
import inspect
import sys
from collections.abc import Callable

from ftlib import colab
from ftlib.config.settings import Config, profile_description
from ftlib.data.file_search import describe
from ftlib.pipeline.stage import Run
from ftlib.pipeline.stages import default_run, ensure
from ftlib.runtime import environment, hardware, provenance
from ftlib.runtime.language import tr

SHOWN = ("python", "torch", "transformers", "peft", "bitsandbytes")


def report_environment(keep_on_drive: bool = False) -> Config:
    """Print device, memory, versions, profile with its reason, data and runs folder; return the configuration.

    keep_on_drive: on Colab, keep runs on Google Drive; if it cannot be mounted, they stay on the local disk and a line says so.
    """
    environment.collect_less_often()
    gpu_note = hardware.use_one_gpu()
    if gpu_note:
        print(gpu_note)
    cfg, versions = Config.load(), provenance.versions()
    print(tr("device: {device}; {memory}", device=hardware.describe_device(), memory=hardware.free_memory()))
    profile = {"name": cfg.profile, "description": profile_description(cfg.profile), "reason": cfg.profile_reason}
    print(tr("profile: {name} ({description}), because {reason}", **profile))
    print(", ".join(f"{name} {versions[name]}" for name in SHOWN))
    print(describe(cfg))
    if (where := colab.how_to_get_a_gpu(tr)) and hardware.cuda_capability() is None:
        print(tr("no GPU is attached: {where}; without one the small profile above runs, in minutes", where=where))
    if colab.is_colab():
        print(colab.keep_runs(keep_on_drive, tr))
    return cfg


def open_run(stage: str, rebuild: bool = False, **overrides) -> tuple[Config, Run]:
    """Return the configuration and the run of this profile, with `stage` and all before it up to date.

    An adapter that is missing is taken from the course where the shipped one fits (see
    `ftlib.course.pretrained_adapter`); rebuild: train instead.
    """
    from ftlib.course import pretrained_adapter

    cfg = Config.load(**overrides)
    run = Run(default_run(cfg), wait=True)
    if rebuild:
        pretrained_adapter.forget(run)
    elif stage != "dataset":
        cfg, run = pretrained_adapter.take(cfg, run, **overrides)
    ensure(stage, cfg, run)
    print(describe(cfg))
    return cfg, run


def say(*sentences: str) -> None:
    """Show a computed sentence as a paragraph, several as a list; where a notebook cannot show Markdown, print them.

    A sentence about a number is computed from the result beside it, so that a new recording cannot contradict its text.
    """
    lines = [f"- {sentence}" for sentence in sentences] if len(sentences) > 1 else [str(*sentences)]
    if _in_notebook():
        from IPython.display import display

        display({"text/markdown": "\n".join(lines), "text/plain": "\n".join(lines)}, raw=True)
    else:
        print("\n".join(lines))


def show_table(table) -> None:
    """Show a `Table` as an HTML table whose cells wrap; where a notebook cannot show it, print aligned columns."""
    if _in_notebook():
        from IPython.display import display

        def row(cells, tag: str) -> str:
            style = "text-align:left;vertical-align:top;white-space:normal"
            return "<tr>" + "".join(f'<{tag} style="{style}">{html.escape(cell)}</{tag}>' for cell in cells) + "</tr>"

        page = f"<table>{row(table.header, 'th')}{''.join(row(cells, 'td') for cells in table.rows)}</table>"
        display({"text/html": page, "text/plain": table.console()}, raw=True)
    else:
        print(table.console())


def show_labels(tokenizer, example: dict) -> None:
    """Show a row token by token: what is trained on is underlined and dark, what is only read is gray.

    Where a notebook cannot show HTML the same row is printed, the trained part between [[ and ]].
    """
    from ftlib.prompts.encoding import IGNORED, render_labels

    pieces = []
    for token, label in zip(example["input_ids"], example["labels"], strict=True):
        text = html.escape(tokenizer.decode([token])).replace("\n", "⏎<br>")
        trained = label != IGNORED
        style = "border-bottom:2px solid #1f5f8b;font-weight:600" if trained else "color:#777"
        pieces.append(f'<span style="{style}">{text}</span>')
    page = f'<div style="font-family:monospace;line-height:1.9">{"".join(pieces)}</div>'
    text = render_labels(tokenizer, example)
    if _in_notebook():
        from IPython.display import display

        display({"text/html": page, "text/plain": text}, raw=True)
    else:
        print(text)


def _in_notebook() -> bool:
    """Return True where IPython runs this code. It is not imported, because it may not be installed."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and ipython.get_ipython() is not None


def show_source(function: Callable) -> None:
    """Print a function's source, highlighted where the notebook can: the module's own code, not a copy of it."""
    source = inspect.getsource(function)
    if _in_notebook():
        from IPython.display import HTML, display
        from pygments import highlight
        from pygments.formatters import HtmlFormatter
        from pygments.lexers import PythonLexer

        display(
            HTML(highlight(source, PythonLexer(), HtmlFormatter(noclasses=True, prestyles="font-family:monospace")))
        )
    else:
        print(source)
