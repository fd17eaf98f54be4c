"""Fetching a checkpoint from the Hugging Face hub.

The hub library is imported when something is fetched, never to use a model that is here already:
it takes half a second. Its variables are honoured: ``HF_HOME``, ``HF_HUB_CACHE``,
``HF_HUB_OFFLINE``, ``HF_ENDPOINT`` and ``HF_TOKEN``.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from whisper_service.errors import ModelDownloadError, ModelFormatError
from whisper_service.models.catalog import conversion_command
from whisper_service.models.hub_errors import endpoint, explained, offline_error

TIMEOUT = 5.0  # s to reach the hub before saying that there is no network
_SMALL = ("config.json", "generation_config.json", "preprocessor_config.json", "tokenizer.json")
_SHARD = re.compile(r"model-\d{5}-of-\d{5}\.safetensors")
_YES = {"1", "ON", "YES", "TRUE"}  # as in huggingface_hub/constants.py


class Progress(Protocol):
    """Called with the bytes that are here and, once known, the bytes there will be."""

    def __call__(self, done: float, total: float | None = None) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFile:
    """A file on the hub. ``digest`` is its SHA-256 or, if it is small, its git blob id (SHA-1)."""

    name: str
    size: int
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to fetch: files of one commit, configuration before weights."""

    repo: str
    revision: str  # as asked for
    commit: str
    files: tuple[RemoteFile, ...]

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)


def cache_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Where the hub library keeps its cache (``huggingface_hub/constants.py``)."""
    for variable in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if value := environment.get(variable):
            return Path(os.path.expandvars(value)).expanduser()
    xdg = Path(environment.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    home = environment.get("HF_HOME") or str(xdg)
    return Path(os.path.expandvars(home)).expanduser() / "hub"


def _repo_folder(repo: str) -> str:
    return f"models--{repo.replace('/', '--')}"


def cached_snapshot(repo: str, revision: str | None) -> Path | None:
    """Return the folder of a revision in the hub's cache, complete or not; ``None``: not there."""
    folder = cache_folder() / _repo_folder(repo)
    wanted = revision or "main"
    reference = folder / "refs" / wanted
    commit = reference.read_text().strip() if reference.is_file() else wanted
    snapshot = folder / "snapshots" / commit
    return snapshot if snapshot.is_dir() else None


def is_offline(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether the user has switched the hub off."""
    flags = (environment.get(v, "") for v in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"))
    return any(flag.upper() in _YES for flag in flags)


def make_plan(repo: str, revision: str | None) -> Plan:
    """Ask the hub which files a model has and choose the ones that are read.

    Raises ``ModelNotFoundError``, ``ModelDownloadError`` (no network, no permission, a fault of
    the hub) or ``ModelFormatError`` (no Whisper checkpoint with safetensors in it).
    """
    if is_offline():
        raise offline_error(repo)
    with explained(repo, revision):
        from huggingface_hub import HfApi

        api = HfApi(endpoint=endpoint())
        info = api.model_info(repo, revision=revision, timeout=TIMEOUT, files_metadata=True)
    files = {s.rfilename: s for s in info.siblings or ()}
    chosen = [files[name] for name in _choose(repo, files)]
    return Plan(
        repo=repo,
        revision=revision or "main",
        commit=str(info.sha),
        files=tuple(
            RemoteFile(
                name=file.rfilename,
                size=file.size or 0,
                digest=file.lfs.sha256 if file.lfs else file.blob_id or "",
            )
            for file in chosen
        ),
    )


def _choose(repo: str, names: Mapping[str, Any]) -> list[str]:
    if "config.json" not in names:
        raise ModelFormatError(f"{repo} holds no Whisper model: it has no config.json")
    weights = [n for n in ("model.safetensors",) if n in names]
    if not weights and "model.safetensors.index.json" in names:
        weights = ["model.safetensors.index.json", *sorted(n for n in names if _SHARD.fullmatch(n))]
    if not weights and "model.bin" in names:
        raise ModelFormatError(
            f"{repo} is a CTranslate2 model (faster-whisper); use the checkpoint it was made from"
        )
    if not weights or "tokenizer.json" not in names:
        lacking = "tokenizer.json" if weights else "model.safetensors"
        raise ModelFormatError(
            f"{repo} has no {lacking}; convert it with: {conversion_command(repo, './model')} "
            "and use --model ./model"
        )
    return [*(name for name in _SMALL if name in names), *weights]


def download(plan: Plan, *, local_dir: Path | None, progress: Progress | None) -> Path:
    """Fetch the files of a plan into the hub's cache or ``local_dir``; return their folder.

    Files that are here already are not fetched again, and a connection that breaks is resumed.
    Raises ``ModelDownloadError``, and ``ModelFormatError`` as soon as config.json shows that it is
    no Whisper model.
    """
    _check_space(plan, local_dir or cache_folder())
    done = 0
    folder = Path()
    for file in plan.files:
        with explained(plan.repo, plan.commit), _quiet_hub():
            folder = _download_file(plan, file, local_dir, _meter(progress, done, plan.size))
        if file.name == "config.json" and '"whisper"' not in (folder / file.name).read_text(
            "utf-8"
        ):
            raise ModelFormatError(f"{plan.repo} is not a Whisper model; choose another one")
        done += file.size
        if progress is not None:
            progress(done, plan.size)
    if local_dir is None:
        with explained(plan.repo, plan.commit):
            _remember_revision(plan, folder)
    return folder


def _remember_revision(plan: Plan, snapshot: Path) -> None:
    """Write which commit a branch or tag stood for, as the cache's other users do."""
    reference = snapshot.parents[1] / "refs" / plan.revision
    if plan.revision != plan.commit:
        reference.parent.mkdir(parents=True, exist_ok=True)
        reference.write_text(plan.commit)


def _download_file(plan: Plan, file: RemoteFile, local_dir: Path | None, meter: type[Any]) -> Path:
    from huggingface_hub import hf_hub_download

    path = hf_hub_download(
        plan.repo,
        file.name,
        revision=plan.commit,
        cache_dir=cache_folder(),
        local_dir=local_dir,
        endpoint=endpoint(),
        etag_timeout=TIMEOUT,
        tqdm_class=meter,
    )
    return Path(path).parent


def _meter(progress: Progress | None, before: int, total: int) -> type[Any]:
    """Make a ``tqdm`` class that draws nothing and reports to ``progress``.

    The Xet back end opens two bars for one file (received, written): the further one counts.
    """
    from huggingface_hub.utils.tqdm import tqdm

    furthest = before

    class Meter(tqdm):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **{**options, "disable": True})  # type: ignore[no-untyped-call]
            self._count = float(options.get("initial") or 0)

        def update(self, n: float | None = 1) -> bool | None:
            nonlocal furthest
            self._count += n or 0
            furthest = max(furthest, before + int(self._count))
            if progress is not None:
                progress(min(furthest, total), total)
            return None

    return Meter


def _check_space(plan: Plan, folder: Path) -> None:
    existing = next((p for p in (folder, *folder.absolute().parents) if p.exists()), Path("/"))
    free = shutil.disk_usage(existing).free
    here = (folder, folder / _repo_folder(plan.repo) / "snapshots" / plan.commit)
    missing = [f for f in plan.files if not any((place / f.name).exists() for place in here)]
    if free < sum(f.size for f in missing):
        raise ModelDownloadError(
            f"{plan.repo} needs {plan.size / 1e6:,.0f} MB and {existing} has {free / 1e6:,.0f} MB "
            "free; make room or choose another disk with --models-dir"
        )


@contextmanager
def _quiet_hub() -> Iterator[None]:
    """Keep the hub library's own warnings out of a console where a progress bar is drawn."""
    logger = logging.getLogger("huggingface_hub")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
