"""Trains small scikit-learn models and converts them with skl2onnx; both warn at import.
The fixture `trained` in conftest is the way in."""

from types import SimpleNamespace
from typing import Any

import numpy as np
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler


def train_models() -> SimpleNamespace:
    random = np.random.default_rng(7)
    table = random.normal(size=(120, 4)).astype(np.float32)
    truth = (table[:, 0] + table[:, 1] > 0).astype(int)
    numeric = LogisticRegression().fit(table, truth)
    worded = LogisticRegression().fit(table, np.where(truth, "yes", "no"))
    forest = RandomForestClassifier(10, random_state=0).fit(table, truth + 1)
    trips = np.array([[1.0, "Bern"], [9.0, "Graz"], [2.0, "Bern"], [7.0, "Graz"]], dtype=object)
    encode = make_column_transformer((StandardScaler(), [0]), (OneHotEncoder(), [1]))
    mixed = make_pipeline(encode, LogisticRegression()).fit(trips, [0, 1, 0, 1])
    types = [("distance_km", FloatTensorType([None, 1])), ("city", StringTensorType([None, 1]))]

    def both(model: Any, **options: bool) -> SimpleNamespace:
        return SimpleNamespace(sk=model, onnx=to_onnx(model, table[:1], options=options or None))

    return SimpleNamespace(
        table=table,
        numeric=both(numeric),
        tensor=both(numeric, zipmap=False),
        worded=both(worded),
        worded_tensor=both(worded, zipmap=False),
        forest=both(forest, zipmap=False),
        mixed=SimpleNamespace(sk=mixed, onnx=to_onnx(mixed, initial_types=types)),
    )
