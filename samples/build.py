"""Build the sample models: `python -m samples.build --out .local/samples [--model eta]`.
Nothing here is imported by the package; what is up to date is left as it is."""

import argparse
import hashlib
import json
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path

from threadpoolctl import threadpool_limits

from samples import eta, recommendation, sentiment, wine
from samples.exporting import export_onnx, make_sample, make_schema, to_json
from samples.task import Task, score, to_inputs
from tools.tarball import pack

TASKS: Mapping[str, Callable[[], Task]] = {
    "eta": eta.make_task,
    "recommendation": recommendation.make_task,
    "sentiment": sentiment.make_task,
    "wine": wine.make_task,
}
SCRIPTS = ("build", "exporting", "task", "sentiment_grammar", *TASKS)
LIBRARIES = ("numpy", "onnx", "scikit-learn", "skl2onnx")
HOSTING = {"kind": "serverless", "memory_mb": 1024, "max_concurrency": 5}
RECORD_FILE = "built.json"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Train, export and pack the sample models.")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", choices=sorted(TASKS), action="append")
    options = parser.parse_args(arguments)
    print(f"{'model':<16}{'version':<10}{'metric':<10}{'held out':>9}{'rows':>7}")
    for model in options.model or sorted(TASKS):
        quality = build(model, options.out)
        for release, (metric, value, rows) in quality.items():
            print(f"{model:<16}{release:<10}{metric:<10}{value:>9.4f}{rows:>7}")
    return 0


def build(model: str, out: Path) -> dict[str, tuple[str, float, int]]:
    """Give metric, value and rows of each version; writes nothing when all is up to date."""
    record_path = out / model / RECORD_FILE
    fingerprint = _fingerprint()
    if record_path.exists():
        record = json.loads(record_path.read_bytes())
        if record["fingerprint"] == fingerprint:
            return {name: tuple(line) for name, line in record["quality"].items()}
    with threadpool_limits(limits=1):
        quality = _build(TASKS[model](), out / model)
    record_path.write_bytes(to_json({"fingerprint": fingerprint, "quality": quality}))
    return quality


def _build(task: Task, folder: Path) -> dict[str, tuple[str, float, int]]:
    documents = {"schema.json": make_schema(task), "sample.json": make_sample(task)}
    inputs = to_inputs(task.rows, task.features)
    quality = {}
    for release, fit in task.releases.items():
        estimator = fit()
        archive = pack({"model.onnx": export_onnx(task, estimator)} | documents)
        (folder / release).mkdir(parents=True, exist_ok=True)
        (folder / release / "model.tar.gz").write_bytes(archive)
        value = score(task, estimator.predict(inputs).tolist())
        quality[release] = (task.metric, round(value, 4), len(task.rows))
    settings = {"description": task.description, "hosting": HOSTING, "on_upload": "candidate"}
    (folder / "model.json").write_bytes(to_json(settings))
    holdout = {
        "rows": [dict(row) for row in task.rows],
        "truth": list(task.truth),
        "metric": task.metric,
    }
    (folder / "holdout.json").write_bytes(to_json(holdout))
    return quality


def _fingerprint() -> str:
    """Changes with the scripts and with the libraries that the bytes depend on."""
    digest = hashlib.sha256()
    for script in SCRIPTS:
        digest.update((Path(__file__).parent / f"{script}.py").read_bytes())
    for library in LIBRARIES:
        digest.update(f"{library}={version(library)};".encode())
    return digest.hexdigest()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
