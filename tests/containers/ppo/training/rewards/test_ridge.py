"""Ridge regression against refits that really leave rows out, and the choice of products."""

import numpy as np
import pytest
from training.rewards import ridge
from training.rewards.pairs import MOST_PAIRS, choose_pairs, multiply


@pytest.mark.parametrize(("rows", "columns"), [(12, 30), (40, 7)])
def test_left_out_errors_are_those_of_refits_without_the_row(rows, columns):
    random = np.random.default_rng(1)
    design, y = random.normal(size=(rows, columns)), random.normal(size=(rows, 2))

    errors = ridge.decompose(design).left_out(y, 3.0)

    for row in range(rows):
        kept = np.arange(rows) != row
        for target in range(2):
            weights = ridge.solve(design[kept], y[kept, target], 3.0)
            refit = y[row, target] - design[row] @ weights
            assert errors[row, target] == pytest.approx(refit, abs=1e-9)


def test_losses_are_the_squares_of_left_out_errors():
    random = np.random.default_rng(5)
    spectrum, y = ridge.decompose(random.normal(size=(40, 7))), random.normal(size=(40, 2))

    losses = spectrum.losses(y)

    squares = [(spectrum.left_out(y, penalty) ** 2).sum(axis=0) for penalty in ridge.PENALTIES]
    np.testing.assert_allclose(losses, squares, rtol=1e-9)


@pytest.mark.parametrize(("rows", "columns"), [(12, 30), (40, 7)])
def test_weights_solve_the_normal_equations(rows, columns):
    random = np.random.default_rng(2)
    design, y = random.normal(size=(rows, columns)), random.normal(size=rows)

    weights = ridge.solve(design, y, 0.5)

    np.testing.assert_allclose(design.T @ (y - design @ weights), 0.5 * weights, atol=1e-9)


def test_columns_that_depend_on_each_other_do_no_harm():
    column = np.random.default_rng(3).normal(size=(20, 1))
    design, y = np.hstack([column, column, 0 * column]), column[:, 0]

    errors = ridge.decompose(design).left_out(y[:, None], 0.1)

    assert np.isfinite(errors).all()
    np.testing.assert_allclose(ridge.solve(design, y, 0.1)[2], 0.0)


def columns(*rows_by_column: range, rows: int = 60) -> np.ndarray:
    """Return features that are on in the given rows."""
    x = np.zeros((rows, len(rows_by_column)), np.float32)
    for column, chosen in enumerate(rows_by_column):
        x[list(chosen), column] = 1
    return x


def test_pairs_are_on_together_in_twenty_rows():
    x = columns(range(40), range(20, 60), range(21, 59))

    assert choose_pairs(x).tolist() == [[0, 1]]


def test_a_feature_that_implies_another_makes_no_pair_with_it():
    assert choose_pairs(columns(range(30), range(50))).tolist() == []


def test_of_features_that_are_alike_the_first_makes_pairs():
    x = columns(range(40), range(40), range(15, 60))

    assert choose_pairs(x).tolist() == [[0, 2]]


def test_too_many_pairs_leave_the_commonest():
    share = np.linspace(0.3, 0.9, 60)
    x = (np.random.default_rng(4).random((400, 60)) < share).astype(np.float32)

    pairs = choose_pairs(x)

    together = x.T @ x
    kept = together[pairs[:, 0], pairs[:, 1]]
    assert len(pairs) == MOST_PAIRS
    assert kept.min() >= np.sort(together[np.triu_indices(60, k=1)])[-MOST_PAIRS] - 1


def test_products_stand_behind_the_features():
    x = np.array([[0.5, 1.0], [1.0, 0.0]], np.float32)

    phi = multiply(x, np.array([[0, 1]], np.int32))

    assert phi.tolist() == [[1.0, 0.5, 1.0, 0.5], [1.0, 1.0, 0.0, 0.0]]
