from __future__ import annotations

import numpy as np
import pytest

from whisper_service.engine.graph import MASKED
from whisper_service.engine.graph_vocabulary import (
    ANY,
    FIRST,
    NO_END,
    TIMESTAMPS,
    Embedding,
    Vocabulary,
    classes,
    output_vocabulary,
)
from whisper_service.models.checkpoint import GenerationConfig

END, BEGIN = 20, 30  # end-of-text and the first timestamp of a vocabulary of 40 tokens


def generation(**options: object) -> GenerationConfig:
    values: dict[str, object] = {
        "sot": 21,
        "eot": END,
        "transcribe": 24,
        "translate": 25,
        "sot_prev": 26,
        "no_speech": 27,
        "no_timestamps": 29,
        "timestamp_begin": BEGIN,
        "multilingual": True,
        "languages": {"en": 22, "de": 23},
        "suppress_tokens": (3,),
        "begin_suppress_tokens": (5, END),
        "alignment_heads": ((0, 0),),
        "tasks": ("transcribe",),
    }
    return GenerationConfig(**(values | options))  # type: ignore[arg-type]


@pytest.fixture
def rows() -> np.ndarray:
    """40 rows of which 3, 4, 5, 21 and 31 are equal."""
    table = np.random.default_rng(0).standard_normal((40, 8)).astype(np.float32)
    table[[4, 5, 21, 31]] = table[3]
    return table


@pytest.fixture
def vocabulary(rows: np.ndarray) -> Vocabulary:
    first, class_of = classes(rows)
    return output_vocabulary(generation(), rows[first], class_of)


def allowed(vocabulary: Vocabulary, rule: int) -> set[int]:
    """Tokens that an arg-max under a rule can give."""
    open_classes = vocabulary.log_counts[rule] > MASKED / 2
    return set(vocabulary.tokens[rule][open_classes].tolist())


def test_equal_rows_share_a_class(rows: np.ndarray) -> None:
    first, class_of = classes(rows)
    assert len(first) == 36
    assert np.array_equal(rows[first][class_of], rows)
    assert first[class_of[31]] == 3


def test_distinct_rows_are_their_own_classes() -> None:
    first, class_of = classes(np.arange(12, dtype=np.float32).reshape(6, 2))
    assert first.tolist() == class_of.tolist() == list(range(6))


def test_a_class_counts_as_often_as_it_has_allowed_members(
    rows: np.ndarray, vocabulary: Vocabulary
) -> None:
    x = np.random.default_rng(1).standard_normal(8).astype(np.float32)
    for rule, banned in ((ANY, []), (0, [3, *range(21, 40)]), (FIRST, [3, 5, *range(21, 40)])):
        logits = rows @ x
        logits[banned] = -np.inf
        expected = np.log(np.exp(logits).sum())
        weighted = vocabulary.weights @ x + vocabulary.log_counts[rule]
        assert np.log(np.exp(weighted).sum()) == pytest.approx(expected, abs=1e-5)


def test_a_class_stands_for_its_first_allowed_member(vocabulary: Vocabulary) -> None:
    shared = vocabulary.class_of[3]
    assert vocabulary.tokens[ANY][shared] == 3
    assert vocabulary.tokens[0][shared] == 4  # 3 is suppressed
    assert vocabulary.tokens[TIMESTAMPS][shared] == 4


def test_special_tokens_are_never_allowed(vocabulary: Vocabulary) -> None:
    for rule in range(ANY):
        assert not allowed(vocabulary, rule) & set(range(21, BEGIN))
    assert not any(token >= BEGIN for token in allowed(vocabulary, 0))
    assert set(range(BEGIN, 40)) - {31} <= allowed(vocabulary, TIMESTAMPS)


def test_the_beginning_bans_its_tokens_but_not_the_end(vocabulary: Vocabulary) -> None:
    assert END in allowed(vocabulary, FIRST)
    assert END not in allowed(vocabulary, NO_END)
    assert END not in allowed(vocabulary, FIRST | NO_END)
    for rule in (FIRST, FIRST | TIMESTAMPS):
        assert vocabulary.tokens[rule][vocabulary.class_of[3]] == 4


def test_embeddings_in_half_precision_only_where_that_is_exact() -> None:
    exact = np.arange(12, dtype=np.float32).reshape(4, 3) / 8
    tokens = np.array([[3, 0], [1, 1]])
    of_row = np.arange(4)
    half = Embedding(exact, of_row, int8=False)
    full = Embedding(exact + np.float32(1e-5), of_row, int8=False)
    assert np.array_equal(half(tokens), exact[tokens])
    assert np.array_equal(full(tokens), exact[tokens] + np.float32(1e-5))
    assert full.nbytes - half.nbytes == exact.nbytes // 2


def test_embeddings_in_int8_are_within_half_a_step() -> None:
    rows = np.random.default_rng(2).standard_normal((50, 64)).astype(np.float32)
    small = Embedding(rows, np.arange(50), int8=True)
    steps = np.abs(rows).max(axis=1, keepdims=True) / 127
    assert (np.abs(small(np.arange(50)) - rows) <= steps / 2 + 1e-7).all()
    assert small.nbytes < rows.nbytes / 2.5
