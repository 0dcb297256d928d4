"""Write a model card in the hub's format from what the run recorded, and upload model, card and notebook.

Figures come from `metrics.json` alone: a card written by hand goes stale. `ftlib study card --run RUN` prints it;
`ftlib export hub OWNER/NAME --run RUN --dry-run` shows what would be uploaded. Format:
huggingface.co/docs/hub/model-cards.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from ftlib.export import usage
from ftlib.models import hub_errors
from ftlib.models.hub_errors import HubError
from ftlib.pipeline.stage import Run
from ftlib.prompts.templates import PREFIX, TEMPLATE, open_prompt
from ftlib.reporting import sentences, tables
from ftlib.runtime.console import log
from ftlib.runtime.files import read_json
from ftlib.runtime.language import using

KINDS = ("merged", "adapter")
# not uploaded: manifests hold local paths, and the card is rendered
LEFT_HERE = ("manifest.json", "started.json", "README.md", "trained_uids.txt")
SCORES = {"rouge1": "rouge", "rouge2": "rouge", "rougeL": "rouge", "chrf": "chrf"}  # the hub's names of the metrics


@using("en")
def card(run: Run, kind: str = "merged", repo_id: str = "OWNER/NAME") -> str:
    """Render the card, in English.

    kind: 'merged' or 'adapter'. repo_id: the name of the repository on the hub. Raises StageMissing.
    """
    import jinja2
    from huggingface_hub import ModelCardData

    run.stage(kind).manifest()  # raises StageMissing if it was not built
    manifests = run.manifests()
    data, adapter = manifests["dataset"], manifests["adapter"]
    config = data["config"] | adapter["config"]
    metrics = _metrics(run)
    base, name = config["model"]["name"], repo_id.split("/")[-1]
    own_prompt = config.get("prompt", {}).get("template", TEMPLATE) != TEMPLATE
    front = ModelCardData(
        base_model=base if usage.on_hub(base) else None,
        library_name="peft" if kind == "adapter" and config["lora"]["r"] else "transformers",
        pipeline_tag="text-generation",
        language=None if own_prompt else "en",
        tags=["fine-tuned"] if own_prompt else ["product-descriptions", "fine-tuned"],
        model_name=name if metrics else None,
        eval_results=_results(metrics, data["file"]) or None,
    )
    shown = [split for split in tables.SPLIT_TITLES if split in metrics]
    prefix = config.get("prompt", {}).get("prefix", PREFIX)
    example = open_prompt("(the prompt as above)", [("(its title)", "(its description)")], prefix)
    text = (resources.files("ftlib.export") / "card.md.jinja").read_text(encoding="utf-8")
    # the page is Markdown and contains no text of the rows
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, trim_blocks=True)  # noqa: S701
    return environment.from_string(text).render(
        front=front.to_yaml(), title=name, base=base, config=config, data=data, adapter=adapter,
        usage="\n\n".join(usage.code(run, kind, repo_id)), header=tables.header(metrics["unseen"]) if metrics else [],
        versions=", ".join(f"{name} {version}" for name, version in adapter["versions"].items()),
        proof=manifests.get("merged", {}).get("proof") if kind == "merged" and config["lora"]["r"] else None,
        splits=[{"title": tables.SPLIT_TITLES[split].capitalize(), "n": metrics[split]["n"],
                 "rows": tables.table_rows(metrics[split])} for split in shown],
        own_prompt=own_prompt,
        amazon=not data["sample"] and not own_prompt,
        passages=example if config["train"].get("context_rows") else "",
        findings=sentences.findings(metrics) if metrics else [],
        retention=tables.retention_table(metrics) if "retention" in metrics else None,
        retention_n=metrics.get("retention", {}).get("n"),
    )  # fmt: skip


def _metrics(run: Run) -> dict:
    path = run.stage("evaluation").path / "metrics.json"
    return tables.under_definitions(read_json(path)) if run.stage("evaluation").complete else {}


def _results(metrics: dict, file: str) -> list:
    """Return the fine-tuned model's metrics on unseen titles in the form of the hub's tables."""
    from huggingface_hub import EvalResult

    if not metrics:
        return []
    values = metrics["unseen"]["systems"]["tuned"]
    return [
        EvalResult(
            "text-generation", file, f"{file}, unseen titles", kind, round(values[name]["mean"], 4), metric_name=name
        )
        for name, kind in SCORES.items()
    ]


def files(run: Run, kind: str) -> list[Path]:
    """Return the files to upload next to the card. Raises StageMissing."""
    folder = run.stage(kind).path
    run.stage(kind).manifest()
    return sorted(path for path in folder.iterdir() if path.is_file() and path.name not in LEFT_HERE)


def upload(run: Run, repo_id: str, kind: str = "merged", private: bool = True, dry_run: bool = False) -> str:
    """Upload model, card and notebook to the hub and return the address. dry_run: only print what would be uploaded.

    Raises HubError with what to do: no token, no right to write there, no network. The same command resumes after a failure.
    """
    from huggingface_hub import HfApi

    hub_errors.check_name(repo_id)
    text, paths = card(run, kind, repo_id), files(run, kind)
    pages = {"README.md": text, "notebook.ipynb": usage.notebook(run, kind, repo_id)}
    size = sum(path.stat().st_size for path in paths) / 2**20
    listing = "\n".join(f"  {path.name}: {path.stat().st_size / 2**20:.1f} MiB" for path in paths)
    log.info(f"to {repo_id} ({'private' if private else 'public'}), {size:.0f} MiB, {' and '.join(pages)}:\n{listing}")
    if dry_run:
        print(text)
        return ""
    api = HfApi()
    try:
        address = _repository(api, repo_id, private)
        api.upload_folder(
            repo_id=repo_id,
            folder_path=run.stage(kind).verified(),
            allow_patterns=[path.name for path in paths],
            commit_message=f"{kind} model, made with ftlib",
        )
        for path, page in pages.items():
            api.upload_file(
                path_or_fileobj=page.encode(), path_in_repo=path, repo_id=repo_id, commit_message=f"Add {path}"
            )
    except Exception as error:
        message = hub_errors.explain(error, repo_id, writing=True)
        if message is None:
            raise
        raise HubError(message) from error
    return str(address)


def _repository(api, repo_id: str, private: bool):
    """Create the repository or use an existing one: a token for one repository cannot create any."""
    try:
        return api.create_repo(repo_id, private=private, exist_ok=True)
    except Exception as error:
        if hub_errors.status_of(error) == 403 and api.repo_exists(repo_id):
            return f"{hub_errors.endpoint()}/{repo_id}"
        raise
