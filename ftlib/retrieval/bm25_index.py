"""Retrieve catalog rows for a title and a question with BM25, from an index on disk.

`Index` searches titles and descriptions of all splits, for the sample as for a million rows. BM25 (Robertson and Zaragoza 2009,
"The Probabilistic Relevance Framework: BM25 and Beyond") comes from bm25s (Lù 2024) with its numpy backend: no embedding model
and no download, and the same result on every machine. Its arrays are memory-mapped, so a search reads only the postings of its
words. `ftlib run` builds the stage `index/`; `Index.open(dataset, folder).sources("blue cup", "how large is it?")` searches it.
"""

from __future__ import annotations

import sys
from array import array
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
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
    """Import bm25s as if JAX were not installed.

    If JAX is available, as on Colab, bm25s initializes it, and JAX then reserves three quarters of the GPU's memory. We use only
    bm25s' numpy backend.
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
FIELDS = {"titles": "title", "texts": "content"}  # {folder of an index: the column it indexes}
TEXT_WEIGHT = 0.3  # weight of the description's BM25 score relative to the title's, for selecting candidates
ROW_TITLE = (
    0.25  # weight of the row's title words that the query lacks, relative to the query's words that the row lacks
)
CANDIDATES = 50  # rows with the highest BM25 scores that are compared with the query word by word
CACHED_ROWS = 20_000  # rows whose words stay in memory, for the search of many titles
# Words in more than this share of the rows, and in more rows than this, are skipped: they cost most of the time and help little.
FREQUENT = 0.25, 5000


@dataclass(frozen=True)
class Source:
    """A retrieved row.

    Attributes:
        uid: of the row.
        title: of the row.
        score: agreement of its title with the query, 0 to 1.
        split: of the data set: 'train' for rows that the model was trained on.
        row_idx: index within the split.
        sentences: those of the description that match the query best, in their order.
        content: the description.
    """

    uid: str
    title: str
    score: float
    split: str
    row_idx: int
    sentences: tuple[str, ...]
    content: str


@dataclass(frozen=True)
class Match:
    """A candidate row with its ranking criteria.

    Attributes:
        agreement: of the row's title with the query, 0 to 1; see `Index._agreement`.
        word_pairs: pairs of adjacent words that both titles have.
        bm25: weighted score of title and description.
        position: index in the concatenated splits.
        split: of the row.
        row: uid, title and content.
    """

    agreement: float
    word_pairs: int
    bm25: float
    position: int
    split: str
    row: dict

    def rank(self) -> tuple:
        """Return the sort key: best first, ties by position."""
        return (-self.agreement, -self.word_pairs, -self.bm25, self.position)


@dataclass(frozen=True)
class RowWords:
    """The words of a row, as ranking needs them.

    Attributes:
        title: {word of the title: its idf weight}.
        total: sum of these weights.
        pairs: pairs of adjacent words of the title.
        text: words of the description.
    """

    title: dict[str, float]
    total: float
    pairs: set[tuple[str, str]]
    text: frozenset[str]


@dataclass(frozen=True)
class Query:
    """The words of a title that is searched for.

    Attributes:
        spellings: of each word, see `Index._spellings`.
        weights: idf weight of each word.
        words: all spellings, without repetition.
        pairs: pairs of adjacent words.
    """

    spellings: list[list[str]]
    weights: list[float]
    words: list[str]
    pairs: set[tuple[str, str]]


class Index:
    """Search index over titles and descriptions of a data set: `build` it once, then `open` it."""

    def __init__(self, dataset, titles, texts, threshold: float):
        self.folder: Path | None = None
        self._row_words: dict[int, RowWords] = {}
        self._word_weights: dict[str, float] = {}
        self.dataset = {split: rows.select_columns(COLUMNS) for split, rows in dataset.items()}
        self.titles, self.texts, self.threshold = titles, texts, threshold
        self.starts = dict(zip(dataset, np.cumsum([0, *map(len, dataset.values())]).tolist(), strict=False))
        self.rows = sum(map(len, dataset.values()))
        frequency = np.diff(titles.scores["indptr"])
        self.weights = np.log(1 + (self.rows - frequency + 0.5) / (frequency + 0.5))  # Lucene's idf, as in the scores

    @classmethod
    def open(cls, dataset, folder: Path) -> Index:
        """Open an index.

        Args:
            dataset: the `DatasetDict` that was indexed.
            folder: the folder that `build` wrote.
        """
        titles, texts = (bm25s.BM25.load(folder / name, mmap=True, show_progress=False) for name in FIELDS)
        index = cls(dataset, titles, texts, read_json(folder / "threshold.json")["threshold"])
        index.folder = folder
        return index

    @cached_property
    def _by_length(self) -> dict[int, list[str]]:
        """Group the titles' vocabulary by word length, for spelling correction."""
        groups = defaultdict(list)
        for word in self.titles.vocab_dict:
            groups[len(word)].append(word)
        return groups

    def sources(
        self, title: str, question: str = "", k: int = 3, splits: Collection[str] = (), without: Collection[str] = ()
    ) -> list[Source]:
        """Return at most k rows whose score reaches the threshold, best first.

        Args:
            title: of a product.
            question: about it; its words select sentences and candidates.
            k: maximum number of rows.
            splits: search only these (default: all).
            without: uids to exclude, such as that of the product itself.
        """
        results = self.search(title, question, k, splits, without)
        return [source for source in results if source.score >= self.threshold]

    def search(
        self, title: str, question: str = "", k: int = 3, splits: Collection[str] = (), without: Collection[str] = ()
    ) -> list[Source]:
        """Return the k best rows, including those below the threshold; arguments as `sources`."""
        matches, words = self._matches(title, question, splits, len(without))
        return [self._source(match, words) for match in matches if match.row["uid"] not in without][:k]

    def positions(
        self, title: str, k: int, splits: Collection[str] = (), without: Collection[int] = ()
    ) -> list[tuple[str, int]]:
        """Return (split, row index) of the k best rows for a title, best first.

        Args:
            title: of a product.
            k: maximum number of rows; as many are found, unless fewer share a word with the title.
            splits: search only these (default: all).
            without: positions in the concatenated splits to exclude.
        """
        matches, _ = self._matches(title, "", splits, excluded=without)
        return [(match.split, match.position - self.starts[match.split]) for match in matches[:k]]

    def _matches(
        self, title: str, question: str, splits: Collection[str], extra: int = 0, excluded: Collection[int] = ()
    ) -> tuple[list[Match], set[str]]:
        """Return the candidates, best first, and the words that were searched for.

        Args:
            title, question, splits: as in `sources`.
            extra: candidates beyond CANDIDATES.
            excluded: positions that are no candidates.
        """
        query = self._query(title)
        words = [*query.words, *question_words(question)]
        scores = self._scores(self.titles, query.words) + TEXT_WEIGHT * self._scores(self.texts, words)
        for split, rows in self.dataset.items():
            if splits and split not in splits:
                scores[self.starts[split] : self.starts[split] + len(rows)] = 0
        scores[list(excluded)] = 0
        matches = []
        for position, split, row in self._rows_at(self._highest(scores, CANDIDATES + extra)):
            row_words = self._words_of(position, row)
            agreement, word_pairs = self._agreement(query, row_words), len(query.pairs & row_words.pairs)
            matches.append(Match(agreement, word_pairs, float(scores[position]), position, split, row))
        return sorted(matches, key=Match.rank), {*words}

    def _highest(self, scores: np.ndarray, count: int) -> list[int]:
        """Return the positions of the `count` highest positive scores, best first, ties by position."""
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
            row_idx=match.position - self.starts[match.split],
            sentences=tuple(best_sentences(row["content"], words)),
            content=row["content"],
        )

    def _scores(self, index, words: Iterable[str]) -> np.ndarray:
        """Return the BM25 score of every row for some words, (rows,).

        Frequent words are skipped; if all words are frequent, only the rarest counts.
        """
        starts, ids = index.scores["indptr"], index.get_tokens_ids(list(dict.fromkeys(words)))
        ids.sort(key=lambda word_id: starts[word_id + 1] - starts[word_id])  # by document frequency
        share, least = FREQUENT
        limit = max(share * self.rows, least)
        rare = [word_id for word_id in ids if starts[word_id + 1] - starts[word_id] <= limit]
        return np.array(index.get_scores_from_ids(rare or ids[:1]))

    def _rows_at(self, positions: list[int]) -> Iterator[tuple[int, str, dict]]:
        """Yield (position, split, row); the rows of a split are read in one call."""
        for split, rows in self.dataset.items():
            start = self.starts[split]
            in_split = [position for position in positions if start <= position < start + len(rows)]
            columns = rows[[position - start for position in in_split]] if in_split else {}
            for column_idx, position in enumerate(in_split):
                yield position, split, {name: values[column_idx] for name, values in columns.items()}

    def _query(self, title: str) -> Query:
        spellings = [self._spellings(word) for word in dict.fromkeys(fold(title))]
        return Query(
            spellings,
            [max(map(self._weight, alternatives)) for alternatives in spellings],
            list(dict.fromkeys(word for alternatives in spellings for word in alternatives)),
            adjacent_pairs([alternatives[0] for alternatives in spellings]),
        )

    def _agreement(self, query: Query, row: RowWords) -> float:
        """Return the agreement of a row with the query, 0 to 1.

        It is the share of the query's idf weight that the row covers: a word counts fully if it is in the row's title, half if
        it is only in the description. Words of the row's title that are not in the query lower the result by at most a factor
        of 1 + ROW_TITLE; their weight is small because people type less than retailers write. A word that is in no title weighs
        as much as one that is in a single title.
        """
        agreed = 0.0
        for spellings, weight in zip(query.spellings, query.weights, strict=True):
            if any(word in row.title for word in spellings):
                agreed += weight
            elif any(word in row.text for word in spellings):
                agreed += 0.5 * weight
        total = sum(query.weights)
        if not total:
            return 0.0
        # in the query's order: the sum of a set's words would differ in its last digit from process to process
        covered = sum(row.title.get(word, 0.0) for word in query.words) / max(row.total, 1e-9)
        return agreed / total * (1 + ROW_TITLE * covered) / (1 + ROW_TITLE)

    def _words_of(self, position: int, row: dict) -> RowWords:
        """Return the words of a row; those of CACHED_ROWS rows stay in memory."""
        words = self._row_words.get(position)
        if words is None:
            if len(self._row_words) >= CACHED_ROWS:
                self._row_words.clear()
            title_words, text_words = fold(row["title"]), frozenset(map(sys.intern, fold(row["content"])))
            title = {word: self._weight(word) for word in dict.fromkeys(title_words)}
            words = RowWords(title, sum(title.values()), adjacent_pairs(title_words), text_words)
            self._row_words[position] = words
        return words

    def _weight(self, word: str) -> float:
        """Return the idf weight of a word; a word that is in no title weighs as much as one in a single title."""
        if word not in self._word_weights:
            ids = self.titles.get_tokens_ids([word])
            self._word_weights[word] = float(self.weights[ids[0]] if ids else np.log(1 + (self.rows - 0.5) / 1.5))
        return self._word_weights[word]

    def _spellings(self, word: str) -> list[str]:
        """Return the word itself if a title has it, else up to three vocabulary words within edit distance 1.

        The limit is 2 from eight letters on. The distance is Damerau-Levenshtein: a letter inserted, deleted, replaced, or two
        swapped. Numbers and words of up to three letters are never corrected.
        """
        if word in self.titles.vocab_dict or len(word) < 4 or any(c.isdigit() for c in word):
            return [word]
        edits = 1 if len(word) < 8 else 2
        near = [w for length in range(len(word) - edits, len(word) + edits + 1) for w in self._by_length[length]]
        candidates = process.extract(word, near, scorer=OSA.distance, score_cutoff=edits, limit=3)
        least = min((distance for _, distance, _ in candidates), default=0)
        return [other for other, distance, _ in candidates if distance == least] or [word]


def build(dataset, folder: Path) -> int:
    """Write both indexes of a `DatasetDict` with the columns title and content; return the number of rows."""
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
