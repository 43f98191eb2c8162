"""What only Triton's gRPC clients have."""

import asyncio
import queue

import numpy
from common import SAMPLES, refused, same
from tritonclient.grpc import KeepAliveOptions
from tritonclient.utils import InferenceServerException

LATE = "StatusCode.DEADLINE_EXCEEDED"
CANCELLED = "StatusCode.CANCELLED"


def row(wire, number):
    return wire.input("x", numpy.full((1, 2), number, numpy.int32), "INT32")


def slow(wire, rows):
    return wire.input("x", numpy.ones((rows, 1, 1), numpy.float32), "FP32")


async def callbacks(wire):
    """Requests in flight at once, answered to callbacks."""
    answers = queue.Queue()
    for number in range(20):
        callback = lambda result, error, number=number: answers.put((number, result, error))
        wire.client.async_infer("INT32", [row(wire, number)], callback, request_id=str(number))
    for _ in range(20):
        number, result, error = answers.get(timeout=60)
        assert error is None, error
        assert result.get_response().id == str(number)
        same(result.as_numpy("y"), numpy.full((1, 2), number, numpy.int32))
    wire.client.async_infer("nobody", [row(wire, 1)], lambda result, error: answers.put(error))
    assert answers.get(timeout=60).status() == "StatusCode.NOT_FOUND"
    call = wire.client.async_infer("slow", [slow(wire, 16)], lambda result, error: answers.put(error))
    call.cancel()
    assert answers.get(timeout=60).status() == CANCELLED


async def gathered(wire):
    calls = [wire.client.infer("INT32", [row(wire, number)]) for number in range(20)]
    for number, result in enumerate(await asyncio.gather(*calls)):
        same(result.as_numpy("y"), numpy.full((1, 2), number, numpy.int32))
    call = asyncio.create_task(wire.client.infer("slow", [slow(wire, 16)]))
    await asyncio.sleep(0)
    call.cancel()
    await asyncio.wait([call])
    assert call.cancelled()


async def impatience(wire):
    """A client that gives up: the server goes on for the others."""
    with refused(InferenceServerException, lambda error: error.status() == LATE):
        await wire.call("infer", "slow", [slow(wire, 16)], client_timeout=0.001)
    for method in ["is_server_live", "is_server_ready", "get_server_metadata", "get_inference_statistics"]:
        assert await wire.call(method, client_timeout=60)
    assert abs((await wire.call("infer", "slow", [slow(wire, 1)])).as_numpy("y")[0, 0, 0] - 1) < 1e-3


async def stream(wire):
    """One stream for many requests: an error is the answer to its request, and the stream goes on."""
    for algorithm in [None, "gzip", "deflate"]:
        answers = queue.Queue()
        wire.client.start_stream(lambda result, error: answers.put((result, error)), compression_algorithm=algorithm)
        for number in range(10):
            model = "nobody" if number == 5 else "INT32"
            final = {"enable_empty_final_response": number == 7}
            wire.client.async_stream_infer(model, [row(wire, number)], request_id=str(number), **final)
        wire.client.stop_stream()
        results = [answers.get(timeout=60) for _ in range(10)]
        good = {int(result.get_response().id): result for result, _ in results if result}
        assert sorted(good) == [0, 1, 2, 3, 4, 6, 7, 8, 9], sorted(good)
        for number, result in good.items():
            same(result.as_numpy("y"), numpy.full((1, 2), number, numpy.int32))
        assert good[7].get_response().parameters["triton_final_response"].bool_param is True
        (error,) = [error for _, error in results if error]
        assert "nobody" in error.message(), error
        assert answers.empty(), "more answers than requests"


async def streams_that_end(wire):
    answers = queue.Queue()
    # No request: the client refuses one where the stream has ended before it is sent.
    wire.client.start_stream(lambda result, error: answers.put(error), stream_timeout=0.001)
    assert answers.get(timeout=60).status() == LATE
    wire.client.stop_stream()
    wire.client.start_stream(lambda result, error: answers.put(error))
    wire.client.async_stream_infer("slow", [slow(wire, 16)])
    wire.client.stop_stream(cancel_requests=True)
    assert answers.get(timeout=60).status() == CANCELLED
    wire.client.start_stream(lambda result, error: answers.put(error), headers={"triton_grpc_error": "true"})
    wire.client.async_stream_infer("nobody", [row(wire, 1)])
    assert answers.get(timeout=60).status() == "StatusCode.NOT_FOUND"
    wire.client.stop_stream()


async def stream_of_awaited(wire):
    async def requests():
        for number in range(10):
            model = "nobody" if number == 5 else "INT32"
            yield {"model_name": model, "inputs": [row(wire, number)], "request_id": str(number)}

    for algorithm in [None, "gzip", "deflate"]:
        good, bad = {}, []
        async for result, error in wire.client.stream_infer(requests(), compression_algorithm=algorithm):
            if error:
                bad.append(error)
            else:
                good[int(result.get_response().id)] = result
        assert sorted(good) == [0, 1, 2, 3, 4, 6, 7, 8, 9], sorted(good)
        for number, result in good.items():
            same(result.as_numpy("y"), numpy.full((1, 2), number, numpy.int32))
        assert len(bad) == 1 and "nobody" in bad[0].message(), bad


async def keepalive(wire):
    options = KeepAliveOptions(keepalive_time_ms=60_000, keepalive_permit_without_calls=True)
    client = wire.open(keepalive_options=options)
    result = await wire.call("infer", "INT32", [wire.input("x", SAMPLES["INT32"], "INT32")], client=client)
    same(result.as_numpy("y"), SAMPLES["INT32"])
    await wire.call("close", client=client)


async def large_messages(wire):
    """Far more than the 4 MiB that gRPC allows by itself, both ways."""
    large = numpy.arange(2_000_000, dtype=numpy.float32).reshape(2, -1)
    result = await wire.call("infer", "wide", [wire.input("x", large, "FP32")])
    same(result.as_numpy("y"), large)


CHECKS = {
    "grpc": [callbacks, impatience, stream, streams_that_end, keepalive, large_messages],
    "grpc.aio": [gathered, impatience, stream_of_awaited, keepalive, large_messages],
}
