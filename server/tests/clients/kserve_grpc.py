"""KServe's InferenceGRPCClient. Argument: the server's address."""

import asyncio
import sys

import grpc
import numpy
from common import SAMPLES, refused, same
from kserve import InferenceGRPCClient, InferInput, InferRequest


def answered(code):
    return lambda error: error.code() == code


async def health(client):
    assert await client.is_server_live() is True
    assert await client.is_server_ready() is True
    assert await client.is_model_ready("FP32") is True
    with refused(grpc.RpcError, answered(grpc.StatusCode.NOT_FOUND), "nobody"):
        await client.is_model_ready("nobody")


async def datatypes(client):
    """As raw contents, and as the typed ones, which are answered in kind."""
    for datatype, array in SAMPLES.items():
        if datatype == "BF16":
            continue  # the client does not know it
        for binary in [True, False]:
            if datatype == "FP16" and not binary:
                continue  # the protocol has no typed contents for it
            tensor = InferInput("x", list(array.shape), datatype)
            tensor.set_data_from_numpy(array, binary_data=binary)
            parameters = {"colour": "blue", "size": 3, "exact": True}
            answer = await client.infer(InferRequest(datatype, [tensor], "mine", parameters=parameters))
            assert (answer.id, answer.model_name, answer.model_version) == ("mine", datatype, "1"), answer
            same(answer.outputs[0].as_numpy(), array)


async def two_inputs(client):
    left, right = numpy.arange(300, dtype=numpy.float32), numpy.ones(300, numpy.float32)
    tensors = [InferInput(name, [300], "FP32") for name in ("left", "right")]
    for tensor, array in zip(tensors, (left, right)):
        tensor.set_data_from_numpy(array)
    outputs = (await client.infer(InferRequest("pair", tensors), headers=[("x-request-id", "mine")])).outputs
    assert [output.name for output in outputs] == ["sum", "difference"]
    same(outputs[0].as_numpy(), left + right)
    same(outputs[1].as_numpy(), left - right)


async def errors(client):
    tensor = InferInput("x", [1, 3], "FP32")
    tensor.set_data_from_numpy(numpy.zeros((1, 3), numpy.float32))
    with refused(grpc.RpcError, answered(grpc.StatusCode.INVALID_ARGUMENT), "x", "3"):
        await client.infer(InferRequest("FP32", [tensor]))
    with refused(grpc.RpcError, answered(grpc.StatusCode.NOT_FOUND), "nobody"):
        await client.infer(InferRequest("nobody", [tensor]))
    slow = InferInput("x", [16, 1, 1], "FP32")
    slow.set_data_from_numpy(numpy.ones((16, 1, 1), numpy.float32))
    with refused(grpc.RpcError, answered(grpc.StatusCode.DEADLINE_EXCEEDED)):
        await client.infer(InferRequest("slow", [slow]), timeout=0.001)


async def main(address):
    async with InferenceGRPCClient(address) as client:
        for check in [health, datatypes, two_inputs, errors]:
            print(check.__name__, flush=True)
            await check(client)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
