"""A checkpoint is given back whole to its own job, and to no other."""

import errno
from typing import Any

import numpy as np
import pytest
from training import checkpoints
from training.checkpoints import FILE, Checkpoint, fingerprint_of

CURVE = [{"steps": 40_960, "mean_return": None}, {"steps": 81_920, "mean_return": -1.0000000001}]


def make_checkpoint(**changes: Any) -> Checkpoint:
    arrays = {"weights": np.arange(6, dtype=np.float32).reshape(2, 3), "updates": np.array(20)}
    return Checkpoint(arrays, CURVE)._replace(**changes)


def test_arrays_and_curve_come_back_as_they_were(tmp_path):
    kept = make_checkpoint(arrays={"turned": np.arange(6.0).reshape(2, 3).T, "n": np.array(7)})

    checkpoints.keep(tmp_path / "new", "mine", kept)

    found = checkpoints.find(tmp_path / "new", "mine")
    assert found.curve == CURVE
    assert {name: (a.dtype, a.tolist()) for name, a in found.arrays.items()} == {
        name: (a.dtype, a.tolist()) for name, a in kept.arrays.items()
    }


def test_the_last_checkpoint_takes_the_place_of_the_one_before(tmp_path):
    checkpoints.keep(tmp_path, "mine", make_checkpoint(curve=CURVE[:1]))

    checkpoints.keep(tmp_path, "mine", make_checkpoint())

    assert checkpoints.find(tmp_path, "mine").curve == CURVE
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_the_checkpoint_of_another_job_is_passed_over(tmp_path):
    checkpoints.keep(tmp_path, "other", make_checkpoint())

    assert checkpoints.find(tmp_path, "mine") is None


def test_no_checkpoint_is_none(tmp_path):
    assert checkpoints.find(tmp_path / "missing", "mine") is None


@pytest.mark.parametrize("size", [0, 1, 8, 100, -8, -1])
def test_a_checkpoint_that_was_cut_short_is_passed_over(tmp_path, size):
    checkpoints.keep(tmp_path, "mine", make_checkpoint())
    content = (tmp_path / FILE).read_bytes()

    (tmp_path / FILE).write_bytes(content[:size])

    assert checkpoints.find(tmp_path, "mine") is None


def test_a_full_disk_is_told_and_leaves_the_checkpoint_before(tmp_path):
    checkpoints.keep(tmp_path, "mine", make_checkpoint(curve=CURVE[:1]))
    (tmp_path / f".{FILE}.draft").symlink_to("/dev/full")

    with pytest.raises(OSError, match="No space left") as full:
        checkpoints.keep(tmp_path, "mine", make_checkpoint())

    assert full.value.errno == errno.ENOSPC
    assert checkpoints.find(tmp_path, "mine").curve == CURVE[:1]


def test_the_fingerprint_is_the_same_for_the_same_and_knows_no_order():
    one, two = np.arange(3.0), np.ones((2, 2))

    assert fingerprint_of({"a": 1, "b": 2}, {"one": one, "two": two}) == fingerprint_of(
        {"b": 2, "a": 1}, {"two": two.copy(), "one": one.copy()}
    )


OTHERS = {
    "another number": ({"a": 1}, {"one": np.array([0.0, 1.0, 2.5])}),
    "another setting": ({"a": 2}, {"one": np.arange(3.0)}),
    "another shape": ({"a": 1}, {"one": np.arange(3.0).reshape(3, 1)}),
    "another name": ({"a": 1}, {"two": np.arange(3.0)}),
}


@pytest.mark.parametrize("named", sorted(OTHERS))
def test_the_fingerprint_tells_other_jobs_apart(named):
    settings, tensors = OTHERS[named]

    assert fingerprint_of(settings, tensors) != fingerprint_of({"a": 1}, {"one": np.arange(3.0)})
