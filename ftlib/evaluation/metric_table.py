"""Name every metric, the direction in which it is better, and what it means."""

from __future__ import annotations

from typing import NamedTuple

from ftlib.prompts.templates import PREFIX
from ftlib.runtime.language import to_translate, tr

# Raise it when a metric or its interval changes meaning: answers are then rescored, not regenerated.
DEFINITIONS = 2


GRAM = 5  # shortest run that counts as copied


LONG_GRAM = 8  # consecutive words that are rarely repeated by chance


class Column(NamedTuple):
    """One metric as a table shows it.

    better: "higher", "lower", or "reference" for a metric whose value for the reference text is the target: nearer to
    it is better, from either side. "neutral": neither direction is better. description and scale: see `describe`.
    """

    name: str
    better: str
    description: str
    scale: str = ""


def describe(column: Column) -> str:
    """Return what a metric measures, in the reader's language."""
    text = tr(column.description, gram=GRAM, long_gram=LONG_GRAM, prefix=PREFIX.strip())
    return f"{text} {tr(column.scale)}" if column.scale else text


_ROUGE = {
    "rouge1": to_translate("words shared with the reference"),
    "rouge2": to_translate("word pairs shared with the reference"),
    "rougeL": to_translate("longest common subsequence of words with the reference"),
    "rougeLsum": to_translate("the same, sentence by sentence"),
}


METRICS = [
    *(Column(name, "higher", text, to_translate("(F1, 0 to 1)")) for name, text in _ROUGE.items()),
    *(
        Column(f"{name}_{letter}", "higher", text, scale)
        for name, text in _ROUGE.items()
        for letter, scale in (
            ("p", to_translate("(precision, 0 to 1)")),
            ("r", to_translate("(recall, 0 to 1)")),
        )
    ),
    Column(
        "gram8_r",
        "higher",
        to_translate("share of the reference's {long_gram}-word sequences that the answer has word for word"),
    ),
    Column("chrf", "higher", to_translate("character n-grams shared with the reference (chrF2, 0 to 100)")),
    Column(
        "cosine",
        "higher",
        to_translate("closeness in meaning to the reference (all-MiniLM-L6-v2, -1 to 1; extra `semantic`)"),
    ),
    Column(
        "nll",
        "lower",
        to_translate("nats a token of the reference costs the model, prefix and end included (sum / sum of tokens)"),
    ),
    Column(
        "nll_content",
        "lower",
        to_translate("the same without the prefix and the end of the answer: the description alone"),
    ),
    Column(
        "bits_per_byte",
        "lower",
        to_translate("`nll` in bits per UTF-8 byte of the answer, comparable between tokenizers"),
    ),
    Column(
        "nll_per_byte",
        "lower",
        to_translate("nats a byte of general text costs the model: what fine-tuning forgot (`retention`)"),
    ),
    Column("format", "higher", to_translate('share of answers that begin with "{prefix}"')),
    Column("stops", "higher", to_translate("share of answers the model ended by itself")),
    Column(
        "length_ratio",
        "reference",
        to_translate("words of the answer / words of the reference; tables show the median"),
    ),
    Column(
        "distinct1", "reference", to_translate("different words / words of the answer (falls as answers get longer)")
    ),
    Column("distinct2", "reference", to_translate("different word pairs / word pairs of the answer")),
    Column("rep4", "lower", to_translate("share of the answer's 4-word sequences that repeat an earlier one")),
    Column(
        "title_coverage",
        "reference",
        to_translate("share of the title's content words and numbers that the answer names"),
    ),
    Column(
        "unsupported_numbers", "reference", to_translate("different numbers in the answer that the title does not give")
    ),
    Column("numbers_not_in_context", "reference", to_translate("the same, that neither title nor passages give")),
    Column(
        "copied_passage",
        "neutral",
        to_translate("longest run of words from one passage of the prompt / words of the answer"),
    ),
    Column(
        "copied_run",
        "reference",
        to_translate("longest run of words that stands in one training description (0 below {gram})"),
    ),
]


BETTER = {column.name: column.better for column in METRICS}


SHARES = ("format", "stops")  # 0 or 1 a row


BETTER_TEXT = {
    "higher": to_translate("higher is better"),
    "lower": to_translate("lower is better"),
    "reference": to_translate("nearer to the reference is better"),
    "neutral": "",
}
