"""Load and validate one configuration for the whole pipeline.

`Config.load(profile, **overrides)` merges five layers, later ones override: `profiles/default.yaml`, the profile, settings
recorded in the run, the environment (`FTLIB_TRAIN__LEARNING_RATE=3e-4`) and the caller (`--set train.learning_rate=3e-4`). The
result is validated against `schema` before any data or model is loaded, because a misspelled key that is silently ignored costs
an hour of training. `ftlib config --profile t4` prints the resolved settings with the provenance of each.
"""

from __future__ import annotations

import difflib
import os
from typing import Any

import yaml
from pydantic import PrivateAttr, ValidationError

from ftlib.config.neutral import NEUTRAL, WITHOUT_EFFECT
from ftlib.config.schema import (
    CleanConfig,
    DataConfig,
    EvaluationConfig,
    GenerationConfig,
    LoraConfig,
    MergeConfig,
    ModelConfig,
    PromptConfig,
    Section,
    TrainConfig,
)
from ftlib.prompts.templates import PromptFormat
from ftlib.runtime.errors import FtlibError
from ftlib.runtime.language import tr
from ftlib.runtime.yaml_files import packaged

# not parsed as YAML unless they are quoted: a file name may contain # or quotes, and a column may be called 2024
NAMES = (
    "data.path",
    "data.columns.uid",
    "data.columns.title",
    "data.columns.content",
    "prompt.template",
    "prompt.prefix",
    "model.name",
)
PROFILES = ("smoke", "cpu", "t4", "gpu", "seed", "qa")


class ConfigError(FtlibError, ValueError):
    """Raised for an invalid setting; the message has the key, the value and what is allowed."""


class Config(Section):
    """All settings of a run: create it with `Config.load`, read it as `cfg.train.learning_rate`."""

    data: DataConfig
    prompt: PromptConfig
    model: ModelConfig
    lora: LoraConfig
    train: TrainConfig
    merge: MergeConfig
    generation: GenerationConfig
    evaluation: EvaluationConfig

    _profile: str = PrivateAttr(default="")
    _profile_reason: str = PrivateAttr(default="")
    _provenance: dict[str, str] = PrivateAttr(default_factory=dict)

    @classmethod
    def load(
        cls,
        profile: str | None = None,
        inherited: dict | None = None,
        env: dict | None = None,
        reason: str = "requested",
        **overrides,
    ) -> Config:
        """Merge and validate the layers of settings.

        Precedence, highest first: overrides, environment, inherited, profile, default.yaml.

        Args:
            profile: one of PROFILES; None selects FTLIB_PROFILE, else the one for this machine.
            inherited: {section: {key: value}} recorded by an earlier stage of the run; unknown keys are skipped.
            env: environment variables; None reads `os.environ`.
            reason: why this profile was selected, for `ftlib config`.
            **overrides: `train__learning_rate=3e-4` or `**{"train.learning_rate": 3e-4}`.

        Raises:
            ConfigError: an unknown key, an invalid value or an invalid combination.
        """
        env = dict(os.environ) if env is None else env
        name, reason = (profile, reason) if profile else pick_profile(env)
        values = _read_yaml("default")
        provenance: dict[str, str] = {}
        _overlay(values, provenance, flatten(_read_profile(name)), f"profile {name}")
        known = flatten(values)
        recorded = {key: value for key, value in flatten(inherited or {}).items() if key in known}
        _overlay(values, provenance, recorded, "recorded in this run")
        _overlay(values, provenance, _from_environment(env), "environment")
        _overlay(values, provenance, {k.replace("__", "."): v for k, v in overrides.items()}, "set by you")
        try:
            cfg = cls.model_validate(values)
        except ValidationError as error:
            raise ConfigError(_explain(error, provenance)) from None
        cfg._profile, cfg._profile_reason, cfg._provenance = name, reason, provenance
        return cfg

    @property
    def profile(self) -> str:
        """The name of the profile."""
        return self._profile

    @property
    def profile_reason(self) -> str:
        """Why this profile was selected."""
        return self._profile_reason

    def provenance(self, key: str) -> str:
        """Return the layer that set a key.

        'default', 'profile NAME', 'recorded in this run', 'environment' or 'set by you'.
        """
        return self._provenance.get(key, "default")

    def set_by_user(self, key: str) -> bool:
        """Return True if the user set this key; such a value is used or rejected, never adjusted."""
        return self.provenance(key) in ("environment", "set by you")

    @property
    def prompt_format(self) -> PromptFormat:
        """The format of prompts and targets, from the section `prompt`."""
        return PromptFormat(self.prompt.template, self.prompt.prefix)

    @property
    def with_retrieval(self) -> bool:
        """Whether the models are also asked with passages: if the settings say so, or the training had passages."""
        return self.evaluation.open_book or self.train.context_rows > 0

    @property
    def open_rows(self) -> int:
        """The passages of a prompt: as many as in training, unless the user set another number."""
        trained = self.train.context_rows
        return trained if trained and not self.set_by_user("evaluation.open_rows") else self.evaluation.open_rows

    def get(self, key: str) -> Any:
        """Return the value of a dotted key."""
        value: Any = self
        for name in key.split("."):
            value = getattr(value, name)
        return value

    def to_dict(self) -> dict[str, dict]:
        """Return the settings as {section: {key: JSON value}}."""
        return self.model_dump(mode="json")


def pick_profile(env: dict) -> tuple[str, str]:
    """Return the profile for this machine and the reason; imports torch if FTLIB_PROFILE is unset."""
    if env.get("FTLIB_PROFILE"):
        return env["FTLIB_PROFILE"], tr("FTLIB_PROFILE is set")
    from ftlib.runtime import hardware

    capability = hardware.cuda_capability()
    if capability is None:
        return "cpu", tr("no CUDA GPU is visible")
    gpu = {"gpu": hardware.device_name(), "capability": f"{capability[0]}.{capability[1]}"}
    if capability < (8, 0):
        return "t4", tr("{gpu} has compute capability {capability}: no bfloat16 in hardware", **gpu)
    return "gpu", tr("{gpu} has compute capability {capability}: bfloat16 in hardware", **gpu)


def parse_setting(text: str) -> tuple[str, Any]:
    """Split 'train.learning_rate=3e-4' into key and value; the value is parsed as YAML.

    Raises:
        ConfigError: no '=', no key, or invalid YAML.
    """
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"--set {text}: write it as section.key=value, for example --set train.learning_rate=3e-4")
    return key.strip(), _value(key.strip(), value, f"--set {text}") if value else ""


def _value(key: str, text: str, assignment: str) -> Any:
    """Parse a value as YAML, except unquoted names of files and models; errors quote `assignment`."""
    quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "\"'"
    return text if key in NAMES and not quoted else _yaml_value(text, assignment)


def _yaml_value(text: str, assignment: str) -> Any:
    try:
        return plain_yaml(text, _NoAliases)
    except yaml.YAMLError:
        raise ConfigError(
            f"{assignment}: {text!r} is not a YAML value; close its brackets, or put it in quotes"
        ) from None


class _NoAliases(yaml.SafeLoader):
    """Reject aliases: a few of them can expand to gigabytes, or to a list that contains itself."""

    def compose_node(self, parent, index):
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases (*name) are not allowed")
        return super().compose_node(parent, index)


def plain_yaml(text: str, loader: type[yaml.SafeLoader] = yaml.SafeLoader) -> Any:
    """Parse YAML without running code. Raises yaml.YAMLError for any invalid text."""
    try:
        return yaml.load(text, loader)  # noqa: S506 (it is a SafeLoader)
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        # PyYAML raises these for a 13th month, a list as a key, deep nesting
        raise yaml.YAMLError(f"{type(error).__name__}: {error}") from None


def flatten(values: dict, prefix: str = "") -> dict[str, Any]:
    """Flatten nested settings to dotted keys: {'train': {'seed': 1}} -> {'train.seed': 1}."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def differences(old: dict, new: dict) -> list[str]:
    """List the changes between two {section: {...}} dicts, one line per key: 'train.seed was 1, now 2'.

    A key that one of them lacks, because it was recorded before the key existed, counts with its neutral value.
    """
    before, after = flatten(old), flatten(new)
    known = {key: value for key, value in NEUTRAL.items() if key in before or key in after}
    before, after = known | before, known | after
    keys = sorted((before.keys() | after.keys()) - {*WITHOUT_EFFECT})
    return [
        f"{key} was {before.get(key)!r}, now {after.get(key)!r}" for key in keys if before.get(key) != after.get(key)
    ]


def render(cfg: Config, reasons: dict[str, str]) -> str:
    """Render the configuration as YAML, each line with its provenance.

    Args:
        cfg: the configuration.
        reasons: {key: reason} of automatic choices, which replace the provenance.
    """
    lines = [f"# profile {cfg.profile}: {cfg.profile_reason}"]
    for section, values in cfg.to_dict().items():
        lines.append(f"{section}:")
        for key, value in flatten(values).items():
            text = yaml.safe_dump(value, default_flow_style=True, width=10_000).removesuffix("\n...\n").strip()
            note = reasons.get(f"{section}.{key}") or cfg.provenance(f"{section}.{key}")
            lines.append(f"  {key}: {text}".ljust(48) + f"  # {note}")
    return "\n".join(lines)


def _read_yaml(name: str) -> dict:
    return packaged("ftlib.config.profiles", f"{name}.yaml")


def _read_profile(name: str) -> dict:
    if name not in PROFILES:
        raise ConfigError(f"profile = {name!r}: allowed are {', '.join(PROFILES)}")
    values = _read_yaml(name)
    values.pop("description")
    return values


def profile_description(name: str) -> str:
    """Return the one-line description of a profile, in the reader's language."""
    return tr(_read_yaml(name)["description"])


def _from_environment(env: dict) -> dict[str, Any]:
    """Return the settings of the environment: FTLIB_TRAIN__LEARNING_RATE sets train.learning_rate.

    Names without a double underscore, such as FTLIB_RUNS, are no settings.
    """
    settings = {}
    for name, text in sorted(env.items()):  # FTLIB_DATA__CLEAN comes before FTLIB_DATA__CLEAN__TAGS
        if name.startswith("FTLIB_") and "__" in name:
            key = name.removeprefix("FTLIB_").lower().replace("__", ".")
            settings[key] = _value(key, text, f"{name}={text}")
    return settings


def _overlay(values: dict, provenance: dict, flat: dict[str, Any], layer: str) -> None:
    """Write dotted keys into the nested `values` and their layer into `provenance`.

    Raises:
        ConfigError: an unknown key, or a section where a value is expected.
    """
    for key, value in flat.items():
        if key == "data.clean" and isinstance(value, bool):  # one switch for all steps
            _overlay(values, provenance, {f"data.clean.{step}": value for step in CleanConfig.model_fields}, layer)
            continue
        *path, last = key.split(".")
        section: Any = values
        for name in path:
            section = section.get(name) if isinstance(section, dict) else None
        if not isinstance(section, dict) or last not in section:
            raise ConfigError(_unknown(key, value, values, layer))
        if isinstance(section[last], dict):
            switch = "true, false, or " if key == "data.clean" else ""
            raise ConfigError(
                f"{key} = {value!r} ({layer}): this is a section; allowed are {switch}its keys, "
                f"as in {key}.KEY=VALUE: {', '.join(section[last])}"
            )
        section[last] = value
        provenance[key] = layer


def _unknown(key: str, value: Any, values: dict, layer: str) -> str:
    known = list(flatten(values))
    close = difflib.get_close_matches(key, known, n=1)
    hint = f"; did you mean {close[0]}?" if close else "."
    section = key.split(".")[0]
    allowed = [k for k in known if k.startswith(section + ".")] or sorted(values)
    return f"{key} = {value!r} ({layer}): there is no such setting{hint} Allowed: {', '.join(allowed)}"


def _explain(error: ValidationError, provenance: dict) -> str:
    lines = []
    for item in error.errors():
        key = ".".join(str(part) for part in item["loc"] if part not in ("str", "list[str]"))
        message = item["msg"].removeprefix("Value error, ")
        if item["type"] == "list_type":
            message += ", as in [one, two]"
        if item["type"] == "value_error":  # a combination: the message names the fields itself
            lines.append(message)
        else:
            layer = next((provenance[known] for known in provenance if f"{key}.".startswith(f"{known}.")), "default")
            lines.append(f"{key} = {item['input']!r} ({layer}): {message}")
    return "\n".join(dict.fromkeys(lines))
