"""The format of prompts and targets is a setting, and whatever reads or strips it follows the setting."""

import pytest
import smoke

from ftlib.app.html import answer, wordings
from ftlib.app.model_pair import Pair, language_note, stream_one
from ftlib.app.session import blinded
from ftlib.config.settings import Config, ConfigError, parse_setting
from ftlib.data.dataset import dataset_row
from ftlib.data.raw_reader import Row
from ftlib.evaluation.row_metrics import score_rows
from ftlib.export.gguf import prompt_note
from ftlib.models.likelihood import prefix_tokens
from ftlib.prompts.encoding import encode_prompt, encode_rows, text_ids
from ftlib.prompts.templates import DEFAULT_FORMAT, PREFIX, TEMPLATE, build_prompt, open_prompt, strip_prefix
from ftlib.retrieval.attribution import mark
from ftlib.study.study_rows import reworded

QA = {"prompt.template": "Responda.\nPergunta: {title}", "prompt.prefix": "Resposta: "}


def test_default_is_the_references_format(settings):
    """A byte that changes invalidates every trained adapter and every recorded result."""
    assert settings().prompt_format == DEFAULT_FORMAT == (TEMPLATE, PREFIX)
    assert build_prompt("Cup", "What is it?") == (
        "Based on the product title below, answer the question.\nQuestion: What is it?\nTitle: Cup"
    )


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("Title: {name}", r"\{name\} is no field; allowed are \{title\} and \{question\}"),
        ("Title: {}", "is no field"),
        ("Title: {title.__class__}", r"\{title.__class__\} is no field"),
        ("Title: {title:>9}", "without : or !"),
        ("Question: {question}", r"\{title\} is missing"),
        ("Set { of {title}", "brace"),
        (r"Q\n{title}", "put the value in double quotes"),
    ],
)
def test_an_invalid_template_is_refused_before_any_work(settings, template, words):
    """A misspelled field would end the preparation of two million rows with a KeyError, or train every row on one prompt."""
    with pytest.raises(ConfigError, match=words) as error:
        settings(**{"prompt.template": template})
    assert "prompt.template = " in str(error.value) and "\n" not in str(error.value)


def test_a_template_is_set_on_the_command_line_and_in_the_environment():
    """`Answer: ` is a mapping in YAML, and a line end cannot be typed into an unquoted value."""
    pairs = ['prompt.template="Q: {title}\\nA {{short}} answer"', "prompt.prefix=Answer: ", "prompt.prefix="]
    (_, template), (_, prefix), (_, nothing) = map(parse_setting, pairs)
    assert (prefix, nothing) == ("Answer: ", "")
    assert build_prompt("{x}?", template=template) == "Q: {x}?\nA {short} answer"
    cfg = Config.load("smoke", env={"FTLIB_PROMPT__PREFIX": "Answer: "})
    assert cfg.prompt.prefix == "Answer: "
    with pytest.raises(ConfigError, match="one line"):
        Config.load("smoke", env={}, prompt__prefix="a\nb")


def test_rows_are_encoded_in_the_configured_format(settings):
    """A training on one format and an evaluation on another measure two things."""
    cfg, tokenizer = settings(**QA), smoke.tokenizer()
    row = dataset_row(Row("1", "Como devolvo?", "Ligue para a loja."), cfg)
    assert (
        row["input_text"] == "Responda.\nPergunta: Como devolvo?"
        and row["target_text"] == "Resposta: Ligue para a loja."
    )
    (example,) = encode_rows(tokenizer, [row], cfg.train, prompt_format=cfg.prompt_format)
    assert example["input_ids"][: example["prompt_tokens"]] == encode_prompt(tokenizer, row["input_text"])
    assert example["input_ids"][example["prompt_tokens"] : -1] == text_ids(tokenizer, row["target_text"])
    passages = {"1": [("Outra pergunta?", "Outra resposta.")]}
    (with_passage,) = encode_rows(tokenizer, [row], cfg.train, passages=passages, prompt_format=cfg.prompt_format)
    text = open_prompt(row["input_text"], passages["1"], cfg.prompt.prefix)
    assert "Resposta: Outra resposta." in text and "Description" not in text
    assert with_passage["input_ids"][: with_passage["prompt_tokens"]] == encode_prompt(tokenizer, text)
    assert reworded(row, 1, ["What is it?"], cfg.prompt.template)["input_text"] == row["input_text"]


def test_metrics_strip_and_count_the_configured_prefix():
    """With the prefix on both sides every answer would score, and `format` would look for an English word."""
    answers, references = ["Resposta: azul", "Description: azul"], ["Resposta: azul", "azul"]
    rows = score_rows(answers, references, ["a", "b"], [True, True], prefix="Resposta: ")
    assert rows["format"] == [1.0, 0.0] and rows["rouge1"] == [1.0, pytest.approx(2 / 3)]
    without = score_rows(answers, references, ["a", "b"], [True, True], prefix="")
    assert "format" not in without and without["stops"] == [1.0, 1.0]


def test_likelihood_of_the_prefix_is_set_apart():
    """The tokens of another prefix would count as content."""
    tokenizer = smoke.tokenizer()
    ids = text_ids(tokenizer, "Resposta: azul e verde")
    count = prefix_tokens(tokenizer, ids, "Resposta: ")
    assert "Resposta:" in tokenizer.decode(ids[:count]) and count < len(ids)
    assert prefix_tokens(tokenizer, ids, "") == 0


def test_what_is_shown_follows_the_prefix(settings):
    """A blind vote that shows the prefix of the fine-tuned model is not blind."""
    assert blinded("Respo", "Resposta: ") == "" and blinded("Resposta: azul", "Resposta: ") == "azul"
    assert [each.text for each in mark("Resposta: Azul.", [], "Resposta: ")] == ["Azul."]
    shown = answer("B", "Resposta: Azul.", "", wordings()["en"], "", mark("Azul.", []), prefix="Resposta: ")
    assert shown.count("Resposta:") == 1
    assert strip_prefix("Description: x", "") == "Description: x"
    assert any("Pergunta: (the title)" in line for line in prompt_note(settings(**QA)))
    assert language_note("Como devolvo?", QA["prompt.template"]) == "" != language_note("Como devolvo?")


def test_a_model_is_asked_with_the_format_of_its_run(settings, monkeypatch):
    """A model that was trained on one template answers noise to another."""
    prompts, cfg = [], settings(**QA)
    monkeypatch.setattr(
        "ftlib.app.model_pair.stream_answer", lambda model, tokenizer, prompt, how: prompts.append(prompt)
    )
    pair = Pair({"base": None}, smoke.tokenizer(), cfg.generation, 256, prompt_format=cfg.prompt_format)
    stream_one(pair, "base", "Como devolvo?")
    assert prompts == ["Responda.\nPergunta: Como devolvo?"]


def test_the_format_belongs_to_the_data_set(settings, tmp_path):
    """`ftlib ask` reads the format from the run's data set; and another format must not reuse the old rows."""
    from ftlib.pipeline.stage import Run
    from ftlib.pipeline.stages import recorded_settings, stage_key
    from ftlib.study.study_data import data_settings

    run, cfg = Run(tmp_path / "run"), settings(**QA)
    keys = [stage_key("dataset", each, run) for each in (settings(), cfg)]
    assert keys[0].fingerprint != keys[1].fingerprint and keys[1].config["prompt"]["prefix"] == "Resposta: "
    assert data_settings(cfg)["prompt.prefix"] == "Resposta: " and "prompt.prefix" not in data_settings(settings())
    with run.stage("dataset").writing(keys[1], "smoke"):
        pass
    asked = Config.load("smoke", inherited=recorded_settings(run, "evaluation"), env={})
    assert asked.prompt_format == cfg.prompt_format
