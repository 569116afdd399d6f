"""The text of a formula: its parts, its lags by time, and what it may call.

An equation is `dependent ~ exogenous + [endogenous ~ instruments]`, each side a formula of formulaic.  Lags, leads and
differences are written as in Stata, `L.x`, `L2.x`, `L(1/2).x`, `F.x`, `D.x`, of a column or of a function of one, and
are named L1.x, L2.x, F1.x, D1.x.  They are columns like any other to formulaic: `read` puts such a name in backquotes
and says in `Equation.shifts` how the column is made.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from econ.errors import UsageError

if TYPE_CHECKING:
    from formulaic.formula import SimpleFormula


def minmax(x: np.ndarray) -> np.ndarray:
    """(x - min) / (max - min) over the rows of the sample."""
    low, high = np.nanmin(x), np.nanmax(x)
    return (x - low) / (high - low)


FUNCTIONS = {
    "ln": np.log,
    "log": np.log,
    "log10": np.log10,
    "exp": np.exp,
    "sqrt": np.sqrt,
    "minmax": minmax,
}
# formulaic knows these itself
BUILT_IN = ("I", "C")

# Functions whose value in a row depends on the other rows: they have to wait until the sample is known.
OF_THE_SAMPLE = ("minmax", "C")

OPERATOR = re.compile(r"(?<![\w.`])([LFD])(?:(\d+)|\(([^()]*)\))?\.(?=[\w`(])")
LARGEST_ORDER = 100


@dataclass(frozen=True)
class Shift:
    """A column made from another by time.

    Parameters
    ----------
    name : str
        Such as "L2.x" or "D1.ln(x)".
    letter : str
        "L", "F" or "D".
    order : int
        Periods, or order of the difference; at least 1.
    of : str
        The column or expression it is made from, which may be the name of another `Shift`.
    """

    name: str
    letter: str
    order: int
    of: str


@dataclass(frozen=True)
class Equation:
    """A formula in its parts.

    Parameters
    ----------
    text : str
        As it was given.
    left, exogenous : SimpleFormula
        Sides of the equation, without the bracket.
    endogenous, instruments : SimpleFormula or None
        Sides of the bracket; None where there is no bracket.
    shifts : tuple of Shift
        Columns to make before the sides are evaluated, in this order.
    """

    text: str
    left: SimpleFormula
    exogenous: SimpleFormula
    endogenous: SimpleFormula | None
    instruments: SimpleFormula | None
    shifts: tuple[Shift, ...]

    @property
    def sides(self) -> tuple[SimpleFormula, ...]:
        """All sides that there are, the dependent variable's first."""
        return tuple(
            side for side in (self.left, self.exogenous, self.endogenous, self.instruments) if side is not None
        )


def read(formula: str, columns: Collection[str] = ()) -> Equation:
    """Parse a formula; a UsageError of one sentence for whatever is not one equation with a constant.

    columns : those of the panel; one that is itself called L1.x, say, is taken as it stands.
    """
    if not isinstance(formula, str) or "~" not in formula:
        raise UsageError(f"the formula is {formula!r}: expected 'dependent ~ regressor + regressor'.")
    shown = formula if len(formula) <= SHOWN else f"{formula[:SHOWN]}..."
    outside, endogenous, instruments = _split_bracket(formula, shown)
    shifts: dict[str, Shift] = {}
    parts = [
        None if part is None else _expand(part, shown, columns, shifts) for part in (outside, endogenous, instruments)
    ]
    for part in parts:
        if part is not None:
            _refuse_misread(part, shown)
    left, right = _sides(parts[0], shown)
    terms = [str(term) for term in right]
    if "1" not in terms:
        raise UsageError(f"the formula {shown!r} removes the constant: every model here has one; leave out 0 or -1.")
    if terms == ["1"] and endogenous is None:
        raise UsageError(f"the formula {shown!r} has no regressor: name at least one.")
    if parts[1] is None or parts[2] is None:
        equation = Equation(formula, left, right, None, None, tuple(shifts.values()))
    else:
        bracket = [_bracket_side(part, shown) for part in parts[1:]]
        equation = Equation(formula, left, right, bracket[0], bracket[1], tuple(shifts.values()))
    for side in equation.sides:
        _refuse_literals(side, shown)
    return equation


def read_one(expression: str, columns: Collection[str] = ()) -> Equation:
    """Parse one variable, or several joined by +, that stand outside the formula: they are its exogenous side."""
    if not isinstance(expression, str) or not expression.strip() or set(expression) & set("~[]"):
        raise UsageError(f"the variable {expression!r:.60} cannot be read: expected a column, or one of its functions.")
    name = "of_the_panel"
    return read(f"{name} ~ {expression}", columns)


SHOWN = 120  # characters of a formula in a message


def _split_bracket(formula: str, shown: str) -> tuple[str, str | None, str | None]:
    """(formula without the bracket, endogenous variables, instruments), the last two None without a bracket."""
    plain = _blank_quotes(formula)
    if "[" not in plain and "]" not in plain:
        return formula, None, None
    found = re.fullmatch(r"([^\[\]]*~[^\[\]]*)\[([^\[\]~]+)~([^\[\]~]+)\]([^\[\]~]*)", plain)
    if found is None:
        raise UsageError(
            f"the formula {shown!r} has brackets that cannot be read: expected one "
            f"'[endogenous + endogenous ~ instrument + instrument]' on the right side."
        )
    before, endogenous, instruments, after = (formula[slice(*found.span(part))] for part in (1, 2, 3, 4))
    side = re.sub(r"\+\s*$", "", before.rstrip()) + after
    if side.rstrip().endswith("~"):
        side += " 1"
    return side, endogenous, instruments


def _sides(outside: str, formula: str) -> tuple[SimpleFormula, SimpleFormula]:
    from formulaic.formula import SimpleFormula

    parsed = _parse(outside, formula)
    left, right = getattr(parsed, "lhs", None), getattr(parsed, "rhs", None)
    if not (isinstance(left, SimpleFormula) and isinstance(right, SimpleFormula) and len(left) == 1):
        raise UsageError(f"the formula {formula!r} is not one equation: expected 'dependent ~ regressor + regressor'.")
    return left, right


def _bracket_side(part: str, formula: str) -> SimpleFormula:
    """One side of the bracket; formulaic's constant in it lets categories leave out their base."""
    from formulaic.formula import SimpleFormula

    parsed = _parse(part, formula)
    if not isinstance(parsed, SimpleFormula) or [str(term) for term in parsed] in ([], ["1"]):
        raise UsageError(
            f"the formula {formula!r} has a bracket without variables: expected '[endogenous ~ instrument]'."
        )
    return parsed


def _parse(text: str, formula: str):
    from formulaic import Formula

    try:
        return Formula(text)
    except Exception as error:  # formulaic raises its own and Python's errors alike for what it cannot parse
        raise UsageError(f"the formula {formula!r} cannot be read ({first_line(error)}): check its signs.") from None


def first_line(error: Exception) -> str:
    """The first line of a message without the colours and marks that formulaic puts into it."""
    text = re.sub(r"\x1b\[[0-9;]*m|[⧛⧚]|\[1;31m|\[0m", "", str(error)).strip()
    return text.splitlines()[0].rstrip(".") if text else type(error).__name__


def _refuse_misread(part: str, formula: str) -> None:
    """Refuse what formulas read in another way than most people write it.

    `x**2`, `x^2` and `x/y` cross variables, `x:x` is x, `y - x` leaves the term x out.
    """
    if "`1`" in part:
        raise UsageError(
            f"the formula {formula!r} has a variable called '1', the name of the constant: rename the column."
        )
    quoted = list(dict.fromkeys(re.findall("`[^`]*`", part)))
    plain = re.sub("`[^`]*`", lambda found: f"quoted{quoted.index(found[0])}", part)  # they may hold any sign
    called: list[bool] = []  # for every open bracket, whether it belongs to a function
    signs = []  # the text without the signs that stand inside functions
    for place, sign in enumerate(plain):
        signs.append("_" if any(called) and sign in "+-~:*." else sign)
        if sign == "(":
            called.append(place > 0 and (plain[place - 1].isalnum() or plain[place - 1] == "_"))
        elif sign == ")" and called:
            called.pop()
        elif not any(called) and (sign in "^/" or plain.startswith("**", place)):
            operator = "**" if sign == "*" else sign
            raise UsageError(
                f"the formula {formula!r} has {operator!r} outside a function, where it would cross variables, not "
                f"compute: write I(x**2), I(x / y), or x:z for a product."
            )
    outside = "".join(signs)
    if re.search(r"(?<![\w.)])\.(?![\w.])", outside):
        raise UsageError(f"the formula {formula!r} has a '.' by itself: name the regressors one by one.")
    left, tilde, _ = outside.rpartition("~")
    if tilde and "-" in left:
        raise UsageError(
            f"the formula {formula!r} has '-' on its left side, where it would leave out a term, not subtract: write "
            f"I(y - x)."
        )
    for operand in re.split(r"[+~-]", outside):
        factors = [factor.strip() for factor in re.split(r"[:*]", operand)]
        twice = [factor for place, factor in enumerate(factors) if factor in factors[:place]]
        if twice and twice[0].count("(") == twice[0].count(")"):
            raise UsageError(
                f"the formula {formula!r} crosses a variable with itself, which is the variable again, not its square: "
                f"write I(x**2)."
            )
    _refuse_idle_minus(plain, outside, formula)


def _refuse_idle_minus(plain: str, outside: str, formula: str) -> None:
    """Refuse `x - z` where z is no term, so that leaving it out does nothing: a difference was meant."""
    for found in re.finditer(r"-\s*([^-+~()]+)", outside):
        term, rest = found[1].strip(), plain[: found.start()] + plain[found.end() :]
        if term not in ("0", "1") and _terms(plain, formula) == _terms(rest, formula):
            raise UsageError(
                f"the formula {formula!r} leaves out a term with '-' that is not there: write I(x - z) for a "
                f"difference."
            )


def _terms(text: str, formula: str) -> set[str]:
    parsed = _parse(text, formula)
    right = getattr(parsed, "rhs", parsed)
    return {str(term) for term in right}


def _refuse_literals(side: SimpleFormula, formula: str) -> None:
    """Refuse `5:x`, which would scale x and call it x, and a column that has the name of the constant."""
    for term in side:
        for factor in term.factors:
            method = factor.eval_method.value
            if method == "literal" and factor.expr != "1":
                raise UsageError(
                    f"the formula {formula!r} has the number {factor.expr} outside a function: write "
                    f"I({factor.expr} * x)."
                )
            if method == "lookup" and factor.expr in ("Intercept", "1"):
                raise UsageError(
                    f"the formula {formula!r} has a variable called {factor.expr!r}, the name of the constant: rename "
                    f"the column."
                )


# --- lags, leads and differences ----------------------------------------------------------------------------------


def _expand(part: str, formula: str, columns: Collection[str], shifts: dict[str, Shift]) -> str:
    """`part` with every time operator replaced by the quoted names of its columns, which are added to `shifts`."""
    done, rest = "", part
    while found := OPERATOR.search(_blank_quotes(rest)):
        start, end = found.span()
        operand, after = _operand(rest[end:], formula)
        written = rest[start : len(rest) - len(after)]
        if written in columns:
            text = f"`{written}`"
        else:
            terms = _shifted_terms(found, operand, formula, columns, shifts)
            if len(terms) > 1 and _inside_call(done + rest[:start]):
                raise UsageError(
                    f"the formula {formula!r} has several lags in one call of a function ({written}): write the "
                    f"function inside, such as L(1/2).ln(x)."
                )
            text = f"({' + '.join(terms)})" if len(terms) > 1 else terms[0]
        done += rest[:start] + text
        rest = after
    return done + rest


def _blank_quotes(text: str) -> str:
    """The text with what stands in backquotes blanked out, of the same length."""
    return re.sub("`[^`]*`", lambda found: "`" + " " * (len(found[0]) - 2) + "`", text)


def _inside_call(before: str) -> bool:
    """Whether the text ends inside the round brackets of a function."""
    called: list[bool] = []
    for place, sign in enumerate(before):
        if sign == "(":
            called.append(place > 0 and (before[place - 1].isalnum() or before[place - 1] == "_"))
        elif sign == ")" and called:
            called.pop()
    return any(called)


def _operand(text: str, formula: str) -> tuple[str, str]:
    """(what an operator stands before, the rest): another operator, `quoted`, name or name(...)."""
    found = OPERATOR.match(_blank_quotes(text))
    if found:
        inner, after = _operand(text[found.end() :], formula)
        return text[: found.end()] + inner, after
    found = re.match(r"`[^`]*`", text)
    if found:
        return found[0], text[found.end() :]
    found = re.match(r"\w+", text)
    if found is None:
        raise UsageError(
            f"the formula {formula!r} has a lag, lead or difference of a bracket: write it before every variable, "
            f"such as L.x + L.z."
        )
    end = found.end()
    if end < len(text) and text[end] == "(":
        depth = 0
        for place in range(end, len(text)):
            depth += {"(": 1, ")": -1}.get(text[place], 0)
            if depth == 0:
                return text[: place + 1], text[place + 1 :]
        raise UsageError(f"the formula {formula!r} cannot be read: a bracket is not closed; check its signs.")
    return found[0], text[end:]


def _shifted_terms(
    found: re.Match, operand: str, formula: str, columns: Collection[str], shifts: dict[str, Shift]
) -> list[str]:
    """Terms that one operator stands for; the columns to make are added to `shifts`."""
    letter, digits, listed = found.groups()
    orders = [int(digits or 1)] if listed is None else _orders(listed, formula)
    inner = OPERATOR.match(_blank_quotes(operand))
    if inner:
        made = _expand(operand, formula, columns, shifts)
        if "+" in re.sub("`[^`]*`", "", made):
            raise UsageError(
                f"the formula {formula!r} has a list inside {operand!r}: put the list first, as in L(1/2).D.x."
            )
        operand = made
    of = operand.strip("`") if operand.startswith("`") else operand
    terms = []
    for order in orders:
        if letter == "D" and order < 0:
            raise UsageError(f"the formula {formula!r} has a difference of order {order}: expected at least 1.")
        if abs(order) > LARGEST_ORDER:
            raise UsageError(f"the formula {formula!r} has order {order}: expected at most {LARGEST_ORDER} periods.")
        if order == 0:
            terms.append(operand)
            continue
        turned = letter if order > 0 else {"L": "F", "F": "L"}[letter]
        name = f"{turned}{abs(order)}.{of}"
        shifts.setdefault(name, Shift(name, turned, abs(order), of))
        terms.append(f"`{name}`")
    return terms


def _orders(listed: str, formula: str) -> list[int]:
    """Whole numbers of a list such as "1/2", "0/1", "1 3" or "1, 3"."""
    orders: list[int] = []
    for part in re.split(r"[\s,]+", listed.strip()):
        found = re.fullmatch(r"(-?\d+)(?:/(-?\d+))?", part)
        if found is None:
            raise UsageError(
                f"the formula {formula!r} has the lags {listed!r}: expected whole numbers, such as L(1/2).x."
            )
        first, last = int(found[1]), int(found[2] or found[1])
        orders += range(first, last + 1) if first <= last else range(first, last - 1, -1)
    return list(dict.fromkeys(orders))


# --- variables ----------------------------------------------------------------------------------------------------


def variables(side: SimpleFormula) -> Iterator[tuple[str, bool]]:
    """(column, is it a category) of every variable of one side of a formula."""
    for term in side:
        for factor in term.factors:
            method = factor.eval_method.value
            if method == "lookup":
                yield factor.expr, False
            elif method == "python":
                yield from variables_of(factor.expr)


def variables_of(expression: str) -> Iterator[tuple[str, bool]]:
    """As `variables`, of one expression of Python; calls of unknown functions are refused."""
    quoted = re.findall(r"`([^`]*)`", expression)
    plain = re.sub(r"`([^`]*)`", "0", expression)
    calls, names = set(), set()
    try:
        tree = ast.parse(plain.strip(), mode="eval")
    except SyntaxError:
        raise UsageError(f"the formula holds {expression!r}, which cannot be read: check its signs.") from None
    for node in ast.walk(tree):
        text = isinstance(node, ast.Constant) and not isinstance(node.value, bool | int | float)
        if text or isinstance(node, ast.JoinedStr):
            raise UsageError(f"the formula holds {ast.unparse(node)} in {expression!r}: expected numbers and columns.")
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            calls.add(name)
            if name in (*FUNCTIONS, *BUILT_IN) and (len(node.args) != 1 or node.keywords):
                raise UsageError(f"the formula holds {ast.unparse(node)}: expected {name} of one expression.")
        elif isinstance(node, ast.Name):
            names.add(node.id)
        elif isinstance(node, ast.Attribute | ast.Subscript | ast.Lambda):
            calls.add(ast.unparse(node))
    unknown = sorted(calls - set(FUNCTIONS) - set(BUILT_IN))
    if unknown:
        raise UsageError(
            f"the formula uses {unknown[0]} in {expression!r}: it knows {', '.join((*FUNCTIONS, *BUILT_IN))}, and "
            f"L.x, F.x, D.x by time; build anything else as a column of the panel first."
        )
    for name in (*quoted, *sorted(names - calls)):
        yield name, plain.startswith("C(")
