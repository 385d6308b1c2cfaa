"""The Gymnasium face of the simulator."""

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from simulator.environment import ENVIRONMENT_ID, IncidentEnvironment
from simulator.exact import value_of
from simulator.policies import draw_evenly


def test_gymnasium_finds_no_fault_with_the_registered_environment():
    check_env(gymnasium.make(ENVIRONMENT_ID).unwrapped)


def test_the_same_seed_plays_the_same_episode():
    first, second = IncidentEnvironment(), IncidentEnvironment()

    assert _play(first, seed=4) == _play(second, seed=4)


def _play(environment: IncidentEnvironment, *, seed: int) -> list[tuple[float, bool]]:
    environment.reset(seed=seed)
    steps = [environment.step(np.int64(action)) for action in (0, 6, 5)]
    return [(reward, done) for _, reward, done, _, _ in steps]


def test_the_mask_forbids_what_was_taken():
    environment = IncidentEnvironment()
    environment.reset(seed=1)

    _, _, done, truncated, info = environment.step(np.int64(1))

    assert (done, truncated) == (False, False)
    assert info["action_mask"].tolist() == [1, 0, 1, 1, 1, 1, 1, 1]
    assert environment.action_masks().tolist() == [each == 1 for each in info["action_mask"]]


def test_an_observation_has_the_given_features_in_the_given_order():
    environment = IncidentEnvironment(("steps", "taken:DIAGNOSE", "colour=blue"))
    environment.reset(seed=1)

    observation, *_ = environment.step(np.int64(0))

    assert observation.tolist() == pytest.approx([1 / 8, 1, 0])


def test_random_play_earns_the_exact_value_of_random():
    environment = IncidentEnvironment()
    random = np.random.default_rng(9)
    returns = []
    for episode in range(2_500):
        environment.reset(seed=episode)
        done, total = False, 0.0
        while not done:
            _, reward, done, _, _ = environment.step(random.integers(8))
            total += reward
        returns.append(total)

    error = np.std(returns) / np.sqrt(len(returns))
    assert np.mean(returns) == pytest.approx(value_of(draw_evenly()), abs=4 * error)
