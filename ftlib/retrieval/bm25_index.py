"""Which rows of the catalogue belong to a title and a question: an index on disk, and the nearest training title.

What: `Index` finds rows by title and description, for the sample as for a million rows; `Nearest` is a baseline.
Why: an answer that rests on a row can be checked, and one that rests on none should say so. And answering with the nearest
training title's description costs nothing to train: a model that does not beat it has learnt no more than a look-up.
BM25 (Robertson and Zaragoza 2009, "The Probabilistic Relevance Framework: BM25 and Beyond") comes from the library
bm25s (Lù 2024) in its numpy form: no model, no download, the same result on every machine. Its arrays are memory-mapped, so a
search reads only what belongs to its words.
How: `ftlib run` builds the stage `index/`; `Index.open(dataset, folder).sources("blue enamel cup", "how large is it?")`.
"""

from __future__ import annotations

import sys
from array import array
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from rapidfuzz import process
from rapidfuzz.distance import OSA
from tqdm import tqdm

from ftlib.data.text import adjacent_pairs, best_sentences, fold, question_words
from ftlib.runtime.files import read_json


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


COLUMNS = ["uid", "title", "content"]
FIELDS = {"titles": "title", "texts": "content"}  # folder of each index, column that it holds
TEXT_WEIGHT = 0.3  # what a word of the description counts beside one of the title, in the order of candidates
ROW_TITLE = 0.25  # what the part of a row's title that was not asked for counts, beside the part of the asked title that it lacks
CANDIDATES = 50  # rows of the highest BM25 score that are compared with the title word by word
# Words in more than this share of the rows, and in more rows than this, find little and cost most of the time.
FREQUENT = 0.25, 5000


@dataclass(frozen=True)
class Source:
    """A row that belongs to what was asked. `score`: how well its title agrees, 0 to 1. `split`: was it trained on?

    `place`: its number in its split.
    """

    uid: str
    title: str
    score: float
    split: str
    place: int
    sentences: tuple[str, ...]  # those of the description that fit the question best, in its order
    content: str


@dataclass(frozen=True)
class Match:
    """A row that shares words with what was asked, with all by which matches are ranked.

    Attributes:
        agreement: of both titles, 0 to 1; see `Index._agreement`.
        word_pairs: neighboring words that both titles have.
        bm25: of title and description.
        position: in the concatenated splits.
    """

    agreement: float
    word_pairs: int
    bm25: float
    position: int
    split: str
    row: dict

    def rank(self) -> tuple:
        """Return the sort key: best first, of equal ones the lower position."""
        return (-self.agreement, -self.word_pairs, -self.bm25, self.position)


class Index:
    """The prepared catalogue's rows, found by title and description. Build it once with `build`, then `open` it."""

    def __init__(self, dataset, titles, texts, threshold: float):
        self.dataset = {split: rows.select_columns(COLUMNS) for split, rows in dataset.items()}  # no other is read
        self.titles, self.texts, self.threshold = titles, texts, threshold
        self.starts = dict(zip(dataset, np.cumsum([0, *map(len, dataset.values())]).tolist(), strict=False))
        self.rows = sum(map(len, dataset.values()))
        frequency = np.diff(titles.scores["indptr"])
        self.weights = np.log(1 + (self.rows - frequency + 0.5) / (frequency + 0.5))  # Lucene's idf, as in the scores

    @classmethod
    def open(cls, dataset, folder: Path) -> Index:
        """dataset: the `DatasetDict` that was indexed; folder: where `build` wrote."""
        titles, texts = (bm25s.BM25.load(folder / name, mmap=True, show_progress=False) for name in FIELDS)
        return cls(dataset, titles, texts, read_json(folder / "threshold.json")["threshold"])

    @cached_property
    def _by_length(self) -> dict[int, list[str]]:
        """The words of the titles by their length, for words that are misspelt."""
        found = defaultdict(list)
        for word in self.titles.vocab_dict:
            found[len(word)].append(word)
        return found

    def sources(
        self, title: str, question: str = "", k: int = 3, splits: Collection[str] = (), without: Collection[str] = ()
    ) -> list[Source]:
        """Return at most k rows whose titles agree with the asked one, best first; [] rather than unrelated rows.

        splits: only rows of these (default: all). without: uids that must not be found, such as the row that is asked about.
        """
        found = self.search(title, question, k, splits, without)
        return [source for source in found if source.score >= self.threshold]

    def search(
        self, title: str, question: str = "", k: int = 3, splits: Collection[str] = (), without: Collection[str] = ()
    ) -> list[Source]:
        """Return the k best rows as `sources` does, those below the threshold too."""
        asked = [self._spellings(word) for word in dict.fromkeys(fold(title))]
        title_words = [word for spellings in asked for word in spellings]
        words = [*title_words, *question_words(question)]
        scores = self._scores(self.titles, title_words) + TEXT_WEIGHT * self._scores(self.texts, words)
        for split, rows in self.dataset.items():
            if splits and split not in splits:
                scores[self.starts[split] : self.starts[split] + len(rows)] = 0
        positions = self._highest(scores, CANDIDATES + len(without))
        pairs = adjacent_pairs([spellings[0] for spellings in asked])
        matches = [
            Match(
                agreement=self._agreement(asked, row),
                word_pairs=len(pairs & adjacent_pairs(fold(row["title"]))),
                bm25=float(scores[position]),
                position=position,
                split=split,
                row=row,
            )
            for position, split, row in self._rows_at(positions)
            if row["uid"] not in without
        ]
        return [self._source(match, {*words}) for match in sorted(matches, key=Match.rank)[:k]]

    def _highest(self, scores: np.ndarray, count: int) -> list[int]:
        """Return the positions of the `count` highest scores above 0, best first; of equal ones the lower position."""
        count = min(count, self.rows)
        positions = np.argpartition(-scores, count - 1)[:count]
        return sorted((int(p) for p in positions if scores[p] > 0), key=lambda position: (-scores[position], position))

    def _source(self, match: Match, words: Collection[str]) -> Source:
        row = match.row
        return Source(
            uid=row["uid"],
            title=row["title"],
            score=round(match.agreement, 3),
            split=match.split,
            place=match.position - self.starts[match.split],
            sentences=tuple(best_sentences(row["content"], words)),
            content=row["content"],
        )

    def _scores(self, index, words: Iterable[str]) -> np.ndarray:
        """BM25 of every row for some words. Frequent words are left out, unless there are no others: then the rarest counts."""
        starts, ids = index.scores["indptr"], index.get_tokens_ids(list(dict.fromkeys(words)))
        ids.sort(key=lambda place: starts[place + 1] - starts[place])
        share, least = FREQUENT
        limit = max(share * self.rows, least)
        rare = [place for place in ids if starts[place + 1] - starts[place] <= limit]
        return np.array(index.get_scores_from_ids(rare or ids[:1]))

    def _rows_at(self, positions: list[int]) -> Iterator[tuple[int, str, dict]]:
        """Yield (position, split, row); the rows of a split are read at once."""
        for split, rows in self.dataset.items():
            start = self.starts[split]
            own = [position for position in positions if start <= position < start + len(rows)]
            columns = rows[[position - start for position in own]] if own else {}
            for number, position in enumerate(own):
                yield position, split, {name: values[number] for name, values in columns.items()}

    def _agreement(self, asked: list[list[str]], row: dict) -> float:
        """Return how well a row's title and the asked title agree, 0 to 1.

        It is the share of the asked words' weight that the row has: all of a word's weight if it is in the row's title, half
        if it is only in the description. The result is lowered by up to `ROW_TITLE` where the row's title has words that were
        not asked for, because people type less than retailers do. Weights are idf, so that a number or a name counts more than
        "of"; a word that no title has weighs as much as one that a single title has.

        Args:
            asked: the spellings of each asked word.
        """
        title_words, text_words = set(fold(row["title"])), set(fold(row["content"]))
        total = agreed = 0.0
        for spellings in asked:
            weight = self._weight(spellings)
            total += weight
            agreed += weight * (1.0 if title_words & {*spellings} else 0.5 if text_words & {*spellings} else 0.0)
        if not total:
            return 0.0
        weights = {word: self._weight([word]) for word in title_words}
        known = {word for spellings in asked for word in spellings}
        covered = sum(weights[word] for word in title_words & known) / max(sum(weights.values()), 1e-9)
        return agreed / total * (1 + ROW_TITLE * covered) / (1 + ROW_TITLE)

    def _weight(self, spellings: Collection[str]) -> float:
        ids = self.titles.get_tokens_ids(list(spellings))
        return float(self.weights[ids].max()) if ids else float(np.log(1 + (self.rows - 0.5) / 1.5))

    def _spellings(self, word: str) -> list[str]:
        """Return the word itself if a title has it, else up to three vocabulary words within edit distance 1.

        The distance is Damerau's (a letter inserted, deleted, replaced, or two swapped), 2 from eight letters on. Numbers and
        short words are never replaced.
        """
        if word in self.titles.vocab_dict or len(word) < 4 or any(c.isdigit() for c in word):
            return [word]
        edits = 1 if len(word) < 8 else 2
        near = [w for length in range(len(word) - edits, len(word) + edits + 1) for w in self._by_length[length]]
        candidates = process.extract(word, near, scorer=OSA.distance, score_cutoff=edits, limit=3)
        least = min((distance for _, distance, _ in candidates), default=0)
        return [other for other, distance, _ in candidates if distance == least] or [word]


def build(dataset, folder: Path) -> int:
    """Write both indexes of a `DatasetDict` with the columns title and content; returns the number of rows."""
    rows = sum(map(len, dataset.values()))
    for name, column in FIELDS.items():
        vocabulary: dict[str, int] = {}
        ids = []
        with tqdm(total=rows, desc=f"index: {name}", unit=" rows", disable=None) as bar:
            for text in _column(dataset, column):
                ids.append(array("i", [vocabulary.setdefault(word, len(vocabulary)) for word in fold(text)]))
                bar.update()
        index = bm25s.BM25(backend="numpy", csc_backend="numpy")
        index.index(bm25s.tokenization.Tokenized(ids, vocabulary), show_progress=False)
        index.save(folder / name, show_progress=False)
    return rows


def _column(dataset, column: str) -> Iterator[str]:
    for rows in dataset.values():
        for batch in rows.select_columns(column).iter(1000):
            yield from batch[column]


class Nearest:
    """BM25 (Lucene's variant, k1 = 1.5, b = 0.75) over training titles.

    Index the training split only: a test row in the index would find itself. For the same reason the nearest row to a
    training title is that title's own row, so the baseline means something for unseen titles only.

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

    def neighbors(self) -> list[int]:
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
