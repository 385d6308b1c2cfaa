"""eta: minutes from an order to the door.
Nothing here is real: deliveries follow the process of `_minutes`."""

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import GradientBoostingRegressor

from samples.task import Estimator, Feature, Task, to_inputs, to_rows

FEATURES = (
    Feature("distance_km"),
    Feature("preparation_minutes", "int"),
    Feature("stops_before", "int"),
    Feature("hour", "int"),
    Feature("is_raining", "bool"),
    Feature("is_bicycle", "bool"),
)
SEED = 20_240_602
HELD_OUT, LEARNED = 1_000, 5_000


def make_task() -> Task:
    """1.0.0: boosted trees on 5,000 deliveries."""
    columns = _deliveries(HELD_OUT + LEARNED)
    truth = _minutes(columns)
    inputs = to_inputs(to_rows(columns, FEATURES), FEATURES)

    def first() -> Estimator:
        model = GradientBoostingRegressor(n_estimators=120, max_depth=4, random_state=SEED)
        return model.fit(inputs[HELD_OUT:], truth[HELD_OUT:])

    return Task(
        model="eta",
        description="Predicts the minutes from an order to the door",
        features=FEATURES,
        labels=None,
        output_name="eta_minutes",
        rows=to_rows(columns[:HELD_OUT], FEATURES),
        truth=truth[:HELD_OUT].tolist(),
        releases={"1.0.0": first},
    )


def _deliveries(count: int) -> npt.NDArray[np.float64]:
    rng = np.random.default_rng(SEED)
    columns = [
        np.round(rng.gamma(2.0, 1.4, count) + 0.2, 2),
        rng.integers(5, 31, count),
        rng.poisson(0.6, count),
        rng.integers(10, 24, count),
        rng.random(count) < 0.25,
        rng.random(count) < 0.6,
    ]
    return np.column_stack(columns).astype(np.float64)


def _minutes(columns: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Preparation, the way at a speed that traffic and rain change, stops; noise that grows."""
    distance, preparation, stops, hour, rain, bicycle = columns.T
    rush = ((hour >= 12) & (hour <= 13)) | ((hour >= 18) & (hour <= 20))
    speed_km_h = np.where(bicycle > 0, 15 - 4 * rain, np.where(rush, 14, 26))
    minutes = preparation + 60 * distance / speed_km_h + 6.5 * stops + 2 + 3 * rush
    noise = np.random.default_rng(SEED + 1).normal(0, 1, len(columns))
    return np.round(minutes + noise * (1 + 0.06 * minutes), 1).clip(3)
