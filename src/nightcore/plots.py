"""Figures of the report and the README: arrays in, matplotlib figures out.

Colours are those of Okabe and Ito, which colour-blind readers tell apart; satellites also differ by marker.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SATELLITES = {  # colour, marker
    "F10": ("#0072B2", "o"),
    "F12": ("#E69F00", "s"),
    "F14": ("#009E73", "^"),
    "F15": ("#D55E00", "D"),
    "F16": ("#CC79A7", "v"),
    "F18": ("#56B4E9", "P"),
}
OTHER = ("#555555", "X")
INK = "#1f2933"
STYLE = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "svg.hashsalt": "nightcore",  # ids inside SVG files stay the same from run to run
}


def new_figure(width: float, height: float, rows: int = 1, columns: int = 1, **options) -> tuple[Figure, np.ndarray]:
    """A figure outside pyplot's global state, and its axes as an array."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        return figure, figure.subplots(rows, columns, squeeze=False, **options)


def total_light(panels: Mapping[str, tuple[Sequence[str], np.ndarray]]) -> Figure:
    """The 34-dot plot: total light of every satellite-year, one panel a calibration.

    Parameters
    ----------
    panels : title -> (names of composites, (composite,) total calibrated DN)
    """
    figure, axes = new_figure(5 * len(panels), 3.4, 1, len(panels))
    every_year = [int(name[3:]) for names, _ in panels.values() for name in names]
    for ax, (title, (names, totals)) in zip(axes[0], panels.items(), strict=True):
        satellites = sorted({name[:3] for name in names})
        for satellite in satellites:
            own = [(int(name[3:]), total) for name, total in zip(names, totals, strict=True) if name[:3] == satellite]
            colour, marker = SATELLITES.get(satellite, OTHER)
            years, light = zip(*own, strict=True)
            ax.plot(years, np.array(light) / 1e3, color=colour, marker=marker, ms=5, lw=1, label=satellite)
        ax.set_title(title, fontsize=10, loc="left")
        ax.set_xlabel("year")
        ax.set_ylim(bottom=0)
        ax.set_xlim(min(every_year) - 1, max(every_year) + 1)
        ax.xaxis.set_major_locator(whole_years())
    axes[0, 0].set_ylabel("total light [1000 DN]")
    handles = {h.get_label(): h for ax in axes[0] for h in ax.get_lines()}
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=len(handles), frameon=False)
    return figure


def whole_years():
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(5, integer=True)


def light_maps(
    images: Mapping[str, np.ndarray],
    bounds: tuple[float, float, float, float],
    outlines: gpd.GeoDataFrame | None = None,
) -> Figure:
    """Maps of light side by side on one scale.

    Parameters
    ----------
    images : title -> (y, x) [DN], NaN missing
    bounds : (west, south, east, north) [degrees]
    outlines : GeoDataFrame, optional
        Polygons drawn as thin lines.
    """
    from matplotlib.colors import PowerNorm

    west, south, east, north = bounds
    shape = (north - south) / ((east - west) * np.cos(np.deg2rad((south + north) / 2)))
    width = 10 / len(images)
    figure, axes = new_figure(10, width * shape + 1.0, 1, len(images), sharex=True, sharey=True)
    top = max(float(np.nanpercentile(image[image > 0], 99.5)) for image in images.values())
    for ax, (title, image) in zip(axes[0], images.items(), strict=True):
        ax.set_facecolor("#7a1f3d")  # missing cells show this colour, which is not on the scale of lights
        # a square root shows villages beside cities
        drawn = ax.imshow(
            image, extent=(west, east, south, north), cmap="cividis", norm=PowerNorm(0.5, 0, top), aspect="auto",
            interpolation="nearest",
        )  # fmt: skip
        if outlines is not None:
            outlines.boundary.plot(ax=ax, color="white", linewidth=0.4, aspect=None)
            ax.set_ylabel("")  # geopandas labels every axes
        ax.set_title(title, fontsize=10, loc="left")
        ax.set_xlabel("longitude [degrees]")
        ax.set_xlim(west, east)
        ax.set_ylim(south, north)
    axes[0, 0].set_ylabel("latitude [degrees]")
    figure.colorbar(drawn, ax=axes[0].tolist(), label="DN", fraction=0.03, pad=0.02)
    return figure


def small_multiples(
    table: pd.DataFrame,
    by: str,
    value: str,
    truth: pd.DataFrame | None = None,
    columns: int = 4,
    label: str | None = None,
) -> Figure:
    """One small panel a region: `value` over years, and the truth as a line where it is known.

    `table` has columns `by`, year and `value`; `truth` the same, with the true values in `value`.
    """
    regions = [name for name, part in table.groupby(by) if part[value].notna().any()]
    rows = -(-len(regions) // columns)
    figure, axes = new_figure(10, 1.75 * rows + 0.5, rows, columns, sharex=True, sharey=True)
    for ax, region in zip(axes.flat, regions, strict=False):
        own = table[table[by] == region].sort_values("year")
        ax.plot(own["year"], own[value], "o-", color="#0072B2", ms=3, lw=1, label="from lights")
        if truth is not None:
            true = truth[truth[by] == region].sort_values("year")
            ax.plot(true["year"], true[value], color="#D55E00", lw=1.2, ls="--", label="planted")
        ax.set_title(str(region), fontsize=9, loc="left")
        ax.xaxis.set_major_locator(whole_years())
        ax.tick_params(labelsize=8)
    for place, ax in enumerate(axes.flat):
        if place >= len(regions):
            ax.set_axis_off()
        elif place + columns >= len(regions):  # the lowest of its column, although the row below may be begun
            ax.tick_params(labelbottom=True)
    for ax in axes[:, 0]:
        ax.set_ylabel(label or value, fontsize=9)
    if truth is not None:
        figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
    return figure


def intervals(
    names: Sequence[str], estimate: np.ndarray, low: np.ndarray, high: np.ndarray, truth: np.ndarray
) -> Figure:
    """Estimates with their intervals and the planted values, one panel a coefficient because their sizes differ."""
    figure, axes = new_figure(8, 2.2, 1, len(names))
    for ax, name, point, lo, hi, planted in zip(axes[0], names, estimate, low, high, truth, strict=True):
        ax.errorbar(
            [0], [point], yerr=[[point - lo], [hi - point]], fmt="o", color="#0072B2", capsize=5, label="estimate"
        )
        ax.plot([0], [planted], marker="_", ms=26, mew=2, color="#D55E00", ls="none", label="planted")
        ax.axhline(0, color="#999999", lw=0.8, ls=":")
        ax.set_title(name, fontsize=10, loc="left")
        ax.set_xlim(-1, 1)
        ax.set_xticks([])
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
    return figure


def curves(panels: Mapping[str, np.ndarray], truth: Mapping[str, np.ndarray] | None = None) -> Figure:
    """Calibration curves of all composites over DN 0..63, coloured by satellite; true curves dashed, where known."""
    figure, axes = new_figure(5.2, 3.6)
    ax: Axes = axes[0, 0]
    dn = np.arange(64)
    for name, curve in panels.items():
        colour, _ = SATELLITES.get(name[:3], OTHER)
        ax.plot(dn, curve[:64], color=colour, lw=0.9, alpha=0.8)
        if truth is not None:
            ax.plot(dn, truth[name][:64], color="black", lw=0.5, ls=":")
    for satellite in sorted({name[:3] for name in panels}):
        ax.plot([], [], color=SATELLITES.get(satellite, OTHER)[0], label=satellite)
    if truth is not None:
        ax.plot([], [], color="black", lw=0.8, ls=":", label="true")
    ax.set_xlabel("DN")
    ax.set_ylabel("calibrated DN")
    ax.legend(frameon=False, fontsize=8)
    return figure


def as_png(figure: Figure, dpi: int = 130) -> bytes:
    """The figure as PNG; the same figure gives the same bytes."""
    from io import BytesIO

    from matplotlib import rc_context

    out = BytesIO()
    with rc_context(STYLE):
        figure.savefig(out, format="png", dpi=dpi, metadata={"Software": None})
    return out.getvalue()
