from __future__ import annotations

import numpy as np

from docrag.ingest.line_words import Glyph, decode_ctc, half_width, ink_columns, split_words

CHARACTERS = ["", "a", "b", " "]


def path(*classes: int) -> np.ndarray:
    probability = np.full((len(classes), len(CHARACTERS)), 0.01, np.float32)
    probability[np.arange(len(classes)), classes] = 0.9
    return probability


def glyphs(text: str, width: int) -> list[Glyph]:
    """Characters ten pixels apart, centred at 5, 15, 25, …; "_" leaves a place empty."""
    return [Glyph(c, (10 * i + 5) / width, 0.9) for i, c in enumerate(text) if c != "_"]


def ink(text: str) -> np.ndarray:
    """Two blank columns on each side of every character, none where it is "_" or a space."""
    return np.concatenate([np.r_[[False] * 2, [c not in "_ "] * 6, [False] * 2] for c in text])


def test_ctc_merges_repeats_and_keeps_those_a_blank_divides() -> None:
    assert "".join(g.char for g in decode_ctc(path(0, 1, 1, 0, 1, 2, 2, 3, 0), CHARACTERS)) == "aab "


def test_ctc_places_a_character_in_the_middle_of_its_run() -> None:
    (glyph,) = decode_ctc(path(0, 0, 1, 1), CHARACTERS)
    assert glyph.x == 3 / 4
    assert abs(glyph.confidence - 0.9) < 1e-6


def test_blank_lines_hold_no_words() -> None:
    assert split_words([], np.zeros(10, bool), 20) == []
    assert split_words([Glyph(" ", 0.5, 0.9)], np.zeros(10, bool), 20) == []
    assert decode_ctc(path(0, 0), CHARACTERS) == []


def test_words_part_at_decoded_spaces_and_end_where_the_ink_ends() -> None:
    text = "ab cd"
    first, second = split_words(glyphs(text, 50), ink(text), 20)
    assert (first.text, second.text) == ("ab", "cd")
    assert (first.x0 * 50, first.x1 * 50) == (2, 18)
    assert (second.x0 * 50, second.x1 * 50) == (32, 48)


def test_a_wide_gap_is_a_space_that_was_dropped() -> None:
    # The second space is empty in the picture and missing in the text: 14 blank columns of 20 rows.
    words = split_words(glyphs("of low_rate", 110), ink("of low_rate"), 20)
    assert [word.text for word in words] == ["of", "low", "rate"]
    assert [word.text for word in split_words(glyphs("of lowrate", 100), ink("of lowrate"), 20)] == [
        "of",
        "lowrate",
    ]


def test_wide_gaps_do_not_cut_off_punctuation_or_part_scripts_without_spaces() -> None:
    assert [w.text for w in split_words(glyphs("a b_, c", 70), ink("a b_, c"), 20)] == ["a", "b,", "c"]
    assert [w.text for w in split_words(glyphs("東 京_都 市", 70), ink("東 京_都 市"), 20)] == [
        "東",
        "京都",
        "市",
    ]


def test_ink_is_found_on_dark_paper_too() -> None:
    line = np.full((16, 30, 3), 255, np.uint8)
    line[4:12, 10:14] = 0
    expected = np.zeros(30, bool)
    expected[10:14] = True
    assert np.array_equal(ink_columns(line), expected)
    assert np.array_equal(ink_columns(255 - line), expected)
    assert not ink_columns(np.full((16, 30, 3), 200, np.uint8)).any()


def test_full_width_latin_becomes_ascii_and_other_scripts_stay() -> None:
    assert half_width("Ａ，（1）東京。") == "A,(1)東京。"
