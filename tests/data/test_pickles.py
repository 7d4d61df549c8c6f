"""Pickles that would end the process, take its memory or run code, written by hand, operation by operation."""

import pickle
import struct
import tracemalloc

import pytest

from das.data.pickles import loads
from das.errors import DasError

HEAD, ARRAY = b"\x80\x02", b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"


def dtype(code: bytes, state: bytes = b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb") -> bytes:
    return b"cnumpy\ndtype\nU" + bytes([len(code)]) + code + b"K\x00K\x01\x87R" + state


def array(shape: bytes, of: bytes, content: bytes) -> bytes:
    return ARRAY + b"(K\x01" + shape + of + b"\x89T" + struct.pack("<I", len(content)) + content + b"tb"


def held(value: bytes) -> bytes:
    """A dict whose entry `data` is made by these operations."""
    return HEAD + b"}U\x04data" + value + b"s."


HOSTILE = {
    "objects over raw bytes": held(array(b"K\x01\x85", dtype(b"O8"), b"\x41" * 8)),
    "floats": held(array(b"K\x01\x85", dtype(b"f8"), bytes(8))),
    "a type with flags of its own": held(
        array(b"K\x08\x85", dtype(b"u1", b"(K\x03U\x01|NN}J\xff\xff\xff\xffJ\xff\xff\xff\xffK?tb"), bytes(8))
    ),
    "a negative side": held(array(b"J\xff\xff\xff\xff\x85", dtype(b"u1"), bytes(8))),
    "more sides than bytes": held(array(b"K\x09\x85", dtype(b"u1"), bytes(8))),
    "a memo of 32 GiB": HEAD + b"}r\xff\xff\xff\x7f.",
    "a buffer of 1 TiB": b"\x80\x05\x96" + struct.pack("<Q", 1 << 40) + b"x.",
    "tuples 200,000 deep as a key": HEAD + b"}N" + b"\x85" * 200_000 + b"Ns.",
    "tuples in arrays as a key": HEAD + b"}" + b"cnumpy.core.multiarray\n_reconstruct\nN\x85\x85\x85\x87R" + b"Ns.",
    "a set": b"\x80\x04\x8f.",
    "an object made without its class": b"\x80\x02cnumpy\ndtype\n)\x81.",
    "the state of a class": held(b"cnumpy\ndtype\n}U\x01xK\x01sb"),
    "an array that is called": held(b"cnumpy\nndarray\n)R"),
    "a persistent name": HEAD + b"}Pname\ns.",
    "a command": b"cos\nsystem\n(S'touch pwned'\ntR.",
    "a list": pickle.dumps([1, 2], 2),
    "an extension": HEAD + b"\x82\x01.",
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_pickles_are_refused(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tracemalloc.start()
    with pytest.raises(DasError, match=r"^set: (hostile pickle|not a readable pickle|holds)[^\n]*$"):
        loads(HOSTILE[case], "set")
    assert tracemalloc.get_traced_memory()[1] < 32 << 20
    tracemalloc.stop()
    assert not list(tmp_path.iterdir())


def test_the_same_hand_writes_an_honest_one():
    assert loads(held(array(b"K\x02K\x04\x86", dtype(b"u1"), b"abcdefgh")), "set")[b"data"].tobytes() == b"abcdefgh"
