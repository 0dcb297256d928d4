"""Models by strangers: a folder is weights and settings, never a program."""

import json
import os
import shutil
from pathlib import Path

import pytest
import torch

from ftlib.models import load_plain, load_tokenizer
from ftlib.sources import fetch


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
    with pytest.raises(OSError, match="safetensors"):
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
