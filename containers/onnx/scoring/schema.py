"""Types of schema.json: the features a model takes and what its output means.
No graph, no HTTP; the file itself is untrusted."""

from collections import Counter
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from scoring.problems import ModelRefused

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
FeatureType = Literal["float", "int", "bool", "string"]
MAX_SCHEMA_BYTES = 4 * 2**20


class Feature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One column of an instance, in the order of the row."""

    name: Name
    type: FeatureType
    nullable: bool = False


class Classification(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    tag_field="kind",
    tag="classification",
):
    """labels: in the order of the graph's probability columns (sorted classes in scikit-learn)."""

    labels: Annotated[tuple[Name, ...], msgspec.Meta(min_length=2)]


class Regression(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="regression"
):
    """name: what the number is, with its unit, as in eta_minutes."""

    name: Name = "value"


Output = Classification | Regression


class Schema(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Contents of schema.json; what is absent is derived from the graph."""

    features: Annotated[tuple[Feature, ...], msgspec.Meta(min_length=1)] | None = None
    output: Output | None = None


def read_schema(path: Path) -> Schema:
    """Read schema.json, or return an empty Schema where the archive has none.

    Raises ModelRefused on anything but a valid schema, naming the place.
    """
    if not path.exists():
        return Schema()
    if not path.is_file() or path.stat().st_size > MAX_SCHEMA_BYTES:
        raise ModelRefused(f"schema.json is no file of at most {MAX_SCHEMA_BYTES} bytes")
    try:
        schema = msgspec.json.decode(path.read_bytes(), type=Schema)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ModelRefused(f"schema.json is invalid: {error}") from error
    _refuse_repeats("features", [feature.name for feature in schema.features or ()])
    if isinstance(schema.output, Classification):
        _refuse_repeats("output.labels", list(schema.output.labels))
    return schema


def _refuse_repeats(where: str, names: list[str]) -> None:
    repeated = [name for name, times in Counter(names).items() if times > 1]
    if repeated:
        raise ModelRefused(f"schema.json is invalid: {where} repeats {repeated[0]!r}")
