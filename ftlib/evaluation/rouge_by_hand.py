"""Compute ROUGE-1 and ROUGE-L of one pair step by step, as a table to follow (Lin 2004, aclanthology.org/W04-1013)."""

from __future__ import annotations

from collections import Counter

from ftlib.evaluation.row_metrics import Rouge, compute_rows
from ftlib.prompts.templates import strip_prefix
from ftlib.runtime.language import tr


def tokens(text: str) -> list[str]:
    """Split a text as rouge_score does: lower case, letters and digits, stemmed."""
    from rouge_score.tokenizers import DefaultTokenizer

    return DefaultTokenizer(use_stemmer=True).tokenize(text)


def longest_subsequence(a: list[str], b: list[str]) -> list[str]:
    """Return the longest common subsequence of two lists of words: same order, gaps allowed."""
    best: list[list[list[str]]] = [[[] for _ in range(len(b) + 1)] for _ in range(len(a) + 1)]
    for i, word in enumerate(a):
        for j, other in enumerate(b):
            longer = max(best[i][j + 1], best[i + 1][j], key=len)
            best[i + 1][j + 1] = [*best[i][j], word] if word == other else longer
    return best[-1][-1]


def by_hand(reference: str, answer: str) -> dict[str, dict]:
    """Return shared words, precision, recall and F1 of ROUGE-1 and ROUGE-L, and the library's F1 beside them.

    The inner keys are in the reader's language, because a notebook shows them as the columns of a table.
    """
    reference, answer = strip_prefix(reference), strip_prefix(answer)
    expected, written = tokens(reference), tokens(answer)
    shared = {
        "rouge1": sorted((Counter(expected) & Counter(written)).elements(), key=expected.index),
        "rougeL": longest_subsequence(expected, written),
    }
    library, steps = compute_rows([Rouge()], [answer], [reference]), {}
    for name, words in shared.items():
        precision, recall = (len(words) / max(len(each), 1) for each in (written, expected))
        f1 = 2 * precision * recall / (precision + recall) if words else 0.0
        steps[name] = {
            tr("shared words"): " ".join(words),
            tr("precision"): f"{len(words)} / {len(written)} = {precision:.3f}",
            tr("recall"): f"{len(words)} / {len(expected)} = {recall:.3f}",
            "F1": round(f1, 3),
            "rouge_score": round(library[name][0], 3),
        }
    return steps
