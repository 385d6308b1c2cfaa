"""Tell whether a file can be an ONNX ModelProto, from its outermost protobuf fields alone.
Nothing here parses the graph."""

from collections.abc import Mapping
from types import MappingProxyType

from chalicelib.registry.archive.refusal import ArchiveRefused, RefusalReason

VARINT, EIGHT_BYTES, LENGTH, FOUR_BYTES = 0, 1, 2, 5
IR_VERSION, GRAPH = 1, 7
WIRE_TYPE_BY_FIELD: Mapping[int, int] = MappingProxyType(
    {1: VARINT, 2: LENGTH, 3: LENGTH, 4: LENGTH, 5: VARINT, 6: LENGTH, 7: LENGTH}
    | {8: LENGTH, 14: LENGTH, 20: LENGTH, 25: LENGTH, 26: LENGTH}
)
"""onnx.proto, message ModelProto."""
HIGHEST_FIELD = 100
HIGHEST_IR_VERSION = 1000
MOST_FIELDS = 10_000
TOKEN_BYTES = 20
"""The longest tag and number together."""


class OnnxScanner:
    """Feed it the file; it raises ArchiveRefused where the bytes stop being a ModelProto."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._buffer = b""
        self._skip_bytes = 0
        self._seen: set[int] = set()
        self._fields = 0

    def feed(self, data: bytes) -> bool:
        passed_bytes = min(self._skip_bytes, len(data))
        self._skip_bytes -= passed_bytes
        self._buffer += data[passed_bytes:]
        self._walk(kept_bytes=TOKEN_BYTES)
        return True

    def finish(self) -> None:
        self._walk(kept_bytes=0)
        if self._skip_bytes:
            raise self._refusal(f"lacks its last {self._skip_bytes!r} bytes")
        if not {IR_VERSION, GRAPH} <= self._seen:
            raise self._refusal("has no ONNX version or no graph")

    def _walk(self, *, kept_bytes: int) -> None:
        at = 0
        while at < len(self._buffer) - kept_bytes:
            at = self._read_field(at)
        self._skip_bytes += max(0, at - len(self._buffer))
        self._buffer = self._buffer[at:]

    def _read_field(self, at: int) -> int:
        tag, at = self._varint(at)
        field, wire_type = tag >> 3, tag & 7
        self._fields += 1
        known = WIRE_TYPE_BY_FIELD.get(field, wire_type)
        if not 0 < field <= HIGHEST_FIELD or known != wire_type or self._fields > MOST_FIELDS:
            raise self._refusal(f"has the protobuf field {field!r} of type {wire_type!r}")
        self._seen.add(field)
        if wire_type == VARINT:
            number, at = self._varint(at)
            if field == IR_VERSION and not 0 < number <= HIGHEST_IR_VERSION:
                raise self._refusal(f"has the ONNX version {number!r}")
            return at
        if wire_type == LENGTH:
            length_bytes, at = self._varint(at)
            return at + length_bytes
        if wire_type in {EIGHT_BYTES, FOUR_BYTES}:
            return at + (8 if wire_type == EIGHT_BYTES else 4)
        raise self._refusal(f"has the protobuf type {wire_type!r}")

    def _varint(self, at: int) -> tuple[int, int]:
        number = 0
        for index, byte in enumerate(self._buffer[at : at + 10]):
            number |= (byte & 0x7F) << (7 * index)
            if byte < 0x80:
                return number, at + index + 1
        raise self._refusal("has a protobuf number without an end")

    def _refusal(self, fact: str) -> ArchiveRefused:
        return ArchiveRefused(
            RefusalReason.MODEL_FILE_INVALID, f"file {self._name} is no ONNX model: it {fact}"
        )
