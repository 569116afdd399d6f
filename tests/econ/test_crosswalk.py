"""Units that stay the same over time."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import econ
from econ.errors import BadInputError, MissingColumnError, UsageError


def walk(*rows, share=False):
    columns = ["unit", "year_from", "year_to", "stable", *(["share"] if share else [])]
    return pd.DataFrame(rows, columns=columns)


# Chaohu was dissolved in 2011 and divided among Hefei, Wuhu and Ma'anshan; Xiangfan was renamed Xiangyang in 2010.
CHAOHU = walk(
    ("合肥市", None, None, "合肥-芜湖-马鞍山-巢湖"),
    ("芜湖市", None, None, "合肥-芜湖-马鞍山-巢湖"),
    ("马鞍山市", None, None, "合肥-芜湖-马鞍山-巢湖"),
    ("巢湖市", None, 2010, "合肥-芜湖-马鞍山-巢湖"),
    ("襄樊市", None, 2009, "襄阳市"),
    ("襄阳市", 2010, None, "襄阳市"),
)


def cities(*rows):
    return pd.DataFrame(rows, columns=["zone", "year", "sum", "cells"]).assign(
        mean=lambda t: t["sum"] / t["cells"],
        province=lambda t: np.where(t["zone"].str.startswith("襄"), "湖北", "安徽"),
    )


BEFORE_AND_AFTER = cities(
    ("合肥市", 2009, 300.0, 10),
    ("芜湖市", 2009, 100.0, 5),
    ("马鞍山市", 2009, 50.0, 5),
    ("巢湖市", 2009, 30.0, 20),
    ("襄樊市", 2009, 80.0, 8),
    ("合肥市", 2011, 400.0, 20),
    ("芜湖市", 2011, 200.0, 12),
    ("马鞍山市", 2011, 120.0, 8),
    ("襄阳市", 2011, 90.0, 8),
)


def test_a_dissolved_and_a_renamed_city():
    out = econ.apply_crosswalk(
        BEFORE_AND_AFTER, CHAOHU, sums=["sum"], means={"mean": "cells"}, keep=["province"]
    ).set_index(["stable", "year"])
    assert out.loc[("合肥-芜湖-马鞍山-巢湖", 2009)].tolist() == ["安徽", 480.0, 40.0, 12.0, 4]
    assert out.loc[("合肥-芜湖-马鞍山-巢湖", 2011)].tolist() == ["安徽", 720.0, 40.0, 18.0, 3]
    assert out.loc[("襄阳市", 2009)].tolist() == ["湖北", 80.0, 8.0, 10.0, 1]
    assert out.loc[("襄阳市", 2011)].tolist() == ["湖北", 90.0, 8.0, 11.25, 1]
    assert list(out.columns) == ["province", "sum", "cells", "mean", "n_units"]


def test_a_split_by_shares_keeps_the_total():
    table = cities(("巢湖市", 2009, 30.0, 20), ("合肥市", 2009, 300.0, 10), ("芜湖市", 2009, 100.0, 5))
    crosswalk = walk(
        ("巢湖市", None, None, "合肥市", 0.75),
        ("巢湖市", None, None, "芜湖市", 0.25),
        ("合肥市", None, None, "合肥市", 1),
        ("芜湖市", None, None, "芜湖市", 1),
        share=True,
    )
    out = econ.apply_crosswalk(table, crosswalk, ["sum"], {"mean": "cells"}).set_index("stable")
    assert out["sum"].to_dict() == {"合肥市": 322.5, "芜湖市": 107.5}
    assert out["mean"].to_dict() == {"合肥市": 322.5 / 25, "芜湖市": 107.5 / 10}


def test_a_unit_that_is_known_in_part_only_is_missing():
    """A unit without an observed cell has no mean and weight 0, and takes no part in the mean."""
    table = BEFORE_AND_AFTER.copy()
    table.loc[0, "sum"] = np.nan
    table.loc[1, ["mean", "cells"]] = [np.nan, 0]
    out = econ.apply_crosswalk(table, CHAOHU, ["sum"], {"mean": "cells"}).set_index(["stable", "year"])
    assert np.isnan(out.loc[("合肥-芜湖-马鞍山-巢湖", 2009), "sum"])
    # cells 10, 5, 20 with means 30, 10, 1.5
    assert out.loc[("合肥-芜湖-马鞍山-巢湖", 2009), "mean"] == (300 + 50 + 30) / 35
    table.loc[2, "mean"] = np.nan
    out = econ.apply_crosswalk(table, CHAOHU, [], {"mean": "cells"})
    assert np.isnan(out["mean"][0])


def test_nothing_but_weight_zero_is_missing():
    table = BEFORE_AND_AFTER.assign(cells=0)
    assert econ.apply_crosswalk(table, CHAOHU, [], {"mean": "cells"})["mean"].isna().all()


@st.composite
def worlds(draw):
    """Cities with light in three years, and a crosswalk that splits each over some of three stable units."""
    n = draw(st.integers(1, 6))
    rows, split = [], []
    for unit in range(n):
        places = draw(st.lists(st.sampled_from("ABC"), min_size=1, max_size=3, unique=True))
        weights = [draw(st.integers(1, 9)) for _ in places]
        split += [(str(unit), None, None, p, w / sum(weights)) for p, w in zip(places, weights, strict=True)]
        for year in (2000, 2001, 2002):
            rows.append((str(unit), year, draw(st.floats(0, 1e6)), draw(st.integers(1, 1000))))
    table = cities(*rows)
    return table.sample(frac=1, random_state=draw(st.integers(0, 99))), walk(*split, share=True)


@given(worlds())
@settings(deadline=None, max_examples=40)
def test_totals_are_preserved(world):
    table, crosswalk = world
    out = econ.apply_crosswalk(table, crosswalk, ["sum"], {"mean": "cells"})
    for year, before in table.groupby("year"):
        after = out[out["year"] == year]
        # one rounding a part
        assert math.fsum(after["sum"]) == pytest.approx(math.fsum(before["sum"]), rel=1e-14, abs=1e-300)
        assert math.fsum(after["cells"]) == pytest.approx(math.fsum(before["cells"]), rel=1e-14)
        light = math.fsum(before["mean"] * before["cells"])
        # a mean and its weight are rounded apart from the product that they stand for
        assert math.fsum(after["mean"] * after["cells"]) == pytest.approx(light, rel=1e-13, abs=1e-300)


@given(worlds(), st.integers(0, 99))
@settings(deadline=None, max_examples=20)
def test_the_order_of_rows_does_not_matter(world, seed):
    table, crosswalk = world
    shuffled = table.sample(frac=1, random_state=seed), crosswalk.sample(frac=1, random_state=seed)
    sums = [econ.apply_crosswalk(*pair, ["sum"], {"mean": "cells"})[["sum", "cells"]] for pair in (world, shuffled)]
    # shares are divided by their sum, which the order of the crosswalk may round in another way
    pd.testing.assert_frame_equal(*sums, rtol=1e-15)


def test_units_of_one_year_are_added_exactly():
    table = cities(("1", 2000, 1e16, 1), ("2", 2000, 1.0, 1), ("3", 2000, -1e16, 1))
    crosswalk = walk(*((unit, None, None, "all") for unit in "123"))
    assert econ.apply_crosswalk(table, crosswalk, ["sum"])["sum"].tolist() == [1.0]


@pytest.mark.parametrize(
    ("table", "crosswalk", "error", "says"),
    [
        (BEFORE_AND_AFTER, CHAOHU.iloc[:-1], BadInputError, "does not name 1 units of the table: 襄阳市"),
        (
            BEFORE_AND_AFTER,
            CHAOHU.assign(year_from=CHAOHU["year_from"].fillna(2010)).assign(year_to=None),
            BadInputError,
            "has gaps where the table has rows: 合肥市 in 2009, 芜湖市 in 2009, 马鞍山市 in 2009 and 2 more",
        ),
        (
            BEFORE_AND_AFTER,
            pd.concat([CHAOHU, walk(("巢湖市", 2010, 2012, "合肥市"))]),
            BadInputError,
            r"two places at once: 巢湖市 in 2010 \(合肥-芜湖-马鞍山-巢湖, 合肥市\)",
        ),
        (
            BEFORE_AND_AFTER,
            CHAOHU.assign(year_to=None),
            BadInputError,
            "lacks units that the crosswalk counts in: 巢湖市 in 2011 .*襄樊市 in 2011",
        ),
        (BEFORE_AND_AFTER.iloc[1:], CHAOHU, BadInputError, "lacks units .*: 合肥市 in 2009"),
        (BEFORE_AND_AFTER, CHAOHU.assign(share=0.5), BadInputError, r"do not sum to 1: .*合肥市 \(0.5\)"),
        (BEFORE_AND_AFTER, CHAOHU.assign(share=[1, 1, 1, 1, 1, 0]), BadInputError, r"outside \(0, 1\] in 襄阳市"),
        (BEFORE_AND_AFTER, CHAOHU.assign(year_from=2012), BadInputError, "end before they begin: 巢湖市, 襄樊市"),
        (BEFORE_AND_AFTER, CHAOHU.iloc[:0], BadInputError, "the crosswalk has no rows"),
        (BEFORE_AND_AFTER, CHAOHU.drop(columns="stable"), MissingColumnError, "no column 'stable' in the crosswalk"),
        (BEFORE_AND_AFTER, CHAOHU.assign(stable=None), BadInputError, "'stable' is empty in 6 of 6"),
        (BEFORE_AND_AFTER, CHAOHU.assign(year_to="later"), BadInputError, "'year_to' holds text"),
        (pd.concat([BEFORE_AND_AFTER] * 2), CHAOHU, BadInputError, "occurs more than once in the city table"),
        (BEFORE_AND_AFTER.assign(year=lambda t: t["year"] + 0.5), CHAOHU, BadInputError, "no whole year in 9 of 9"),
        (BEFORE_AND_AFTER.assign(sum="much"), CHAOHU, BadInputError, "'sum' holds text in 9 of 9"),
        (BEFORE_AND_AFTER.assign(cells=-1), CHAOHU, BadInputError, "'cells' holds negative weights"),
        (BEFORE_AND_AFTER.assign(province=range(9)), CHAOHU, BadInputError, "'province' differs within 2 stable"),
    ],
)
def test_bad_crosswalks(table, crosswalk, error, says):
    with pytest.raises(error, match=says) as caught:
        econ.apply_crosswalk(table, crosswalk, ["sum"], {"mean": "cells"}, keep=["province"])
    assert "\n" not in str(caught.value)


def test_a_unit_is_never_found_by_likeness():
    with pytest.raises(BadInputError, match="does not name 1 units"):
        econ.apply_crosswalk(cities(("襄阳", 2011, 1.0, 1)), CHAOHU, ["sum"])


def test_nothing_to_aggregate():
    with pytest.raises(UsageError, match="nothing to aggregate"):
        econ.apply_crosswalk(BEFORE_AND_AFTER, CHAOHU)


def test_stable_units_that_the_table_does_not_have_are_no_matter():
    """A crosswalk of the nation serves the table of one province."""
    out = econ.apply_crosswalk(BEFORE_AND_AFTER[lambda t: t["province"] == "湖北"], CHAOHU, ["sum"])
    assert out["sum"].tolist() == [80.0, 90.0]


def test_an_empty_share_is_that_of_a_unit_that_was_not_split():
    rows = {"unit": ["A", "B", "B"], "year_from": 1990, "year_to": 2005, "stable": ["AB", "AB", "C"]}
    city = pd.DataFrame({"zone": ["A", "B"], "year": 2000, "sum": [10.0, 20.0]})
    found = econ.apply_crosswalk(city, pd.DataFrame({**rows, "share": [None, 0.25, 0.75]}), sums=["sum"])
    assert dict(zip(found.iloc[:, 0], found["sum"], strict=True)) == {"AB": 15.0, "C": 15.0}
