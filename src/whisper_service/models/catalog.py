"""Models by the names people use, and where they come from.

Sizes are those of the weights on huggingface.co; languages and tasks are those of the model cards.
Anything else is reached by its full name (``org/name``) or as a folder.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from whisper_service.errors import ModelNotFoundError

if TYPE_CHECKING:
    from whisper_service.types import Task  # which loads NumPy

_BOTH: tuple[Task, ...] = ("transcribe", "translate")
_ENGLISH = ("en",)
_REPO = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
_CONVERT = (
    'python -c "from transformers import WhisperForConditionalGeneration as M, '
    "WhisperProcessor as P; M.from_pretrained('{0}').save_pretrained('{1}'); "
    "P.from_pretrained('{0}').save_pretrained('{1}')\""
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelEntry:
    """A model that has a short name."""

    name: str
    repo: str  # organisation/name on the hub; "" for the embedded model
    size: int  # bytes of weights to download, approximately
    languages: tuple[str, ...] = ()  # codes; empty: all of Whisper's
    tasks: tuple[Task, ...] = _BOTH
    dynamic_context: bool = False  # trained on inputs shorter than 30 s
    aliases: tuple[str, ...] = ()


def _openai(
    name: str, megabytes: int, *, repo: str = "", aliases: tuple[str, ...] = ()
) -> ModelEntry:
    english = name.endswith(".en")
    return ModelEntry(
        name=name,
        repo=f"openai/{repo or 'whisper-' + name}",
        size=megabytes * 1_000_000,
        languages=_ENGLISH if english else (),
        tasks=("transcribe",) if english or "turbo" in name else _BOTH,
        aliases=aliases,
    )


def _distil(name: str, megabytes: int) -> ModelEntry:
    """distil-whisper's own models transcribe English, whatever their vocabulary holds."""
    return ModelEntry(
        name=name,
        repo=f"distil-whisper/{name}",
        size=megabytes * 1_000_000,
        languages=_ENGLISH,
        tasks=("transcribe",),
    )


DEMO = ModelEntry(
    name="demo",
    repo="",
    size=16_000_000,
    languages=("en", "es", "fr", "de", "zh"),
    tasks=("transcribe",),
    dynamic_context=True,
)

CATALOG: tuple[ModelEntry, ...] = (
    DEMO,
    _openai("tiny", 151),
    _openai("tiny.en", 151),
    _openai("base", 290),
    _openai("base.en", 290),
    _openai("small", 967),
    _openai("small.en", 967),
    _openai("medium", 3056),
    _openai("medium.en", 3056),
    _openai("large-v1", 6173, repo="whisper-large"),
    _openai("large-v2", 6173),
    _openai("large-v3", 3087, aliases=("large",)),
    _openai("large-v3-turbo", 1618, aliases=("turbo",)),
    _distil("distil-small.en", 332),
    _distil("distil-medium.en", 789),
    _distil("distil-large-v2", 1513),
    _distil("distil-large-v3", 1513),
    _distil("distil-large-v3.5", 1513),
)


def lookup(name: str) -> ModelEntry | None:
    """Find the entry for ``base``, ``whisper-base`` or ``openai/whisper-base``, in any case."""
    wanted = name.strip().lower()
    return next((entry for entry in CATALOG if wanted in _names(entry)), None)


def repo_of(name: str) -> str:
    """Return the hub repository of a model: of a known name, or any ``org/name`` as it is.

    Raises ``ModelNotFoundError``, with similar names, for anything else.
    """
    if (entry := lookup(name)) is not None and entry.repo:
        return entry.repo
    if _REPO.fullmatch(name):
        return name
    raise ModelNotFoundError(f"no model {name!r}{suggestion(name)}")


def short_name(repo: str) -> str:
    """Return the name people use for a repository, or the repository itself."""
    entry = lookup(repo)
    return entry.name if entry is not None else repo


def similar(name: str) -> list[str]:
    """At most three known names spelled like ``name``, the closest first."""
    spelled = {alias: entry.name for entry in CATALOG for alias in _names(entry)}
    close = get_close_matches(name.strip().lower(), spelled, n=6, cutoff=0.6)
    return list(dict.fromkeys(spelled[alias] for alias in close))[:3]


def suggestion(name: str) -> str:
    """Say what else ``name`` may have meant, as the rest of an error message."""
    close = similar(name)
    if close:
        return f"; did you mean {' or '.join(close)}?"
    return "; see: whisper-service models list (or pass org/name from the hub, or a folder)"


def conversion_command(source: str | Path, folder: str | Path) -> str:
    """Shell command by which ``transformers`` writes a checkpoint in the layout read here."""
    return _CONVERT.format(source, folder)


def _names(entry: ModelEntry) -> Iterator[str]:
    yield from (entry.name, *entry.aliases)
    if entry.repo:
        yield from (entry.repo, entry.repo.partition("/")[2])
        yield from (f"whisper-{alias}" for alias in entry.aliases)
