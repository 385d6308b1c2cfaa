"""The reward model against rewards that are known, from formulas and from the shipped simulator."""

from functools import cache
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from reward.model import shapes
from reward.predictor import Predictor
from reward.questions import Action, State
from simulated_logs import make_dataset
from simulator.episodes import write_episodes
from sklearn.ensemble import HistGradientBoostingRegressor
from training.episodes.channel import Episode, Step, read_episodes
from training.episodes.dataset import Dataset, Rows
from training.episodes.learning import encode, learn
from training.report.known import Known
from training.rewards.fitting import FittedRewards, fit_rewards, without_policy

NOISE = 0.5


def make_formula_log(count: int = 600, *, noise: float = NOISE, rare: int = 0) -> Dataset:
    """KEEP pays 1 - a + 3ab and TRY 2a + n, whatever else is on; RARE pays as TRY does."""
    random = np.random.default_rng(7)
    episodes = []
    for i in range(count):
        a, b, c = (random.random(3) < 0.5).tolist()
        n = float(random.integers(0, 11))
        type_ = "RARE" if i < rare else "TRY" if random.random() < 0.5 else "KEEP"
        pays = 1.0 - a + 3.0 * a * b if type_ == "KEEP" else 2.0 * a + n / 10
        pays += noise * float(random.normal())
        state = State("Slow", "sev-1", details={"a": a, "b": b, "c": c})
        action = Action(type_, {} if type_ == "KEEP" else {"n": n})
        step = Step(state, action, pays - 1.0, (pays, -1.0, 0.0, 0.0), None, True)
        episodes.append(Episode(f"{i:04}", (step,)))
    return learn(episodes, seed=1).dataset


def predict(dataset: Dataset, fitted: FittedRewards, rows: Rows) -> np.ndarray:
    """Return the factors, as they would be served."""
    predictor = Predictor(without_policy(dataset.catalogue, fitted))
    return predictor.rewards(rows.x, rows.kind, rows.u)[0]


def formula(dataset: Dataset, rows: Rows) -> np.ndarray:
    """Return what the rows pay on average, less the cost of time."""
    at = dataset.catalogue.features.index
    a, b = rows.x[:, at("detail:a=true")], rows.x[:, at("detail:b=true")]
    is_keep = rows.kind == dataset.catalogue.types.index("KEEP")
    return np.where(is_keep, 1 - a + 3 * a * b, 2 * a + rows.u[:, 1]) - 1


@cache
def simulated(episodes: int) -> tuple[Dataset, FittedRewards]:
    dataset = make_dataset(episodes)
    return dataset, fit_rewards(dataset.catalogue, dataset.fit)


@cache
def unseen_log() -> list[Episode]:
    written = StringIO()
    write_episodes(written, count=1_500, seed=99)
    with TemporaryDirectory() as folder:
        (Path(folder) / "unseen.jsonl").write_text(written.getvalue())
        return read_episodes(Path(folder))


def unseen_rows(dataset: Dataset) -> Rows:
    """Steps of episodes that neither part of the data set holds."""
    return encode(dataset.catalogue, unseen_log())


def table(dataset: Dataset, rows: Rows) -> np.ndarray:
    """Return state, parameters and action as columns."""
    return np.hstack([rows.x, rows.u, np.eye(len(dataset.catalogue.types))[rows.kind]])


def explained(y: np.ndarray, predicted: np.ndarray) -> float:
    return float(1 - ((y - predicted) ** 2).sum() / ((y - y.mean()) ** 2).sum())


def test_sums_products_and_parameters_are_found():
    dataset = make_formula_log()

    fitted = fit_rewards(dataset.catalogue, dataset.fit)

    predicted = predict(dataset, fitted, dataset.test).sum(axis=1)
    assert explained(formula(dataset, dataset.test), predicted) > 0.97


def test_a_factor_that_never_changes_is_predicted_as_it_is():
    dataset = make_formula_log()

    fitted = fit_rewards(dataset.catalogue, dataset.fit)

    predicted = predict(dataset, fitted, dataset.test)
    np.testing.assert_allclose(predicted[:, 1], -1.0, atol=0.02)
    np.testing.assert_allclose(predicted[:, 2:], 0.0, atol=1e-6)


def test_the_residual_scale_is_that_of_the_noise():
    dataset = make_formula_log(2_000)

    fitted = fit_rewards(dataset.catalogue, dataset.fit)

    np.testing.assert_allclose(fitted.residual_scale, NOISE, rtol=0.1)


def test_an_action_with_few_rows_is_predicted_by_what_all_share():
    dataset = make_formula_log(rare=6)
    rare = dataset.catalogue.types.index("RARE")
    fit = dataset.fit.where(dataset.fit.kind != rare)

    fitted = fit_rewards(dataset.catalogue, fit)

    rows = dataset.fit.where(dataset.fit.kind == rare)
    predicted = predict(dataset, fitted, rows)
    assert np.abs(predicted[:, 0] - fit.factors[:, 0].mean()).max() < 2.0
    np.testing.assert_allclose(predicted[:, 1], -1.0, atol=0.1)


def test_tensors_are_those_of_the_artifact():
    dataset, fitted = simulated(200)

    wanted = shapes(dataset.catalogue, len(fitted.tensors["reward.pairs"]))

    found = {name: (str(each.dtype), each.shape) for name, each in fitted.tensors.items()}
    assert found == {name: shape for name, shape in wanted.items() if name.startswith("reward.")}


def test_the_same_rows_give_the_same_bytes():
    dataset, fitted = simulated(200)

    again = fit_rewards(dataset.catalogue, dataset.fit)

    for name, tensor in fitted.tensors.items():
        assert again.tensors[name].tobytes() == tensor.tobytes()


def test_leverage_falls_with_rows_like_it():
    dataset, fitted = simulated(1_000)
    predictor = Predictor(without_policy(dataset.catalogue, fitted))
    rows = dataset.fit

    _, leverages = predictor.rewards(rows.x, rows.kind, rows.u)
    _, strange = predictor.rewards(np.ones_like(rows.x), rows.kind, rows.u)

    assert leverages.max() < 1
    assert strange.min() > leverages.max()


@pytest.mark.parametrize(("episodes", "least"), [(200, 0.45), (1_000, 0.8), (3_000, 0.88)])
def test_what_can_be_explained_of_simulated_rewards_mostly_is(episodes, least):
    dataset, fitted = simulated(episodes)
    rows = unseen_rows(dataset)

    predicted = predict(dataset, fitted, rows).sum(axis=1)

    ceiling = explained(rows.reward, Known(dataset.catalogue).expect(rows).sum(axis=1))
    assert explained(rows.reward, predicted) >= least * ceiling


@pytest.mark.parametrize("episodes", [200, 1_000])
def test_boosted_trees_on_the_same_rows_explain_less(episodes):
    dataset, fitted = simulated(episodes)
    rows, unseen = dataset.fit, unseen_rows(dataset)

    trees = HistGradientBoostingRegressor(random_state=0).fit(table(dataset, rows), rows.reward)

    ours = explained(unseen.reward, predict(dataset, fitted, unseen).sum(axis=1))
    assert explained(unseen.reward, trees.predict(table(dataset, unseen))) < ours


def test_a_log_without_any_feature_gets_the_mean_of_each_action():
    episodes = [
        Episode(
            f"{i:03}",
            (
                Step(
                    State("x", f"ticket-{i}"),
                    Action("KEEP" if i % 2 else "TRY"),
                    float(i % 2),
                    (float(i % 2), 0.0, 0.0, 0.0),
                    None,
                    True,
                ),
            ),
        )
        for i in range(200)
    ]
    dataset = learn(episodes, seed=1).dataset

    predicted = predict(dataset, fit_rewards(dataset.catalogue, dataset.fit), dataset.test)

    assert predicted.sum(axis=1) == pytest.approx(dataset.test.reward, abs=0.05)
