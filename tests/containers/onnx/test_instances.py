"""What instances may hold, in JSON and CSV, and how each fault is named."""

import json
import random

import numpy as np
import pytest


@pytest.mark.parametrize(
    ("row", "at", "because"),
    [
        ([2, True, 3], "stops", "must be an integer, is a boolean"),
        ([True, 1, 3], "distance_km", "must be a number, is a boolean"),
        (["2", 1, 3], "distance_km", "must be a number, is the string '2'"),
        ([2, 1.5, 3], "stops", "must be an integer, is the number 1.5"),
        ([None, 1, 3], "distance_km", "must not be null"),
        ([[2], 1, 3], "distance_km", "must be a number, is an array"),
        ([2, {}, 3], "stops", "must be an integer, is an object"),
        ([1e39, 1, 3], "distance_km", "overflows float32"),
        ([2, 10**60, 3], "stops", "overflows float32"),
        ([2, 10**400, 3], "stops", "overflows float32"),
    ],
)
def test_a_wrong_value_answers_422_and_names_its_cell(eta, row, at, because):
    answer = eta.score([[2, 1, 3], row])

    assert (answer.status, answer.code) == (422, "invalid-instances")
    assert answer.flaws == {f"instances[1].{at}": because}


def test_a_number_beyond_a_double_must_be_finite(eta):
    answer = eta.score_bytes(b"[[1e999, 1, 3]]")

    assert answer.flaws == {"instances[0].distance_km": "must be finite"}


def test_null_is_scored_as_a_missing_value_where_the_schema_allows_it(serve, models):
    # onnx IsNaN says which rows the graph saw as missing.
    graph = models.graph(
        [("IsNaN", ["x"], ["nan"]), ("Cast", ["nan"], ["y"], {"to": models.float})],
        [("x", models.float, [None, 1])],
        [("y", models.float, [None, 1])],
    )
    running = serve(graph, {"features": [{"name": "load", "type": "float", "nullable": True}]})

    assert running.score([[None], [1]]).predictions == [1.0, 0.0]
    assert running.score_bytes(b'load\n""\n1\nnan\n', "text/csv").predictions == [1.0, 0.0, 1.0]


def test_an_answer_of_nan_becomes_a_500_and_never_invalid_json(eta):
    answer = eta.score([[2, 1, None]])

    assert (answer.status, answer.code) == (500, "model-failed")
    assert "'y' holds NaN or infinity" in eta.log
    assert "NaN" not in answer.json["detail"]


def test_a_row_of_the_wrong_width_says_both_widths(eta):
    answer = eta.score([[2, 1, 3], [2, 1], 5])

    assert answer.flaws == {
        "instances[1]": "must hold 3 values, holds 2",
        "instances[2]": "must be an array or an object, is an integer",
    }


def test_missing_and_unknown_names_are_told_apart(eta):
    answer = eta.score([{"distance_km": 2, "stop": 1, "load_kg": 3}])

    assert answer.flaws == {
        "instances[0].stops": "is missing",
        "instances[0].stop": "is no feature of this model",
    }


def test_at_most_ten_errors_are_listed(eta):
    assert len(eta.score([[2, "x", 3]] * 50).json["errors"]) == 10


@pytest.mark.parametrize("body", [b"[]", b'{"instances": []}', b"\n"])
def test_no_instances_are_no_request(eta, body):
    content_type = "text/csv" if body == b"\n" else "application/json"

    answer = eta.score_bytes(body, content_type)

    assert (answer.status, answer.flaws) == (422, {"instances": "must hold at least one row"})


def test_more_rows_than_an_answer_can_hold_are_refused(eta):
    answer = eta.score_bytes(b"[" + b"[1,1,1]," * 100_000 + b"[1,1,1]]")

    assert (answer.status, answer.code) == (413, "too-large")


def test_a_whole_number_may_be_written_as_a_float(eta):
    assert eta.score([[2, 1.0, 3]]).predictions == [6.0]


def test_integers_out_of_their_tensors_range_are_named(serve, models):
    graph = models.graph(
        [("Identity", ["x"], ["y"])],
        [("x", models.int64, [None, 1])],
        [("y", models.int64, [None, 1])],
    )
    running = serve(graph)

    assert running.score([[2**63 - 1], [-(2**63)]]).predictions == [2**63 - 1, -(2**63)]
    assert running.score([[2**63]]).flaws == {"instances[0].f0": "is out of range of int64"}


def test_csv_is_read_by_position_without_a_header(eta):
    assert eta.score_bytes(b"2,1,3\r\n10,0,-1\r\n", "text/csv").predictions == [6.0, 8.0]


def test_csv_with_a_header_may_have_its_columns_in_any_order(eta):
    body = b"\xef\xbb\xbfload_kg,distance_km,stops\n3, 2 ,1\n"

    assert eta.score_bytes(body, "text/csv; charset=utf-8").predictions == [6.0]


def test_csv_answers_one_line_a_prediction(eta, city):
    numbers = eta.score([[2, 1, 3], [10, 0, -1]], Accept="text/csv")
    labels = city.score([[1.0, "Bern"]], Accept="text/csv")

    assert numbers.body == b"6.0\r\n8.0\r\n"
    label, *shares = labels.body.decode().strip().split(",")
    assert label == "negative"
    assert sum(map(float, shares)) == pytest.approx(1)


@pytest.mark.parametrize(
    ("line", "at", "because"),
    [
        (b"2,1", "instances[1]", "must hold 3 values, holds 2"),
        (b"2,x,3", "instances[1].stops", "must be an integer, is the string 'x'"),
        (b"1_0,1,3", "instances[1].distance_km", "must be a number, is the string '1_0'"),
        (b",1,3", "instances[1].distance_km", "must not be null"),
        (b"inf,1,3", "instances[1].distance_km", "must be finite"),
        (b"1e39,1,3", "instances[1].distance_km", "overflows float32"),
    ],
)
def test_a_wrong_csv_cell_is_named(eta, line, at, because):
    answer = eta.score_bytes(b"2,1,3\n" + line, "text/csv")

    assert (answer.status, answer.flaws) == (422, {at: because})


def test_strings_and_numbers_mix_in_json_and_csv(city, trained):
    golden = trained.mixed.sk.predict_proba(np.array([[3.0, "Graz"]], dtype=object))[0]

    for answer in (city.score([[3, "Graz"]]), city.score_bytes(b'3,"Graz"', "text/csv")):
        (prediction,) = answer.predictions
        assert list(prediction["probabilities"].values()) == pytest.approx(list(golden), abs=1e-5)


@pytest.mark.parametrize(
    ("value", "because"),
    [
        (b"7", "must be a string, is an integer"),
        (b"null", "must not be null"),
        (b'"\\ud800"', "is not valid Unicode"),
        (b'"a\\u0000b"', "is not valid Unicode"),
    ],
)
def test_a_wrong_string_is_named(city, value, because):
    answer = city.score_bytes(b'[{"distance_km": 1, "city": ' + value + b"}]")

    assert (answer.status, answer.flaws) == (422, {"instances[0].city": because})


def test_a_category_the_graph_refuses_is_the_callers_fault(city):
    answer = city.score([[3, "Oslo: centre"]])

    assert (answer.status, answer.code) == (422, "unknown-category")


@pytest.mark.parametrize(
    "body",
    [
        b'{"instances": [[2, 1, 3]], "instances": [[2, 1, 3]]}',
        b'[{"distance_km": 2, "distance_km": 3, "stops": 1, "load_kg": 3}]',
        b'[{"distance_km": 2, "d\\u0069stance_km": 3, "stops": 1, "load_kg": 3}]',
    ],
)
def test_a_key_that_appears_twice_is_refused(eta, body):
    answer = eta.score_bytes(body)

    assert (answer.status, answer.code) == (400, "duplicate-key")


def test_members_beside_instances_are_refused(eta):
    answer = eta.score_bytes(b'{"instances": [[2, 1, 3]], "signature": "x"}')

    assert answer.flaws == {"signature": "is no member of the request"}


def test_ten_thousand_rows_equal_the_same_rows_one_by_one(eta, models):
    table = np.random.default_rng(3).integers(-50, 50, size=(10_000, 3))
    golden = (table.astype(np.float32) @ models.weights + models.bias).ravel()

    batch = eta.score(table.tolist()).predictions
    picked = random.Random(5).sample(range(10_000), 50)

    assert batch == golden.tolist()
    assert [eta.score([table[i].tolist()]).predictions[0] for i in picked] == [
        batch[i] for i in picked
    ]


def test_both_ways_through_json_give_the_same_numbers(eta):
    rows = [[0.1, 7, 1e-30], [1e30, -3, 123456.789], [-0.0, 0, 2.5]]
    typed = json.dumps(rows).encode()
    careful = json.dumps([[a, float(b), c] for a, b, c in rows]).encode()

    assert eta.score_bytes(typed).body == eta.score_bytes(careful).body
