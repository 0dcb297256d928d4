"""Calibrate the score from which on a retrieved row is shown as a source.

A search always has a best row; without a threshold, a wrong product would be cited for every title that is not in the catalog.
The threshold minimizes the sum of two error rates on validation rows: titles as people type them (a typo, lower case, the first
half) whose row is in the index and is missed, and titles whose row is excluded, so that every result is another product. The
stage `index/` records the threshold and both rates, computed on rows that it was not chosen on.
"""

from __future__ import annotations

import random
import string
from collections.abc import Callable
from pathlib import Path

from ftlib.retrieval.bm25_index import FIELDS, Index, build
from ftlib.runtime.files import write_json

ROWS = 400  # validation rows that are used at most


def typo(title: str, rng: random.Random) -> str:
    """Put a typo into one word of at least four letters.

    A letter is deleted, doubled, replaced, or swapped with the next.
    """
    words = title.split()
    candidates = [index for index, word in enumerate(words) if len(word) > 3 and word.isalpha()]
    if not candidates:
        return title
    index = rng.choice(candidates)
    word = words[index]
    at = rng.randrange(1, len(word) - 1)
    words[index] = rng.choice(
        (
            word[:at] + word[at + 1 :],
            word[:at] + word[at] + word[at:],
            word[:at] + rng.choice(string.ascii_lowercase) + word[at + 1 :],
            word[:at] + word[at + 1] + word[at] + word[at + 2 :],
        )
    )
    return " ".join(words)


def first_half(title: str, rng: random.Random) -> str:
    """Return the first half of the words, at least two."""
    words = title.split()
    return " ".join(words[: max(2, len(words) // 2)])


def lower_case(title: str, rng: random.Random) -> str:
    """Return the title in lower case, as most people type."""
    return title.lower()


# The keys are recorded in results/retrieval_scale.json.
TYPED: dict[str, Callable[[str, random.Random], str]] = {"slip": typo, "lower case": lower_case, "part": first_half}


def threshold_errors(right: list[float], wrong: list[float], threshold: float) -> dict[str, float]:
    """Return the two error rates of a threshold.

    Args:
        right: scores of the rows that should be found, 0 if another row ranked first.
        wrong: scores of rows that should not be cited.
        threshold: from which score on a row is cited.
    """
    missed = sum(score < threshold for score in right) / max(len(right), 1)
    cited = sum(score >= threshold for score in wrong) / max(len(wrong), 1)
    return {"missed": round(missed, 4), "wrongly_cited": round(cited, 4)}


def best_threshold(right: list[float], wrong: list[float]) -> float:
    """Return the threshold with the smallest sum of both error rates; of ties the highest."""
    candidates = sorted({*right, *wrong, 1.01}, reverse=True)
    return min(candidates, key=lambda threshold: sum(threshold_errors(right, wrong, threshold).values()))


def scores_of(index: Index, rows: list[dict], seed: int) -> tuple[list[float], list[float]]:
    """Return the scores of the right and of the wrong rows, see `threshold_errors`.

    Right: each row, searched by its title in all variants of TYPED. Wrong: the best other row for each title.
    """
    rng = random.Random(seed)
    right, wrong = [], []
    for row in rows:
        for variant in TYPED.values():
            results = index.search(variant(row["title"], rng), k=1)
            right.append(results[0].score if results and results[0].uid == row["uid"] else 0.0)
        results = index.search(row["title"], k=1, without=[row["uid"]])
        wrong.append(results[0].score if results else 0.0)
    return right, wrong


def build_index(cfg, dataset, folder: Path) -> dict:
    """Write the stage `index/`: both indexes and the threshold; return its entries of the manifest."""
    rows = build(dataset, folder)
    write_json(folder / "threshold.json", {"threshold": 0.0})
    index = Index.open(dataset, folder)
    queries = list(dataset["validation"].select(range(min(ROWS, len(dataset["validation"])))))
    half = len(queries) // 2  # the error rates are computed on the other half
    threshold = best_threshold(*scores_of(index, queries[:half], cfg.data.seed))
    errors = threshold_errors(*scores_of(index, queries[half:], cfg.data.seed + 1), threshold)
    write_json(folder / "threshold.json", {"threshold": threshold})
    words = {name: len(getattr(index, name).vocab_dict) for name in FIELDS}
    counts = {"chosen_on": half, "counted_on": len(queries) - half}
    return {"rows": rows, "words": words, "threshold": threshold, "errors": errors | counts}


def describe(manifest: dict) -> str:
    """Describe the threshold and its error rates in one line."""
    errors = manifest["errors"]
    return (
        f"{manifest['rows']} rows indexed; a row is a source from a score of {manifest['threshold']:.2f} on: of "
        f"{errors['counted_on']} validation titles (typos, lower case, first half) {errors['missed']:.0%} miss their row; "
        f"with that row excluded, {errors['wrongly_cited']:.0%} cite another one"
    )
