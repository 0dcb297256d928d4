"""ftlib: the module behind a course on fine-tuning a small language model to write product descriptions.

`import ftlib` is cheap on purpose: it loads neither torch nor transformers, so the command line answers at once and a
notebook's first cell does not wait. Each stage of the pipeline is a module of its own; `ftlib --help` lists them.
"""

__version__ = "0.1.0"
