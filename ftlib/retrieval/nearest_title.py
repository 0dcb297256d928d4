"""The baseline that answers with the description of the nearest training title, found with BM25 (see `bm25_index`)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ftlib.retrieval.bm25_index import bm25s


class Nearest:
    """Nearest-title baseline: BM25 (Lucene's variant, k1 = 1.5, b = 0.75) over training titles.

    Index the training split only: an indexed test row would match itself. For the same reason the baseline is meaningful for
    unseen titles only. Titles are split into lower-case words and numbers, without stemming or stop words, because titles are
    short and BM25 gives frequent words little weight.

    Args:
        titles: to index.
        texts: the description of each title.

    Raises:
        ValueError: the lengths differ, or no title has a word.
    """

    def __init__(self, titles: Sequence[str], texts: Sequence[str]):
        if len(titles) != len(texts):
            raise ValueError(f"{len(titles)} titles but {len(texts)} texts; give one description per title.")
        words = _words(titles)
        if not any(words):
            raise ValueError("No title has a word in it, so nothing can be searched; check that the split has rows.")
        self.texts, self.words = list(texts), words
        self.index = bm25s.BM25(backend="numpy")
        self.index.index(words, show_progress=False)

    def best(self, titles: Sequence[str]) -> list[tuple[int, float]]:
        """Return (index, BM25 score) of the nearest training title for each title.

        Ties go to the lowest index. A title without any indexed word gets (0, 0.0), so the baseline answers every row; do not
        show rows with a score of 0 as sources.
        """
        return [self._best_of(words) for words in _words(titles)]

    def answers(self, titles: Sequence[str]) -> list[str]:
        """Return the description of the nearest training title for each title."""
        return [self.texts[index] for index, _ in self.best(titles)]

    def neighbors(self) -> list[int]:
        """Return, for each indexed title, the index of the nearest other one."""
        nearest = []
        for index, words in enumerate(self.words):
            scores = np.array(self.index.get_scores_from_ids(self.index.get_tokens_ids(words)))
            scores[index] = -1
            nearest.append(int(np.argmax(scores)))
        return nearest

    def _best_of(self, words: list[str]) -> tuple[int, float]:
        # The order of ties in bm25s' top-k is undefined; argmax returns the first.
        scores = self.index.get_scores_from_ids(self.index.get_tokens_ids(words))
        index = int(np.argmax(scores))
        return index, float(scores[index])


def _words(titles: Sequence[str]) -> list[list[str]]:
    """Return the lower-case words of each title, single characters included ("size 5")."""
    return bm25s.tokenize(
        list(titles), token_pattern=r"(?u)\b\w+\b", stopwords=None, return_ids=False, show_progress=False
    )
