"""The opening of notebook 01 works where nothing was trained, and says which model answers."""

import pytest

from ftlib.course import opening, pretrained_adapter
from ftlib.pipeline.stage import Run


def test_at_smoke_size_both_models_answer(tmp_path, monkeypatch, capsys):
    """The first output of the course; the base's answer must not come from the fine-tuned weights."""
    monkeypatch.setenv("FTLIB_PROFILE", "smoke")
    monkeypatch.setenv("FTLIB_RUNS", str(tmp_path))
    models = opening.load_models()
    assert "trained here at profile smoke" in capsys.readouterr().out
    answers = models.ask("Blue cup")
    shown = capsys.readouterr().out
    assert list(answers) == ["base", "tuned"] and "base model:" in shown and "fine-tuned model:" in shown
    for module in models.model.modules():  # with B at zero again, the fine-tuned model is the base
        if hasattr(module, "lora_B"):
            module.lora_B["default"].weight.data.zero_()
    assert models.ask("Blue cup")["tuned"].text == answers["base"].text


@pytest.mark.parametrize(("shipped", "expected"), [(True, opening.SHIPPED), (False, "trained here at profile cpu")])
def test_the_origin_of_the_adapter_is_named(tmp_path, monkeypatch, capsys, shipped, expected):
    """A reader who has trained must not be told that the course's adapter answered, and the other way round."""
    monkeypatch.setenv("FTLIB_PROFILE", "cpu")
    monkeypatch.setenv("FTLIB_RUNS", str(tmp_path))
    stage = Run(tmp_path / "cpu").stage("adapter")
    monkeypatch.setattr(type(stage), "complete", property(lambda self: not shipped))
    monkeypatch.setattr(type(stage), "manifest", lambda self: {})
    folders = []
    monkeypatch.setattr(opening, "load_adapter", lambda base, folder: folders.append(folder))
    for name in ("load_plain", "load_tokenizer", "fetch"):
        monkeypatch.setattr(opening, name, lambda *_: None)
    opening.load_models()
    assert expected in capsys.readouterr().out
    assert (folders[0] == pretrained_adapter.FOLDER) is shipped
