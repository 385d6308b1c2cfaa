"""The signing keys: their shape, their age, and a Secrets Manager that is down."""

import json

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from chalicelib.kit import aws, secrets
from chalicelib.kit.secrets import BadSecret
from chalicelib.kit.settings import settings
from chalicelib.receipts import service
from chalicelib.receipts.keys import parse

GOOD = {"current": "k2", "k1": "a" * 32, "k2": "b" * 40}


def test_a_secret_holds_keys_by_id_and_names_the_current_one():
    ring = parse(json.dumps(GOOD))

    assert ring.current == "k2"
    assert ring.secret_by_id == {"k1": b"a" * 32, "k2": b"b" * 40}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "text",
        "[]",
        "null",
        '"k1"',
        "1",
        "{}",
        '{"current": "k1"}',
        '{"k1": "' + "a" * 32 + '"}',
        '{"current": "k2", "k1": "' + "a" * 32 + '"}',
        '{"current": "k1", "k1": "short"}',
        '{"current": "k1", "k1": "' + "a" * 32 + '", "k0": "short"}',
        '{"current": "k1", "k1": 12345}',
        '{"current": "k1", "k1": null}',
        '{"current": ["k1"], "k1": "' + "a" * 32 + '"}',
        '{"current": {}, "k1": "' + "a" * 32 + '"}',
        '{"current": "k.1", "k.1": "' + "a" * 32 + '"}',
        '{"current": "", "": "' + "a" * 32 + '"}',
        '{"current": "é", "é": "' + "a" * 32 + '"}',
    ],
)
def test_a_secret_of_another_shape_is_refused(text: str):
    with pytest.raises(BadSecret):
        parse(text)


def test_a_refused_secret_shows_no_key():
    with pytest.raises(BadSecret) as caught:
        parse(json.dumps({"current": "k1", "k1": "canary"}))

    assert "canary" not in str(caught.value)


@pytest.fixture
def secret(tenant: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A secret of the test's own, which is read anew at every use."""
    name = f"keys-of-{tenant}"
    aws.secrets().create_secret(Name=name, SecretString=json.dumps(GOOD))
    monkeypatch.setenv("RECEIPT_KEYS_SECRET", name)
    monkeypatch.setenv("SECRETS_TTL_S", "0.000001")
    settings.cache_clear()
    secrets.forget()
    return name


def test_a_rotated_key_is_used_once_the_old_ring_is_too_old(secret: str):
    assert service.key_ring().current == "k2"

    rotated = {**GOOD, "current": "k3", "k3": "c" * 32}
    aws.secrets().put_secret_value(SecretId=secret, SecretString=json.dumps(rotated))

    assert service.key_ring().current == "k3"


def test_a_young_ring_is_not_read_again(secret: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SECRETS_TTL_S", "1000")
    settings.cache_clear()
    service.key_ring()
    calls: list[int] = []
    aws.secrets().meta.events.register("before-call", lambda **_: calls.append(1))

    service.key_ring()

    assert calls == []


def test_an_old_ring_serves_while_secrets_manager_is_down(secret, monkeypatch):
    known = service.key_ring()
    monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", "http://127.0.0.1:9")
    aws.secrets.cache_clear()

    assert service.key_ring() == known


def test_an_old_ring_serves_while_the_new_secret_is_broken(secret: str):
    known = service.key_ring()
    aws.secrets().put_secret_value(SecretId=secret, SecretString="broken")

    assert service.key_ring() == known


def test_without_any_ring_a_missing_secret_is_an_error(secret: str, monkeypatch):
    monkeypatch.setenv("RECEIPT_KEYS_SECRET", "none")
    settings.cache_clear()

    with pytest.raises(ClientError):
        service.key_ring()


def test_without_any_ring_a_secrets_manager_that_is_down_is_an_error(secret, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", "http://127.0.0.1:9")
    aws.secrets.cache_clear()

    with pytest.raises(EndpointConnectionError):
        service.key_ring()
