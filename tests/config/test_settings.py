"""Settings: who wins, and what a wrong one is answered with."""

import pytest
import yaml

from ftlib.config.settings import (
    PROFILES,
    Config,
    ConfigError,
    differences,
    flatten,
    parse_setting,
    pick_profile,
    render,
)
from ftlib.runtime import hardware

RATE = "train.learning_rate"


def refusal(**overrides):
    """The message with which the smoke profile refuses these values."""
    with pytest.raises(ConfigError) as error:
        Config.load("smoke", env={}, **overrides)
    return str(error.value)


@pytest.mark.parametrize(
    ("recorded", "environment", "override", "expected", "layer"),
    [
        (None, None, None, 5e-3, "profile smoke"),
        (2e-3, None, None, 2e-3, "recorded in this run"),
        (2e-3, "3e-3", None, 3e-3, "environment"),
        (2e-3, "3e-3", 4e-3, 4e-3, "set by you"),
    ],
)
def test_who_wins(recorded, environment, override, expected, layer):
    """Without it `--set` loses against a forgotten environment variable, and another run is made than was asked for."""
    inherited = {"train": {"learning_rate": recorded}} if recorded else None
    env = {"FTLIB_TRAIN__LEARNING_RATE": environment} if environment else {}
    cfg = Config.load("smoke", inherited=inherited, env=env, **({RATE: override} if override else {}))
    assert (cfg.train.learning_rate, cfg.provenance(RATE)) == (expected, layer)
    assert cfg.set_by_user(RATE) is (layer in ("environment", "set by you"))
    assert (cfg.lora.dropout, cfg.provenance("lora.alpha"), cfg.provenance("data.seed")) == (
        0.0,
        "profile smoke",
        "default",
    )


@pytest.mark.parametrize("name", PROFILES)
def test_profiles_load(name):
    """Without it a typing error in a profile shows up on the student's GPU."""
    cfg = Config.load(name, env={})
    assert (cfg.profile, cfg.profile_reason) == (name, "requested")
    assert cfg.get("data.clean.tags") is (name != "seed")


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"train.learning_rat": 1e-3}, ["train.learning_rat = 0.001", "set by you", RATE, "train.max_steps"]),
        ({"training.seed": 1}, ["training.seed = 1", "did you mean train.seed?", "evaluation"]),
        ({"train.seed.x": 1}, ["train.seed.x = 1", "train.seed"]),
        ({"train": 3}, ["train = 3", "section", "learning_rate"]),
        ({"data.clean": "all"}, ["data.clean = 'all'", "true, false", "boilerplate"]),
        ({RATE: "fast"}, [f"{RATE} = 'fast'", "valid number"]),
        ({RATE: 0}, [f"{RATE} = 0", "greater than 0"]),
        ({RATE: float("inf")}, [f"{RATE} = inf", "finite"]),
        ({RATE: True}, [f"{RATE} = True", "true and false are not allowed"]),
        ({"data.train_size": 0}, ["data.train_size = 0", "greater than or equal to 1"]),
        ({"train.label_eos": "perhaps"}, ["train.label_eos = 'perhaps'", "valid boolean"]),
        ({"train.batching": "sorted"}, ["train.batching = 'sorted'", "'packed', 'grouped' or 'padded'"]),
        ({"data.questions": "reference"}, ["data.questions = 'reference'", "[one, two]"]),
        ({"data.questions": ["referense"]}, ["data.questions", "referense", "en_describe", "your own words"]),
        ({"data.questions": ["reference", 3]}, ["data.questions.1 = 3 (set by you)", "valid string"]),
    ],
)
def test_wrong_values_say_field_value_and_what_is_allowed(overrides, words):
    """Without it a misspelt key costs an hour of training with the default, or a message leaves the user guessing."""
    message = refusal(**overrides)
    assert not [word for word in words if word not in message], message


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"train.fp16": True, "train.bf16": True}, ["train.fp16 = true", "train.bf16 = true", "only one"]),
        ({"train.micro_batch": 3}, ["train.micro_batch = 3", "divide train.examples_per_step = 16"]),
        ({"train.eval_steps": 2}, ["train.save_steps = 3", "multiple of train.eval_steps = 2"]),
        ({"train.eval_steps": None, "train.early_stopping": 2}, ["train.early_stopping = 2", "train.eval_steps"]),
    ],
)
def test_wrong_combinations(overrides, words):
    """Without it two settings that cannot go together fail deep inside the Trainer, after the model was loaded."""
    message = refusal(**overrides)
    assert not [word for word in words if word not in message], message


def test_dora_without_an_adapter_is_refused():
    """All weights would be trained under the name of DoRA."""
    assert "lora.variant = dora" in refusal(**{"lora.r": 0, "model.quantization": "none", "lora.variant": "dora"})


def test_every_error_is_told_at_once():
    """Without it a user fixes one setting per run."""
    message = refusal(**{RATE: -1, "data.seed": "x"})
    assert RATE in message and "data.seed" in message


def test_one_switch_for_all_cleaning_steps(settings):
    """Without it `data.clean=false` is refused, or it overrules the one step that was switched on after it."""
    assert not any(settings(**{"data.clean": False}).data.clean.model_dump().values())
    only_tags = settings(**{"data.clean": False, "data.clean.tags": True}).data.clean
    assert [name for name, on in only_tags.model_dump().items() if on] == ["tags"]
    assert settings(data__clean__tags=False).provenance("data.clean.tags") == "set by you"


def test_switches_from_the_environment_do_not_depend_on_its_order():
    """Without it the same two variables give another data set in another shell."""
    env = {"FTLIB_DATA__CLEAN__TAGS": "true", "FTLIB_DATA__CLEAN": "false"}
    clean = Config.load("smoke", env=env).data.clean
    assert clean.tags and not clean.unescape


def test_environment_names():
    """Without it FTLIB_RUNS is taken for a setting, or a misspelt setting in the environment is silently ignored."""
    env = {"FTLIB_RUNS": "x", "FTLIB_CACHE": "y", "FTLIB_DATA__QUESTIONS": "[reference, en_short]", "OTHER__KEY": "1"}
    assert Config.load("smoke", env=env).data.questions == ["reference", "en_short"]
    with pytest.raises(ConfigError, match=r"train\.speed = 1 \(environment\)"):
        Config.load("smoke", env={"FTLIB_TRAIN__SPEED": "1"})
    with pytest.raises(ConfigError, match=r"FTLIB_LORA__TARGET_MODULES=\[q_proj"):
        Config.load("smoke", env={"FTLIB_LORA__TARGET_MODULES": "[q_proj"})


def test_recorded_settings_of_an_older_ftlib():
    """Without it a run made before a key was dropped can no longer be trained on or evaluated."""
    cfg = Config.load("smoke", inherited={"data": {"seed": 7, "gone": 1, "clean": {"tags": False}}}, env={})
    assert (cfg.data.seed, cfg.data.clean.tags, cfg.data.clean.unicode) == (7, False, True)


@pytest.mark.parametrize(
    ("capability", "profile", "reason"),
    [(None, "cpu", "no CUDA"), ((7, 5), "t4", "7.5"), ((8, 0), "gpu", "8.0"), ((9, 0), "gpu", "Some GPU")],
)
def test_profile_by_compute_capability(monkeypatch, capability, profile, reason):
    """Without it a T4 gets the bfloat16 recipe (emulated there, and slow), or a machine without GPU a job for one."""
    monkeypatch.setattr(hardware, "cuda_capability", lambda: capability)
    monkeypatch.setattr(hardware, "device_name", lambda: "Some GPU")
    assert pick_profile({})[0] == profile
    cfg = Config.load(env={})
    assert cfg.profile == profile and reason in cfg.profile_reason


def test_profile_from_the_environment(monkeypatch):
    """Without it FTLIB_PROFILE is overruled by the hardware, and CI trains TinyLlama."""
    monkeypatch.setattr(
        hardware, "cuda_capability", lambda: pytest.fail("the GPU was asked although the profile is set")
    )
    cfg = Config.load(env={"FTLIB_PROFILE": "seed"})
    assert (cfg.profile, cfg.profile_reason) == ("seed", "FTLIB_PROFILE is set")
    assert Config.load("cpu", env={"FTLIB_PROFILE": "seed"}).profile == "cpu"
    with pytest.raises(ConfigError, match="profile = 'colab'.*smoke, cpu, t4, gpu, seed"):
        Config.load(env={"FTLIB_PROFILE": "colab"})


def test_profile_by_name():
    """Without it `Config.load(profile="smoke")`, the natural way to write it in a notebook, fails."""
    assert Config.load(profile="smoke", env={}).profile == "smoke"


def test_printed_configuration(settings):
    """Without it `ftlib config` leaves a key out, or says a wrong origin for it."""
    cfg = settings(**{RATE: 1e-3, "data.clean.tags": False})
    text = render(cfg, {"model.dtype": "bfloat16: because"})
    origins = {line.split(":")[0].strip(): line.split("  # ")[1] for line in text.splitlines() if "  # " in line}
    assert text.startswith("# profile smoke: requested")
    assert (origins["learning_rate"], origins["clean.tags"], origins["clean.unicode"]) == (
        "set by you",
        "set by you",
        "default",
    )
    assert (origins["examples_per_step"], origins["dropout"]) == ("default", "profile smoke")
    assert [line.split("  # ")[1] for line in text.splitlines() if " dtype: auto" in line] == ["bfloat16: because"]
    assert flatten(yaml.safe_load(text)) == flatten(cfg.to_dict())


def test_settings_cannot_be_changed_afterwards(settings):
    """Without it a notebook cell changes a value behind the checks, and the manifest records something else."""
    with pytest.raises(ValueError, match="frozen"):
        settings().train.learning_rate = 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("train.seed=7", ("train.seed", 7)),
        (" train.max_steps =null", ("train.max_steps", None)),
        ("data.questions=[reference, en_short]", ("data.questions", ["reference", "en_short"])),
        ("model.name=a=b", ("model.name", "a=b")),
        ("model.name=", ("model.name", "")),
    ],
)
def test_set_is_read_as_yaml(text, expected):
    """Without it a list or null cannot be given on the command line, or a value with = in it is cut."""
    assert parse_setting(text) == expected


@pytest.mark.parametrize("text", ["train.seed", "=7", "data.questions=[reference"])
def test_set_that_cannot_be_read(text):
    """Without it the user sees a YAML traceback in place of what to type."""
    with pytest.raises(ConfigError) as error:
        parse_setting(text)
    assert f"--set {text}" in str(error.value)


def test_differences_name_key_old_and_new():
    """Without it "stale" does not say which setting is to blame."""
    assert differences({"a": {"x": 1, "y": 2}}, {"a": {"x": 1, "y": 3, "z": 4}}) == [
        "a.y was 2, now 3",
        "a.z was None, now 4",
    ]
