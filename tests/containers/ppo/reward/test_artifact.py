"""Artifacts: equal bytes for equal models, and every way to break one refused by name."""

import hashlib
import json
import os
import pickle
import struct

import numpy as np
import pytest
from builders import GUIDE, make_model, write_artifact
from reward import artifact
from reward.predictor import Predictor
from reward.problems import ArtifactRefused
from reward.questions import read_question
from safetensors.numpy import load, save

WEIGHTS, MANIFEST = artifact.WEIGHTS, artifact.MANIFEST


@pytest.fixture
def folder(tmp_path):
    write_artifact(tmp_path / "model")
    return tmp_path / "model"


def change_manifest(folder, change):
    document = json.loads((folder / MANIFEST).read_bytes())
    change(document)
    (folder / MANIFEST).write_text(json.dumps(document))


def put_weights(folder, content):
    """Write other weights and a manifest that believes in them."""
    (folder / WEIGHTS).write_bytes(content)
    change_manifest(
        folder,
        lambda document: document.update(
            weights_sha256=hashlib.sha256(content).hexdigest(), weights_bytes=len(content)
        ),
    )


def change_tensors(folder, change):
    tensors = {name: each.copy() for name, each in load((folder / WEIGHTS).read_bytes()).items()}
    change(tensors)
    put_weights(folder, save(tensors))


def flip_a_byte(folder):
    content = bytearray((folder / WEIGHTS).read_bytes())
    content[-7] ^= 1
    (folder / WEIGHTS).write_bytes(content)


def replace_by_link(folder):
    target = folder.parent / "elsewhere"
    os.rename(folder / WEIGHTS, target)
    (folder / WEIGHTS).symlink_to(target)


def add_nan(tensors):
    tensors["value.output.bias"][0] = np.nan


def cut_a_tensor(tensors):
    tensors["policy.logits.bias"] = tensors["policy.logits.bias"][:-1]


def widen_a_tensor(tensors):
    tensors["policy.logits.bias"] = tensors["policy.logits.bias"].astype(np.float64)


def take_other_weights(tensors):
    tensors.update(make_model(seed=1).tensors)


def point_outside(tensors):
    tensors["reward.pairs"][0, 0] = 60


def claim_a_terabyte(folder):
    put_weights(folder, struct.pack("<Q", 2**40) + b"{}")


def overlap_tensors(folder):
    entry = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    head = json.dumps({"a": entry, "b": entry}).encode()
    put_weights(folder, struct.pack("<Q", len(head)) + head + bytes(8))


FAULTS = {
    "a flipped byte": (flip_a_byte, "another SHA-256"),
    "a truncation": (lambda f: os.truncate(f / WEIGHTS, 1000), "has 1000 bytes"),
    "no weights": (lambda f: (f / WEIGHTS).unlink(), "weights.safetensors is missing"),
    "no sample": (lambda f: (f / artifact.SAMPLE).unlink(), "sample.json is missing"),
    "another sample": (lambda f: (f / artifact.SAMPLE).write_text("{}"), "first golden question"),
    "no manifest": (lambda f: (f / MANIFEST).unlink(), "manifest.json is missing"),
    "an extra file": (lambda f: (f / "inference.py").write_text("1"), "'inference.py' does not"),
    "an extra folder": (lambda f: (f / "code").mkdir(), "'code' does not belong"),
    "a link": (replace_by_link, "no plain file"),
    "a pickle": (lambda f: put_weights(f, pickle.dumps([1])), "weights.safetensors is invalid"),
    "a giant header": (claim_a_terabyte, "weights.safetensors is invalid"),
    "tensors that overlap": (overlap_tensors, "weights.safetensors is invalid"),
    "an empty file": (lambda f: put_weights(f, b""), "weights.safetensors is invalid"),
    "NaN": (lambda f: change_tensors(f, add_nan), "not finite"),
    "a wrong shape": (lambda f: change_tensors(f, cut_a_tensor), "policy.logits.bias"),
    "a wrong type": (lambda f: change_tensors(f, widen_a_tensor), "policy.logits.bias"),
    "other weights": (lambda f: change_tensors(f, take_other_weights), "answered otherwise"),
    "a pair outside": (lambda f: change_tensors(f, point_outside), "outside of the features"),
    "a manifest that is no JSON": (
        lambda f: (f / MANIFEST).write_bytes(b"\x80\x04"),
        "manifest.json is invalid",
    ),
    "a manifest nested deeply": (
        lambda f: (f / MANIFEST).write_bytes(b'{"training":' + b"[" * 100_000),
        "manifest.json is invalid",
    ),
    "a giant manifest": (
        lambda f: (f / MANIFEST).write_bytes(b" " * 2_000_000),
        "larger than 1048576 bytes",
    ),
    "another format": (lambda f: change_manifest(f, lambda d: d.update(format="x")), "format 'x'"),
    "no golden question": (
        lambda f: change_manifest(f, lambda d: d.update(golden=[])),
        "no golden question",
    ),
    "a golden ranking": (
        lambda f: change_manifest(f, lambda d: d["golden"][0]["question"].pop("proposedAction")),
        "first golden question",
    ),
    "a feature twice": (
        lambda f: change_manifest(f, lambda d: d["catalogue"]["features"].append("steps")),
        "names no features, or one of them twice",
    ),
    "a number without a feature": (
        lambda f: change_manifest(f, lambda d: d["catalogue"]["numbers"].clear()),
        "numbers without a feature",
    ),
    "a negative width": (
        lambda f: change_manifest(
            f, lambda d: d["catalogue"]["actions"][0].update(half_width=-1.0)
        ),
        "contradict each other",
    ),
    "a default that is no choice": (
        lambda f: change_manifest(
            f, lambda d: d["catalogue"]["actions"][3]["params"][0].update(default="x")
        ),
        "contradict each other",
    ),
}


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_a_broken_artifact_is_refused_by_name(folder, fault):
    cause, sentence = FAULTS[fault]

    cause(folder)

    with pytest.raises(ArtifactRefused, match=sentence):
        artifact.load(folder)


def test_an_artifact_in_order_answers_as_its_model(folder):
    loaded = Predictor(artifact.load(folder))

    question = read_question(GUIDE)
    original = Predictor(make_model()).answer_one(question)
    assert loaded.answer_one(question) == original | {"modelVersion": loaded.version}


def test_tampering_that_fits_together_is_refused_by_the_pin(folder):
    pin = hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()
    write_artifact(folder, make_model(seed=1))

    artifact.load(folder)
    with pytest.raises(ArtifactRefused, match="pinned"):
        artifact.load(folder, pinned_sha256=pin)


def test_the_right_pin_is_accepted(folder):
    pin = hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()

    assert artifact.load(folder, pinned_sha256=pin).version == f"sha256:{pin[:16]}"


def test_a_folder_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(ArtifactRefused, match="is no folder"):
        artifact.load(tmp_path / "model")


def test_equal_models_give_equal_bytes(tmp_path):
    versions = [write_artifact(tmp_path / name) for name in ("one", "two")]

    assert versions[0] == versions[1]
    for name in (MANIFEST, WEIGHTS, artifact.SAMPLE):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
