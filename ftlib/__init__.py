"""ftlib: the module behind a course on fine-tuning a small language model to write product descriptions.

`import ftlib` is cheap on purpose: it loads neither torch nor transformers, so the command line answers at once and a
notebook's first cell does not wait. Each stage of the pipeline is a module of its own; `ftlib --help` lists them.
"""

import atexit
import gc
import importlib
import logging

from ftlib.runtime import library_imports

library_imports.install()
# A process that ends collects once more: with torch loaded it looks at a million objects that the system frees anyway.
atexit.register(gc.freeze)
# bitsandbytes looks for an optional CPU kernel when it is imported, and complains that it is not there; NF4 works without it.
logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)

__version__ = "0.1.0"

# What notebooks call by the package's name; loaded on first use.
_FOR_NOTEBOOKS = ("open_run", "report_environment", "say", "show_labels", "show_source", "show_table")


def set_up(keep_on_drive: bool = False, language: str = "en"):
    """Install what this notebook's runtime lacks, report the environment and return its configuration.

    keep_on_drive: on Colab, keep runs on Google Drive. language: of what teaches, see `colab.LANGUAGES`.
    """
    importlib.import_module("ftlib.colab").prepare(language)  # the next line needs what it installs
    return importlib.import_module("ftlib.course.notebook").report_environment(keep_on_drive)


def __getattr__(name: str):
    if name in _FOR_NOTEBOOKS:
        return getattr(importlib.import_module("ftlib.course.notebook"), name)
    raise AttributeError(f"module 'ftlib' has no attribute {name!r}")
