"""Measure how often `ftlib.retrieval.attribution` is right, on synthetic pairs of a row and a sentence with known labels.

`OVERLAP` is chosen on some pairs (the strictest value within a point of the best) and the errors are counted on others: 200
pairs, half of them supported sentences in other words, half with one number, color or material changed; 100 sentences about
another article; and 100 that name the article rightly and invent what it is for. Seconds on any machine.
How: python benchmarks/support_pairs.py, then python benchmarks/render_results.py
"""

from __future__ import annotations

from pathlib import Path

from sentence_pairs import Pair, make_inventions, make_pairs, make_strangers

from ftlib.evaluation.bootstrap import wilson
from ftlib.retrieval import attribution
from ftlib.runtime.files import write_json

ROOT = Path(__file__).resolve().parent.parent
CHOSEN_ON, COUNTED_ON = 1, 2  # seeds
KINDS = {None: "supported, in other words", "number": "a number changed", "color": "a colour changed"}
KINDS |= {"material": "a material changed", "article": "a sentence about another article", "use": "its use invented"}


def pairs(seed: int) -> list[Pair]:
    return [*make_pairs(200, seed), *make_strangers(100, seed), *make_inventions(100, seed)]


def right(pair: Pair, overlap: float) -> bool:
    return attribution.supports(pair.title, pair.content, pair.sentence, overlap) == (pair.changed is None)


def accuracy(found: list[Pair], overlap: float) -> float:
    """The mean of two shares of right marks: of the supported sentences, and of all others."""
    groups = [[p for p in found if (p.changed is None) == wanted] for wanted in (True, False)]
    return sum(sum(right(p, overlap) for p in group) / len(group) for group in groups) / 2


def choose(found: list[Pair]) -> float:
    """The strictest overlap within one percentage point of the best."""
    tried = {step / 20: accuracy(found, step / 20) for step in range(1, 20)}
    return max(overlap for overlap, value in tried.items() if value >= max(tried.values()) - 0.01)


def measure() -> dict:
    overlap, found = choose(pairs(CHOSEN_ON)), pairs(COUNTED_ON)
    groups = {words: [p for p in found if p.changed == kind] for kind, words in KINDS.items()}
    groups["the first four together"] = [p for p in found if p.changed not in ("article", "use")]
    rows = [{"sentence": words, "pairs": len(group)} | counted(group, overlap) for words, group in groups.items()]
    return {
        "what": "Share of sentences that are marked rightly, with its 95 % interval",
        "overlap": overlap,
        "rows": rows,
    }


def counted(group: list[Pair], overlap: float) -> dict:
    wins = sum(right(pair, overlap) for pair in group)
    interval = [round(limit, 4) for limit in wilson(wins, len(group) - wins)]
    return {"marked_rightly": {"mean": round(wins / len(group), 4), "ci95": interval}}


if __name__ == "__main__":
    result = measure()
    write_json(ROOT / "results" / "support.json", result)
    print(f"overlap {result['overlap']}")
    for row in result["rows"]:
        share = row["marked_rightly"]
        print(f"{row['sentence']}: {share['mean']:.1%} {share['ci95']} of {row['pairs']}")
