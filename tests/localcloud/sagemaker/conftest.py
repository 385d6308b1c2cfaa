"""The offline SageMaker and the emulator beside it, as real processes, and builders for tests.
Nothing here asserts."""

import io
import os
import socket
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from localcloud.sagemaker import Server, start
from tests.localcloud.sagemaker.jobs import BUCKET, ROLE, JobBench, await_true

REPOSITORY = Path(__file__).resolve().parents[3]
CONTAINERS = Path(__file__).parent / "containers"


def make_client(service: str, url: str, **options: Any) -> Any:
    """A client that neither retries nor validates, so that the server sees what a test sends."""
    usual = {"retries": {"total_max_attempts": 1}, "parameter_validation": False}
    return boto3.client(
        service,
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(**usual | {"max_pool_connections": 32} | options),
    )


class Bench(JobBench):
    """Clients of one server, and builders with defaults."""

    def __init__(self, server: Server, emulator_url: str) -> None:
        self.server = server
        self.emulator_url = emulator_url
        self.control = server.control
        self.await_true = await_true

    @cached_property
    def sagemaker(self) -> Any:
        return make_client("sagemaker", self.server.url)

    @cached_property
    def runtime(self) -> Any:
        return make_client("sagemaker-runtime", self.server.url)

    @cached_property
    def scaling(self) -> Any:
        return make_client("application-autoscaling", self.server.url)

    @cached_property
    def s3(self) -> Any:
        return make_client("s3", self.emulator_url)

    def put_archive(self, **text_by_name: str) -> str:
        """Upload an archive; return its address."""
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w:gz") as archive:
            for name, text in (text_by_name or {"weights": "v1"}).items():
                member = tarfile.TarInfo(name)
                member.size = len(text)
                archive.addfile(member, io.BytesIO(text.encode()))
        key = f"{self.name('archive')}/model.tar.gz"
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=file.getvalue())
        return f"s3://{BUCKET}/{key}"

    def make_model(
        self, *, image: str = "sommelier-echo:1", url: str | None = None, **container: Any
    ) -> str:
        name = self.name("model")
        primary = {"Image": image, "ModelDataUrl": url or self.put_archive(), **container}
        self.sagemaker.create_model(ModelName=name, PrimaryContainer=primary, ExecutionRoleArn=ROLE)
        return name

    def variant(self, **changes: Any) -> dict[str, Any]:
        """A real-time variant of an echo model unless told otherwise."""
        variant = {"VariantName": "AllTraffic", **changes}
        if "ModelName" not in variant:
            variant["ModelName"] = self.make_model()
        if "ServerlessConfig" not in variant:
            instances = {"InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
            variant = instances | variant
        return variant

    def make_config(self, *variants: Mapping[str, Any], **options: Any) -> str:
        name = self.name("config")
        self.sagemaker.create_endpoint_config(
            EndpointConfigName=name, ProductionVariants=variants or [self.variant()], **options
        )
        return name

    def make_serverless_config(self, *, concurrency: int = 5) -> str:
        serverless = {"MemorySizeInMB": 2048, "MaxConcurrency": concurrency}
        return self.make_config(self.variant(ServerlessConfig=serverless))

    def begin_endpoint(self, config: str | None = None, **options: Any) -> str:
        name = self.name("endpoint")
        self.sagemaker.create_endpoint(
            EndpointName=name, EndpointConfigName=config or self.make_config(), **options
        )
        return name

    def make_endpoint(self, config: str | None = None, **options: Any) -> str:
        """An endpoint that left Creating."""
        name = self.begin_endpoint(config, **options)
        self.settle(name)
        return name

    def settle(self, endpoint: str) -> dict[str, Any]:
        """Wait until no change is under way; return the description."""
        moving = {"Creating", "Updating", "Deleting"}
        await_true(lambda: self.describe(endpoint)["EndpointStatus"] not in moving, endpoint)
        return self.describe(endpoint)

    def await_gone(self, endpoint: str) -> None:
        def is_gone() -> bool:
            listed = self.sagemaker.list_endpoints(NameContains=endpoint)["Endpoints"]
            return endpoint not in {one["EndpointName"] for one in listed}

        await_true(is_gone, endpoint)

    def describe(self, endpoint: str) -> dict[str, Any]:
        return self.sagemaker.describe_endpoint(EndpointName=endpoint)

    def invoke(self, endpoint: str, body: bytes | str = b"{}", **options: Any) -> str:
        answer = self.runtime.invoke_endpoint(EndpointName=endpoint, Body=body, **options)
        return answer["Body"].read().decode()

    def outcomes(self, operation: str, resource: str) -> list[str]:
        """How the calls about a resource ended, oldest first."""
        return [
            call["outcome"]
            for call in self.control.calls()
            if (call["operation"], call["resource"]) == (operation, resource)
        ]


@pytest.fixture(scope="session")
def emulator_url() -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = os.environ.get(
        "MINISTACK_BIN", str(REPOSITORY / ".local/venv/ministack/bin/ministack")
    )
    quiet = {"IOT_MTLS_ENABLED": "0", "SFTP_ENABLED": "0", "LOG_LEVEL": "ERROR"}
    settings = {"BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(port), **quiet}
    process = subprocess.Popen(
        [program], env=os.environ | settings, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )

    def listens() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    try:
        await_true(listens, "the emulator")
        url = f"http://127.0.0.1:{port}"
        make_client("s3", url).create_bucket(Bucket=BUCKET)
        yield url
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(scope="session")
def start_server(emulator_url: str) -> Callable[..., Server]:
    def start_here(state_dir: Path, *flags: str) -> Server:
        interpreters = [
            flag
            for name in ("echo", "broken", "mute", "trainee")
            for flag in ("--python", f"{name}={sys.executable}")
        ]
        usual = ["--aws-endpoint", emulator_url, "--containers", str(CONTAINERS)]
        server = start(state_dir, flags=[*usual, *interpreters, *flags])
        server.control.set_delays(creating=0, updating=0, deleting=0)
        return server

    return start_here


@pytest.fixture(scope="session")
def make_bench(emulator_url: str) -> Callable[[Server], Bench]:
    return lambda server: Bench(server, emulator_url)


@pytest.fixture(scope="session")
def shared_bench(
    start_server: Callable[..., Server],
    make_bench: Callable[[Server], Bench],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Bench]:
    limits = ("--stop-grace-s", "0.2", "--training-stop-grace-s", "0.5", "--invoke-timeout-s", "2")
    with start_server(tmp_path_factory.mktemp("sagemaker"), *limits) as server:
        yield make_bench(server)


@pytest.fixture
def bench(shared_bench: Bench) -> Iterator[Bench]:
    yield shared_bench
    shared_bench.control.clear_faults()
    shared_bench.control.unfreeze()


@pytest.fixture(scope="session")
def endpoint(shared_bench: Bench) -> str:
    """A real-time endpoint in service, for tests that leave it as it is."""
    return shared_bench.make_endpoint()


@pytest.fixture
def raises_code() -> Callable[[str, str], Any]:
    """Expect a client error with this code and a message that matches."""
    return lambda code, match="": pytest.raises(ClientError, match=rf"(?s)\({code}\).*{match}")


@pytest.fixture(scope="session")
def make_emulator_client(emulator_url: str) -> Callable[[str], Any]:
    return lambda service: make_client(service, emulator_url)
