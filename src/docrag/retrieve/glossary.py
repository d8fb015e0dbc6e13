"""Ratios and abbreviations of financial statements, and the line items they are computed from.

A question asks for the "quick ratio"; the page that answers it shows cash, receivables and current
liabilities, and often neither word. The definitions are those of textbooks (Penman, "Financial Statement
Analysis and Security Valuation"; CFA Institute, "Financial Analysis Techniques").
"""

from __future__ import annotations

import re
from collections.abc import Mapping

FINANCE: Mapping[str, str] = {
    "return on assets|roa": "net income total assets",
    "return on (?:average )?(?:common )?equity|roe": "net income shareholders stockholders equity",
    "return on invested capital|roic": "operating income total debt equity",
    "return on capital employed|roce": "operating income total assets current liabilities",
    "return on sales": "net income net sales revenue",
    "gross (?:profit )?margins?": "gross profit revenue cost of goods sold sales",
    "operating (?:profit )?margins?|ebit margins?": "operating income revenue",
    "net (?:profit )?margins?|profit margins?": "net income revenue",
    "current ratio|working capital": "total current assets total current liabilities",
    "quick ratio|acid test": "cash equivalents receivable total current liabilities",
    "cash ratio": "cash and cash equivalents total current liabilities",
    "interest coverage|times interest earned": "operating income interest expense",
    "debt to equity|leverage ratio|gearing": "long-term debt total liabilities stockholders equity",
    "debt ratio|debt to assets": "total liabilities total assets",
    "equity multiplier": "total assets total stockholders equity",
    "capitali[sz]ation ratio": "long-term debt shareholders equity",
    "invested capital": "long-term debt shareholders equity",
    "total debt": "long-term debt current portion",
    "net debt": "long-term debt cash and cash equivalents",
    "book value": "total stockholders equity shares outstanding",
    "effective tax": "income tax expense income before income taxes",
    "inventory turnover|days (?:of )?inventory": "cost of goods sold inventories",
    "receivables? turnover|days sales outstanding|dso": "accounts receivable net revenue",
    "payables? turnover|days payable": "accounts payable cost of goods sold",
    "cash conversion cycle": "inventories accounts receivable accounts payable cost of goods sold",
    "fixed asset turnover": "net revenue property and equipment net",
    "asset turnover": "net revenue total assets",
    "operating cash flow|cash flow from operations|cash flow ratio|cash flow to":
        "net cash provided by operating activities",
    "free cash flow|fcf":
        "net cash provided by operating activities capital expenditures purchases of property and equipment",
    "capex|capital expenditures?": "capital expenditures purchases of property and equipment",
    "ebitda": "operating income depreciation amortization",
    "ebit": "operating income",
    "dividend payout|payout ratio": "dividends paid net income",
    "dividend yield": "dividends per share",
    "earnings per share|eps": "net income per share diluted",
    r"r\s*&\s*d": "research and development",
    r"sg\s*&\s*a": "selling general and administrative",
    "cogs": "cost of goods sold",
    r"d\s*&\s*a": "depreciation and amortization",
    r"pp\s*&\s*e": "property plant and equipment",
}  # fmt: skip
"""Pattern of a term in a question, and words that stand where its value does."""

_PATTERNS = [
    (re.compile(rf"\b(?:{term.replace(' ', '[ -]+')})\b", re.IGNORECASE), items)
    for term, items in FINANCE.items()
]


def line_items(question: str) -> str:
    """Line items of every financial term in `question`; an empty string without one.

    Examples
    --------
    >>> line_items("What is the debt-to-assets figure?")
    'total liabilities total assets'
    """
    return " ".join(items for pattern, items in _PATTERNS if pattern.search(question))
