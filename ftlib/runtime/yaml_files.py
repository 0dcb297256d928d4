"""Read the YAML files that come with ftlib: profiles, translations, tables of words."""

from __future__ import annotations

from importlib import resources
from typing import Any


def parse(text: str) -> Any:
    """Parse YAML that is ours; a user's goes through `config.settings.plain_yaml`, whose errors quote the line."""
    import yaml

    # libyaml's parser, if PyYAML was built with it (its wheels are), is about seven times as fast
    return yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506, both are safe


def packaged(package: str, name: str) -> Any:
    """Read a YAML file of a package, for example `packaged("ftlib.app", "strings.yaml")`."""
    return parse((resources.files(package) / name).read_text(encoding="utf-8"))
