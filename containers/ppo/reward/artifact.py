"""The artifact on disk: manifest.json, weights.safetensors, sample.json. No pickles, no code.
Written the same way for the same model, and believed only after every check."""

import hashlib
import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from reward import questions
from reward.catalogue import FACTORS, ActionKind, Catalogue, NumberParam
from reward.model import RewardModel, shapes
from reward.predictor import Predictor
from reward.problems import ArtifactRefused, InvalidQuestion, ModelFailed
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

FORMAT = "sommelier-ppo/1"
MANIFEST, WEIGHTS, SAMPLE = "manifest.json", "weights.safetensors", "sample.json"
LARGEST_MANIFEST_BYTES = 1024 * 1024
LARGEST_WEIGHTS_BYTES = 256 * 1024 * 1024
TOLERANCE = 1e-3
"""Of a reward on another machine: its sums run in another order there."""


class Golden(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A question and what the trainer's machine answered."""

    question: dict[str, Any]
    reward: float
    value: float


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the artifact promises; training: how it came about, for people to read."""

    format: str
    catalogue: Catalogue
    tensors: dict[str, tuple[str, tuple[int, ...]]]
    weights_sha256: str
    weights_bytes: int
    golden: tuple[Golden, ...]
    training: dict[str, Any]


def write(folder: Path, model: RewardModel, *, samples: list[Any], training: Any) -> str:
    """Write the three files and return the version; the same model gives the same bytes.

    samples: questions as documents, the first one for smoke tests; all are answered again at every
    load. training: anything JSON can hold, without times and names of machines.
    """
    weights = save_tensors({name: np.asarray(each) for name, each in model.tensors.items()})
    predictor = Predictor(model)
    manifest = Manifest(
        format=FORMAT,
        catalogue=model.catalogue,
        tensors={name: _shape(each) for name, each in sorted(model.tensors.items())},
        weights_sha256=hashlib.sha256(weights).hexdigest(),
        weights_bytes=len(weights),
        golden=tuple(_golden(predictor, sample) for sample in samples),
        training=training,
    )
    encoded = msgspec.json.format(msgspec.json.encode(manifest, order="sorted"), indent=1)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / WEIGHTS).write_bytes(weights)
    (folder / SAMPLE).write_bytes(_sample(samples[0]))
    (folder / MANIFEST).write_bytes(encoded)
    return version_of(encoded)


def _sample(question: Any) -> bytes:
    return json.dumps(question, indent=1, sort_keys=True).encode() + b"\n"


def version_of(manifest: bytes) -> str:
    return "sha256:" + hashlib.sha256(manifest).hexdigest()[:16]


def load(folder: Path, *, pinned_sha256: str | None = None) -> RewardModel:
    """Read and verify; raises ArtifactRefused with one sentence.

    pinned_sha256: of the manifest, known from elsewhere, so that nobody can write both.
    """
    _refuse_strangers(folder)
    encoded = _read(folder / MANIFEST, LARGEST_MANIFEST_BYTES)
    if pinned_sha256 is not None and hashlib.sha256(encoded).hexdigest() != pinned_sha256:
        raise ArtifactRefused(f"{MANIFEST} is not the one whose SHA-256 was pinned")
    manifest = _decode(encoded)
    weights = _read(folder / WEIGHTS, LARGEST_WEIGHTS_BYTES)
    if len(weights) != manifest.weights_bytes:
        raise ArtifactRefused(
            f"{WEIGHTS} has {len(weights)} bytes, {MANIFEST} says {manifest.weights_bytes}"
        )
    if hashlib.sha256(weights).hexdigest() != manifest.weights_sha256:
        raise ArtifactRefused(f"{WEIGHTS} has another SHA-256 than {MANIFEST} says")
    if _read(folder / SAMPLE, LARGEST_MANIFEST_BYTES) != _sample(manifest.golden[0].question):
        raise ArtifactRefused(f"{SAMPLE} is not the first golden question of {MANIFEST}")
    model = RewardModel(manifest.catalogue, _tensors(weights, manifest), version_of(encoded))
    _prove(model, manifest.golden)
    return model


def _refuse_strangers(folder: Path) -> None:
    if not folder.is_dir():
        raise ArtifactRefused(f"{folder} is no folder")
    for path in sorted(folder.iterdir()):
        if path.name not in (MANIFEST, WEIGHTS, SAMPLE):
            raise ArtifactRefused(f"{path.name[:100]!r} does not belong to the artifact")
        if path.is_symlink() or not path.is_file():
            raise ArtifactRefused(f"{path.name} is no plain file")


def _read(path: Path, largest_bytes: int) -> bytes:
    try:
        if path.stat().st_size > largest_bytes:
            raise ArtifactRefused(f"{path.name} is larger than {largest_bytes} bytes")
        return path.read_bytes()
    except FileNotFoundError as error:
        raise ArtifactRefused(f"{path.name} is missing") from error
    except OSError as error:
        raise ArtifactRefused(f"{path.name} cannot be read: {error.strerror}") from error


def _decode(encoded: bytes) -> Manifest:
    try:
        manifest = msgspec.json.decode(encoded, type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ArtifactRefused(f"{MANIFEST} is invalid: {error}") from error
    if manifest.format != FORMAT:
        raise ArtifactRefused(f"format {manifest.format[:50]!r} is not {FORMAT!r}")
    _refuse_catalogue(manifest.catalogue)
    if not manifest.golden:
        raise ArtifactRefused(f"{MANIFEST} has no golden question")
    return manifest


def _refuse_catalogue(catalogue: Catalogue) -> None:
    """Refuse what types cannot say, and what an answer would stumble over."""
    for what, names in (("features", catalogue.features), ("actions", catalogue.types)):
        if not names or len(set(names)) < len(names):
            raise ArtifactRefused(f"{MANIFEST} names no {what}, or one of them twice")
    numbers = {f"number:{name}" for name in catalogue.numbers}
    if numbers != {name for name in catalogue.features if name.startswith("number:")}:
        raise ArtifactRefused(f"{MANIFEST} has numbers without a feature, or the other way round")
    is_sound = (
        catalogue.factors == FACTORS
        and catalogue.horizon >= 1
        and 0.0 < catalogue.coverage < 1.0
        and all(seen.low <= seen.high for seen in catalogue.numbers.values())
        and all(map(_is_sound, catalogue.actions))
    )
    if not is_sound:
        raise ArtifactRefused(f"{MANIFEST} has a catalogue whose numbers contradict each other")


def _is_sound(kind: ActionKind) -> bool:
    names = [param.name for param in kind.params]
    return (
        len(set(names)) == len(names)
        and kind.half_width >= 0.0
        and kind.leverage_limit >= 0.0
        and all(
            param.low <= param.default <= param.high
            if isinstance(param, NumberParam)
            else param.default in param.choices and len(set(param.choices)) == len(param.choices)
            for param in kind.params
        )
    )


def _tensors(weights: bytes, manifest: Manifest) -> dict[str, Any]:
    try:
        tensors = load_tensors(weights)
    except (SafetensorError, ValueError) as error:
        raise ArtifactRefused(f"{WEIGHTS} is invalid: {str(error)[:200]}") from error
    pairs = len(tensors.get("reward.pairs", ()))
    wanted = shapes(manifest.catalogue, pairs)
    found = {name: _shape(each) for name, each in tensors.items()}
    if found != wanted or manifest.tensors != wanted:
        wrong = sorted(name for name in wanted | found if wanted.get(name) != found.get(name))
        raise ArtifactRefused(f"tensors do not fit the catalogue: {', '.join(wrong)[:200]}")
    if not all(np.isfinite(each).all() for each in tensors.values()):
        raise ArtifactRefused("a tensor holds numbers that are not finite")
    index = tensors["reward.pairs"]
    if pairs and not (index.min() >= 0 and index.max() < len(manifest.catalogue.features)):
        raise ArtifactRefused("reward.pairs points outside of the features")
    return tensors


def _shape(tensor: Any) -> tuple[str, tuple[int, ...]]:
    return str(tensor.dtype), tuple(tensor.shape)


def _golden(predictor: Predictor, sample: Any) -> Golden:
    """By the way of batches, so that `_prove` tells whether the short way agrees with it."""
    (answer,) = predictor.answer([questions.read_question(sample)])
    return Golden(sample, answer["reward"], answer["value"])


def _prove(model: RewardModel, golden: tuple[Golden, ...]) -> None:
    predictor = Predictor(model)
    for one in golden:
        try:
            answer = predictor.answer_one(questions.read_question(one.question))
            off = max(abs(answer["reward"] - one.reward), abs(answer["value"] - one.value))
        except (InvalidQuestion, ModelFailed, KeyError) as error:
            raise ArtifactRefused(f"a golden question is not answered: {error}") from error
        if not off <= TOLERANCE:
            raise ArtifactRefused(f"a golden question is answered otherwise, by {off:.3g}")
