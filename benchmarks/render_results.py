"""Write the README's table of recorded results from the files under results/.

Why: a figure typed by hand outlives the run that it came from. A test renders the table again and compares.
How: python benchmarks/render_results.py
"""

from __future__ import annotations

from pathlib import Path

from ftlib.report import findings, interval
from ftlib.runs import read_json

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = (
    "<!-- results: rendered by benchmarks/render_results.py from results/, do not edit by hand -->\n",
    "<!-- /results -->",
)
METRICS = ("nll", "format", "stops", "rouge1", "rougeL", "chrf", "title_coverage", "unsupported_numbers")


def render(results: Path = ROOT / "results") -> str:
    """Markdown for every recorded run: where it ran, the before/after table, and what the figures say."""
    return "\n".join(render_run(path) for path in sorted(results.glob("*/metrics.json")))


def render_run(path: Path) -> str:
    metrics = read_json(path)
    settings, split = metrics["settings"], metrics["unseen"]
    systems, change = split["systems"], split["differences"]["tuned-base"]
    per_step = read_json(path.parent / "manifests.json")["adapter"]["config"]["train"]["examples_per_step"]
    lines = [
        f"**{path.parent.name}**: {settings['model']}, {settings['steps']} steps of {per_step} examples in "
        f"{settings['train_seconds']:.0f} s on {settings['device']}, drawn from {settings['train_rows']} training rows of "
        f"{settings['file']}; {split['n']} unseen titles, mean [95 % interval]. "
        f"Files: [`results/{path.parent.name}/`](results/{path.parent.name}/).",
        "",
        "| metric | before | after | difference | copy the title | nearest title's text |",
        "|---|---|---|---|---|---|",
    ]
    for name in METRICS:
        cells = [interval(systems[s][name]) if name in systems[s] else "–" for s in ("base", "tuned")]
        cells += [interval(change[name])]
        cells += [interval(systems[s][name]) if name in systems[s] else "–" for s in ("copy_title", "nearest")]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", *(f"- {sentence}" for sentence in findings(metrics)), ""])


def insert(readme: str, table: str) -> str:
    """The README with the table between its markers."""
    before, _, rest = readme.partition(BEGIN)
    return before + BEGIN + table + END + rest.partition(END)[2]


if __name__ == "__main__":
    readme = ROOT / "README.md"
    readme.write_text(insert(readme.read_text(encoding="utf-8"), render()), encoding="utf-8")
    print("README.md: results rendered")
