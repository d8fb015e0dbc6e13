import pytest

from docrag.answer.values import Date, dates, emails, numbers, phones, plain, urls, years


@pytest.mark.parametrize(
    ("text", "value", "digits"),
    [
        ("costs 1,234.50 euros", 1234.5, "1,234.50"),
        ("a loss of (34)", -34.0, "34"),
        ("fell by -2.5", -2.5, "2.5"),
        ("about 3.5 million people", 3_500_000.0, "3.5"),
        ("raised $12bn", 12e9, "12"),
        ("72 lakhs", 7_200_000.0, "72"),
        ("0.53%", 0.53, "0.53"),
    ],
)
def test_numbers_have_sign_and_scale(text, value, digits):
    (number,) = numbers(text)
    assert (number.value, number.digits) == (pytest.approx(value), digits)


def test_percent_and_money_are_told_apart():
    share, price = numbers("25% of $40")
    assert (share.is_percent, share.is_money, price.is_percent, price.is_money) == (True, False, False, True)


def test_digits_inside_names_are_no_numbers():
    assert numbers("Q3 and B12 and 3D and 4th") == []


def test_spelled_numbers_count_only_when_asked_for():
    assert numbers("nine datasets") == []
    assert [n.value for n in numbers("nine datasets of 4 kinds", spelled=True)] == [9.0, 4.0]


def test_bare_years_are_marked():
    assert [n.is_year for n in numbers("2015 and 2015% and 1,999")] == [True, False, False]


@pytest.mark.parametrize(
    "text",
    ["October 7, 2003", "7 October 2003", "7th of October 2003", "2003-10-07", "10/7/2003", "Oct. 7, 2003"],
)
def test_dates_are_read_however_they_are_written(text):
    (date,) = dates(f"held on {text} in town")
    assert (date.year, date.month, date.day) == (2003, 10, 7)
    assert f"held on {text} in town"[date.start : date.end].rstrip(".") == text.rstrip(".")


def test_a_day_above_twelve_comes_first():
    assert [(d.month, d.day) for d in dates("24/03/2015")] == [(3, 24)]


def test_impossible_dates_are_none():
    assert dates("2003-13-07") == []


def test_a_date_is_written_by_a_pattern():
    assert Date(0, 1, 2003, 10, 7).as_pattern("YYYY-MM-DD") == "2003-10-07"
    assert Date(0, 1, 2009, 7, 0).as_pattern("YYYY-MM-DD") == "2009-07"
    assert Date(0, 1, 2009, 7, 0).as_pattern("YYYY-MM") == "2009-07"


def test_addresses_and_telephone_numbers_are_found():
    text = "Write to a.b@example.org, see https://example.org/x or call 514-312-0292."
    assert [text[a:b] for a, b in emails(text)] == ["a.b@example.org"]
    assert [text[a:b] for a, b in urls(text)] == ["https://example.org/x"]
    assert [text[a:b] for a, b in phones(text)] == ["514-312-0292"]


def test_years_of_a_text_come_in_order():
    assert years("from 2015 to 1999, not 12015") == [2015, 1999]


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [(1234.0, None, "1234"), (0.5, None, "0.5"), (2.0, 2, "2.00"), (1e7, None, "10000000")],
)
def test_plain_numbers_have_no_grouping(value, decimals, text):
    assert plain(value, decimals=decimals) == text


def test_long_runs_of_digits_are_codes_not_numbers():
    assert numbers("9" * 400) == []
