"""Compare a list of what Colab has preloaded with a runtime: `python .ci/compare_freeze.py .ci/colab/2026-08.txt FREEZE`.

FREEZE is a file with the output of `pip freeze` (or `pip list --format=freeze`) on that runtime. Prints each package whose
version differs, and each that the runtime lacks; exits with 1 if there are any. Local versions (+cu128) count as equal.
"""

import re
import sys
from pathlib import Path


def versions(path: str) -> dict[str, str]:
    """Return {package: version} of a list; names as pip compares them."""
    pairs = re.findall(r"(?m)^([A-Za-z0-9][\w.-]*)==([^\s;+]+)", Path(path).read_text(encoding="utf-8"))
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in pairs}


def differences(ours: dict[str, str], theirs: dict[str, str]) -> list[str]:
    """Return a line for each package of our list that is another one there."""
    found = ((name, version, theirs.get(name, "not installed")) for name, version in ours.items())
    return [f"{name}: {version} in the list, {other} there" for name, version, other in found if version != other]


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    lines = differences(*map(versions, sys.argv[1:]))
    print("\n".join(lines) or "the list is what the runtime has")
    sys.exit(bool(lines))
