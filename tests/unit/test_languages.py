"""Languages by code, tag and name."""

import pytest

from whisper_service.errors import InvalidOptionError
from whisper_service.models.checkpoint import load_checkpoint
from whisper_service.models.store import DEMO_FOLDER
from whisper_service.text.languages import (
    _ALIASES,
    LANGUAGES,
    NO_SPACE,
    language_name,
    resolve_language,
    script_of,
)


def test_there_are_whispers_hundred_languages():
    assert len(LANGUAGES) == 100
    assert len(set(LANGUAGES.values())) == 100


def test_every_language_token_has_a_name():
    assert set(load_checkpoint(DEMO_FOLDER).generation.languages) <= set(LANGUAGES)


@pytest.mark.parametrize("code", LANGUAGES)
def test_a_code_and_its_name_mean_the_same(code):
    assert resolve_language(code) == code
    assert resolve_language(code.upper()) == code
    assert resolve_language(LANGUAGES[code]) == code
    assert resolve_language(language_name(code)) == code


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("castilian", "es"),
        ("Mandarin", "zh"),
        ("zh-CN", "zh"),
        ("zh_TW", "zh"),
        ("zh-HK", "yue"),
        ("pt-BR", "pt"),
        (" English ", "en"),
        ("en-GB", "en"),
        ("Haitian", "ht"),
        ("jv", "jw"),
        ("nb", "no"),
        ("nb-NO", "no"),
    ],
)
def test_aliases_and_tags(text, code):
    assert resolve_language(text) == code


def test_aliases_lead_to_languages_and_hide_none():
    assert set(_ALIASES.values()) <= set(LANGUAGES)
    assert not set(_ALIASES) & set(LANGUAGES)


@pytest.mark.parametrize(
    ("text", "suggested"), [("englsh", "english (en)"), ("spanich", "spanish (es)")]
)
def test_a_slip_gets_a_suggestion(text, suggested):
    with pytest.raises(InvalidOptionError) as caught:
        resolve_language(text)
    assert f"did you mean {suggested}?" in str(caught.value)


@pytest.mark.parametrize("text", ["", "jp", "xx", "klingon", "en,es", "-"])
def test_unknown_languages_are_refused(text):
    with pytest.raises(InvalidOptionError, match="unknown language"):
        resolve_language(text)


def test_a_language_the_model_lacks_is_refused():
    assert resolve_language("german", among=("en", "de")) == "de"
    with pytest.raises(InvalidOptionError, match="does not know Japanese; it knows de, en"):
        resolve_language("ja", among=("en", "de"))


def test_scripts_and_spaces():
    assert script_of("en") == "Latn"
    assert script_of("zh") == script_of("yue") == "Hani"
    assert script_of("ru") == "Cyrl"
    assert {"zh", "ja", "th", "lo", "my", "yue"} <= NO_SPACE <= set(LANGUAGES)
    assert all(script_of(code) != "Latn" for code in NO_SPACE)
