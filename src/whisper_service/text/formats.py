"""A transcript as txt, srt, vtt, tsv, json or jsonl; an event as a line of jsonl.

``txt``, ``srt``, ``vtt`` and ``tsv`` are written as openai/whisper writes them
(``whisper/utils.py``); in ``vtt`` the characters ``& < >`` are escaped, as the specification
demands. ``json`` is OpenAI's ``verbose_json`` with languages and probabilities added.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

from whisper_service.errors import InvalidOptionError
from whisper_service.events import AudioSkipped, Event, Final
from whisper_service.text.captions import CaptionOptions, Cue, join_words, shape
from whisper_service.text.documents import event_to_dict, switch_to_dict, transcript_to_dict
from whisper_service.types import Segment, Transcript, Word, to_seconds

__all__ = [
    "FORMATS",
    "FormatOptions",
    "event_to_dict",
    "event_to_json",
    "transcript_to_dict",
    "write_transcript",
]

_BCP47 = {"jw": "jv"}
"""Whisper's codes that are no BCP 47 tags."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FormatOptions:
    """What a written transcript holds besides its text."""

    language_tags: bool = False  # in txt, srt, vtt and tsv; json and jsonl always have them
    captions: CaptionOptions | None = field(default_factory=CaptionOptions)
    """Shaping of srt and vtt; None: one cue a segment, as openai/whisper does by default."""


DEFAULTS = FormatOptions()


def write_transcript(
    transcript: Transcript,
    format: str,  # noqa: A002
    *,
    options: FormatOptions = DEFAULTS,
) -> str:
    """Return ``transcript`` in one of :data:`FORMATS`, with a final newline.

    Raises ``InvalidOptionError`` for any other format.
    """
    writer = FORMATS.get(format)
    if writer is None:
        raise InvalidOptionError(f"unknown format {format!r}; choose from {', '.join(FORMATS)}")
    return writer(transcript, options)


def event_to_json(event: Event) -> str:
    """Return one line of ``jsonl``, without its newline."""
    return json.dumps(event_to_dict(event), ensure_ascii=False)


def _txt(transcript: Transcript, options: FormatOptions) -> str:
    tagged = options.language_tags
    return _lines(
        f"[{s.language}] {s.text.strip()}" if tagged else s.text.strip()
        for s in transcript.segments
    )


def _tsv(transcript: Transcript, options: FormatOptions) -> str:
    rows = [("start", "end", "text", "language")]
    for s in transcript.segments:
        text = " ".join(s.text.split())  # a tab or line break would start another cell or row
        rows.append((str(_ms(s.start)), str(_ms(s.end)), text, s.language))
    columns = 4 if options.language_tags else 3
    return _lines("\t".join(row[:columns]) for row in rows)


def _srt(transcript: Transcript, options: FormatOptions) -> str:
    tags = {f"[{s.language}] " for s in transcript.segments} if options.language_tags else {""}
    reserved = max(map(len, tags), default=0)
    blocks = (
        f"{number}\n{_time(cue.start, ',', hours=True)} --> {_time(cue.end, ',', hours=True)}\n"
        + (f"[{cue.language}] " if options.language_tags else "")
        + cue.text.replace("-->", "->")
        + "\n"
        for number, cue in enumerate(_cues(transcript, options, reserved=reserved), start=1)
    )
    return _lines(blocks)


def _vtt(transcript: Transcript, options: FormatOptions) -> str:
    blocks = (
        f"{_time(cue.start, '.')} --> {_time(cue.end, '.')}\n"
        + _vtt_payload(cue, tagged=options.language_tags)
        + "\n"
        for cue in _cues(transcript, options)
    )
    return _lines(["WEBVTT\n", *blocks])


def _json(transcript: Transcript, options: FormatOptions) -> str:  # noqa: ARG001
    document = transcript_to_dict(transcript)
    return json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False) + "\n"


def _jsonl(transcript: Transcript, options: FormatOptions) -> str:  # noqa: ARG001
    """Write the switches, finals and gaps a stream would have said, in the order of their times."""
    said: list[tuple[int, Mapping[str, Any]]] = [
        (s.at, {"type": "language_switched", **switch_to_dict(s)}) for s in transcript.switches
    ]
    said += [(s.start, event_to_dict(Final(segment=s))) for s in transcript.segments]
    said += [
        (g.start, event_to_dict(AudioSkipped(start=g.start, end=g.end, reason=g.reason)))
        for g in transcript.gaps
    ]
    said.sort(key=lambda pair: pair[0])
    return _lines(json.dumps(document, ensure_ascii=False) for _, document in said)


FORMATS: dict[str, Callable[[Transcript, FormatOptions], str]] = {
    "txt": _txt,
    "srt": _srt,
    "vtt": _vtt,
    "tsv": _tsv,
    "json": _json,
    "jsonl": _jsonl,
}
"""Writers by the name of their format, which is also the file's extension."""


def _cues(transcript: Transcript, options: FormatOptions, *, reserved: int = 0) -> list[Cue]:
    captions = options.captions
    if captions is None:
        return [_whole(s) for s in transcript.segments]
    width = max(1, captions.max_line_width - reserved)
    return shape(transcript.segments, replace(captions, max_line_width=width))


def _whole(segment: Segment) -> Cue:
    word = Word(
        text=segment.text,
        start=segment.start,
        end=segment.end,
        probability=segment.confidence,
        language=segment.language,
    )
    return Cue(start=segment.start, end=segment.end, language=segment.language, lines=((word,),))


def _vtt_payload(cue: Cue, *, tagged: bool) -> str:
    """Write the cue's text, in language spans where asked for.

    W3C WebVTT, section 4.2.2: a cue language span is ``<lang``, a space, a BCP 47 tag and ``>``,
    any cue text (line breaks and other spans included), and ``</lang>``.
    """
    if not tagged:
        return _escape(cue.text)
    lines = "\n".join(_marked(line, cue.language) for line in cue.lines)
    return _span(cue.language, lines)


def _marked(line: Iterable[Word], language: str) -> str:
    """Write a line with spans around words of another language than the cue's."""
    parts: list[str] = []
    for code, run in groupby(line, key=lambda w: w.language):
        words = list(run)
        text = _escape(join_words(words))
        space = " " if parts and words[0].text[:1].isspace() else ""
        parts.append(space + (text if code == language else _span(code, text)))
    return "".join(parts)


def _span(language: str, text: str) -> str:
    return f"<lang {_BCP47.get(language, language)}>{text}</lang>" if language else text


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _time(samples: int, decimal_mark: str, *, hours: bool = False) -> str:
    """Write ``hh:mm:ss.mmm``; hours when there are any, or always."""
    seconds, ms = divmod(_ms(samples), 1000)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    lead = f"{hour:02d}:" if hours or hour else ""
    return f"{lead}{minute:02d}:{second:02d}{decimal_mark}{ms:03d}"


def _ms(samples: int) -> int:
    return round(1000 * to_seconds(samples))


def _lines(lines: Iterable[str]) -> str:
    return "".join(line + "\n" for line in lines)
