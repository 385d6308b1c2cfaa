"""Bodies that strangers send, through the real views: refused by a 4xx problem, never a 500.
Every address leads nowhere here: a body that got past the door would end in a 500."""

from typing import Any

import pytest

from tests.builders.http import Reply, send
from tests.kit.test_strictjson import HOSTILE

pytestmark = pytest.mark.usefixtures("app_environment")

DOORS = {
    "settings": ("PUT", "/api/models/eta"),
    "prediction": ("POST", "/api/models/eta/predictions"),
}
REFUSED = {400, 413, 415, 422}
WRONG_TYPES = [b"[]", b'"text"', b"1", b"null", b"true", b'{"unknown": 1}', b'{"kind": 1}']
CONTENT_TYPES = [
    "application/json; charset=utf-16",
    'application/json; charset="utf-32"',
    "application/json; charset=utf-8; charset=utf-7",
    "application/json; charset=utf-8x",
    "application/json; a=charset=utf-8; charset=utf-16",
    "application/json; charset = latin-1",
    "application/json, text/csv",
    "json",
    "/",
    "application/jsön",
    "application/json;" + "a=b;" * 100,
]


def _sent(
    door: str, content: bytes, content_type: str | None = "application/json", **event: Any
) -> Reply:
    headers = None if content_type is None else {"Content-Type": content_type}
    return send(*DOORS[door], content, headers=headers, **event)


def _assert_refused(reply: Reply) -> None:
    assert reply.status in REFUSED, reply.content
    assert reply.code in {
        "malformed-body",
        "invalid-request",
        "unsupported-media-type",
        "input-too-large",
    }
    assert reply.json["status"] == reply.status
    assert len(reply.content) < 20_000


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_json_is_malformed_at_every_door(door: str, body: bytes):
    reply = _sent(door, body)

    _assert_refused(reply)
    assert reply.status == 400


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("content_type", CONTENT_TYPES)
def test_a_tricky_content_type_is_unsupported_at_every_door(door: str, content_type: str):
    reply = _sent(door, b'{"description": "x"}', content_type)

    assert (reply.status, reply.code) == (415, "unsupported-media-type")


@pytest.mark.parametrize("content_type", [None, "", "text/plain", "multipart/form-data"])
def test_settings_are_taken_as_json_only(content_type: str | None):
    assert _sent("settings", b"{}", content_type).status == 415


@pytest.mark.parametrize("body", WRONG_TYPES)
def test_settings_of_another_shape_are_invalid(body: bytes):
    reply = _sent("settings", body)

    _assert_refused(reply)
    assert reply.json["errors"]


@pytest.mark.parametrize("door", DOORS)
def test_seven_megabytes_are_refused(door: str):
    reply = _sent(door, b'{"description": "' + b"a" * 7_000_000 + b'"}')

    _assert_refused(reply)


def test_seven_megabytes_of_binary_are_refused():
    reply = _sent("prediction", bytes(7_000_000), "application/x-npy")

    assert (reply.status, reply.code) == (413, "input-too-large")


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("text", ["YQ", "a", "é", "====", "!", "{}"])
def test_base64_that_is_none_is_malformed(door: str, text: str):
    reply = _sent(door, b"", isBase64Encoded=True, body=text)

    assert (reply.status, reply.code) == (400, "malformed-body")


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("text", ['{"description": "\ud800"}', "\udfff", ""])
def test_text_that_is_no_json_is_malformed(door: str, text: str):
    reply = _sent(door, b"", isBase64Encoded=False, body=text)

    assert reply.status == 400


@pytest.mark.parametrize("name", ["..", "UPPER", "a" * 41, "%FF", "a%2Fb", "a%00b", "-a", "%20"])
def test_a_hostile_model_name_is_refused(name: str):
    reply = send("POST", f"/api/models/{name}/predictions", b"{}")

    _assert_refused(reply)


@pytest.mark.parametrize("version", ["1", "v1.0.0", "01.0.0", "1.0.0+b", "1.0.0\n", "\u0661.0.0"])
def test_a_hostile_version_is_refused(version: str):
    reply = send("POST", "/api/models/eta/predictions", b"{}", query={"version": [version]})

    _assert_refused(reply)


@pytest.mark.parametrize("accept", ["é", "a" * 5000, "text/csv\x7f", "\u2028"])
def test_a_hostile_accept_header_is_refused(accept: str):
    headers = {"Content-Type": "text/csv", "Accept": accept}

    reply = send("POST", "/api/models/eta/predictions", b"1", headers=headers)

    _assert_refused(reply)
