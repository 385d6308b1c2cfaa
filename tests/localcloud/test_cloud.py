"""Starting and stopping the cloud: bases alone, a restart, a killed parent, a second start."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from localcloud.cloud import AlreadyRunning, Cloud, running, running_pid
from localcloud.environment import REPOSITORY
from localcloud.places import Places, Ports

START_TIMEOUT_S = 60.0


def test_the_bases_of_the_real_app_start_without_packaging_it(tmp_path: Path) -> None:
    with running(REPOSITORY, state=tmp_path, app=False) as bases:
        table = bases.app_environment["CONTROL_TABLE"]
        keys = bases.client("secretsmanager").get_secret_value(
            SecretId=bases.app_environment["RECEIPT_KEYS_SECRET"]
        )
        described = bases.client("dynamodb").describe_table(TableName=table)["Table"]
        versioning = bases.client("s3").get_bucket_versioning(Bucket=bases.bucket)

    assert described["KeySchema"][0] == {"AttributeName": "pk", "KeyType": "HASH"}
    assert versioning["Status"] == "Enabled"
    assert json.loads(keys["SecretString"])["current"] == "k1"
    assert not [pid for pid in pids(bases) if exists(pid)]


def test_the_bases_of_the_real_app_carry_its_queues_and_the_key_of_units(tmp_path: Path) -> None:
    with running(REPOSITORY, state=tmp_path, app=False) as bases:
        names, sqs = bases.app_environment, bases.client("sqs")
        sqs.send_message(QueueUrl=names["OUTCOMES_QUEUE_URL"], MessageBody="outcome")
        sqs.send_message(QueueUrl=names["SHADOW_QUEUE_URL"], MessageBody="copy")
        got = [
            sqs.receive_message(QueueUrl=names[name])["Messages"][0]["Body"]
            for name in ("OUTCOMES_QUEUE_URL", "SHADOW_QUEUE_URL")
        ]
        table = bases.client("dynamodb").describe_time_to_live(TableName=names["OUTCOMES_TABLE"])
        key = bases.client("secretsmanager").get_secret_value(SecretId=names["UNIT_KEY_SECRET"])

    assert got == ["outcome", "copy"]
    assert table["TimeToLiveDescription"]["AttributeName"] == "expires_at"
    assert len(key["SecretString"]) == 64


def test_a_restart_finds_everything_and_deploys_nothing(toy: Path, tmp_path: Path) -> None:
    with running(toy, state=tmp_path) as before:
        before.client("s3").put_object(Bucket=before.bucket, Key="kept", Body=b"bytes")
        row = {"pk": {"S": "a"}, "sk": {"S": "b"}}
        table = before.stack.resources["ControlTable"]
        before.client("dynamodb").put_item(TableName=table, Item=row)

    with running(toy, state=tmp_path) as after:
        body = after.client("s3").get_object(Bucket=after.bucket, Key="kept")["Body"].read()
        found = after.client("dynamodb").get_item(TableName=table, Key=row)["Item"]
        events = after.client("cloudformation").describe_stack_events(StackName="sommelier-dev")
        answer = after.client("lambda").invoke(FunctionName=after.function("worker"))

    assert (body, found) == (b"bytes", row)
    assert after.stack.resources == before.stack.resources
    updates = [e for e in events["StackEvents"] if e["ResourceStatus"].startswith("UPDATE")]
    assert updates == []
    assert "FunctionError" not in answer


def test_no_process_outlives_a_parent_killed_without_warning(toy: Path, tmp_path: Path) -> None:
    ports = Ports.free()
    parent = start(toy, tmp_path, ports)
    children = descendants(parent.pid)
    assert len(children) >= 3

    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()

    wait_until(lambda: not [pid for pid in children if exists(pid)])
    assert running_pid(Places.of(toy, tmp_path)) is None


def test_a_killed_emulator_has_kept_what_was_written_a_while_ago(tmp_path: Path) -> None:
    row = {"pk": {"S": "a"}, "sk": {"S": "earlier"}}
    with running(REPOSITORY, state=tmp_path, app=False) as before:
        table = before.app_environment["CONTROL_TABLE"]
        # A save writes a file for each service: only the next one shows that this one has ended.
        for name in ("earlier", "later"):
            item = {"pk": {"S": "a"}, "sk": {"S": name}}
            before.client("dynamodb").put_item(TableName=table, Item=item)
            wait_until(lambda name=name: f'{{"S": "{name}"}}'.encode() in saved_tables(tmp_path))
        emulator = next(each for each in before.processes if each.name == "ministack")
        os.killpg(emulator.pid, signal.SIGKILL)

    with running(REPOSITORY, state=tmp_path, app=False) as after:
        found = after.client("dynamodb").get_item(TableName=table, Key=row)

    assert found["Item"] == row


def test_a_signal_stops_the_whole_tree(toy: Path, tmp_path: Path) -> None:
    parent = start(toy, tmp_path, Ports.free())
    children = descendants(parent.pid)

    parent.terminate()

    assert parent.wait(START_TIMEOUT_S) == 0
    assert not [pid for pid in children if exists(pid)]


def test_a_second_start_on_the_same_state_is_refused(cloud: Cloud) -> None:
    places = cloud.places

    with (
        pytest.raises(AlreadyRunning, match=f"process {os.getpid()}"),
        running(places.root, state=places.state),
    ):
        pass

    assert running_pid(places) == (os.getpid(), cloud.ports)


def start(toy: Path, state: Path, ports: Ports) -> subprocess.Popen[bytes]:
    options = ["--aws-port", str(ports.aws), "--sagemaker-port", str(ports.sagemaker)]
    log = state / "up.log"
    with log.open("wb") as output:
        parent = subprocess.Popen(
            [
                *(sys.executable, "-m", "localcloud", "--project", str(toy), "--state", str(state)),
                *("up", *options, "--api-port", str(ports.api)),
            ],
            cwd=REPOSITORY,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    wait_until(lambda: parent.poll() is not None or b"is up" in log.read_bytes())
    assert parent.poll() is None, log.read_text()
    return parent


def saved_tables(state: Path) -> bytes:
    path = state / "aws" / "dynamodb.json"
    return path.read_bytes() if path.is_file() else b""


def pids(cloud: Cloud) -> list[int]:
    return [process.pid for process in cloud.processes]


def descendants(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [found for child in children for found in (int(child), *descendants(int(child)))]


def exists(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)
