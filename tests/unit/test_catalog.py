"""Models by name."""

import re

import pytest

from whisper_service.errors import ModelNotFoundError
from whisper_service.models.catalog import (
    CATALOG,
    DEMO,
    lookup,
    repo_of,
    short_name,
    similar,
    suggestion,
)


@pytest.mark.parametrize(
    ("name", "repo"),
    [
        ("tiny", "openai/whisper-tiny"),
        ("tiny.en", "openai/whisper-tiny.en"),
        ("whisper-base", "openai/whisper-base"),
        ("openai/whisper-base", "openai/whisper-base"),
        ("OpenAI/Whisper-Base", "openai/whisper-base"),
        ("large-v1", "openai/whisper-large"),
        ("large", "openai/whisper-large-v3"),
        ("turbo", "openai/whisper-large-v3-turbo"),
        ("whisper-turbo", "openai/whisper-large-v3-turbo"),
        ("large-v3-turbo", "openai/whisper-large-v3-turbo"),
        ("distil-large-v3", "distil-whisper/distil-large-v3"),
        ("someone/a.fine-tune_2", "someone/a.fine-tune_2"),
    ],
)
def test_names_people_use(name, repo):
    assert repo_of(name) == repo


@pytest.mark.parametrize("name", ["", "demo", "bse", "a/b/c", "a b/c", "/x", "x/", "https://x/y"])
def test_what_names_no_repository(name):
    with pytest.raises(ModelNotFoundError):
        repo_of(name)


def test_no_two_models_share_a_name():
    names = [n for e in CATALOG for n in (e.name, *e.aliases, e.repo) if n]
    assert len(names) == len({name.lower() for name in names})


@pytest.mark.parametrize("entry", CATALOG, ids=lambda entry: entry.name)
def test_entries_are_consistent(entry):
    assert lookup(entry.name) is entry
    assert all(lookup(alias) is entry for alias in entry.aliases)
    assert entry.size > 10_000_000
    assert entry.dynamic_context == (entry is DEMO)
    assert entry is DEMO or re.fullmatch(r"[\w.-]+/[\w.-]+", entry.repo)
    if entry.name.endswith(".en"):
        assert entry.languages == ("en",)
    can_translate = not entry.languages and "turbo" not in entry.name
    assert entry.tasks == (("transcribe", "translate") if can_translate else ("transcribe",))


def test_short_names():
    assert short_name("openai/whisper-base") == "base"
    assert short_name("someone/else") == "someone/else"


@pytest.mark.parametrize(
    ("name", "close"), [("bse", "base"), ("larg-v3", "large-v3"), ("whisper-tny", "tiny")]
)
def test_a_slip_is_understood(name, close):
    assert similar(name)[0] == close
    assert f"did you mean {close}" in suggestion(name)


def test_nothing_is_suggested_for_nonsense():
    assert similar("qqqqqq") == []
    assert "models list" in suggestion("qqqqqq")
