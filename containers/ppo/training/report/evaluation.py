"""The report on a trained model: what it predicts, how sure it may be, what its policy is worth.
Fits nothing; every number is of episodes that were not learnt from, or says of what it is.

What cannot be known is None, with the reason beside it. No times, no paths: the same model and log
give the same report.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray
from reward.model import RewardModel
from reward.predictor import Predictor
from scipy.stats import spearmanr
from training.episodes.dataset import Dataset, Rows
from training.policy.learned import draw
from training.policy.networks import logits_of
from training.policy.simulating import Simulator
from training.report import off_policy
from training.report.known import Known
from training.rewards import intervals

SHIFTED_ROWS = 20_000
ROLLED_OUT = 4_096
"""Episodes played in the simulator that PPO learnt in."""
_UNKNOWN = "the log is not of a simulator whose truth is known"

Report = dict[str, Any]
Floats = NDArray[np.float64]


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
    factors = predictor.rewards(rows.x, rows.kind, rows.u)[0].astype(np.float64)
    known = Known(model.catalogue) if is_known else None
    predicted = known.predict(predictor) if known else None
    truth = known.expect(rows) if known else None
    return {
        "log": _describe(dataset),
        "reward": _measure_rewards(rows, factors, truth)
        | {"ranking": _rank(rows, factors, known=known, predicted=predicted)},
        "intervals": _measure_intervals(model, rows, known=known, seed=seed),
        "policy": {
            "exact": _value_exactly(known, predictor, predicted),
            "in_training_simulator": _play(simulator, model, guarded=guarded, seed=seed),
            "off_policy": _estimate(predictor, rows, guarded=guarded, seed=seed),
        },
    }


def metrics(report: Report) -> dict[str, float]:
    """Return the numbers that a job prints, by name; what is not known is left out."""
    reward, inside = report["reward"], report["intervals"]["in_distribution"]
    policy, ceiling, worst = report["policy"], reward["ceiling"], inside["worst_action"]
    exact, estimates = policy["exact"], policy["off_policy"]["estimates"]
    found = {
        "reward_r2": reward["r2"],
        "reward_r2_of_ceiling": _ratio(reward["r2"], ceiling["r2"]) if ceiling else None,
        "reward_mae": reward["mae"],
        "rank_correlation": reward["ranking"]["spearman"],
        "top_1": reward["ranking"]["top_1"],
        "coverage": inside["coverage"],
        "worst_action_coverage": worst["coverage"] if worst else None,
        "policy_percent": exact["policies"]["policy"]["percent"] if exact["policies"] else None,
        "policy_simulated_return": policy["in_training_simulator"]["policy"]["value"],
        "policy_off_policy_return": estimates.get("weighted_per_decision", {}).get("value"),
    }
    return {name: float(value) for name, value in found.items() if value is not None}


def _ratio(part: float | None, whole: float | None) -> float | None:
    return part / whole if part is not None and whole else None


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


def _measure_rewards(rows: Rows, factors: Floats, truth: Floats | None) -> Report:
    """The ceiling: what a model would reach that knows the true expectation of every row."""
    rewards = factors.sum(axis=1)
    found: Report = {
        "r2": _r2(rows.reward, rewards),
        "r2_by_factor": _r2_by_factor(rows, factors),
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


def _rank(rows: Rows, factors: Floats, *, known: Known | None, predicted: Floats | None) -> Report:
    if known is not None and predicted is not None:
        of = "the true expected rewards of all actions, in the states that the log's policy meets"
        return known.rank(predicted)._asdict() | {"of": of}
    rewards = factors.sum(axis=1)
    varies = np.ptp(rewards) > 0 and np.ptp(rows.reward) > 0
    return {
        "spearman": float(spearmanr(rewards, rows.reward).statistic) if varies else None,
        "top_1": None,
        "of": "logged rewards over all rows: a log tells one action a state,"
        " so nothing is known of how actions rank within one",
    }


def _measure_intervals(model: RewardModel, rows: Rows, *, known: Known | None, seed: int) -> Report:
    found: Report = {
        "nominal": model.catalogue.coverage,
        "in_distribution": _cover(model, rows),
    }
    if known is not None:
        shifted = known.shift(count=SHIFTED_ROWS, seed=seed)
        of = "episodes of evenly drawn actions in the known simulator"
        return found | {"under_shift": _cover(model, shifted) | {"of": of}}
    if not (rows.propensity > 0).all():
        return found | {"under_shift": None, "under_shift_because": "the log has no propensities"}
    weights = 1 / (len(model.catalogue.types) * rows.propensity)
    of = "the log's own states, its actions weighted as if they were drawn evenly"
    return found | {"under_shift": _cover(model, rows, weights) | {"of": of}}


def _cover(model: RewardModel, rows: Rows, weights: Floats | None = None) -> Report:
    """error: standard error of a share. confident: of the rows that were not flagged."""
    table = intervals.coverage(model, rows, weights=weights)
    by_action = {type_: _share(one) for type_, one in table.by_action.items()}
    worst = min(by_action, key=lambda type_: by_action[type_]["coverage"], default=None)
    overall = table.overall
    return _share(overall) | {
        "thin": overall.flagged,
        "mean_width": _finite(overall.mean_width),
        "by_action": by_action,
        "worst_action": None if worst is None else {"type": worst} | by_action[worst],
    }


def _share(found: intervals.Coverage) -> Report:
    return {
        "coverage": found.share,
        "confident": _finite(found.confident_share),
        "error": found.error,
        "rows": found.rows,
        "effective_size": found.effective_size,
    }


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


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
