"""One job from its source to its transcript, over the scripted engine."""

import json
from contextlib import nullcontext

import pytest

from streams import ENGINE, options
from whisper_service.cli.console import Console
from whisper_service.cli.inputs import Input
from whisper_service.cli.options import Format
from whisper_service.cli.runner import Job, run
from whisper_service.cli.settings import Shape
from whisper_service.config import VadOptions
from whisper_service.errors import InvalidAudioError
from whisper_service.testing import utterance, word_times
from whisper_service.types import SAMPLE_RATE, to_seconds

FIRST = [(None, 0.5), ("hello", 0.5), ("world", 0.5), (None, 1.0)]
SECOND = [(None, 0.5), ("please", 0.5), ("yes", 0.5), (None, 1.0)]


class Overloaded:
    """A microphone on a slow machine: loses 5 s between two utterances and 1 s behind them."""

    name, duration, warnings, dropped = "overloaded", None, (), 0

    def __init__(self, broken=False):
        self.broken = broken

    def __iter__(self):
        yield utterance(FIRST)
        self.dropped += 5 * SAMPLE_RATE
        yield utterance(SECOND)
        self.dropped += SAMPLE_RATE
        if self.broken:
            raise InvalidAudioError("stopped delivering")


def job(source, output):
    return Job(
        input=Input(source=source, name="mic", stem="mic", mode="fast"),
        options=options("en", vad=VadOptions(enabled=False)),
        format=Format.json,
        shape=Shape(),
        output=output,
    )


def written(source, tmp_path, expect):
    target = tmp_path / "out.json"
    with expect:
        run(job(source, target), engine=ENGINE, console=Console(verbosity=-1))
    return json.loads(target.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("broken", "expect"),
    [(False, nullcontext()), (True, pytest.raises(InvalidAudioError, match="stopped"))],
)
def test_lost_audio_lies_where_it_was_lost(tmp_path, broken, expect):
    document = written(Overloaded(broken), tmp_path, expect)
    gap = len(utterance(FIRST)) + 5 * SAMPLE_RATE
    expected = [w.start for w in word_times(FIRST)] + [w.start + gap for w in word_times(SECOND)]
    words = document["words"]
    assert [w["word"].strip() for w in words] == ["hello", "world", "please", "yes"]
    assert [w["start"] * SAMPLE_RATE for w in words] == pytest.approx(
        expected, abs=SAMPLE_RATE / 16
    )
    assert document["audio"]["dropped"] == 6.0
    assert document["audio"]["received"] == to_seconds(gap + len(utterance(SECOND)) + SAMPLE_RATE)
