"""What every other package stands on: errors, devices, processes, files."""

from ftlib.runtime.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "errors": ["FtlibError"],
        "files": ["fingerprint", "read_json", "read_jsonl", "write_json", "write_text"],
        "hardware": ["compute_dtype", "device", "device_name"],
    },
)
