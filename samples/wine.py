"""wine: which of three grapes a wine is made of, by its chemistry.
Nothing here is drawn by chance but the split; the data ships with scikit-learn."""

from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from samples.task import Estimator, Feature, Task, to_inputs, to_rows

LABELS = ("barolo", "grignolino", "barbera")
"""Classes 0, 1 and 2 of the data set, which ships without their names."""
SEED = 20_240_603
HELD_OUT_SHARE = 0.35


def make_task() -> Task:
    """1.0.0: a linear model on standardised measurements."""
    data = load_wine()
    features = tuple(Feature(_plain(name)) for name in data.feature_names)
    answers = [LABELS[index] for index in data.target]
    learned, held_out, known, truth = train_test_split(
        data.data, answers, test_size=HELD_OUT_SHARE, random_state=SEED, stratify=answers
    )

    def first() -> Estimator:
        inputs = to_inputs(to_rows(learned, features), features)
        return make_pipeline(StandardScaler(), LogisticRegression(C=0.05)).fit(inputs, known)

    return Task(
        model="wine",
        description="Tells the cultivar of a wine from thirteen measurements",
        features=features,
        labels=tuple(sorted(LABELS)),
        output_name="label",
        rows=to_rows(held_out, features),
        truth=truth,
        releases={"1.0.0": first},
    )


def _plain(name: str) -> str:
    return name.replace("/", "_").lower()
