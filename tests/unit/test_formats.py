"""Writers: against what openai/whisper's own writers print, and against the json contract."""

import json
from dataclasses import replace

import pytest

from whisper_service.errors import InvalidOptionError
from whisper_service.events import (
    AudioSkipped,
    Committed,
    Event,
    Final,
    Lag,
    LanguageCandidate,
    LanguageDetected,
    LanguageSwitched,
    Partial,
    SpeechEnded,
    SpeechStarted,
)
from whisper_service.text.captions import CaptionOptions
from whisper_service.text.documents import segment_to_dict
from whisper_service.text.formats import (
    FORMATS,
    FormatOptions,
    event_to_dict,
    event_to_json,
    write_transcript,
)
from whisper_service.types import AudioAccount, Gap, Segment, Switch, Transcript, Word, to_samples

PLAIN = FormatOptions(captions=None)
TAGGED = FormatOptions(language_tags=True)


def word(text, start, end, language="fr"):
    return Word(
        text=text,
        start=to_samples(start),
        end=to_samples(end),
        probability=0.97,
        language=language,
    )


def segment(number, start, end, text, *, language="fr", words=(), **changes):
    values = {
        "language_probability": 0.98,
        "confidence": 0.93,
        "avg_logprob": -0.1,
        "no_speech_prob": 0.01,
        "compression_ratio": 1.1,
        "tokens": (1, 2),
        **changes,
    }
    return Segment(
        id=number,
        start=to_samples(start),
        end=to_samples(end),
        text=text,
        language=language,
        words=tuple(words),
        **values,
    )


def transcript(*segments, switches=(), duration=33.8, language="fr"):
    return Transcript(
        task="transcribe",
        duration=to_samples(duration),
        language=language,
        segments=segments,
        switches=switches,
        audio=AudioAccount(
            received=to_samples(33.8), decoded=to_samples(27.1), skipped_silence=to_samples(6.7)
        ),
        model="demo",
    )


# The expected texts are the output of whisper/utils.py (openai-whisper 20250625) on these segments.
WHISPER = transcript(
    segment(0, 0.51, 3.76, " Fermez la porte, s'il vous plaît."),
    segment(1, 3.9, 7.0625, " Then\twe can begin --> now.", language="en"),
    segment(2, 3599.9996, 3661.5, "今天天气很好。", language="zh"),
)
WHISPER_WROTE = {
    "txt": "Fermez la porte, s'il vous plaît.\nThen\twe can begin --> now.\n今天天气很好。\n",
    "srt": "1\n00:00:00,510 --> 00:00:03,760\nFermez la porte, s'il vous plaît.\n\n"
    "2\n00:00:03,900 --> 00:00:07,062\nThen we can begin -> now.\n\n"
    "3\n01:00:00,000 --> 01:01:01,500\n今天天气很好。\n\n",
    "vtt": "WEBVTT\n\n00:00.510 --> 00:03.760\nFermez la porte, s'il vous plaît.\n\n"
    "00:03.900 --> 00:07.062\nThen we can begin --&gt; now.\n\n"
    "01:00:00.000 --> 01:01:01.500\n今天天气很好。\n\n",
    "tsv": "start\tend\ttext\n510\t3760\tFermez la porte, s'il vous plaît.\n"
    "3900\t7062\tThen we can begin --> now.\n3600000\t3661500\t今天天气很好。\n",
}


@pytest.mark.parametrize("format_name", WHISPER_WROTE)
def test_as_openai_whisper_writes(format_name):
    assert write_transcript(WHISPER, format_name, options=PLAIN) == WHISPER_WROTE[format_name]


@pytest.mark.parametrize(
    ("format_name", "text"),
    [("txt", ""), ("srt", ""), ("vtt", "WEBVTT\n\n"), ("tsv", "start\tend\ttext\n"), ("jsonl", "")],
)
def test_nothing_said(format_name, text):
    assert write_transcript(transcript(language=""), format_name) == text


def test_an_unknown_format_names_the_known_ones():
    with pytest.raises(InvalidOptionError, match="txt, srt, vtt, tsv, json, jsonl"):
        write_transcript(transcript(), "docx")


FERMEZ = word(" Fermez", 0.51, 0.90)
MIXED = transcript(
    segment(
        0,
        0.51,
        3.76,
        " Fermez le meeting.",
        words=[FERMEZ, word(" le", 0.9, 1.2), word(" meeting.", 1.2, 3.76, "en")],
    ),
    segment(1, 3.9, 5.0, " R&D now.", language="en", words=[word(" R&D now.", 3.9, 5.0, "en")]),
    switches=(Switch(old="fr", new="en", at=to_samples(3.9)),),
)


def test_the_json_contract():
    document = json.loads(write_transcript(MIXED, "json"))
    fermez = {"word": "Fermez", "start": 0.51, "end": 0.9, "probability": 0.97, "language": "fr"}
    assert list(document) == [
        "task",
        "duration",
        "language",
        "languages",
        "text",
        "words",
        "usage",
        "segments",
        "switches",
        "gaps",
        "audio",
        "model",
    ]
    assert document["words"][0] == fermez
    assert [w["word"] for w in document["words"]] == ["Fermez", "le", "meeting.", "R&D now."]
    assert document["segments"][0]["words"] == document["words"][:3]
    first = {k: v for k, v in document["segments"][0].items() if k != "words"}
    assert first == {
        "id": 0,
        "seek": 0,
        "start": 0.51,
        "end": 3.76,
        "text": " Fermez le meeting.",
        "language": "fr",
        "language_probability": 0.98,
        "confidence": 0.93,
        "avg_logprob": -0.1,
        "no_speech_prob": 0.01,
        "compression_ratio": 1.1,
        "temperature": 0.0,
        "tokens": [1, 2],
    }
    rest = {k: v for k, v in document.items() if k not in ("words", "segments")}
    assert rest == {
        "task": "transcribe",
        "duration": 33.8,
        "language": "french",
        "languages": [{"code": "fr"}, {"code": "en"}],
        "text": "Fermez le meeting. R&D now.",
        "usage": {"type": "duration", "seconds": 34},
        "switches": [{"from": "fr", "to": "en", "at": 3.9}],
        "gaps": [],
        "audio": {
            "received": 33.8,
            "decoded": 27.1,
            "skipped_silence": 6.7,
            "dropped": 0.0,
            "pending": 0.0,
        },
        "model": "demo",
    }


def test_json_of_nothing_has_the_same_keys():
    document = json.loads(write_transcript(transcript(language="", duration=0), "json"))
    assert document["text"] == document["language"] == ""
    assert document["segments"] == document["words"] == document["languages"] == []
    assert document["usage"]["seconds"] == 0


def test_used_seconds_are_rounded_up():
    document = json.loads(write_transcript(transcript(duration=33.05), "json"))
    assert document["usage"] == {"type": "duration", "seconds": 34}


def test_texts_of_segments_join_to_the_transcript():
    document = json.loads(write_transcript(MIXED, "json"))
    assert "".join(s["text"] for s in document["segments"]).strip() == document["text"]


def test_what_json_has_no_number_for_is_null():
    odd = segment(0, 0, 1, " x", avg_logprob=float("-inf"), compression_ratio=float("nan"))
    document = json.loads(write_transcript(transcript(odd), "json"))
    assert document["segments"][0]["avg_logprob"] is None
    assert document["segments"][0]["compression_ratio"] is None


def test_json_is_readable_in_every_script():
    assert "今天天气很好。" in write_transcript(WHISPER, "json")


def test_language_tags_in_txt_and_tsv():
    assert write_transcript(WHISPER, "txt", options=TAGGED).splitlines()[1].startswith("[en] Then")
    lines = write_transcript(WHISPER, "tsv", options=TAGGED).splitlines()
    assert lines[0] == "start\tend\ttext\tlanguage"
    assert [line.split("\t")[3] for line in lines[1:]] == ["fr", "en", "zh"]


def test_language_tags_in_srt_keep_the_line_width():
    words = [word(f" word{i}", i / 4, i / 4 + 0.2) for i in range(12)]
    text = "".join(w.text for w in words)
    srt = write_transcript(
        transcript(segment(0, 0, 3, text, words=words)),
        "srt",
        options=FormatOptions(language_tags=True, captions=CaptionOptions(max_line_width=20)),
    )
    lines = [x for x in srt.splitlines() if x and "-->" not in x and not x.isdigit()]
    assert sum(x.startswith("[fr] ") for x in lines) == srt.count("-->") > 1
    assert max(map(len, lines)) <= 20


def test_language_spans_in_vtt():
    assert write_transcript(MIXED, "vtt", options=TAGGED) == (
        "WEBVTT\n\n"
        "00:00.510 --> 00:03.760\n"
        "<lang fr>Fermez le <lang en>meeting.</lang></lang>\n\n"
        "00:03.900 --> 00:05.000\n"
        "<lang en>R&amp;D now.</lang>\n\n"
    )


def test_vtt_language_spans_are_bcp_47():
    javanese = transcript(segment(0, 0, 1, " sugeng enjing", language="jw"))
    assert "<lang jv>sugeng enjing</lang>" in write_transcript(javanese, "vtt", options=TAGGED)


@pytest.mark.parametrize("at", range(56, 76))
def test_a_cue_of_one_millisecond_is_still_one_when_written(at):
    spoken = [replace(segment(i, 0, 0, "9"), start=at, end=at) for i in range(2)]
    vtt = write_transcript(transcript(*spoken), "vtt", options=FormatOptions())
    times = [line.split(" --> ") for line in vtt.splitlines() if " --> " in line]
    assert all(start < end for start, end in times)


def test_markup_in_vtt_is_escaped():
    vtt = write_transcript(transcript(segment(0, 0, 1, " a <b> & --> c")), "vtt")
    assert vtt.splitlines()[3] == "a &lt;b&gt; &amp; --&gt; c"


def test_captions_are_shaped_by_default():
    words = [word(f" word{i}", i / 4, i / 4 + 0.2) for i in range(20)]
    long = transcript(segment(0, 0, 5, "".join(w.text for w in words), words=words))
    lines = write_transcript(long, "srt").splitlines()
    assert max(map(len, lines)) <= 42
    assert len(write_transcript(long, "srt", options=PLAIN).splitlines()[2]) > 42


def test_jsonl_of_a_transcript_is_in_order_of_time():
    lines = [json.loads(x) for x in write_transcript(MIXED, "jsonl").splitlines()]
    assert [x["type"] for x in lines] == ["final", "language_switched", "final"]
    assert lines[1] == {"type": "language_switched", "from": "fr", "to": "en", "at": 3.9}
    assert lines[0] == {"type": "final", **segment_to_dict(MIXED.segments[0])}


EVENTS = [
    (SpeechStarted(at=8000), {"type": "speech_started", "at": 0.5}),
    (SpeechEnded(at=16_000), {"type": "speech_ended", "at": 1.0}),
    (
        Partial(committed="a", tentative=" b", language="en", start=0, end=8000),
        {
            "type": "partial",
            "committed": "a",
            "tentative": " b",
            "language": "en",
            "start": 0.0,
            "end": 0.5,
        },
    ),
    (
        Committed(words=(FERMEZ,), language="fr"),
        {
            "type": "committed",
            "text": " Fermez",
            "language": "fr",
            "words": [
                {"word": "Fermez", "start": 0.51, "end": 0.9, "probability": 0.97, "language": "fr"}
            ],
        },
    ),
    (
        Final(segment=MIXED.segments[0]),
        {"type": "final", **segment_to_dict(MIXED.segments[0])},
    ),
    (
        LanguageDetected(language="en", probability=0.91234567, at=16_000),
        {"type": "language_detected", "language": "en", "probability": 0.9123, "at": 1.0},
    ),
    (
        LanguageCandidate(language=None, probability=0.5, since=1600),
        {"type": "language_candidate", "language": None, "probability": 0.5, "since": 0.1},
    ),
    (
        LanguageSwitched(old="en", new="fr", at=16_000, decided_at=24_000, probability=0.9),
        {
            "type": "language_switched",
            "from": "en",
            "to": "fr",
            "at": 1.0,
            "decided_at": 1.5,
            "probability": 0.9,
        },
    ),
    (
        AudioSkipped(start=0, end=1600, reason="no_speech"),
        {"type": "audio_skipped", "start": 0.0, "end": 0.1, "reason": "no_speech"},
    ),
    (Lag(samples=800, at=16_000), {"type": "lag", "seconds": 0.05, "at": 1.0}),
]


@pytest.mark.parametrize(("event", "expected"), EVENTS, ids=lambda x: type(x).__name__)
def test_events(event, expected):
    assert event_to_dict(event) == expected
    line = event_to_json(event)
    assert "\n" not in line
    assert json.loads(line) == expected


def test_every_event_has_a_form_of_its_own():
    assert {type(event) for event, _ in EVENTS} == set(Event.__args__)
    assert len({expected["type"] for _, expected in EVENTS}) == len(EVENTS)


def test_formats_are_those_documented():
    assert list(FORMATS) == ["txt", "srt", "vtt", "tsv", "json", "jsonl"]


def test_jsonl_of_a_transcript_says_what_was_left_out():
    gap = Gap(start=16_000, end=32_000, reason="other_language")
    left_out = [
        json.loads(line)
        for line in write_transcript(replace(MIXED, gaps=(gap,)), "jsonl").splitlines()
        if "audio_skipped" in line
    ]
    assert left_out == [
        {"type": "audio_skipped", "start": 1.0, "end": 2.0, "reason": "other_language"}
    ]
