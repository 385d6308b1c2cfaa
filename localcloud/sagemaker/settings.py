"""What the server is told at its start: addresses, folders, interpreters and limits.
Nothing here reads the environment or the command line; __main__ does."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """One server's settings; every duration is in real seconds, never on the server's own clock."""

    state_dir: Path
    container_roots: tuple[Path, ...]
    venv_root: Path
    host: str = "127.0.0.1"
    port: int = 4570
    aws_endpoint: str = "http://127.0.0.1:4566"
    account: str = "123456789012"
    region: str = "us-east-1"
    python_by_container: Mapping[str, Path] = field(default_factory=dict)
    realtime_start_timeout_s: float = 480
    serverless_start_timeout_s: float = 180
    invoke_timeout_s: float = 60
    stop_grace_s: float = 30
    training_stop_grace_s: float = 120
    """What StopTrainingJob leaves between SIGTERM and SIGKILL."""
    checkpoint_sync_s: float = 1
    """Between two copies of a running job's checkpoints to S3."""

    def arn(self, kind: str, name: str) -> str:
        """The ARN of a SageMaker resource; AWS writes the name in lower case."""
        return f"arn:aws:sagemaker:{self.region}:{self.account}:{kind}/{name.lower()}"
