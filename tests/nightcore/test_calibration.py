"""Published calibrations: their tables, and what holds for every method."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from nightcore.calibration import FITTED, METHODS, Calibration, calibration
from nightcore.errors import BadInputError, IntegrityError, MissingCoefficientsError, UsageError
from nightcore.sensors import DMSP_OLS, SATURATED

PUBLISHED = [name for name in METHODS if name != "raw"]
ROWS = [(name, composite) for name, method in METHODS.items() for composite in method.coefficients]


@pytest.mark.parametrize(
    ("name", "composite", "dn", "printed"),
    [(name, *point) for name, method in METHODS.items() for point in method.checkpoints],
)
def test_checkpoints_worked_by_hand(name, composite, dn, printed):
    method = METHODS[name]
    # six decimals are written down for the power laws, all of them for the quadratics
    assert_allclose(method.formula(float(dn), *method.coefficients[composite]), printed, rtol=0, atol=5e-7)


@pytest.mark.parametrize(
    ("name", "composite", "dn", "value"),
    [
        ("elvidge2014", "F101992", 30, 37.552),
        ("liu2012", "F101992", 30, 31.2616),
        ("wu2013", "F152005", 63, 125.2),
        ("elvidge2014", "F152005", 63, 63.0),  # 65.24 before clipping
    ],
)
def test_curves_at_known_points(name, composite, dn, value):
    """Values quoted wherever these tables are discussed; the power law to one decimal, the quadratics exactly."""
    assert_allclose(calibration(name).curve(composite)[dn], value, rtol=0, atol=0.05 if name == "wu2013" else 1e-12)


def test_liu_is_not_read_backwards():
    """The coefficients taken as (c0, c1, c2) in the order of print give -371.8, as a widely used tool does."""
    method = METHODS["liu2012"]
    c0, c1, c2 = method.coefficients["F101992"]
    assert_allclose(method.formula(30.0, c2, c1, c0), -371.8, atol=0.05)  # one decimal is known
    assert_allclose(method.formula(30.0, c0, c1, c2), 31.2616, rtol=1e-14)


@pytest.mark.parametrize("name", PUBLISHED)
def test_tables_equal_the_transcription(name, data_dir):
    """Every coefficient, and f(1), f(30), f(63) by the csv's numbers."""
    table = pd.read_csv(data_dir / "coefficients" / f"{name}.csv")
    method = METHODS[name]
    composites = (table["satellite"] + table["year"].astype(str)).tolist()
    assert list(method.coefficients) == composites
    for composite, *row in zip(composites, *(table[column] for column in method.columns), strict=True):
        assert method.coefficients[composite] == tuple(row)
        dn = np.array([1.0, 30.0, 63.0])
        a = row[0] * (dn + 1) ** row[1] - 1 if name == "wu2013" else row[0] + row[1] * dn + row[2] * dn**2
        low, high = method.clip or (0, np.inf)
        assert_allclose(calibration(name).curve(composite)[[1, 30, 63]], np.clip(a, low, high), rtol=1e-12)


def test_ceilings_equal_the_table_of_pairs(data_dir):
    """f(63) of both satellites of a year, to one and two decimals."""
    table = pd.read_csv(data_dir / "coefficients" / "same_year_pairs_ceiling.csv")
    free = {"wu": calibration("wu2013"), "elv14": calibration("elvidge2014", clip=(0, np.inf))}
    for row in table.itertuples():
        for side in "AB":
            composite = f"{getattr(row, f'sat{side}')}{row.year}"
            for key, atol in (("wu", 0.0500001), ("elv14", 0.0050001)):
                assert_allclose(free[key].curve(composite)[63], getattr(row, f"{key}_f63_{side}"), rtol=0, atol=atol)


@pytest.mark.parametrize(
    ("name", "composite"), [("elvidge2009", "F121999"), ("elvidge2014", "F121999"), ("liu2012", "F162007")]
)
def test_the_reference_composite_is_left_as_it_is(name, composite):
    assert_array_equal(calibration(name).curve(composite)[:64], np.arange(64))


# --- what every method keeps --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "composite"), ROWS)
def test_contract_of_a_curve(name, composite):
    method, curve = METHODS[name], calibration(name).curve(composite)
    assert curve.shape == (256,)
    assert curve.dtype == np.float64
    assert curve[0] == 0
    assert np.isnan(curve[SATURATED + 1 :]).all()
    assert np.isfinite(curve[: SATURATED + 1]).all()
    assert (curve[: SATURATED + 1] >= 0).all()
    assert (np.diff(curve[: SATURATED + 1]) >= 0).all()
    low, high = method.clip or (0, np.inf)
    lit = np.arange(1.0, SATURATED + 1)
    assert_array_equal(
        curve[1 : SATURATED + 1], np.clip(method.formula(lit, *method.coefficients[composite]), low, high)
    )


@pytest.mark.parametrize("name", [*METHODS, *FITTED])
def test_contract_of_a_method(name):
    method = (METHODS | FITTED)[name]
    assert method.name == name
    assert method.equation.startswith("DN'")
    assert method.citation
    assert (name in METHODS) == bool(method.coefficients)
    assert len(method.checkpoints) >= 3 * (name in METHODS)
    assert all(len(values) == len(method.columns) for values in method.coefficients.values())
    assert set(method.notes) <= set(method.coefficients)
    # F152008 was withdrawn from the final series; two tables have it
    assert set(method.coefficients) <= {*DMSP_OLS.composites, "F152008"}


def test_what_is_known_of_which_composite():
    sizes = {name: len(calibration(name).composites) for name in PUBLISHED}
    assert sizes == {"elvidge2009": 27, "elvidge2014": 34, "liu2012": 30, "wu2013": 31}
    assert "F182011" not in calibration("wu2013")
    assert "F182013" in calibration("elvidge2014")
    notes = calibration("elvidge2014").table().set_index("composite")["note"]
    assert "not in the printed table" in notes["F182013"]
    assert (notes.drop("F182013") == "").all()


def test_quadratics_end_at_63_and_power_laws_do_not():
    for name in ("elvidge2009", "elvidge2014", "liu2012"):
        assert np.nanmax(calibration(name).curves(calibration(name).composites)) == 63
    brightest = np.nanmax(calibration("wu2013").curves(calibration("wu2013").composites))
    assert_allclose(brightest, 125.2, atol=0.05)  # one decimal is quoted


def test_raw_is_the_identity_for_every_composite():
    raw = calibration("raw")
    assert len(raw.composites) == 34
    for composite in (*raw.composites, "F152008"):
        assert composite in raw
        assert_array_equal(raw.curve(composite)[:64], np.arange(64))


# --- use ----------------------------------------------------------------------------------------------------------


def test_curves_are_stacked_in_the_order_asked_for():
    cal = calibration("elvidge2014")
    stacked = cal.curves(["F182012", "F101992"])
    assert_array_equal(stacked, [cal.curve("F182012"), cal.curve("F101992")])


def test_clip_overrides_and_dark_stays_dark():
    free = calibration("elvidge2014", clip=(0, np.inf)).curve("F152005")
    assert_allclose(free[63], 65.2432, rtol=1e-12)
    floor = calibration("wu2013", clip=(2, 60)).curve("F101992")
    assert floor[0] == 0
    assert floor[1] == 2
    assert floor[63] == 60


def test_hash_tells_coefficients_and_clip_apart():
    hashes = {calibration(name).hash for name in METHODS}
    hashes.add(calibration("wu2013", clip=(0, 63)).hash)
    assert len(hashes) == len(METHODS) + 1
    assert calibration("wu2013").hash == calibration("wu2013").hash


def test_provenance_is_json():
    for clip in (None, (0, np.inf)):
        found = json.loads(json.dumps(calibration("liu2012", clip=clip).provenance(), allow_nan=False))
        assert found["name"] == "liu2012"
        assert "10.1016/j.landurbplan.2012.02.013" in found["citation"]
        assert found["sha256"] == calibration("liu2012", clip=clip).hash


@pytest.mark.parametrize("clip", [None, (0, np.inf), (0, 100.5)])
@pytest.mark.parametrize("name", METHODS)
def test_a_saved_calibration_is_the_same(tmp_path, name, clip):
    path = tmp_path / "cal.csv"
    cal = calibration(name, clip=clip)
    cal.save(path)
    again = calibration(str(path))
    assert again == cal
    assert again.hash == cal.hash
    assert again.provenance() == cal.provenance()


@given(st.lists(st.tuples(st.floats(1e-3, 10), st.floats(0, 3)), min_size=1, max_size=5))
@settings(deadline=None, max_examples=30)
def test_saved_coefficients_come_back_to_the_last_bit(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("cal") / "cal.csv"
    cal = Calibration(FITTED["cao2015"], {f"F1{i}1992": row for i, row in enumerate(rows)})
    cal.save(path)
    assert calibration(path).coefficients == cal.coefficients


# --- what is refused ----------------------------------------------------------------------------------------------


def test_a_composite_without_coefficients_is_named():
    with pytest.raises(MissingCoefficientsError, match="wu2013 has no coefficients for F182011"):
        calibration("wu2013").curve("F182011")
    with pytest.raises(MissingCoefficientsError, match="F182013"):
        calibration("wu2013").curves(["F101992", "F182013"])


def test_an_unknown_name_gets_the_nearest():
    with pytest.raises(UsageError, match=r"no calibration 'elvidge2013'.*elvidge2014"):
        calibration("elvidge2013")
    with pytest.raises(UsageError, match=r"no calibration 'zzz'.*liu2012"):
        calibration("zzz")


def test_a_method_to_be_fitted_says_so():
    with pytest.raises(UsageError, match=r"cao2015 has no published coefficients: fit them"):
        calibration("cao2015")


@pytest.mark.parametrize("clip", [(-1, 63), (63, 0), (5, 5), (0, np.nan), (0,), "all", 63])
def test_impossible_clips(clip):
    with pytest.raises(UsageError, match="expected \\(low, high\\)"):
        calibration("raw", clip=clip)


def test_coefficients_that_are_not_numbers():
    with pytest.raises(BadInputError, match=r"F101992 has coefficients.*2 finite numbers"):
        Calibration(FITTED["cao2015"], {"F101992": (np.nan, 1.0)})
    with pytest.raises(BadInputError, match="2 finite numbers"):
        Calibration(FITTED["cao2015"], {"F101992": (1.0,)})


def saved(tmp_path):
    path = tmp_path / "cal.csv"
    calibration("elvidge2014").save(path)
    return path, path.read_text()


def test_a_file_that_does_not_exist(tmp_path):
    with pytest.raises(BadInputError, match="cannot be read"):
        calibration(tmp_path / "cal.csv")
    with pytest.raises(BadInputError, match="cannot be read"):
        calibration("nowhere/cal.csv")


def test_edited_coefficients(tmp_path):
    path, text = saved(tmp_path)
    path.write_text(text.replace("1.5903", "1.6903"))
    with pytest.raises(IntegrityError, match="not those that were written"):
        calibration(path)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("# {", "", "not a calibration written by nightcore"),
        ('"elvidge2014"', '"elvidge2015"', "holds the method 'elvidge2015'"),
        ('"nightcore_calibration": 1', '"nightcore_calibration": 9', "format 9"),
        ("composite,c0", "composite,k0", "lacks the column c0"),
        ("F101993", "F101992", "names a composite twice"),
        ("1.5903", "high", "not a number"),
        ("1.5903", "", "not a number"),
        ("1.5903", "nan", "finite"),
    ],
)
def test_files_that_are_something_else(tmp_path, old, new, said):
    path, text = saved(tmp_path)
    path.write_text(text.replace(old, new))
    with pytest.raises(BadInputError, match=said):
        calibration(path)


def test_a_plain_table(tmp_path):
    path = tmp_path / "plain.csv"
    path.write_text("satellite,year\nF10,1992\n")
    with pytest.raises(BadInputError, match="expected a first line"):
        calibration(path)
