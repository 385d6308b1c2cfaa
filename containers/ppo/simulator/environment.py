"""The simulator as a Gymnasium environment, `sommelier/Incidents-v0`: one incident an episode.
Trains nothing; many incidents at once are in `vectorised`."""

from typing import Any, ClassVar

import gymnasium
import numpy as np
from simulator.incidents import ACTIONS, ESCALATE, SYMPTOMS_SHARE, Situation
from simulator.observing import default_features, observer
from simulator.play import act, begin
from simulator.policies import allowed

ENVIRONMENT_ID = "sommelier/Incidents-v0"

_MASKS = allowed(Situation(0, 0, 0, np.arange(1 << ESCALATE), 0)).astype(np.int8)


class IncidentEnvironment(gymnasium.Env[np.ndarray, np.int64]):
    """A step is an action with its default parameters; the reward has no noise.

    Observations are the features by name, each within 0..1. `info` holds `action_mask`:
    int8, 0 for what would be a useless repeat. The horizon is part of the task, so an episode is
    terminated by it and never truncated.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": []}

    def __init__(self, features: tuple[str, ...] | None = None) -> None:
        names = default_features() if features is None else features
        self.action_space = gymnasium.spaces.Discrete(len(ACTIONS))
        self.observation_space = gymnasium.spaces.Box(0.0, 1.0, (len(names),), np.float32)
        self._observer = observer(names)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed, options=options)
        self._incident = begin(self.np_random)
        self._symptoms = int(self.np_random.random() < SYMPTOMS_SHARE)
        return self._observe(), self._info()

    def step(self, action: np.int64) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        outcome = act(self._incident, int(action), self.np_random)
        self._incident = outcome.incident
        reward = float(outcome.factors.sum())
        return self._observe(), reward, outcome.done, False, self._info()

    def action_masks(self) -> np.ndarray:
        """What the guard leaves, bool; the name that maskable algorithms call."""
        return self._info()["action_mask"].astype(bool)

    def _observe(self) -> np.ndarray:
        return self._observer.observe(self._incident.situation, self._symptoms)

    def _info(self) -> dict[str, Any]:
        return {"action_mask": _MASKS[self._incident.situation.taken].copy()}


gymnasium.register(ENVIRONMENT_ID, entry_point=IncidentEnvironment)
