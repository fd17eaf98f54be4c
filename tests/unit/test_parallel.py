"""Decoding beside the language probe: the same events, whatever is thrown away."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from streams import ENGINE, options, run, without_lag
from whisper_service.engine.base import DecodeRequest
from whisper_service.features import log_mel
from whisper_service.streaming.parallel import DecodeAhead
from whisper_service.testing import utterance

SPOKEN = utterance(
    [
        *[("hello", 0.4), ("world", 0.4), ("please", 0.4), ("everything", 0.5), ("yes", 0.4)],
        *[("hola", 0.4), ("mundo", 0.4), ("gracias", 0.4), ("buenos", 0.4), ("sí", 0.4)],
        (None, 1.0),
    ]
)


@pytest.fixture
def ahead():
    with ThreadPoolExecutor(1) as threads:
        yield DecodeAhead(ENGINE, threads)


@pytest.fixture(scope="module")
def request_():
    samples = utterance([("hello", 0.4), ("world", 0.4), (None, 0.4)])
    (encoded,) = ENGINE.encode([log_mel(samples, ENGINE.n_mels)])
    return DecodeRequest(encoded=encoded, language="en")


def test_a_decode_begun_is_not_done_again(ahead, request_):
    ahead.begin(request_)
    future = ahead.state.future
    (hypothesis,) = ahead.decode([replace(request_)])
    assert hypothesis is future.result()[0]
    assert (ahead.state.used, ahead.state.thrown_away) == (1, 0)


def test_another_decode_throws_it_away(ahead, request_):
    ahead.begin(request_)
    (hypothesis,) = ahead.decode([replace(request_, language="es")])
    assert hypothesis.tokens == ENGINE.decode([replace(request_, language="es")])[0].tokens
    assert (ahead.state.used, ahead.state.thrown_away) == (0, 1)


def test_the_same_words_of_another_encoding_are_another_decode(ahead, request_):
    twin = replace(request_.encoded)
    ahead.begin(request_)
    ahead.decode([replace(request_, encoded=twin)])
    assert ahead.state.thrown_away == 1


def test_several_requests_at_once_are_passed_on(ahead, request_):
    ahead.begin(request_)
    assert len(ahead.decode([request_, request_])) == 2
    assert ahead.state.used == 0


def test_a_new_one_replaces_the_one_begun(ahead, request_):
    ahead.begin(request_)
    ahead.begin(replace(request_, language="es"))
    ahead.decode([request_])
    assert (ahead.state.used, ahead.state.thrown_away) == (0, 2)


def test_an_error_reaches_the_caller(ahead, request_):
    wrong = replace(request_, language="xx")
    ahead.begin(wrong)
    with pytest.raises(Exception, match="xx"):
        ahead.decode([wrong])


def test_the_stream_says_the_same_through_a_change_of_language():
    _, expected = run(SPOKEN, options("en", "es"))
    stream, events = run(SPOKEN, options("en", "es", parallel=True))
    assert without_lag(events) == without_lag(expected)
    state = stream.utterances._engine.state
    assert state.used > 0
    assert state.thrown_away > 0  # the change


def test_without_the_cache_nothing_runs_ahead():
    stream, events = run(SPOKEN, options("en", "es", parallel=True, cache=False))
    assert not isinstance(stream.utterances._engine, DecodeAhead)
    assert without_lag(events) == without_lag(run(SPOKEN, options("en", "es", cache=False))[1])
