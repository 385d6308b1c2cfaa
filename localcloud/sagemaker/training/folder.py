"""A job's /opt/ml: what the container finds there, and what it left there.
Nothing here starts a process or changes a job's state."""

import gzip
import json
import math
import re
import shutil
import tarfile
from pathlib import Path

from localcloud.sagemaker.storage import TrainingJob
from localcloud.sagemaker.wire import JsonObject

HOST = "algo-1"
MAX_METRICS_LOG_BYTES = 64 * 1024 * 1024


class JobFolder:
    """The folder of one attempt at a job: ml/ is /opt/ml, and the log lies beside it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.base = path / "ml"
        self.data = self.base / "input" / "data"
        self.log_path = path / "job.log"
        self.checkpoints = self.base / "checkpoints"

    def lay_out(self, job: TrainingJob) -> None:
        """Make the empty folders and the files under input/config."""
        self.remove()
        for name in ("input/config", "input/data", "model", "output/data", "checkpoints"):
            (self.base / name).mkdir(parents=True)
        config = self.base / "input" / "config"
        resources = job.request["ResourceConfig"]
        group = {
            "instance_group_name": "homogeneousCluster",
            "instance_type": resources["InstanceType"],
            "hosts": [HOST],
        }
        contents: dict[str, JsonObject] = {
            "hyperparameters": job.request.get("HyperParameters", {}),
            "inputdataconfig": {
                channel["ChannelName"]: _channel_config(channel, job)
                for channel in job.request.get("InputDataConfig", [])
            },
            "resourceconfig": {
                "current_host": HOST,
                "current_instance_type": resources["InstanceType"],
                "current_group_name": group["instance_group_name"],
                "hosts": [HOST],
                "instance_groups": [group],
                "network_interface_name": "lo",
            },
        }
        for name, content in contents.items():
            (config / f"{name}.json").write_text(json.dumps(content))

    def pack(self, name: str) -> Path:
        """An archive of a folder under ml/: the same bytes for the same files."""
        archive_path = self.path / f"{name.replace('/', '-')}.tar.gz"
        root = self.base / name
        with (
            archive_path.open("wb") as raw,
            gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) as packed,
            tarfile.open(fileobj=packed, mode="w") as archive,
        ):
            for path in sorted(root.rglob("*")):
                archive.add(path, path.relative_to(root), recursive=False, filter=_anonymous)
        return archive_path

    def has_files(self, name: str) -> bool:
        return any((self.base / name).rglob("*"))

    def failure_text(self) -> str:
        """What the container wrote to output/failure; "" when it wrote nothing."""
        path = self.base / "output" / "failure"
        if not path.is_file():
            return ""
        with path.open(errors="replace") as file:
            return file.read(2048)

    def find_metrics(self, definitions: list[JsonObject], *, at: float) -> list[JsonObject]:
        """The last number that each definition's regex finds in the log."""
        if not definitions or not self.log_path.exists():
            return []
        with self.log_path.open("rb") as file:
            log = file.read(MAX_METRICS_LOG_BYTES).decode(errors="replace")
        values = {one["Name"]: _last_number(one["Regex"], log) for one in definitions}
        return [
            {"MetricName": name, "Value": value, "Timestamp": at}
            for name, value in values.items()
            if value is not None
        ]

    def remove(self) -> None:
        """Drop everything but the log."""
        shutil.rmtree(self.base, ignore_errors=True)
        for archive in self.path.glob("*.tar.gz"):
            archive.unlink()


def _channel_config(channel: JsonObject, job: TrainingJob) -> JsonObject:
    source = channel["DataSource"]["S3DataSource"]
    config = {
        "TrainingInputMode": job.request["AlgorithmSpecification"]["TrainingInputMode"],
        "S3DistributionType": source.get("S3DataDistributionType", "FullyReplicated"),
        "RecordWrapperType": "None",
    }
    if "ContentType" in channel:
        config["ContentType"] = channel["ContentType"]
    return config


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mtime = 0
    member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
    return member


def _last_number(regex: str, log: str) -> float | None:
    found = None
    for match in re.finditer(regex, log):
        found = match
    if found is None or not found.groups():
        return None
    try:
        value = float(found[1])
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None
