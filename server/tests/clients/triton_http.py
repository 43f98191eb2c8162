"""What only Triton's HTTP clients have."""

import asyncio
import http.client

import numpy
from common import SAMPLES, same
from tritonclient.http import InferResult
from tritonclient.http.auth import BasicAuth


async def asynchronous(wire):
    """Requests in flight at once, from a pool of connections."""
    client = wire.open(concurrency=4)
    tensors = [numpy.full((1, 2), number, numpy.int32) for number in range(20)]
    requests = [client.async_infer("INT32", [wire.input("x", array, "INT32")]) for array in tensors]
    for request, array in zip(requests, tensors):
        same(request.get_result().as_numpy("y"), array)
    client.close()


async def gathered(wire):
    tensors = [numpy.full((1, 2), number, numpy.int32) for number in range(20)]
    calls = [wire.client.infer("INT32", [wire.input("x", array, "INT32")]) for array in tensors]
    for result, array in zip(await asyncio.gather(*calls), tensors):
        same(result.as_numpy("y"), array)


async def bodies(wire):
    """The client's bodies, sent by another."""
    left = numpy.ones(3, numpy.float32)
    inputs = [wire.input("left", left, "FP32"), wire.input("right", left, "FP32", binary=False)]
    body, length = wire.module.InferenceServerClient.generate_request_body(inputs, request_id="mine")
    headers = {"Inference-Header-Content-Length": str(length)}
    connection = http.client.HTTPConnection(wire.address)
    connection.request("POST", "/v2/models/pair/infer", body, headers)
    answer = connection.getresponse()
    length = answer.headers["Inference-Header-Content-Length"]
    parse = wire.module.InferenceServerClient.parse_response_body
    result = parse(answer.read(), header_length=int(length))
    assert isinstance(result, InferResult)
    same(result.as_numpy("sum"), left + left)
    connection.close()


async def plugins(wire):
    wire.client.register_plugin(BasicAuth("user", "password"))
    result = await wire.call("infer", "INT32", [wire.input("x", SAMPLES["INT32"], "INT32")])
    same(result.as_numpy("y"), SAMPLES["INT32"])
    wire.client.unregister_plugin()


async def impatience(wire):
    """A client that gives up: the server goes on for the others."""
    options = {"network_timeout": 0.001} if wire.name == "http" else {"conn_timeout": 0.001}
    client = wire.open(**options)
    many = wire.input("x", numpy.ones((16, 1, 1), numpy.float32), "FP32")
    try:
        await wire.call("infer", "slow", [many], client=client)
    except TimeoutError:
        pass
    else:
        raise AssertionError("no time-out")
    await wire.call("close", client=client)
    result = await wire.call("infer", "slow", [wire.input("x", numpy.ones((1, 1, 1), numpy.float32), "FP32")])
    assert abs(result.as_numpy("y")[0, 0, 0] - 1) < 1e-3


CHECKS = {
    "http": [asynchronous, bodies, plugins, impatience],
    "http.aio": [gathered, bodies, plugins, impatience],
}
