"""Errors, devices, processes and files: what every other package builds on."""

from ftlib.runtime.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "errors": ["FtlibError"],
        "files": ["fingerprint", "read_json", "read_jsonl", "write_json", "write_text"],
        "hardware": ["compute_dtype", "device", "device_name"],
    },
)
