"""Per-action split conformal intervals: half-widths from calibration, and how often they hold.
Fits no rewards: the calibration episodes are ones the fit has not seen.

Scores are |reward - prediction| / sqrt(1 + leverage), by action (Mondrian); their quantile has the
finite-sample correction of Lei et al., "Distribution-Free Predictive Inference for Regression",
2018, algorithm 2: the ceil((n + 1) coverage)-th smallest of n.
"""

import math
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray
from reward.catalogue import LEAST, MOST, UNCALIBRATED, Catalogue
from reward.features import Encoder
from reward.model import RewardModel
from reward.predictor import Predictor
from reward.questions import State
from training.episodes.dataset import Rows

SLACK = 1.001
"""On the leverage limit: the same state sums up a little differently in another batch."""


class Calibrated(NamedTuple):
    """uncalibrated: actions with too few calibration rows; their interval is everything."""

    catalogue: Catalogue
    uncalibrated: tuple[str, ...]


class Coverage(NamedTuple):
    """How often intervals held the reward, as they are served.

    effective_size: of the weighted rows, in rows. flagged: share of rows that the log hardly
    covers, with anything in the state that it lacks, or of an action without calibration; their
    interval is everything, so it holds. share: of all rows; confident_share: of
    those not flagged; error: binomial standard error of share. mean_width: of the unflagged. NaN
    where there is no row to count.
    """

    rows: int
    effective_size: float
    flagged: float
    share: float
    error: float
    confident_share: float
    mean_width: float


class CoverageTable(NamedTuple):
    overall: Coverage
    by_action: dict[str, Coverage]


class _Seen(NamedTuple):
    """Of each row."""

    holds: NDArray[np.bool_]
    is_flagged: NDArray[np.bool_]
    widths: NDArray[np.float64]
    weights: NDArray[np.float64]


class _Judged(NamedTuple):
    rewards: NDArray[np.float64]
    stretch: NDArray[np.float64]
    """sqrt(1 + leverage)"""
    leverages: NDArray[np.float64]


def calibrate(model: RewardModel, *, fit: Rows, calibration: Rows) -> Calibrated:
    """Return the model's catalogue with half-widths and leverage limits.

    fit: only its leverages count: a state that the fit has seen is not strange.
    """
    known = model.catalogue
    judged = _judge(model, calibration)
    scores = np.abs(calibration.reward - judged.rewards) / judged.stretch
    by_action = [scores[calibration.kind == kind] for kind in range(len(known.actions))]
    found = [_quantile(one, known.coverage) for one in by_action]
    kinds = np.concatenate([fit.kind, calibration.kind])
    leverages = np.concatenate([_judge(model, fit).leverages, judged.leverages])
    actions = tuple(
        msgspec.structs.replace(
            action,
            half_width=UNCALIBRATED if half_width is None else half_width,
            leverage_limit=SLACK * float(leverages[kinds == kind].max(initial=0.0)),
        )
        for kind, (action, half_width) in enumerate(zip(known.actions, found, strict=True))
    )
    without = (type_ for type_, one in zip(known.types, found, strict=True) if one is None)
    return Calibrated(msgspec.structs.replace(known, actions=actions), tuple(without))


def coverage(
    model: RewardModel, rows: Rows, *, weights: NDArray[np.float64] | None = None
) -> CoverageTable:
    """Measure on rows that neither the fit nor the calibration has seen.

    weights: of the rows, for a policy that is not the log's; all alike by default.
    """
    judged = _judge(model, rows)
    half_widths = np.array([kind.half_width for kind in model.catalogue.actions])[rows.kind]
    limits = np.array([kind.leverage_limit for kind in model.catalogue.actions])[rows.kind]
    reach = half_widths * judged.stretch
    low, high = np.maximum(judged.rewards - reach, LEAST), np.minimum(judged.rewards + reach, MOST)
    is_flagged = (judged.leverages > limits) | (half_widths >= UNCALIBRATED) | _strange(model, rows)
    holds = ((rows.reward >= low) & (rows.reward <= high)) | is_flagged
    seen = _Seen(holds, is_flagged, high - low, np.ones(len(rows)) if weights is None else weights)
    return CoverageTable(
        overall=_count(seen),
        by_action={
            type_: _count(_Seen(*(column[at] for column in seen)))
            for kind, type_ in enumerate(model.catalogue.types)
            if (at := rows.kind == kind).any()
        },
    )


def _strange(model: RewardModel, rows: Rows) -> NDArray[np.bool_]:
    """True where serving finds something in the state that training has not seen often enough."""
    look = Encoder(model.catalogue).look
    return np.array([isinstance(one, State) and bool(look(one).strange) for one in rows.states])


def _judge(model: RewardModel, rows: Rows) -> _Judged:
    factors, leverages = Predictor(model).rewards(rows.x, rows.kind, rows.u)
    rewards = np.clip(factors.astype(np.float64).sum(axis=1), LEAST, MOST)
    wide = leverages.astype(np.float64)
    return _Judged(rewards, np.sqrt(1.0 + wide), wide)


def _quantile(scores: NDArray[np.float64], share: float) -> float | None:
    """None where there are too few: fewer than 9 for 90 %."""
    rank = math.ceil((len(scores) + 1) * share - 1e-9)
    return float(np.sort(scores)[rank - 1]) if 1 <= rank <= len(scores) else None


def _count(seen: _Seen) -> Coverage:
    share = _mean(seen.holds, seen.weights)
    confident = ~seen.is_flagged
    total, squares = float(seen.weights.sum()), float((seen.weights**2).sum())
    size = total**2 / squares if squares else 0.0
    return Coverage(
        rows=len(seen.holds),
        effective_size=size,
        flagged=_mean(seen.is_flagged, seen.weights),
        share=share,
        error=math.sqrt(share * (1.0 - share) / size) if size else math.nan,
        confident_share=_mean(seen.holds[confident], seen.weights[confident]),
        mean_width=_mean(seen.widths[confident], seen.weights[confident]),
    )


def _mean(values: NDArray[np.generic], weights: NDArray[np.float64]) -> float:
    return float(np.average(values, weights=weights)) if weights.any() else math.nan
