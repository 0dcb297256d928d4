"""The adapter that ships with the course, so that a class can merge, evaluate and ask without training first.

`ftlib/data/sample/adapter/` is the adapter stage of a run of the cpu profile on the sample (SmolLM2-135M, r 8, some 5
MB), with its manifest. It is used only where training would produce the same one: the manifest holds the fingerprint of
the rows and of the recipe. An adapter that the reader trained takes precedence. `open_run("merged")` in a notebook
takes it, `open_run("merged", rebuild=True)` trains; `ftlib course record --rebuild` replaces it.
"""

from __future__ import annotations

import shutil
from importlib import resources
from pathlib import Path

from ftlib.config.settings import Config
from ftlib.data.sample import SAMPLE_PATH
from ftlib.pipeline.stage import Run
from ftlib.pipeline.stages import default_run, ensure, stage_key
from ftlib.runtime.console import log
from ftlib.runtime.files import file_fingerprint, read_json, write_json, write_text
from ftlib.training.trained_rows import TRAINED_UIDS

FOLDER = SAMPLE_PATH.parent / "adapter"
WEIGHTS = "adapter_model.safetensors"
FILES = ("adapter_config.json", WEIGHTS, "train_log.jsonl", TRAINED_UIDS)
CARD = "README.md"
PROFILE = "cpu"


def take(cfg: Config, run: Run, **overrides) -> tuple[Config, Run]:
    """Return the configuration and the run that hold the shipped adapter as adapter stage; unchanged where it does not fit.

    On the sample, a machine with a GPU uses the run of the cpu profile, because the shipped adapter belongs to its
    model.
    """
    from ftlib.data.file_search import data_path

    on_sample = data_path(cfg) == SAMPLE_PATH
    if run.stage("adapter").started or cfg.profile == "smoke" or not on_sample or not FOLDER.exists():
        return cfg, run
    cpu_cfg = Config.load(
        PROFILE, reason=f"no adapter of profile {cfg.profile} is here yet; one of this ships", **overrides
    )
    target = run if cfg.profile == PROFILE else Run(default_run(cpu_cfg), wait=True)
    if target.stage("adapter").started:
        return cpu_cfg, target
    ensure("dataset", cpu_cfg, target)
    manifest = read_json(FOLDER / "manifest.json")
    if manifest["fingerprint"] != stage_key("adapter", cpu_cfg, target).fingerprint:
        return cfg, run  # the settings differ from those of the shipped adapter: train
    put(target, manifest)
    return cpu_cfg, target


def put(run: Run, manifest: dict) -> None:
    """Copy the shipped adapter into a run as its adapter stage, the manifest last."""
    stage = run.stage("adapter")
    with stage.lock():
        stage.path.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            shutil.copy(FOLDER / name, stage.path / name)
        write_json(stage.path / "manifest.json", manifest)
    origin = f"{manifest['finished'][:10]}, {manifest['train_seconds']:.0f} s on {manifest['device']}"
    log.info(f"adapter: the one that ships with the course ({origin}); rebuild=True trains it here")


def forget(run: Run) -> None:
    """Remove a shipped adapter and the stages built from it, so that the next `ensure` trains. Keeps a trained one."""
    stage = run.stage("adapter")
    if not stage.complete or "shipped" not in stage.manifest():
        return
    for name in ("evaluation", "merged", "adapter"):
        with run.stage(name).lock():
            run.stage(name).remove()


def keep(run: Run, folder: Path = FOLDER) -> None:
    """Ship a run's adapter with a card: weights rounded to float16 (half the size), tokenizer and plot left out."""
    from safetensors.torch import load_file, save_file

    stage = run.stage("adapter")
    manifest = stage.manifest() | {"shipped": "weights rounded to float16", "files": sorted(FILES)}
    folder.mkdir(parents=True, exist_ok=True)
    for name in set(FILES) - {WEIGHTS}:
        shutil.copy(stage.path / name, folder / name)
    weights = load_file(stage.path / WEIGHTS)
    save_file({name: weight.half() for name, weight in weights.items()}, folder / WEIGHTS, metadata={"format": "pt"})
    # checksums of the rounded files: those of the run would report the copy as corrupted
    manifest["sums"] = {name: file_fingerprint(folder / name) for name in sorted(FILES)}
    write_json(folder / "manifest.json", manifest)
    write_text(folder / CARD, card(manifest))


def card(manifest: dict) -> str:
    """Render the adapter's model card from its manifest alone."""
    import jinja2

    text = (resources.files("ftlib.course") / "adapter_card.md.jinja").read_text(encoding="utf-8")
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)  # noqa: S701
    base = Path(manifest["config"]["model"]["name"]).name.split(".")[0]
    packages = ", ".join(f"{name} {version}" for name, version in manifest["versions"].items())
    return environment.from_string(text).render(manifest, base=base, packages=packages)
