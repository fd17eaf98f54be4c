"""What a person sees while speech is captioned, from hand-made events."""

import io
import json

import pytest
from rich.console import Console as RichConsole

from whisper_service.cli.console import Console
from whisper_service.cli.live_view import TerminalView
from whisper_service.cli.views import CaptionLines, JsonLines, View, caption, clock, views_for
from whisper_service.events import (
    AudioSkipped,
    Final,
    Lag,
    LanguageCandidate,
    LanguageSwitched,
    Partial,
    SpeechStarted,
)
from whisper_service.types import Segment


def segment(text: str, *, language: str = "fr", start: float = 0.51, end: float = 3.87) -> Segment:
    return Segment(
        id=0,
        start=round(start * 16000),
        end=round(end * 16000),
        text=text,
        language=language,
        language_probability=0.9,
        confidence=0.9,
        avg_logprob=-0.1,
        no_speech_prob=0.0,
        compression_ratio=1.0,
    )


def partial(committed: str, tentative: str, *, language: str = "fr") -> Partial:
    return Partial(
        committed=committed, tentative=tentative, language=language, start=8000, end=32000
    )


def terminal(*, width: int = 80, colour: bool = True) -> RichConsole:
    return RichConsole(
        file=io.StringIO(),
        force_terminal=True,
        width=width,
        highlight=False,
        no_color=not colour,
        color_system="standard" if colour else None,
        legacy_windows=False,
    )


def printed(console: RichConsole) -> str:
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def moving(view: TerminalView, *, width: int = 80) -> str:
    console = terminal(width=width, colour=False)
    console.print(view.moving_part())
    return printed(console)


@pytest.mark.parametrize(
    ("samples", "shown"),
    [
        (0, "00:00.0"),
        (8_000, "00:00.5"),
        (15_999, "00:00.9"),
        (16_000 * 61, "01:01.0"),
        (16_000 * 3_600 + 1_600, "1:00:00.1"),
    ],
)
def test_clock_counts_like_a_clock(samples: int, shown: str) -> None:
    assert clock(samples) == shown


def test_a_caption_line_has_times_language_and_text() -> None:
    assert caption(segment(" Fermez la porte.")) == "[00:00.5 → 00:03.8] fr  Fermez la porte."


def test_caption_lines_write_finals_only_and_at_once() -> None:
    lines: list[str] = []
    view = CaptionLines(lines.append)
    view.show(partial(" Fermez", " la"))
    assert lines == []
    view.show(Final(segment=segment(" Fermez la porte.")))
    view.show(Final(segment=segment("  ")))
    assert lines == ["[00:00.5 → 00:03.8] fr  Fermez la porte.\n"]


def test_json_lines_write_one_object_per_event_in_plain_unicode() -> None:
    lines: list[str] = []
    view = JsonLines(lines.append)
    view.show(SpeechStarted(at=8000))
    view.show(Final(segment=segment("你好", language="zh")))
    assert all(line.endswith("\n") and line.count("\n") == 1 for line in lines)
    assert [json.loads(line)["type"] for line in lines]
    assert "你好" in lines[1]


def test_committed_text_is_solid_and_tentative_text_dim() -> None:
    console = terminal()
    view = TerminalView(console)
    view.show(partial(" Fermez la", " porte"))
    console.print(view.moving_part())
    assert "Fermez la\x1b[2m porte\x1b[0m" in printed(console)


def test_each_language_keeps_its_own_colour() -> None:
    console = terminal()
    with TerminalView(console) as view:
        for language in ("fr", "en", "fr"):
            view.show(Final(segment=segment(" x y z", language=language)))
    shown = printed(console)
    assert shown.count("\x1b[1;36mfr\x1b[0m") == 2
    assert shown.count("\x1b[1;35men\x1b[0m") == 1


def test_no_colour_leaves_the_text_readable() -> None:
    console = terminal(colour=False)
    with TerminalView(console) as view:
        view.show(Final(segment=segment(" Fermez la porte.")))
    assert "[00:00.5 → 00:03.8] fr Fermez la porte." in printed(console)
    assert "\x1b[3" not in printed(console)


def test_brackets_in_speech_are_no_markup() -> None:
    console = terminal()
    with TerminalView(console) as view:
        view.show(Final(segment=segment(" see [bold]this[/bold] [1]")))
    assert "see [bold]this[/bold] [1]" in printed(console)


def test_the_status_line_tells_time_lag_language_and_candidate() -> None:
    view = TerminalView(terminal())
    view.heard(5 * 16000)
    view.show(partial(" Fermez", ""))
    view.show(Lag(samples=9600, at=5 * 16000))
    view.show(LanguageCandidate(language="en", probability=0.7, since=4))
    assert "00:05.0  fr → en?  lag 0.6 s" in moving(view)
    view.show(LanguageSwitched(old="fr", new="en", at=4, decided_at=5, probability=0.9))
    assert "en  lag" in moving(view)
    assert "→ en?" not in moving(view)


def test_audio_lost_to_overload_is_shown_and_silence_is_not() -> None:
    view = TerminalView(terminal())
    view.show(AudioSkipped(start=0, end=16000, reason="no_speech"))
    assert "dropped" not in moving(view)
    view.show(AudioSkipped(start=0, end=16000, reason="overload"))
    assert "dropped 1.0 s" in moving(view)


def test_a_finished_caption_leaves_the_moving_part() -> None:
    view = TerminalView(terminal())
    view.show(partial(" Fermez la", " porte"))
    assert "Fermez la porte" in moving(view)
    view.show(Final(segment=segment(" Fermez la porte.")))
    assert "Fermez" not in moving(view)


def test_a_very_long_running_caption_shows_its_newest_words_within_the_screen() -> None:
    view = TerminalView(terminal(width=60))
    view.show(partial("".join(f" word{i}" for i in range(400)), " newest"))
    shown = moving(view, width=60)
    assert "newest" in shown
    assert "word0 " not in shown
    assert shown.count("\n") < 10


def test_without_captions_only_the_moving_part_is_drawn() -> None:
    console = terminal()
    with TerminalView(console, captions=False) as view:
        view.show(Final(segment=segment(" Fermez la porte.")))
    assert "Fermez la porte." not in printed(console)


def kinds(views: list[View]) -> list[str]:
    return [type(v).__name__ for v in views]


def test_captions_go_to_a_pipe_as_lines() -> None:
    views = views_for("live", console=Console(), title="x", duration=None, captions=[].append)
    assert kinds(views) == ["CaptionLines"]


def test_documents_need_no_view_off_a_terminal_and_offline_work_has_a_bar() -> None:
    assert views_for("fast", console=Console(), title="x", duration=None, captions=None) == []
    offline = views_for("offline", console=Console(), title="x", duration=1.0, captions=None)
    assert kinds(offline) == ["ProgressView"]


def test_on_a_terminal_captions_move(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    views = views_for("live", console=Console(), title="x", duration=None, captions=[].append)
    assert kinds(views) == ["TerminalView"]
    quiet = Console(verbosity=-1)
    views = views_for("live", console=quiet, title="x", duration=None, captions=[].append)
    assert kinds(views) == ["CaptionLines"]
