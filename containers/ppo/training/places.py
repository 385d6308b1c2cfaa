"""Where SageMaker puts what a job reads, and looks for what it leaves.
https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-running-container.html
Reads the environment once; knows nothing of learning."""

import json
import os
from pathlib import Path
from typing import Any, NamedTuple

FAILURE_CHARACTERS = 1_024
"""So much of the failure file becomes the job's FailureReason."""


class Places(NamedTuple):
    """Folders below /opt/ml, or below SAGEMAKER_BASE_DIR where there is no container."""

    base: Path

    @classmethod
    def of_environment(cls) -> "Places":
        return cls(Path(os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml")))

    @property
    def episodes(self) -> Path:
        return self.base / "input" / "data" / "episodes"

    @property
    def model(self) -> Path:
        """SageMaker packs it as model.tar.gz."""
        return self.base / "model"

    @property
    def output(self) -> Path:
        """SageMaker packs it as output.tar.gz."""
        return self.base / "output" / "data"

    @property
    def checkpoints(self) -> Path:
        """Kept in S3 while the job runs, and given back to a job that is started again."""
        return self.base / "checkpoints"

    def hyperparameters(self) -> dict[str, Any]:
        """All values are strings; no file means none were given."""
        path = self.base / "input" / "config" / "hyperparameters.json"
        return json.loads(path.read_bytes()) if path.is_file() else {}

    def write_failure(self, reason: str) -> None:
        path = self.base / "output" / "failure"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(reason[:FAILURE_CHARACTERS])


def reason_of(error: BaseException) -> str:
    """The cause first: type, message, and where in our own code it was raised last."""
    named = f"{type(error).__name__}: {error}".strip()
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    if frame is None:
        return named
    where = f"{Path(frame.tb_frame.f_code.co_filename).name}:{frame.tb_lineno}"
    return f"{named[: FAILURE_CHARACTERS - len(where) - 6]} (at {where})"
