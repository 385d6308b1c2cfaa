"""Sommelier's code, one folder per feature.
Nothing lives here but what must be set before the first of it is imported."""

import gc

# Nearly all that imports make stays: looking through it for garbage takes a tenth of a cold start.
gc.set_threshold(20_000, 10, 10)
