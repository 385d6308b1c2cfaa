"""Draw how an experiment went: per metric the lift over units, two intervals, and the looks.
Nothing here asks for an analysis or decides anything; it draws what the answers say."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

Document = Mapping[str, Any]
"""An answer of GET /api/experiments/{experiment}/analysis."""

_WIDTH_IN, _PANEL_IN, _FRAME_IN = 9.0, 2.6, 1.0
_EMPTY_PANEL = 0.35
"""Height of a panel without numbers, by that of one with them."""
_STYLE = {
    "svg.fonttype": "none",  # letters stay text
    "svg.hashsalt": "picture",  # the same answers, the same file
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def draw(analyses: Sequence[Document], path: Path) -> None:
    """One panel for each metric and challenger, in the order of the first analysis; as SVG.

    Marks stand in the SVG under the ids `look-1`, `look-2`, ...
    """
    told = [document["analysis"] for document in analyses]
    panels = list(
        dict.fromkeys((one["metric"], one["arm"]) for each in told for one in each["comparisons"])
    )
    with rc_context(_STYLE):
        ratios = [1.0 if _has_lift(told, panel) else _EMPTY_PANEL for panel in panels]
        height_in = _FRAME_IN + _PANEL_IN * sum(ratios)
        figure = Figure(figsize=(_WIDTH_IN, height_in), layout="constrained")
        grid = figure.subplots(
            len(panels), 1, sharex=True, squeeze=False, gridspec_kw={"height_ratios": ratios}
        )
        for axes, (metric, arm) in zip(grid[:, 0], panels, strict=True):
            _draw_panel(axes, told, metric=metric, arm=arm)
            if _role(told, metric) == "primary":
                _mark_looks(axes, analyses, arm=arm)
        grid[-1, 0].set_xlabel("units of all arms (number); lift in % of the control's mean")
        _draw_title(figure, analyses[-1])
        figure.savefig(path, format="svg", metadata={"Date": None})


def _draw_title(figure: Figure, last: Document) -> None:
    told, arms = last["analysis"], last["analysis"]["arms"]
    versions = " against ".join(f"{arm['name']} {arm['version']}" for arm in arms)
    figure.suptitle(f"{told['experiment']}: {versions}", fontweight="bold")


def _draw_panel(axes: Axes, told: Sequence[Document], *, metric: str, arm: str) -> None:
    points = [
        (each["units"], one)
        for each in told
        for one in each["comparisons"]
        if (one["metric"], one["arm"]) == (metric, arm)
    ]
    _draw_intervals(axes, points, "lift_sequence", color="black", width=1.0, label="always valid")
    _draw_intervals(axes, points, "lift_interval", color="0.6", width=5.0, label="one look only")
    known = [(units, 100 * one["lift"]) for units, one in points if one["lift"] is not None]
    if known:
        axes.axhline(0, color="black", linewidth=0.8, linestyle=(0, (6, 3)))
        axes.plot(*zip(*known, strict=True), "o", color="black", markersize=4, label="lift")
        axes.legend(loc="lower right", frameon=False, ncols=3, fontsize=8)
    else:
        because = points[-1][1]["inconclusive"]
        axes.text(0.5, 0.5, f"no lift: {because}", transform=axes.transAxes, ha="center")
        axes.set_yticks([])
    last = points[-1][1]
    axes.set_title(
        f"{metric} ({last['role']}, {last['better']} is better), {arm}", loc="left", pad=9
    )
    axes.set_ylabel("lift (%)")


def _draw_intervals(
    axes: Axes,
    points: Sequence[tuple[int, Document]],
    member: str,
    *,
    color: str,
    width: float,
    label: str,
) -> None:
    """A bound that is null is left at the estimate: the interval is open on that side."""
    drawn = [(units, one["lift"], one[member]) for units, one in points if one[member]]
    drawn = [point for point in drawn if point[1] is not None]
    if not drawn:
        return
    lows = [100 * (lift if on["low"] is None else on["low"]) for _, lift, on in drawn]
    highs = [100 * (lift if on["high"] is None else on["high"]) for _, lift, on in drawn]
    units = [point[0] for point in drawn]
    axes.vlines(units, lows, highs, colors=color, linewidth=width, label=f"interval, {label}")


def _mark_looks(axes: Axes, analyses: Sequence[Document], *, arm: str) -> None:
    """A filled triangle where the boundary was reached, an open one where it was not."""
    above = axes.get_xaxis_transform()
    for document in analyses:
        verdict, units = document["verdict"], document["analysis"]["units"]
        look, boundary, z = verdict["look"], verdict["boundary"], verdict["z"]
        if look is None or verdict["arm"] not in (None, arm):
            continue
        is_reached = boundary is not None and z is not None and abs(z) >= boundary
        axes.plot(
            units,
            1.02,
            "v",
            transform=above,
            clip_on=False,
            color="black",
            markerfacecolor="black" if is_reached else "white",
            gid=f"look-{look['number']}",
        )
        axes.axvline(units, color="0.4", linewidth=0.8, linestyle=":")
        needs = "no z is enough" if boundary is None else f"needs {boundary:.2f}"
        axes.annotate(
            f"look {look['number']}: z {z:.2f}, {needs}",
            (units, 0.96),
            xycoords=above,
            xytext=(-4, 0),
            textcoords="offset points",
            ha="right",
            va="top",
            rotation=90,
            fontsize=8,
        )


def _has_lift(told: Sequence[Document], panel: tuple[str, str]) -> bool:
    return any(
        one["lift"] is not None
        for each in told
        for one in each["comparisons"]
        if (one["metric"], one["arm"]) == panel
    )


def _role(told: Sequence[Document], metric: str) -> str:
    return next(
        one["role"] for each in told for one in each["comparisons"] if one["metric"] == metric
    )
