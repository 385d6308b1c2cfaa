"""What survives: crashes of a container, stops and SIGKILLs of the server, and no orphan.
Each server here is the test's own."""

import json
from pathlib import Path

import pytest


@pytest.fixture
def home(tmp_path, start_server):
    """A state folder on which servers are started one after another; the last is stopped."""
    servers = []

    def start_on_it():
        servers.append(start_server(tmp_path, "--stop-grace-s", "0.2"))
        return servers[-1]

    yield start_on_it
    servers[-1].stop()


def pid_of(bench, endpoint):
    return json.loads(bench.invoke(endpoint))["pid"]


def is_running(pid):
    """Whether the process lives; a zombie that nobody reaps here does not."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


def serves(bench, endpoint):
    try:
        return bench.invoke(endpoint, '{"say": "served"}') == "served"
    except bench.runtime.exceptions.ModelError:
        return False


def test_a_container_that_dies_is_started_again(bench):
    endpoint = bench.make_endpoint()

    with pytest.raises(bench.runtime.exceptions.ModelError, match="process exited"):
        bench.invoke(endpoint, '{"die": true}')

    bench.await_true(lambda: serves(bench, endpoint), "the container")
    (container,) = [one for one in bench.control.containers() if one["endpoint"] == endpoint]
    assert container["restarts"] == 1


def test_the_words_of_a_container_are_in_its_log(bench):
    model = bench.make_model(image="sommelier-broken:1")
    endpoint = bench.make_endpoint(bench.make_config(bench.variant(ModelName=model)))

    (log,) = [one for one in bench.control.logs() if one["endpoint"] == endpoint]

    assert "no model of mine" in Path(log["path"]).read_text()


def test_a_stopped_server_leaves_no_container(home, make_bench):
    server = home()
    bench = make_bench(server)
    pid = pid_of(bench, bench.make_endpoint())

    server.stop()

    assert not is_running(pid)


@pytest.mark.parametrize("image", ["sommelier-echo:1", "sommelier-mute:1"])
def test_a_killed_server_leaves_no_container(home, make_bench, image, tmp_path):
    server = home()
    bench = make_bench(server)
    model = bench.make_model(image=image)
    bench.begin_endpoint(bench.make_config(bench.variant(ModelName=model)))
    base = str(tmp_path / "endpoints").encode()

    def pids():
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                environment = (entry / "environ").read_bytes()
            except OSError:
                continue
            if base in environment and is_running(entry.name):
                found.append(entry.name)
        return found

    bench.await_true(pids, "the container")
    server.kill()

    bench.await_true(lambda: not pids(), "the end of the container")


def test_everything_is_found_again_after_a_stop(home, make_bench):
    server = home()
    bench = make_bench(server)
    config = bench.make_config(Tags=[{"Key": "team", "Value": "a"}])
    endpoint = bench.make_endpoint(config)
    before = bench.describe(endpoint)
    server.stop()

    after = make_bench(home())

    described = after.describe(endpoint)
    assert described["CreationTime"] == before["CreationTime"]
    assert described["EndpointConfigName"] == config
    assert serves(after, endpoint)
    arn = before["EndpointArn"].replace(f"endpoint/{endpoint}", f"endpoint-config/{config}")
    assert after.sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "team", "Value": "a"}]


def test_changes_under_way_go_on_after_a_kill(home, make_bench):
    server = home()
    bench = make_bench(server)
    updating, config = bench.make_endpoint(), bench.make_config()
    server.control.freeze()
    server.control.set_delays(creating=60, updating=60, deleting=60)
    bench.sagemaker.update_endpoint(EndpointName=updating, EndpointConfigName=config)
    creating = bench.begin_endpoint()
    server.kill()

    after = make_bench(home())
    kept = after.describe(updating)["EndpointStatus"], after.describe(creating)["EndpointStatus"]
    after.control.advance(60)

    assert kept == ("Updating", "Creating")
    assert after.settle(updating)["EndpointConfigName"] == config
    assert after.settle(creating)["EndpointStatus"] == "InService"
