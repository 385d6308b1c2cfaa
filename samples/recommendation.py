"""recommendation: would this user like this restaurant, now?
Nothing here is real: users follow the preference process of `_likes`, which has interactions."""

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from samples.task import Estimator, Feature, Task, to_inputs, to_rows

FEATURES = (
    Feature("distance_km"),
    Feature("price_level", "int"),
    Feature("usual_price_level"),
    Feature("rating"),
    Feature("reviews", "int"),
    Feature("cuisine_affinity"),
    Feature("wait_minutes", "int"),
    Feature("is_open", "bool"),
    Feature("visited_before", "bool"),
    Feature("is_lunch", "bool"),
)
LABELS = ("ignored", "liked")
SEED = 20_240_601
HELD_OUT, WEAK_ROWS, STRONG_ROWS = 2_000, 400, 8_000


def make_task() -> Task:
    """1.0.0: a linear model on 400 rows. 1.1.0: boosted trees on 8,000 rows of the same process.

    1.2.0 is broken: it learned from the same 8,000 rows with their columns sorted by name, and is
    asked in the schema's order. Its archive, graph and sample are in order all the same.
    """
    columns = _visits(HELD_OUT + STRONG_ROWS)
    truth = _likes(columns)
    inputs = to_inputs(to_rows(columns, FEATURES), FEATURES)
    learned, answers = inputs[HELD_OUT:], truth[HELD_OUT:]

    def weak() -> Estimator:
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1))
        return model.fit(learned[:WEAK_ROWS], answers[:WEAK_ROWS])

    def strong() -> Estimator:
        model = GradientBoostingClassifier(n_estimators=150, max_depth=4, random_state=SEED)
        return model.fit(learned, answers)

    def misread() -> Estimator:
        by_name = sorted(range(len(FEATURES)), key=lambda column: FEATURES[column].name)
        model = GradientBoostingClassifier(n_estimators=150, max_depth=4, random_state=SEED)
        return model.fit(learned[:, by_name], answers)

    return Task(
        model="recommendation",
        description="Ranks restaurants by the chance that a user likes them",
        features=FEATURES,
        labels=LABELS,
        output_name="label",
        rows=to_rows(columns[:HELD_OUT], FEATURES),
        truth=truth[:HELD_OUT].tolist(),
        releases={"1.0.0": weak, "1.1.0": strong, "1.2.0": misread},
    )


def _visits(count: int) -> npt.NDArray[np.float64]:
    """shape (count, features): users and restaurants drawn independently."""
    rng = np.random.default_rng(SEED)
    columns = [
        np.round(rng.gamma(2.0, 1.5, count), 2),
        rng.integers(1, 5, count),
        np.round(rng.uniform(1, 4, count), 1),
        np.round(np.clip(rng.normal(4.1, 0.4, count), 2.5, 5), 1),
        rng.geometric(0.01, count),
        np.round(rng.beta(1.2, 2.5, count), 2),
        rng.integers(0, 46, count),
        rng.random(count) < 0.85,
        rng.random(count) < 0.2,
        rng.random(count) < 0.4,
    ]
    return np.column_stack(columns).astype(np.float64)


def _likes(columns: npt.NDArray[np.float64]) -> npt.NDArray[np.str_]:
    """The preference process: a utility with interactions, and chance through a logistic curve.

    A price hurts by its distance from the usual one; ratings count as far as reviews back them;
    distance and waiting hurt more at lunch; a known place helps only with a loved cuisine; a
    closed one is not liked, nearly always.
    """
    distance, price, usual, rating, reviews, affinity, wait, is_open, visited, lunch = columns.T
    utility = 0.9 + 3.2 * affinity - 1.1 * np.abs(price - usual)
    utility += 0.5 * (rating - 4) * np.log1p(reviews)
    utility -= (0.15 + 0.35 * lunch) * distance + (0.01 + 0.05 * lunch) * wait
    utility += np.where(affinity > 0.4, 1.5, -0.8) * visited
    utility += np.where(is_open > 0, 0.6, -6.0)
    chance = 1 / (1 + np.exp(-2.2 * utility))
    is_liked = np.random.default_rng(SEED + 1).random(len(columns)) < chance
    return np.where(is_liked, "liked", "ignored")
