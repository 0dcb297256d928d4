"""Score pairs of texts in processes of their own: the three metrics that take longest, without what an evaluation imports.

ROUGE, chrF and the longest copied run take milliseconds a row. A process that scores some of the rows imports this module and
not torch, datasets and evaluate, which take longer to import than a thousand rows take to score.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from nltk.stem.porter import PorterStemmer
from rouge_score import rouge_scorer, tokenize, tokenizers
from sacrebleu.metrics.chrf import CHRF

from ftlib.data.lexical import words
from ftlib.evaluation.metric_table import _ROUGE
from ftlib.prompts.templates import Passages
from ftlib.runtime.processes import in_processes

SHARE = 32  # rows that a process should score at least
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\s*\n\s*")


def rouge(pairs: list[tuple[str, str]]) -> list[dict]:
    """Return rouge_score's scores of each (answer, reference)."""
    return in_processes(_rouge, pairs, SHARE)


def chrf(pairs: list[tuple[str, str]]) -> list[float]:
    """Return sacrebleu's chrF2 of each (answer, reference), 0 to 100."""
    return in_processes(_chrf, pairs, SHARE)


def copied_share(items: list[tuple[str, Passages]]) -> list[float]:
    """Return the longest run of words that each answer shares with one of its passages / the answer's words."""
    return in_processes(_copied_share, items, SHARE)


def _rouge(pairs: list[tuple[str, str]]) -> list[dict]:
    scorer = rouge_scorer.RougeScorer(list(_ROUGE), tokenizer=_StemTokenizer())
    return [scorer.score(_lines(reference), _lines(answer)) for answer, reference in pairs]


def _chrf(pairs: list[tuple[str, str]]) -> list[float]:
    metric = CHRF()
    return [metric.sentence_score(answer, [reference]).score for answer, reference in pairs]


def _copied_share(items: list[tuple[str, Passages]]) -> list[float]:
    return [_longest_run(words(answer), [words(content) for _, content in passages]) for answer, passages in items]


class _StemTokenizer(tokenizers.Tokenizer):
    """rouge_score's own tokenizer with stemming, but each word is stemmed once, which halves the time."""

    def __init__(self):
        self.stem = lru_cache(maxsize=2**16)(PorterStemmer().stem)

    def tokenize(self, text):
        return tokenize.tokenize(text, self)


def _lines(text: str) -> str:
    return _SENTENCE_END.sub("\n", text)


def _longest_run(answer: list[str], texts: Sequence[list[str]]) -> float:
    """Return the length of the longest run of words that the answer shares with a text / the answer's words."""
    vocabulary: dict[str, int] = {}
    ids = np.array([vocabulary.setdefault(word, len(vocabulary)) for word in answer])
    longest = 0
    for text in texts:
        runs = np.zeros(len(text) + 1, dtype=np.int64)  # of the answer's previous word, by position in the text
        text_ids = np.array([vocabulary.get(word, -1) for word in text])
        for word_id in ids:
            runs[1:] = np.where(text_ids == word_id, runs[:-1] + 1, 0)
            longest = max(longest, int(runs.max()))
    return longest / len(answer) if answer else 0.0
