"""The sentences of a notebook are found in one module, wherever they are defined."""

import pytest

from ftlib.reporting import result_sentences, training_sentences


@pytest.mark.parametrize("module", [result_sentences, training_sentences])
def test_a_notebook_finds_every_sentence(module):
    """A name that was moved and not listed stops a notebook at an import, long after the tests passed."""
    assert all(callable(getattr(module, name)) for name in module.__all__ if name.startswith("about_"))
    with pytest.raises(AttributeError, match="it exports"):
        _ = module.about_nothing
