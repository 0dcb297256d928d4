"""Name every metric, the direction in which it is better, and what it means."""

from __future__ import annotations

from typing import NamedTuple

from ftlib.prompts.templates import PREFIX

# Raise it when a metric or its interval changes meaning: answers are then rescored, not regenerated.
DEFINITIONS = 2


GRAM = 5  # shortest run that counts as copied


LONG_GRAM = 8  # consecutive words that are rarely repeated by chance


class Column(NamedTuple):
    """One metric as a table shows it.

    better: "higher", "lower", or "reference" for a metric whose value for the reference text is the target: nearer to
    it is better, from either side. "neutral": neither direction is better.
    """

    name: str
    better: str
    description: str


_ROUGE = {
    "rouge1": "words shared with the reference",
    "rouge2": "word pairs shared with the reference",
    "rougeL": "longest common subsequence of words with the reference",
    "rougeLsum": "the same, sentence by sentence",
}


METRICS = [
    *(Column(name, "higher", f"{text} (F1, 0 to 1)") for name, text in _ROUGE.items()),
    *(
        Column(f"{name}_{letter}", "higher", f"{text} ({word}, 0 to 1)")
        for name, text in _ROUGE.items()
        for letter, word in (("p", "precision"), ("r", "recall"))
    ),
    Column(
        "gram8_r", "higher", f"share of the reference's {LONG_GRAM}-word sequences that the answer has word for word"
    ),
    Column("chrf", "higher", "character n-grams shared with the reference (chrF2, 0 to 100)"),
    Column("cosine", "higher", "closeness in meaning to the reference (all-MiniLM-L6-v2, -1 to 1; extra `semantic`)"),
    Column(
        "nll", "lower", "nats a token of the reference costs the model, prefix and end included (sum / sum of tokens)"
    ),
    Column("nll_content", "lower", "the same without the prefix and the end of the answer: the description alone"),
    Column("bits_per_byte", "lower", "`nll` in bits per UTF-8 byte of the answer, comparable between tokenizers"),
    Column(
        "nll_per_byte", "lower", "nats a byte of general text costs the model: what fine-tuning forgot (`retention`)"
    ),
    Column("format", "higher", f'share of answers that begin with "{PREFIX.strip()}"'),
    Column("stops", "higher", "share of answers the model ended by itself"),
    Column("length_ratio", "reference", "words of the answer / words of the reference; tables show the median"),
    Column("distinct1", "reference", "different words / words of the answer (falls as answers get longer)"),
    Column("distinct2", "reference", "different word pairs / word pairs of the answer"),
    Column("rep4", "lower", "share of the answer's 4-word sequences that repeat an earlier one"),
    Column("title_coverage", "reference", "share of the title's content words and numbers that the answer names"),
    Column("unsupported_numbers", "reference", "different numbers in the answer that the title does not give"),
    Column("numbers_not_in_context", "reference", "the same, that neither title nor passages give"),
    Column("copied_passage", "neutral", "longest run of words from one passage of the prompt / words of the answer"),
    Column("copied_run", "reference", f"longest run of words that stands in one training description (0 below {GRAM})"),
]


BETTER = {column.name: column.better for column in METRICS}


SHARES = ("format", "stops")  # 0 or 1 a row


BETTER_TEXT = {
    "higher": "higher is better",
    "lower": "lower is better",
    "reference": "nearer to the reference is better",
    "neutral": "",
}
