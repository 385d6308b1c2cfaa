"""Loads the archive into an onnxruntime session, proves it by a probe run, and scores bodies.
No HTTP; no code of an archive ever runs, and no custom operator library is registered."""

import time
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnxruntime
from scoring import codecs
from scoring.inputs import Row, Unfit, bind_inputs
from scoring.outputs import UnreadableOutput, choose_reading, prove_predictions
from scoring.problems import ModelFailed, ModelRefused, Problem, UnknownCategory
from scoring.rows import check_rows
from scoring.schema import Schema, read_schema

Format = Literal["json", "csv"]
RUN_ROWS = 8192
"""Rows of one session run: bounds the memory of a graph's inner tensors, whatever the batch."""
FATAL_ONLY = 4
INLINE_BYTES = 16 * 2**10
"""Bodies up to this are scored on the event loop. Measured with 20 features, 64 hidden units, one
thread: 2 KiB (10 rows) 0.13 ms, 8 KiB 0.3 ms, 33 KiB 1.0 ms, 0.5 MiB 18 ms, while the way through a
thread adds 0.1 ms; so /ping waits about half a millisecond behind a body scored here."""
SLOW_PROBE_S = 0.002
"""A graph that needs longer for one row is never run on the event loop."""


class Scorer:
    """One loaded and proved model; score() may be called from several threads."""

    def __init__(self, session: onnxruntime.InferenceSession, schema: Schema) -> None:
        self._session = session
        self._binding = bind_inputs(session.get_inputs(), schema.features)
        self._reading = choose_reading(session.get_outputs(), schema.output)
        self._output_names = list(self._reading.output_names)
        self._codec = codecs.InstanceCodec(self._binding.columns)
        self.inline_bytes = INLINE_BYTES

    @property
    def features(self) -> list[str]:
        return [column.name for column in self._binding.columns]

    def score(self, body: bytes, *, read: Format, write: Format) -> bytes:
        """Answer one body; raises Problem."""
        rows = self._codec.read_json(body) if read == "json" else self._codec.read_csv(body)
        predictions = self.predict(rows)
        if write == "csv":
            return codecs.encode_csv(self._reading.csv_rows(predictions))
        return b'{"predictions":' + codecs.encode_json(predictions) + b"}"

    def predict(self, rows: list[Row]) -> list[Any]:
        """Run the graph over rows of the right types; raises Problem."""
        try:
            return self._run_in_parts(rows)
        except Unfit as unfit:
            check_rows([list(row) for row in rows], self._binding.columns)
            raise ModelFailed("a value does not fit its tensor") from unfit
        except (UnreadableOutput, KeyError, IndexError) as error:
            raise ModelFailed(f"outputs are unreadable: {error!s}") from error

    def _run_in_parts(self, rows: list[Row]) -> list[Any]:
        if len(rows) <= RUN_ROWS:
            return self._run(rows)
        return [
            prediction
            for start in range(0, len(rows), RUN_ROWS)
            for prediction in self._run(rows[start : start + RUN_ROWS])
        ]

    def _run(self, rows: list[Row]) -> list[Any]:
        feeds = self._binding.feed(rows)
        try:
            values = self._session.run(self._output_names, feeds)
        except Exception as error:  # onnxruntime's errors share no base; any of them is the model's
            if "Unknown Category" in str(error):
                raise UnknownCategory(
                    "a string is none of the categories the model knows"
                ) from error
            raise ModelFailed(_one_line(error)) from error
        return self._reading.read(values, len(rows))

    def prove(self, sample: bytes | None) -> None:
        """Score the sample, or a row of zeros, then one row alone and two; raises ModelRefused."""
        source, hint = "sample.json", ""
        if sample is None:
            source, hint = "zeros", "; put a valid request into sample.json"
        try:
            rows = [self._zeros()] if sample is None else self._codec.read_json(sample)
            self._prove_on(rows)
            started_s = time.perf_counter()
            self._prove_on(rows[:1])
            if time.perf_counter() - started_s > SLOW_PROBE_S:
                self.inline_bytes = 0
            self._prove_on(rows[:1] * 2)
        except Problem as problem:
            raise ModelRefused(
                f"probe run with {source} failed: {problem.detail}{hint}"
            ) from problem
        except Unfit as error:
            raise ModelRefused(f"{source} holds a number outside its tensor's range") from error
        except (UnreadableOutput, KeyError) as error:
            raise ModelRefused(f"output does not fit: {error!s}") from error

    def _prove_on(self, rows: list[Row]) -> None:
        prove_predictions(self._reading, self._run_in_parts(rows))

    def _zeros(self) -> Row:
        value_by_type = {"float": 0.0, "int": 0, "bool": False, "string": ""}
        return tuple(value_by_type[column.feature.type] for column in self._binding.columns)


def load_scorer(model_dir: Path, *, threads: int) -> Scorer:
    """Open model.onnx with its schema and sample; raises ModelRefused with one clear sentence."""
    model_path = model_dir / "model.onnx"
    if not model_path.is_file():
        raise ModelRefused(f"{model_path} is missing")
    np.seterr(all="ignore")  # a float that overflows its tensor is reported as a flaw instead
    schema = read_schema(model_dir / "schema.json")
    scorer = Scorer(_open_session(model_path, threads=threads), schema)
    sample = model_dir / "sample.json"
    scorer.prove(sample.read_bytes() if sample.is_file() else None)
    return scorer


def _open_session(model_path: Path, *, threads: int) -> onnxruntime.InferenceSession:
    """Load by path: onnxruntime then refuses external data that leaves the model's directory."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = FATAL_ONLY  # the reason is logged once, by us
    # The arena and the memory patterns keep what the largest batch once needed, for ever.
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    # Spinning threads burn a whole vCPU after each run, which the event loop needs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(
            str(model_path), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # onnxruntime's errors share no base; any of them refuses the model
        raise ModelRefused(f"model.onnx does not load: {_one_line(error)}") from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:400]
