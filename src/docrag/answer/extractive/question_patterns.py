"""How questions are worded: the patterns by which `docrag.answer.extractive.question_type` reads them."""

from __future__ import annotations

import re
from re import Pattern


def any_of(*alternatives: str) -> Pattern[str]:
    """Match any of the alternatives as whole words, in any case."""
    return re.compile(rf"\b(?:{'|'.join(alternatives)})\b", re.IGNORECASE)


_VERBS = r"(?:is|are|was|were|do|does|did|has|have|had|can|could|will|would|should)"
YES_OR_NO = re.compile(r"\byes['\"’”]?\s*(?:or|/)\s*['\"‘“]?no\b", re.IGNORECASE)
YES_NO = re.compile(rf"^{_VERBS}\b|,\s*{_VERBS}\s+\w+[^,]*\?", re.IGNORECASE)
COUNT = any_of(r"how many", r"how often", r"the (?:total )?(?:number|count|amount) of")
PERCENTAGE = re.compile(
    r"\b(?:percent(?:age)?s?|per cent|proportion|share of|in (?:units of )?percents?)\b|%", re.IGNORECASE
)
ASKS_PERCENTAGE = any_of(
    r"how many percent", r"what(?:'s| is| was)? (?:the )?(?:\w+ ){0,3}(?:percentage|percent|proportion)"
)
MONEY = any_of(
    r"how much (?:money|did|does|was|were|is|are)",
    r"price",
    r"cost",
    r"fee",
    r"salary",
    r"budget",
    r"in (?:usd|dollars?|euros?|rupees)",
)
MEASURE = any_of(
    r"float",
    r"integer",
    r"decimals?",
    r"decimal places?",
    r"ratio",
    r"rate",
    r"value",
    r"population",
    r"revenues?",
    r"sales",
    r"income",
    r"earnings",
    r"profit",
    r"assets?",
    r"liabilit(?:y|ies)",
    r"equity",
    r"expenses?",
    r"cash",
    r"debt",
    r"scores?",
    r"accuracy",
    r"f1",
    r"performance",
    r"average",
    r"median",
    r"mean",
    r"amount",
    r"total",
    r"size",
    r"length",
    r"height",
    r"width",
    r"weight",
    r"temperature",
    r"voltage",
    r"speed",
    r"distance",
    r"capacity",
    r"duration",
    r"number",
    r"difference",
    r"gap",
    r"margin",
    r"turnover",
    r"growth",
    r"cagr",
    r"multiple",
    r"how (?:much|large|big|long|old|tall|high|far)",
    r"dividend",
    r"capital",
    r"goodwill",
    r"in (?:thousands?|millions?|billions?)",
)
NOT_MEASURED = any_of(r"which", r"title", r"string format")
LIST_ORDER = re.compile(r"(?:please )?(?:list|enumerate|name all|write all)\b", re.IGNORECASE)
_SEVERAL = r"(?:two|three|four|five|six)"
LIST = re.compile(
    r"\b(?:list|enumerate)\s+(?:all|the|them|each|every)\b|\b(?:in|as|with) (?:a |the )?list\b"
    r"|\blist format\b|\brespectively\b"
    rf"|^\s*(?:what|which|who|where) (?:are|were) (?:the|used|some|all|{_SEVERAL})\b"
    rf"|\b(?:what|which) {_SEVERAL}\b|\b(?:what|which) are (?:the )?{_SEVERAL}\b",
    re.IGNORECASE,
)
PAGE = re.compile(
    r"\blist\b.*\b(?:pages?|slides?)\b|\b(?:which|what) (?:pages|slides)\b"
    r"|\b(?:what|which) (?:page|slide) (?:has|have|is|are|contains?|shows?)\b"
    r"|\b(?:index|indices|numbers?) of (?:all )?(?:the )?(?:pages|slides)\b",
    re.IGNORECASE,
)
COLOUR = re.compile(r"\bcolou?rs?\b.{0,30}\b(?:is|are|of|does)\b|\bwhat colou?r", re.IGNORECASE)
OPPOSITES = any_of(
    r"(before) or (after)",
    r"(above) or (below)",
    r"(left) or (right)",
    r"(higher) or (lower)",
    r"(more) or (less|fewer)",
    r"(larger|bigger) or (smaller)",
    r"(inside) or (outside)",
    r"(increase\w*) or (decrease\w*)",
)
OR = re.compile(r"\s*,?\s+or\s+", re.IGNORECASE)
COMPARES = any_of(
    r"which",
    r"who",
    r"whether",
    r"what",
    r"is",
    r"are",
    r"was",
    r"were",
    r"does",
    r"do",
    r"did",
    r"between",
    r"among",
    r"on the",
    r"in the",
)
NAME = any_of(r"who", r"whom", r"whose", r"name of", r"which (?:company|person|model|country|city)")
EMAIL = any_of(r"e-?mail")
URL = any_of(r"website", r"url", r"web ?(?:address|site)", r"link")
PHONE = re.compile(r"\b(?:phone|telephone|fax|mobile) ?(?:no\b|number|#)", re.IGNORECASE)
YEAR = any_of(r"(?:what|which) years?")
DATE = any_of(r"dates?")
WHEN = re.compile(r"^when\b|\bwhen (?:was|were|did|is|does)\b", re.IGNORECASE)
ASKS = any_of(r"what", r"which", r"when", r"write", r"format")

_MORE = r"(?:more|less|fewer|higher|lower|larger|smaller|greater)"
_CHANGED = r"(?:increase|decrease|change|grow|drop|fall|rise)d?"
DIFFERENCE = any_of(
    r"difference",
    r"gap",
    rf"how (?:many|much) {_MORE}",
    r"by how (?:much|many)",
    r"change (?:of|in|from)",
    r"(?:percentage|absolute|percent|net) (?:change|increase|decrease|drop|shortfall)",
    rf"how much did .* {_CHANGED}",
    r"how much did .* from (?:19|20)\d\d to (?:19|20)\d\d",
)
SUM = any_of(
    r"combined",
    r"in total",
    r"sum of",
    r"altogether",
    r"collectively",
    r"total (?:percentage|number|amount) (?:of|in).* and",
)
QUOTIENT = any_of(r"what multiple", r"how many times (?:larger|higher|more|as|greater)", r"ratio of .* to")
AVERAGE = any_of(r"average of", r"mean of", r"\d[- ]year average", r"on average")
MOST = any_of(
    r"most",
    r"highest",
    r"largest",
    r"greatest",
    r"biggest",
    r"best",
    r"maximum",
    r"top",
    r"longest",
    r"latest",
    r"oldest",
    r"majority",
)
LEAST = any_of(
    r"least", r"lowest", r"smallest", r"fewest", r"minimum", r"worst", r"shortest", r"earliest", r"youngest"
)

PAGES = re.compile(
    r"\b(?:page|slide|pages|slides|p\.)\s*(?:no\.?|number)?\s*\(?(\d{1,5})\)?"
    r"(?:\s*(?:-|–|to|and|,)\s*(\d{1,5}))?",
    re.IGNORECASE,
)
_TO_TWENTY = """
    one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
    eighteen nineteen twenty
"""
SPELLED = {word: number for number, word in enumerate(_TO_TWENTY.split(), 1)}
_SPELLED_NUMBER = rf"({'|'.join(SPELLED)})"
_ALONE = r"\b(?![- ](?:one|two|three|four|five|six|seven|eight|nine)\b)"  # not "twenty-one"
SPELLED_PAGES = re.compile(
    rf"\b(?:page|slide)s?\s+{_SPELLED_NUMBER}{_ALONE}(?:\s+and\s+{_SPELLED_NUMBER}{_ALONE})?",
    re.IGNORECASE,
)
POSITIONS = {
    "cover": 1,
    "first": 1,
    "second": 2,
    "third": 3,
    "fourth": 4,
    "fifth": 5,
    "last": -1,
    "final": -1,
}
_NOT_TENS = r"(?<!(?:wen|hir|for|fif|six|ven|igh|ine)ty[- ])"  # not "the twenty-first page"
POSITION = re.compile(
    rf"{_NOT_TENS}\b({'|'.join(POSITIONS)})\s+(?:cover\s+)?(?:page|slide)\b|\bon the (cover)\b",
    re.IGNORECASE,
)
QUOTED = re.compile(r"[\"“`‘]([^\"”`’]{2,}?)[\"”`’]|(?<!\w)'([^']{2,}?)'(?!\w)")
FISCAL_YEAR = re.compile(r"\b(?:FY|CY|F)\s?'?((?:19|20)?\d\d)\b")

DATE_PATTERN = re.compile(r"\bYYYY(?:[-/.]MM(?:[-/.]DD)?)?\b|\b(?:DD|MM)[-/.](?:MM|DD)[-/.]YYYY\b")
DECIMALS = re.compile(
    r"\b(one|two|three|four|five|\d)[- ]?(?:digit )?decimal|\bto (\d) d\.?p\.?", re.IGNORECASE
)
SCALE = re.compile(
    r"\bin (?:units? of )?(?:usd |us\$ ?|dollars? )?(thousand|million|billion|lakh|lac|crore)s?\b",
    re.IGNORECASE,
)
SCALE_VALUES = {"thousand": 1e3, "million": 1e6, "billion": 1e9, "lakh": 1e5, "lac": 1e5, "crore": 1e7}
PERCENT_TERMS = any_of(r"in (?:units of )?percent\w*", r"percentage term\w*")
_FORMS = (
    r"(?:integer|int|float|string|list|format\w*|decimals?|percents?|percentages?|percentage terms?|million"
    r"|billion|yes|no|rounded|order|places?|value|date\w*|in usd)"
)
FORM_CLAUSE = re.compile(
    r"(?:^|(?<=[.?!,;\s]))\s*(?:please\s+)?(?:directly\s+)?"
    r"(?:answer|write|return|give|format|save|round|report|provide|enumerate them)\b[^.?!]*"
    rf"\b{_FORMS}\b[^?]*$"
    r"|\b(?:e\.g\.|for example|such as|like)\s*[,:]?\s*[\[(\"'].*$|\((?:for example|e\.g\.)[^)]*\)",
    re.IGNORECASE,
)
"""A clause at the end that only says how to write the answer, or gives an example of it."""
