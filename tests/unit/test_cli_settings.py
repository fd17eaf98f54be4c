"""What the options of the command line mean."""

from pathlib import Path

import pytest

from whisper_service.cli.options import Format, PolicyName, TaskName
from whisper_service.cli.settings import (
    Shape,
    Speech,
    choose_format,
    choose_mode,
    encoder_context,
    stream_options,
)
from whisper_service.errors import InvalidOptionError


def test_one_language_is_forced_and_several_are_switched_between() -> None:
    one = stream_options(Speech(language="French"), mode="offline").language
    assert (one.policy, one.languages) == ("forced", ("fr",))
    two = stream_options(Speech(languages="en, es,en"), mode="live").language
    assert (two.policy, two.languages) == ("code_switch", ("en", "es"))
    only = stream_options(Speech(languages="en"), mode="live").language
    assert (only.policy, only.languages) == ("forced", ("en",))


@pytest.mark.parametrize("speech", [Speech(), Speech(language="auto")])
def test_no_language_is_detected_once(speech: Speech) -> None:
    options = stream_options(speech, mode="offline").language
    assert (options.policy, options.languages) == ("auto_lock", ())


@pytest.mark.parametrize(
    ("speech", "message"),
    [
        (Speech(language="en", languages="en,es"), "exclude each other"),
        (Speech(languages=" , "), "no language given"),
        (Speech(language="en,es"), "use --languages en,es"),
        (Speech(language="xx"), "unknown language 'xx'"),
        (Speech(language="frensh"), "did you mean french"),
    ],
)
def test_what_cannot_work_is_one_line(speech: Speech, message: str) -> None:
    with pytest.raises(InvalidOptionError, match=message) as caught:
        stream_options(speech, mode="live")
    assert "\n" not in str(caught.value)


def test_options_reach_the_pipeline() -> None:
    speech = Speech(
        task=TaskName.translate,
        prompt="Ada",
        policy=PolicyName.local_agreement,
        beam_size=5,
    )
    options = stream_options(speech, mode="fast")
    assert options.mode == "fast"
    assert options.decode.task == "translate"
    assert options.decode.prompt == "Ada"
    assert options.decode.policy == "local_agreement"
    assert options.decode.beam_size == 5


def test_the_context_is_a_word_or_seconds() -> None:
    assert encoder_context("auto") == "auto"
    assert encoder_context("full") == "full"
    assert encoder_context("4.5") == 4.5


@pytest.mark.parametrize("value", ["soon", "31", "nan", "0.5"])
def test_a_context_no_model_takes_is_refused(value: str) -> None:
    with pytest.raises(InvalidOptionError, match="auto, full, or seconds from 1 to 30"):
        encoder_context(value)


def test_modes_exclude_each_other() -> None:
    assert choose_mode(live=False, fast=False, offline=False) is None
    assert choose_mode(live=False, fast=True, offline=False) == "fast"
    with pytest.raises(InvalidOptionError, match="--live and --offline exclude"):
        choose_mode(live=True, fast=False, offline=True)


def test_the_format_follows_the_option_then_the_name_then_the_mode() -> None:
    srt, plain = Path("a.SRT"), Path("talk")
    assert choose_format(Shape(format=Format.vtt), output=srt, mode="live") is Format.vtt
    assert choose_format(Shape(format=Format.vtt), output=Path("a.xyz"), mode="live") is Format.vtt
    assert choose_format(Shape(), output=srt, mode="live") is Format.srt
    assert choose_format(Shape(), output=plain, mode="live") is Format.txt
    assert choose_format(Shape(), output=None, mode="offline") is Format.txt
    assert choose_format(Shape(), output=None, mode="live") is None


@pytest.mark.parametrize("name", ["out.xyz", "notes/out.text", "out.srt.bak", "talk.2026-05-01"])
def test_a_name_that_ends_like_no_format_is_refused(name: str) -> None:
    with pytest.raises(InvalidOptionError) as caught:
        choose_format(Shape(), output=Path(name), mode="offline")
    expected = "ends like no format: use .txt, .srt, .vtt, .tsv, .json, .jsonl, or --format"
    assert str(caught.value) == f"{name} {expected}"


@pytest.mark.parametrize("name", ["/dev/null", ".hidden", "talk"])
def test_a_name_without_an_ending_gets_text(name: str) -> None:
    assert choose_format(Shape(), output=Path(name), mode="live") is Format.txt
