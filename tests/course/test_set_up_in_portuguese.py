"""What the first cells of a Portuguese notebook print; the command line stays English beside them."""

import sys
from types import SimpleNamespace

import pytest
from portuguese import english_words

from ftlib import colab
from ftlib.app import console, notebook_page
from ftlib.cli import main
from ftlib.config.settings import PROFILES, pick_profile, profile_description
from ftlib.course import notebook, opening
from ftlib.data import file_search
from ftlib.runtime import hardware
from ftlib.runtime.language import tr, using


@pytest.fixture(autouse=True)
def portuguese(monkeypatch, tmp_path):
    """Print in Portuguese; keep what a set-up cell sets away from other tests."""
    monkeypatch.setenv("FTLIB_RUNS", str(tmp_path))
    with using("pt-BR"):
        yield


@pytest.mark.parametrize("variable", ["COLAB_RELEASE_TAG", "KAGGLE_KERNEL_RUN_TYPE", "NEITHER"])
def test_the_report_of_the_environment_is_portuguese(monkeypatch, capsys, variable):
    """The first output of the course would be the one that a student cannot read."""
    monkeypatch.setenv(variable, "played")
    notebook.report_environment()
    shown = capsys.readouterr().out
    assert shown.startswith("dispositivo: ") and "\nperfil: smoke (" in shown and "núcleos; memória: " in shown
    assert english_words(shown) == [], shown
    assert ("não há GPU" in shown) is (variable != "NEITHER") and ("execuções: " in shown) is ("COLAB" in variable)


def test_devices_memory_and_profiles_are_described_in_portuguese(monkeypatch):
    """A GPU changes the report, and nobody records a notebook on one."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    monkeypatch.setattr(hardware, "free_gpu_gib", lambda: 14.5)
    texts = [hardware.use_one_gpu(), hardware.free_memory(), *map(profile_description, PROFILES)]
    for capability in (None, (7, 5), (8, 0)):
        monkeypatch.setattr(hardware, "cuda_capability", lambda capability=capability: capability)
        texts.append(pick_profile({})[1])
    monkeypatch.setattr(hardware, "device_name", lambda: "Tesla T4")
    assert hardware.describe_device() == "Tesla T4"
    assert [english_words(text) for text in texts] == [[]] * len(texts), texts
    assert "14.5 GiB livres" in texts[1] and len(set(texts)) == len(texts)


def test_where_runs_are_kept_is_said_in_portuguese(monkeypatch, tmp_path):
    """`colab.py` imports nothing of ftlib, so the translation is handed in."""
    played = SimpleNamespace(mount=lambda place: None)
    monkeypatch.setitem(sys.modules, "google", SimpleNamespace(colab=SimpleNamespace(drive=played)))
    monkeypatch.setitem(sys.modules, "google.colab", SimpleNamespace(drive=played))
    monkeypatch.setattr(colab, "DRIVE", tmp_path / "drive")
    texts = [colab.keep_runs(False, tr), colab.keep_runs(True, tr)]
    monkeypatch.setattr(colab, "DRIVE", tmp_path / "drive" / "MyDrive" / "\0")
    texts.append(colab.keep_runs(True, tr))
    texts = [text.replace(str(tmp_path), "") for text in texts]
    assert all(text.startswith("execuções: ") and english_words(text) == [] for text in texts), texts


def test_the_data_is_described_in_portuguese(monkeypatch, tmp_path, settings):
    """The line that says which rows are used is the one that prevents a wrong conclusion."""
    unused = tuple(tmp_path / f"{number}.json" for number in range(7))
    prepared = {"file": "trn.json", "sample": False, "config": {"data": {"path": "auto"}}}
    texts = [file_search.describe(settings(**{"data.path": path})) for path in ("sample", "faq", "cups.csv")]
    for path, others in ((None, unused), (None, unused[:1]), (tmp_path / "trn.json", ())):
        monkeypatch.setattr(file_search, "search", lambda p=path, o=others: file_search.Search(p, o))
        texts.append(file_search.describe(settings(**{"data.path": "auto"})))
    texts.append(file_search.describe(settings(**{"data.path": "auto"}), prepared))
    texts = [text.replace(str(tmp_path), "") for text in texts]
    assert all(text.startswith("dados") and english_words(text) == [] for text in texts), texts


def test_the_opening_names_both_models_in_portuguese(monkeypatch, capsys, tmp_path):
    """The first answers of the course stand below these two lines."""
    models = opening.load_models()
    models.ask("Blue cup")
    shown = capsys.readouterr().out
    assert "modelo: " in shown and "treinado aqui, no perfil smoke" in shown
    assert "modelo base:\n" in shown and "modelo ajustado:\n" in shown
    monkeypatch.setenv("FTLIB_PROFILE", "cpu")
    for name in ("load_adapter", "load_plain", "load_tokenizer", "fetch"):
        monkeypatch.setattr(opening, name, lambda *_: None)
    opening.load_models()
    assert "com o adaptador que vem com o curso" in capsys.readouterr().out


def test_sources_are_listed_in_portuguese(monkeypatch, capsys):
    """Notebook 06 reads this list line by line."""
    rows = [
        SimpleNamespace(uid=f"u{n}", title="Cup", split=split, score=1.5, sentences=["Blue."])
        for n, split in enumerate(("train", "test"))
    ]
    monkeypatch.setattr(console, "sources_of", lambda *_: rows)
    monkeypatch.setattr(console, "supporting_sentences", lambda *_: rows)
    pair = SimpleNamespace(prompt_format=SimpleNamespace(prefix=""))
    sentences = [{"text": "Blue.", "supported": True}, {"text": "Red.", "supported": False}]
    result = {"sources": rows, "title": "Cup", "question": "", "answers": {}, "sentences": sentences}
    console.print_sources(pair, result)
    console.print_sources(pair, {"sources": []})
    monkeypatch.setitem(sys.modules, "ftlib.app.gradio_app", None)
    notebook_page.ask_page(pair, None)
    shown = capsys.readouterr().out
    assert "usada no treino" in shown and "conjunto test" in shown and "✓ sustentada por uma fonte: Blue." in shown
    assert english_words(shown.partition("a página precisa do Gradio")[0]) == [] and "só em texto" in shown


def test_the_command_line_stays_english(monkeypatch, capsys):
    """Its messages are searched on the web, and scripts read them."""
    monkeypatch.setenv("FTLIB_LANGUAGE", "pt-BR")
    assert main(["config"]) == 0
    assert "# profile smoke: FTLIB_PROFILE is set" in capsys.readouterr().out
