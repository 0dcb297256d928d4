"""Text metrics, one value a row: overlap with the reference, shape of the answer, what it invents, what it copies.

Seven `evaluate.Metric`s take `predictions` and `references` (lists of strings) and return means, or with `compute(...,
per_row=True)` the row values that the bootstrap needs. They are written here and never loaded with `evaluate.load`,
which fetches code from the hub: an evaluation must run offline. A leading prefix ("Description:") is stripped from answer and
reference before every text metric but `format`; a prefix on both sides would raise every overlap metric. Every row gets
a finite number; where a metric is undefined (an empty answer, say) its class states the value used. `nll` and
`bits_per_byte` need a model: see `runner`.
"""

from __future__ import annotations

from collections.abc import Sequence

import datasets
import evaluate
import numpy as np

from ftlib.data.lexical import FUNCTION_WORDS, unsupported, words
from ftlib.evaluation import text_scores
from ftlib.evaluation.metric_table import _ROUGE, GRAM, LONG_GRAM
from ftlib.prompts.templates import PREFIX, Passages, strip_prefix

Rows = dict[str, list[float]]


class RowMetric(evaluate.Metric):
    """An `evaluate.Metric` that gives a value a row; a subclass writes `rows(answers, references, **extra) -> Rows`.

    Further inputs of a metric (`titles`, `stopped`) are keyword arguments of `compute` with one entry per row; `prefix`
    (`prompt.prefix`) is stripped before `rows` is called, unless `keep_prefix`. Everything stays in memory: `evaluate` only
    creates an empty cache folder under HF_HOME.
    """

    keep_prefix = False

    def __init__(self, prefix: str = PREFIX, **kwargs):
        self.prefix = prefix
        super().__init__(keep_in_memory=True, **kwargs)

    def _info(self) -> evaluate.MetricInfo:
        text = datasets.Value("string")
        return evaluate.MetricInfo(
            description=self.__doc__ or "",
            citation="",
            inputs_description="predictions, references: lists of strings; per_row=True gives row values, not means.",
            features=datasets.Features({"predictions": text, "references": text}),
        )

    def _stripped(self, text: str) -> str:
        return strip_prefix(text, self.prefix)

    def _compute(self, predictions, references, per_row: bool = False, **extra) -> dict:
        if not len(predictions):
            raise ValueError("There are no answers to score; check that the split has rows.")
        for name, column in extra.items():
            if len(column) != len(predictions):
                raise ValueError(f"{name} has {len(column)} entries for {len(predictions)} answers; give one a row.")
        if not self.keep_prefix:
            predictions, references = map(self._stripped, predictions), map(self._stripped, references)
        rows = self.rows(list(predictions), list(references), **extra)
        return rows if per_row else {name: float(np.mean(values)) for name, values in rows.items()}


class Rouge(RowMetric):
    """ROUGE-1, -2, -L and -Lsum (Lin 2004) as the library rouge_score computes them, Porter stems included.

    The plain name is F1; `_p` and `_r` beside it are precision and recall. rougeLsum expects one sentence per line:
    sentences end at a line break or after . ! ? and white space. A text without a word scores 0.0. rouge_score reads
    a-z and 0-9 only, so letters with accents split a word.
    """

    def rows(self, answers, references):
        """Compute ROUGE of each row."""
        scores = text_scores.rouge(list(zip(answers, references, strict=True)))
        fields = {"": "fmeasure", "_p": "precision", "_r": "recall"}
        return {
            name + end: [float(getattr(score[name], field)) for score in scores]
            for name in _ROUGE
            for end, field in fields.items()
        }


class Chrf(RowMetric):
    """chrF2 of each answer (Popović 2015) as the library sacrebleu computes it, 0 to 100; an empty text scores 0.0."""

    def rows(self, answers, references):
        """Compute chrF of each row."""
        return {"chrf": text_scores.chrf(list(zip(answers, references, strict=True)))}


class Form(RowMetric):
    """`format`: the answer begins with the prefix, which no other metric measures. `stops`: it ended with an end token.

    Shares: 1.0 or 0.0 a row. Without a prefix there is no `format`. `stops` needs the extra
    argument `stopped` (a bool a row) and is left out without it.
    """

    keep_prefix = True

    def rows(self, answers, references, stopped: Sequence[bool] | None = None):
        """Compute `format` and `stops` of each row."""
        start = self.prefix.strip()
        rows = {"format": [float(answer.lstrip().startswith(start)) for answer in answers]} if start else {}
        return rows if stopped is None else rows | {"stops": [float(stop) for stop in stopped]}


class Shape(RowMetric):
    """Length and repetition of each answer: `length_ratio`, `distinct1`, `distinct2`, `rep4`.

    distinct-n (Li et al. 2016): different n-grams / n-grams, here of one answer. Over the whole corpus, as in the
    paper, the ratio falls with the number of answers and is no mean of rows, so it could not be bootstrapped.
    rep4 (seq-rep-4, Welleck et al. 2020): share of 4-grams that repeat an earlier one of the same answer.
    Undefined cases are 0.0: an answer too short to hold one n-gram, and the length ratio to a reference without words
    (cleaning drops such rows).
    """

    def rows(self, answers, references):
        """Compute lengths and repetition of each row."""
        tokens = [words(answer) for answer in answers]
        lengths = [len(words(reference)) for reference in references]
        return {
            "length_ratio": [len(t) / length if length else 0.0 for t, length in zip(tokens, lengths, strict=True)],
            "distinct1": [_distinct(t, 1) for t in tokens],
            "distinct2": [_distinct(t, 2) for t in tokens],
            "rep4": [1.0 - _distinct(t, 4) if len(t) >= 4 else 0.0 for t in tokens],
        }


def _distinct(tokens: list[str], n: int) -> float:
    grams = list(zip(*(tokens[start:] for start in range(n)), strict=False))
    return len(set(grams)) / len(grams) if grams else 0.0


class Grounding(RowMetric):
    """What the answer takes from its title and what it invents: `title_coverage`, `unsupported_numbers`.

    Needs the extra argument `titles`. title_coverage: share of the title's different content words and numbers (all but
    a few function words) that the answer has, exactly as spelled. A title of function words only ("It") counts them
    all; one without a word gives 0.0.
    unsupported_numbers: how many different numbers the answer has that its title does not give; a repeated number
    counts once, and one that the title writes in another form or inside a code (9000 of XJ9000) does not count. True
    descriptions add numbers too, so compare with the references' own value, not with 0.
    """

    def rows(self, answers, references, titles: Sequence[str]):
        """Compare each answer with its title."""
        pairs = list(zip(titles, answers, strict=True))
        return {
            "title_coverage": [_coverage(title, answer) for title, answer in pairs],
            "unsupported_numbers": [float(len(unsupported(answer, title))) for title, answer in pairs],
        }


def _coverage(title: str, answer: str) -> float:
    title_words = set(words(title))
    title_words = title_words - FUNCTION_WORDS or title_words
    return len(title_words & set(words(answer))) / len(title_words) if title_words else 0.0


class Context(RowMetric):
    """What the answer takes from its prompt with passages: `numbers_not_in_context`, and `copied_passage` if it has any.

    Needs the extra arguments `titles` and `passages` (a list of (title, description) a row). numbers_not_in_context: how many
    different numbers the answer has that neither title nor passages give. copied_passage: length of the longest run of the
    answer's words that stands in one passage's description, as a share of the answer's words; 0.0 for an answer without words.
    """

    def rows(self, answers, references, titles: Sequence[str], passages: Sequence[Passages]):
        """Compare each answer with its title and its passages."""
        texts = [
            " ".join([title, *(part for passage in row_passages for part in passage)])
            for title, row_passages in zip(titles, passages, strict=True)
        ]
        numbers = [float(len(unsupported(ans, text))) for ans, text in zip(answers, texts, strict=True)]
        results = {"numbers_not_in_context": numbers}
        if any(passages):
            results["copied_passage"] = text_scores.copied_share(list(zip(answers, passages, strict=True)))
        return results


class Verbatim(RowMetric):
    """`gram8_r`: the share of the reference's 8-word sequences that stand word for word in the answer (a recall).

    It measures how much of a learned description is reproduced verbatim. A reference of fewer words is one sequence;
    one without a word gives 0.0. Sequences that the reference repeats count once.
    """

    def rows(self, answers, references):
        """Compute `gram8_r` of each row."""
        return {
            "gram8_r": [_repeated(words(answer), words(ref)) for answer, ref in zip(answers, references, strict=True)]
        }


def _repeated(answer: list[str], reference: list[str]) -> float:
    size = min(LONG_GRAM, len(reference))
    if not size:
        return 0.0
    expected, produced = ({tuple(w[i : i + size]) for i in range(len(w) - size + 1)} for w in (reference, answer))
    return len(expected & produced) / len(expected)


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

    def __init__(self, training_texts: Sequence[str], prefix: str = PREFIX, **kwargs):
        super().__init__(prefix, **kwargs)
        if not len(training_texts):
            raise ValueError("There are no training texts, so every run would count 0; pass the training split.")
        self.vocabulary: dict[str, int] = {}
        texts = dict.fromkeys(self._stripped(text) for text in training_texts)  # duplicates add nothing
        ids = [[self.vocabulary.setdefault(w, len(self.vocabulary)) for w in words(text)] + [-1] for text in texts]
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


def score_rows(
    answers: Sequence[str],
    references: Sequence[str],
    titles: Sequence[str],
    stopped: Sequence[bool] | None,
    copied_run: CopiedRun | None = None,
    cosine: RowMetric | None = None,
    passages: Sequence[Passages] | None = None,
    prefix: str = PREFIX,
) -> Rows:
    """Compute every text metric of every row: `{name: [value of row 0, row 1, …]}`, under the names of `METRICS`.

    stopped: whether each answer ended with an end token; with None (baselines, which generate nothing) `stops` is left
    out, as are `copied_run` and `cosine` (see `embedding_similarity`) without their metric. passages: those of each prompt
    (default: none), for the metrics of `Context`. prefix: `prompt.prefix`. `nll` and `bits_per_byte` need the model.
    Raises ValueError if there are no rows or the lists differ in length.
    """
    texts = {"predictions": list(answers), "references": list(references), "per_row": True}
    rows = Rouge(prefix).compute(**texts) | Chrf(prefix).compute(**texts)
    rows |= Form(prefix).compute(**texts, **({} if stopped is None else {"stopped": stopped}))
    rows |= Verbatim(prefix).compute(**texts) | Shape(prefix).compute(**texts)
    rows |= Grounding(prefix).compute(**texts, titles=titles)
    rows |= Context(prefix).compute(**texts, titles=titles, passages=passages or [()] * len(answers))
    for metric in (copied_run, cosine):
        rows |= {} if metric is None else metric.compute(**texts)
    return rows
