"""Settings of the process, read from SageMaker's variables and two of our own.
The only place that reads the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

CGROUP_QUOTA = Path("/sys/fs/cgroup/cpu.max")
MAX_WORKERS = 64


class InvalidSetting(ValueError):
    """A variable is set to something that cannot be meant."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What serve needs to know."""

    model_dir: Path
    """SAGEMAKER_BASE_DIR/model; read-only on SageMaker."""
    host: str
    """SCORER_BIND_HOST; the image sets 0.0.0.0, outside of it the default is this machine only."""
    port: int
    """SAGEMAKER_BIND_TO_PORT, 8080 by default."""
    workers: int
    """SAGEMAKER_MODEL_SERVER_WORKERS; each loads the model once."""
    threads: int
    """SCORER_THREADS of onnxruntime in each worker; by default the CPUs divided by the workers."""


def read_settings(environ: Mapping[str, str] = os.environ) -> Settings:
    """Read and check; raises InvalidSetting naming variable and value."""
    workers = _read_int(environ, "SAGEMAKER_MODEL_SERVER_WORKERS", default=1, most=MAX_WORKERS)
    threads = max(1, count_cpus() // workers)
    return Settings(
        model_dir=Path(environ.get("SAGEMAKER_BASE_DIR", "/opt/ml")) / "model",
        host=environ.get("SCORER_BIND_HOST", "127.0.0.1"),
        port=_read_int(environ, "SAGEMAKER_BIND_TO_PORT", default=8080, most=65_535),
        workers=workers,
        threads=_read_int(environ, "SCORER_THREADS", default=threads, most=256),
    )


def count_cpus() -> int:
    """Count the CPUs this process may use: its affinity, and the container's quota if any."""
    available = len(os.sched_getaffinity(0))
    try:
        quota, period = CGROUP_QUOTA.read_text().split()
        return max(1, min(available, int(quota) // int(period)))
    except (OSError, ValueError):  # no cgroup v2, or no quota ("max")
        return available


def _read_int(environ: Mapping[str, str], name: str, *, default: int, most: int) -> int:
    text = environ.get(name, "").strip()
    if not text:
        return default
    if not text.isdecimal() or not 1 <= int(text) <= most:
        raise InvalidSetting(f"{name} is {text!r}; it must be a number from 1 to {most}")
    return int(text)
