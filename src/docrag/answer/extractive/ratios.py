"""Financial ratios by their textbook definitions, over line items of the statements.

Definitions follow common textbooks (Brealey, Myers & Allen, "Principles of Corporate Finance", ch. 28; CFA
Institute, "Financial Analysis Techniques"). Turnover ratios divide by the average of opening and closing
balances, as both do.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

LINE_ITEMS: Mapping[str, tuple[str, ...]] = {
    "revenue": (
        "total net revenues",
        "total net revenue",
        "total revenues",
        "total revenue",
        "total net sales",
        "net revenues",
        "net sales",
        "revenue",
        "revenues",
        "sales",
    ),
    "cost of sales": (
        "total cost of revenue",
        "total cost of revenues",
        "cost of sales",
        "cost of goods sold",
        "cost of revenue",
        "cost of revenues",
        "total costs of sales",
    ),
    "gross profit": ("gross profit", "gross margin"),
    "operating income": (
        "operating income",
        "income from operations",
        "earnings from operations",
        "operating profit",
        "operating income loss",
    ),
    "interest expense": ("interest expense", "interest expense net", "interest on debt"),
    "income tax": (
        "income tax expense",
        "provision for income taxes",
        "income tax provision",
        "income taxes",
        "income tax expense benefit",
    ),
    "pretax income": (
        "income before income taxes",
        "earnings before income taxes",
        "income before income tax expense",
        "earnings before income tax expense",
        "income before provision for income taxes",
        "profit before tax",
        "income before taxes",
    ),
    "net income": ("net income", "net earnings", "net income loss", "profit after tax", "net profit"),
    "research and development": ("research and development", "product development", "research development"),
    "depreciation": ("depreciation and amortization", "depreciation"),
    "total assets": ("total assets",),
    "current assets": ("total current assets",),
    "current liabilities": ("total current liabilities",),
    "total liabilities": ("total liabilities",),
    "equity": (
        "total shareholders equity",
        "total stockholders equity",
        "total equity",
        "shareholders equity",
        "stockholders equity",
    ),
    "inventory": ("merchandise inventories", "inventories", "inventories net", "inventory"),
    "receivables": (
        "accounts receivable net",
        "trade receivables",
        "receivables net",
        "accounts receivable",
        "receivables",
    ),
    "fixed assets": (
        "net property and equipment",
        "property and equipment net",
        "property plant and equipment net",
        "net property plant and equipment",
    ),
    "cash": ("cash and cash equivalents",),
    "short-term investments": ("short term investments", "marketable securities"),
    "long-term debt": (
        "long term debt",
        "long term debt net",
        "debt and capital lease obligations",
        "total long term debt",
    ),
    "current debt": ("current portion of long term debt", "short term debt", "current debt"),
    "operating cash flow": (
        "total cash provided by operating activities",
        "net cash provided by operating activities",
        "cash provided by operating activities",
        "net cash from operating activities",
    ),
    "capital expenditures": (
        "capital expenditures",
        "additions to property and equipment",
        "purchases of property and equipment",
        "purchases of property plant and equipment",
        "additions to property plant and equipment",
    ),
    "dividends": ("dividends paid", "cash dividends paid", "dividends"),
}
"""Line items by the labels under which statements print them, the most specific first."""

_ASKED: tuple[tuple[str, str], ...] = (
    ("research and development", r"r\s?&\s?d|research and development"),
    ("operating cash flow", r"operating cash flows?|cash flows? from operations"),
    ("current liabilities", r"(?:total )?current liabilities"),
    ("current assets", r"(?:total )?current assets"),
    ("total debt", r"total debt|debt"),
    ("total assets", r"(?:total )?assets?"),
    ("equity", r"(?:shareholders?'?|stockholders?'?|total)? ?equity"),
    ("capital expenditures", r"capex|capital expenditures?"),
    ("gross profit", r"gross profits?"),
    ("operating income", r"operating (?:income|profit)|ebit"),
    ("net income", r"net (?:income|profit|earnings)"),
    ("interest expense", r"interest(?: expenses?)?"),
    ("cost of sales", r"cogs|cost of (?:sales|goods sold|revenues?)"),
    ("inventory", r"inventor(?:y|ies)"),
    ("dividends", r"dividends?"),
    ("depreciation", r"depreciation(?: and amortization)?"),
    ("cash flow", r"cash flow"),
    ("cash", r"cash(?: and cash equivalents)?"),
    ("revenue", r"(?:net )?revenues?|(?:net )?sales"),
)
"""How questions name the items of an "A to B ratio"."""

Books = Callable[[str, int], float]
"""``value(item, years_back)``: raises `UnknownItem` when the item is not found."""


class UnknownItem(Exception):
    """A line item that the documents do not show for the year."""


def _debt(value: Books, back: int) -> float:
    return value("long-term debt", back) + _or_zero(value, "current debt", back)


def _or_zero(value: Books, item: str, back: int) -> float:
    try:
        return value(item, back)
    except UnknownItem:
        return 0.0


def _average(value: Callable[[int], float]) -> float:
    return (value(0) + value(1)) / 2


RATIOS: tuple[tuple[str, Callable[[Books], float]], ...] = (
    (
        r"quick ratio|acid[- ]test",
        lambda v: (
            (v("cash", 0) + _or_zero(v, "short-term investments", 0) + v("receivables", 0))
            / v("current liabilities", 0)
        ),
    ),
    (r"operating cash flow ratio", lambda v: v("operating cash flow", 0) / v("current liabilities", 0)),
    (r"cash ratio", lambda v: v("cash", 0) / v("current liabilities", 0)),
    (r"current ratio", lambda v: v("current assets", 0) / v("current liabilities", 0)),
    (r"working capital", lambda v: v("current assets", 0) - v("current liabilities", 0)),
    (r"fixed asset turnover", lambda v: v("revenue", 0) / _average(lambda b: v("fixed assets", b))),
    (r"(?:total )?asset turnover", lambda v: v("revenue", 0) / _average(lambda b: v("total assets", b))),
    (r"inventory turnover", lambda v: v("cost of sales", 0) / _average(lambda b: v("inventory", b))),
    (r"receivables? turnover", lambda v: v("revenue", 0) / _average(lambda b: v("receivables", b))),
    (
        r"(?:days inventory|inventory days|\bdio\b)",
        lambda v: 365 * _average(lambda b: v("inventory", b)) / v("cost of sales", 0),
    ),
    (
        r"(?:days sales outstanding|\bdso\b)",
        lambda v: 365 * _average(lambda b: v("receivables", b)) / v("revenue", 0),
    ),
    (
        r"interest coverage|times interest earned",
        lambda v: v("operating income", 0) / abs(v("interest expense", 0)),
    ),
    (
        r"return on capital employed|\broce\b",
        lambda v: v("operating income", 0) / (v("total assets", 0) - v("current liabilities", 0)),
    ),
    (
        r"return on average (?:shareholders'? |stockholders'? )?equity",
        lambda v: v("net income", 0) / _average(lambda b: v("equity", b)),
    ),
    (
        r"return on average (?:total )?assets",
        lambda v: v("net income", 0) / _average(lambda b: v("total assets", b)),
    ),
    (
        r"return on (?:shareholders'? |stockholders'? )?equity|\broe\b",
        lambda v: v("net income", 0) / v("equity", 0),
    ),
    (r"return on (?:total )?assets|\broa\b", lambda v: v("net income", 0) / v("total assets", 0)),
    (r"(?:effective )?(?:income )?tax (?:rate|ratio)", lambda v: v("income tax", 0) / v("pretax income", 0)),
    (r"capitali[sz]ation ratio", lambda v: _debt(v, 0) / (_debt(v, 0) + v("equity", 0))),
    (r"debt[- ]to[- ]equity", lambda v: _debt(v, 0) / v("equity", 0)),
    (
        r"debt[- ]to[- ](?:total )?assets?(?: ratio)?|(?<!total )debt ratio",
        lambda v: v("total liabilities", 0) / v("total assets", 0),
    ),
    (r"gross (?:profit )?margins?", lambda v: _gross(v) / v("revenue", 0)),
    (r"operating (?:profit |income )?margins?", lambda v: v("operating income", 0) / v("revenue", 0)),
    (r"net (?:profit |income )?margins?|profit margins?", lambda v: v("net income", 0) / v("revenue", 0)),
    (r"dividend payout", lambda v: abs(v("dividends", 0)) / v("net income", 0)),
    (r"free cash flow", lambda v: v("operating cash flow", 0) - abs(v("capital expenditures", 0))),
    (r"ebitda", lambda v: v("operating income", 0) + v("depreciation", 0)),
)


def _gross(value: Books) -> float:
    try:
        return value("gross profit", 0)
    except UnknownItem:
        return value("revenue", 0) - value("cost of sales", 0)


def formula_of(body: str) -> Callable[[Books], float] | None:
    """Return the first known ratio that the question names, else an "A to B ratio" of known items."""
    for pattern, formula in RATIOS:
        if re.search(rf"\b(?:{pattern})\b", body, re.IGNORECASE):
            return formula
    m = re.search(
        r"(?P<a>[\w& ]+?)\s+to\s+(?P<average>average )?(?P<b>[\w& ]+?)(?:\s+ratio|\s+for\b|\s+in\b|$)",
        body,
        re.I,
    )
    if m is None:
        return None
    top, bottom = _item(m["a"], last=True), _item(m["b"], last=False)
    if top is None or bottom is None or top == bottom:
        return None
    averaged = bool(m["average"])
    return lambda v: (
        abs(_value(v, top, 0))
        / (_average(lambda back: abs(_value(v, bottom, back))) if averaged else abs(_value(v, bottom, 0)))
    )


def _value(value: Books, item: str, back: int) -> float:
    if item == "total debt":
        return _debt(value, back)
    return value("operating cash flow" if item == "cash flow" else item, back)


def _item(text: str, *, last: bool) -> str | None:
    """Return the line item named at the end (before "to") or the beginning (after "to") of a text."""
    for item, pattern in _ASKED:
        if re.search(
            rf"(?:^|\s)(?:{pattern})\s*$" if last else rf"^\s*(?:{pattern})(?:\s|$)", text, re.IGNORECASE
        ):
            return item
    return None
