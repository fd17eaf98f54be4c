import numpy as np
import pytest

from whisper_service.engine.base import DecodeRequest, Engine, Span, Tokenizer
from whisper_service.errors import InvalidAudioError, InvalidOptionError, StreamClosedError
from whisper_service.features import log_mel
from whisper_service.policy import timed_words
from whisper_service.testing import (
    VOCABULARY,
    EnergyVad,
    ManualClock,
    ScriptedEngine,
    silence,
    tone,
    utterance,
    word_times,
)
from whisper_service.types import FRAME

SCRIPT = [
    (None, 0.3),
    ("hello", 0.4),
    ("everything", 0.5),
    ("hola", 0.4),
    ("你好", 0.5),
    (None, 0.2),
]


@pytest.fixture(scope="module")
def engine():
    return ScriptedEngine()


def encoded(engine, script):
    return engine.encode([log_mel(utterance(script), engine.n_mels)])[0]


def decode(engine, script, language, **options):
    request = DecodeRequest(encoded=encoded(engine, script), language=language, **options)
    return engine.decode([request])[0]


def text(engine, hypothesis):
    return engine.tokenizer.decode(hypothesis.tokens)


def test_it_is_an_engine(engine):
    as_engine: Engine = engine
    as_tokenizer: Tokenizer = engine.tokenizer
    assert as_engine.languages == as_tokenizer.languages == ("en", "es", "zh", "fr")


@pytest.mark.parametrize("n_mels", [80, 128])
def test_every_word_of_the_vocabulary_is_heard(n_mels):
    engine = ScriptedEngine(n_mels=n_mels)
    for word, (language, _) in VOCABULARY.items():
        assert text(engine, decode(engine, [(word, 0.3)], language)).strip() == word


@pytest.mark.parametrize(
    ("language", "expected"),
    [("en", " hello everything"), ("es", " hola"), ("zh", "你好"), ("fr", "")],
)
def test_only_words_of_the_language_asked_for_are_written(engine, language, expected):
    assert text(engine, decode(engine, SCRIPT, language)) == expected


def test_word_times_are_the_true_ones_within_two_frames(engine):
    hypothesis = decode(engine, SCRIPT, "en")
    words = timed_words(hypothesis, engine.tokenizer, "en")
    truth = [word for word in word_times(SCRIPT) if word.language == "en"]
    assert [w.text.strip() for w in words] == [w.text for w in truth]
    for word, true in zip(words, truth, strict=True):
        assert abs(word.start * FRAME - true.start) <= 2 * FRAME
        assert abs(word.end * FRAME - true.end) <= 2 * FRAME


def test_attention_rows_sum_to_one_and_peak_at_the_attended_frame(engine):
    hypothesis = decode(engine, SCRIPT, "en")
    assert hypothesis.attention.shape == (3, encoded(engine, SCRIPT).frames)
    assert hypothesis.attention.sum(axis=1) == pytest.approx(1.0)
    assert tuple(hypothesis.attention.argmax(axis=1)) == hypothesis.frames


def test_half_a_word_gives_no_token(engine):
    half = utterance([("hello", 0.4), ("world", 0.6)])[: int(0.7 * 16_000)]
    window = engine.encode([log_mel(half)])[0]
    (hypothesis,) = engine.decode([DecodeRequest(encoded=window, language="en")])
    assert text(engine, hypothesis) == " hello"


def test_the_prefix_is_continued(engine):
    prefix = tuple(engine.tokenizer.encode(" hello"))
    assert text(engine, decode(engine, SCRIPT, "en", prefix=prefix)) == " everything"


def test_a_repeated_word_is_not_taken_for_its_prefix(engine):
    script = [("hello", 0.4), ("hello", 0.4), ("world", 0.4)]
    prefix = tuple(engine.tokenizer.encode(" hello"))
    assert text(engine, decode(engine, script, "en", prefix=prefix)) == " hello world"


def test_the_span_limits_what_is_heard(engine):
    assert text(engine, decode(engine, SCRIPT, "en", span=(36, 60))) == " everything"
    assert text(engine, decode(engine, SCRIPT, "en", span=(0, 36))) == " hello"
    assert text(engine, decode(engine, SCRIPT, "en", span=(0, 25))) == ""


def test_the_stop_frame_may_split_a_character(engine):
    script = [("你好", 0.86)]
    whole = decode(engine, script, "zh")
    assert len(whole.tokens) == 4
    cut = decode(engine, script, "zh", stop_frame=whole.frames[3])
    assert cut.stopped == "attention"
    assert cut.tokens == whole.tokens[:3]
    assert text(engine, cut) == "你\ufffd"
    assert whole.stopped == "end"


def test_the_budget_is_kept(engine):
    hypothesis = decode(engine, SCRIPT, "en", max_new_tokens=2)
    assert len(hypothesis.tokens) == 2
    assert hypothesis.stopped == "budget"


def test_without_an_end_the_budget_is_used_up(engine):
    hypothesis = decode(engine, SCRIPT, "en", max_new_tokens=9, allow_end=False)
    assert len(hypothesis.tokens) == 9


def test_the_right_language_scores_better(engine):
    script = [("hola", 0.4), ("mundo", 0.4)]
    assert decode(engine, script, "es").avg_logprob > decode(engine, script, "en").avg_logprob + 1


def test_silence_is_no_speech(engine):
    hypothesis = decode(engine, [(None, 1.0)], "en")
    assert hypothesis.tokens == ()
    assert hypothesis.no_speech_prob > 0.9
    assert decode(engine, SCRIPT, "en").no_speech_prob < 0.1


def test_noise_is_no_word(engine):
    noise = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)
    window = engine.encode([log_mel(noise)])[0]
    (hypothesis,) = engine.decode([DecodeRequest(encoded=window, language="en")])
    assert hypothesis.tokens == ()


def test_language_probabilities_follow_the_span(engine):
    window = encoded(engine, [("hello", 1.0), ("hola", 1.0), (None, 1.0)])
    spans = [Span(window, 0, 50), Span(window, 50, 100), Span(window, 100, 150)]
    rows = engine.language_probabilities(spans)
    assert rows.shape == (3, 4)
    assert rows.sum(axis=1) == pytest.approx(1.0)
    assert engine.languages[rows[0].argmax()] == "en"
    assert engine.languages[rows[1].argmax()] == "es"
    assert rows[0].max() > 0.9
    assert rows[2] == pytest.approx(0.25)


def test_a_batch_is_as_good_as_one_by_one(engine):
    scripts = [SCRIPT, [("world", 0.5)], [(None, 0.4)]]
    mels = [log_mel(utterance(script)) for script in scripts]
    together = engine.decode(
        [DecodeRequest(encoded=window, language="en") for window in engine.encode(mels)]
    )
    assert [h.tokens for h in together] == [decode(engine, s, "en").tokens for s in scripts]


def test_text_survives_the_tokenizer(engine):
    for text in (" hello everything 你好", "Größe, 42 °C", ""):
        assert engine.tokenizer.decode(engine.tokenizer.encode(text)) == text


def test_punctuation_joins_the_word_before_it(engine):
    tokens = engine.tokenizer.encode(" hello, world!")
    assert [w for w, _ in engine.tokenizer.split_words(tokens, "en")] == [" hello,", " world!"]
    split = engine.tokenizer.split_words(tokens, "en")
    assert [t for _, part in split for t in part] == tokens


def test_wrong_requests_are_refused(engine):
    window = encoded(engine, SCRIPT)
    with pytest.raises(InvalidOptionError, match="'xx'"):
        engine.decode([DecodeRequest(encoded=window, language="xx")])
    with pytest.raises(InvalidOptionError, match="translate"):
        engine.decode([DecodeRequest(encoded=window, language="en", task="translate")])
    with pytest.raises(InvalidOptionError, match="448"):
        engine.decode([DecodeRequest(encoded=window, language="en", prompt=(1,) * 300)])
    with pytest.raises(InvalidAudioError, match=r"\[128, 10\]"):
        engine.encode([np.zeros((128, 10), np.float32)])


def test_words_that_sound_alike_are_refused():
    with pytest.raises(InvalidOptionError, match="'b'"):
        ScriptedEngine({"a": ("en", 1000.0), "b": ("es", 1010.0)})


def test_an_unknown_word_cannot_be_said():
    with pytest.raises(InvalidOptionError, match="'nonsense'"):
        tone("nonsense", 0.3)


def test_a_frequency_can_be_played_directly():
    assert np.array_equal(tone(400, 0.1), tone("hello", 0.1))
    assert len(silence(0.25)) == 4000


@pytest.mark.parametrize("size", [1, 160, 511, 512, 4000])
def test_the_vad_hears_tones_however_they_are_cut(size):
    samples = np.concatenate([silence(0.5), utterance([("hello", 0.5)]), silence(0.3)])
    whole = EnergyVad()
    expected = whole.feed(samples) + whole.finish()
    cut = EnergyVad()
    found = [p for i in range(0, len(samples), size) for p in cut.feed(samples[i : i + size])]
    assert found + cut.finish() == pytest.approx(expected)
    assert max(expected[:15]) < 0.01
    assert min(expected[17:28]) > 0.95


def test_the_vad_cannot_be_fed_after_its_end():
    vad = EnergyVad()
    vad.finish()
    with pytest.raises(StreamClosedError):
        vad.feed(silence(0.1))


def test_the_clock_stands_still_until_moved():
    clock = ManualClock(5.0)
    clock.advance(1.5)
    clock.sleep(0.5)
    assert clock.now() == clock() == 7.0
    with pytest.raises(InvalidOptionError):
        clock.advance(-1.0)
