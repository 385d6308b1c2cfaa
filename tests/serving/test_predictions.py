"""Predictions through real endpoints: versions, content types, receipts and what goes wrong."""

import json

import pytest

from chalicelib.deployments import triggers
from chalicelib.kit import aws
from chalicelib.kit.settings import settings
from chalicelib.receipts import service as receipts
from chalicelib.serving import service as serving
from localcloud.cloud import Cloud
from tests.builders import events
from tests.builders.http import JSON, Reply, post_json, send
from tests.builders.models import linear_archive
from tests.conftest import World, act_as, forget_everything


def _predict(
    world: World, body: object = None, *, version: str | None = None, **headers: str
) -> Reply:
    content = body if isinstance(body, bytes) else json.dumps(body or {"instances": [[1.0]]})
    raw = content if isinstance(content, bytes) else content.encode()
    query = {"version": [version]} if version else None
    sent = {**JSON, **{name.replace("_", "-"): value for name, value in headers.items()}}
    path = f"/api/models/{world.model}/predictions"
    return send("POST", path, raw, headers=sent, query=query)


@pytest.fixture(scope="module")
def deployed(cloud: Cloud) -> World:
    """Two live versions that no test changes: 1.0.0 doubles its input, 1.1.0 triples it."""
    world = World(cloud, "predictions", "model-predictions")
    with pytest.MonkeyPatch.context() as patch:
        act_as(world.tenant, cloud, patch)
        world.live("1.0.0", linear_archive(2.0))
        world.live("1.1.0", linear_archive(3.0))
    forget_everything()
    return world


@pytest.fixture
def live(tenant: str, deployed: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """The deployed model, in whose tenant's name everything acts."""
    act_as(deployed.tenant, deployed.cloud, monkeypatch)
    return deployed


def test_a_batch_of_rows_is_answered_with_receipt_model_and_version(live: World):
    reply = _predict(live, {"instances": [[1.0], [2.5], [-3.0]]})

    assert reply.status == 200
    answered = reply.json
    assert answered.pop("request_id").startswith("r1.")
    assert answered == {
        "model": live.model,
        "version": "1.0.0",
        "output": {"predictions": [2.0, 5.0, -6.0]},
    }


def test_csv_passes_through_and_the_headers_say_who_answered(live: World):
    reply = _predict(live, b"1.0\n2.5\n", Content_Type="text/csv", Accept="text/csv")

    assert (reply.status, reply.headers["Content-Type"].split(";")[0]) == (200, "text/csv")
    assert [float(line) for line in reply.content.splitlines()] == [2.0, 5.0]
    assert reply.headers["Sommelier-Model"] == live.model
    assert reply.headers["Sommelier-Version"] == "1.0.0"


def test_csv_in_gives_json_where_the_caller_takes_anything(live: World):
    reply = _predict(live, b"4.0\n", Content_Type="text/csv", Accept="*/*")

    assert reply.json["output"] == {"predictions": [8.0]}


def test_json_in_gives_csv_where_the_caller_asks_for_it(live: World):
    assert float(_predict(live, Accept="text/csv").content) == 2.0


def test_what_a_prediction_says_of_itself_can_be_read_back_from_its_receipt(live: World):
    request_id = _predict(live).json["request_id"]

    said = send("GET", f"/api/receipts/{request_id}")

    assert said.status == 200
    assert (said.json["tenant"], said.json["model"]) == (live.tenant, live.model)
    assert said.json["version"] == "1.0.0"


def test_two_predictions_have_two_receipts(live: World):
    assert _predict(live).json["request_id"] != _predict(live).json["request_id"]


def test_a_candidate_answers_when_it_is_asked_for(live: World):
    champion = _predict(live)
    candidate = _predict(live, version="1.1.0")

    assert champion.json["output"] == {"predictions": [2.0]}
    assert candidate.json["output"] == {"predictions": [3.0]}
    assert candidate.json["version"] == "1.1.0"


def test_a_version_that_is_not_there_is_not_found(live: World):
    assert _predict(live, version="3.0.0").code == "version-not-found"


def test_an_unknown_model_is_not_found(world: World):
    reply = _predict(world)

    assert (reply.status, reply.code) == (404, "model-not-found")


def test_a_model_without_a_live_version_has_no_champion(world: World):
    send("PUT", f"/api/models/{world.model}", b"{}", headers=JSON)

    reply = _predict(world)

    assert (reply.status, reply.code) == (409, "no-champion")


def test_an_input_that_does_not_fit_is_refused_with_its_flaws(live: World):
    reply = _predict(live, {"instances": [[1.0], [1.0, 2.0]]})

    assert (reply.status, reply.code) == (422, "input-refused")
    assert reply.json["errors"][0]["at"].startswith("body.instances[1]")
    assert "Traceback" not in reply.content.decode()


def test_a_content_type_that_the_container_does_not_take_is_refused(live: World):
    reply = _predict(live, b"\0\1", Content_Type="application/x-npy")

    assert (reply.status, reply.code) == (422, "input-refused")


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("throttle", "endpoint-busy"),
        ("service_unavailable", "endpoint-busy"),
        ("error_500", "endpoint-busy"),
        ("drop_before", "endpoint-busy"),
    ],
)
def test_an_endpoint_in_trouble_is_busy(live: World, control, kind: str, code: str):
    control.add_faults({"kind": kind, "operation": "InvokeEndpoint"})

    reply = _predict(live)

    assert (reply.status, reply.code) == (503, code)
    assert int(reply.headers["Retry-After"]) >= 1


def test_a_slow_endpoint_times_out(live: World, control, monkeypatch):
    monkeypatch.setenv("INVOKE_TIMEOUT_S", "0.2")
    settings.cache_clear()
    aws.sagemaker_runtime.cache_clear()
    control.add_faults({"kind": "slow", "operation": "InvokeEndpoint", "seconds": 1.0})

    reply = _predict(live)

    assert (reply.status, reply.code) == (504, "model-timeout")


def test_an_endpoint_that_vanished_is_missing_until_it_is_made_again(world: World):
    world.live("1.0.0", linear_archive(2.0))
    (name,) = world.names_in_sagemaker()["endpoints"]
    aws.sagemaker().delete_endpoint(EndpointName=name)
    world.wait_until(lambda: not world.names_in_sagemaker()["endpoints"])

    reply = _predict(world)

    assert (reply.status, reply.code) == (503, "endpoint-missing")
    assert name.encode() not in reply.content
    world.wait_until(lambda: triggers.reconcile(events.scheduled(), None) and _is_answered(world))


def _is_answered(world: World) -> bool:
    return _predict(world).status == 200


def test_a_promotion_is_seen_once_the_route_is_too_old(world: World):
    world.live("1.0.0", linear_archive(2.0))
    world.live("1.1.0", linear_archive(3.0))
    assert _predict(world).json["version"] == "1.0.0"

    promoted = post_json(f"/api/models/{world.model}/versions/1.1.0/promote", {})

    assert promoted.status == 200
    world.wait_until(lambda: _predict(world).json["version"] == "1.1.0")


def test_a_warm_prediction_makes_one_call_and_that_is_to_the_endpoint(live: World, monkeypatch):
    monkeypatch.setenv("ROUTING_TTL_S", "1000")
    settings.cache_clear()
    serving.forget_routes()
    _predict(live)
    calls = _counted_calls()

    for _ in range(5):
        assert _predict(live).status == 200

    assert calls == ["InvokeEndpoint"] * 5


def test_a_receipt_is_verified_without_any_call(live: World):
    request_id = _predict(live).json["request_id"]
    calls = _counted_calls()

    assert receipts.verify(live.tenant, request_id).version == "1.0.0"
    assert calls == []


def _counted_calls() -> list[str]:
    """The operations that any of our clients sends from now on."""
    calls: list[str] = []
    clients = [aws.dynamodb, aws.s3, aws.secrets, aws.sagemaker, aws.sagemaker_runtime]
    for client in clients:
        client().meta.events.register(
            "before-call", lambda model, **_: calls.append(model.name), unique_id="counted"
        )
    return calls


@pytest.mark.parametrize("text", ["r1.k1.W10.AAAA", "x", "%2e%2e", "a" * 1001])
def test_a_forged_receipt_is_refused_over_http(world: World, text: str):
    reply = send("GET", f"/api/receipts/{text}")

    assert reply.status == 422
    assert reply.code in {"receipt-refused", "invalid-request"}


def test_a_receipt_of_another_tenant_is_refused_over_http(live: World, monkeypatch):
    request_id = _predict(live).json["request_id"]
    monkeypatch.setenv("TENANT_ID", "another")
    settings.cache_clear()

    assert send("GET", f"/api/receipts/{request_id}").code == "receipt-refused"


def test_a_lost_secret_does_not_stop_warm_predictions(live: World, monkeypatch):
    _predict(live)
    monkeypatch.setenv("SECRETS_TTL_S", "0.000001")
    monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", "http://127.0.0.1:9")
    settings.cache_clear()
    aws.secrets.cache_clear()

    assert _predict(live).status == 200
    assert receipts.key_ring().current
