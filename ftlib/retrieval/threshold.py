"""From which score on does a row count as a source? The threshold of an index, set on validation rows, with its error rates.

Why: the best row of a search is always some row. A page that cites it whatever it is cites a wrong product for each new one.
How it is set: validation titles are typed as people type them (a slip of the finger, lower case, half of the words) while their
row is in the index, and as they are while it is kept out, so that what is found is another product. The threshold is the score
with the fewest errors of both kinds together. The stage `index/` records it with the shares of errors.
"""

from __future__ import annotations

import random
import string
from collections.abc import Callable
from pathlib import Path

from ftlib.retrieval.bm25_index import FIELDS, Index, build
from ftlib.runtime.files import write_json

ROWS = 400  # validation rows that are tried at most


def slip(title: str, rng: random.Random) -> str:
    """One slip of the finger in one word of at least four letters: a letter left out, doubled, wrong, or two swapped."""
    words = title.split()
    places = [place for place, word in enumerate(words) if len(word) > 3 and word.isalpha()]
    if not places:
        return title
    place = rng.choice(places)
    word = words[place]
    at = rng.randrange(1, len(word) - 1)
    words[place] = rng.choice(
        (
            word[:at] + word[at + 1 :],
            word[:at] + word[at] + word[at:],
            word[:at] + rng.choice(string.ascii_lowercase) + word[at + 1 :],
            word[:at] + word[at + 1] + word[at] + word[at + 2 :],
        )
    )
    return " ".join(words)


def part(title: str, rng: random.Random) -> str:
    """The first half of the words, at least two."""
    words = title.split()
    return " ".join(words[: max(2, len(words) // 2)])


def lower(title: str, rng: random.Random) -> str:
    """As most people type."""
    return title.lower()


TYPED: dict[str, Callable[[str, random.Random], str]] = {"slip": slip, "lower case": lower, "part": part}


def threshold_errors(right: list[float], wrong: list[float], threshold: float) -> dict[str, float]:
    """Shares of errors at a threshold. right: scores of the rows that were asked for, 0 if not found; wrong: of others."""
    missed = sum(score < threshold for score in right) / max(len(right), 1)
    cited = sum(score >= threshold for score in wrong) / max(len(wrong), 1)
    return {"missed": round(missed, 4), "wrongly_cited": round(cited, 4)}


def best_threshold(right: list[float], wrong: list[float]) -> float:
    """The threshold with the smallest sum of both shares; of equal ones the highest, which cites least."""
    candidates = sorted({*right, *wrong, 1.01}, reverse=True)
    return min(candidates, key=lambda threshold: sum(threshold_errors(right, wrong, threshold).values()))


def scores_of(index: Index, rows: list[dict], seed: int) -> tuple[list[float], list[float]]:
    """Scores of the rows that were asked for, each typed in all three ways, and of the best other row for each title."""
    rng = random.Random(seed)
    right, wrong = [], []
    for row in rows:
        for typed in TYPED.values():
            found = index.search(typed(row["title"], rng), k=1)
            right.append(found[0].score if found and found[0].uid == row["uid"] else 0.0)
        found = index.search(row["title"], k=1, without=[row["uid"]])
        wrong.append(found[0].score if found else 0.0)
    return right, wrong


def build_index(cfg, dataset, folder: Path) -> dict:
    """Write the stage `index/`: both indexes and the threshold; returns what the manifest says of it."""
    rows = build(dataset, folder)
    write_json(folder / "threshold.json", {"threshold": 0.0})
    index = Index.open(dataset, folder)
    asked = list(dataset["validation"].select(range(min(ROWS, len(dataset["validation"])))))
    half = len(asked) // 2  # the errors are counted on rows that the threshold was not chosen on
    threshold = best_threshold(*scores_of(index, asked[:half], cfg.data.seed))
    errors = threshold_errors(*scores_of(index, asked[half:], cfg.data.seed + 1), threshold)
    write_json(folder / "threshold.json", {"threshold": threshold})
    words = {name: len(getattr(index, name).vocab_dict) for name in FIELDS}
    tried = {"chosen_on": half, "counted_on": len(asked) - half}
    return {"rows": rows, "words": words, "threshold": threshold, "errors": errors | tried}


def describe(manifest: dict) -> str:
    """The threshold and its error rates in words."""
    errors = manifest["errors"]
    return (
        f"{manifest['rows']} rows indexed; a row is a source from a score of {manifest['threshold']:.2f} on: of "
        f"{errors['counted_on']} validation titles with a slip, in lower case and in part {errors['missed']:.0%} miss their row, "
        f"and of those whose row is kept out {errors['wrongly_cited']:.0%} get another one"
    )
