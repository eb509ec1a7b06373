"""Pickles of plain containers and of numpy's byte and integer arrays, read without Python's unpickler.

A pickle is a small program: it names functions, calls them and fills in what they return. Python's `pickle` runs
that program, and allowing numpy's classes alone does not make this safe, because numpy trusts the state that a pickle
hands to its dtype: a file could declare eight of its own bytes to be a pointer. Here the program is followed by a
machine that has nothing but data. A name such as numpy.dtype stays a name, an array is a shape, a type, an order and
bytes (`Array`), and nothing is looked up, imported or called. Only at the end do the bytes become an array, through
`numpy.frombuffer`, and only if they are unsigned bytes or 64-bit integers and exactly as many as the shape needs.
"""

from __future__ import annotations

import codecs
import math
import struct
from dataclasses import dataclass, field

import numpy as np

LARGEST_FILE = 1 << 28  # bytes; an official batch has 31 million
MOST_INSTRUCTIONS = 1_000_000  # an official batch has some 50,000

NAMES = {
    ("numpy.core.multiarray", "_reconstruct"): "array",
    ("numpy._core.multiarray", "_reconstruct"): "array",
    ("numpy.core.numeric", "_frombuffer"): "array of buffer",
    ("numpy._core.numeric", "_frombuffer"): "array of buffer",
    ("numpy", "ndarray"): "array type",
    ("numpy", "dtype"): "type",
    ("_codecs", "encode"): "encode",
}
TYPES = {"u1": ("uint8", "u1"), "i8": ("int64", "i8"), "i4": ("int32", None), "i1": ("int8", None),
         "b1": ("bool", None), "f2": ("float16", None), "f4": ("float32", None), "f8": ("float64", None),
         "O8": ("object", None)}  # fmt: skip


@dataclass
class Name:
    """What stands for a function or a class that the pickle names."""

    meaning: str


@dataclass
class Type:
    """What stands for a numpy dtype: its code (as "u1") and its byte order."""

    code: str
    order: str | None = None


@dataclass
class Array:
    """What stands for a numpy array: its parts as the pickle states them, not yet believed."""

    parts: tuple = ()  # shape, Type, whether Fortran's order, bytes

    def describe(self) -> str:
        """The type and the shape in words, as far as they are known."""
        shape, kind = (*self.parts, None, None)[:2]
        name = TYPES.get(kind.code, (kind.code[:8],))[0] if isinstance(kind, Type) else "unknown"
        return f"{name} {shape}" if _is_shape(shape) else f"{name} of no proper shape"

    def to_numpy(self) -> np.ndarray:
        """The array itself; ValueError unless it is uint8 or int64 and its bytes are exactly what its shape needs."""
        if len(self.parts) != 4:
            raise ValueError("an array without content")
        shape, kind, fortran, content = self.parts
        code = TYPES.get(kind.code, (None, None))[1] if isinstance(kind, Type) else None
        if code is None or kind.order not in (None, "|", "<", ">", "="):
            raise ValueError(f"an array of uint8 or int64 was expected, got {self.describe()}")
        if not _is_shape(shape) or not isinstance(content, bytes):
            raise ValueError(f"an array of {self.describe()} with content of type {type(content).__name__}")
        dtype = np.dtype((">" if kind.order == ">" else "<") + code)
        if math.prod(shape) * dtype.itemsize != len(content):
            raise ValueError(f"an array of shape {shape} with {len(content):,} bytes")
        return np.frombuffer(content, dtype).reshape(shape, order="F" if fortran is True else "C")


def _is_shape(shape) -> bool:
    whole = isinstance(shape, tuple) and len(shape) <= 4 and all(type(n) is int for n in shape)
    return whole and all(0 <= n < 1 << 40 for n in shape)


def loads(content: bytes):
    """Read a pickle of protocol 0 to 5.

    Args:
        content: The pickle. Strings of Python 2 become bytes.

    Returns:
        None, numbers, bytes, texts, and lists, tuples and dictionaries of them; arrays as `Array`.

    Raises:
        ValueError: If it is truncated, names anything but numpy's arrays, or holds any other instruction.
    """
    if len(content) > LARGEST_FILE:
        raise ValueError(f"{len(content):,} bytes, at most {LARGEST_FILE:,} are read")
    machine = _Machine(content)
    for _ in range(MOST_INSTRUCTIONS):
        code = machine.take(1)
        if code == b".":
            return machine.pop()
        if code not in INSTRUCTIONS:
            raise ValueError(f"instruction {code!r} belongs to no plain container or numpy array")
        INSTRUCTIONS[code](machine)
    raise ValueError(f"more than {MOST_INSTRUCTIONS:,} instructions")


@dataclass
class _Machine:
    content: bytes
    position: int = 0
    stack: list = field(default_factory=list)
    marks: list = field(default_factory=list)
    memo: dict = field(default_factory=dict)

    def take(self, count: int) -> bytes:
        if count < 0 or count > len(self.content) - self.position:
            raise ValueError(f"truncated at byte {self.position:,}")
        self.position += count
        return self.content[self.position - count : self.position]

    def number(self, form: str) -> int | float:
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def line(self) -> bytes:
        end = self.content.find(b"\n", self.position)
        if end < 0:
            raise ValueError(f"truncated at byte {self.position:,}")
        return self.take(end + 1 - self.position)[:-1]

    def integer(self) -> int | bool:
        text = self.line().rstrip(b"L")
        if text in (b"00", b"01"):  # how protocol 0 writes False and True
            return text == b"01"
        if len(text) > 20 or not text.removeprefix(b"-").isdigit():
            raise ValueError(f"{text[:20]!r} is no whole number")
        return int(text)

    def push(self, value):
        self.stack.append(value)

    def pop(self):
        if len(self.stack) <= (self.marks[-1] if self.marks else 0):
            raise ValueError("an instruction without operands")
        return self.stack.pop()

    def pop_marked(self) -> list:
        if not self.marks:
            raise ValueError("an instruction without operands")
        start = self.marks.pop()
        values = self.stack[start:]
        del self.stack[start:]
        return values

    def top(self, kind: type):
        value = self.pop()
        if type(value) is not kind:
            raise ValueError(f"a {kind.__name__} was expected, got a {type(value).__name__}")
        self.push(value)
        return value

    def recall(self, index):
        if index not in self.memo:
            raise ValueError(f"nothing was stored under {index}")
        self.push(self.memo[index])

    def store(self, index):
        value = self.pop()
        self.push(value)
        self.memo[index] = value

    def extend(self, values: list):
        self.top(list).extend(values)

    def update(self, values: list):
        # Texts only: the hash of a deeply nested tuple overflows the stack of CPython.
        if len(values) % 2 or not all(isinstance(key, bytes | str) for key in values[::2]):
            raise ValueError("a dictionary whose keys are no texts")
        self.top(dict).update(zip(values[::2], values[1::2]))

    def name(self, module, name):
        if not isinstance(module, str) or not isinstance(name, str):
            raise ValueError("a name that is no text")
        if (module, name) not in NAMES:
            raise ValueError(f"it pickles {module[:60]}.{name[:60]}; only plain containers and numpy arrays are loaded")
        self.push(Name(NAMES[module, name]))

    def reduce(self):
        arguments, function = self.pop(), self.pop()
        match function, arguments:
            case Name("encode"), (str(text), "latin1" | "latin-1"):
                # Python 3 writes bytes into a protocol 2 pickle as text in latin-1; no other codec is needed.
                self.push(text.encode("latin-1", "strict"))
            case Name("encode"), _:
                raise ValueError("the codec is not allowed, only latin-1 is")
            case Name("type"), (bytes(code) | str(code), *_):
                self.push(Type(code.decode("latin-1") if isinstance(code, bytes) else code))
            case Name("array"), (Name("array type"), *_):
                self.push(Array())
            case Name("array of buffer"), (bytes(data), Type() as kind, tuple(shape), str(order)):
                self.push(Array((shape, kind, order == "F", data)))
            case _:
                raise ValueError("a call that makes neither a numpy array nor its type")

    def build(self):
        state, value = self.pop(), self.pop()
        match value, state:
            case Type(order=None), (_, bytes(order) | str(order), None, None, None, *_):
                value.order = order.decode("latin-1") if isinstance(order, bytes) else order
            case Array(parts=()), (_, shape, kind, fortran, data):
                value.parts = (shape, kind, fortran, data)
            case _:
                raise ValueError("a state that belongs to neither a numpy array nor its type")
        self.push(value)


def _text(content: bytes) -> str:
    return content.decode("utf-8", "surrogatepass")


def _quoted(line: bytes) -> bytes:
    if len(line) < 2 or line[:1] not in (b"'", b'"') or line[-1:] != line[:1]:
        raise ValueError("a string without quotes")
    return codecs.escape_decode(line[1:-1])[0]


def _items(machine):
    values = [machine.pop() for _ in range(2)][::-1]
    machine.update(values)


def _dictionary(machine):
    values = machine.pop_marked()
    machine.push({})
    machine.update(values)


def _tuple(count):
    return lambda m: m.push(tuple([m.pop() for _ in range(count)][::-1]))


def _long(form):
    return lambda m: m.push(int.from_bytes(m.take(m.number(form)), "little", signed=True))


def _bytes(form):
    return lambda m: m.push(m.take(m.number(form)))


def _texts(form):
    return lambda m: m.push(_text(m.take(m.number(form))))


INSTRUCTIONS = {
    b"\x80": lambda m: m.take(1),  # the protocol
    b"\x95": lambda m: m.take(8),  # a frame: only a hint for reading ahead
    b"(": lambda m: m.marks.append(len(m.stack)),
    b"0": lambda m: m.pop(),
    b"N": lambda m: m.push(None),
    b"\x88": lambda m: m.push(True),
    b"\x89": lambda m: m.push(False),
    b"I": lambda m: m.push(m.integer()),
    b"L": lambda m: m.push(m.integer()),
    b"J": lambda m: m.push(m.number("<i")),
    b"K": lambda m: m.push(m.number("<B")),
    b"M": lambda m: m.push(m.number("<H")),
    b"\x8a": _long("<B"),
    b"G": lambda m: m.push(m.number(">d")),
    b"S": lambda m: m.push(_quoted(m.line())),
    b"T": _bytes("<i"),
    b"U": _bytes("<B"),
    b"B": _bytes("<I"),
    b"C": _bytes("<B"),
    b"\x8e": _bytes("<Q"),
    b"\x96": _bytes("<Q"),
    b"V": lambda m: m.push(m.line().decode("raw-unicode-escape")),
    b"X": _texts("<I"),
    b"\x8c": _texts("<B"),
    b"\x8d": _texts("<Q"),
    b"]": lambda m: m.push([]),
    b"l": lambda m: m.push(m.pop_marked()),
    b"a": lambda m: m.extend([m.pop()]),
    b"e": lambda m: m.extend(m.pop_marked()),
    b")": lambda m: m.push(()),
    b"t": lambda m: m.push(tuple(m.pop_marked())),
    b"\x85": _tuple(1),
    b"\x86": _tuple(2),
    b"\x87": _tuple(3),
    b"}": lambda m: m.push({}),
    b"d": _dictionary,
    b"s": _items,
    b"u": lambda m: m.update(m.pop_marked()),
    b"p": lambda m: m.store(m.integer()),
    b"q": lambda m: m.store(m.number("<B")),
    b"r": lambda m: m.store(m.number("<I")),
    b"\x94": lambda m: m.store(len(m.memo)),
    b"g": lambda m: m.recall(m.integer()),
    b"h": lambda m: m.recall(m.number("<B")),
    b"j": lambda m: m.recall(m.number("<I")),
    b"c": lambda m: m.name(_text(m.line()), _text(m.line())),
    b"\x93": lambda m: m.name(*[m.pop() for _ in range(2)][::-1]),
    b"R": lambda m: m.reduce(),
    b"b": lambda m: m.build(),
}
