"""Do the parts make up the whole: cities their province, districts their city?

Weights are compared cell by cell: where children together weigh more than their parent, they overlap each other or
reach beyond it; where they weigh less, a gap is left. What happens within one cell may cancel there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nightcore.errors import BadInputError, UsageError
from nightcore.zones import Coverage

if TYPE_CHECKING:
    import pandas as pd

TOLERANCE = 1e-6  # [cells] a border drawn twice, with seven decimals of a degree in print, differs by more
ROWS = 2048  # worked on at once, so that memory stays small on a global grid
# [cells] Sums along all rows of a band are off by less: a million additions of numbers below 1 at 1e-16 each, most of
# which cancel.
NOISE = 1e-11


def check_nesting(children: Coverage, parents: Coverage, parent: str, tolerance: float | None = None) -> pd.DataFrame:
    """Compare the weights of children with those of their parents in every cell.

    Parameters
    ----------
    children : Coverage
        Its column `parent` names the parent of each zone: coverage(..., keep=["province"]).
    parents : Coverage
        On the same grid, by the same rule.
    parent : str
    tolerance : float, optional
        Largest allowed difference in a cell, as a share of the cell.

    Returns
    -------
    DataFrame
        One row a parent: parent, children (number), area_km2 (of the parent), overlap_km2 and gap_km2 (by which
        children cover more and less than it), worst (largest difference in a cell), x and y of that cell [degrees].

    Raises
    ------
    BadInputError
        A cell differs by more than `tolerance`; another grid or rule; a child whose parent is unknown.
    UsageError
        The children have no column `parent`.
    """
    import pandas as pd

    if parent not in children.attributes:
        raise UsageError(
            f"the children carry no column '{parent}': make their coverage with keep=['{parent}'] (--keep {parent})."
        )
    if children.grid != parents.grid or children.rule != parents.rule:
        raise BadInputError(
            f"children lie on {children.grid} by rule {children.rule}, parents on {parents.grid} by rule "
            f"{parents.rule}: make both coverages alike."
        )
    place = {id: number for number, id in enumerate(parents.ids)}
    named = children.attributes[parent].tolist()
    unknown = [(id, name) for id, name in zip(children.ids, named, strict=True) if name not in place]
    if unknown:
        raise BadInputError(
            f"{len(unknown)} children name parents that are not there (zone {unknown[0][0]}: {unknown[0][1]!r}): "
            f"expected ids such as {parents.ids[0]!r}; check the column '{parent}'."
        )
    owner = np.array([place[name] for name in named], np.int64)
    overlap, gap, worst, cell = differences(children, owner, parents)
    grid = parents.grid
    row, column = np.divmod(cell, grid.width)
    table = pd.DataFrame(
        {
            "parent": list(parents.ids),
            "children": np.bincount(owner, minlength=len(parents)),
            "area_km2": parents.area(),
            "overlap_km2": overlap,
            "gap_km2": gap,
            "worst": worst,
            "x": np.where(worst > 0, grid.x[column], np.nan),
            "y": np.where(worst > 0, grid.y[row], np.nan),
        }
    )
    if tolerance is not None:
        refuse_beyond(table, tolerance)
    return table


def refuse_beyond(table: pd.DataFrame, tolerance: float) -> None:
    """Raise where a parent differs from the sum of its children by more than `tolerance` of a cell."""
    beyond = table[table["worst"] > tolerance]
    if len(beyond):
        first = beyond.loc[beyond["worst"].idxmax()]
        raise BadInputError(
            f"{len(beyond)} of {len(table)} parents are not the sum of their children, by up to {first['worst']:.3g} "
            f"of a cell (parent {first['parent']} at {first['x']:.4f} E, {first['y']:.4f} N: overlap "
            f"{first['overlap_km2']:.6g} km2, gap {first['gap_km2']:.6g} km2), allowed is {tolerance:g}: repair the "
            f"polygons or allow more."
        )


def differences(
    children: Coverage, owner: np.ndarray, parents: Coverage
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """What children cover more and less than their parents [km2], the largest difference in a cell, and which cell that
    is (row * width + column), each (parent,)."""
    grid, n = parents.grid, len(parents)
    area = grid.cell_area()
    overlap, gap, worst, cell = np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n, np.int64)
    for top in range(0, grid.height, ROWS):
        steps = [
            weight_steps(children, owner, 1.0, top, top + ROWS),
            weight_steps(parents, np.arange(n), -1.0, top, top + ROWS),
        ]
        parent, row, column, step = (np.concatenate(parts) for parts in zip(*steps, strict=True))
        # a step changes the difference from its cell to the end of the row, so a running sum is the difference
        key = (parent * ROWS + row - top) * (grid.width + 1) + column
        order = np.argsort(key, kind="stable")
        parent, row, column, line = parent[order], row[order], column[order], key[order] // (grid.width + 1)
        difference = np.cumsum(step[order])
        difference[np.abs(difference) < NOISE] = 0.0
        length = np.zeros(len(column), np.int64)
        length[:-1] = np.where(line[1:] == line[:-1], np.diff(column), 0)
        size = difference * length * area[row]
        overlap += np.bincount(parent, np.maximum(size, 0), minlength=n)
        gap += np.bincount(parent, np.maximum(-size, 0), minlength=n)
        largest = np.where(length > 0, np.abs(difference), 0)
        best = np.lexsort((largest, parent))  # the last of each parent is its largest
        last = best[np.r_[parent[best][1:] != parent[best][:-1], True][: len(best)]]
        larger = last[largest[last] > worst[parent[last]]]
        worst[parent[larger]] = largest[larger]
        cell[parent[larger]] = row[larger].astype(np.int64) * grid.width + column[larger]
    return overlap, gap, worst, cell


def weight_steps(
    coverage: Coverage, owner: np.ndarray, sign: float, top: int, bottom: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(owner, row, column, step) of the rows top..bottom-1: weights as changes from one cell to the next."""
    runs, edges = coverage.runs, coverage.edges
    r = (runs.row >= top) & (runs.row < bottom)
    e = (edges.row >= top) & (edges.row < bottom)
    ones, weight = np.full(r.sum(), sign), sign * edges.weight[e]
    return (
        owner[np.r_[runs.zone[r], runs.zone[r], edges.zone[e], edges.zone[e]]],
        np.r_[runs.row[r], runs.row[r], edges.row[e], edges.row[e]],
        np.r_[runs.start[r], runs.stop[r], edges.column[e], edges.column[e] + 1],
        np.r_[ones, -ones, weight, -weight],
    )
