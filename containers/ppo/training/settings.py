"""Hyperparameters of a training job: SageMaker hands all of them over as strings.
Nothing here knows what they do."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec

Count = Annotated[int, msgspec.Meta(ge=1, le=1_000_000_000)]
_SDK_PREFIX = "sagemaker_"


class SettingsRefused(Exception):
    """A hyperparameter is unknown or out of range; one sentence says which, and what is taken."""


class Hyperparameters(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=False
):
    """One training job; every default suits a log of a few thousand episodes."""

    seed: Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)] = 1
    """Of the split, of PPO and of the bootstrap: the same log and seed give the same artifact."""
    simulator: Literal["learned", "incidents"] = "learned"
    """What PPO is trained in: learnt from the log, or the one that ships with the container."""
    simulated_episodes: Annotated[int, msgspec.Meta(ge=0, le=200_000)] = 0
    """Log so many episodes of the shipped simulator where no channel `episodes` is given."""
    minimum_episodes: Count = 50
    minimum_observations: Count = 5
    """Rarer actions are left out of the catalogue."""
    ppo_steps: Count = 1_000_000
    """Steps of the simulated environments."""
    ppo_environments: Annotated[int, msgspec.Meta(ge=1, le=4_096)] = 256
    """Simulated side by side; half as many learn more from fewer steps, and take longer a step."""
    ppo_learning_rate: Annotated[float, msgspec.Meta(gt=0, le=0.1)] = 0.004
    pessimism: Annotated[float, msgspec.Meta(ge=0, le=100)] = 1.0
    """How many standard errors a learnt reward is lowered where the log is thin."""
    guarded: bool = True
    """Never propose an action type that was taken already."""


def read_hyperparameters(given: Mapping[str, Any]) -> Hyperparameters:
    """Raises SettingsRefused. What SageMaker's own SDK adds for its containers is passed over."""
    ours = {key: text for key, text in given.items() if not key.startswith(_SDK_PREFIX)}
    unknown = sorted(ours.keys() - set(Hyperparameters.__struct_fields__))
    if unknown:
        known = ", ".join(Hyperparameters.__struct_fields__)
        raise SettingsRefused(f"hyperparameter {unknown[0][:80]!r} is unknown; known are {known}")
    try:
        return msgspec.convert(ours, Hyperparameters, strict=False)
    except msgspec.ValidationError as error:
        because, _, at = str(error).partition(" - at `$.")
        name = at.rstrip("`")
        because = because[:1].lower() + because[1:].removesuffix(", got `str`")
        raise SettingsRefused(
            f"hyperparameter {name} cannot be {str(ours.get(name))[:80]!r}: {because}"
        ) from error
