"""faster-whisper on the same checkpoint, as a baseline where it is installed.

It is run as its users run it on a file with several languages: the whole recording at once,
``multilingual=True``, times of words, greedy, everything else as it comes. It then names the
language of each window of up to 30 s anew and transcribes all of it in that language. What it
says becomes the events that a stream would give, so that the same scorers judge it; they are all
there at the end only, so nothing that depends on time is scored.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from whisper_service.evaluation.baselines import System, code_switching
from whisper_service.evaluation.converted import WEIGHTS, read_source
from whisper_service.evaluation.recording import JOINED, Recording
from whisper_service.evaluation.replay import Replay, Timed
from whisper_service.events import (
    Committed,
    Event,
    Final,
    LanguageDetected,
    LanguageSwitched,
    SpeechEnded,
    SpeechStarted,
)
from whisper_service.streaming.session import confidence
from whisper_service.types import (
    SAMPLE_RATE,
    AudioAccount,
    FloatArray,
    Segment,
    Switch,
    Transcript,
    Word,
    to_samples,
)

NAME = "faster-whisper"
SCRIPT = "benchmarks/convert_for_faster_whisper.py"
PATIENCE = 1.0
"""Seconds of work for a second of audio after which a recording is given up; usual are 0.03-0.1.

Version 1.2.1 had not come to the end of one recording of ``mix5`` (test split) after nine minutes.
"""


def why_not(folder: Path, *, fingerprint: str) -> str:
    """Why the baseline cannot run, and what to do about it; empty if it can.

    ``folder``: the converted model; ``fingerprint``: of the checkpoint that is evaluated. A folder
    that does not tell what it was made from is taken as it is.
    """
    if find_spec("faster_whisper") is None:
        return f"{NAME} is left out: pip install faster-whisper, then {SCRIPT}"
    if not (folder / WEIGHTS).is_file():
        return f"{NAME} is left out: no converted model in {folder}; make it with {SCRIPT}"
    if read_source(folder) not in (None, fingerprint):
        return f"{NAME} is left out: {folder} is of other weights; make it anew with {SCRIPT}"
    return ""


def faster_whisper(folder: Path, *, longest_window: float, threads: int) -> System:
    """The baseline with the model in ``folder``.

    ``longest_window`` (s): what the checkpoint was trained on. One that knows shorter windows
    than Whisper's 30 s gets no longer ones, and is not asked for Whisper's time tokens.
    """
    heard = _Listener(folder, longest_window=longest_window, threads=threads)
    return System(
        name=NAME,
        title="faster-whisper, multilingual, whole recording",
        options=code_switching,
        whole=heard.run,
    )


class _Listener:
    def __init__(self, folder: Path, *, longest_window: float, threads: int) -> None:
        module: Any = importlib.import_module("faster_whisper")
        self._model = module.WhisperModel(
            str(folder), device="cpu", compute_type="float32", cpu_threads=threads
        )
        self._limit = 0.0
        self._languages = _note_languages(self._model, self._check)
        short = longest_window < 30.0
        self._options = {"chunk_length": int(longest_window)} if short else {}
        self._options["without_timestamps"] = short

    def run(self, recording: Recording) -> Replay:
        """Transcribe a recording."""
        started = time.perf_counter()
        self._limit = started + PATIENCE * len(recording.samples) / SAMPLE_RATE
        segments = self._transcribe(recording.samples)
        spent = time.perf_counter() - started
        return replay_of(segments, length=len(recording.samples), computed=spent)

    def _transcribe(self, samples: FloatArray) -> list[Segment]:
        # decoding falls back to sampling where it is unsure: the same choices in every run
        importlib.import_module("ctranslate2").set_random_seed(0)
        found, _ = self._model.transcribe(
            samples, multilingual=True, word_timestamps=True, beam_size=1, **self._options
        )
        segments: list[Segment] = []
        with suppress(_EndlessError):  # what has been said until then counts
            for each in found:
                after = segments[-1].end if segments else 0
                words = words_of(each.words or (), language=self._languages[-1], after=after)
                if words:
                    segments.append(_segment(each, words, number=len(segments)))
        return segments

    def _check(self) -> None:
        if time.perf_counter() > self._limit:
            raise _EndlessError


class _EndlessError(Exception):
    """The program decodes the same window again and again."""


def _note_languages(model: Any, check: Callable[[], None]) -> list[str]:
    """Codes of the language that each window is decoded in: the segments do not tell it.

    ``check`` is called before each window.
    """
    languages: list[str] = []
    decode = model.generate_with_fallback

    def noting(encoded: Any, prompt: Any, tokenizer: Any, options: Any) -> Any:
        check()
        languages.append(tokenizer.language_code)
        return decode(encoded, prompt, tokenizer, options)

    model.generate_with_fallback = noting
    return languages


def words_of(said: Iterable[Any], *, language: str, after: int) -> list[Word]:
    """faster-whisper's words on the sample clock, none before ``after`` or the word before it."""
    words: list[Word] = []
    for each in said:
        start = max(after, to_samples(each.start))
        after = max(start, to_samples(each.end))
        words.append(
            Word(
                text=each.word,
                start=start,
                end=after,
                probability=float(each.probability),
                language=language,
            )
        )
    return words


def _segment(said: Any, words: Sequence[Word], *, number: int) -> Segment:
    return Segment(
        id=number,
        start=words[0].start,
        end=words[-1].end,
        text="".join(w.text for w in words),
        language=words[0].language,
        language_probability=1.0,  # not told for each window
        confidence=confidence(words),
        avg_logprob=said.avg_logprob,
        no_speech_prob=said.no_speech_prob,
        compression_ratio=said.compression_ratio,
        words=tuple(words),
    )


def replay_of(segments: Sequence[Segment], *, length: int, computed: float) -> Replay:
    """A run of which everything was there when it had ended; ``length`` in samples."""
    available = length + to_samples(computed)
    events = [*_speech(segments), *_said(segments, length=length)]
    switches = [e for e in events if isinstance(e, LanguageSwitched)]
    transcript = Transcript(
        task="transcribe",
        duration=length,
        language=segments[0].language if segments else "",
        segments=tuple(segments),
        switches=tuple(Switch(old=e.old, new=e.new, at=e.at) for e in switches),
        audio=AudioAccount(received=length, decoded=length),
        model=NAME,
    )
    timed = tuple(Timed(event, length, available) for event in events)
    return Replay(timed, transcript, computed, (), streamed=False)


def _said(segments: Sequence[Segment], *, length: int) -> list[Event]:
    events: list[Event] = []
    language = ""
    for segment in segments:
        new, at = segment.language, segment.start
        if not language:
            events.append(LanguageDetected(language=new, probability=1.0, at=at))
        elif new != language:
            events.append(
                LanguageSwitched(old=language, new=new, at=at, decided_at=length, probability=1.0)
            )
        language = new
        events += [Committed(words=segment.words, language=new), Final(segment=segment)]
    return events


def _speech(segments: Sequence[Segment]) -> list[Event]:
    """Words joined over gaps that the truth joins too: where speech is said to be."""
    joined: list[tuple[int, int]] = []
    for word in (w for s in segments for w in s.words):
        if joined and word.start - joined[-1][1] < JOINED:
            joined[-1] = (joined[-1][0], word.end)
        else:
            joined.append((word.start, word.end))
    return [e for a, b in joined for e in (SpeechStarted(at=a), SpeechEnded(at=b))]
