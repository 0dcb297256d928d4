"""The recipe's page: values come from the configuration, effects from the studies' files."""

import json

import pytest
from portuguese import english_words

from ftlib.config.settings import Config
from ftlib.reporting import recipe
from ftlib.runtime.language import using


@pytest.fixture
def studies(tmp_path):
    """Two small studies: of the learning rate, and one with a change of two settings."""

    def write(name: str, runs: dict[str, tuple[dict, float, float, float]]) -> None:
        folder = tmp_path / name
        folder.mkdir()
        config = {
            "train": {"learning_rate": 0.002, "loss_on": "answer", "epochs": 2.0},
            "lora": {"r": 32, "alpha": 64.0},
        }
        lines = [{"run": "first", "config": config}] + [{"run": run, "config_changes": runs[run][0]} for run in runs]
        (folder / "runs.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        rows = [
            f"{name},{run},all,unseen,tuned-first,nll,{mean},{low},{high},,,"
            for run, (_, mean, low, high) in runs.items()
        ]
        header = "study,run,seed,split,system,metric,mean,lo,hi,wins,ties,losses"
        (folder / "metrics.csv").write_text("\n".join([header, *rows]) + "\n")

    write(
        "learning_rate",
        {
            "lower": ({"train.learning_rate": 0.001}, 0.02, 0.01, 0.03),
            "lowest": ({"train.learning_rate": 0.0001}, 0.2, 0.1, 0.3),
            "higher": ({"train.learning_rate": 0.004}, -0.05, -0.06, -0.04),
        },
    )
    write(
        "ablations",
        {
            "all": ({"train.loss_on": "all"}, -0.001, -0.01, 0.01),
            "both": ({"train.loss_on": "all", "train.epochs": 4.0}, 0.5, 0.4, 0.6),
            "rank": ({"lora.r": 16, "lora.alpha": 32.0}, 0.05, 0.04, 0.06),
            "no adapter": ({"lora.r": 0}, 0.1, 0.05, 0.2),
        },
    )
    return tmp_path


def test_effects_are_those_of_one_setting(studies):
    """A run that also changed the epochs would be read as the effect of the labels."""
    assert [effect["to"] for effect in recipe.effects("train.loss_on", studies)] == ["all"]
    assert [effect["to"] for effect in recipe.effects("lora.r", studies)] == [16], "alpha goes along; r 0 is no rank"
    assert recipe.effects("train.epochs", studies) == []


def test_the_steps_nearest_to_halving_and_doubling_are_shown(studies):
    """A page with every run of every study is no page."""
    found = recipe.nearest_steps(recipe.effects("train.learning_rate", studies))
    assert [recipe.written(effect) for effect in found] == [
        "0.002 → 0.001: +0.020, worse",
        "0.002 → 0.004: -0.050, better",
    ]


def test_table_and_sentences_follow_the_files(studies):
    """The recipe's text must change with the studies."""
    cfg = Config.load("cpu")
    table = {row[0]: row for row in recipe.recipe_table(cfg, studies).rows}
    assert table["train.loss_on"][3] == "answer → all: -0.001, no difference"
    assert table["lora.r"][1] == f"{cfg.lora.r}" and table["train.scheduler"][3] == "not studied"
    costliest, level, better = recipe.recipe_sentences(studies)
    assert "lora.r, 32 → 16: +0.050" in costliest and "train.loss_on" in level and "train.learning_rate" in better
    assert "the same as the best of our study (0.004" in recipe.about_rate(cfg, studies)
    assert "times below" in recipe.about_rate(Config.load("cpu", **{"train.learning_rate": 1e-3}), studies)


def test_the_page_is_portuguese_in_a_portuguese_notebook(studies, tmp_path):
    """The names of settings are code; what they do is not."""
    rates = [Config.load("cpu", **{"train.learning_rate": rate}) for rate in (1e-3, 4e-3, 8e-3)]
    with using("pt-BR"):
        table = recipe.recipe_table(rates[0], studies)
        said = [*recipe.recipe_sentences(studies), *(recipe.about_rate(cfg, studies) for cfg in rates)]
        said += [*recipe.recipe_sentences(tmp_path / "none"), recipe.about_rate(rates[0], tmp_path / "none")]
    cells = [*table.header, *(cell for row in table.rows for cell in row[1:])]
    assert english_words(" ".join([*cells, *said])) == [] and "não estudada" in cells and len(set(said)) == len(said)


def test_without_studies_the_page_stands(tmp_path):
    """A notebook alone in a folder has no studies; the settings are shown all the same."""
    cfg = Config.load("cpu")
    assert all(row[3] == "not studied" for row in recipe.recipe_table(cfg, tmp_path).rows)
    assert "No study is recorded" in recipe.recipe_sentences(tmp_path)[0] and "No study" in recipe.about_rate(
        cfg, tmp_path
    )
