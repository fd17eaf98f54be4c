"""Speech with exact word times, from the espeak-ng library of the system.

The library is one global state machine, so all calls go through one lock. It reports the
moment at which each word and each phoneme begins; a word ends where the next one begins,
or earlier where a pause lies between the two.

Debian's espeak-ng 1.51 speaks Mandarin well with ``cmn-latn-pinyin``; its plain ``cmn`` reads most
characters as pinyin in English letters followed by the number of the tone.
"""

from __future__ import annotations

import ctypes as ct
import ctypes.util
import re
import threading
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray

from whisper_service.errors import WhisperServiceError
from whisper_service.types import SAMPLE_RATE

VOICES = {"en": "en-us", "es": "es", "fr": "fr", "de": "de", "zh": "cmn-latn-pinyin"}

_SYNCHRONOUS, _PHONEME_EVENTS, _UTF8 = 2, 1, 1
_RATE, _PITCH, _PITCH_RANGE = 1, 3, 4
_LIST_TERMINATED, _WORD, _PHONEME = 0, 1, 7
_TOKEN = re.compile(
    r"[\u4e00-\u9fff][^\u4e00-\u9fff\w]*|[^\s\u4e00-\u9fff]+(?:\s+[^\w\s]+(?=\s|$))*"
)
_PAUSES = ("_", "_:", "_::")  # longer than the short stops "_|" and "_!" within speech
_lock = threading.Lock()


class SynthesizerError(WhisperServiceError):
    """The espeak-ng library, or one of its voices, is not on this machine."""

    exit_code = 5


@dataclass(frozen=True)
class TimedWord:
    """One spoken word: its text with punctuation, where it stands, and its samples [start, end)."""

    text: str
    begin: int  # first character in the sentence
    finish: int  # one past its last character
    start: int  # samples at 16 kHz
    end: int  # samples at 16 kHz


@dataclass(frozen=True)
class Phone:
    """One phoneme in espeak-ng's notation (pauses start with ``_``) and its first sample."""

    name: str
    start: int


@dataclass(frozen=True)
class Utterance:
    """Synthesized speech: mono float32 samples at 16 kHz within [-1, 1], and its true times."""

    samples: NDArray[np.float32]
    text: str
    words: tuple[TimedWord, ...]
    phones: tuple[Phone, ...]


class _Event(ct.Structure):
    _fields_ = (
        ("type", ct.c_int),
        ("unique_identifier", ct.c_uint),
        ("text_position", ct.c_int),
        ("length", ct.c_int),
        ("audio_position", ct.c_int),  # milliseconds
        ("sample", ct.c_int),
        ("user_data", ct.c_void_p),
        ("id", ct.c_char * 8),
    )


_Callback = ct.CFUNCTYPE(ct.c_int, ct.POINTER(ct.c_short), ct.c_int, ct.POINTER(_Event))


class _Library:
    """The loaded library and what its callback collected for the sentence being spoken."""

    def __init__(self) -> None:
        name = ctypes.util.find_library("espeak-ng") or "libespeak-ng.so.1"
        try:
            self.c: Any = ct.CDLL(name)
        except OSError as error:
            raise SynthesizerError(
                "espeak-ng was not found; install it with: apt-get install libespeak-ng1"
            ) from error
        self.rate: int = self.c.espeak_Initialize(_SYNCHRONOUS, 200, None, _PHONEME_EVENTS)
        if self.rate <= 0:
            raise SynthesizerError(
                "espeak-ng found no voice data; install it with: apt-get install espeak-ng-data"
            )
        self.audio: list[NDArray[np.int16]] = []
        self.words: list[tuple[int, int]] = []  # (character, ms)
        self.phones: list[tuple[str, int]] = []  # (name, ms)
        self._callback = _Callback(self._collect)  # must outlive the library
        self.c.espeak_SetSynthCallback(self._callback)

    def _collect(self, wav: Any, count: int, events: Any) -> int:
        if wav and count > 0:
            self.audio.append(np.ctypeslib.as_array(wav, (count,)).copy())
        index = 0
        while events[index].type != _LIST_TERMINATED:
            event = events[index]
            if event.type == _WORD and event.length > 0:
                self.words.append((event.text_position - 1, event.audio_position))
            elif event.type == _PHONEME:
                self.phones.append((event.id.decode("utf8", "replace"), event.audio_position))
            index += 1
        return 0

    def speak(self, text: str, voice: str, rate: int, pitch: int, pitch_range: int) -> None:
        self.audio, self.words, self.phones = [], [], []
        if self.c.espeak_SetVoiceByName(voice.encode()) != 0:
            raise SynthesizerError(f"espeak-ng has no voice named {voice!r}.")
        for parameter, value in ((_RATE, rate), (_PITCH, pitch), (_PITCH_RANGE, pitch_range)):
            self.c.espeak_SetParameter(parameter, value, 0)
        data = text.encode()
        self.c.espeak_Synth(data, len(data) + 1, 0, 1, 0, _UTF8, None, None)
        self.c.espeak_Synchronize()


@cache
def _library() -> _Library:
    return _Library()


def synthesize(
    text: str, voice: str, rate: int = 160, pitch: int = 50, pitch_range: int = 50
) -> Utterance:
    """Speak ``text`` with an espeak-ng voice such as ``en-us+f3``.

    ``rate`` is in words a minute, ``pitch`` and ``pitch_range`` go from 0 to 99. The library
    keeps some state (phase, breath noise), so the samples of a sentence, not its words, differ
    a little with what was spoken before it in the same process. Raises
    :class:`SynthesizerError` where the library or the voice is missing.
    """
    with _lock:
        library = _library()
        library.speak(text, voice, rate, pitch, pitch_range)
        audio, marks, phones = library.audio, library.words, library.phones
    raw = np.concatenate(audio) if audio else np.zeros(1, np.int16)
    scaled = raw.astype(np.float32) / 32768.0
    samples = soxr.resample(scaled, library.rate, SAMPLE_RATE).astype(np.float32)
    timed = tuple(Phone(name, _samples(ms)) for name, ms in phones)
    return Utterance(samples, text, time_words(text, marks, timed, len(samples)), timed)


def tokens(text: str) -> list[tuple[int, int]]:
    """Character ranges of the words of ``text``: split at spaces, or each Han character alone."""
    return [m.span() for m in _TOKEN.finditer(text)]


def time_words(
    text: str, marks: list[tuple[int, int]], phones: tuple[Phone, ...], n_samples: int
) -> tuple[TimedWord, ...]:
    """Give every word of ``text`` its samples, from the synthesizer's marks (character, ms).

    espeak-ng joins some short words ("of the") under one mark: those share its stretch in
    proportion to their letters.
    """
    spans = tokens(text)
    groups = _groups(spans, marks)
    pauses = [p.start for p in phones if p.name in _PAUSES] + [n_samples]
    words: list[TimedWord] = []
    for position, (start, members) in enumerate(groups):
        following = groups[position + 1][0] if position + 1 < len(groups) else n_samples
        end = min([p for p in pauses if start < p < following] + [following])
        words += _share(text, [spans[m] for m in members], start, max(end, start + 1))
    return tuple(words)


def _groups(
    spans: list[tuple[int, int]], marks: list[tuple[int, int]]
) -> list[tuple[int, list[int]]]:
    """Group words under the mark that announces them: [(start in samples, [word, ...]), ...]."""
    starts: dict[int, int] = {}
    for character, ms in marks:
        for index, (begin, finish) in enumerate(spans):
            if begin <= character < finish:
                starts.setdefault(index, _samples(ms))
    groups: list[tuple[int, list[int]]] = []
    for index in range(len(spans)):
        if index in starts or not groups:
            groups.append((starts.get(index, 0), [index]))
        else:
            groups[-1][1].append(index)
    return groups


def _share(text: str, spans: list[tuple[int, int]], start: int, end: int) -> list[TimedWord]:
    """Divide samples [start, end) among words in proportion to their letters."""
    lengths = [finish - begin for begin, finish in spans]
    total, done, words = sum(lengths), 0, []
    for (begin, finish), length in zip(spans, lengths, strict=True):
        first = start + (end - start) * done // total
        done += length
        last = start + (end - start) * done // total
        words.append(TimedWord(text[begin:finish], begin, finish, first, last))
    return words


def _samples(milliseconds: int) -> int:
    return milliseconds * SAMPLE_RATE // 1000
