"""The opening of notebook 01: ask the base and the fine-tuned model about one product, before anything is explained.

It must work where nothing has been trained. `load_models` takes the adapter of this profile's run if there is one, the
shared adapter of the smoke profile (trained in seconds), else the adapter that ships with the course. One model is in
memory: the base's answer comes from the same weights with the adapter switched off.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from pathlib import Path

from ftlib.config.settings import Config
from ftlib.course import notebook, pretrained_adapter
from ftlib.generation.batched import Answer, answer_prompts
from ftlib.merging import load_adapter
from ftlib.models.base_models import fetch
from ftlib.models.loading import load_plain, load_tokenizer, precision
from ftlib.pipeline.stage import Run
from ftlib.pipeline.stages import default_run
from ftlib.prompts.templates import QUESTIONS, build_prompt
from ftlib.runtime.files import read_json
from ftlib.runtime.language import to_translate, tr

MAX_NEW_TOKENS = 80  # a short answer is enough to see the difference
WIDTH = 76
SHIPPED = to_translate("the adapter that ships with the course")
SYSTEMS = {"base": to_translate("base model:"), "tuned": to_translate("fine-tuned model:")}


@dataclass
class Models:
    """Base and fine-tuned model in one: the base with an adapter that can be switched off.

    Attributes:
        model: base with adapter.
        tokenizer: of both.
        generation: `cfg.generation`, greedy and short.
        origin: where model and adapter come from, for the reader.
    """

    model: object
    tokenizer: object
    generation: object
    origin: str

    def ask(self, title: str) -> dict[str, Answer]:
        """Ask both models for the description of a title, print both answers, and return {'base', 'tuned': answer}."""
        prompt = build_prompt(title, QUESTIONS["reference"])
        with self.model.disable_adapter():
            (base,) = answer_prompts(self.model, self.tokenizer, [prompt], self.generation)
        (tuned,) = answer_prompts(self.model, self.tokenizer, [prompt], self.generation)
        answers = {"base": base, "tuned": tuned}
        for system, answer in answers.items():
            print(tr(SYSTEMS[system]))
            print(textwrap.fill(" ".join(answer.text.split()), WIDTH, initial_indent="  ", subsequent_indent="  "))
        return answers


def load_models() -> Models:
    """Load the models of this profile, or those that ship with the course, and print which they are."""
    cfg = Config.load()
    run = Run(default_run(cfg), wait=True)
    if cfg.profile == "smoke":
        cfg, run = notebook.open_run("adapter")
    stage = run.stage("adapter")
    if stage.complete and cfg.lora.r:
        shipped = "shipped" in stage.manifest()
        trained_here = tr("the adapter trained here at profile {profile}", profile=cfg.profile)
        origin = tr(SHIPPED) if shipped else trained_here
        folder = stage.path
    else:
        origin, folder = tr(SHIPPED), pretrained_adapter.FOLDER
        shipped_model = read_json(folder / "manifest.json")["config"]["model"]
        cfg = Config.load(
            pretrained_adapter.PROFILE, inherited={"model": shipped_model}, reason="it ships with the course"
        )
    base = load_plain(fetch(cfg.model.name), precision(cfg).dtype)
    limits = {"do_sample": False, "beams": 1, "candidates": 1}
    limits["max_new_tokens"] = min(MAX_NEW_TOKENS, cfg.generation.max_new_tokens)
    generation = cfg.generation.model_copy(update=limits)
    models = Models(load_adapter(base, folder), load_tokenizer(cfg.model.name), generation, origin)
    print(tr("model: {model} with {origin}", model=Path(cfg.model.name).name.split(".")[0], origin=origin))
    return models
