"""Tell whether a file begins as a pickle, by walking its opcodes; nothing is ever loaded.
Nothing here imports pickle, builds an object or looks up a name.

The walk follows the stack the way an unpickler would, as kinds only. It takes more than an
unpickler takes, never less, with one exception said in `_acts`, so that text which happens to
begin with an opcode letter is not called a pickle."""

import pickletools
import re
from dataclasses import dataclass

from chalicelib.registry.archive.limits import Budget
from chalicelib.registry.archive.refusal import ArchiveRefused, RefusalReason, shown

PICKLE_NAME = re.compile(r".*\.(pkl|pickle|joblib|dill)(\.(z|gz|bz2|xz|lzma|lz4|zst))?", re.DOTALL)
DATA, GLOBAL, UNKNOWN = 0, 1, 2
"""Kinds on the stack: plain data, something imported, the result of a call or of the memo."""
OPCODES = {ord(opcode.code): opcode for opcode in pickletools.opcodes}
PROTO = 0x80
HIGHEST_PROTOCOL = 5
LINE_BYTES = 4096
INERT_OPCODES = 4
"""A whole pickle without imports counts from this length on: `N.B.` is text, not a pickle."""
ACTING = frozenset({"REDUCE", "BUILD", "NEWOBJ", "NEWOBJ_EX", "OBJ"}) | frozenset(
    {"APPEND", "APPENDS", "SETITEM", "SETITEMS", "ADDITEMS"}
)
PERSISTENT = frozenset({"PERSID", "BINPERSID"})
IMPORTS = frozenset({"GLOBAL", "STACK_GLOBAL", "EXT1", "EXT2", "EXT4"})
FETCHES = frozenset({"GET", "BINGET", "LONG_BINGET"})
STORES = frozenset({"PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"})
_NUMBER = re.compile(rb"[\s0-9a-zA-Z_+.\-]*")
_QUOTED = re.compile(rb"[\"'].*", re.DOTALL)
_WORD = re.compile(rb"\S+")
_LINE_RULES = {"INT": _NUMBER, "LONG": _NUMBER, "FLOAT": _NUMBER, "STRING": _QUOTED}
_LENGTH_BYTES = {
    pickletools.TAKEN_FROM_ARGUMENT1: 1,
    pickletools.TAKEN_FROM_ARGUMENT4: 4,
    pickletools.TAKEN_FROM_ARGUMENT4U: 4,
    pickletools.TAKEN_FROM_ARGUMENT8U: 8,
}


def refuse_pickle_name(name: str) -> None:
    """A loader would unpickle a file of such a name, whatever its bytes look like here."""
    if PICKLE_NAME.fullmatch(name.lower()):
        raise ArchiveRefused(RefusalReason.PICKLE, f"file {shown(name)} is named as a pickle")


class _NoPickle(Exception):
    """An unpickler would stop with an error here, with nothing called before."""


@dataclass(frozen=True)
class _Token:
    name: str
    lines: tuple[bytes, ...]
    size_bytes: int
    """Opcode and argument; more than the buffer may hold."""


class PickleScanner:
    """Feed it a file from its beginning; it raises ArchiveRefused once the file is a pickle."""

    def __init__(self, name: str, budget: Budget) -> None:
        self._name = name
        self._budget = budget
        self._buffer = b""
        self.skip_bytes = 0
        """Length of the rest of the current argument, as the file says it."""
        self._in_line = False
        self._is_over = False
        self._machine = _Machine()

    def feed(self, data: bytes) -> bool:
        """Say whether the verdict is still open."""
        if self._is_over:
            return False
        try:
            self._walk(self._skipped(data))
        except _NoPickle:
            self._is_over = True
        return not self._is_over

    def finish(self) -> None:
        """Refuse a pickle without an end: its beginning would still run.

        A last line without its newline is one for the unpickler that is written in Python.
        """
        if not self._is_over and self._machine.is_declared:
            raise self._refusal("is a pickle without an end")
        self.feed(b"\n\n")

    def _skipped(self, data: bytes) -> bytes:
        if self._in_line:
            _, newline, data = data.partition(b"\n")
            self._in_line = not newline
        passed_bytes = min(self.skip_bytes, len(data))
        self.skip_bytes -= passed_bytes
        return data[passed_bytes:]

    def _walk(self, data: bytes) -> None:
        buffer, at = self._buffer + data, 0
        while at < len(buffer):
            token = _next_token(buffer, at)
            if token is None:
                break
            self._budget.spend_opcode(self._name)
            if self._machine.run(token, buffer[at + 1 : at + 2]):
                raise self._refusal(f"is a pickle, opcode {token.name}")
            at += token.size_bytes
        self.skip_bytes += max(0, at - len(buffer))
        self._buffer = buffer[at:]
        if len(self._buffer) > 2 * LINE_BYTES:
            self._leave_long_line()

    def _leave_long_line(self) -> None:
        """Step over a text line too long to keep; it only pushes data."""
        opcode = OPCODES[self._buffer[0]]
        if opcode.name in {"GLOBAL", "INST"}:
            raise _NoPickle
        self._machine.run(_Token(opcode.name, (), 0), b"")
        self._buffer, self._in_line = b"", True

    def _refusal(self, fact: str) -> ArchiveRefused:
        return ArchiveRefused(RefusalReason.PICKLE, f"file {self._name} {fact}")


def _next_token(buffer: bytes, at: int) -> _Token | None:
    """The token at a position, or None when more bytes are needed to read it."""
    opcode = OPCODES.get(buffer[at])
    if opcode is None:
        raise _NoPickle
    if opcode.arg is None:
        return _Token(opcode.name, (), 1)
    if opcode.arg.n >= 0:
        size_bytes = 1 + opcode.arg.n
        return _Token(opcode.name, (), size_bytes) if at + size_bytes <= len(buffer) else None
    length_bytes = _LENGTH_BYTES.get(opcode.arg.n)
    if length_bytes is None:
        return _line_token(opcode.name, buffer, at)
    field = buffer[at + 1 : at + 1 + length_bytes]
    if len(field) < length_bytes:
        return None
    return _Token(opcode.name, (), 1 + length_bytes + int.from_bytes(field, "little"))


def _line_token(name: str, buffer: bytes, at: int) -> _Token | None:
    lines: list[bytes] = []
    end = at
    for _ in range(2 if name in {"GLOBAL", "INST"} else 1):
        start = end + 1
        end = buffer.find(b"\n", start)
        if end < 0:
            return None
        lines.append(buffer[start:end])
    return _Token(name, tuple(lines), end + 1 - at)


class _Machine:
    """The unpickler's stack as kinds: enough to know whether it would go on."""

    def __init__(self) -> None:
        self.is_declared = False
        self._stack = bytearray()
        self._marks: list[int] = []
        self._opcodes = 0
        self._has_memo = False
        self._has_imported = False

    def run(self, token: _Token, argument: bytes) -> bool:
        """Say whether this token proves a pickle; raises _NoPickle where an unpickler stops."""
        self._opcodes += 1
        self._refuse_argument(token, argument)
        if token.name == "STOP":
            self._pop(1)
            if self.is_declared or self._has_imported or self._opcodes >= INERT_OPCODES:
                return True
            raise _NoPickle
        acts = self._apply(token.name)
        return acts or (self.is_declared and self._has_imported)

    def _refuse_argument(self, token: _Token, argument: bytes) -> None:
        if token.name in PERSISTENT and not self.is_declared:
            raise _NoPickle  # without a loader of its own, an unpickler stops here
        if token.name == "PROTO":
            if argument[0] > HIGHEST_PROTOCOL:
                raise _NoPickle
            self.is_declared = self.is_declared or self._opcodes == 1
        rule = _LINE_RULES.get(token.name)
        if rule and token.lines and not rule.fullmatch(token.lines[0]):
            raise _NoPickle
        if token.name in {"GLOBAL", "INST"} and not all(map(_WORD.fullmatch, token.lines)):
            raise _NoPickle

    def _apply(self, name: str) -> bool:
        """Move the stack; say whether something imported was called or changed."""
        if name in IMPORTS:
            self._pop(2 if name == "STACK_GLOBAL" else 0)
            self._stack.append(GLOBAL)
            self._has_imported = True
            return False
        if name in FETCHES:
            if not self._has_memo:
                raise _NoPickle
            self._stack.append(UNKNOWN)
            return False
        if name in STORES:
            self._pop(1)
            self._stack.append(UNKNOWN)
            self._has_memo = True
            return False
        if name == "MARK":
            self._marks.append(len(self._stack))
            return False
        if name == "POP" and self._marks and self._marks[-1] == len(self._stack):
            self._marks.pop()
            return False
        return self._apply_effect(name)

    def _apply_effect(self, name: str) -> bool:
        opcode = OPCODES[_CODES[name]]
        operands = list(opcode.stack_before)
        on_mark = pickletools.markobject in operands
        taken = bytearray()
        if on_mark:
            taken = self._pop_mark()
            operands = operands[: operands.index(pickletools.markobject)]
        taken = self._pop(len(operands)) + taken
        kind = taken[0] if name == "DUP" else _result_kind(name, taken)
        self._stack += bytes([kind]) * len(opcode.stack_after)
        return self._acts(name, taken)

    def _acts(self, name: str, taken: bytearray) -> bool:
        """Whether an opcode calls or changes something imported.

        The exception to taking more: a call whose only argument is itself an import is passed
        over, because two-word lines of text (a file of labels) read like that.
        """
        if name == "INST":
            self._has_imported = True
            return True
        if not self._has_imported or name not in ACTING or not taken or taken[0] == DATA:
            return False
        return len(taken) == 1 or taken[-1] != GLOBAL

    def _pop(self, count: int) -> bytearray:
        floor = self._marks[-1] if self._marks else 0
        start = len(self._stack) - count
        if start < floor:
            raise _NoPickle
        taken = self._stack[start:]
        del self._stack[start:]
        return taken

    def _pop_mark(self) -> bytearray:
        if not self._marks:
            raise _NoPickle
        start = self._marks.pop()
        taken = self._stack[start:]
        del self._stack[start:]
        return taken


def _result_kind(name: str, taken: bytearray) -> int:
    if name in PERSISTENT or name == "INST":
        return UNKNOWN
    return UNKNOWN if name in ACTING and taken and taken[0] != DATA else DATA


_CODES = {opcode.name: ord(opcode.code) for opcode in pickletools.opcodes}
