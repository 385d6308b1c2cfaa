"""How much an archive may hold, and what one inspection may still spend on it.
Nothing here reads bytes of an archive."""

from dataclasses import dataclass

from chalicelib.registry.archive.refusal import ArchiveRefused, RefusalReason

MIB = 2**20
GIB = 2**30


@dataclass(frozen=True)
class Limits:
    """The bounds of one archive; a value equal to its bound is accepted."""

    compressed_bytes: int = 5 * GIB
    """Size of the uploaded bytes."""
    unpacked_bytes: int = 5 * GIB
    """Size of the tar stream, headers and padding included."""
    member_bytes: int = 5 * GIB
    """Size of one file."""
    members: int = 4_096
    """Files and directories together."""
    ratio: float = 200.0
    """Unpacked over compressed bytes, at every point of the stream."""
    ratio_floor_bytes: int = 10 * MIB
    """Unpacked bytes below which the ratio is not looked at."""
    document_bytes: int = MIB
    """Size of sample.json and of schema.json."""


class Budget:
    """What the search for pickles may spend on one archive before it refuses.

    Each count is far above what honest archives need; running out of one is a refusal, so that
    no archive can be made expensive to look at.
    """

    def __init__(self, limits: Limits) -> None:
        self._opcodes = 20_000
        self._compressed_files = 64
        self._inner_bytes = 4 * MIB
        self._zip_entries = 2 * limits.members

    def spend_opcode(self, name: str) -> None:
        self._opcodes -= 1
        if self._opcodes < 0:
            raise ArchiveRefused(
                RefusalReason.PICKLE, f"file {name} goes on as a pickle for too many opcodes"
            )

    def spend_compressed_file(self, name: str, *, weight: int) -> None:
        """weight: how much more than gzip the format costs before its first byte is known."""
        self._compressed_files -= weight
        if self._compressed_files < 0:
            raise ArchiveRefused(
                RefusalReason.PICKLE, f"file {name} is one compressed file too many to look into"
            )

    def spend_inner_bytes(self, name: str, count: int) -> None:
        self._inner_bytes -= count
        if self._inner_bytes < 0:
            raise ArchiveRefused(
                RefusalReason.PICKLE, f"file {name} goes on as a compressed pickle for too long"
            )

    def spend_zip_entry(self, name: str) -> None:
        self._zip_entries -= 1
        if self._zip_entries < 0:
            raise ArchiveRefused(
                RefusalReason.TOO_MANY_MEMBERS, f"zip file {name} has too many entries"
            )
