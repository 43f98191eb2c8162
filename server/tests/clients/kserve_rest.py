"""KServe's InferenceRESTClient, over V2 and V1. Argument: the server's address."""

import asyncio
import base64
import sys

import httpx
import numpy
import requests
from common import SAMPLES, drawn_one, is_one, refused, same
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig
from kserve.protocol.infer_type import RequestedOutput


def answered(status):
    return lambda error: error.response.status_code == status


async def health(client, base):
    assert await client.is_server_live(base) is True
    assert await client.is_server_ready(base) is True
    assert await client.is_model_ready(base, "FP32") is True
    assert await client.is_model_ready(base, "nobody") is False


async def datatypes(client, base):
    for datatype, array in SAMPLES.items():
        if datatype == "BF16":
            continue  # the client does not know it
        for binary in [True, False]:
            if datatype == "FP16" and not binary:
                continue  # the client has no JSON for it
            tensor = InferInput("x", list(array.shape), datatype)
            tensor.set_data_from_numpy(array, binary_data=binary)
            for outputs in [None, [RequestedOutput("y", {"binary_data": binary})]]:
                parameters = {"binary_data_output": binary}
                request = InferRequest(datatype, [tensor], "mine", parameters=parameters, request_outputs=outputs)
                headers = {}
                answer = await client.infer(base, request, datatype, response_headers=headers)
                assert (answer.id, answer.model_name) == ("mine", datatype), answer
                same(answer.outputs[0].as_numpy(), array)
                assert headers["x-request-id"]


async def dictionaries(client, base):
    data = {"inputs": [{"name": name, "shape": [2], "datatype": "FP32", "data": [1, 2]} for name in ("left", "right")]}
    answer = await client.infer(base, data, "pair")
    assert {output.name: list(output.as_numpy()) for output in answer.outputs} == {"sum": [2, 4], "difference": [0, 0]}
    answer = await client.infer(f"{base}/v2/models/pair/infer", data, is_graph_endpoint=True)
    assert answer["outputs"][0]["data"] == [2, 4], answer


async def errors(client, base):
    tensor = InferInput("x", [1, 3], "FP32")
    tensor.set_data_from_numpy(numpy.zeros((1, 3), numpy.float32))
    with refused(httpx.HTTPStatusError, answered(400), "x", "3"):
        await client.infer(base, InferRequest("FP32", [tensor]), "FP32")
    with refused(httpx.HTTPStatusError, answered(404), "nobody"):
        await client.infer(base, InferRequest("nobody", [tensor]), "nobody")
    with refused(httpx.TimeoutException, None):
        slow = {"inputs": [{"name": "x", "shape": [16, 1, 1], "datatype": "FP32", "data": [1] * 16}]}
        await client.infer(base, slow, "slow", timeout=0.001)


async def v1(client, base):
    assert await client.is_server_live(base) is True
    assert await client.is_model_ready(base, "FP32") is True
    rows = [[1.0, 2.5], [3.0, 4.0], [5.0, 6.0]]
    assert await client.infer(base, {"instances": rows}, "FP32") == {"predictions": rows}
    assert await client.infer(base, {"instances": rows[:1]}, "FP32") == {"predictions": rows[:1]}
    pairs = [{"left": 3, "right": 1}, {"left": 1, "right": 1}]
    answer = await client.infer(base, {"instances": pairs}, "pair")
    assert answer == {"predictions": [{"sum": 4, "difference": 2}, {"sum": 2, "difference": 0}]}, answer
    with refused(httpx.HTTPStatusError, answered(404), "nobody"):
        await client.is_model_ready(base, "nobody")
    with refused(httpx.HTTPStatusError, answered(404), "nobody"):
        await client.infer(base, {"instances": rows}, "nobody")
    with refused(httpx.HTTPStatusError, answered(400)):
        await client.infer(base, {"instances": [[1, 2, 3]]}, "FP32")
    with refused(httpx.HTTPStatusError, answered(501)):
        await client.explain(base, "FP32", {"instances": rows})


def pictures(base):
    """A picture by `requests`: as the body, and in base64 over V2 and V1."""
    picture = drawn_one()
    text = base64.b64encode(picture).decode()
    infer = f"{base}/v2/models/digit/infer"
    tensor = {"name": "x", "shape": [1], "datatype": "BYTES", "data": [text]}
    body = requests.post(infer, data=picture, headers={"Content-Type": "image/png"}, timeout=60)
    json = requests.post(infer, json={"inputs": [tensor]}, timeout=60)
    v1 = requests.post(f"{base}/v1/models/digit:predict", json={"instances": [{"b64": text}]}, timeout=60)
    for answer in [body, json, v1]:
        assert answer.status_code == 200, answer.text
    for seen in [body.json()["outputs"][0]["data"], json.json()["outputs"][0]["data"], v1.json()["predictions"]]:
        assert is_one(numpy.array(seen)), seen


async def main(address):
    base = f"http://{address}"
    async with InferenceRESTClient(RESTConfig(protocol="v2", retries=0)) as client:
        for check in [health, datatypes, dictionaries, errors]:
            print(check.__name__, flush=True)
            await check(client, base)
    async with InferenceRESTClient(RESTConfig(protocol="v1", retries=0)) as client:
        print("v1", flush=True)
        await v1(client, base)
    print("pictures", flush=True)
    pictures(base)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
