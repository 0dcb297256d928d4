"""What is made once for a model and kept with it: it is freed with the model, and copies of the model start without it."""

from __future__ import annotations


class _Kept(dict):
    """A dict that is empty in a copy of its owner, because its values refer to the owner and may hold locks."""

    def __deepcopy__(self, memo: dict) -> _Kept:
        return _Kept()

    def __reduce__(self):
        return _Kept, ()


def kept_with(model) -> dict:
    """Return the dict of what is kept with a model, by name; it is left out of `copy.deepcopy` and of `torch.save`."""
    return vars(model).setdefault("_ftlib_kept", _Kept())
