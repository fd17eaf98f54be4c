"""What a run was asked to do, checked before anything is loaded."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from whisper_service.cli.options import ComputeType, Device, Format, PolicyName, TaskName
from whisper_service.config import DecodeOptions, LanguageOptions, StreamOptions
from whisper_service.errors import InvalidOptionError
from whisper_service.types import Mode


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelChoice:
    """Which model, and how it is run."""

    name: str
    models_dir: Path | None = None
    device: Device = Device.auto
    compute_type: ComputeType = ComputeType.auto
    threads: int = 0  # 0: the physical cores, at most 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How results look."""

    format: Format | None = None  # None: chosen by the output's name, else by the mode
    max_line_width: int = 42  # characters
    max_line_count: int = 2  # lines
    language_tags: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Speech:
    """What is spoken and what is wanted of it."""

    language: str | None = None
    languages: str | None = None  # comma-separated
    task: TaskName = TaskName.transcribe
    prompt: str = ""
    context: str = "auto"
    policy: PolicyName = PolicyName.align_att
    beam_size: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One call of ``transcribe`` or ``demo``."""

    model: ModelChoice
    speech: Speech = field(default_factory=Speech)
    shape: Shape = field(default_factory=Shape)
    output: Path | None = None
    output_dir: Path | None = None
    stats: bool = False


def choose_mode(*, live: bool, fast: bool, offline: bool) -> Mode | None:
    """Return the one mode asked for, or ``None``."""
    chosen: list[Mode] = []
    chosen += ["live"] if live else []
    chosen += ["fast"] if fast else []
    chosen += ["offline"] if offline else []
    if len(chosen) > 1:
        raise InvalidOptionError(f"--{chosen[0]} and --{chosen[1]} exclude each other: choose one")
    return chosen[0] if chosen else None


def choose_format(shape: Shape, *, output: Path | None, mode: Mode) -> Format | None:
    """Return the format to write; ``None``: live captions, a line each.

    Raises ``InvalidOptionError`` for an output whose name ends like no format.
    """
    if shape.format is not None:
        return shape.format
    suffix = output.suffix.lower().lstrip(".") if output is not None else ""
    if suffix in Format.__members__:
        return Format(suffix)
    if output is not None and suffix:
        raise InvalidOptionError(
            f"{output} ends like no format: use .{', .'.join(Format)}, or --format"
        )
    return Format.txt if mode == "offline" or output is not None else None


def stream_options(speech: Speech, *, mode: Mode) -> StreamOptions:
    """Build the pipeline's options; ``InvalidOptionError`` for values that work with no model."""
    return StreamOptions(
        mode=mode,
        language=_language(speech),
        decode=DecodeOptions(
            task=speech.task.value,
            beam_size=speech.beam_size,
            policy=speech.policy.value,
            prompt=speech.prompt,
        ),
    )


def _language(speech: Speech) -> LanguageOptions:
    from whisper_service.text.languages import resolve_language

    if speech.language is not None and speech.languages is not None:
        raise InvalidOptionError("--language and --languages exclude each other: choose one")
    named = speech.language if speech.languages is None else speech.languages
    if named is None or named == "auto":
        return LanguageOptions()
    names = [name.strip() for name in named.split(",") if name.strip()]
    if not names:
        raise InvalidOptionError("no language given: write codes such as en,es")
    if speech.language is not None and len(names) > 1:
        raise InvalidOptionError(f"--language takes one language: use --languages {named}")
    codes = tuple(dict.fromkeys(resolve_language(name) for name in names))
    return LanguageOptions(policy="code_switch" if len(codes) > 1 else "forced", languages=codes)


def encoder_context(value: str) -> float | Literal["auto", "full"]:
    """Read ``--context``: the encoder's input, as the engine takes it (seconds, or a word)."""
    if value == "auto":
        return "auto"
    if value == "full":
        return "full"
    try:
        seconds = float(value)
    except ValueError:
        seconds = 0.0
    if not 1.0 <= seconds <= 30.0:
        raise InvalidOptionError(f"--context {value}: use auto, full, or seconds from 1 to 30")
    return seconds
