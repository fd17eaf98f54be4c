"""Why the hub could not be used, in one line that says what to do."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from whisper_service.errors import ModelDownloadError, ModelError, ModelNotFoundError
from whisper_service.models.catalog import short_name, suggestion


def endpoint(environment: Mapping[str, str] = os.environ) -> str:
    """Return the address of the hub."""
    return (environment.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


@contextmanager
def explained(repo: str, revision: str | None) -> Iterator[None]:
    """Turn what the hub library raises within into a ``ModelError``."""
    from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]  # of its HTTP library

    try:
        yield
    except (OSError, ValueError, HTTPError, RuntimeError) as error:  # the last by hf_xet
        raise _explain(error, repo, revision) from error


def _explain(error: BaseException, repo: str, revision: str | None) -> ModelError:
    from huggingface_hub import errors as hub

    if isinstance(error, hub.LocalEntryNotFoundError) and error.__cause__ is not None:
        return _explain(error.__cause__, repo, revision)
    if isinstance(error, hub.GatedRepoError):
        return ModelDownloadError(
            f"{repo} is gated: accept its terms at {endpoint()}/{repo} and set HF_TOKEN"
        )
    if isinstance(error, hub.RevisionNotFoundError):
        return ModelNotFoundError(
            f"{repo} has no revision {revision!r}; leave it out for the newest"
        )
    if isinstance(error, hub.RepositoryNotFoundError | hub.HFValidationError):
        return _unknown(repo)
    if isinstance(error, hub.HfHubHTTPError):
        return _explain_status(error.response.status_code, repo)
    if _is_full_disk(error):
        return ModelDownloadError(
            f"the disk is full; make room for {repo} or choose another disk with --models-dir"
        )
    if isinstance(error, OSError) and error.filename is not None:
        return ModelDownloadError(
            f"cannot write {error.filename} ({error.strerror}); choose a folder with --models-dir "
            "or HF_HOME"
        )
    if isinstance(error, OSError) and "Consistency check failed" in str(error):
        return ModelDownloadError(
            f"the download of {repo} was cut short; run again: "
            f"whisper-service models fetch {short_name(repo)}"
        )
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return ModelDownloadError(f"cannot reach {endpoint()} ({reason}): {_alternatives(repo)}")


def _is_full_disk(error: BaseException) -> bool:
    full = {errno.ENOSPC, errno.EDQUOT}
    if isinstance(error, OSError):
        return error.errno in full
    return any(f"os error {number}" in str(error) for number in full)


def _explain_status(status: int, repo: str) -> ModelError:
    if status == 404:
        return _unknown(repo)
    if status in {401, 403}:
        return ModelDownloadError(f"{endpoint()} refused access to {repo}; check HF_TOKEN")
    if status == 429:
        return ModelDownloadError(f"{endpoint()} limits requests now; try again in some minutes")
    return ModelDownloadError(
        f"{endpoint()} answered with error {status} for {repo}; try again later or use --model demo"
    )


def offline_error(repo: str) -> ModelNotFoundError:
    """Describe a model that is absent while the user has switched the hub off."""
    return ModelNotFoundError(
        f"{repo} is not on this machine and HF_HUB_OFFLINE is set: {_alternatives(repo)}"
    )


def _unknown(repo: str) -> ModelNotFoundError:
    return ModelNotFoundError(
        f"{endpoint()} has no model {repo!r} (if it is private, set HF_TOKEN){suggestion(repo)}"
    )


def _alternatives(repo: str) -> str:
    return (
        f"fetch it while online with: whisper-service models fetch {short_name(repo)}, "
        "or copy its folder here and pass the path, or use --model demo"
    )
