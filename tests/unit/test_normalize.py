"""Tokens for scoring."""

import pytest

from whisper_service.text.normalize import is_unspaced, normalize


@pytest.mark.parametrize(
    ("text", "language", "tokens"),
    [
        ("Hello, World! It's 25 %.", "en", ["hello", "world", "its", "25"]),
        ("L’été d'Élise — déjà ?", "fr", ["lété", "délise", "déjà"]),
        ("Die Straße, STRASSE", "de", ["die", "strasse", "strasse"]),
        ("¿Dónde está la estación?", "es", ["dónde", "está", "la", "estación"]),
        ("今天25号。", "zh", ["今", "天", "25", "号"]),
        ("我用 iPhone15 看电影", "zh", ["我", "用", "iphone15", "看", "电", "影"]),
        ("東京タワー", "ja", ["東", "京", "タ", "ワ", "ー"]),
        ("ที่นี่", "th", ["ที่", "นี่"]),
        ("हिन्दी में", "hi", ["हिन्दी", "में"]),
        ("İstanbul ISPARTA", "tr", ["istanbul", "ısparta"]),
        ("ISPARTA", "en", ["isparta"]),
        ("ＡＢＣ ﬁn", "en", ["abc", "fin"]),
        ("cafe\u0301", "fr", ["café"]),
        ("zero\u200bwidth soft\u00adhyphen", "en", ["zerowidth", "softhyphen"]),
        ("well-known", "en", ["well", "known"]),
        ("", "en", []),
        ("... ♪", "en", []),
    ],
)
def test_tokens(text, language, tokens):
    assert normalize(text, language) == tokens


def test_unspaced_scripts():
    assert all(map(is_unspaced, "你あアไລမខ"))
    assert not any(map(is_unspaced, "aéж한א1 。"))
