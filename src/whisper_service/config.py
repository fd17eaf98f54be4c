"""Options of each part: frozen, keyword-only, a unit beside every field."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from whisper_service.types import LanguagePolicy, Mode, Task

CommitPolicyName = Literal["align_att", "local_agreement"]


@dataclass(frozen=True, slots=True, kw_only=True)
class VadOptions:
    """Hysteresis of the speech detector (names after pyannote's ``Binarize``)."""

    enabled: bool = True  # off: everything is speech
    onset: float = 0.5  # probability at which speech starts
    offset: float = 0.35  # probability below which it may end
    min_speech: float = 0.1  # s above onset before it counts
    min_silence: float = 0.5  # s since speech was last sure, half of them below offset, to its end
    pre_roll: float = 0.3  # s kept from before the start
    pad: float = 0.2  # s kept after the end


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageOptions:
    """How the language of speech is followed."""

    policy: LanguagePolicy = "auto_lock"
    languages: tuple[str, ...] = ()  # allowed codes; empty: every language of the model
    hop: float = 0.1  # s between two LID frames
    window: float = 1.0  # s of speech one frame looks at
    evidence: Literal["checked", "shared", "own"] = "checked"  # how LID spans are encoded:
    # read off the window's encoding (shared), alone (own), or shared and the doubtful ones alone
    doubt: float = 0.8  # P(best language) below which a shared span is checked alone
    median: int = 5  # frames of the median filter
    seconds_per_change: float = 30.0  # s, mean time between changes in the HMM
    confidence_margin: float = 0.2  # P(new) - P(old) for a change
    min_probability: float = 0.6  # P(new) for a change
    min_dwell_frames: int = 6  # frames a change must hold
    min_dwell: float = 0.25  # s a change must hold
    evidence_floor: float = 0.8  # s of speech before the first decision
    max_wait: float = 2.0  # s of speech after which the best guess is used


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeOptions:
    """How encoded audio becomes text."""

    task: Task = "transcribe"
    beam_size: int = 1  # 1: greedy
    policy: CommitPolicyName = "align_att"
    frame_threshold: float = 0.4  # s before the window's end in which nothing is committed
    preview_threshold: float = 0.1  # s before the window's end in which nothing is previewed
    prompt: str = ""  # previous context, in the first of the languages named
    max_prompt_tokens: int = 100
    max_tokens_per_second: float = 14.0  # tokens; a loop costs one update at most
    no_speech_threshold: float = 0.6
    logprob_threshold: float = -1.0  # mean log-probability below which no-speech is believed
    compression_ratio_threshold: float = 2.4


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamOptions:
    """One stream: when updates run and how long a window may get."""

    mode: Mode = "live"
    online_chunk_size: float = 0.5  # s of new speech between two updates
    unsettled_chunk_size: float = 0.1  # s between updates while the language is not settled
    max_context: float = 10.0  # s, soft limit of the window
    hard_context: float = 30.0  # s, hard limit of the window
    vad: VadOptions = field(default_factory=VadOptions)
    language: LanguageOptions = field(default_factory=LanguageOptions)
    decode: DecodeOptions = field(default_factory=DecodeOptions)
    max_segments: int | None = None  # newest segments and switches kept; None: all, 2 MB an hour
    metrics: bool = True
    cache: bool = True
    parallel: bool = False  # decode in the current language while the probe runs; needs the cache
