"""Which archives are served and how their outputs read; which are refused at the start."""

import pytest

LABELS = {"kind": "classification", "labels": ["negative", "positive"]}
REGRESSION = {"kind": "regression"}


def read_labels(answer):
    predictions = answer.predictions
    shares = [list(prediction["probabilities"].values()) for prediction in predictions]
    return [prediction["label"] for prediction in predictions], shares


@pytest.mark.parametrize("form", ["numeric", "tensor", "forest"])
def test_whole_number_classes_take_the_schemas_labels(serve, trained, form):
    """Golden: predict_proba of the same scikit-learn model; classes are 0 and 1, forest 1 and 2."""
    model, table = getattr(trained, form), trained.table[:20]
    golden = model.sk.predict_proba(table)

    labels, shares = read_labels(serve(model.onnx, {"output": LABELS}).score(table.tolist()))

    assert shares == [pytest.approx(list(row), abs=1e-5) for row in golden]
    assert labels == [LABELS["labels"][i] for i in golden.argmax(axis=1)]


@pytest.mark.parametrize("form", ["worded", "worded_tensor"])
def test_classes_that_are_words_name_themselves(serve, trained, form):
    model, table = getattr(trained, form), trained.table[:20]
    schema = {"output": {"kind": "classification", "labels": ["no", "yes"]}}

    labels, shares = read_labels(serve(model.onnx, schema).score(table.tolist()))

    assert labels == list(model.sk.predict(table))
    assert shares[0] == pytest.approx(list(model.sk.predict_proba(table[:1])[0]), abs=1e-5)


def test_without_a_schema_the_graphs_own_classes_are_the_labels(serve, trained):
    labels, _ = read_labels(serve(trained.numeric.onnx).score(trained.table[:20].tolist()))

    assert labels == [str(i) for i in trained.numeric.sk.predict(trained.table[:20])]


def test_without_a_schema_features_are_numbered(serve, models):
    row = {"f0": 2, "f1": 1, "f2": 3}

    assert serve(models.linear).score([row]).predictions == [6.0]


def test_outputs_nobody_described_come_back_by_name(serve, models):
    graph = models.graph(
        [("Identity", ["x"], ["same"]), ("Neg", ["x"], ["opposite"])],
        [("x", models.float, [None, 2])],
        [("same", models.float, [None, 2]), ("opposite", models.float, [None, 2])],
    )
    running = serve(graph)

    assert running.score([[1, 2], [3, 4]]).predictions == [
        {"same": [1.0, 2.0], "opposite": [-1.0, -2.0]},
        {"same": [3.0, 4.0], "opposite": [-3.0, -4.0]},
    ]
    assert running.score([[1, 2]], Accept="text/csv").body == b"1.0,2.0,-1.0,-2.0\r\n"


def test_one_sigmoid_column_is_the_probability_of_the_second_label(serve, models):
    graph = models.graph(
        [("Sigmoid", ["x"], ["p"])],
        [("x", models.float, [None, 1])],
        [("p", models.float, [None, 1])],
    )

    labels, shares = read_labels(serve(graph, {"output": LABELS}).score([[0], [3]]))

    # 1 / (1 + exp(-3)) = 0.952574...
    assert shares == [[0.5, 0.5], pytest.approx([0.047426, 0.952574], abs=1e-5)]
    assert labels[1] == "positive"


def test_an_archive_may_keep_its_weights_in_a_file_beside_the_model(make_archive, launch, models):
    base = make_archive(make_external(models, "weights.bin"))
    (base / "model/weights.bin").write_bytes(models.weights.tobytes())

    running = launch(base).wait_until_ready()

    assert running.score([[2, 1, 3]]).predictions == [6.0]


@pytest.mark.parametrize("location", ["../weights.bin", "/etc/hostname", "link.bin"])
def test_weights_outside_of_the_archive_are_refused(make_archive, launch, models, location):
    base = make_archive(make_external(models, location))
    (base / "weights.bin").write_bytes(models.weights.tobytes())
    (base / "model/link.bin").symlink_to(base / "weights.bin")

    running = launch(base)

    assert running.process.wait(timeout=30) == 1
    assert "External data path" in running.log


def make_external(models, location):
    """Move the weights of the linear model out of the file; types.ModelProto keeps the rest."""
    model = type(models.linear)()
    model.CopyFrom(models.linear)
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = tensor.EXTERNAL
    for key, value in (("location", location), ("length", "12")):
        tensor.external_data.add(key=key, value=value)
    return model


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ("{", "schema.json is invalid: "),
        ('{"features": [], "x": 1}', "schema.json is invalid: "),
        ({"features": [{"name": "a", "type": "decimal"}]}, "Invalid enum value 'decimal'"),
        ({"features": [{"name": "a", "type": "float"}] * 3}, "features repeats 'a'"),
        ({"features": [{"name": "a", "type": "float"}]}, "names 1 features, input 'x' takes 3"),
        ({"features": [{"name": c, "type": "string"} for c in "abc"]}, "'a' is 'string'"),
        ({"output": {"kind": "ranking"}}, "Invalid value 'ranking'"),
        ({"output": {"kind": "classification", "labels": ["a"]}}, "length >= 2"),
        ({"output": {"kind": "classification", "labels": ["a", "a"]}}, "labels repeats 'a'"),
        ({"output": {"kind": "classification", "labels": ["a", "b"]}}, "holds no probabilities"),
        ({"output": {"kind": "classification", "labels": ["a", "b", "c"]}}, "3 labels"),
    ],
)
def test_a_schema_that_does_not_fit_the_graph_is_refused(refusal, models, schema, reason):
    assert reason in refusal(models.linear, schema)


@pytest.mark.parametrize("content", [b"", b"not a graph", b"\x80\x04\x95\x00.", b"\x08\x08" * 99])
def test_a_file_that_is_no_graph_is_refused(refusal, content):
    assert refusal(content).startswith("model.onnx does not load: ")


def test_an_archive_without_a_model_is_refused(refusal):
    assert refusal(None).endswith("model.onnx is missing")


def test_an_open_width_needs_a_schema(refusal, serve, models):
    assert "name the features in schema.json" in refusal(models.open_width)
    assert serve(models.open_width, models.eta_schema).score([[2, 1, 3]]).predictions == [6.0]


def test_a_graph_for_a_fixed_number_of_rows_is_refused(refusal, models):
    graph = models.graph(
        [("Neg", ["x"], ["y"])], [("x", models.float, [1, 2])], [("y", models.float, [1, 2])]
    )

    assert "export the model with an open first dimension" in refusal(graph)


def test_a_nullable_feature_needs_a_float_input(refusal, trained, models):
    features = [
        models.city_schema["features"][0],
        {"name": "city", "type": "string", "nullable": True},
    ]

    assert "'city' is nullable" in refusal(trained.mixed.onnx, {"features": features})


def test_features_are_named_as_the_graphs_inputs(refusal, trained):
    features = [{"name": "distance_km", "type": "float"}, {"name": "town", "type": "string"}]

    assert "['town'], only in the graph ['city']" in refusal(
        trained.mixed.onnx, {"features": features}
    )


@pytest.mark.parametrize(
    ("sample", "reason"),
    [
        ({"instances": [[1, 2]]}, "must hold 3 values, holds 2"),
        ({"instances": []}, "instances is empty"),
        ("{", "probe run with sample.json failed"),
        ({"instances": [[2, 1, None]]}, "'y' holds NaN or infinity"),
    ],
)
def test_a_sample_the_model_cannot_answer_is_refused(refusal, models, sample, reason):
    assert reason in refusal(models.linear, models.eta_schema, sample)


def test_a_graph_that_fails_on_zeros_asks_for_a_sample(refusal, serve, trained, models):
    assert "put a valid request into sample.json" in refusal(trained.mixed.onnx)
    assert serve(trained.mixed.onnx, sample=[[1.0, "Bern"]]).score([[1.0, "Bern"]]).status == 200


def test_custom_operators_are_refused(refusal, models):
    graph = models.graph(
        [("Backdoor", ["x"], ["y"], {"domain": "evil"})],
        [("x", models.float, [None, 1])],
        [("y", models.float, [None, 1])],
    )
    graph.opset_import.add(domain="evil", version=1)

    assert "Backdoor" in refusal(graph)


def test_no_file_of_an_archive_is_run(make_archive, launch, models, tmp_path):
    base = make_archive(models.linear)
    for name in ("inference.py", "sitecustomize.py", "numpy.py", "model.pkl"):
        (base / "model" / name).write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")

    running = launch(base).wait_until_ready()

    assert running.score([[2, 1, 3]]).predictions == [6.0]
    assert not (tmp_path / "ran").exists()
