"""Find the longest run of words that an answer shares with a training description."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ftlib.data.lexical import words
from ftlib.evaluation.metric_table import GRAM
from ftlib.evaluation.row_metrics import RowMetric
from ftlib.prompts.templates import PREFIX
from ftlib.runtime.processes import in_processes

TEXTS_SHARE = 500  # training texts that a process should split into words at least


class CopiedRun(RowMetric):
    """`copied_run`: the longest run of an answer's words that stands word for word in ONE training description.

    In words; runs under 5 words count 0, because shorter overlaps are everyday phrases. A measure of memorization in
    the manner of Carlini et al. 2023, "Quantifying Memorization Across Neural Language Models". Case, punctuation and
    the prefix are ignored. Build it once from the training descriptions: `CopiedRun(train["content"])`. True
    descriptions share runs too (one maker, one template): compare with the references' own value, not with 0.

    The training words are stored as ids in one array, with -1 after each description. The hashes of all 5-word windows
    are sorted, so an answer's windows are found by binary search; each hit is then extended word by word, which also
    rejects hash collisions.
    """

    def __init__(self, training_texts: Sequence[str], prefix: str = PREFIX):
        super().__init__(prefix)
        if not len(training_texts):
            raise ValueError("There are no training texts, so every run would count 0; pass the training split.")
        self.vocabulary: dict[str, int] = {}
        texts = dict.fromkeys(self.stripped(text) for text in training_texts)  # duplicates add nothing
        lists = in_processes(_word_lists, list(texts), TEXTS_SHARE)
        ids = [[self.vocabulary.setdefault(w, len(self.vocabulary)) for w in text] + [-1] for text in lists]
        self.ids = np.array([i for text in ids for i in text], dtype=np.int64)
        hashes = _window_hashes(self.ids)
        starts = np.flatnonzero(_whole_windows(self.ids))
        self.starts = starts[np.argsort(hashes[starts], kind="stable")]
        self.hashes = hashes[self.starts]

    def rows(self, answers, references):
        """Compute `copied_run` of each row."""
        return {"copied_run": [float(self._longest(words(answer))) for answer in answers]}

    def _longest(self, tokens: list[str]) -> int:
        ids = np.array([self.vocabulary.get(token, -2) for token in tokens], dtype=np.int64)
        hashes = _window_hashes(ids)
        low, high = (np.searchsorted(self.hashes, hashes, side) for side in ("left", "right"))
        is_hit, best = high > low, 0
        for start in np.flatnonzero(is_hit):
            # A run longer than the best one so far needs a hit at every window of it: most starts end here.
            needed = is_hit[start : start + max(best + 1 - GRAM, 0) + 1]
            if start + best < len(ids) and needed.all():
                best = max(best, self._extend(ids[start:], self.starts[low[start] : high[start]]))
        return best if best >= GRAM else 0

    def _extend(self, ids: np.ndarray, starts: np.ndarray) -> int:
        """Return the length of the longest common run of `ids` and the training words from any of `starts`."""
        for length, word in enumerate(ids):
            starts = starts[self.ids[starts + length] == word]
            if not len(starts):
                return length
        return len(ids)


def _window_hashes(ids: np.ndarray) -> np.ndarray:
    """Hash each window of 5 ids to 64 bits, shape (max(len(ids) - 4, 0),)."""
    count = max(len(ids) - GRAM + 1, 0)
    hashes = np.zeros(count, dtype=np.int64)
    for offset in range(GRAM):
        hashes = hashes * 0x5851F42D4C957F2D + ids[offset : offset + count]  # overflow wraps, as a hash may
    return hashes


def _whole_windows(ids: np.ndarray) -> np.ndarray:
    """Return which windows of 5 ids hold no separator, i.e. lie inside one description."""
    separators = np.concatenate([[0], np.cumsum(ids < 0)])
    return separators[GRAM:] == separators[: max(len(separators) - GRAM, 0)]


def _word_lists(texts: list[str]) -> list[list[str]]:
    return [words(text) for text in texts]
