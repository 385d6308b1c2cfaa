"""Several questions, one alpha: Holm's step-down adjustment across challengers and guardrails.
Makes no p-value; those come from comparisons, or from evidence by always_valid_p."""

from collections.abc import Sequence


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Adjusted p-values, in the order given: those <= alpha may be rejected (Holm 1979).

    Valid whatever depends on what. Always-valid p-values stay valid at any look, because the
    adjustment is monotone in each of them: evidence needs no procedure of its own.
    """
    adjusted = [0.0] * len(p_values)
    reached = 0.0
    by_size = sorted(range(len(p_values)), key=p_values.__getitem__)
    for rank, index in enumerate(by_size):
        reached = max(reached, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = reached
    return tuple(adjusted)
