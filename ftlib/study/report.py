"""Render `results/studies/` as tables and figures, in results/REPORT.md, docs/ and notebook 05: `ftlib study report`.

A test renders the pages again and compares them, so no number outlives its run. The spread over seeds is shown, because
a change smaller than that of another seed is no finding, however narrow its interval over rows.
"""

from __future__ import annotations

from pathlib import Path

from ftlib.evaluation.metric_table import DEFINITIONS
from ftlib.evaluation.recorded import upgraded, upgraded_changes
from ftlib.evaluation.retention import METRIC as NLL_PER_BYTE
from ftlib.evaluation.subsets import SUBSET_TITLES
from ftlib.reporting import notebook_files, plots
from ftlib.reporting.tables import DASH, LABELS, Table, between, cells, center, marked, number, rerun_note, seed_cells
from ftlib.runtime.files import json_text, write_text
from ftlib.runtime.language import using
from ftlib.study import advice, headline, log, records, variants
from ftlib.study.study_file import Study

BEGIN, END = notebook_files.STUDIES[0] + "\n", notebook_files.STUDIES[1]
SHORT_BEGIN, SHORT_END = (
    "<!-- headline: rendered from results/headline.json, do not edit by hand -->\n",
    "<!-- /headline -->",
)
PAGE, PICTURE, RESULTS = "REPORT.md", "nll.png", Path("docs") / "results.md"
SHOWN = {
    "nll": "NLL",
    "rougeL": "ROUGE-L",
    "chrf": "chrF",
    "cosine": "cosine",
    "stops": "stops",
    "length_ratio": "length ratio (median)",
}
RECALL = {"nll": "NLL", "rougeL_r": "ROUGE-L recall", "gram8_r": "8-word recall", "copied_run": "longest copied run"}
SEED_MARK = "≈"
LEGENDS = {"validation": "validation rows", "test": "test rows", "unused": "rows of groups that no split has"}
INTRO = """# Studies

Rendered by `ftlib study report` from `results/studies/`; do not edit by hand. Values are those of the tuned model on unseen
titles: mean over rows and seeds [95 % interval over rows], and the range of the seeds' own means where there are several: an
interval over rows says nothing of another training. The length ratio is a median. Differences are paired, row by row, on the
seeds that both runs have. `forced`: a length penalty ends every answer, so that share says nothing of the model. What is chosen
is chosen on validation rows. No row of the data, and no answer, is kept here.
"""
NOTHING = "No study is recorded yet.\n"


def recorded_runs(results: Path, study: str) -> list[dict]:
    """Return the lines of a study's `runs.jsonl`."""
    return list(records.read_runs(results / "studies" / study).values())


def summaries(results: Path) -> list[dict]:
    """Return the recorded studies, in the order in which they were finished."""
    folders = sorted(path.parent for path in results.glob(f"studies/*/{records.RUNS}"))
    studies = [under_definitions(records.load(folder)) for folder in folders]
    return sorted(studies, key=lambda study: study["finished"])


def under_definitions(recorded: records.Recorded) -> dict:
    """Return the summary of a study under today's definitions; see `ftlib.evaluation.recorded`."""
    study, older = records.summary(recorded), set()
    for (name, _), line in recorded.runs.items():
        run = study["runs"][name]
        if any(split.get("definitions", 1) < DEFINITIONS for split in run["metrics"].values()):
            generation = line["config"]["generation"]
            run["metrics"] = {split: upgraded(metrics, generation) for split, metrics in run["metrics"].items()}
            older.add(name)
    first = study["runs"].get(study["first"])
    for name, run in study["runs"].items():
        for split in run.get("against", {}).keys() & run["metrics"].keys() if first and name in older else ():
            both = (each["metrics"][split]["systems"]["tuned"] for each in (run, first))
            run["against"][split] = upgraded_changes(run["against"][split], *both, run["metrics"][split]["reference"])
    return study


def difference(study: dict, run: dict, metric: str, split: str = "unseen") -> str:
    """Format a run's paired difference to the first run, marked if it is within the spread over the first run's seeds."""
    change = run.get("against", {}).get(split, {}).get(metric)
    if change is None:
        return DASH
    noise, amount = log.spread(study, metric, split), abs(change.get("median", change["mean"]))
    small = noise is not None and amount <= noise and not change.get("forced")
    return log.change_cell(study, run, metric, split) + (f" {SEED_MARK}" if small else "")


def render_study(study: dict, results: Path) -> list[str]:
    """Render one study: where it was measured, values, differences, figure."""
    name, first, runs = study["study"], study["first"], study["runs"]
    unseen = next(iter(runs.values()))["metrics"]["unseen"]
    titles = {
        metric: marked(title, unseen, metric)
        for metric, title in SHOWN.items()
        if metric in unseen["systems"][study["compared"]]
    }
    job_results = recorded_runs(results, name)
    where = f"{unseen['n']} {LEGENDS[study['evaluate_on']]}, {unseen['text_n']} of them answered in full"
    devices = ", ".join(sorted({result["device"] for result in job_results}))
    commits = ", ".join(sorted({str(result["git_commit"]) for result in job_results}))
    minutes = sum(result["seconds"]["answer"] for result in job_results) / 60
    train_seconds = {(r["training"]["finished"], r["training"]["seed"]): r["seconds"]["train"] for r in job_results}
    lines = [
        f"## {name}",
        "",
        f"{where}; profile `{study['profile']}`, {_settings(study['set'])}. Rows of {job_results[0]['data']['file']}, trained "
        f"and answered on {devices} (commit {commits}): {len(train_seconds)} trainings in "
        f"{sum(train_seconds.values()) / 60:.1f} minutes, {len(job_results)} sets of answers in {minutes:.1f} minutes.",
        "",
    ]
    retained = ["general text (NLL per byte)"] if any("retention" in run["metrics"] for run in runs.values()) else []
    rows = [
        [
            *(label, DASH, DASH),
            *cells(unseen["systems"][system], titles),
            *_general_text(runs[first], retained, system),
            *(DASH, DASH, DASH),
        ]
        for system, label in (
            ("base", "base, not tuned"),
            ("copy_title", "copy the title"),
            ("nearest", "nearest title's text"),
        )
    ]
    reference = cells(unseen["reference"], titles, center)
    rows.append(["the reference itself", DASH, DASH, *reference, *[DASH] * len(retained), DASH, DASH, DASH])
    for run_name, run in runs.items():
        run_results = [r for r in job_results if r["run"] == run_name]
        seconds = sum(r["seconds"]["train"] for r in run_results) / len(run_results)
        peak = max(r["training"]["peak_gib"] for r in run_results)
        base = run_results[0]["training"]["base_mib"]
        row = [run_name, _settings(run["changes"]), str(len(run["seeds"]))]
        row += seed_cells(run["metrics"]["unseen"], titles, shown_system(study, run["metrics"]))
        rows.append([*row, *_general_text(run, retained, "tuned"), f"{seconds:,.0f}", f"{peak:.1f}", f"{base:,.0f}"])
    lines += [
        *Table(
            ["run", "changes", "seeds", *titles.values(), *retained, "training s", "peak GiB", "base MiB"], rows
        ).markdown(),
        *rerun_note(unseen, tuple(titles)),
        *by_similarity(study),
    ]
    compared_runs = {run_name: run for run_name, run in runs.items() if run.get("against", {}).get("unseen")}
    if not compared_runs:
        return lines
    rows = [
        [run_name, *(difference(study, run, metric) for metric in titles)] for run_name, run in compared_runs.items()
    ]
    noise = [log.spread(study, metric) for metric in titles]
    if any(value is not None for value in noise):
        rows.append([f"*spread of {first}'s seeds*", *(DASH if value is None else number(value) for value in noise)])
        mark = f"{SEED_MARK}: not larger than the spread over the seeds of {first} (largest mean minus smallest)."
    else:
        mark = f"{first} has one seed here, so nothing is known of what another seed does."
    header = [f"minus {first}", *titles.values()]
    lines += [*Table(header, rows).markdown(), mark, "", f"![{figure(study).alt}](studies/{name}/{PICTURE})", ""]
    seen = [
        [run_name, *(difference(study, run, metric, "seen") for metric in titles)]
        for run_name, run in compared_runs.items()
        if "seen" in run["against"]
    ]
    return lines + (["On seen titles:", "", *Table(header, seen).markdown()] if seen else []) + remembered(study)


def shown_system(study: dict, metrics: dict) -> str:
    """Return the system whose values the report shows of a run: the compared one, or `tuned` where a run lacks it."""
    return study["compared"] if study["compared"] in metrics["unseen"]["systems"] else "tuned"


def _general_text(run: dict, retained: list[str], system: str) -> list[str]:
    """Return the cell of a system's retention; none where the study did not measure it."""
    if not retained:
        return []
    return cells(run["metrics"].get("retention", {}).get("systems", {}).get(system, {}), [NLL_PER_BYTE])


def by_similarity(study: dict) -> list[str]:
    """Render NLL and ROUGE-L of each run by the similarity of the rows to the training split, next to the lookup."""
    runs = {name: run["metrics"] for name, run in study["runs"].items()}
    first = next(iter(runs.values()))
    blocks = [block for block in SUBSET_TITLES if block in first]
    if not blocks:
        return []
    names = ("nll", "rougeL")
    titles = [f"{SHOWN[name]}, {block.removeprefix('unseen_')}" for block in blocks for name in names]
    rows = [
        [name, *(cell for block in blocks for cell in seed_cells(metrics[block], names, shown_system(study, metrics)))]
        for name, metrics in runs.items()
        if all(block in metrics for block in blocks)
    ]
    for system in ("copy_title", "nearest"):
        values = [cell for block in blocks for cell in cells(first[block]["systems"][system], names)]
        rows.append([LABELS[system], *values])
    legend = "; ".join(
        f"{block.removeprefix('unseen_')}: {first[block]['n']} {SUBSET_TITLES[block]}" for block in blocks
    )
    return ["By similarity to the training split:", "", *Table(["run", *titles], rows).markdown(), f"{legend}.", ""]


def remembered(study: dict) -> list[str]:
    """Render how much of the learned descriptions is reproduced, run by run, next to the nearest-title lookup."""
    runs = {name: run["metrics"] for name, run in study["runs"].items() if "seen" in run["metrics"]}
    if not runs:
        return []
    seen = next(iter(runs.values()))["seen"]
    rows = [
        [name, *seed_cells(metrics["seen"], RECALL, "tuned"), *seed_cells(metrics["unseen"], ["nll"], "tuned")]
        for name, metrics in runs.items()
    ]
    rows.append(["nearest title's text", *cells(seen["systems"]["nearest"], RECALL), DASH])
    rows.append(["the reference itself", *cells(seen["reference"], RECALL, center), DASH])
    intro = f"What comes back of {seen['n']} learned descriptions ({seen['text_n']} answered in full):"
    return [intro, "", *Table(["run", *RECALL.values(), "NLL of unseen titles"], rows).markdown()]


def figure(study: dict, path: Path | None = None):
    """Draw the forest plot of a study: differences in NLL to its first run."""
    intervals = {
        name: run["against"]["unseen"]["nll"]
        for name, run in study["runs"].items()
        if "unseen" in run.get("against", {})
    }
    return plots.forest_plot("NLL", intervals, study["first"], log.spread(study, "nll"), path)


def _settings(flat: dict) -> str:
    return ", ".join(f"`{key}={value}`" for key, value in flat.items()) or "nothing set on top"


def costs(studies: list[dict], results: Path) -> str:
    """Render the GPU minutes of all studies, and the command that runs them again."""
    trainings, answers, base = {}, 0.0, {}
    for result in (line for path in results.glob("studies/*") for line in recorded_runs(results, path.name)):
        trainings[result["training"]["finished"], result["training"]["seed"]] = result["seconds"]["train"]
        answers += result["seconds"]["answer"]
        base |= result["base_seconds"]
    minutes = [sum(trainings.values()) / 60, answers / 60, sum(base.values()) / 60]
    names = " ".join(study["study"] for study in studies)
    return (
        f"All studies together: {len(trainings)} trainings in {minutes[0]:.1f} minutes, their answers in {minutes[1]:.1f}, those "
        f"of the base model in {minutes[2]:.1f}; where several processes share a GPU, each one's minutes count. Again: "
        f"`for s in {names}; do ftlib study run studies/$s.yaml --data trn_real.json.gz; "
        "done; ftlib study report`.\n"
    )


def lessons(study: dict, file: Study | None) -> list[str]:
    """Render what a learner takes from each run."""
    taken = [run for run in file.runs if run.lesson and run.name in study["runs"]] if file else []
    return ["What to take from it:", "", *(f"- **{run.name}**: {run.lesson}" for run in taken), ""] if taken else []


@using("en")
def render(studies: list[dict], results: Path, files: dict[str, Study]) -> str:
    """Render results/REPORT.md. studies: see `summaries`; files: see `log.files`."""
    sections = [INTRO]
    for study in studies:
        if not study["runs"]:
            continue
        lines = [*render_study(study, results), *main_table(study)]
        sections.append("\n".join(lines + lessons(study, files.get(study["study"]))))
    return "\n".join([*sections, costs(studies, results)] if len(sections) > 1 else [INTRO, NOTHING])


@using("en")
def short(studies: list[dict], root: str, results: Path) -> str:
    """Render one line per study, below the headline's tables. root: of the checkout, as a link."""
    rows = []
    for study in (study for study in studies if study["first"] in study["runs"]):
        runs, first = study["runs"], study["first"]
        shown = study["compared"]
        nll = {
            name: run["metrics"]["unseen"]["systems"][shown]["nll"]["mean"]
            for name, run in runs.items()
            if shown_system(study, run["metrics"]) == shown
        }
        best, split = min(nll, key=nll.get), runs[first]["metrics"]["unseen"]
        row = {
            "study": study["study"],
            "runs (with seeds)": f"{len(runs)} ({sum(len(run['seeds']) for run in runs.values())})",
            "rows": f"{split['n']} {study['evaluate_on']}",
            "first run": first,
        }
        row |= zip(("its NLL", "its ROUGE-L"), seed_cells(split, ["nll", "rougeL"], shown), strict=True)
        row |= {"lowest NLL": best}
        rows.append(row | {"difference to the first": DASH if best == first else difference(study, runs[best], "nll")})
    if not rows:
        return NOTHING
    link = f"[`results/{PAGE}`]({root}results/{PAGE})"
    mark = f"{SEED_MARK}: not larger than the spread over the first run's seeds. All runs: {link}."
    mains = {study["study"]: study for study in studies if main_table(study)}
    best = advice.render({name: headline.metrics_of(study) for name, study in mains.items()})
    best += [line for name, study in mains.items() for line in headline.tables(study, headline.SHORT_BLOCKS[name])]
    for study in (study for study in studies if study["study"] == variants.STUDY):
        best += variants.render(study, recorded_runs(results, variants.STUDY))
    return "\n".join([*best, *Table([*rows[0]], [[*row.values()] for row in rows]).markdown(), mark, ""])


def main_table(study: dict) -> list[str]:
    """Render the tables of the headline and of its companions; none for another study."""
    return headline.tables(study) if study["study"] in headline.FILES and study["first"] in study["runs"] else []


@using("en")
def write(root: Path, results: Path) -> list[Path]:
    """Write all pages, files and figures of the recorded studies; return their paths. root: of the checkout."""
    files, studies = log.files(root), summaries(results)
    texts = {results / PAGE: render(studies, results, files), results / log.PAGE: log.render(studies, files)}
    blocks = {root / RESULTS: (BEGIN, END, short(studies, "../", results))}
    for study in filter(main_table, studies):
        metrics = headline.rounded(headline.metrics_of(study))
        texts[results / headline.FILES[study["study"]]] = json_text(metrics)
        if study["study"] == next(iter(headline.FILES)):
            blocks[root / "README.md"] = (SHORT_BEGIN, SHORT_END, "\n".join(headline.short_table(metrics)))
    for path, part in blocks.items():
        if path.exists() and part[0] in (page := path.read_text(encoding="utf-8")):
            texts[path] = between(page, *part)
    for path, text in texts.items():
        write_text(path, text)
    written = [*texts]
    for study in studies:
        if any("unseen" in run.get("against", {}) for run in study["runs"].values()):
            written.append(results / "studies" / study["study"] / PICTURE)
            figure(study, written[-1])
    for path in sorted((root / "notebooks").glob("*.ipynb")):
        notebook = notebook_files.read(path)
        cells = [cell for cell in notebook.cells if notebook_files.STUDIES[0] in cell.source]
        for cell in cells:
            cell.source = between(cell.source, BEGIN, END, short(studies, "../", results))
        if cells:
            notebook_files.write(notebook, path)
            written.append(path)
    return written
