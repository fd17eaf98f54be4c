"""Compiled graphs kept on disk, so that a warm start takes a fraction of a second.

A stored graph is read through a memory map: its weights stay file pages that the kernel may drop,
where a freshly compiled graph holds them in the process. That halves the memory of a loaded
model, so a new graph is stored first and then used from the file.

The cache never breaks loading: a file that is missing, damaged, or cannot be written only costs
the time of compiling.
"""

from __future__ import annotations

import logging
import mmap
import os
import tempfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xxhash

from whisper_service.engine.openvino_runtime import core, cpu_features, openvino, shared_tensor

_MAGIC = b"whisper-service\n"  # 16 bytes, then 16 of digest, then zeros up to the graph
_HEADER = 64  # bytes; keeps the graph aligned to a cache line
_LARGEST = 1 << 30  # bytes of a graph that is stored; copies of larger ones would fill the memory
_TOTAL = 4 << 30  # bytes of all stored graphs; the least recently used go first

log = logging.getLogger(__name__)


def default_cache_dir() -> Path | None:
    """``$XDG_CACHE_HOME/whisper-service/graphs``, usually under ``~/.cache``."""
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(base) if base else Path.home() / ".cache") / "whisper-service" / "graphs"
    except RuntimeError:  # no home directory
        return None


@dataclass(frozen=True, slots=True)
class Compiled:
    """A compiled graph and the file it reads from, if any."""

    model: Any
    pages: mmap.mmap | None = None

    def release_pages(self) -> None:
        """Give the file's pages back; a page that is needed again is read again."""
        if self.pages is not None and hasattr(mmap, "MADV_DONTNEED"):
            self.pages.madvise(mmap.MADV_DONTNEED)


@dataclass(frozen=True, slots=True)
class GraphCache:
    """Stored graphs of one checkpoint. ``folder`` None: nothing is stored."""

    folder: Path | None
    key: str

    def compile(self, name: str, build: Callable[[], Any], config: dict[str, Any]) -> Compiled:
        """Load graph ``name`` from disk, or build, compile and store it."""
        if self.folder is None:
            return Compiled(core().compile_model(build(), "CPU", config))
        file = self.folder / f"{self.key}-{name}.blob"
        stored = _load(file, config)
        if stored is not None:
            with suppress(OSError):
                os.utime(file)  # the time of last use
            return stored
        compiled = core().compile_model(build(), "CPU", config)
        if not _store(file, compiled):
            return Compiled(compiled)
        return _load(file, config) or Compiled(compiled)


def cache_key(parts: Iterable[str]) -> str:
    """Hash of ``parts``, OpenVINO, the CPU, and the source that builds the graphs."""
    state = xxhash.xxh3_64()
    for part in (*parts, openvino.get_version(), cpu_features()):
        state.update(part.encode() + b"\0")
    for source in sorted(Path(__file__).parent.glob("graph*.py")):
        state.update(source.read_bytes())
    return state.hexdigest()


def _load(file: Path, config: dict[str, Any]) -> Compiled | None:
    try:
        with file.open("rb") as stream:
            pages = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_COPY)
    except (OSError, ValueError):  # absent, or empty
        return None
    graph = np.frombuffer(pages, np.uint8)[_HEADER:]
    if pages[:32] != _MAGIC + xxhash.xxh3_128_digest(graph.data):
        log.warning("the stored graph %s is damaged and will be made again", file)
        return None
    try:
        return Compiled(core().import_model(shared_tensor(graph), "CPU", config), pages)
    except RuntimeError as error:  # OpenVINO's own exceptions derive from it
        log.warning("the stored graph %s cannot be used: %s", file, error)
        return None


def _store(file: Path, compiled: Any) -> bool:
    try:
        graph = compiled.export_model().getvalue()
        if len(graph) > _LARGEST:
            return False
        file.parent.mkdir(parents=True, exist_ok=True)
        write(file, graph)
        prune(file.parent)
    except (OSError, RuntimeError) as error:
        log.info("the compiled graph is not stored: %s", error)
        return False
    return True


def write(file: Path, graph: bytes) -> None:
    """Write header and graph to ``file`` at once: other processes see all of it or nothing."""
    with tempfile.NamedTemporaryFile(dir=file.parent, delete=False) as stream:
        try:
            stream.write((_MAGIC + xxhash.xxh3_128_digest(graph)).ljust(_HEADER, b"\0"))
            stream.write(graph)
            stream.close()
            Path(stream.name).replace(file)
        except OSError:
            Path(stream.name).unlink()
            raise


def prune(folder: Path) -> None:
    """Delete the graphs that have not been used for longest, beyond the total."""
    files = sorted(folder.glob("*.blob"), key=lambda f: f.stat().st_mtime, reverse=True)
    total = 0
    for file in files:
        total += file.stat().st_size
        if total > _TOTAL:
            file.unlink(missing_ok=True)
