from hypothesis import given, settings
from hypothesis import strategies as st

from whisper_service.text.meaningful import is_meaningful


@settings(deadline=None)
@given(st.text())
def test_equals_any_isalnum(text):
    assert is_meaningful(text) == any(c.isalnum() for c in text)


@settings(deadline=None)
@given(
    st.text(alphabet="._-—。，!? \t\u0301🎵", max_size=300),
    st.sampled_from(["", "你", "é", "9", "ж"]),
)
def test_one_letter_anywhere_decides(noise, letter):
    middle = len(noise) // 2
    assert is_meaningful(noise[:middle] + letter + noise[middle:]) == bool(letter)
