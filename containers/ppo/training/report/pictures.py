"""Draws how learning went and how far intervals and predictions hold, as SVG text.
Draws what the report says and decides nothing; the same report gives the same bytes."""

from collections.abc import Mapping, Sequence
from io import StringIO
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

Document = Mapping[str, Any]

_SIZE_IN = (9.0, 4.2)
_STYLE = {
    "svg.fonttype": "none",  # letters stay text
    "svg.hashsalt": "picture",  # the same report, the same file
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
_KNOWN = {
    "optimal": "optimum",
    "policy": "this policy, exactly",
    "runbook": "runbook",
    "logged": "log's policy",
    "random": "random",
}
"""Policies whose exact value is drawn beside the curve."""
_LABEL_SHARE = 0.045
"""Height of a label by that of the axes."""
_THRICE = 3.0
"""Standard errors on either side of the nominal line that chance explains."""


def draw_learning(curve: Sequence[Document], report: Document) -> str:
    """curve: points with `steps` and `mean_return`, which is None where no episode ended."""
    with rc_context(_STYLE):
        figure = Figure(figsize=_SIZE_IN, layout="constrained")
        axes = figure.subplots()
        points = [(one["steps"] / 1e6, one["mean_return"]) for one in curve]
        points = [(steps, found) for steps, found in points if found is not None]
        if points:
            axes.plot(*zip(*points, strict=True), color="black", gid="curve")
        _draw_references(axes, _references(report))
        axes.set_xlabel("steps of the simulated environments (million)")
        axes.set_ylabel("mean return of an episode, less pessimism (reward)")
        axes.set_title("What PPO earns in the simulator it learns in", loc="left")
        return _written(figure)


def _draw_references(axes: Axes, references: Mapping[str, tuple[str, float]]) -> None:
    """Labels stand beside their lines, or above the one below where that leaves no room."""
    for name, (_, value) in references.items():
        axes.axhline(value, color="0.5", linewidth=0.8, linestyle=(0, (6, 3)), gid=name)
    low, high = axes.get_ylim()
    least = low
    for label, value in sorted(references.values(), key=lambda each: each[1]):
        at = max(value, least)
        least = at + _LABEL_SHARE * (high - low)
        axes.annotate(
            f"{label} {value:+.2f}",
            (1, at),
            xycoords=("axes fraction", "data"),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
            annotation_clip=False,
        )


def _references(report: Document) -> dict[str, tuple[str, float]]:
    """Exact values where they are known; else what was logged."""
    policy = report["policy"]
    known = policy["exact"]["policies"]
    if known:
        return {name: (label, known[name]["value"]) for name, label in _KNOWN.items()}
    return {"logged": ("logged", policy["off_policy"]["logged"]["value"])}


def draw_calibration(report: Document) -> str:
    """Coverage by action beside the nominal line, and realised by predicted reward."""
    with rc_context(_STYLE):
        figure = Figure(figsize=_SIZE_IN, layout="constrained")
        left, right = figure.subplots(1, 2, gridspec_kw={"width_ratios": [3, 2]})
        _draw_coverage(left, report["intervals"])
        _draw_deciles(right, report["reward"]["deciles"])
        return _written(figure)


def _draw_coverage(axes: Axes, intervals: Document) -> None:
    inside, shifted = intervals["in_distribution"], intervals["under_shift"]
    types = list(inside["by_action"])
    _draw_shares(axes, types, inside, lift=0.12, color="black", label="held-out episodes")
    if shifted:
        _draw_shares(axes, types, shifted, lift=-0.12, color="0.55", label="under policy shift")
    nominal = intervals["nominal"]
    axes.axvline(100 * nominal, color="black", linewidth=0.8, linestyle=(0, (6, 3)), gid="nominal")
    axes.set_yticks(range(len(types)), types)
    axes.invert_yaxis()
    axes.set_xlabel(f"rewards within their {100 * nominal:.0f} % interval (%, bars: 3 errors)")
    axes.set_title(f"Coverage, {100 * inside['coverage']:.1f} % overall", loc="left")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), frameon=False, ncols=2)


def _draw_shares(
    axes: Axes, types: Sequence[str], part: Document, *, lift: float, color: str, label: str
) -> None:
    found = [
        (i - lift, part["by_action"][type_])
        for i, type_ in enumerate(types)
        if type_ in part["by_action"]
    ]
    axes.errorbar(
        [100 * one["coverage"] for _, one in found],
        [at for at, _ in found],
        xerr=[100 * _THRICE * one["error"] for _, one in found],
        fmt="o",
        markersize=4,
        color=color,
        label=label,
    )


def _draw_deciles(axes: Axes, deciles: Sequence[Document]) -> None:
    predicted = [one["predicted"] for one in deciles]
    realised = [one["realised"] for one in deciles]
    ends = [min(predicted + realised), max(predicted + realised)]
    axes.plot(ends, ends, color="0.5", linewidth=0.8, linestyle=(0, (6, 3)))
    errors = [_THRICE * one["error"] for one in deciles]
    axes.errorbar(predicted, realised, yerr=errors, fmt="o", markersize=4, color="black")
    axes.set_xlabel("predicted reward, means of tenths")
    axes.set_ylabel("realised reward (bars: 3 errors)")
    axes.set_title("Predicted and realised", loc="left")


def _written(figure: Figure) -> str:
    written = StringIO()
    figure.savefig(written, format="svg", metadata={"Date": None})
    return written.getvalue()
