"""Steps logged over HTTP, and what then lies in S3."""

import json
from typing import Any

from chalicelib.kit import aws
from chalicelib.kit.settings import settings
from tests.builders.episodes import make_step
from tests.builders.http import Reply, post_json


def log_steps(*steps: Any) -> Reply:
    return post_json("/api/episodes", {"steps": steps})


def make_steps(count: int, *, first: int = 0, episode: str = "ep-1") -> list[dict[str, Any]]:
    return [
        make_step(episode_id=episode, step=number, done=False)
        for number in range(first, first + count)
    ]


def objects(tenant: str) -> dict[str, bytes]:
    """The files of the tenant's episodes, by key."""
    bucket, found = settings().bucket, aws.s3()
    listed = found.list_objects_v2(Bucket=bucket, Prefix=f"episodes/{tenant}/").get("Contents", [])
    return {
        one["Key"]: found.get_object(Bucket=bucket, Key=one["Key"])["Body"].read() for one in listed
    }


def lines(tenant: str) -> list[dict[str, Any]]:
    """All that is written, in the order of episodes and steps."""
    read = [json.loads(line) for file in objects(tenant).values() for line in file.splitlines()]
    return sorted(read, key=lambda line: (line["episode_id"], line["step"]))
