"""How fast each recipe trains, as it was recorded on a GPU: the rows, and the one table that README and notebook 03 show.

Why in the package: a notebook that runs alone has no `results/` beside it, so `benchmarks/render_results.py` copies the rows of
`results/train_speed.json` to `profiles/train_speed.json`, and a test compares the two.
How: `rows = speed.recorded()`, then `speed.frame(rows, shape)` and `plots.speed_waterfall(rows, shape)`.
"""

from __future__ import annotations

import json
from importlib import resources

FILE = "train_speed.json"
HEADER = ["recipe", "examples/s", "tokens/s", "times", "ms a step", "peak GiB", "of the roof", "padding"]


def recorded() -> list[dict]:
    """The recorded rows, as `benchmarks/train_speed.py` writes them; [] and a line that says so if there are none.

    Prints on what they were measured, because a notebook runs elsewhere.
    """
    place = resources.files("ftlib.config.profiles") / FILE
    if not place.is_file():
        print("no training speed is recorded yet; benchmarks/train_speed.py measures it on a GPU")
        return []
    found = json.loads(place.read_text(encoding="utf-8"))
    print(f"recorded on {found['device']}, {found['finished'][:10]}")
    return found["rows"]


def of_shape(rows: list[dict], shape: str) -> list[dict]:
    """The rows of one model shape, in their order, each with `times`: its tokens/s over those of the first."""
    mine = [row for row in rows if row["shape"] == shape]
    return [row | {"times": row["tokens_per_s"] / mine[0]["tokens_per_s"]} for row in mine]


def table_rows(rows: list[dict], shape: str) -> list[list[str]]:
    """Cells under HEADER, one row a recipe."""
    return [
        [
            row["recipe"],
            f"{row['examples_per_s']:,.1f}",
            f"{row['tokens_per_s']:,}",
            f"{row['times']:.1f}",
            f"{row['step_s'] * 1000:,.1f}",
            f"{row['peak_gib']:.1f}",
            f"{row['roof_share']:.1%}",
            f"{row['padding_share']:.1%}",
        ]
        for row in of_shape(rows, shape)
    ]


def frame(rows: list[dict], shape: str):
    """The same table as a pandas DataFrame, which a notebook shows as a real table."""
    import pandas

    cells = table_rows(rows, shape)
    return pandas.DataFrame([row[1:] for row in cells], index=[row[0] for row in cells], columns=HEADER[1:])
