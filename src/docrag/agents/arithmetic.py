"""Arithmetic on what a model writes: a small grammar of its own, decimal numbers, and limits on all of it.

Nothing is handed to Python's evaluation: the text is cut into tokens and a recursive descent over them
computes the value. ::

    sum     = product (("+" | "-") product)*
    product = signed (("*" | "/" | "%") signed)*        "%" before an operand is the remainder
    signed  = ("+" | "-")* power
    power   = percent ("^" signed)?                     "**" is "^"; 2^3^2 is 2^9, -2^2 is -4
    percent = primary "%"*                              "%" elsewhere divides by 100: 100 + 10% is 100.1
    primary = number | "(" sum ")" | name "(" sum (("," | ";") sum)* ")"
"""

from __future__ import annotations

import decimal
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Literal, NamedTuple

MAX_EXPRESSION_CHARS = 1_000
MAX_TOKENS = 400
MAX_DEPTH = 40
MAX_EXPONENT = 200
"""Largest exponent of "^", in size."""
MAX_ROUND_PLACES = 20
_PRECISION = 34
_MAX_MAGNITUDE = 300
"""Results beyond ten to this power are refused."""
_SHOWN_DIGITS = 15

_CONTEXT = decimal.Context(
    prec=_PRECISION,
    rounding=decimal.ROUND_HALF_EVEN,
    Emin=-_MAX_MAGNITUDE,
    Emax=_MAX_MAGNITUDE,
    traps=[decimal.DivisionByZero, decimal.InvalidOperation, decimal.Overflow],
)
_TOKEN = re.compile(
    r"""\s*(?:
    (?P<number>[$€£¥₹]?\s?(?:\d{1,3}(?:,\d{3})+(?!\d|,\d)(?:\.\d+)?|\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3}(?!\w))?)
    |(?P<name>[A-Za-z]+)
    |(?P<sign>\*\*|[-+*/%^(),;])
    )""",
    re.VERBOSE,
)
_SAME = str.maketrans(
    {"×": "*", "·": "*", "÷": "/", "∕": "/", "−": "-", "–": "-", "\u00a0": " ", "\u202f": " "}
)


class ExpressionError(ValueError):
    """An expression that cannot be computed; the message says why, so that a model can write a better one."""


class _Token(NamedTuple):
    kind: Literal["number", "name", "sign", "end"]
    text: str


def evaluate(expression: str) -> Decimal:
    """Return the value of an arithmetic expression, to 34 significant digits.

    Operators are ``+ - * / % ^`` and parentheses, functions ``min max sum avg round abs sqrt``. Numbers may
    have thousands separators (not inside the arguments of a function, where a comma separates) and a currency
    sign, which is ignored.

    Raises
    ------
    ExpressionError
        The expression is no arithmetic, divides by zero, or passes a limit of size.

    Examples
    --------
    >>> evaluate("(1,250 - 1,000) / 1,000 * 100")
    Decimal('25.00')
    >>> evaluate("round(avg(10; 20; 25); 1) + 50%")
    Decimal('18.8')
    """
    return _Parser(_tokens(expression)).value()


def shown(value: Decimal) -> str:
    """Return a value as people write it: no exponent, at most 15 significant digits, no zeros at the end.

    >>> shown(Decimal("25.00")), shown(Decimal(10) / Decimal(3))
    ('25', '3.33333333333333')
    """
    rounded = decimal.Context(prec=_SHOWN_DIGITS).plus(value)
    text = f"{rounded:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in ("", "-0") else text


def _tokens(expression: str) -> list[_Token]:
    if len(expression) > MAX_EXPRESSION_CHARS:
        raise ExpressionError(
            f"the expression has {len(expression)} characters, at most {MAX_EXPRESSION_CHARS} are computed"
        )
    text = expression.translate(_SAME).strip()
    tokens: list[_Token] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise ExpressionError(
                f"{text[at : at + 12]!r} is no arithmetic; use numbers, + - * / % ^, parentheses and"
                f" {', '.join(_FUNCTIONS)}"
            )
        at = match.end()
        if match["number"]:
            tokens.append(_Token("number", match["number"].lstrip("$€£¥₹ ")))
        elif match["name"]:
            tokens.append(_Token("name", match["name"].lower()))
        else:
            tokens.append(_Token("sign", match["sign"].replace("**", "^")))
        if len(tokens) > MAX_TOKENS:
            raise ExpressionError(f"the expression has more than {MAX_TOKENS} numbers and signs")
    return [*tokens, _Token("end", "the end")]


class _Parser:
    """Recursive descent over the tokens; computes while it reads."""

    def __init__(self, tokens: Sequence[_Token]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0
        self._in_call = False

    def value(self) -> Decimal:
        try:
            value = self._sum()
        except decimal.DivisionByZero:
            raise ExpressionError("the expression divides by zero") from None
        except decimal.Overflow:
            raise ExpressionError(f"a result is beyond ten to the power of {_MAX_MAGNITUDE}") from None
        except decimal.InvalidOperation:
            raise ExpressionError(
                "an operation has no result, such as 0 / 0 or a root of a negative number"
            ) from None
        if self._next.kind != "end":
            raise ExpressionError(f"{self._next.text!r} stands where an operator or the end was expected")
        return value

    @property
    def _next(self) -> _Token:
        return self._tokens[self._at]

    def _take(self, *signs: str) -> str:
        """Step over one of these signs and return it, or return an empty string."""
        token = self._next
        if token.kind == "sign" and token.text in signs:
            self._at += 1
            return token.text
        return ""

    def _sum(self) -> Decimal:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ExpressionError(f"the expression is nested deeper than {MAX_DEPTH} levels")
        value = self._product()
        while sign := self._take("+", "-"):
            other = self._product()
            value = _CONTEXT.add(value, other) if sign == "+" else _CONTEXT.subtract(value, other)
        self._depth -= 1
        return value

    def _product(self) -> Decimal:
        value = self._signed()
        while sign := self._take("*", "/", "%"):
            other = self._signed()
            if sign == "*":
                value = _CONTEXT.multiply(value, other)
            elif sign == "/":
                value = _CONTEXT.divide(value, other)
            else:
                value = _CONTEXT.remainder(value, other)
        return value

    def _signed(self) -> Decimal:
        negative = False
        while sign := self._take("+", "-"):
            negative ^= sign == "-"
        value = self._power()
        return _CONTEXT.minus(value) if negative else value

    def _power(self) -> Decimal:
        base = self._percent()
        if not self._take("^"):
            return base
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ExpressionError(f"the expression is nested deeper than {MAX_DEPTH} levels")
        exponent = self._signed()
        self._depth -= 1
        if abs(exponent) > MAX_EXPONENT:
            raise ExpressionError(f"the exponent {shown(exponent)} is beyond {MAX_EXPONENT}")
        return _CONTEXT.power(base, exponent)

    def _percent(self) -> Decimal:
        value = self._primary()
        while self._next.text == "%" and not self._starts_operand(self._tokens[self._at + 1]):
            self._at += 1
            value = _CONTEXT.divide(value, Decimal(100))
        return value

    def _starts_operand(self, token: _Token) -> bool:
        return token.kind in ("number", "name") or token.text == "("

    def _primary(self) -> Decimal:
        token = self._next
        self._at += 1
        if token.kind == "number":
            if "," in token.text and self._in_call:
                raise ExpressionError(
                    f"{token.text} can be one number or several: put a space after a comma between"
                    " arguments, and write their numbers without thousands separators"
                )
            return _CONTEXT.create_decimal(token.text.replace(",", ""))
        if token.text == "(":
            return self._inside(in_call=False)[0]
        if token.kind == "name":
            return self._call(token.text)
        raise ExpressionError(f"{token.text!r} stands where a number was expected")

    def _inside(self, *, in_call: bool) -> list[Decimal]:
        """Values up to the closing parenthesis; one only, unless it is a call."""
        was_in_call, self._in_call = self._in_call, in_call
        values = [self._sum()]
        while in_call and self._take(",", ";"):
            values.append(self._sum())
        if not self._take(")"):
            raise ExpressionError(f"{self._next.text!r} stands where ) was expected")
        self._in_call = was_in_call
        return values

    def _call(self, name: str) -> Decimal:
        function = _FUNCTIONS.get(name)
        if function is None:
            raise ExpressionError(f"there is no function {name!r}; functions: {', '.join(_FUNCTIONS)}")
        if not self._take("("):
            raise ExpressionError(f"{name} needs its arguments in parentheses")
        return function(self._inside(in_call=True))


def _round(values: Sequence[Decimal]) -> Decimal:
    """Round half away from zero, as people do; the second argument is the number of decimal places."""
    if len(values) > 2:
        raise ExpressionError(f"round got {len(values)} arguments, expected a number and the decimal places")
    places = values[1] if len(values) == 2 else Decimal(0)
    if places != places.to_integral_value() or abs(places) > MAX_ROUND_PLACES:
        raise ExpressionError(
            f"round got {shown(places)} decimal places, expected a whole number up to {MAX_ROUND_PLACES}"
        )
    exact = _CONTEXT.copy()
    exact.rounding = decimal.ROUND_HALF_UP
    return exact.quantize(values[0], Decimal(1).scaleb(-int(places)))


def _total(values: Sequence[Decimal]) -> Decimal:
    total = Decimal(0)
    for value in values:
        total = _CONTEXT.add(total, value)
    return total


def _single(name: str, function: Callable[[Decimal], Decimal]) -> Callable[[Sequence[Decimal]], Decimal]:
    def apply(values: Sequence[Decimal]) -> Decimal:
        if len(values) != 1:
            raise ExpressionError(f"{name} got {len(values)} arguments, expected 1")
        return function(values[0])

    return apply


def _average(values: Sequence[Decimal]) -> Decimal:
    return _CONTEXT.divide(_total(values), Decimal(len(values)))


_FUNCTIONS: Mapping[str, Callable[[Sequence[Decimal]], Decimal]] = {
    "min": min,
    "max": max,
    "sum": _total,
    "avg": _average,
    "round": _round,
    "abs": _single("abs", _CONTEXT.abs),
    "sqrt": _single("sqrt", _CONTEXT.sqrt),
}
