"""SageMaker's contract: paths, methods, media types, connections."""

import http.client

import pytest

HEAD = b"POST /invocations HTTP/1.1\r\nHost: scorer\r\nContent-Type: application/json\r\n"
BODY = b"[[2, 1, 3]]"


def test_ping_answers_an_empty_200(eta):
    answer = eta.call("GET", "/ping")

    assert (answer.status, answer.body) == (200, b"")


def test_a_row_is_scored_by_the_models_own_coefficients(eta):
    # By hand: 0.5 * 2 - 2 * 1 + 3 + 4 = 6 and 0.5 * 10 - 2 * 0 - 1 + 4 = 8.
    answer = eta.score([[2, 1, 3], [10, 0, -1]])

    assert answer.predictions == [6.0, 8.0]
    assert answer.headers["content-type"] == "application/json"


def test_arrays_objects_and_bare_lists_mean_the_same(eta):
    row = {"load_kg": 3, "distance_km": 2, "stops": 1}

    wrapped = eta.score([row])
    bare = eta.score_bytes(BODY)

    assert wrapped.predictions == bare.predictions == [6.0]


def test_json_is_assumed_without_a_content_type(eta):
    assert eta.call("POST", "/invocations", BODY).predictions == [6.0]


@pytest.mark.parametrize(
    "content_type",
    ["application/json; charset=utf-8", "APPLICATION/JSON", 'application/json;charset="UTF-8"'],
)
def test_json_is_recognised_in_any_spelling(eta, content_type):
    assert eta.score_bytes(BODY, content_type).predictions == [6.0]


def test_extra_headers_of_sagemaker_are_ignored(eta):
    extra = {"X_Amzn_SageMaker_Custom_Attributes": "a=b", "X_Amzn_SageMaker_Inference_Id": "7"}

    assert eta.score([[2, 1, 3]], **extra).predictions == [6.0]


@pytest.mark.parametrize("content_type", ["application/x-npy", "text/plain", "text/csv;charset=x"])
def test_an_unsupported_content_type_answers_415(eta, content_type):
    answer = eta.score_bytes(BODY, content_type)

    assert (answer.status, answer.code) == (415, "unsupported-media-type")


@pytest.mark.parametrize("accept", ["image/png", "application/json;q=0", "text/html, image/*"])
def test_an_impossible_accept_answers_406(eta, accept):
    answer = eta.score([[2, 1, 3]], Accept=accept)

    assert (answer.status, answer.code) == (406, "not-acceptable")


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        ("*/*", "application/json"),
        ("text/*;q=0.5, application/json;q=0.4", "text/csv; charset=utf-8"),
        ("text/csv, application/json", "application/json"),
        ("*/*, application/json;q=0", "text/csv; charset=utf-8"),
        ("image/png, */*;q=0.1", "application/json"),
    ],
)
def test_accept_chooses_the_answers_type_by_weight(eta, accept, media):
    assert eta.score([[2, 1, 3]], Accept=accept).headers["content-type"] == media


@pytest.mark.parametrize("path", ["/", "/ping/", "/models", "/invocations/../ping", "//ping"])
def test_other_paths_answer_404(eta, path):
    answer = eta.call("GET", path)

    assert (answer.status, answer.code) == (404, "no-such-path")


def test_a_query_does_not_change_the_path(eta):
    assert eta.call("GET", "/ping?verbose=1").status == 200


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("POST", "/ping", "GET"), ("GET", "/invocations", "POST"), ("DELETE", "/invocations", "POST")],
)
def test_a_wrong_method_answers_405_and_names_the_right_one(eta, method, path, allowed):
    answer = eta.call(method, path)

    assert (answer.status, answer.code) == (405, "method-not-allowed")
    assert answer.headers["allow"] == allowed


def test_a_head_request_gets_no_body(eta):
    received = eta.exchange(b"HEAD /ping HTTP/1.1\r\nHost: scorer\r\n\r\n")

    assert received.startswith(b"HTTP/1.1 405 ")
    assert received.endswith(b"\r\n\r\n")


def test_one_connection_takes_many_requests(eta):
    connection = eta.connect()
    for _ in range(3):
        connection.request("POST", "/invocations", BODY, {"Content-Type": "application/json"})
        assert connection.getresponse().read() == b'{"predictions":[6.0]}'
        kept = connection.sock
    assert kept is not None
    connection.close()


def test_pipelined_requests_are_answered_in_order(eta):
    bodies = [b"[[%d, 0, 0]]" % i for i in range(0, 80, 2)]
    bodies[20] = b"[[2, 1, 3]%s]" % (b", [2, 1, 3]" * 2000)  # scored in a thread

    requests = [HEAD + b"Content-Length: %d\r\n\r\n%s" % (len(body), body) for body in bodies]
    received = eta.exchange(b"".join(requests))

    wanted = [float(4 + i) for i in range(40)]
    found = [part.split(b"\r\n\r\n")[1] for part in received.split(b"HTTP/1.1 200 OK")[1:]]
    assert [float(part[16:].split(b"]")[0].split(b",")[0]) for part in found] == [
        6.0 if i == 20 else value for i, value in enumerate(wanted)
    ]


def test_the_body_is_asked_for_with_100_continue(eta):
    connection = http.client.HTTPConnection("127.0.0.1", eta.port, timeout=30)
    connection.connect()
    head = HEAD + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(BODY)
    connection.sock.sendall(head)

    interim = connection.sock.recv(1024)
    connection.sock.sendall(BODY)
    final = connection.sock.recv(1024)

    assert interim == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert final.endswith(b'{"predictions":[6.0]}')
    connection.close()


def test_a_chunked_body_is_put_together(eta):
    chunks = b"Transfer-Encoding: chunked\r\n\r\n5\r\n[[2, \r\n6\r\n1, 3]]\r\n0\r\n\r\n"

    assert eta.exchange(HEAD + chunks).endswith(b'{"predictions":[6.0]}')


def test_an_http_1_0_client_gets_its_answer_and_the_end(eta):
    received = eta.exchange(b"GET /ping HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", close=False)

    assert received.startswith(b"HTTP/1.1 200 OK")
    assert b"Connection: close" in received


def test_an_offer_to_upgrade_is_declined_by_an_answer(eta):
    offer = b"GET /ping HTTP/1.1\r\nHost: s\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"

    assert eta.exchange(offer, close=False).startswith(b"HTTP/1.1 200 OK")
