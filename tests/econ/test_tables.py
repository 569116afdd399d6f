"""One table, five forms, the same numbers."""

import html.parser
import io
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

import econ
from econ.errors import UsageError
from econ.tables import FORMATS, fixed, significant


@pytest.fixture
def estimates(panel):
    hostile = panel.rename(columns={"backward": "back_ward & 100%"})
    return [
        econ.fit(panel, "gini ~ forward + backward", cov="cluster", cluster="province"),
        econ.fit(
            hostile, "gini ~ forward + forward:`back_ward & 100%` + C(region):forward", effects="entity", cov="hc1"
        ),
        econ.fit(panel, "gini ~ forward", estimator="pooled"),
    ]


def test_table_says_what_the_estimates_say(estimates):
    table = econ.regression_table(estimates)
    for number, est in zip(table.columns, estimates, strict=True):
        for term in est.params.index:
            coef, se = table.loc[(term, "coef"), number], table.loc[(term, "se"), number]
            assert_allclose(float(coef.rstrip("*")), est.params[term], rtol=5.1e-4)  # four significant digits
            assert_allclose(float(se), est.std_errors[term], rtol=5.1e-4)
            p = est.pvalues[term]
            assert coef.count("*") == sum(bool(p < level) for level in (0.1, 0.05, 0.01))
        assert table.loc[("N", "stat"), number] == str(est.nobs)
        assert table.loc[("Log likelihood", "stat"), number] == f"{est.loglik:.3f}"
    assert table.index[-8][0] == "Intercept"
    assert table.attrs["notes"][0] == "standard errors in brackets; * p < 0.1, ** p < 0.05, *** p < 0.01"
    assert any(note.startswith("(1): 12 clusters in province") for note in table.attrs["notes"])


def test_t_values_and_other_stars(estimates):
    table = econ.regression_table(estimates[:1], stats=("nobs",), stars=[(0.05, "†")], below="t", digits=2)
    assert table.attrs["notes"][0] == "t values in brackets; † p < 0.05"
    assert table.loc[("forward", "t"), "(1)"] == significant(estimates[0].tvalues["forward"], 2)
    assert table.index[-1] == ("N", "stat")
    assert econ.regression_table(estimates, stars=()).attrs["notes"][0] == "standard errors in brackets"


def test_a_note_that_columns_share_stands_once(panel):
    holes = panel.assign(forward=panel["forward"].where(panel.index > 2))
    table = econ.regression_table([econ.fit(holes, "gini ~ forward", effects=e) for e in ("entity", "twoway")])
    assert table.attrs["notes"][1:] == ["(1), (2): 3 of 96 rows left out, values missing: forward (3)"]


class Cells(html.parser.HTMLParser):
    """Rows of text of an HTML table."""

    def __init__(self):
        super().__init__()
        self.rows, self.open = [], 0

    def handle_starttag(self, tag, attrs):
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data):
        if self.rows and self.rows[-1] and data.strip():
            self.rows[-1][-1] += data


def read_html(text):
    parser = Cells()
    parser.feed(text)
    return [row[1:] for row in parser.rows if len(row) > 1]


def read_latex(text):
    plain = re.sub(r"\$\^\{(\**)\}\$", r"\1", text.replace("$-$", "-"))
    plain = plain.replace(r"\&", "&").replace(r"\_", "_").replace(r"\%", "%")
    rows = [line.removesuffix(r" \\") for line in plain.split("\n") if line.endswith(r" \\")]
    return [row.split(" & ")[-3:] for row in rows]


def read_markdown(text):
    rows = [line for line in text.split("\n") if line.startswith("| ") and ":--" not in line]
    return [[cell.strip().replace("\\", "") for cell in re.split(r"(?<!\\)\|", row)[2:-1]] for row in rows]


def read_text(text):
    """Cells by the right edges of the header's numbers."""
    lines = [line for line in text.split("\n") if line and not line.startswith("---")]
    ends = [found.end() for found in re.finditer(r"\(\d\)", lines[0])]
    starts = [lines[0].index("(1)") - 30, *ends[:-1]]
    return [[line[a:b].strip() for a, b in zip(starts, ends, strict=True)] for line in lines]


def test_numbers_are_the_same_in_every_form(estimates):
    table = econ.regression_table(estimates)
    number = re.compile(r"[(]?-?[0-9][0-9.e-]*\**[)]?")
    expected = [
        [f"({cell})" if kind == "se" and cell else cell for cell in cells]
        for (_, kind), cells in zip(table.index, table.to_numpy(), strict=True)
        if kind in ("coef", "se") or any(number.fullmatch(cell) for cell in cells)
    ]
    for name, read in (("html", read_html), ("latex", read_latex), ("markdown", read_markdown), ("text", read_text)):
        rows = read(FORMATS[name](table))
        found = [row for row in rows if any(number.fullmatch(cell) for cell in row) and row != ["(1)", "(2)", "(3)"]]
        assert [[cell if number.fullmatch(cell) else "" for cell in row] for row in found][
            : len(expected)
        ] == expected, name

    again = pd.read_csv(io.StringIO(econ.to_csv(table)), dtype=str, keep_default_na=False, index_col=[0, 1])
    pd.testing.assert_frame_equal(again, table, check_dtype=False, check_index_type=False)


def test_latex_escapes_everything(estimates):
    text = econ.to_latex(econ.regression_table(estimates))
    assert r"forward:back\_ward \& 100\%" in text
    assert "{[}T.west{]}" in text
    body = [line for line in text.split("\n") if line.endswith(r" \\")]
    for line in body:
        assert len(re.findall(r"(?<!\\)&", line)) == 3  # three columns, and no separator out of a name
        assert not re.search(r"(?<!\\)[%#_]", line)
    assert text.count(r"\begin{tabular}{lccc}") == text.count(r"\end{tabular}") == 1
    assert [text.count(rule) for rule in (r"\toprule", r"\midrule", r"\bottomrule")] == [1, 2, 1]


def test_html_is_inert(panel):
    hostile = panel.rename(columns={"forward": "<script>alert(1)</script>"})
    text = econ.to_html(econ.regression_table([econ.fit(hostile, "gini ~ `<script>alert(1)</script>`")]))
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert not re.search(r"src=|href=|style=", text)
    assert 'class="regression"' in text


def test_chinese_names_keep_the_columns_straight(panel):
    renamed = panel.rename(columns={"forward": "前向关联"})
    lines = econ.to_text(econ.regression_table([econ.fit(renamed, "gini ~ 前向关联")])).split("\n")
    row = next(line for line in lines if line.startswith("前向关联"))
    assert len(row) + 4 == len(lines[0])  # each of the four characters is two columns wide


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (0.03910, 4, "0.03910"),
        (12345.678, 4, "12350"),
        (0, 3, "0.00"),
        (-7.18449465777588e-05, 4, "-0.00007184"),
        (3e-9, 3, "3.00e-09"),
        (2.5e12, 2, "2.5e+12"),
        (float("nan"), 4, ""),
    ],
)
def test_significant_digits(value, digits, text):
    assert significant(value, digits) == text


@settings(deadline=None)
@given(st.floats(1e-12, 1e15), st.integers(1, 10))
def test_significant_digits_are_kept(value, digits):
    assert_allclose(
        float(significant(value, digits)), value, rtol=0.51 * 10.0 ** (1 - digits)
    )  # half of the last digit
    assert significant(-value, digits) == "-" + significant(value, digits)


def test_fixed_decimals():
    assert [fixed(value, 2) for value in (1, 0.005, np.nan, None)] == ["1.00", "0.01", "", ""]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"stats": ("aicc",)}, "no statistic 'aicc': choose among effects"),
        ({"below": "p"}, "below is 'p': choose among se, t"),
        ({"digits": 0}, "digits is 0"),
    ],
)
def test_bad_options(panel, options, says):
    with pytest.raises(UsageError, match=says):
        econ.regression_table([econ.fit(panel, "gini ~ forward")], **options)


def test_no_list_of_estimates(panel):
    for wrong in ([], econ.fit(panel, "gini ~ forward")):
        with pytest.raises(UsageError, match="takes a list of estimates"):
            econ.regression_table(wrong)


def test_what_is_not_valid_is_red():
    """Fault 65: a column that is not to be used says so, in red where there are colours."""
    rng = np.random.default_rng(0)
    n = 400
    z, v, e = rng.normal(size=(3, n))
    data = pd.DataFrame({"x": 0.05 * z + v, "y": v + e, "z": z, "w": z + v})
    weak = econ.fit(data, "y ~ [x ~ z]", "iv", entity=None, time=None)
    strong = econ.fit(data, "y ~ [w ~ z]", "iv", entity=None, time=None)
    assert not weak.valid
    assert strong.valid
    assert any(note.startswith("not valid: the F of the instruments is") for note in weak.notes)
    table = econ.regression_table([weak, strong])
    assert list(table.loc[("Valid", "head")]) == ["NOT VALID", "yes"]
    assert '<th scope="col" class="not-valid" style="color:#b00020">NOT VALID</th>' in econ.to_html(table)
    assert r"\textbf{NOT VALID}" in econ.to_latex(table)
    assert "NOT VALID" in econ.to_text(table)
    assert ("Valid", "head") not in econ.regression_table([strong]).index
