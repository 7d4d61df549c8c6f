"""Read the pickles of CIFAR's archives and nothing else: a pickle is a program, and may mean harm."""

import io
import pickle
import pickletools
from typing import Any

import numpy as np

from das.errors import DasError

#: The operations that plain values and arrays need. Others make objects, sets (which hash what they hold, however deep)
#: or buffers (whose memory is taken before their bytes are there).
OPERATIONS = frozenset(
    (
        *("PROTO", "FRAME", "STOP", "MARK", "NONE", "NEWTRUE", "NEWFALSE", "INT", "BININT", "BININT1", "BININT2"),
        *("LONG", "LONG1", "STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE"),
        *("BINBYTES", "SHORT_BINBYTES", "EMPTY_LIST", "LIST", "APPEND", "APPENDS", "EMPTY_DICT", "DICT", "SETITEM"),
        *("SETITEMS", "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"),
        *("GET", "BINGET", "LONG_BINGET", "GLOBAL", "STACK_GLOBAL", "REDUCE", "BUILD"),
    )
)
TUPLES = 1000  # that no call takes at once: nested and used as a key, they would be hashed in a recursion without limit


def loads(content: bytes, origin: str) -> dict:
    """Unpickle a dict of numbers, text, bytes, lists and uint8 arrays. DasError, led by ``origin``, for all else."""
    try:
        _examine(content)
        found = _Unpickler(io.BytesIO(content), encoding="bytes").load()
        if not isinstance(found, dict):
            raise DasError(f"holds {type(found).__name__}, not a dict")
        return {key: value.array if isinstance(value, _Array) else value for key, value in found.items()}
    except DasError as error:
        raise DasError(f"{origin}: {error}") from None
    except Exception as error:  # a damaged pickle can raise nearly anything
        raise DasError(f"{origin}: not a readable pickle ({type(error).__name__}: {error})") from error


def _examine(content: bytes) -> None:
    """Refuse a program that would exhaust memory or the stack, without running it."""
    tuples, last = 0, ""
    for position, (operation, argument, _) in enumerate(pickletools.genops(content)):
        name = operation.name
        remembers = name in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE")
        far = remembers and argument is not None and argument > position  # the memo is as long as its last place
        if not remembers:
            tuples += last.startswith("TUPLE") and name not in ("REDUCE", "BUILD")
            last = name
        if name not in OPERATIONS or far or tuples > TUPLES:
            raise DasError(f"hostile pickle: {name} has no place in it; only arrays, lists and bytes are read")


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _STAND_INS:
            raise DasError(f"hostile pickle: it asks for {module}.{name}; only arrays, lists and bytes are read")
        return _STAND_INS[module, name]


class _StandIn:
    """What a pickle gets in place of a class: nothing of numpy's own is ever told what it says."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        raise TypeError("this has no state")


class _Marker(_StandIn):
    """numpy.ndarray, which is only named."""

    __slots__ = ()

    def __new__(cls, *arguments: Any) -> Any:
        raise TypeError("an array is made by _reconstruct")


class _Bytes(_StandIn):
    """A dtype: uint8."""

    __slots__ = ()

    def __init__(self, code: Any, align: Any, copy: Any):
        if code not in ("u1", b"u1") or not (_plain(align) and _plain(copy)):
            raise DasError(f"hostile pickle: it asks for the dtype {str(code)[:20]!r}; only u1 is read")

    def __setstate__(self, state: Any) -> None:
        """Byte order and the like, which single bytes have not."""
        if not all(map(_plain, state)):
            raise TypeError("this is no state of a dtype")


class _Array(_StandIn):
    """An array, of `_Bytes` alone."""

    __slots__ = ("array",)

    def __init__(self, kind: Any, shape: Any, code: Any):
        if kind is not _Marker or shape != (0,) or code not in ("b", b"b"):
            raise TypeError("this is not how arrays are made")
        self.array = np.zeros(0, np.uint8)

    def __setstate__(self, state: Any) -> None:
        version, shape, dtype, fortran, content = state
        plain = isinstance(shape, tuple) and all(map(_plain, (version, *shape, fortran, content)))
        if not plain or not isinstance(dtype, _Bytes) or min(shape, default=0) < 0:
            raise TypeError("an array of something else than bytes")
        self.array = np.frombuffer(content, np.uint8).reshape(shape, order="F" if fortran else "C").copy()


class _Latin1(_StandIn):
    """How protocol 2 writes bytes."""

    __slots__ = ()

    def __new__(cls, text: str, encoding: str) -> Any:
        if encoding != "latin1":
            raise DasError(f"hostile pickle: it asks for the codec {encoding!r}; only arrays, lists and bytes are read")
        return text.encode("latin1")


def _plain(value: Any) -> bool:
    return value is None or isinstance(value, int | str | bytes)


_STAND_INS = {
    ("numpy", "ndarray"): _Marker,
    ("numpy", "dtype"): _Bytes,
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
    ("_codecs", "encode"): _Latin1,
}
