"""Learns the catalogue from a log, and makes the log arrays that are split by episode.
Knows no rewards: which actions, parameters and features exist is all that is learnt here."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from statistics import median_low
from typing import NamedTuple

import numpy as np
from reward.catalogue import ActionKind, Catalogue, ChoiceParam, NumberDetail, NumberParam
from reward.features import Encoder, names_of
from reward.questions import Action, State
from training.episodes.channel import ChannelRefused, Episode, Step
from training.episodes.dataset import Dataset, Rows

MINIMUM_EPISODES = 10
"""Fewer cannot be split in three."""
FIT_SHARE, CALIBRATION_SHARE = 0.6, 0.2
"""The rest is the test's."""
EPISODES_OF_A_FEATURE = 5
MOST_FEATURES = 300
MOST_CHOICES = 50


class Learnt(NamedTuple):
    """dropped: actions too rare for the catalogue, and how many rows went with each."""

    dataset: Dataset
    dropped: dict[str, int]


class _Row(NamedTuple):
    episode: int
    step: int
    told: Step
    result: str


def learn(episodes: Sequence[Episode], *, seed: int, minimum_observations: int = 5) -> Learnt:
    """Learn from what `read_episodes` gave; its order and the seed decide everything.

    Raises ChannelRefused where fewer than ten episodes are left, or no action is common enough.
    """
    counts = Counter(step.action.type for one in episodes for step in one.steps)
    kept = {type_ for type_, times in counts.items() if times >= minimum_observations}
    if not kept:
        raise ChannelRefused(f"no action was taken {minimum_observations} times in the log")
    rows = [row for row in _rows(episodes) if row.told.action.type in kept]
    used = sorted({row.episode for row in rows})
    if len(used) < MINIMUM_EPISODES:
        raise ChannelRefused(
            f"the log has {len(used)} episodes to learn from, not at least {MINIMUM_EPISODES}"
        )
    catalogue = _learn_catalogue(rows, horizon=max(map(_length, episodes)))
    part = _split([episodes[i].id for i in used], seed)
    part_by_episode = np.zeros(len(episodes), np.intp)
    part_by_episode[used] = part
    arrays = _encode(catalogue, rows)
    fit, calibration, test = (arrays.where(part_by_episode[arrays.episode] == i) for i in range(3))
    dropped = {type_: counts[type_] for type_ in sorted(counts.keys() - kept)}
    return Learnt(Dataset(catalogue, fit, calibration, test), dropped)


def encode(catalogue: Catalogue, episodes: Sequence[Episode]) -> Rows:
    """Encode another log by a catalogue; steps whose action it does not know are left out."""
    return _encode(
        catalogue, [row for row in _rows(episodes) if row.told.action.type in catalogue.types]
    )


def _rows(episodes: Sequence[Episode]) -> Iterator[_Row]:
    for number, episode in enumerate(episodes):
        steps = dict(episode.numbered())
        for k, step in steps.items():
            following = steps.get(k + 1)
            yield _Row(number, k, step, _result(step.action, following and following.state))


def _length(episode: Episode) -> int:
    """Steps, with those that were taken before the log began."""
    return max(1 + max(k, len(one.state.actions_taken)) for k, one in episode.numbered())


def _result(action: Action, following: State | None) -> str:
    if following is None or not following.actions_taken:
        return ""
    last = following.actions_taken[-1]
    return (last.result or "") if last.type == action.type else ""


def _split(ids: list[str], seed: int) -> np.ndarray:
    """Return 0 (fit), 1 (calibration) or 2 (test) for each episode."""
    key = seed.to_bytes(8, "big", signed=True)
    digests = [hashlib.blake2b(id_.encode(), key=key, digest_size=16).digest() for id_ in ids]
    order = np.array(sorted(range(len(ids)), key=digests.__getitem__))
    fit = round(len(ids) * FIT_SHARE)
    calibration = round(len(ids) * CALIBRATION_SHARE)
    part = np.full(len(ids), 2)
    part[order[:fit]] = 0
    part[order[fit : fit + calibration]] = 1
    return part


def _learn_catalogue(rows: list[_Row], *, horizon: int) -> Catalogue:
    features, numbers = _learn_features(rows)
    actions: dict[str, list[Action]] = defaultdict(list)
    for row in rows:
        actions[row.told.action.type].append(row.told.action)
    kinds = tuple(_learn_kind(type_, actions[type_]) for type_ in sorted(actions))
    return Catalogue(features, kinds, numbers, horizon)


def _learn_features(rows: list[_Row]) -> tuple[tuple[str, ...], dict[str, NumberDetail]]:
    names_by_episode: dict[int, set[str]] = defaultdict(set)
    seen: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        names = names_by_episode[row.episode]
        names.update(names_of(row.told.state))
        for key, value in row.told.state.details.items():
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                names.add(f"number:{key}")
                seen[f"number:{key}"].append(float(value))
    counts = Counter(name for names in names_by_episode.values() for name in names)
    common = [name for name, times in counts.items() if times >= EPISODES_OF_A_FEATURE]
    commonest = sorted(common, key=lambda name: (-counts[name], name))[: MOST_FEATURES - 1]
    numbers = {
        name.removeprefix("number:"): NumberDetail(min(seen[name]), max(seen[name]))
        for name in sorted(commonest)
        if name in seen
    }
    return tuple(sorted([*commonest, "steps"])), numbers


def _learn_kind(type_: str, actions: list[Action]) -> ActionKind:
    values: dict[str, list[bool | float | str]] = defaultdict(list)
    for action in actions:
        for name, value in action.params.items():
            values[name].append(value)
    params = (_learn_param(name, values[name]) for name in sorted(values))
    return ActionKind(
        type=type_,
        params=tuple(param for param in params if param is not None),
        observations=len(actions),
        half_width=0.0,
        leverage_limit=0.0,
    )


def _learn_param(name: str, values: list[bool | float | str]) -> NumberParam | ChoiceParam | None:
    numbers = [float(v) for v in values if not isinstance(v, (bool, str))]
    if len(numbers) == len(values):
        return NumberParam(name, min(numbers), max(numbers), median_low(numbers))
    texts = Counter(str(v).lower() if isinstance(v, bool) else str(v) for v in values)
    commonest = sorted(texts, key=lambda text: (-texts[text], text))[:MOST_CHOICES]
    return ChoiceParam(name, tuple(sorted(commonest)), commonest[0])


def _encode(catalogue: Catalogue, rows: list[_Row]) -> Rows:
    encoder = Encoder(catalogue)
    kind = np.array([encoder.action_index[row.told.action.type] for row in rows], np.intp)
    states = np.empty(len(rows), object)
    x = np.empty((len(rows), encoder.width), np.float32)
    u = np.empty((len(rows), encoder.columns), np.float32)
    for i, row in enumerate(rows):
        states[i] = row.told.state
        x[i] = encoder.encode(row.told.state)
        u[i] = encoder.encode_params(catalogue.actions[kind[i]], row.told.action)
    return Rows(
        states=states,
        x=x,
        kind=kind,
        u=u,
        factors=np.array([row.told.factors for row in rows], np.float64),
        reward=np.array([row.told.reward for row in rows], np.float64),
        propensity=np.array([row.told.propensity for row in rows], np.float64),
        result=np.array([row.result for row in rows], np.str_),
        done=np.array([row.told.done for row in rows], np.bool_),
        episode=np.array([row.episode for row in rows], np.intp),
        step=np.array([row.step for row in rows], np.intp),
    )
