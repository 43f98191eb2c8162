"""What the programs share: a sample of every datatype, and what a client should be told."""

import contextlib
import struct
import zlib

import ml_dtypes
import numpy

#: Two rows of two for each model named after its datatype: small, large, negative where there is such a thing.
SAMPLES = {
    "BOOL": numpy.array([[True, False], [False, True]]),
    "UINT8": numpy.array([[0, 1], [127, 255]], numpy.uint8),
    "UINT16": numpy.array([[0, 1], [256, 65535]], numpy.uint16),
    "UINT32": numpy.array([[0, 1], [1 << 24, 2**32 - 1]], numpy.uint32),
    "UINT64": numpy.array([[0, 1], [2**53 + 1, 2**64 - 1]], numpy.uint64),
    "INT8": numpy.array([[0, -1], [127, -128]], numpy.int8),
    "INT16": numpy.array([[0, -1], [32767, -32768]], numpy.int16),
    "INT32": numpy.array([[0, -1], [2**31 - 1, -(2**31)]], numpy.int32),
    "INT64": numpy.array([[0, -1], [2**63 - 1, -(2**63)]], numpy.int64),
    "FP16": numpy.array([[0, -1.5], [0.333, 65504]], numpy.float16),
    "BF16": numpy.array([[0, -1.5], [0.333, 3e38]], ml_dtypes.bfloat16),
    "FP32": numpy.array([[0, -0.1], [16777217, 3.4e38]], numpy.float32),
    "FP64": numpy.array([[-0.0, 0.1], [2.2250738585072014e-308, 1.7e308]], numpy.float64),
    "BYTES": numpy.array([["", "digit"], ['größer\n"7"', "数"]], numpy.object_),
}


def png(pixels):
    """An array of grey values as a PNG."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows, columns = pixels.shape
    head = struct.pack(">IIBBBBB", columns, rows, 8, 0, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in pixels))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def drawn_one():
    """A dark upright stroke on white paper, as a PNG."""
    pixels = numpy.full((100, 100), 255, numpy.uint8)
    pixels[20:80, 47:53] = 0
    return png(pixels)


def is_one(seen):
    """Whether the model `digit` saw a stroke of 20 pixels in the middle, bright on dark."""
    lit = seen.reshape(28, 28) > 0.5
    return lit.any(axis=1).sum() in (19, 20, 21) and 1 <= lit.any(axis=0).sum() <= 4 and lit[14, 12:16].any()


def same(got, sent):
    """Whether an answer is what was sent, to the bit."""
    if sent.dtype == numpy.object_:
        text = [element.decode() if isinstance(element, bytes) else element for element in got.flatten()]
        assert text == list(sent.flatten()), f"{text} instead of {sent}"
    else:
        assert got.dtype == sent.dtype, f"{got.dtype} instead of {sent.dtype}"
        assert got.tobytes() == sent.tobytes(), f"{got} instead of {sent}"
    assert got.shape == sent.shape, f"{got.shape} instead of {sent.shape}"


@contextlib.contextmanager
def refused(kind, status, *texts):
    """The client must raise an error of this kind: `status` tells its status, and its text names `texts`."""
    try:
        yield
    except kind as error:
        got = status(error) if callable(status) else None
        assert got is None or got is True, f"another status: {error}"
        for text in texts:
            assert text in str(error), f"no '{text}' in: {error}"
    else:
        raise AssertionError(f"no error, where {texts or kind} was expected")
