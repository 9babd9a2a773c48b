"""The pickles of the CIFAR batches, read by a machine that cannot call anything.

Python's own unpickler runs what the file tells it to, and takes the memory the file tells it to.
This one knows the few instructions of which lists, dictionaries, strings, numbers and numpy arrays
are made (protocols 0 to 5), as the standard library's `pickletools` splits them, and answers every
other one with an error. What a file names is never imported, and its arrays are views of its bytes.
"""

from __future__ import annotations

import math
import pickletools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frenemy.data.streams import in_one_line
from frenemy.errors import FrenemyError

MAX_INSTRUCTIONS = 250_000
"""CIFAR-10's official batches take 40,000, CIFAR-100's 200,400.

Each makes at most an empty container or a copy of its bytes.
"""

_LITERALS = frozenset(
    opcode.name
    for opcode in pickletools.opcodes
    if opcode.arg and opcode.stack_after and opcode.stack_after[0] is not pickletools.anyobject
)
"""The instructions that carry what they push: numbers, text and bytes."""

_RECONSTRUCT = ("numpy.core.multiarray _reconstruct", "numpy._core.multiarray _reconstruct")
_FROMBUFFER = ("numpy.core.numeric _frombuffer", "numpy._core.numeric _frombuffer")
_ENCODE = "_codecs encode"  # how protocols 0 to 2 write bytes
_DTYPE = "numpy dtype"
_SYMBOLS = frozenset((*_RECONSTRUCT, *_FROMBUFFER, _ENCODE, _DTYPE, "numpy ndarray"))


def load_dict(path: Path) -> dict[str, Any]:
    """The dictionary in a pickle; its keys become text, its arrays views of the file's bytes.

    Raises:
        FrenemyError: if the file is damaged or holds anything else.
    """
    try:
        found = _Machine(path.read_bytes()).run()
        if type(found) is not dict:
            raise _Refused("it is not a dictionary")
        return {
            _text(key): value.filled() if isinstance(value, _Array) else value
            for key, value in found.items()
        }
    except _Refused as error:
        raise FrenemyError(f"{path}: this pickle is not read: {error}") from error
    except (ValueError, TypeError, LookupError, OverflowError) as error:
        raise FrenemyError(f"{path}: damaged pickle: {in_one_line(error)}") from error


class _Refused(Exception):
    """The pickle holds something that is not admitted."""


@dataclass(frozen=True)
class _Symbol:
    """A name that the pickle asks for, in place of the thing itself."""

    name: str


@dataclass
class _Dtype:
    """A dtype, whose byte order BUILD may set."""

    code: str
    order: str = "|"

    def numpy(self) -> np.dtype:
        if not re.fullmatch(r"[|<>=]?([biu][1248]|f[248])", self.code):
            raise _Refused("it holds arrays of other things than plain numbers")
        dtype = np.dtype(self.code)
        return dtype.newbyteorder(self.order) if self.order in ("<", ">") else dtype


@dataclass
class _Array:
    """An array, which BUILD fills."""

    value: NDArray | None = None

    def filled(self) -> NDArray:
        if self.value is None:
            raise _Refused("an array in it has no data")
        return self.value


class _Machine:
    """Pickle's stack machine, reduced to data."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}
        self._encoded = 0

    def run(self) -> Any:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(self._data)):
            if count == MAX_INSTRUCTIONS:
                raise _Refused(f"it has more than {MAX_INSTRUCTIONS:,} instructions")
            self._step(opcode.name, argument)
        return self._stack.pop()

    def _step(self, name: str, argument: Any) -> None:
        stack = self._stack
        match name:
            case _ if name in _LITERALS:
                stack.append(argument)
            case "PROTO" | "FRAME" | "STOP":
                pass
            case "NONE":
                stack.append(None)
            case "NEWTRUE" | "NEWFALSE":
                stack.append(name == "NEWTRUE")
            case "MARK":
                self._marks.append(len(stack))
            case "EMPTY_LIST":
                stack.append([])
            case "EMPTY_DICT":
                stack.append({})
            case "EMPTY_TUPLE":
                stack.append(())
            case "LIST":
                stack.append(self._since_mark())
            case "DICT":
                items = self._since_mark()
                stack.append({})
                self._set(items)
            case "TUPLE":
                stack.append(tuple(self._since_mark()))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                stack.append(tuple(self._last(int(name[-1]))))
            case "APPEND":
                self._extend(self._last(1))
            case "APPENDS":
                self._extend(self._since_mark())
            case "SETITEM":
                self._set(self._last(2))
            case "SETITEMS":
                self._set(self._since_mark())
            case "PUT" | "BINPUT" | "LONG_BINPUT":
                self._memo[argument] = stack[-1]
            case "MEMOIZE":
                self._memo[len(self._memo)] = stack[-1]
            case "GET" | "BINGET" | "LONG_BINGET":
                stack.append(self._memo[argument])
            case "GLOBAL":
                self._name(argument)
            case "STACK_GLOBAL":
                self._name(" ".join(self._last(2)))
            case "REDUCE":
                function, arguments = self._last(2)
                stack.append(self._made(function, arguments))
            case "BUILD":
                (state,) = self._last(1)
                self._build(stack[-1], state)
            case _:
                raise _Refused(f"it uses {name}, which no array, list or dictionary needs")

    def _last(self, count: int) -> list[Any]:
        if len(self._stack) < count:
            raise ValueError("its stack is empty")
        items = self._stack[-count:]
        del self._stack[-count:]
        return items

    def _since_mark(self) -> list[Any]:
        mark = self._marks.pop()
        items = self._stack[mark:]
        del self._stack[mark:]
        return items

    def _extend(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if type(target) is not list:
            raise _Refused("it appends to what is not a list")
        target.extend(items)

    def _set(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if type(target) is not dict:
            raise _Refused("it sets items of what is not a dictionary")
        # Tuples are no keys here: hashing nested ones can take for ever.
        target.update(
            (_text(key), value) for key, value in zip(items[::2], items[1::2], strict=True)
        )

    def _name(self, name: str) -> None:
        if name not in _SYMBOLS:
            raise _Refused(f"it names {name.replace(' ', '.')[:60]!r}, and nothing is run here")
        self._stack.append(_Symbol(name))

    def _made(self, function: Any, arguments: Any) -> Any:
        if not isinstance(function, _Symbol) or type(arguments) is not tuple:
            raise _Refused("it calls what is not a function of numpy's")
        if function.name in _RECONSTRUCT:
            return _Array()
        if function.name in _FROMBUFFER:
            data, dtype, shape, order = arguments
            return _Array(self._array(data, dtype, shape, fortran=order == "F"))
        if function.name == _ENCODE:
            return self._bytes(arguments[0])
        if function.name == _DTYPE:
            return _Dtype(_text(arguments[0]))
        raise _Refused("it calls an array")

    def _build(self, target: Any, state: Any) -> None:
        if type(state) is not tuple:
            raise _Refused("it sets the state of an object")
        if isinstance(target, _Array):
            shape, dtype, fortran, data = state[-4:]
            target.value = self._array(data, dtype, shape, fortran=bool(fortran))
        elif isinstance(target, _Dtype):
            target.order = _text(state[1])
        else:
            raise _Refused("it sets the state of an object")

    def _array(self, data: Any, dtype: Any, shape: Any, *, fortran: bool) -> NDArray:
        if not isinstance(dtype, _Dtype) or type(shape) is not tuple:
            raise _Refused("an array in it has no type or no shape")
        if not all(type(size) is int and size >= 0 for size in shape):
            raise ValueError("the shape of an array is not whole numbers")
        data, kind = self._bytes(data), dtype.numpy()
        if math.prod(shape) * kind.itemsize != len(data):
            raise ValueError(f"an array has {len(data):,} bytes, which is not what its shape says")
        return np.frombuffer(data, kind).reshape(shape, order="F" if fortran else "C")

    def _bytes(self, data: Any) -> bytes | bytearray:
        if type(data) in (bytes, bytearray):
            return data
        # An honest pickle turns each of its strings into bytes once. Without this sum one string,
        # turned again and again, would make gigabytes.
        self._encoded += len(_text(data))
        if self._encoded > len(self._data):
            raise _Refused("it encodes the same text again and again")
        return data.encode("latin-1")


def _text(value: Any) -> str:
    if type(value) is bytes:
        return value.decode("latin-1")
    if type(value) is not str:
        raise _Refused("it has something else where text belongs")
    return value
