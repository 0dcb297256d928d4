"""The training row whose title is nearest to a new title, by BM25.

What: `Nearest` indexes the training titles once and finds the best match for each new one.
Why: answering with the description of the nearest training title costs nothing to train. A fine-tuned model that does
not beat this baseline has learnt no more than a look-up; and a nearest row is a source to show beside an answer.
BM25 (Robertson and Zaragoza 2009, "The Probabilistic Relevance Framework: BM25 and Beyond") comes from the library
bm25s (Lù 2024) in its numpy form: no model, no download, the same result on every machine.
How: `nearest = Nearest(train_titles, train_contents)`, then `nearest.answers(test_titles)`.

Index the training split only: a test row in the index would find itself. For the same reason the nearest row to a
training title is that title's own row, so the baseline means something for unseen titles only.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np


def _without_jax():
    """bm25s, imported as if JAX were not installed.

    It looks for JAX and starts it to sort a few numbers, and JAX takes three quarters of the GPU's memory when it starts. JAX is
    installed on Colab, so a model that fits would not fit any more. Ours is the numpy form, which needs none of it.
    """
    jax = sys.modules.pop("jax", None)
    sys.modules["jax"] = None
    try:
        import bm25s
    finally:
        del sys.modules["jax"]
        if jax is not None:
            sys.modules["jax"] = jax
    return bm25s


bm25s = _without_jax()


class Nearest:
    """BM25 (Lucene's variant, k1 = 1.5, b = 0.75) over training titles.

    titles, texts: lists of the same length; `texts[i]` is the description that belongs to `titles[i]`.
    A title is read as its lower-case words and numbers; nothing is stemmed and no stop words are left out, because
    a short title has no word to spare and BM25 gives frequent words little weight by itself.
    Raises ValueError if the lengths differ or no title has a word.
    """

    def __init__(self, titles: Sequence[str], texts: Sequence[str]):
        if len(titles) != len(texts):
            raise ValueError(f"{len(titles)} titles but {len(texts)} texts; give one description a title.")
        words = _words(titles)
        if not any(words):
            raise ValueError("No title has a word in it, so nothing can be searched; check that the split has rows.")
        self.texts, self.words = list(texts), words
        self.index = bm25s.BM25(backend="numpy")
        self.index.index(words, show_progress=False)

    def best(self, titles: Sequence[str]) -> list[tuple[int, float]]:
        """For each title the index of the nearest training title and its BM25 score (above 0, no upper limit).

        Of equal scores the lowest index wins. A title without a known word scores 0.0 against every row, so by the same
        rule it gets (0, 0.0): the baseline still answers each row, and whoever shows a source leaves out scores of 0.
        """
        return [self._best_of(words) for words in _words(titles)]

    def answers(self, titles: Sequence[str]) -> list[str]:
        """For each title the description of the nearest training title."""
        return [self.texts[index] for index, _ in self.best(titles)]

    def neighbours(self) -> list[int]:
        """For each indexed title the index of the most similar other one."""
        found = []
        for own, words in enumerate(self.words):
            scores = np.array(self.index.get_scores_from_ids(self.index.get_tokens_ids(words)))
            scores[own] = -1
            found.append(int(np.argmax(scores)))
        return found

    def _best_of(self, words: list[str]) -> tuple[int, float]:
        # bm25s' own top-k leaves the order of equal scores open; argmax takes the first.
        scores = self.index.get_scores_from_ids(self.index.get_tokens_ids(words))
        index = int(np.argmax(scores))
        return index, float(scores[index])


def _words(titles: Sequence[str]) -> list[list[str]]:
    """Lower-case words of each title; single characters stay ("size 5"), which bm25s' own pattern would drop."""
    return bm25s.tokenize(
        list(titles), token_pattern=r"(?u)\b\w+\b", stopwords=None, return_ids=False, show_progress=False
    )
