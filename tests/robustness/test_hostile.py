"""Models, texts and files by strangers: a folder is weights and settings, a text is text, a name is no path."""

import json
import os
import re
import shutil
from pathlib import Path

import pytest
import smoke
import torch

from ftlib.course import notebook
from ftlib.models.base_models import ModelError, fetch
from ftlib.models.loading import load_plain, load_tokenizer
from ftlib.prompts.encoding import encode_example
from ftlib.study.study_file import StudyError, load_study


class Evil:
    """Unpickled, it writes a file."""

    def __init__(self, mark):
        self.mark = str(mark)

    def __reduce__(self):
        return os.system, (f"touch {self.mark}",)


@pytest.fixture
def folder(tmp_path):
    return Path(shutil.copytree(fetch("tiny:llama"), tmp_path / "model"))


def test_pickled_weights_are_not_loaded(folder, tmp_path):
    """Unpickling runs whatever the file says, so a downloaded model could read the user's files."""
    (folder / "model.safetensors").unlink()
    torch.save({"weight": Evil(tmp_path / "mark")}, folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match="safetensors"):
        load_plain(str(folder), "float32")
    assert not (tmp_path / "mark").exists()


def test_code_in_a_model_folder_is_not_run(folder, tmp_path):
    """`auto_map` names Python files of the model's repository, which run with the user's rights."""
    config = json.loads((folder / "config.json").read_text())
    config["auto_map"] = {"AutoConfig": "evil.Config", "AutoModelForCausalLM": "evil.Model"}
    (folder / "config.json").write_text(json.dumps(config))
    tokenizer = json.loads((folder / "tokenizer_config.json").read_text())
    tokenizer["auto_map"] = {"AutoTokenizer": ["evil.Tokenizer", "evil.Tokenizer"]}
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer))
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'mark')!r}, 'w')\nConfig = Model = Tokenizer = object\n")
    load_plain(str(folder), "float32")
    load_tokenizer(str(folder))
    assert not (tmp_path / "mark").exists()


def test_a_product_cannot_become_html_in_a_notebook(monkeypatch):
    """A description with a script in it would run in the teacher's browser, with the notebook's rights."""
    shown = []
    monkeypatch.setattr(notebook, "_in_notebook", lambda: True)
    monkeypatch.setattr("IPython.display.display", lambda data, **_: shown.append(data["text/html"]))
    tokenizer = smoke.tokenizer()
    title, content = "<script>alert(1)</script>", "A lamp <img src=x onerror=alert(1)> & more."
    notebook.show_labels(tokenizer, encode_example(tokenizer, title, smoke.QUESTION, content))
    tags = re.findall(r"<[^>]*>?", shown[0])
    assert {tag.split()[0].rstrip(">") for tag in tags} == {
        "<div",
        "<span",
        "</span",
        "</div",
        "<br",
    } and "&lt;" in shown[0]


@pytest.mark.parametrize("name", ["../out", "/etc/x", "a/b", "..", ".hidden", "a\nb", "", "a\\b"])
def test_a_study_cannot_write_outside_its_folder(tmp_path, name):
    """Names of runs become folders; a study file by a stranger could overwrite the user's files."""
    path = tmp_path / "study.yaml"
    path.write_text(json.dumps({"name": "a", "profile": "smoke", "runs": [{"name": name}]}))
    with pytest.raises(StudyError, match="runs.0.name"):
        load_study(path)
