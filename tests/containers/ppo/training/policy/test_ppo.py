"""PPO on a game so small that its optimum is known by heart.
A card is drawn of three. Looking at it costs 0.1 and shows it; naming it ends the game and pays 1,
or -1 if wrong. Look, then name: 0.9. Naming blindly, the best at once, is worth -1/3."""

from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load, save
from training.policy.networks import probabilities_of, values_of
from training.policy.ppo import PpoSettings, Progress, Snapshot, SnapshotRefused, train

OPTIMUM = 0.9
LOOK = 0
SMALL = PpoSettings(
    steps=30_000, environments=64, rollout=8, chunk=5, learning_rate=0.01, entropy=0.2
)
BRIEF = replace(SMALL, steps=64 * 8 * 6, chunk=2)


class Game(NamedTuple):
    card: jax.Array
    looked: jax.Array
    steps: jax.Array


class Cards:
    """looking_again: what it pays, though the guard forbids it."""

    actions = ("LOOK", "NAME_0", "NAME_1", "NAME_2")
    width = 4
    horizon = 4

    def __init__(self, *, looking_again: float = -0.1) -> None:
        self.looking_again = looking_again

    def reset(self, key: jax.Array, count: int) -> Game:
        card = jax.random.randint(key, (count,), 0, 3)
        return Game(card, jnp.zeros(count, bool), jnp.zeros(count, jnp.int32))

    def step(
        self, state: Game, action: jax.Array, key: jax.Array
    ) -> tuple[Game, jax.Array, jax.Array]:
        is_look = action == LOOK
        named = jnp.where(action - 1 == state.card, 1.0, -1.0)
        price = jnp.where(state.looked, self.looking_again, -0.1)
        steps = state.steps + 1
        done = ~is_look | (steps >= self.horizon)
        return (
            Game(state.card, state.looked | is_look, steps),
            jnp.where(is_look, price, named),
            done,
        )

    def observe(self, state: Game) -> jax.Array:
        shown = jax.nn.one_hot(state.card, 3) * state.looked[:, None]
        return jnp.concatenate([state.looked[:, None], shown], axis=1).astype(jnp.float32)

    def allowed(self, state: Game) -> jax.Array:
        return jnp.ones((len(state.card), 4), bool).at[:, LOOK].set(~state.looked)


CARDS = Cards()
"""One for all tests: compiling takes longer than learning."""
TEMPTING = Cards(looking_again=100)
SEEN = np.array([[0, 0, 0, 0], [1, 1, 0, 0], [1, 0, 1, 0], [1, 0, 0, 1]], np.float32)
"""Observations: nothing yet, then each card."""
ALLOWED = np.array([[1, 1, 1, 1], [0, 1, 1, 1], [0, 1, 1, 1], [0, 1, 1, 1]], bool)


def value_of(tensors: dict[str, np.ndarray]) -> float:
    """Expected return of an episode, exactly."""
    chances = probabilities_of(tensors, SEEN, ALLOWED)
    right = np.mean([chances[1 + card, 1 + card] for card in range(3)])
    return float(chances[0, LOOK] * (2 * right - 1 - 0.1) + (1 - chances[0, LOOK]) * (-1 / 3))


class Diary:
    """Remembers all chunks; asks to stop after some updates."""

    def __init__(self, *, stop_after: int | None = None) -> None:
        self.stop_after = stop_after
        self.snapshots: list[Snapshot] = []
        self.progress: list[Progress] = []

    def __call__(self, snapshot: Snapshot, progress: Progress) -> bool:
        self.snapshots.append(snapshot)
        self.progress.append(progress)
        return self.stop_after is not None and progress.updates >= self.stop_after


def bytes_of(tensors: dict[str, np.ndarray]) -> bytes:
    return save(tensors)


@pytest.fixture(scope="module")
def learnt() -> tuple[dict[str, np.ndarray], Diary]:
    diary = Diary()
    return train(CARDS, SMALL, on_chunk=diary).tensors, diary


def test_it_learns_to_look_before_it_names_the_card(learnt):
    tensors, _ = learnt

    assert value_of(tensors) > OPTIMUM - 0.02


def test_the_critic_tells_what_the_game_is_worth_from_here(learnt):
    tensors, _ = learnt

    values = values_of(tensors, SEEN)

    assert values == pytest.approx([OPTIMUM, 1, 1, 1], abs=0.15)


def test_a_game_that_does_not_pay_the_look_is_played_blindly():
    class Dear(Cards):
        def step(self, state, action, key):
            following, reward, done = super().step(state, action, key)
            return following, jnp.where(action == LOOK, -3.0, reward), done

    tensors = train(Dear(), SMALL).tensors

    assert probabilities_of(tensors, SEEN, ALLOWED)[0, LOOK] < 0.02


def test_the_tensors_are_float32_and_named_as_in_the_artifact(learnt):
    tensors, _ = learnt

    shapes = {name: tensor.shape for name, tensor in tensors.items()}

    assert {tensor.dtype for tensor in tensors.values()} == {np.dtype(np.float32)}
    assert shapes == {
        "policy.hidden1.weights": (4, 64),
        "policy.hidden1.bias": (64,),
        "policy.hidden2.weights": (64, 64),
        "policy.hidden2.bias": (64,),
        "policy.logits.weights": (64, 4),
        "policy.logits.bias": (4,),
        "value.hidden1.weights": (4, 64),
        "value.hidden1.bias": (64,),
        "value.hidden2.weights": (64, 64),
        "value.hidden2.bias": (64,),
        "value.output.weights": (64, 1),
        "value.output.bias": (1,),
    }


def test_the_same_seed_gives_the_same_bytes_and_another_one_does_not():
    first, again = (bytes_of(train(CARDS, BRIEF).tensors) for _ in range(2))
    other = bytes_of(train(CARDS, replace(BRIEF, seed=2)).tensors)

    assert first == again
    assert first != other


def test_learning_that_stopped_goes_on_to_the_same_bytes():
    diary = Diary(stop_after=4)
    whole = train(CARDS, BRIEF)
    train(CARDS, BRIEF, on_chunk=diary)
    stored = save(dict(diary.snapshots[-1].arrays))

    resumed = train(CARDS, BRIEF, resume=Snapshot(load(stored)))

    assert Snapshot(load(stored)).updates == 4
    assert bytes_of(resumed.tensors) == bytes_of(whole.tensors)


def test_a_snapshot_stays_as_it_was_taken_while_learning_goes_on():
    stopped, whole = Diary(stop_after=2), Diary()
    train(CARDS, BRIEF, on_chunk=stopped)
    train(CARDS, BRIEF, on_chunk=whole)

    assert save(dict(whole.snapshots[0].arrays)) == save(dict(stopped.snapshots[0].arrays))


def test_a_finished_snapshot_gives_its_policy_at_once():
    diary, nothing = Diary(), Diary()
    whole = train(CARDS, BRIEF, on_chunk=diary)

    again = train(CARDS, BRIEF, resume=diary.snapshots[-1], on_chunk=nothing)

    assert nothing.progress == []
    assert bytes_of(again.tensors) == bytes_of(whole.tensors)


@pytest.mark.parametrize("change", ["environments", "seed", "steps"])
def test_a_snapshot_of_another_training_is_refused(change):
    diary = Diary(stop_after=2)
    train(CARDS, BRIEF, on_chunk=diary)
    other = replace(BRIEF, **{change: 2 * getattr(BRIEF, change)})

    with pytest.raises(SnapshotRefused):
        train(CARDS, other, resume=diary.snapshots[-1])


def test_a_learner_that_is_told_to_stop_returns_the_policy_so_far():
    diary = Diary(stop_after=2)

    policy = train(CARDS, BRIEF, on_chunk=diary)

    assert [each.updates for each in diary.progress] == [2]
    assert probabilities_of(policy.tensors, SEEN, ALLOWED).sum(axis=1) == pytest.approx(1)


def test_what_the_guard_forbids_is_never_done_however_well_it_would_pay():
    diary = Diary()

    train(TEMPTING, BRIEF, on_chunk=diary)

    assert max(each.mean_return for each in diary.progress) <= 1


def test_without_the_guard_everything_may_be_done():
    diary = Diary()

    train(TEMPTING, replace(BRIEF, guarded=False), on_chunk=diary)

    assert diary.progress[-1].mean_return > 1


def test_forbidden_actions_have_no_probability_at_all(learnt):
    tensors, _ = learnt

    chances = probabilities_of(tensors, SEEN, ALLOWED)

    assert (chances[~ALLOWED] == 0).all()


def test_the_learning_rate_falls_evenly_to_zero(learnt):
    _, diary = learnt

    rates = [each.learning_rate for each in diary.progress]

    expected = [SMALL.learning_rate * (1 - each.updates / SMALL.updates) for each in diary.progress]
    assert rates == pytest.approx(expected)
    assert rates[-1] == 0


def test_the_last_updates_change_less_than_the_first(learnt):
    _, diary = learnt
    taken = [each.arrays["tensors/policy.logits.weights"] for each in diary.snapshots]

    moves = [float(np.abs(b - a).max()) for a, b in pairwise(taken)]

    assert moves[-1] < moves[0] / 5


def test_steps_are_rounded_up_to_whole_updates_and_all_are_told():
    diary = Diary()
    settings = replace(BRIEF, steps=64 * 8 * 4 + 1, chunk=2)

    train(CARDS, settings, on_chunk=diary)

    assert [each.steps for each in diary.progress] == [1024, 2048, 2560]


def test_returns_and_episodes_are_those_of_the_game(learnt):
    _, diary = learnt
    last = diary.progress[-1]

    # Looking and naming takes two of the 64 x 8 x updates steps.
    games = 64 * 8 * (last.updates - diary.progress[-2].updates) / 2

    assert last.mean_return == pytest.approx(OPTIMUM, abs=0.1)
    assert last.episodes == pytest.approx(games, rel=0.1)
