"""Tokens to text, to words, and back."""

import json

import pytest
from tokenizers import Tokenizer as BpeTokenizer

from checkpoints import LAYOUTS, build
from whisper_service.engine.tokenizer import WhisperTokenizer
from whisper_service.errors import ModelFormatError
from whisper_service.models.checkpoint import load_checkpoint
from whisper_service.models.store import DEMO_FOLDER


@pytest.fixture(scope="module")
def tokenizer():
    return WhisperTokenizer(load_checkpoint(DEMO_FOLDER))


@pytest.fixture(scope="module")
def reference():
    return BpeTokenizer.from_buffer(load_checkpoint(DEMO_FOLDER).tokenizer_json())


TEXTS = [
    (' Hello, world! It\'s a well-known (very) "good" day.', "en"),
    (" « Bonjour ! » dit-il ; ça va ?", "fr"),
    (" ¿Qué tal? ¡Hola!", "es"),
    ("我在2024年买了 iPhone 15，你呢？「好」。𠮷野家", "zh"),
    ("สวัสดีครับ ผมชื่อ", "th"),
    ("東京タワーは「高い」です。", "ja"),
    (" 안녕하세요 여러분", "ko"),
    (" 🙂 👨‍👩‍👧 ♪ 50 %", "en"),
]


@pytest.mark.parametrize(("text", "language"), TEXTS)
def test_text_survives_and_equals_the_librarys(tokenizer, reference, text, language):
    tokens = tokenizer.encode(text)
    assert tokens == reference.encode(text, add_special_tokens=False).ids
    assert tokenizer.decode(tokens) == text == reference.decode(tokens)
    assert "".join(word for word, _ in tokenizer.split_words(tokens, language)) == text


def words(tokenizer, text, language):
    return [word for word, _ in tokenizer.split_words(tokenizer.encode(text), language)]


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        (" Hello, world!", "en", [" Hello,", " world!"]),
        (" It's well-known...", "en", [" It's", " well-known..."]),
        (' He said "yes" (twice).', "en", [" He", " said", ' "yes"', " (twice)."]),
        (" wait - what", "en", [" wait", " - what"]),
        (" 3.5 million", "en", [" 3.5", " million"]),
        (" ça va ?", "fr", [" ça", " va ?"]),
        (" « Oui ! » dit-il", "fr", [" « Oui ! »", " dit-il"]),
        (" ¿Qué tal?", "es", [" ¿Qué", " tal?"]),
        ("你呢？「好」。", "zh", ["你", "呢？", "「好」。"]),
        ("买2024年", "zh", ["买", "2024", "年"]),
        ("用 Python吧", "zh", ["用", " Python", "吧"]),
        ("ผมชื่อ", "th", ["ผม", "ชื่", "อ"]),
    ],
)
def test_words(tokenizer, text, language, expected):
    assert words(tokenizer, text, language) == expected


def test_a_character_in_pieces_stays_together(tokenizer):
    tokens = tokenizer.encode("𠮷")
    assert len(tokens) > 1
    assert tokenizer.split_words(tokens, "zh") == [("𠮷", tokens)]


def test_an_incomplete_character_is_the_last_entry(tokenizer):
    first, second = tokenizer.encode("好"), tokenizer.encode("𠮷")
    split = tokenizer.split_words(first + second[:-1], "zh")
    assert split == [("好", first), ("\ufffd", second[:-1])]
    assert tokenizer.decode(first + second[:-1]) == "好\ufffd"


def test_broken_bytes_in_the_middle_are_left_out(tokenizer):
    broken = tokenizer.encode("𠮷")[:-1]
    tokens = tokenizer.encode(" one") + broken + tokenizer.encode(" two")
    assert tokenizer.decode(tokens) == " one two"
    split = tokenizer.split_words(tokens, "en")
    assert [word for word, _ in split] == [" one", " two"]
    assert [t for _, ids in split for t in ids] == tokens


def test_a_replacement_character_is_never_said(tokenizer):
    tokens = tokenizer.encode(" a\ufffdb")
    assert tokenizer.decode(tokens) == " ab"


def test_special_tokens_are_neither_text_nor_made_from_text(tokenizer):
    generation = load_checkpoint(DEMO_FOLDER).generation
    text = tokenizer.encode(" yes")
    special = [generation.sot, generation.languages["en"], generation.transcribe, generation.eot]
    timestamp = generation.timestamp_begin + 75
    tokens = [*special, *text, timestamp]
    assert tokenizer.decode(tokens) == " yes"
    assert tokenizer.split_words(tokens, "en") == [(" yes", text)]
    written = tokenizer.encode("<|en|>a<|endoftext|>")
    assert tokenizer.decode(written) == "<|en|>a<|endoftext|>"
    assert max(tokenizer.encode("<|en|> <|0.00|> <|notimestamps|>")) < generation.eot


def test_an_id_outside_the_vocabulary_says_nothing(tokenizer):
    assert tokenizer.decode([10**6, *tokenizer.encode(" yes")]) == " yes"


def test_nothing_gives_nothing(tokenizer):
    assert tokenizer.decode([]) == ""
    assert tokenizer.split_words([], "zh") == []
    assert tokenizer.encode("") == []


@pytest.mark.parametrize("name", ["dynamic", "english", "stock"])
def test_made_up_vocabularies(tmp_path, name):
    checkpoint = load_checkpoint(build(LAYOUTS[name], tmp_path / name))
    tokenizer = WhisperTokenizer(checkpoint)
    assert tokenizer.languages == tuple(checkpoint.generation.languages)
    tokens = tokenizer.encode(" the world, été")
    timestamp = checkpoint.generation.timestamp_begin + 7  # some tokenizers do not list them
    others = [checkpoint.generation.eot, timestamp]
    assert tokenizer.decode([*tokens, *others]) == " the world, été"
    assert [t for _, ids in tokenizer.split_words([*tokens, *others], "en") for t in ids] == tokens
    assert max(tokens) < checkpoint.generation.eot


def test_another_kind_of_vocabulary_is_refused(tmp_path):
    folder = build(LAYOUTS["stock"], tmp_path / "model")
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    tokenizer["model"] = {"type": "Unigram", "vocab": [["a", 0.0]]}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    with pytest.raises(ModelFormatError, match="no byte-level BPE vocabulary"):
        WhisperTokenizer(load_checkpoint(folder))
