"""Models on this machine: find, fetch, verify, list, remove.

A model is looked for in this order: the embedded demo model, a folder given by its path, the
``models_dir`` of the user (``DIR/name``, ``DIR/whisper-name`` or ``DIR/org--name``), the hub's
cache. What is fetched goes to ``models_dir/org--name`` if there is a ``models_dir``, else to the
hub's cache, which other programs share.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from whisper_service.errors import (
    InvalidOptionError,
    ModelError,
    ModelFormatError,
    ModelNotFoundError,
)
from whisper_service.models import catalog, hub
from whisper_service.models.hub import Progress

PathLike = str | Path

DEMO_FOLDER = Path(__file__).parent / "demo"
_MANIFEST = ".whisper-service.json"
_SUMS = "SHA256SUMS"  # of the embedded model, as sha256sum writes them


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalModel:
    """A complete model on this machine."""

    name: str  # what to pass as the model's name
    path: Path
    size: int  # bytes
    place: Literal["package", "models_dir", "hub_cache"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileCheck:
    """Whether a file is what was published; ``unknown``: no digest to compare it with."""

    name: str
    size: int  # bytes
    state: Literal["ok", "corrupt", "missing", "unknown"]


def resolve(
    name: PathLike,
    *,
    models_dir: PathLike | None = None,
    revision: str | None = None,
    download: bool = True,
    progress: Progress | None = None,
) -> Path:
    """Return the folder of a model, fetching it if it is not here and ``download`` is set.

    ``progress(done, total)`` is called with bytes while something is fetched. Raises
    ``ModelNotFoundError``, ``ModelDownloadError`` or ``ModelFormatError``.
    """
    found = find(name, models_dir=models_dir, revision=revision)
    if found is not None:
        return found
    if not download:
        raise _not_here(name)
    return fetch(str(name), models_dir=models_dir, revision=revision, progress=progress)


def find(
    name: PathLike, *, models_dir: PathLike | None = None, revision: str | None = None
) -> Path | None:
    """Return the folder of a model that is complete and on this machine, else ``None``.

    Raises ``ModelNotFoundError`` for a path that does not exist and for an unknown name.
    """
    text = str(name)
    if text == catalog.DEMO.name:
        return DEMO_FOLDER
    if _is_path(name):
        if not Path(text).expanduser().exists():
            raise ModelNotFoundError(f"there is no folder {text}; check the path of the model")
        return Path(text).expanduser()
    if models_dir is not None:
        own = (f for f in _candidates(Path(models_dir), text) if _is_complete(f))
        if (folder := next((f for f in own if _is_revision(f, revision)), None)) is not None:
            return folder
    snapshot = hub.cached_snapshot(catalog.repo_of(text), revision)
    return snapshot if snapshot is not None and _is_complete(snapshot) else None


def fetch(
    name: str,
    *,
    models_dir: PathLike | None = None,
    revision: str | None = None,
    progress: Progress | None = None,
) -> Path:
    """Fetch a model from the hub, or what is missing of it, and return its folder.

    ``revision`` is a branch, a tag or a commit. Raises as :func:`resolve`.
    """
    if name == catalog.DEMO.name:
        return DEMO_FOLDER
    plan = hub.make_plan(catalog.repo_of(name), revision)
    if models_dir is None:
        return hub.download(plan, local_dir=None, progress=progress)
    target = Path(models_dir).expanduser() / plan.repo.replace("/", "--")
    folder = hub.download(plan, local_dir=target, progress=progress)
    manifest = {
        "repo": plan.repo,
        "revision": plan.revision,
        "commit": plan.commit,
        "files": {file.name: file.digest for file in plan.files},
    }
    (folder / _MANIFEST).write_text(json.dumps(manifest, indent=1))
    return folder


def verify(name: PathLike, *, models_dir: PathLike | None = None) -> list[FileCheck]:
    """Compare every file of a model with the digest it was published with.

    Digests are known for the embedded model and for those fetched from the hub; the files of
    others are ``unknown``. In each case the checkpoint is opened, so that a truncated or mismatched
    one raises ``ModelFormatError``, unless a digest has shown which file is to blame.
    """
    from whisper_service.models.checkpoint import load_checkpoint

    folder = find(name, models_dir=models_dir)
    if folder is None:
        raise _not_here(name)
    checks = [_check(folder / n, digest) for n, digest in sorted(_expected(folder).items())]
    if all(check.state in {"ok", "unknown"} for check in checks):
        load_checkpoint(folder)
    return checks


def list_models(*, models_dir: PathLike | None = None) -> list[LocalModel]:
    """List the complete Whisper models on this machine, the embedded one first."""
    models = [_local("demo", DEMO_FOLDER, "package")]
    if models_dir is not None:
        models += _own(Path(models_dir).expanduser().resolve())
    for repo, snapshot in _cached():
        models.append(_local(catalog.short_name(repo), snapshot, "hub_cache"))
    return models


def removable(name: str, *, models_dir: PathLike | None = None) -> Path:
    """Return the folder that :func:`remove` would delete.

    Raises ``InvalidOptionError`` for the embedded model and for a folder given by its path, and
    ``ModelNotFoundError`` for a model that is not here.
    """
    if name == catalog.DEMO.name:
        raise InvalidOptionError("the demo model is part of the package and cannot be removed")
    if _is_path(name):
        raise InvalidOptionError(f"{name} is a folder of yours; delete it yourself if you want to")
    own = _candidates(Path(models_dir), name) if models_dir is not None else ()
    folder = next((f for f in own if (f / "config.json").exists()), None)
    if folder is None:
        folder = hub.cache_folder() / f"models--{catalog.repo_of(name).replace('/', '--')}"
    if not folder.is_dir():
        raise _not_here(name)
    if folder.is_symlink():
        raise InvalidOptionError(f"{folder} is a link of yours; delete it yourself if you want to")
    return folder


def remove(name: str, *, models_dir: PathLike | None = None) -> int:
    """Delete a fetched model with all its revisions; return the bytes that were freed.

    Raises what :func:`removable` raises, and ``ModelError`` when a file cannot be deleted.
    """
    folder = removable(name, models_dir=models_dir)
    size = _size(folder)
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise ModelError(f"cannot delete {error.filename}: {error.strerror}") from error
    return size


def _is_path(name: PathLike) -> bool:
    """Whether a name is meant as a folder: written as one, or there is such a folder here."""
    text = str(name)
    if isinstance(name, Path) or text.startswith((".", "/", "~", os.sep)):
        return True
    return bool(text) and catalog.lookup(text) is None and Path(text).exists()


def _candidates(models_dir: Path, name: str) -> Iterator[Path]:
    """Yield folders in which a model may lie: ``base``, ``openai--whisper-base`` and so on."""
    names = [name, name.replace("/", "--")]
    if (entry := catalog.lookup(name)) is not None and entry.repo:
        names += [entry.name, entry.repo.partition("/")[2], entry.repo]
        names.append(entry.repo.replace("/", "--"))
    root = models_dir.expanduser().resolve()
    for folder in (root / n for n in dict.fromkeys(names)):
        if root in Path(os.path.normpath(folder)).parents:  # "x/.." leads nowhere; a link may
            yield folder


def _is_revision(folder: Path, revision: str | None) -> bool:
    if revision is None:
        return True
    manifest = folder / _MANIFEST
    known = json.loads(manifest.read_bytes()) if manifest.exists() else {}
    return revision in {known.get("revision"), known.get("commit")}


def _is_complete(folder: Path) -> bool:
    """Whether everything that is needed is there; damaged files are found on opening."""
    if not (folder / "config.json").exists() or not any(folder.glob("tokenizer.json*")):
        return False
    index = folder / "model.safetensors.index.json"
    if not index.exists():
        return any(folder.glob("*.safetensors")) or any(folder.glob("*.bin"))
    try:
        shards = set(json.loads(index.read_bytes())["weight_map"].values())
    except (ValueError, KeyError, AttributeError):
        return False
    return all((folder / shard).exists() for shard in shards)


def _is_whisper(folder: Path) -> bool:
    try:
        config = json.loads((folder / "config.json").read_bytes())
    except (OSError, ValueError):
        return False
    return config.get("model_type") == "whisper" and _is_complete(folder)


def _cached() -> Iterator[tuple[str, Path]]:
    for folder in sorted(hub.cache_folder().glob("models--*--*")):
        repo = folder.name.removeprefix("models--").replace("--", "/", 1)
        snapshot = hub.cached_snapshot(repo, None)
        if snapshot is not None and _is_whisper(snapshot):
            yield repo, snapshot


def _own(models_dir: Path) -> Iterator[LocalModel]:
    files = [*models_dir.glob("*/config.json"), *models_dir.glob("*/*/config.json")]
    for folder in sorted(file.parent for file in files):
        if _is_whisper(folder):
            name = folder.relative_to(models_dir).as_posix().replace("--", "/", 1)
            yield _local(catalog.short_name(name), folder, "models_dir")


def _local(
    name: str, folder: Path, place: Literal["package", "models_dir", "hub_cache"]
) -> LocalModel:
    return LocalModel(name=name, path=folder, size=_size(folder), place=place)


def _size(folder: Path) -> int:
    """Bytes under a folder; in the hub's cache a file and the links to it count once."""
    files = {file.resolve() for file in folder.rglob("*") if file.is_file()}
    return sum(file.stat().st_size for file in files)


def _expected(folder: Path) -> dict[str, str]:
    """Files of a model with the digest each should have; an empty one is not known."""
    manifest = folder / _MANIFEST
    if manifest.exists():
        try:
            return dict(json.loads(manifest.read_bytes())["files"])
        except (ValueError, KeyError, TypeError):
            raise ModelFormatError(f"{manifest} is damaged; fetch the model again") from None
    sums = folder / _SUMS
    if sums.exists():
        lines = sums.read_text(encoding="utf-8").splitlines()
        return {name: digest for digest, name in map(str.split, lines)}
    files = [f for f in folder.iterdir() if not f.name.startswith((".", "_")) and not f.is_dir()]
    return {f.name: f.readlink().name if f.is_symlink() else "" for f in files}


def _check(file: Path, digest: str) -> FileCheck:
    if not file.is_file():
        return FileCheck(name=file.name, size=0, state="missing")
    size = file.stat().st_size
    if len(digest) not in {40, 64}:
        return FileCheck(name=file.name, size=size, state="unknown")
    same = _digest(file, git=len(digest) == 40) == digest
    return FileCheck(name=file.name, size=size, state="ok" if same else "corrupt")


def _digest(file: Path, *, git: bool) -> str:
    """SHA-256 of a file, or the id that git gives its content (SHA-1, not for security)."""
    state = hashlib.sha1(usedforsecurity=False) if git else hashlib.sha256()
    if git:
        state.update(b"blob %d\0" % file.stat().st_size)
    with file.open("rb") as stream:
        while block := stream.read(1 << 20):
            state.update(block)
    return state.hexdigest()


def _not_here(name: PathLike) -> ModelNotFoundError:
    return ModelNotFoundError(
        f"model {str(name)!r} is not on this machine; fetch it with: "
        f"whisper-service models fetch {name}"
    )
