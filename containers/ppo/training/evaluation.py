"""The report on a trained model: what it predicts, how sure it may be, what its policy is worth.
Fits nothing; every number is of episodes that were not learnt from, or says of what it is.

What cannot be known is None, with the reason beside it. No times, no paths: the same model and log
give the same report.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray
from reward.catalogue import LEAST, MOST
from reward.model import RewardModel
from reward.predictor import Predictor
from scipy.stats import spearmanr
from training import off_policy
from training.dataset import Dataset, Rows
from training.known import Known
from training.learned import draw
from training.networks import logits_of
from training.simulating import Simulator

SHIFTED_ROWS = 20_000
ROLLED_OUT = 4_096
"""Episodes played in the simulator that PPO learnt in."""
_UNKNOWN = "the log is not of a simulator whose truth is known"

Report = dict[str, Any]
Floats = NDArray[np.float64]


class Judged(NamedTuple):
    """What the model says of rows."""

    factors: Floats
    covered: NDArray[np.bool_]
    """The reward is within the interval; where the state is thin, that is everything."""
    thin: NDArray[np.bool_]
    width: Floats
    """Of the interval where the state is not thin."""


def evaluate(
    dataset: Dataset,
    model: RewardModel,
    *,
    simulator: Simulator,
    is_known: bool,
    guarded: bool = True,
    seed: int = 1,
) -> Report:
    """Return the report, which JSON can hold.

    simulator: what PPO learnt in. is_known: the shipped simulator wrote the log.
    """
    predictor, rows = Predictor(model), dataset.test
    judged = judge(predictor, rows)
    known = Known(model.catalogue) if is_known else None
    predicted = known.predict(predictor) if known else None
    truth = known.expect(rows) if known else None
    return {
        "log": _describe(dataset),
        "reward": _measure_rewards(rows, judged, truth)
        | {"ranking": _rank(rows, judged, known=known, predicted=predicted)},
        "intervals": _measure_intervals(predictor, rows, judged, known=known, seed=seed),
        "policy": {
            "exact": _value_exactly(known, predictor, predicted),
            "in_training_simulator": _play(simulator, model, guarded=guarded, seed=seed),
            "off_policy": _estimate(predictor, rows, guarded=guarded, seed=seed),
        },
    }


def metrics(report: Report) -> dict[str, float]:
    """Return the numbers that a job prints, by name; what is not known is left out."""
    reward, intervals, policy = report["reward"], report["intervals"], report["policy"]
    exact, estimates = policy["exact"], policy["off_policy"]["estimates"]
    ceiling, worst = reward["ceiling"], intervals["in_distribution"]["worst_action"]
    found = {
        "reward_r2": reward["r2"],
        "reward_r2_of_ceiling": _ratio(reward["r2"], ceiling["r2"]) if ceiling else None,
        "reward_mae": reward["mae"],
        "rank_correlation": reward["ranking"]["spearman"],
        "top_1": reward["ranking"]["top_1"],
        "coverage": intervals["in_distribution"]["coverage"],
        "worst_action_coverage": worst["coverage"] if worst else None,
        "policy_percent": exact["policies"]["policy"]["percent"] if exact["policies"] else None,
        "policy_simulated_return": policy["in_training_simulator"]["policy"]["value"],
        "policy_off_policy_return": estimates.get("weighted_per_decision", {}).get("value"),
    }
    return {name: float(value) for name, value in found.items() if value is not None}


def _ratio(part: float | None, whole: float | None) -> float | None:
    return part / whole if part is not None and whole else None


def judge(predictor: Predictor, rows: Rows) -> Judged:
    """Answer the rows as serving does, but for what is strange about their states."""
    factors, leverages = predictor.rewards(rows.x, rows.kind, rows.u)
    kinds = predictor.catalogue.actions
    half_widths = np.array([kind.half_width for kind in kinds])[rows.kind]
    thin = leverages > np.array([kind.leverage_limit for kind in kinds])[rows.kind]
    factors, reach = factors.astype(np.float64), half_widths * np.sqrt(1.0 + leverages)
    rewards = np.clip(factors.sum(axis=1), LEAST, MOST)
    low, high = np.maximum(rewards - reach, LEAST), np.minimum(rewards + reach, MOST)
    covered = thin | ((rows.reward >= low) & (rows.reward <= high))
    return Judged(factors, covered, thin, high - low)


def _describe(dataset: Dataset) -> Report:
    parts = {"fit": dataset.fit, "calibration": dataset.calibration, "test": dataset.test}
    catalogue = dataset.catalogue
    return {
        "parts": {
            name: {"episodes": part.episodes, "rows": len(part)} for name, part in parts.items()
        },
        "observations": {kind.type: kind.observations for kind in catalogue.actions},
        "features": len(catalogue.features),
        "horizon": catalogue.horizon,
    }


def _measure_rewards(rows: Rows, judged: Judged, truth: Floats | None) -> Report:
    """The ceiling: what a model would reach that knows the true expectation of every row."""
    rewards = judged.factors.sum(axis=1)
    found: Report = {
        "r2": _r2(rows.reward, rewards),
        "r2_by_factor": _r2_by_factor(rows, judged.factors),
        "mae": float(np.abs(rows.reward - rewards).mean()),
        "deciles": _deciles(rows.reward, rewards),
    }
    if truth is None:
        return found | {"ceiling": None, "ceiling_because": _UNKNOWN}
    return found | {
        "ceiling": {
            "r2": _r2(rows.reward, truth.sum(axis=1)),
            "r2_by_factor": _r2_by_factor(rows, truth),
        },
        "r2_of_expected": _r2(truth.sum(axis=1), rewards),
        "mae_of_expected": float(np.abs(truth.sum(axis=1) - rewards).mean()),
    }


def _deciles(true: Floats, predicted: Floats) -> list[dict[str, float]]:
    """Means of ten parts of the rows, by what was predicted; error: standard error of the true."""
    parts = np.array_split(np.argsort(predicted, kind="stable"), min(10, len(true)))
    return [
        {
            "predicted": float(predicted[part].mean()),
            "realised": float(true[part].mean()),
            "error": float(true[part].std() / len(part) ** 0.5),
            "rows": len(part),
        }
        for part in parts
    ]


def _r2_by_factor(rows: Rows, predicted: Floats) -> dict[str, float | None]:
    names = ("resolution", "time", "risk", "cost")
    return {name: _r2(rows.factors[:, i], predicted[:, i]) for i, name in enumerate(names)}


def _r2(true: Floats, predicted: Floats) -> float | None:
    spread = float(((true - true.mean()) ** 2).sum())
    return 1 - float(((true - predicted) ** 2).sum()) / spread if spread > 1e-9 else None


def _rank(rows: Rows, judged: Judged, *, known: Known | None, predicted: Floats | None) -> Report:
    if known is not None and predicted is not None:
        of = "the true expected rewards of all actions, in the states that the log's policy meets"
        return known.rank(predicted)._asdict() | {"of": of}
    rewards = judged.factors.sum(axis=1)
    varies = np.ptp(rewards) > 0 and np.ptp(rows.reward) > 0
    return {
        "spearman": float(spearmanr(rewards, rows.reward).statistic) if varies else None,
        "top_1": None,
        "of": "logged rewards over all rows: a log tells one action a state,"
        " so nothing is known of how actions rank within one",
    }


def _measure_intervals(
    predictor: Predictor, rows: Rows, judged: Judged, *, known: Known | None, seed: int
) -> Report:
    types = predictor.catalogue.types
    found: Report = {
        "nominal": predictor.catalogue.coverage,
        "in_distribution": _cover(types, rows, judged),
    }
    if known is not None:
        shifted = known.shift(count=SHIFTED_ROWS, seed=seed)
        of = "episodes of evenly drawn actions in the known simulator"
        return found | {
            "under_shift": _cover(types, shifted, judge(predictor, shifted)) | {"of": of}
        }
    if not (rows.propensity > 0).all():
        return found | {"under_shift": None, "under_shift_because": "the log has no propensities"}
    weights = 1 / (len(types) * rows.propensity)
    of = "the log's own states, its actions weighted as if they were drawn evenly"
    return found | {"under_shift": _cover(types, rows, judged, weights) | {"of": of}}


def _cover(
    types: tuple[str, ...], rows: Rows, judged: Judged, weights: Floats | None = None
) -> Report:
    """error: standard error of a share."""
    weights = np.ones(len(rows)) if weights is None else weights
    by_action = {
        type_: _share(judged.covered[rows.kind == i], weights[rows.kind == i])
        for i, type_ in enumerate(types)
        if (rows.kind == i).any()
    }
    worst = min(by_action, key=lambda type_: by_action[type_]["coverage"], default=None)
    return _share(judged.covered, weights) | {
        "thin": float(judged.thin @ weights / weights.sum()),
        "mean_width": float(judged.width[~judged.thin].mean()) if not judged.thin.all() else None,
        "by_action": by_action,
        "worst_action": None if worst is None else {"type": worst} | by_action[worst],
    }


def _share(covered: NDArray[np.bool_], weights: Floats) -> Report:
    share = float(covered @ weights / weights.sum())
    size = float(weights.sum() ** 2 / (weights**2).sum())
    error = (share * (1 - share) / size) ** 0.5
    return {"coverage": share, "error": error, "rows": len(covered), "effective_size": size}


def _value_exactly(known: Known | None, predictor: Predictor, predicted: Floats | None) -> Report:
    if known is None or predicted is None:
        return {"policies": None, "because": _UNKNOWN}
    return {"policies": known.value_policies(predictor, predicted)}


def _play(simulator: Simulator, model: RewardModel, *, guarded: bool, seed: int) -> Report:
    """Mean returns where PPO learnt."""
    policy = {name: each for name, each in model.tensors.items() if name.startswith("policy.")}
    even = {name: np.zeros_like(each) for name, each in policy.items()}
    play, key = jax.jit(partial(_roll_out, simulator)), jax.random.PRNGKey(seed)
    returns = {"policy": play(policy, guarded, key), "random": play(even, False, key)}
    found: Report = {name: _mean(np.asarray(each, np.float64)) for name, each in returns.items()}
    return found | {"of": "the simulator that PPO learnt in; what it has wrong, PPO finds"}


def _roll_out(simulator: Simulator, tensors: Any, guarded: jax.Array, key: jax.Array) -> jax.Array:
    """Return the returns of episodes, shape (ROLLED_OUT,)."""

    def act(carry: Any, keys: jax.Array) -> tuple[Any, jax.Array]:
        state, over = carry
        allowed = simulator.allowed(state) | ~guarded
        logits = logits_of(tensors, simulator.observe(state), allowed, xp=jnp)
        action = draw(jax.nn.softmax(logits), jax.random.uniform(keys[0], over.shape))
        following, reward, done = simulator.step(state, action, keys[1])
        return (following, over | done), jnp.where(over, 0.0, reward)

    resetting, playing = jax.random.split(key)
    start = (simulator.reset(resetting, ROLLED_OUT), jnp.zeros(ROLLED_OUT, bool))
    keys = jax.random.split(playing, 2 * simulator.horizon).reshape(simulator.horizon, 2, -1)
    return jax.lax.scan(act, start, keys)[1].sum(axis=0)


def _estimate(predictor: Predictor, rows: Rows, *, guarded: bool, seed: int) -> Report:
    allowed = np.ones((len(rows), len(predictor.catalogue.types)), bool)
    if guarded:
        allowed = np.stack([predictor.allowed(state) for state in rows.states])
    shares, _ = predictor.policy(rows.x, allowed)
    horizon = predictor.catalogue.horizon
    found = off_policy.estimate(rows, shares, horizon=horizon, seed=seed)
    estimates = {name: each._asdict() for name, each in found.estimates.items()}
    return found._asdict() | {"estimates": estimates, "logged": _logged_return(rows)}


def _logged_return(rows: Rows) -> Report:
    _, at = np.unique(rows.episode, return_inverse=True)
    returns = np.bincount(at, weights=rows.reward)
    return _mean(returns)


def _mean(returns: Floats) -> Report:
    """error: standard error."""
    return {"value": float(returns.mean()), "error": float(returns.std() / len(returns) ** 0.5)}
