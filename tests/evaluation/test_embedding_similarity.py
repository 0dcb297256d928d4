"""The optional semantic metric: what it needs, and that it is computed as the model's page says."""

import numpy as np
import pytest
import smoke
import torch

from ftlib.evaluation import embedding_similarity
from ftlib.evaluation.row_metrics import score_rows


class Tiny(embedding_similarity.Cosine):
    """The metric on a random model of two layers: enough to see how texts are batched and pooled."""

    def __init__(self):
        from transformers import BertConfig, BertModel

        torch.manual_seed(0)
        sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
        self.tokenizer, self.embeddings = smoke.tokenizer(), {}
        self.model = BertModel(BertConfig(vocab_size=len(self.tokenizer), **sizes)).eval()


def test_without_the_weights_the_rest_is_measured_and_a_line_says_what_to_install(monkeypatch, capsys):
    """An evaluation of an hour must not end at an optional package."""
    monkeypatch.setattr(embedding_similarity, "PACKAGE", "no_such_package")
    assert embedding_similarity.cosine() is None
    assert 'pip install -e ".[semantic]"' in capsys.readouterr().out


def test_padding_does_not_change_an_embedding():
    """Means over padding would make a short answer look like every other short answer."""
    tiny, texts = Tiny(), ["A kettle.", "A blue kettle of two litres for the tea of eight people. " * 8]
    together, alone = tiny.embed(texts), np.concatenate([tiny.embed([text]) for text in texts])
    assert np.allclose(together, alone, atol=1e-5) and np.allclose(np.linalg.norm(together, axis=1), 1)


def test_each_row_is_compared_with_its_own_reference_and_an_empty_answer_scores_nothing():
    """Texts are sorted by length inside; a row that got its neighbor's embedding would go unnoticed."""
    tiny, texts = Tiny(), ["A lamp with a cord.", "Kettle", "A cup, white, of bone china, for coffee"]
    found = Tiny.rows(tiny, [*texts, ""], [*texts, "Kettle"])["cosine"]
    assert np.allclose(found, [1, 1, 1, 0], atol=1e-5)


@pytest.mark.skipif(embedding_similarity.model_folder() is None, reason="the extra `semantic` is not installed")
def test_the_packaged_weights_know_what_is_alike():
    """Weights that were not loaded give figures too, and nobody would see it in a table."""
    answers, references = (
        ["Description: a pot for boiling water", "a novel about the sea"],
        ["A kettle that heats water for tea"] * 2,
    )
    values = score_rows(answers, references, ["Kettle"] * 2, None, cosine=embedding_similarity.cosine())["cosine"]
    assert values[0] > 0.5 > values[1] + 0.2
