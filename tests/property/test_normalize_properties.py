import unicodedata

from hypothesis import given, settings
from hypothesis import strategies as st

from whisper_service.text.normalize import normalize

languages = st.sampled_from(["en", "zh", "th", "tr", "de"])


@settings(deadline=None)
@given(st.text(), languages)
def test_normalizing_again_changes_nothing(text, language):
    once = normalize(text, language)
    assert normalize(" ".join(once), language) == once


@settings(deadline=None)
@given(st.text(), languages)
def test_tokens_hold_letters_numbers_and_marks_only(text, language):
    for token in normalize(text, language):
        assert token
        assert {unicodedata.category(c)[0] for c in token} <= set("LNM")


@settings(deadline=None)
@given(st.text(alphabet=st.characters(max_codepoint=0x24F)))
def test_case_and_canonical_form_do_not_matter_in_latin(text):
    assert normalize(unicodedata.normalize("NFD", text), "en") == normalize(text, "en")
    assert normalize(text.casefold(), "en") == normalize(text, "en")
