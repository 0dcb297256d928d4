"""Text metrics, one value a row: overlap with the reference, shape of the answer, what it invents, what it copies.

A leading prefix ("Description:") is stripped from answer and reference before every text metric but `format`; a prefix on both
sides would raise every overlap metric. Every row gets a finite number; where a metric is undefined (an empty answer, say) its
class states the value used. `nll` and `bits_per_byte` need a model: see `runner`.

All metrics of a row take milliseconds, so the rows are shared out over the cores. Worker processes import this module, which
imports none of torch, datasets and evaluate: they take longer to import than a thousand rows take to score. The libraries of
ROUGE and chrF are imported where they are used, by the worker processes. `metrics` has the same as `evaluate.Metric`s.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from ftlib.data.lexical import FUNCTION_WORDS, unsupported, words
from ftlib.evaluation.metric_table import _ROUGE, LONG_GRAM
from ftlib.prompts.templates import PREFIX, Passages, strip_prefix
from ftlib.runtime.processes import in_processes

Rows = dict[str, list[float]]

SHARE = 32  # rows that a process should score at least
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\s*\n\s*")


class RowMetric:
    """A metric that gives a value a row; a subclass writes `rows(answers, references, **extra) -> Rows`.

    `needs` names the further inputs that `rows` takes, with one entry per row. `prefix` (`prompt.prefix`) is stripped before
    `rows` is called, unless `keep_prefix`.
    """

    keep_prefix = False
    needs: tuple[str, ...] = ()

    def __init__(self, prefix: str = PREFIX):
        self.prefix = prefix

    def stripped(self, text: str) -> str:
        """Return a text without the prefix."""
        return strip_prefix(text, self.prefix)

    def rows(self, *texts: Any, **extra: Any) -> Rows:
        """Compute the values of each row; the texts have no prefix."""
        raise NotImplementedError


def compute_rows(
    metrics: Sequence[RowMetric], answers: Sequence[str], references: Sequence[str], **extra: Sequence
) -> Rows:
    """Compute metrics of every row, the rows shared out over the cores: `{name: [value of row 0, row 1, …]}`.

    extra: what the metrics need, one entry per row. Raises ValueError if there are no rows or the lists differ in length.
    """
    columns: dict[str, Sequence] = {"answers": answers, "references": references, **extra}
    if not len(answers):
        raise ValueError("There are no answers to score; check that the split has rows.")
    for name, column in columns.items():
        if len(column) != len(answers):
            raise ValueError(f"{name} has {len(column)} entries for {len(answers)} answers; give one a row.")
    items = list(zip(*columns.values(), strict=True))
    scored = in_processes(functools.partial(_score, list(metrics), list(columns)), items, SHARE)
    return {name: [row[name] for row in scored] for name in scored[0]}


def _score(metrics: list[RowMetric], names: list[str], items: list[tuple]) -> list[dict[str, float]]:
    """Return {metric: value} of each row. items: a row's values of the columns `names`."""
    columns: dict[str, list] = dict(zip(names, map(list, zip(*items, strict=True)), strict=True))
    rows: Rows = {}
    for metric in metrics:
        texts: list[list[str]] = [columns["answers"], columns["references"]]
        if not metric.keep_prefix:
            texts = [list(map(metric.stripped, column)) for column in texts]
        rows |= metric.rows(*texts, **{name: columns[name] for name in metric.needs if name in columns})
    return [dict(zip(rows, values, strict=True)) for values in zip(*rows.values(), strict=True)]


class Rouge(RowMetric):
    """ROUGE-1, -2, -L and -Lsum (Lin 2004) as the library rouge_score computes them, Porter stems included.

    The plain name is F1; `_p` and `_r` beside it are precision and recall. rougeLsum expects one sentence per line:
    sentences end at a line break or after . ! ? and white space. A text without a word scores 0.0. rouge_score reads
    a-z and 0-9 only, so letters with accents split a word.
    """

    def rows(self, answers, references):
        """Compute ROUGE of each row."""
        from rouge_score.rouge_scorer import RougeScorer

        scorer = RougeScorer(list(_ROUGE), tokenizer=_StemTokenizer())
        pairs = zip(answers, references, strict=True)
        scores = [scorer.score(_lines(reference), _lines(answer)) for answer, reference in pairs]
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
        from sacrebleu.metrics.chrf import CHRF

        metric, pairs = CHRF(), zip(answers, references, strict=True)
        return {"chrf": [metric.sentence_score(answer, [reference]).score for answer, reference in pairs]}


class Form(RowMetric):
    """`format`: the answer begins with the prefix, which no other metric measures. `stops`: it ended with an end token.

    Shares: 1.0 or 0.0 a row. Without a prefix there is no `format`. `stops` needs the extra
    argument `stopped` (a bool a row) and is left out without it.
    """

    keep_prefix = True
    needs = ("stopped",)

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

    needs = ("titles",)

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

    Needs the extra argument `titles`, and `passages` (a list of (title, description) a row) if the prompts have them.
    numbers_not_in_context: how many different numbers the answer has that neither title nor passages give. copied_passage: length
    of the longest run of the answer's words that stands in one passage's description, as a share of the answer's words; 0.0 for
    an answer without words, left out without `passages`.
    """

    needs = ("titles", "passages")

    def rows(self, answers, references, titles: Sequence[str], passages: Sequence[Passages] | None = None):
        """Compare each answer with its title and its passages."""
        given = [()] * len(answers) if passages is None else passages
        texts = [
            " ".join([title, *(part for passage in row_passages for part in passage)])
            for title, row_passages in zip(titles, given, strict=True)
        ]
        numbers = [float(len(unsupported(ans, text))) for ans, text in zip(answers, texts, strict=True)]
        results = {"numbers_not_in_context": numbers}
        if passages is not None:
            results["copied_passage"] = [
                _longest_run(words(answer), [words(content) for _, content in row_passages])
                for answer, row_passages in zip(answers, passages, strict=True)
            ]
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


class _StemTokenizer:
    """rouge_score's own tokenizer with stemming, but each word is stemmed once, which halves the time."""

    def __init__(self):
        from nltk.stem.porter import PorterStemmer

        self.stem = functools.lru_cache(maxsize=2**16)(PorterStemmer().stem)

    def tokenize(self, text: str) -> list[str]:
        from rouge_score.tokenize import tokenize

        return tokenize(text, self)


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


def score_rows(
    answers: Sequence[str],
    references: Sequence[str],
    titles: Sequence[str],
    stopped: Sequence[bool] | None,
    copied_run: RowMetric | None = None,
    cosine: RowMetric | None = None,
    passages: Sequence[Passages] | None = None,
    prefix: str = PREFIX,
) -> Rows:
    """Compute every text metric of every row: `{name: [value of row 0, row 1, …]}`, under the names of `METRICS`.

    stopped: whether each answer ended with an end token; with None (baselines, which generate nothing) `stops` is left
    out, as are `copied_run` (see `copied_runs`) and `cosine` (see `embedding_similarity`) without their metric. passages: those
    of each prompt (default: none), for the metrics of `Context`. prefix: `prompt.prefix`. `nll` and `bits_per_byte` need the
    model. Raises ValueError if there are no rows or the lists differ in length.
    """
    extra: dict[str, Sequence] = {"titles": titles}
    if stopped is not None:
        extra["stopped"] = stopped
    if passages is not None and any(passages):
        extra["passages"] = passages
    metrics: list[RowMetric] = [each(prefix) for each in (Rouge, Chrf, Form, Verbatim, Shape, Grounding, Context)]
    rows = compute_rows([*metrics, *([] if copied_run is None else [copied_run])], answers, references, **extra)
    if cosine is not None:  # in this process, which has its model
        rows |= cosine.rows(list(map(cosine.stripped, answers)), list(map(cosine.stripped, references)))
    return rows
