"""Chooses which products of two features the reward model uses.
Looks at the features only, never at a reward."""

import hashlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

LEAST_ROWS = 20
"""In which both features of a pair are on together."""
MOST_PAIRS = 1_000


def choose_pairs(x: NDArray[np.float32]) -> NDArray[np.int32]:
    """Return shape (pairs, 2), in order; the commonest pairs where there are too many.

    x: shape (rows, features). A product that equals a feature or another product is left out: of
    features that are always alike only the first counts, and what implies another needs no pair.
    """
    columns = np.ascontiguousarray(x.T)
    digests = [_digest(column) for column in columns]
    first = sorted({digest: i for i, digest in reversed(list(enumerate(digests)))}.values())
    seen = set(digests)
    kept: list[tuple[int, int]] = []
    for i, j in _commonest_first(columns, first):
        product = _digest(columns[i] * columns[j])
        if product not in seen and len(kept) < MOST_PAIRS:
            seen.add(product)
            kept.append((i, j))
    return np.array(sorted(kept), np.int32).reshape(-1, 2)


def multiply(x: NDArray[np.float32], pairs: NDArray[np.int32]) -> NDArray[np.float64]:
    """Return (1, features, products), shape (rows, 1 + features + pairs)."""
    x = x.astype(np.float64)
    ones = np.ones((len(x), 1))
    return np.concatenate([ones, x, x[:, pairs[:, 0]] * x[:, pairs[:, 1]]], axis=1)


def _commonest_first(
    columns: NDArray[np.float32], candidates: list[int]
) -> Iterator[tuple[int, int]]:
    is_on = (columns[candidates] > 0).astype(np.float64)
    together = is_on @ is_on.T
    at, by = np.nonzero(np.triu(together >= LEAST_ROWS, k=1))
    for k in np.lexsort((by, at, -together[at, by])):
        yield candidates[at[k]], candidates[by[k]]


def _digest(column: NDArray[np.float32]) -> bytes:
    return hashlib.blake2b(column.tobytes(), digest_size=16).digest()
