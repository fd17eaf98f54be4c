"""The meaningful-output check."""

import sys

import pytest

from whisper_service.text.meaningful import is_meaningful


@pytest.mark.parametrize(
    "text",
    [
        "a",
        " Hello.",
        "今天天气很好。",
        "привет",
        "مرحبا",
        "नमस्ते",
        "สวัสดี",
        "7",
        "７",
        "²",
        "Ⅷ",
        "½",
        "é",
    ],
)
def test_letters_and_digits_of_any_script_count(text):
    assert is_meaningful(text)


@pytest.mark.parametrize(
    "text", ["", " ", "...", "—?!", "。、！", "_", "🎵♪", "\u0301", "\u200b\n"]
)
def test_punctuation_symbols_and_lone_marks_do_not(text):
    assert not is_meaningful(text)


def test_agrees_with_isalnum_on_every_character():
    disagreeing = [
        code
        for code in range(sys.maxunicode + 1)
        if is_meaningful(chr(code)) != chr(code).isalnum()
    ]
    assert disagreeing == []
