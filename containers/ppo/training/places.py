"""Where SageMaker puts what a job reads, and looks for what it leaves.
https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-running-container.html
Reads the environment once; knows nothing of learning."""

import json
import os
import traceback
from pathlib import Path
from typing import Any, NamedTuple

FAILURE_CHARACTERS = 1_024
"""So much of the failure file becomes the job's FailureReason."""
UNTOLD = "killed before it could say why; too little memory is the usual reason"
_OWN = Path(__file__).resolve().parents[1]


class ConfigurationRefused(Exception):
    """What SageMaker laid down beside the data cannot be read; one sentence names the file."""


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

    @property
    def failure(self) -> Path:
        return self.base / "output" / "failure"

    def hyperparameters(self) -> dict[str, Any]:
        """All values are strings; no file means none were given. Raises ConfigurationRefused."""
        path = self.base / "input" / "config" / "hyperparameters.json"
        try:
            found = json.loads(path.read_bytes()) if path.is_file() else {}
        except ValueError as error:
            raise ConfigurationRefused(f"{path} is not JSON: {error}") from error
        if not isinstance(found, dict):
            raise ConfigurationRefused(f"{path} is not a JSON object")
        return found

    def reserve_failure(self) -> None:
        """Take the room of a failure file while there is some, for the day the disk is full."""
        self.failure.parent.mkdir(parents=True, exist_ok=True)
        self.failure.write_text(UNTOLD, encoding="utf-8")

    def clear_failure(self) -> None:
        self.failure.unlink(missing_ok=True)

    def write_failure(self, reason: str) -> None:
        """Write over what is reserved, where it lies: a new file may not find room."""
        self.failure.parent.mkdir(parents=True, exist_ok=True)
        with self.failure.open("r+b" if self.failure.is_file() else "wb") as file:
            file.write(reason[:FAILURE_CHARACTERS].encode(errors="backslashreplace"))
            file.truncate()


def reason_of(error: BaseException) -> str:
    """The cause first: type, message, and where in our own code it came up last."""
    named = f"{type(error).__name__}: {error}".strip()
    frames = traceback.extract_tb(error.__traceback__)
    own = [each for each in frames if Path(each.filename).resolve().is_relative_to(_OWN)]
    if not own:
        return named[:FAILURE_CHARACTERS]
    where = f" (at {Path(own[-1].filename).name}:{own[-1].lineno})"
    return named[: FAILURE_CHARACTERS - len(where)] + where
