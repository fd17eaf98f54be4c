"""What a person reads of an evaluation."""

import json
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from streams import ENGINE
from whisper_service.config import StreamOptions
from whisper_service.errors import InvalidOptionError
from whisper_service.evaluation import baselines
from whisper_service.evaluation.corpus import SpokenWord
from whisper_service.evaluation.goals import LONG, figures
from whisper_service.evaluation.harness import run_system, stream_recording, timeline
from whisper_service.evaluation.manifest import load_manifest
from whisper_service.evaluation.page import html_page
from whisper_service.evaluation.recording import Recording, stretches
from whisper_service.evaluation.report import goal_rows, markdown, shown
from whisper_service.evaluation.store import RecordingStore
from whisper_service.evaluation.suites import Plan, Recordings, build
from whisper_service.evaluation.synthesizer import SynthesizerError
from whisper_service.features import log_mel
from whisper_service.lid import LidSpan
from whisper_service.streaming.encodings import Window
from whisper_service.testing import EnergyVad, silence, tone
from whisper_service.testing.tones import VOCABULARY

SECOND = 16_000
WORDS = {
    code: [word for word, (language, _) in VOCABULARY.items() if language == code][:3]
    for code in ("en", "es")
}


def hearing_tones(system):
    """The system with a detector that takes tones for speech."""
    return replace(system, make=lambda e, o: system.make(e, o, detector=EnergyVad()))


def tones():
    """English tones, a pause, Spanish tones: what the scripted engine understands."""
    parts, words, at = [silence(0.5)], [], SECOND // 2
    for code in ("en", "es"):
        for text in WORDS[code] * 2:
            parts.append(tone(text, 0.4))
            words.append(SpokenWord(text, at, at + len(parts[-1]), code))
            at += len(parts[-1])
        parts.append(silence(1.2))
        at += len(parts[-1])
    return Recording(
        name="tones <&>",
        suite="switches-pause",
        languages=("en", "es"),
        samples=np.concatenate(parts),
        speech=stretches(words),
        words=tuple(words),
    )


@pytest.fixture(scope="module")
def result():
    return run_system(ENGINE, hearing_tones(baselines.PRODUCT), [tones()])


def test_progress_tells_of_each_recording(result):
    told = []
    run_system(ENGINE, hearing_tones(baselines.PRODUCT), [tones(), tones()], progress=told.append)
    assert [p.recordings for p in told] == [1, 2]
    assert [p.samples for p in told] == [result.tally.samples, 2 * result.tally.samples]
    assert (told[0].newest, told[0].false_switches) == ("tones <&>", 0)


def test_other_ways_to_follow_the_language_do_not_look_closer():
    makers = [system.make(ENGINE, StreamOptions()) for system in baselines.BASELINES[1:]]
    assert [stream.tracker.looks_twice for stream in makers] == [False, False]
    assert baselines.PRODUCT.make(ENGINE, StreamOptions()).tracker.looks_twice


def test_a_frame_of_the_old_way_is_the_tenth_of_a_second_that_was_heard(monkeypatch):
    heard = []

    def padded(self, start, end):
        heard.append((start, end))
        return Window(start, end, ENGINE.encode([log_mel(silence(1.0))])[0])

    monkeypatch.setattr(baselines.OldEncodings, "padded", padded)
    old = baselines.OldEncodings.__new__(baselines.OldEncodings)
    old._engine = ENGINE
    (frame,) = old.own_frames([LidSpan(start=17_600, end=33_600)])
    assert [(frame.start, frame.end)] == heard == [(32_000, 33_600)]


@pytest.mark.parametrize(("most", "count"), [(np.inf, 3), (1.0, 1), (0.0, 1), (11.0, 2)])
def test_a_slow_system_gets_the_first_recordings_and_no_other_is_made(most, count):
    made = []

    def recordings():
        for number in range(3):
            made.append(number)
            yield tones()

    chosen = list(baselines.share_of(recordings(), replace(baselines.PRODUCT, most=most)))
    assert len(chosen) == len(made) == count


def report_of(result):
    made = figures(result.tally, suite=result.suite)
    worse = {**made, "wrong_language_time": 0.5}
    return {
        "facts": {"model": "scripted"},
        "systems": {"whisper-service": "whisper-service", "one-language": "one fixed language"},
        "results": {"switches-pause": {"whisper-service": made, "one-language": worse}},
    }


def test_the_scripted_engine_gets_every_word_and_the_change(result):
    assert result.tally.errors["en"].total == 0
    assert result.tally.switches == 1
    assert len(result.tally.lags) == 1
    assert result.tally.edits == 0
    assert result.tally.lost == 0


@pytest.mark.parametrize("system", baselines.BASELINES, ids=lambda s: s.name)
def test_every_baseline_streams(system):
    run, _ = stream_recording(ENGINE, hearing_tones(system), tones())
    languages = {w.language for w, _ in run.committed()}
    assert languages == ({"en"} if system.name == "one-language" else {"en", "es"})


def test_goals_say_whether_they_are_reached(result):
    rows = {r["label"]: r for r in goal_rows(report_of(result))}
    assert rows["switch lag, median"]["value"] == pytest.approx(
        result.tally.lags[0] / SECOND, abs=1e-6
    )
    assert rows["wrong-language time below one-language"]["reached"] is True
    late = report_of(result)
    late["results"]["switches-pause"]["whisper-service"]["switch_lag_p50"] = 1.7
    rows = {r["label"]: r for r in goal_rows(late)}
    assert rows["switch lag, median"]["reached"] is False


def test_the_tables_hold_every_system(result):
    text = markdown(report_of(result))
    assert "one fixed language" in text
    assert "| en |" in text.replace("switches-pause | ", "")
    assert json.loads(json.dumps(report_of(result)))


def test_ten_hours_run_by_themselves_are_a_suite_and_a_goal(result):
    report = report_of(result)
    ours = report["results"]["switches-pause"]["whisper-service"]
    report["results"][LONG] = {"whisper-service": {**ours, "false_switches": 3}}
    text = markdown(report)
    assert f"| 13 | {LONG} | false switches in ten hours | 3 | ≤ 0 | **no** |" in text
    assert f"### {LONG}" in text


class Balance(HTMLParser):
    """Fails on tags that are not closed in order."""

    VOID = frozenset({"meta", "rect", "line", "circle", "path", "br"})

    def __init__(self):
        super().__init__()
        self.open, self.texts, self.links = [], [], []

    def handle_starttag(self, tag, attrs):
        self.links += [v for k, v in attrs if k in ("src", "href")]
        if tag not in self.VOID or tag == "path":
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def test_the_page_is_whole_and_needs_nothing_else(result):
    page = Balance()
    page.feed(html_page(report_of(result), result.timelines))
    page.close()
    assert page.open == []
    assert all(link.startswith("#") for link in page.links)
    text = "".join(page.texts)
    assert "tones <&>" in text
    assert all(word in text for word in WORDS["es"])


def test_a_timeline_holds_truth_posteriors_and_words():
    recording = tones()
    run, stream = stream_recording(ENGINE, hearing_tones(baselines.PRODUCT), recording)
    made = timeline(baselines.PRODUCT, recording, run, stream)
    assert made.columns[:2] == ("en", "es")
    assert made.posteriors
    assert [s.language for s in made.hypothesis] == ["en", "es"]
    assert [new for new, _, _ in made.decisions] == ["es"]


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.0123, "%", "1.2 %"),
        (0.25, "ms", "250 ms"),
        (1.0, "s", "1.00 s"),
        (3, "", "3"),
        (None, "s", "-"),
    ],
)
def test_figures_have_their_unit(value, unit, text):
    assert shown(value, unit) == text


def test_a_stored_recording_comes_back_the_same(tmp_path):
    store, made = RecordingStore(tmp_path), []

    def make():
        made.append(1)
        return tones()

    first, second = store.get("key", make), store.get("key", make)
    assert len(made) == 1
    assert first.words == second.words == tones().words
    assert first.switches == tones().switches
    np.testing.assert_array_equal(first.samples, second.samples)
    np.testing.assert_allclose(first.samples, tones().samples, atol=1e-4)


def write_manifest(folder, *entries):
    import wave

    with wave.open(str(folder / "a.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SECOND)
        file.writeframes((tones().samples * 32767).astype("<i2").tobytes())
    lines = [e if isinstance(e, str) else json.dumps(e) for e in entries]
    (folder / "manifest.jsonl").write_text("\n".join(lines), encoding="utf-8")


def test_a_manifest_gives_languages_times_and_texts(tmp_path):
    parts = [
        {"start": 0.5, "end": 2.0, "lang": "en", "text": "one two"},
        {"start": 3.0, "end": 5.0, "lang": "es", "text": "uno"},
    ]
    write_manifest(
        tmp_path,
        {"file": "a.wav", "lang": None, "langs": ["en", "es"], "segments": parts},
        {"file": "a.wav", "lang": "en", "text": None, "segments": None},
    )
    mixed, plain = load_manifest(tmp_path)
    assert [(s.at, s.new) for s in mixed.switches] == [(3 * SECOND, "es")]
    assert mixed.parts() == [("one two", "en"), ("uno", "es")]
    assert plain.speech[0].end == len(plain.samples)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("{", "line 1: not JSON"),
        ({"lang": "en"}, "expected an object with a 'file'"),
        ({"file": "a.wav"}, "'lang', 'langs' or 'segments' is missing"),
    ],
)
def test_a_bad_manifest_says_where(tmp_path, entry, message):
    write_manifest(tmp_path, entry)
    with pytest.raises(InvalidOptionError, match=message):
        list(load_manifest(tmp_path))


def test_a_folder_without_a_manifest_is_refused(tmp_path):
    with pytest.raises(InvalidOptionError, match=r"has no manifest\.jsonl"):
        list(load_manifest(tmp_path))


class Notebook:
    """A store that writes down what is asked for."""

    def __init__(self):
        self.keys = []

    def get(self, key, make):
        self.keys.append(key)
        return replace(tones(), name=key)


def test_ten_hours_are_sixty_recordings_a_language_each_made_when_asked_for():
    store = Notebook()
    recordings = Recordings("monolingual", Plan(minutes=120.0), store=store)
    assert len(recordings) == 60 * 5
    assert store.keys == []
    assert recordings[7].name == recordings[5:9][2].name == store.keys[0]
    assert len(store.keys) == 1 + 4
    with pytest.raises(IndexError):
        recordings[300]


def test_a_monolingual_recording_lasts_two_minutes_and_has_no_change():
    try:
        plain, noisy = (
            Recordings("monolingual", Plan(split="dev", minutes=4.0))[i] for i in (1, 6)
        )
    except SynthesizerError as error:
        pytest.skip(str(error))
    for made in (plain, noisy):
        assert 120.0 <= len(made.samples) / SECOND < 135.0
        assert {s.language for s in made.speech} == {"es"}
        assert made.switches == []
        assert made.languages == ("en", "es", "fr", "de", "zh")
    quiet = slice(0, SECOND // 5)  # before the first word
    assert np.abs(plain.samples[quiet]).max() == 0.0 < np.abs(noisy.samples[quiet]).max()


def test_suites_have_the_changes_they_promise():
    try:
        plan = Plan(split="dev", count=2, minutes=0.5, languages=("en", "es", "fr"))
        paused, voices = build("switches-pause", plan)
        joined = next(build("switches-no-pause", plan))
        inserted = next(build("insertions", plan))
    except SynthesizerError as error:
        pytest.skip(str(error))
    assert len(paused.switches) == len(voices.switches) == 3
    for switch, before in zip(paused.switches, paused.speech, strict=False):
        assert switch.old != switch.new
        assert before.end < switch.at
    assert len(joined.switches) == 2
    assert inserted.inserted
    assert inserted.switches == []
    assert paused.samples.dtype == np.float32
    assert np.abs(paused.samples).max() <= 1.0
