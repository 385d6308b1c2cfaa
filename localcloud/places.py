"""Where the offline cloud listens and keeps its files; the account it plays.
Nothing here starts anything."""

import os
import socket
from dataclasses import dataclass
from pathlib import Path

ACCOUNT = "123456789012"
REGION = "us-east-1"
STACK = "sommelier-dev"
HOST = "127.0.0.1"
ROOT_KEY = "test"
"""Access key and secret of the account's root, which no policy limits."""


@dataclass(frozen=True)
class Ports:
    """The three doors of the cloud."""

    aws: int = 4566
    sagemaker: int = 4570
    api: int = 8000

    @classmethod
    def from_environment(cls) -> "Ports":
        """Read SOMMELIER_AWS_PORT, SOMMELIER_SAGEMAKER_PORT and SOMMELIER_API_PORT."""
        default = cls()
        return cls(
            aws=int(os.environ.get("SOMMELIER_AWS_PORT", default.aws)),
            sagemaker=int(os.environ.get("SOMMELIER_SAGEMAKER_PORT", default.sagemaker)),
            api=int(os.environ.get("SOMMELIER_API_PORT", default.api)),
        )

    @classmethod
    def free(cls) -> "Ports":
        """Pick ports that nobody listens on now, for tests beside a running cloud."""
        with socket.socket() as one, socket.socket() as two, socket.socket() as three:
            for each in (one, two, three):
                each.bind((HOST, 0))
            return cls(*(each.getsockname()[1] for each in (one, two, three)))


@dataclass(frozen=True)
class Places:
    """Folders and files of one cloud, all under the project's .local unless a test says else."""

    root: Path
    state: Path
    logs: Path

    @classmethod
    def of(cls, root: Path, state: Path | None = None) -> "Places":
        """state: a folder of its own for another cloud of the same project; logs go into it."""
        if state is None:
            return cls(root, root / ".local" / "cloud", root / ".local" / "logs")
        return cls(root, state, state / "logs")

    @property
    def build(self) -> Path:
        """Where the packaged app that this cloud runs lies."""
        return self.state / "build"
