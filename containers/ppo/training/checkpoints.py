"""What PPO has learnt so far, on disk, so that a job that was stopped goes on where it was.
Knows no algorithm: arrays, and the points of the learning curve beside them."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

FILE = "ppo.safetensors"


class Checkpoint(NamedTuple):
    """curve: what JSON holds of each chunk so far."""

    arrays: dict[str, NDArray[Any]]
    curve: list[Any]


def fingerprint_of(settings: Any, tensors: Mapping[str, NDArray[Any]]) -> str:
    """Of all that a checkpoint hangs on; settings: anything JSON can hold."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(name.encode() + str(tensor.shape).encode() + tensor.tobytes())
    return digest.hexdigest()


def keep(folder: Path, fingerprint: str, found: Checkpoint) -> None:
    """Replace the last one; whoever dies meanwhile leaves one of the two, whole."""
    folder.mkdir(parents=True, exist_ok=True)
    about = {"fingerprint": fingerprint, "curve": json.dumps(found.curve)}
    draft = folder / f".{FILE}.draft"
    draft.write_bytes(
        save({name: np.asarray(a, order="C") for name, a in found.arrays.items()}, about)
    )
    os.replace(draft, folder / FILE)


def find(folder: Path, fingerprint: str) -> Checkpoint | None:
    """None where there is none of this job: other data, other settings, or a file cut short."""
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="numpy") as file:
            about = file.metadata() or {}
            if about.get("fingerprint") != fingerprint:
                return None
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return Checkpoint(arrays, json.loads(about["curve"]))
    except (SafetensorError, OSError, ValueError, KeyError):
        return None
