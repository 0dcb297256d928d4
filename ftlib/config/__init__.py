"""One validated configuration for the whole pipeline, with profiles as YAML files."""

from ftlib.runtime.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "settings": ["Config", "ConfigError", "parse_setting"],
    },
)
