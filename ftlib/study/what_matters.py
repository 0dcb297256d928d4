"""Show recorded studies in notebooks 05 and 06: what matters, confirmation, near-duplicates, training with passages.

Everything is computed from `results/studies/`, `results/*.json` and `studies/*.yaml`. A file that was not recorded gives
a sentence that says so, and no error. Each function returns a table or a sentence that a notebook shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ftlib.evaluation.bootstrap import newcombe
from ftlib.reporting.sentence_parts import Sentence, recorded
from ftlib.reporting.tables import DASH, Table, interval, label, number
from ftlib.runtime.files import repository
from ftlib.runtime.language import to_translate, tr
from ftlib.study import advice, headline, log, records, report

# How `expected` of studies/ablations.yaml is read: the outcomes that agree with the text, () where it names no direction.
SAME, BETTER, SLIGHTLY, WORSE = (
    to_translate("same"),
    to_translate("better"),
    to_translate("slightly worse"),
    to_translate("worse"),
)
NO_BETTER, NEARLY, ANY_LOSS, HARDLY_BETTER = (
    (SAME, SLIGHTLY, WORSE),
    (SAME, SLIGHTLY),
    (SLIGHTLY, WORSE),
    (SAME, BETTER),
)
EXPECTED = {
    "prompt_in_loss": NEARLY, "eos_masked": (), "no_cleaning": NEARLY, "no_deduplication": NO_BETTER,
    "all_rows": HARDLY_BETTER, "leak": (BETTER,), "rows_1000": ANY_LOSS, "rows_3000": ANY_LOSS,
    "modules_to_save": NO_BETTER, "nf4": NEARLY, "rank_4": NEARLY, "rank_8": NEARLY, "rank_16": (SAME,), "rank_32": NEARLY,
    "rank_64": HARDLY_BETTER, "all_weights": (BETTER,), "all_weights_faster": (), "epochs_1": ANY_LOSS, "epochs_2": (SAME,),
    "epochs_4": HARDLY_BETTER, "epochs_8": ANY_LOSS, "batch_64": ANY_LOSS, "batch_256": (WORSE,), "asked_en": NEARLY,
    "asked_pt": (SLIGHTLY,), "mixed": (SAME,), "mixed_asked_en": (SAME,), "mixed_asked_pt": (SAME,), "portuguese": (SAME,),
}  # fmt: skip
LEVEL, LARGE = 0.005, 0.1  # nats: below the first a change counts as "same", from the second on as "worse"
FILES = {study: name for study, name in headline.FILES.items()}


def study(name: str, results: Path | None = None) -> dict | None:
    """Return the summary of a recorded study under today's definitions, None where it was not recorded."""
    folder = (results or repository() / "results") / "studies" / name
    if not (folder / records.RUNS).exists():
        return None
    return report.under_definitions(records.load(folder))


def ablations(summary: dict | None = None) -> list[dict]:
    """Return a dict for each ablation, from the largest gain to the largest loss.

    Keys: run, expected (the text of the study file), change (paired difference of the NLL), found ('better', 'same',
    'slightly worse' or 'worse'), as_expected (None where no direction was expected), lesson.
    """
    summary = summary or study("ablations")
    if summary is None:
        return []
    file = log.files(repository())["ablations"]
    rows = []
    for entry in file.runs:
        run = summary["runs"].get(entry.name, {})
        change = run.get("against", {}).get("unseen", {}).get("nll")
        if change is None:
            continue
        verdict = log.verdict(summary, run, "nll")
        expected, found = EXPECTED.get(entry.name, ()), outcome(change["mean"], verdict)
        rows.append(
            {
                "run": entry.name,
                "expected": entry.expected,
                "change": change,
                "found": found,
                "as_expected": found in expected if expected else None,
                "lesson": " ".join(entry.lesson.split()),
            }
        )
    return sorted(rows, key=lambda row: row["change"]["mean"])


def outcome(change: float, verdict: str | None) -> str:
    """Return the class of a change of the NLL: what the chart's marks and EXPECTED use."""
    if verdict not in (BETTER, WORSE) or abs(change) < LEVEL:
        return SAME
    return verdict if verdict == BETTER or change >= LARGE else SLIGHTLY


def noise(summary: dict | None = None) -> float:
    """Return by how much the NLL of the headline's seeds differs: a smaller change is no finding."""
    summary = summary or study("ablations")
    return (log.spread(summary, "nll") or 0.0) if summary else 0.0


def ablation_table(rows: list[dict]) -> Sentence:
    """Return what was expected, what was found, and the lesson of each ablation as a table."""
    cells = [[row["run"], tr(row["expected"]), _found(row), tr(row["lesson"])] for row in rows]
    header = [tr("run"), "expected", "found (NLL)", tr("lesson")]  # fields of a study file keep their names
    return Sentence("\n".join(Table(header, cells).markdown()))


def _found(row: Mapping) -> str:
    return f"{tr(row['found'])} ({round(row['change']['mean'], 3) + 0.0:+.3f})"


# {group: (its runs, what to know about them)}
GROUPS = {
    to_translate("Leakage"): (
        ("leak",),
        to_translate("A gain here is worth nothing: the model is the same, only the test got easier."),
    ),
    to_translate("Rows and passes"): (
        ("rows_1000", "rows_3000", "all_rows", "epochs_1", "epochs_2", "epochs_4", "epochs_8"),
        to_translate(
            "With few rows a model sees too little. With many passes it sees the same too often, and memorizes."
        ),
    ),
    to_translate("Cleaning"): (
        ("no_cleaning", "no_deduplication"),
        to_translate("What cleaning removes depends on the file; these rows have little noise."),
    ),
    to_translate("Rank"): (
        ("rank_4", "rank_8", "rank_16", "rank_32", "rank_64"),
        to_translate("The headline's rank is larger than all of these, those of most tutorials are smaller."),
    ),
    to_translate("Batch"): (
        ("batch_64", "batch_256"),
        to_translate("A larger batch means fewer steps; the learning rate would have to go with it."),
    ),
    to_translate("All weights"): (
        ("all_weights", "all_weights_faster", "modules_to_save"),
        to_translate("Full fine-tuning needs a learning rate of its own, and saves a whole model for each task."),
    ),
    to_translate("NF4"): (
        ("nf4",),
        to_translate("This run merged onto the 16-bit base, which costs extra (notebook 04)."),
    ),
    to_translate("Labels"): (
        ("prompt_in_loss", "eos_masked"),
        to_translate(
            "For the loss on the prompt see also [Shi et al. 2024](https://arxiv.org/abs/2405.14394). Mask it anyway: "
            "otherwise losses "
            "of different templates cannot be compared. A model that never saw an end cannot write one."
        ),
    ),
    to_translate("Wording"): (
        ("asked_en", "asked_pt", "mixed", "mixed_asked_en", "mixed_asked_pt", "portuguese"),
        to_translate("`asked` runs change the question at test time only, `mixed` runs train with several questions."),
    ),
}


def ablation_groups(rows: list[dict]) -> Sentence:
    """Return the ablations by topic: what was found of each run, and what to know about it."""
    by_name, lines = {row["run"]: row for row in rows}, []
    for group, (names, note) in GROUPS.items():
        found = [f"`{name}` {_found(by_name[name])}" for name in names if name in by_name]
        if found:
            lines.append(f"- **{tr(group)}**: {', '.join(found)}. {tr(note)}")
    return Sentence("\n".join(lines) or tr("The ablations are recorded in the repository, which is not here."))


def about_wording(rows: list[dict] | None = None) -> Sentence:
    """Say what another wording costs, and whether training with several wordings helps, from the ablations."""
    by_name = {row["run"]: row for row in (ablations() if rows is None else rows)}
    if not {"asked_pt", "mixed", "mixed_asked_pt"} <= by_name.keys():
        return Sentence(tr("The experiment with several wordings was not recorded."))
    asked, mixed, both = (by_name[name]["change"]["mean"] for name in ("asked_pt", "mixed", "mixed_asked_pt"))
    values = {"asked": asked, "both": both, "mixed": mixed}
    if both < asked:
        return Sentence(
            tr(
                "In our study a Portuguese question changes the NLL by {asked:+.3f} nats. After training with several wordings "
                "it changes by {both:+.3f}, so training with several wordings removes that loss; their price is {mixed:+.3f}.",
                **values,
            )
        )
    return Sentence(
        tr(
            "In our study a Portuguese question changes the NLL by {asked:+.3f} nats. After training with several wordings it "
            "changes by {both:+.3f}, so several wordings do not help; their price is {mixed:+.3f}.",
            **values,
        )
    )


def about_ablations(rows: list[dict]) -> Sentence:
    """Say how many expectations were right, and which change matters most in each direction."""
    if not rows:
        return Sentence(tr("The ablations are recorded in the repository, which is not here."))
    judged = [row for row in rows if row["as_expected"] is not None]
    right = sum(row["as_expected"] for row in judged)
    best, worst = rows[0], rows[-1]
    if right > len(judged) / 2:
        verdict = tr("Most guesses were right: {right} of {judged}.", right=right, judged=len(judged))
    else:
        verdict = tr("Most guesses were wrong: {right} of {judged}.", right=right, judged=len(judged))
    ends = tr(
        "The largest gain is `{best}` ({gain:+.3f} nats), the largest loss `{worst}` ({loss:+.3f}). Seeds of one run differ by "
        "{noise:.3f}.",
        best=best["run"],
        gain=best["change"]["mean"],
        worst=worst["run"],
        loss=worst["change"]["mean"],
        noise=noise(),
    )
    return Sentence(f"{verdict} {ends}")


def recipe_runs(summary: dict | None = None) -> list[dict]:
    """Return the runs of the study `recipe`: name, validation NLL, number of trained parameters."""
    summary = summary or study("recipe")
    if summary is None:
        return []
    lines = records.read_runs(repository() / "results" / "studies" / "recipe").values()
    trained = {line["run"]: line["training"]["trainable_parameters"] for line in lines}
    return [
        {"name": name, "nll": run["metrics"]["unseen"]["systems"]["tuned"]["nll"]["mean"], "parameters": trained[name]}
        for name, run in summary["runs"].items()
    ]


# The headline's files: confirmation, when to use what, near-duplicates


def headline_files() -> dict[str, dict]:
    """Return {study: metrics} of the headline's recorded files."""
    found = {name: recorded(file) for name, file in FILES.items()}
    return {name: metrics for name, metrics in found.items() if metrics is not None}


def _page(lines: list[str], missing: str) -> Sentence:
    return Sentence("\n".join(lines).strip() if lines else missing)


def confirmation(studies: Mapping[str, dict] | None = None) -> Sentence:
    """Render which claims of the headline hold on rows that no choice was made on."""
    studies = headline_files() if studies is None else studies
    lines = advice.confirmed(studies) if "headline" in studies else []
    return _page(lines, tr("The confirmation is not recorded yet (`results/confirmation.json` is not there)."))


def when_to_use(studies: Mapping[str, dict] | None = None) -> Sentence:
    """Render when to look up, when to fine-tune, and when to do both."""
    studies = headline_files() if studies is None else studies
    lines = advice.when_to_use(studies) if advice.render(studies) else []
    return _page(lines, tr("No headline with retrieval is recorded yet (`results/headline.json` has no passages)."))


AHEAD = {
    "lookup": to_translate("the lookup is ahead"),
    "model": to_translate("the model is ahead"),
    "level": to_translate("nearly level"),
}


def variants(studies: Mapping[str, dict] | None = None, metric: str = "rougeL") -> Sentence:
    """Say on which rows the lookup beats the plain model: new products, and near-duplicates of training rows.

    From results/headline_group.json; before it is recorded, from the validation rows of the study `context`.
    """
    studies = headline_files() if studies is None else studies
    group, where = studies.get("headline_group"), tr("test rows")
    if group is None:
        context = study("context")
        group = context["runs"]["plain"]["metrics"] if context and "plain" in context["runs"] else None
        where = tr("validation rows of the study `context`")
    blocks = {name: (group or {}).get(f"unseen_{name}") for name in ("new", "near")}
    if None in blocks.values():
        return Sentence(tr("How much near-duplicates matter was not recorded."))
    total = group["unseen"]["n"]
    rows, ahead = [], {}
    for name, group_label in (("new", tr("new products")), ("near", tr("near-duplicates of training rows"))):
        systems = blocks[name]["systems"]
        ours, theirs = (systems[each][metric] for each in ("tuned", "nearest"))
        paired = blocks[name]["differences"].get("tuned-nearest", {}).get(metric)
        low, high = (paired or newcombe(ours, theirs))[
            "ci95"
        ]  # unpaired, and so wider, where no difference was recorded
        ahead[name] = "lookup" if high < 0 else "model" if low > 0 else "level"
        share = tr("{rows} of {total}", rows=blocks[name]["n"], total=total)
        rows.append([group_label, share, interval(ours), interval(theirs), tr(AHEAD[ahead[name]])])
    header = [tr("rows"), "n", label("tuned"), label("nearest"), tr("verdict")]
    if ahead["near"] == "lookup" and ahead["new"] != "lookup":
        reading = tr("Near-duplicates explain the lookup's lead: it quotes them.")
    else:
        reading = tr(
            "On new products: {new}; on near-duplicates: {near}.",
            **{name: tr(AHEAD[winner]) for name, winner in ahead.items()},
        )
    title = tr("ROUGE-L on {rows}, split `group`:", rows=where)
    return Sentence("\n".join([title, "", *Table(header, rows).markdown(), reading]))


def with_passages(summary: dict | None = None) -> Sentence:
    """Say what training with passages gains over asking with them only, from the study `context`."""
    summary = summary or study("context")
    if summary is None or not {"plain", summary["first"]} <= summary["runs"].keys():
        return Sentence(tr("Training with passages was not recorded."))
    runs = {tr("trained without passages"): "plain", tr("trained with passages"): summary["first"]}
    rows, values = [], {}
    for training, run in runs.items():
        systems = summary["runs"][run]["metrics"]["unseen"]["systems"]
        values[training] = systems["tuned_open"]["rougeL"]["mean"]
        for system, asked in (("tuned", tr("without retrieval")), ("tuned_open", tr("with retrieval"))):
            cells = [interval(systems[system][name]) if name in systems[system] else DASH for name in ("nll", "rougeL")]
            rows.append([training, asked, *cells])
    lookup = summary["runs"][summary["first"]]["metrics"]["unseen"]["systems"]["nearest"]["rougeL"]
    rows.append([tr("no training: nearest title's text"), DASH, DASH, interval(lookup)])
    plain, trained = values.values()
    gain = trained - plain
    reading = (
        tr("Passages at inference alone are not enough: training with them adds {gain} ROUGE-L.", gain=number(gain))
        if gain > 0.005
        else tr("Training with passages adds nothing that shows over asking with them.")
    )
    n = summary["runs"][summary["first"]]["metrics"]["unseen"]["n"]
    header = [tr("model"), tr("asked"), "NLL", "ROUGE-L"]
    title = tr("{rows:,} validation rows, split `group`:", rows=n)
    return Sentence("\n".join([title, "", *Table(header, rows).markdown(), reading]))


def candidates(summary: dict | None = None) -> Sentence:
    """Say what choosing among several samples gains over one greedy completion, from the study `quoting`."""
    summary = summary or study("quoting")
    runs = [name for name in (summary or {"runs": {}})["runs"] if name.startswith("mbr_")]
    if not runs:
        return Sentence(tr("Choosing among several samples was not recorded."))
    first, rows, gains = summary["first"], [], {}
    runs.sort(key=lambda name: int(name.removeprefix("mbr_")))
    for name in (first, *runs):
        run = summary["runs"][name]
        value = run["metrics"]["unseen"]["systems"]["tuned_open"]["rougeL"]
        change = run.get("against", {}).get("unseen", {}).get("rougeL")
        samples = name.removeprefix("mbr_")
        decoding = tr("one completion, greedy") if name == first else tr("best of {samples} samples", samples=samples)
        rows.append([decoding, interval(value), interval(change) if change and name != first else DASH])
        if change and name != first:
            gains[name] = change
    lookup = summary["runs"][first]["metrics"]["unseen"]["systems"]["nearest"]["rougeL"]
    rows.append([label("nearest"), interval(lookup), DASH])
    helps = [name for name, change in gains.items() if change["ci95"][0] > 0]
    reading = (
        tr(
            "Choosing helps: {samples} samples are ahead of one greedy completion.",
            samples=", ".join(name.removeprefix("mbr_") for name in helps),
        )
        if helps
        else tr("No gain over one greedy completion is shown.")
    )
    n = summary["runs"][first]["metrics"]["unseen"]["n"]
    header = [tr("decoding"), "ROUGE-L", tr("difference to the first")]
    title = tr("{rows:,} validation rows, split `group`, with retrieval:", rows=n)
    return Sentence("\n".join([title, "", *Table(header, rows).markdown(), reading]))
