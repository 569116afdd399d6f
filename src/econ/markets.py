"""Market segmentation of provinces by relative prices, and its inverse, market integration.

D. C. Parsley, S.-J. Wei (2001), "Explaining the border effect: the role of exchange rate variability, shipping costs,
and geography", J. Int. Econ. 55, 87-105, as Sheng Bin and Mao Qilin (2011), "Trade openness, domestic market
integration and provincial growth in China", The Journal of World Economy 2011(11), and the study of this project do.
For provinces i and j, good k and year t,

    dQ_ijt^k = ln(p_it^k / p_i,t-1^k) - ln(p_jt^k / p_j,t-1^k)
    q_ijt^k  = |dQ_ijt^k| - mean over pairs of |dQ_t^k|
    S_ijt    = variance over k of q_ijt^k
    S_it     = mean of S_ijt over the pairs of i,      integration_it = sqrt(1 / S_it)

The mean over pairs takes out what all pairs feel of a good in a year; the absolute value makes the order of i and j
irrelevant.  What the papers leave open is an argument: docs/decisions/0020-segmentation.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from econ.errors import BadInputError, UsageError
from econ.frames import NAMED, codes, numeric, offenders, refuse_duplicates, require_columns, whole_years
from econ.provinces import neighbour_pairs, province

FORMS = ("chained", "level")

# Two provinces whose prices of one good part by more than this factor in one year: one of them counts from 1, the
# other from 100.
BASES_DIFFER = 10.0


@dataclass(frozen=True, eq=False)
class Segmentation:
    """Market segmentation, with each step that led to it.

    Parameters
    ----------
    changes : DataFrame
        One row a pair, year and good: a, b, year, good, dq (relative price change), abs_dq, mean_abs_dq (over the pairs
        of this good and year), q (abs_dq - mean_abs_dq); only where both provinces have the good.
    pairs : DataFrame
        One row a pair and year: a, b, year, n_goods, variance (of q over goods; NaN below `min_goods`).
    provinces : DataFrame
        One row a province and year: segmentation (mean variance of its pairs), integration (sqrt(1 / segmentation)),
        n_pairs (pairs with a variance), n_neighbours (pairs in all), fewest_goods (in a pair that counts), reason
        (empty, or why a number is NaN or rests on fewer pairs).
    settings : dict
        form, pairs, ddof, min_goods as given.
    left_out : DataFrame
        Pairs of the pairs table that name a province without prices.
    """

    changes: pd.DataFrame
    pairs: pd.DataFrame
    provinces: pd.DataFrame
    settings: dict[str, object]
    left_out: pd.DataFrame

    def report(self) -> str:
        """How many pairs, goods and provinces, what is missing, and the mean integration, in a few lines."""
        a_pair = self.pairs.columns[:2].tolist()
        goods = self.changes[self.changes.columns[3]].nunique()
        per_pair = self.pairs["n_goods"]
        lines = [
            f"{self.pairs[a_pair].drop_duplicates().shape[0]:,} pairs, {self.provinces.iloc[:, 0].nunique():,} "
            f"provinces, {self.provinces.iloc[:, 1].nunique():,} years, {goods:,} goods ({per_pair.min():,} to "
            f"{per_pair.max():,} a pair and year); "
            + ", ".join(f"{key} {value}" for key, value in self.settings.items())
        ]
        if len(self.left_out):
            first = "; ".join(f"{a}, {b}" for a, b in self.left_out.head(NAMED).itertuples(index=False))
            lines.append(
                f"{len(self.left_out):,} pairs left out, a province has no prices: {first}"
                + " ..." * (len(self.left_out) > NAMED)
            )
        for reason, count in self.provinces["reason"].value_counts().items():
            if reason:
                lines.append(f"{count:,} provinces and years: {reason}")
        integration = self.provinces["integration"]
        if integration.notna().any():
            lines.append(
                f"mean integration {integration.mean():.4g}, mean segmentation {self.provinces.segmentation.mean():.4g}"
            )
        return "\n".join(lines)


def segmentation(
    prices: pd.DataFrame,
    form: str,
    pairs: str | pd.DataFrame = "neighbours",
    province: str = "province",
    year: str = "year",
    good: str = "good",
    price: str = "price",
    ddof: int = 1,
    min_goods: int = 2,
) -> Segmentation:
    """Market segmentation and integration of every province and year from the prices of several goods.

    Parameters
    ----------
    prices : DataFrame
        One row a (province, year, good).  A missing price leaves its good out of the pairs of its province.
    form : "chained" or "level"
        "chained": price / last year's price, in any one base (1.023 or 102.3), as the retail price indices of the
        yearbooks are.  "level": a price, or an index on a fixed base; changes are taken from the year before, and a
        year without a predecessor has none.
    pairs : "neighbours", "land", "all" or DataFrame
        "neighbours": `econ.neighbour_pairs()`, Guangdong being the neighbour of Hainan; names in any spelling.  "land":
        land borders alone, so that Hainan has no pair.  "all": every two provinces.  A table: its first two columns,
        names as in `prices`.
    province, year, good, price : str
        Columns of `prices`.
    ddof : int
        1 divides the variance by the number of goods less one, 0 by their number.
    min_goods : int
        Fewest goods that make a variance, at least 2.

    Raises
    ------
    UsageError
        An unknown form or pairs; ddof other than 0 or 1; min_goods below 2.
    MissingColumnError, BadInputError
        A column that is not there; text, an empty key or a broken year; a price that is not positive; a row given
        twice; chained indices of which some count from 1 and others from 100; two spellings of one province; a pair of
        one province with itself or given twice; no pair, good or year left.
    """
    if form not in FORMS:
        raise UsageError(f"there is no form {form!r} of prices: say 'chained' (last year = 100) or 'level'.")
    if ddof not in (0, 1) or min_goods < 2:
        raise UsageError(f"expected ddof 0 or 1 and min_goods of 2 or more, found {ddof} and {min_goods}.")
    keys = [province, year, good]
    require_columns(prices, [*keys, price], "the table of prices")
    refuse_duplicates(prices, keys, "the table of prices")
    p, names = codes(prices, province)
    k, goods = codes(prices, good)
    years = whole_years(prices, year, "the table of prices")
    level = numeric(prices, price, keys)
    if (level <= 0).any():
        raise BadInputError(
            f"column {price!r} is not positive in {(level <= 0).sum():,} of {len(level):,} rows "
            f"({offenders(prices, level <= 0, keys)}): expected prices or indices (102.3), not growth in percent."
        )
    a, b, left_out = _pair_codes(pairs, names)

    first = years.min()
    log_price = np.full((names.size, years.max() - first + 1, goods.size), np.nan)
    log_price[p, years - first, k] = np.log(level)
    if form == "level":
        change, first = np.diff(log_price, axis=1), first + 1
    else:
        change = log_price
        _refuse_two_bases(change, names, goods, first)
    seen = np.isfinite(change).any(axis=(0, 2))
    if not seen.any():
        raise BadInputError(
            f"no change of price is known: form={form!r} needs "
            + ("prices in two years that follow each other." if form == "level" else "a price in some row.")
        )
    dq = change[a] - change[b]  # (pair, year, good)
    abs_dq = np.abs(dq)
    known = np.isfinite(dq)
    if not known.any():
        raise BadInputError("no two provinces of a pair have the price of one good in one year: check names and goods.")
    n_known = known.sum(axis=0)
    with np.errstate(invalid="ignore"):  # 0/0 is a good that no pair has, NaN as meant
        mean_abs = np.where(known, abs_dq, 0).sum(axis=0) / n_known
    q = abs_dq - mean_abs

    n_goods = known.sum(axis=2)
    enough = n_goods >= min_goods
    with np.errstate(invalid="ignore", divide="ignore"):  # pairs with no good at all are NaN below
        centre = np.where(known, q, 0).sum(axis=2) / n_goods
        squares = np.where(known, q - centre[:, :, None], 0) ** 2
        variance = np.where(enough, squares.sum(axis=2) / (n_goods - ddof), np.nan)

    at = np.flatnonzero(seen)
    i, t, g = np.nonzero(known)
    changes = pd.DataFrame(
        {
            "a": names[a[i]],
            "b": names[b[i]],
            year: first + t,
            good: goods[g],
            "dq": dq[i, t, g],
            "abs_dq": abs_dq[i, t, g],
            "mean_abs_dq": mean_abs[t, g],
            "q": q[i, t, g],
        }
    )
    i, t = (axis.ravel() for axis in np.meshgrid(np.arange(a.size), at, indexing="ij"))
    by_pair = pd.DataFrame(
        {"a": names[a[i]], "b": names[b[i]], year: first + t, "n_goods": n_goods[i, t], "variance": variance[i, t]}
    )
    return Segmentation(
        changes=changes,
        pairs=by_pair,
        provinces=_by_province(names, a, b, variance[:, at], n_goods[:, at], first + at, province, year, min_goods),
        settings={
            "form": form,
            "pairs": pairs if isinstance(pairs, str) else "given",
            "ddof": ddof,
            "min_goods": min_goods,
        },
        left_out=left_out,
    )


def _by_province(
    names: pd.Index,
    a: np.ndarray,
    b: np.ndarray,
    variance: np.ndarray,
    n_goods: np.ndarray,
    years: np.ndarray,
    province: str,
    year: str,
    min_goods: int,
) -> pd.DataFrame:
    """Mean over the pairs of every province, and why it is missing or rests on fewer pairs."""
    counted = np.isfinite(variance)
    rows = []
    for code, name in enumerate(names):
        mine = (a == code) | (b == code)
        for t, when in enumerate(years):
            here = mine & counted[:, t]
            s = float(variance[here, t].mean()) if here.any() else np.nan
            if not mine.any():
                reason = "no pair"
            elif not here.any():
                reason = f"no pair with {min_goods} goods"
            elif s == 0:
                reason = "all goods alike in all pairs, integration without bound"
            else:
                lost = int(mine.sum() - here.sum())
                reason = f"{lost} of {mine.sum()} pairs have fewer than {min_goods} goods" if lost else ""
            rows.append(
                {
                    province: name,
                    year: when,
                    "segmentation": s,
                    "integration": np.sqrt(1 / s) if s > 0 else np.nan,
                    "n_pairs": int(here.sum()),
                    "n_neighbours": int(mine.sum()),
                    "fewest_goods": int(n_goods[here, t].min()) if here.any() else 0,
                    "reason": reason,
                }
            )
    return pd.DataFrame(rows)


def _pair_codes(pairs: str | pd.DataFrame, names: pd.Index) -> tuple[np.ndarray, np.ndarray, pd.DataFrame]:
    """(pair,) positions in `names` of both provinces of each pair, and the pairs that name others."""
    if names.size < 2:
        raise BadInputError(f"the table of prices has one province, {names[0]!r}: expected two or more.")
    if isinstance(pairs, str) and pairs == "all":
        a, b = np.triu_indices(names.size, 1)
        return a, b, pd.DataFrame(columns=["a", "b"])
    if isinstance(pairs, str):
        if pairs not in ("neighbours", "land"):
            raise UsageError(f"pairs={pairs!r} is unknown: say 'neighbours', 'land', 'all', or give a table of pairs.")
        hainan = "guangdong" if pairs == "neighbours" else None
        spelt = [province(name).code for name in names]
        twice = [f"{names[spelt.index(code)]!r} and {names[n]!r}" for n, code in enumerate(spelt) if code in spelt[:n]]
        if twice:
            raise BadInputError(f"the table of prices spells one province in two ways: {twice[0]}; bring them to one.")
        table, known = neighbour_pairs("code", hainan=hainan), dict(zip(spelt, range(names.size), strict=True))
    else:
        if pairs.shape[1] < 2 or pairs.empty:
            raise BadInputError("the table of pairs needs two columns of provinces and at least one row.")
        table, known = pairs.iloc[:, :2], dict(zip(names, range(names.size), strict=True))
        first, second = (table[column].to_numpy(dtype=object) for column in table.columns)
        _refuse_odd_pairs(first, second)
        # so that no order of the pairs shows through in a mean over them
        ends = np.sort(table.map(lambda name: known.get(name, names.size)).to_numpy(dtype=int), axis=1)
        table = table.iloc[np.lexsort((ends[:, 1], ends[:, 0]))]
    both = table.isin(list(known)).all(axis=1).to_numpy()
    if not both.any():
        raise BadInputError(
            f"no pair has prices for both its provinces: pairs name {table.iloc[0, 0]!r}, prices {names[0]!r}; bring "
            f"them to one spelling."
        )
    a, b = (table.loc[both, column].map(known).to_numpy(dtype=int) for column in table.columns)
    if isinstance(pairs, str):
        table = neighbour_pairs(hainan=hainan)
        # Hong Kong, Macao, Taiwan and Tibet are in no such sample, so their absence is no news
        expected = table.isin(neighbour_pairs(sample=True).to_numpy().ravel()).all(axis=1).to_numpy()
        both = both | ~expected
    return a, b, table[~both].set_axis(["a", "b"], axis=1).reset_index(drop=True)


def _refuse_odd_pairs(first: np.ndarray, second: np.ndarray) -> None:
    seen: set[frozenset] = set()
    for a, b in zip(first, second, strict=True):
        if a == b:
            raise BadInputError(f"the table of pairs pairs {a!r} with itself: leave this row out.")
        if frozenset((a, b)) in seen:
            raise BadInputError(f"the table of pairs holds {a!r} and {b!r} twice: one row a pair, in either order.")
        seen.add(frozenset((a, b)))


def _refuse_two_bases(change: np.ndarray, names: pd.Index, goods: pd.Index, first: int) -> None:
    missing = np.isnan(change)
    low, high = np.where(missing, np.inf, change).min(axis=0), np.where(missing, -np.inf, change).max(axis=0)
    apart = high - low > np.log(BASES_DIFFER)
    if apart.any():
        t, g = np.argwhere(apart)[0]
        here = change[:, t, g]
        i, j = np.nanargmin(here), np.nanargmax(here)
        raise BadInputError(
            f"chained indices of {goods[g]!r} in {first + t} are {np.exp(here[i]):.6g} in {names[i]} and "
            f"{np.exp(here[j]):.6g} in {names[j]}: expected one base, 1 or 100, for all; for prices say form='level'."
        )
