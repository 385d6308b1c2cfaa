"""The sample models are built from scripts: same bytes, accepted archives, better versions.
Nothing here needs a scorer; the figures are those the build prints."""

import json
import math
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import onnx
import pytest

from chalicelib.registry.archive.inspection import inspect
from samples.build import TASKS, build

ROOT = Path(__file__).parents[2]
RELEASES = {
    "eta": {"1.0.0"},
    "recommendation": {"1.0.0", "1.1.0", "1.2.0"},
    "sentiment": {"1.0.0", "1.1.0"},
    "wine": {"1.0.0"},
}
ARCHIVES = [(model, version) for model in RELEASES for version in sorted(RELEASES[model])]


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("samples")
    for model in TASKS:
        build(model, out)
    return out


def archive_of(built: Path, model: str, version: str) -> bytes:
    return (built / model / version / "model.tar.gz").read_bytes()


def read_json(built: Path, model: str, name: str) -> dict[str, object]:
    return json.loads((built / model / name).read_bytes())


@pytest.mark.parametrize("model", ["recommendation", "sentiment"])
def test_the_later_version_is_better_on_held_out_rows(built: Path, model: str) -> None:
    quality = build(model, built)

    (_, earlier, rows), (_, later, _) = quality["1.0.0"], quality["1.1.0"]
    assert later - earlier > 3 * math.sqrt(0.5 / rows)


def test_the_broken_release_is_much_worse_though_its_archive_is_accepted(built: Path) -> None:
    quality = build("recommendation", built)
    archive = archive_of(built, "recommendation", "1.2.0")

    facts = inspect([archive], required={"model.onnx"})

    (_, good, _), (_, broken, _) = quality["1.1.0"], quality["1.2.0"]
    assert good - broken > 0.2
    assert (
        facts.schema
        == inspect([archive_of(built, "recommendation", "1.1.0")], required={"model.onnx"}).schema
    )


def test_the_same_scripts_give_the_same_bytes(built: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "samples.build", "--out", str(tmp_path)]
    environment = os.environ | {"PYTHONHASHSEED": "7"}

    subprocess.run(
        [*command, "--model", "sentiment"], cwd=ROOT, env=environment, check=True, timeout=60
    )

    for version in RELEASES["sentiment"]:
        again = archive_of(tmp_path, "sentiment", version)
        assert again == archive_of(built, "sentiment", version)


def test_what_is_up_to_date_is_not_written_again(built: Path) -> None:
    path = built / "wine" / "1.0.0" / "model.tar.gz"
    os.utime(path, ns=(1, 1))

    build("wine", built)

    assert path.stat().st_mtime_ns == 1


def test_every_model_has_its_releases_settings_and_held_out_rows(built: Path) -> None:
    for model, versions in RELEASES.items():
        settings, holdout = (
            read_json(built, model, "model.json"),
            read_json(built, model, "holdout.json"),
        )

        assert {path.parent.name for path in built.glob(f"{model}/*/model.tar.gz")} == versions
        assert settings["on_upload"] == "candidate"
        assert len(holdout["rows"]) == len(holdout["truth"]) > 50
        assert holdout["metric"] == ("mae" if model == "eta" else "accuracy")


@pytest.mark.parametrize(("model", "version"), ARCHIVES)
def test_every_archive_is_accepted_with_its_documents(
    built: Path, model: str, version: str
) -> None:
    facts = inspect([archive_of(built, model, version)], required={"model.onnx"})
    schema, sample = json.loads(facts.schema or b""), json.loads(facts.sample or b"")

    names = [feature["name"] for feature in schema["features"]]
    assert facts.names == ("model.onnx", "sample.json", "schema.json")
    assert all(list(instance) == names for instance in sample["instances"])


@pytest.mark.parametrize(("model", "version"), ARCHIVES)
def test_every_graph_takes_the_features_of_its_schema(
    built: Path, model: str, version: str
) -> None:
    with tarfile.open(built / model / version / "model.tar.gz") as archive:
        files = {name: archive.extractfile(name).read() for name in archive.getnames()}
    graph = onnx.load_from_string(files["model.onnx"]).graph
    features = json.loads(files["schema.json"])["features"]

    [graph_input] = graph.input
    width = graph_input.type.tensor_type.shape.dim[1].dim_value
    assert width == len(features)
    assert (graph_input.name == "text") == (model == "sentiment")
    assert "ZipMap" not in {node.op_type for node in graph.node}
