"""What a log teaches of its actions and features, and how it is split."""

from typing import Any

import numpy as np
import pytest
from reward.catalogue import ChoiceParam, NumberParam
from reward.features import Encoder
from reward.questions import Action, State, TakenAction
from training.episodes.channel import ChannelRefused, Episode, Step
from training.episodes.learning import encode, learn


def make_step(type_: str = "RESTART", *, done: bool = True, **changes: Any) -> Step:
    state = State("Slow", changes.pop("severity", "sev-1"), **changes.pop("state", {}))
    action = Action(type_, changes.pop("params", {}))
    return Step(state, action, 1.0, (1.0, 0.0, 0.0, 0.0), changes.pop("propensity", None), done)


def make_log(count: int = 20, **changes: Any) -> list[Episode]:
    return [Episode(f"ep-{i:03}", (make_step(**changes),)) for i in range(count)]


def test_rare_actions_leave_the_catalogue_and_are_reported():
    log = make_log(20) + [Episode(f"rare-{i}", (make_step("DANCE"),)) for i in range(4)]

    learnt = learn(log, seed=1, minimum_observations=5)

    assert learnt.dataset.catalogue.types == ("RESTART",)
    assert learnt.dropped == {"DANCE": 4}


def test_parameters_that_are_numbers_have_a_range_and_a_median():
    log = [Episode(f"{i:02}", (make_step(params={"n": float(i)}),)) for i in range(10)]

    (kind,) = learn(log, seed=1).dataset.catalogue.actions

    assert kind.params == (NumberParam("n", 0.0, 9.0, 4.0),)
    assert kind.observations == 10


def test_other_parameters_are_choices_and_the_commonest_is_the_default():
    modes = ["soft"] * 6 + ["hard"] * 4
    log = [
        Episode(f"{i:02}", (make_step(params={"mode": mode, "drain": i > 3}),))
        for i, mode in enumerate(modes)
    ]

    (kind,) = learn(log, seed=1).dataset.catalogue.actions

    assert kind.params == (
        ChoiceParam("drain", ("false", "true"), "true"),
        ChoiceParam("mode", ("hard", "soft"), "soft"),
    )


def test_features_count_by_episode_and_not_by_step():
    often = tuple(make_step(severity="sev-9", done=False) for _ in range(9))
    log = [*make_log(20), Episode("often", often)]

    catalogue = learn(log, seed=1).dataset.catalogue

    assert catalogue.features == ("severity=sev-1", "steps", "word:slow")
    assert catalogue.horizon == 9


def test_no_more_features_than_a_model_can_hold_and_the_commonest_stay():
    tags = [f"tag{i:03}" for i in range(400)]
    log = make_log(10, state={"details": {"tags": tags}}) + make_log(3)
    log = [Episode(f"{i:02}", episode.steps) for i, episode in enumerate(log)]

    features = learn(log, seed=1).dataset.catalogue.features

    assert len(features) == 300
    assert {"severity=sev-1", "steps", "word:slow"} < set(features)


def test_numbers_in_states_become_features_with_their_range():
    log = [
        Episode(f"{i:02}", (make_step(state={"details": {"load": float(i), "on": True}}),))
        for i in range(11)
    ]

    dataset = learn(log, seed=1).dataset

    assert (dataset.catalogue.numbers["load"].low, dataset.catalogue.numbers["load"].high) == (
        0,
        10,
    )
    column = dataset.catalogue.features.index("number:load")
    rows = (dataset.fit, dataset.calibration, dataset.test)
    np.testing.assert_allclose(
        sorted(np.concatenate([part.x[:, column] for part in rows])), np.arange(11) / 10, atol=1e-6
    )


def test_the_next_step_tells_what_an_action_led_to():
    after = {"actions_taken": (TakenAction("RESTART", {}, "failed"),)}
    steps = (make_step(done=False), make_step(state=after, done=False), make_step(state=after))
    log = [Episode(f"{i:02}", steps) for i in range(10)]

    rows = learn(log, seed=1).dataset.fit

    assert set(zip(rows.step.tolist(), rows.result.tolist(), strict=True)) == {
        (0, "failed"),
        (1, "failed"),
        (2, ""),
    }


def test_every_episode_is_in_one_part_and_three_fifths_are_fitted():
    log = [Episode(f"{i:03}", (make_step(done=False), make_step())) for i in range(100)]

    dataset = learn(log, seed=1).dataset

    parts = [
        set(part.episode.tolist()) for part in (dataset.fit, dataset.calibration, dataset.test)
    ]
    assert [len(part) for part in parts] == [60, 20, 20]
    assert set.union(*parts) == set(range(100))


def test_the_seed_decides_the_split():
    one, same, other = (learn(make_log(50), seed=seed).dataset.fit.episode for seed in (1, 1, 2))

    assert one.tolist() == same.tolist()
    assert one.tolist() != other.tolist()


def test_nine_episodes_are_refused():
    with pytest.raises(ChannelRefused, match="has 9 episodes"):
        learn(make_log(9), seed=1)


def test_a_log_of_rare_actions_only_is_refused():
    with pytest.raises(ChannelRefused, match="no action was taken 50 times"):
        learn(make_log(20), seed=1, minimum_observations=50)


def test_another_log_is_encoded_by_a_catalogue_without_its_unknown_actions():
    catalogue = learn(make_log(20), seed=1).dataset.catalogue
    other = [Episode("other", (make_step("DANCE", done=False), make_step(propensity=0.5)))]

    rows = encode(catalogue, other)

    assert rows.step.tolist() == [1]
    assert rows.propensity.tolist() == [0.5]


def test_what_was_taken_before_the_log_began_counts_as_steps():
    before = tuple(TakenAction("RESTART") for _ in range(3))
    log = make_log(20, state={"actions_taken": before})

    catalogue = learn(log, seed=1).dataset.catalogue

    assert catalogue.horizon == 4
    assert Encoder(catalogue).look(log[0].steps[0].state).strange == []


def test_a_result_is_not_read_across_a_missing_step():
    later = {"actions_taken": (TakenAction("RESTART", {}, "failed"),)}
    steps = (make_step(done=False), make_step(state=later))
    log = [Episode(f"{i:02}", steps, (0, 2)) for i in range(20)]

    parts = learn(log, seed=1).dataset

    assert set(parts.fit.result) == {""}
    assert sorted(set(parts.fit.step)) == [0, 2]
