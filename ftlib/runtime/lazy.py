"""Export the names of a package lazily (PEP 562).

`from ftlib.data import read_rows` imports `ftlib.data.raw_reader` and no other module of the package.
A package's `__init__` lists where its public names are defined:
`__getattr__, __dir__, __all__ = lazy_exports(__name__, {"raw_reader": ["read_rows"]})`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any


def lazy_exports(
    package: str, names: Mapping[str, Sequence[str]]
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Return `__getattr__`, `__dir__` and `__all__` of a package.

    Args:
        package: its `__name__`.
        names: {module of the package: names that it defines}.
    """
    modules = {name: f"{package}.{module}" for module, exported in names.items() for name in exported}

    def get(name: str) -> Any:
        if name not in modules:
            raise AttributeError(
                f"module {package!r} has no attribute {name!r}; it exports {', '.join(sorted(modules))}"
            )
        return getattr(importlib.import_module(modules[name]), name)

    return get, lambda: sorted(modules), sorted(modules)
