"""Whatever tokens a model writes: words partition them, and joined they are the text."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whisper_service.engine.tokenizer import WhisperTokenizer
from whisper_service.models.checkpoint import load_checkpoint
from whisper_service.models.store import DEMO_FOLDER

TOKENIZER = WhisperTokenizer(load_checkpoint(DEMO_FOLDER))
LANGUAGES = st.sampled_from(["en", "fr", "zh", "ja", "th", "ko"])


@settings(deadline=None)
@given(st.lists(st.integers(0, 50256), max_size=40), LANGUAGES)
def test_words_partition_any_tokens(tokens, language):
    words = TOKENIZER.split_words(tokens, language)
    assert [t for _, ids in words for t in ids] == tokens
    assert "".join(text for text, _ in words) == TOKENIZER.decode(tokens)
    assert all(ids for _, ids in words)
    assert not any("\ufffd" in text for text, _ in words[:-1])


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40), LANGUAGES)
def test_text_survives(text, language):
    tokens = TOKENIZER.encode(text)
    expected = text.replace("\ufffd", "")
    assert TOKENIZER.decode(tokens) == expected
    assert "".join(word for word, _ in TOKENIZER.split_words(tokens, language)) == expected


@settings(deadline=None)
@given(st.lists(st.integers(0, 50256), max_size=30), st.data())
def test_more_tokens_never_change_words_before_the_last(tokens, data):
    """So a word can be committed as soon as the next one has begun."""
    count = data.draw(st.integers(0, len(tokens)))
    language = data.draw(LANGUAGES)
    before = TOKENIZER.split_words(tokens[:count], language)
    after = TOKENIZER.split_words(tokens, language)
    if before and before[-1][0].endswith("\ufffd"):
        before = before[:-1]  # may yet be punctuation, which joins the word before it
    assert after[: max(0, len(before) - 1)] == before[: max(0, len(before) - 1)]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_word_begins_with_a_space_or_is_the_first(language):
    tokens = TOKENIZER.encode(" one two three")
    assert [w for w, _ in TOKENIZER.split_words(tokens, language)] == [" one", " two", " three"]
