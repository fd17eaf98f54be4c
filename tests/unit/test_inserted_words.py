"""A word of another language within a sentence: tagged for what it is, the session goes on."""

from streams import committed, finals, options
from whisper_service.events import Committed, LanguageSwitched
from whisper_service.streaming.transcriber import StreamTranscriber
from whisper_service.testing import EnergyVad, ScriptedEngine, utterance
from whisper_service.text.formats import FormatOptions, write_transcript

TALK = [(None, 0.7), ("hello", 0.5), ("world", 0.5), ("hello", 0.5), ("please", 0.5)]
TALK += [("world", 0.5), ("hello", 0.5), ("yes", 0.5), (None, 1.2)]
ONE_WORD = 25  # frames


class Accent(ScriptedEngine):
    """Says English words, of which "please" sounds Spanish: alone surely, among others a little."""

    def language_probabilities(self, spans):
        heard = super().language_probabilities(spans)
        for row, span in zip(heard, spans, strict=True):
            words = [r.word for r in span.encoded.runs if r.start < span.end and span.start < r.end]
            if words == ["please"] and span.end - span.start <= ONE_WORD:
                row[:] = 0.001
                row[self.languages.index("es")] = 1.0 - 0.001 * (len(row) - 1)
            elif "please" in words:
                row *= 0.8
                row[self.languages.index("es")] += 0.2
        return heard


def run(*languages):
    stream = StreamTranscriber(Accent(), options(*languages), detector=EnergyVad())
    return stream, stream.feed(utterance(TALK)) + stream.finish()


def test_the_word_is_tagged_when_committed_and_the_session_goes_on():
    stream, events = run("en", "es")
    words = [w for e in events if isinstance(e, Committed) for w in e.words]
    assert [w.language for w in words] == ["en", "en", "en", "es", "en", "en", "en"]
    assert [w for s in finals(events) for w in s.words] == words
    assert {s.language for s in finals(events)} == {"en"}
    assert not [e for e in events if isinstance(e, LanguageSwitched)]
    assert committed(events) == "hello world hello please world hello yes"
    shown = write_transcript(stream.transcript(), "vtt", options=FormatOptions(language_tags=True))
    assert "<lang en>hello world hello <lang es>please</lang> world hello yes</lang>" in shown


def test_a_fixed_language_is_not_questioned():
    _, events = run("en")
    assert {w.language for s in finals(events) for w in s.words} == {"en"}


def test_what_is_said_does_not_depend_on_the_tag():
    assert run("en", "es")[0].transcript().text == run("en")[0].transcript().text
