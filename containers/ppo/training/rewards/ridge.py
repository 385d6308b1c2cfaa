"""Ridge regression in closed form, and its leave-one-out errors for many penalties at once.
Plain linear algebra in float64: knows no actions and no features."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

PENALTIES = np.geomspace(0.1, 1_000.0, 17)
_NEGLIGIBLE = 1e-10


class Spectrum(NamedTuple):
    """Of a design B, scaled so that every column has the same penalty.

    values: the squared singular values of B. basis: its left singular vectors, (rows, values).
    """

    values: Floats
    basis: Floats

    def hat(self, y: Floats, penalty: float) -> Floats:
        """Return the fitted values; y: shape (rows, targets)."""
        return self.basis @ (self._shrinkage(penalty)[:, None] * (self.basis.T @ y))

    def left_out(self, y: Floats, penalty: float) -> Floats:
        """Return y minus what the fit without its own row predicts of it; y: (rows, targets)."""
        leverage = (self.basis * self.basis) @ self._shrinkage(penalty)
        return (y - self.hat(y, penalty)) / (1.0 - leverage)[:, None]

    def losses(self, y: Floats) -> Floats:
        """Return sums of squared leave-one-out errors, shape (PENALTIES, targets)."""
        shrinkage = self._shrinkage(PENALTIES[:, None]).T
        kept = 1.0 - (self.basis * self.basis) @ shrinkage
        found = [
            (((target[:, None] - self.basis @ (shrinkage * turned[:, None])) / kept) ** 2).sum(
                axis=0
            )
            for target, turned in zip(y.T, (self.basis.T @ y).T, strict=True)
        ]
        return np.stack(found, axis=1)

    def _shrinkage(self, penalty: float | Floats) -> Floats:
        return self.values / (self.values + penalty)


def decompose(design: Floats) -> Spectrum:
    """design: shape (rows, columns)."""
    rows, columns = design.shape
    if rows <= columns:
        values, basis = np.linalg.eigh(design @ design.T)
        return Spectrum(np.maximum(values, 0.0), basis)
    values, vectors = np.linalg.eigh(design.T @ design)
    kept = values > _NEGLIGIBLE * values[-1]
    return Spectrum(values[kept], design @ vectors[:, kept] / np.sqrt(values[kept]))


def solve(design: Floats, y: Floats, penalty: float) -> Floats:
    """Return the weights, shape (columns,); y: shape (rows,)."""
    rows, columns = design.shape
    if rows <= columns:
        return design.T @ np.linalg.solve(design @ design.T + penalty * np.eye(rows), y)
    return np.linalg.solve(design.T @ design + penalty * np.eye(columns), design.T @ y)
