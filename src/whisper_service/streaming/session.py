"""One stretch of speech in one language: what has been committed and what comes next."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from whisper_service.config import DecodeOptions
from whisper_service.engine.base import DecodeRequest, Engine, Hypothesis
from whisper_service.metrics import PerformanceMetrics
from whisper_service.policy import TimedWord, commit_policy, stop_frame, timed_words
from whisper_service.policy.guards import (
    fitting,
    is_compressible,
    is_no_speech,
    rewind_start,
    token_budget,
    trim_repetition,
)
from whisper_service.streaming.encodings import Window
from whisper_service.streaming.localise import ChangePoint
from whisper_service.streaming.voicing import Voicing
from whisper_service.text.languages import NO_SPACE
from whisper_service.types import FRAME, SAMPLE_RATE, Word, to_samples

NOTHING = -10.0  # mean log-probability that a decode without text counts with
LANGUAGE_WEIGHT = 0.5  # of log P(language) beside the mean log-probability of the text
TAIL = 24  # committed words in which a loop is looked for, beside the new ones
SKIP = to_samples(1.0)  # speech that a decode may not jump over
PAUSE = 17  # frames (0.34 s): a longer gap between two words is a pause
LINGER = 3  # frames (60 ms) that a word goes on after attention has left it
FRAGMENT = to_samples(0.25)  # a word that begins so near a change may be the next one's beginning
DOUBTFUL = 0.7  # probability below which a word is doubtful
CUT = 0.6  # nats of sound against a change at a doubtful word's start, above which it was only cut
CAUTION = to_samples(0.3)  # a doubtful word is held so far before the end of its language
REWIND = 50  # frames (1 s) before the newest committed word that a new word may attend to


@dataclass(frozen=True, slots=True)
class Proposal:
    """What one decode of a window says comes after the committed words."""

    window: Window
    language: str
    hypothesis: Hypothesis
    words: tuple[TimedWord, ...]
    language_probability: float | None = None  # where texts in two languages were compared

    @property
    def text(self) -> str:
        return "".join(w.text for w in self.words)

    def begins(self, otherwise: int) -> int:
        """The sample at which its words begin; ``otherwise`` without any."""
        return self.window.sample(self.words[0].start) if self.words else otherwise

    @property
    def fit(self) -> float:
        """Mean log-probability of the text's tokens; ``NOTHING`` without any."""
        heard = self.hypothesis.logprobs
        return sum(heard) / len(heard) if heard else NOTHING

    def score(self, language_probability: float) -> float:
        """How well text and language fit the audio, to choose between two languages."""
        weighted = LANGUAGE_WEIGHT * math.log(max(language_probability, 1e-3))
        return self.hypothesis.avg_logprob + weighted

    def covers(self, window: Window) -> bool:
        """Whether this was decoded from exactly that stretch of audio."""
        return (self.window.start, self.window.end) == (window.start, window.end)

    def until(self, count: int) -> Proposal:
        """The first ``count`` words alone."""
        return replace(self, words=self.words[:count])

    def after(self, count: int) -> Proposal:
        """What is left when the first ``count`` words have been committed."""
        return replace(self, words=self.words[count:])


@dataclass(slots=True)
class SessionState:
    """All that changes while a session runs."""

    window_start: int  # samples; a multiple of 320
    committed: list[Word] = field(default_factory=list)  # those whose audio is in the window
    last_end: int = 0  # samples; end of the newest committed word, or where speech began


class LanguageSession:
    """Decodes windows in one language from the committed prefix on.

    It is small: a language, committed words and a commit policy. The model is shared, so a
    restart in another language loads nothing.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        options: DecodeOptions,
        metrics: PerformanceMetrics,
        language: str,
        start: int,
        speech: int | None = None,
        prompt: str = "",
    ) -> None:
        """``start``: of the window; ``speech``: before it no word begins (default: ``start``)."""
        self.language = language
        self.start = start
        self.state = SessionState(
            window_start=start // FRAME * FRAME, last_end=max(start, speech or start)
        )
        self._began = self.state.last_end
        self._engine = engine
        self._options = options
        self._metrics = metrics
        self._policy = commit_policy(options)
        self._prompt = self._prompt_tokens(prompt)

    def propose(
        self,
        window: Window,
        *,
        final: bool,
        preview: bool = True,
        until: int | None = None,
        language: str | None = None,
        said: Sequence[str] = (),
    ) -> Proposal:
        """Decode ``window`` after the committed words.

        ``preview``: go on to text that may still change; ``until`` (samples) ends what
        cross-attention may see; ``language`` tries another one; ``said``: words before the
        committed ones, which a loop may have begun in.
        """
        request = self.request(window, final=final, preview=preview, until=until, language=language)
        with self._metrics.measure("whisper.decode"):
            hypothesis = self._engine.decode([request])[0]
        words = timed_words(hypothesis, self._engine.tokenizer, request.language)
        if not final:
            words = self._before_rewind(window, hypothesis, words)
        before = [*said, *(w.text for w in self.state.committed)]
        kept, looping = trim_repetition(words, said=before[-TAIL:])
        if looping:
            self._forget_prefix(window)
        return Proposal(window, request.language, hypothesis, tuple(kept))

    def request(
        self,
        window: Window,
        *,
        final: bool,
        preview: bool = True,
        until: int | None = None,
        language: str | None = None,
    ) -> DecodeRequest:
        """What :meth:`propose` asks the engine for, with the words committed by now."""
        content = window.frame(until) if until is not None else window.encoded.frames
        options = self._options
        margin = options.preview_threshold if preview else options.frame_threshold
        seconds = (window.sample(content) - self.state.last_end) / SAMPLE_RATE
        prefix = tuple(t for w in self.state.committed for t in w.tokens)
        budget = token_budget(seconds, options.max_tokens_per_second)
        prompt, budget = fitting(self._prompt, prefix=len(prefix), budget=budget)
        return DecodeRequest(
            encoded=window.encoded,
            language=language or self.language,
            task=self._options.task,
            prompt=prompt,
            prefix=prefix,
            span=(0, content) if until is not None else None,
            stop_frame=None if final else max(1, stop_frame(content, margin)),
            max_new_tokens=budget,
            beam_size=self._options.beam_size,
        )

    def accept(
        self, proposal: Proposal, *, frontier: int, final: bool, until: int | None = None
    ) -> list[Word]:
        """Commit the leading words of ``proposal`` that lie before ``frontier`` (samples).

        A doubtful word near the frontier waits: it may be what this language makes of another one
        that has begun there, before identification can have noticed. No word ends after ``until``
        (samples), where another session begins. A word that has no time left before it is not
        taken: the decoder went on behind the last thing it could hear.
        """
        window = proposal.window
        limit = window.encoded.frames
        if not final:
            clear = stop_frame(window.encoded.frames, self._options.frame_threshold)
            limit = min(clear, window.frame(frontier))
        count = self._policy.commit(
            proposal.hypothesis, proposal.words, frontier_frame=limit, final=final
        )
        if not final:
            count = _before_doubt(proposal.words[:count], window.frame(frontier - CAUTION))
        following = [*proposal.words[1:], None]
        border = window.end if until is None else until
        words = [
            self._word(window, word, following=after, border=border)
            for word, after in zip(proposal.words[:count], following, strict=False)
        ]
        words = [word for word in words if until is None or word.end > word.start]
        self.state.committed += words
        return words

    @property
    def untouched(self) -> bool:
        """Whether nothing has been committed yet."""
        return not self.state.committed and self.state.last_end == self._began

    def before_skip(self, proposal: Proposal, voicing: Voicing) -> int:
        """Count the leading words of ``proposal`` before it jumps over speech.

        A decoder that loses its place goes on later in the window; what it skipped would be lost
        for good once a word behind it is committed.
        """
        end = self.state.last_end
        for count, word in enumerate(proposal.words):
            start = proposal.window.sample(word.start)
            if start - end > SKIP and voicing.spoken(end, start) > SKIP:
                return count
            end = max(end, proposal.window.sample(word.end))
        return len(proposal.words)

    def leaves_out(self, rest: Proposal, end: int, *, spoken: int) -> bool:
        """Whether a final decode that ended at ``end`` (samples) must be taken up again.

        It jumped over speech, so that ``rest`` was not committed, or it wrote no more although
        ``spoken`` samples of speech followed. The words of a translation lie where they will.
        """
        last = self.state.last_end
        if rest.words:
            return end - last >= FRAME
        again = last - self.state.window_start < FRAME  # it was decoded from there already
        known = not self.untouched and self._options.task == "transcribe"
        return known and not again and spoken > SKIP

    def before_fragment(self, proposal: Proposal, change: ChangePoint) -> int:
        """Where (samples) ``proposal``, decoded up to ``change``, ends in truth.

        Short last words that are doubtful are what this language makes of the first sounds of the
        next one, unless the sound says clearly that they are in this one: then they were cut.
        """
        end = change.at
        for word in reversed(proposal.words):
            start = max(proposal.window.sample(word.start), self.state.last_end)
            if not change.at - FRAGMENT <= start <= end or word.probability >= DOUBTFUL:
                break
            if change.against(start) > CUT:
                break
            end = start
        return end

    def go_on_from(self, start: int) -> None:
        """Drop the prefix: the next window begins at ``start`` (samples)."""
        self.state.window_start = start // FRAME * FRAME
        self.state.committed = []

    def judged_silent(self, proposal: Proposal) -> bool:
        """Whether a window in which nothing was committed holds no speech after all."""
        return not self.state.committed and is_no_speech(proposal.hypothesis, self._options)

    def loops(self, proposal: Proposal) -> bool:
        """Whether the text repeats itself more than speech does (Whisper's gzip measure)."""
        return is_compressible(proposal.text, self._options)

    def shorten(self, *, keep: int) -> list[Word]:
        """Move the window's start into the word gap that leaves about ``keep`` samples of words.

        Returns the words that left the window; at least one word must stay, so that the gap is
        known to be one.
        """
        words = self.state.committed
        if len(words) < 2:
            return []
        newest = words[-1].start
        stay = next((i for i, w in enumerate(words) if w.start >= newest - keep), len(words) - 1)
        stay = max(1, min(stay, len(words) - 1))
        gap = max(words[stay - 1].start, words[stay].start - FRAME)  # starts are the surer times
        start = max(self.state.window_start, gap // FRAME * FRAME)
        self.state.window_start = start
        self.state.committed = words[stay:]
        return words[:stay]

    def _forget_prefix(self, window: Window) -> None:
        """Go on after the newest committed word without a prefix: it would continue its loop."""
        newest = self.state.last_end // FRAME * FRAME
        self.go_on_from(min(max(self.state.window_start, newest), window.end - FRAME))

    def _word(
        self, window: Window, word: TimedWord, *, following: TimedWord | None, border: int
    ) -> Word:
        """Place ``word`` in the stream, ending at ``border`` (samples) at the latest.

        Attention leaves a word before its last sound is over, so a word lasts until the next one
        begins unless a pause lies between them.
        """
        last = word.end + (LINGER if following is None else 0)
        if following is not None and 0 < following.start - word.end <= PAUSE:
            last = following.start
        start = max(self.state.last_end, min(border, window.sample(word.start)))
        end = max(start, min(border, window.sample(min(last, window.encoded.frames))))
        self.state.last_end = end
        return Word(
            text=word.text,
            start=start,
            end=end,
            probability=word.probability,
            language=self.language,
            tokens=word.tokens,
        )

    def _before_rewind(
        self, window: Window, hypothesis: Hypothesis, words: list[TimedWord]
    ) -> list[TimedWord]:
        """Words up to the first that attends far before what has been committed."""
        if not self.state.committed:
            return words
        newest = window.frame(self.state.committed[-1].start)
        rewound = rewind_start(hypothesis.frames, committed=newest, tolerance=REWIND)
        if rewound is None:
            return words
        kept, tokens = [], 0
        for word in words:
            tokens += len(word.tokens)
            if tokens > rewound:
                break
            kept.append(word)
        return kept

    def _prompt_tokens(self, prompt: str) -> tuple[int, ...]:
        if not prompt:
            return ()
        tokens = self._engine.tokenizer.encode(" " + prompt.strip())
        return tuple(tokens[-self._options.max_prompt_tokens :])


def _before_doubt(words: Sequence[TimedWord], frame: int) -> int:
    """Count the leading words up to the first doubtful one that ends after ``frame``."""
    doubts = (i for i, w in enumerate(words) if w.end > frame and w.probability < DOUBTFUL)
    return next(doubts, len(words))


def confidence(words: Sequence[Word]) -> float:
    """Geometric mean of the words' probabilities, 0-1."""
    if not words:
        return 0.0
    return math.exp(sum(math.log(max(w.probability, 1e-6)) for w in words) / len(words))


def average_logprob(words: Sequence[Word]) -> float:
    """Mean natural-log probability of the words, weighted by their number of tokens."""
    count = sum(max(1, len(w.tokens)) for w in words)
    total = sum(max(1, len(w.tokens)) * math.log(max(w.probability, 1e-6)) for w in words)
    return total / max(1, count)


def spaced(text: str, *, language: str, previous: str | None) -> str:
    """``text`` as it continues a transcript whose last words were in ``previous``.

    A space goes between segments unless both are in scripts that write none.
    """
    text = text.lstrip()
    if previous is None or (language in NO_SPACE and previous in NO_SPACE):
        return text
    return " " + text
