from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from aligncat.errors import DataError
from aligncat.language.vocabulary import CLS, PAD, UNK, Vocabulary

TEXTS = ["left cat", "the red cat", "the left-most dog"]


def test_special_symbols_come_first_then_words_in_order_of_occurrence() -> None:
    vocabulary = Vocabulary.from_expressions(TEXTS)
    assert (PAD, UNK, CLS) == (0, 1, 2)
    assert vocabulary.words == ("left", "cat", "the", "red", "most", "dog")
    assert len(vocabulary) == 9
    assert vocabulary.id("left") == 3
    assert vocabulary.id("dog") == 8


def test_encode_pads_to_the_longest_and_cuts_at_max_length() -> None:
    vocabulary = Vocabulary.from_expressions(TEXTS)
    tokens = vocabulary.encode(["Cat!", "the red cat"], max_length=15)
    assert tokens.dtype == torch.int64
    assert tokens.tolist() == [[4, PAD, PAD], [5, 6, 4]]
    assert vocabulary.encode(["Cat!", "the red cat"], max_length=2).tolist() == [[4, PAD], [5, 6]]


def test_an_unknown_word_is_replaced_with_unk() -> None:
    vocabulary = Vocabulary.from_expressions(TEXTS)
    assert vocabulary.encode(["left zebra cat"], 15).tolist() == [[3, UNK, 4]]
    assert vocabulary.encode(["purple zebra"], 15).tolist() == [[UNK, UNK]]


def test_a_word_spelled_like_a_special_symbol_is_a_word() -> None:
    vocabulary = Vocabulary.from_expressions(["left <pad> cat"])
    assert vocabulary.encode(["<pad>"], 15).tolist() == [[4]]
    assert Vocabulary.from_expressions(TEXTS).encode(["<pad> <cls>"], 15).tolist() == [[UNK, UNK]]


def test_more_words_come_after_the_vocabularys_own() -> None:
    vocabulary = Vocabulary.from_expressions(TEXTS).with_words(["zebra", "cat", "sofa", "zebra"])
    assert vocabulary.words == ("left", "cat", "the", "red", "most", "dog", "zebra", "sofa")


def test_weights_are_named_by_their_words() -> None:
    vocabulary = Vocabulary.from_expressions(TEXTS)
    assert vocabulary.weigh("Red sofa!", [0.75, 0.25, 0.0]) == (("red", 0.75), ("sofa", 0.25))


def test_ten_thousand_words_are_cut() -> None:
    assert Vocabulary.from_expressions(TEXTS).encode(["cat " * 10_000], 20).shape == (1, 20)


@pytest.mark.parametrize("text", ["", "  ", "?!", "-/-"])
def test_an_expression_without_words_is_an_error_that_shows_it(text: str) -> None:
    vocabulary = Vocabulary.from_expressions(TEXTS)
    with pytest.raises(DataError, match="no words") as caught:
        vocabulary.encode(["left cat", text], 15)
    assert repr(text) in str(caught.value)
    with pytest.raises(DataError, match="no words"):
        Vocabulary.from_expressions([*TEXTS, text])


def test_no_expressions_is_an_error() -> None:
    with pytest.raises(DataError, match="no expressions"):
        Vocabulary.from_expressions([])


def test_a_vocabulary_is_equal_after_saving_and_loading(tmp_path: Path) -> None:
    vocabulary = Vocabulary.from_expressions([*TEXTS, "café"])
    path = tmp_path / "vocabulary.json"
    path.write_text(json.dumps(vocabulary.to_dict(), ensure_ascii=False), encoding="utf-8")
    assert Vocabulary.load(path, vocabulary.rule) == vocabulary


def test_a_vocabulary_splits_by_its_own_rule() -> None:
    texts = ["the dog;left", "a man\u2019s hat"]
    first, second = (Vocabulary.from_expressions(texts, rule) for rule in (1, 2))
    assert first.words == ("the", "dogleft", "a", "man\u2019s", "hat")
    assert second.words == ("the", "dog", "left", "a", "mans", "hat")
    assert first.encode(["dog;left hat"], 15).tolist() == [[4, 7]]
    assert second.encode(["dog;left hat"], 15).tolist() == [[4, 5, 8]]
    assert second.weigh("dog;left", [0.5, 0.25]) == (("dog", 0.5), ("left", 0.25))
    assert Vocabulary(["dog"], 1) != Vocabulary(["dog"], 2)
    assert [each.with_words(["cat"]).rule for each in (first, second)] == [1, 2]
    assert Vocabulary.from_dict(second.to_dict()).rule == 1  # files that record no rule


@pytest.mark.parametrize("rule", [0, 3, "2", None])
def test_an_unknown_rule_is_an_error(rule: object) -> None:
    with pytest.raises(DataError, match=r"unknown rule .* for splitting expressions"):
        Vocabulary(["dog"], rule)  # type: ignore[arg-type]


def test_unknown_words_are_listed_once_in_order() -> None:
    vocabulary = Vocabulary(["the", "dog", "left"], 2)
    assert vocabulary.unknown("The wombat, the quokka\u2014the WOMBAT\u2019s dog") == ("wombat", "quokka", "wombats")
    assert vocabulary.unknown("left dog") == ()


@pytest.mark.parametrize(
    "content",
    [
        "{not json",
        "[]",
        '{"words": ["a"]}',
        '{"special": ["<pad>", "<unk>", "<cls>"], "words": "a"}',
        '{"special": ["<pad>", "<unk>", "<cls>"], "words": ["a", 2]}',
        '{"special": ["<pad>", "<unk>", "<cls>"], "words": ["a", "b", "a"]}',
        None,
    ],
)
def test_a_file_that_is_not_a_vocabulary_is_an_error_that_names_it(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "vocabulary.json"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=r"vocabulary\.json"):
        Vocabulary.load(path)
