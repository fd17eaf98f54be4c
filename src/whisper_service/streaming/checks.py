"""Options that cannot work are refused before any audio is taken in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

from whisper_service.config import CommitPolicyName, StreamOptions
from whisper_service.engine.base import Engine
from whisper_service.errors import InvalidOptionError
from whisper_service.types import LanguagePolicy, Mode, to_samples


@dataclass(frozen=True, slots=True)
class Range:
    """An option's name and the values it may have, both ends included."""

    name: str
    lowest: float
    highest: float

    def check(self, value: Any) -> None:
        if not isinstance(value, int | float) or not self.lowest <= value <= self.highest:
            raise InvalidOptionError(
                f"{self.name} is {value!r}; give {self.lowest:g} to {self.highest:g}"
            )


STREAM = (
    Range("online_chunk_size", 0.1, 10.0),
    Range("unsettled_chunk_size", 0.1, 10.0),
    Range("max_context", 2.0, 25.0),
    Range("hard_context", 4.0, 30.0),
)
LANGUAGE = (
    Range("hop", 0.02, 1.0),
    Range("window", 0.3, 5.0),
    Range("doubt", 0.0, 1.0),
    Range("median", 1, 99),
    Range("seconds_per_change", 0.1, 1e6),
    Range("confidence_margin", 0.0, 1.0),
    Range("min_probability", 0.0, 1.0),
    Range("min_dwell_frames", 1, 100),
    Range("min_dwell", 0.0, 10.0),
    Range("evidence_floor", 0.0, 10.0),
    Range("max_wait", 0.0, 30.0),
)
DECODE = (
    Range("beam_size", 1, 8),
    Range("frame_threshold", 0.0, 5.0),
    Range("preview_threshold", 0.0, 5.0),
    Range("max_prompt_tokens", 0, 223),
    Range("max_tokens_per_second", 1.0, 100.0),
)


def check_options(engine: Engine, options: StreamOptions) -> None:
    """Refuse what cannot work, or what the model cannot do.

    Raises:
        InvalidOptionError: names the option and what it may be.
    """
    language, decode = options.language, options.decode
    for part, ranges in ((options, STREAM), (language, LANGUAGE), (decode, DECODE)):
        for item in ranges:
            item.check(getattr(part, item.name))
    _check_choice("mode", options.mode, get_args(Mode))
    check_policy(language.policy)
    _check_choice("policy", decode.policy, get_args(CommitPolicyName))
    if options.max_context >= options.hard_context:
        raise InvalidOptionError("max_context must be below hard_context")
    if decode.task not in engine.tasks:
        raise InvalidOptionError(
            f"model '{engine.name}' cannot {decode.task}; it can: {', '.join(engine.tasks)}"
        )
    check_languages(engine, language.languages)
    if language.policy == "forced" and len(language.languages) != 1:
        raise InvalidOptionError("the policy 'forced' needs exactly one language")


def check_policy(policy: str) -> None:
    """Refuse what is no language policy."""
    _check_choice("language policy", policy, get_args(LanguagePolicy))


def check_languages(engine: Engine, languages: Sequence[str]) -> None:
    """Refuse languages the model has no token for."""
    missing = [code for code in languages if code not in engine.languages]
    if missing:
        known = ", ".join(engine.languages[:12]) + (" …" if len(engine.languages) > 12 else "")
        raise InvalidOptionError(
            f"model '{engine.name}' does not know the language {missing[0]!r}; it knows: {known}"
        )


def window_limits(engine: Engine, options: StreamOptions) -> tuple[int, int]:
    """The longest a window may get and where it should be shortened, in samples.

    A model that was trained on shorter windows than the options allow loses words in longer ones.
    """
    hard = min(options.hard_context, engine.longest_window)
    soft = min(options.max_context, hard / 2)
    return to_samples(hard - min(soft / 4, 2.5)), to_samples(soft)


def _check_choice(name: str, value: object, choices: Sequence[str]) -> None:
    if value not in choices:
        raise InvalidOptionError(f"{name} is {value!r}; give one of: {', '.join(choices)}")
