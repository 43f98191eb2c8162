"""The clients of Triton or KServe over TLS, with a token, and with or without a certificate of their own.

Arguments: the server's address, `triton` or `kserve`, the authority's certificate, the token, and certificate and key of a
client. One process cannot have both, since their gRPC messages have the same names.
"""

import asyncio
import importlib
import inspect
import ssl
import sys

import grpc
import httpx
import numpy
from common import refused, same

SENT = numpy.array([[0, -0.1], [1.5, 3.4e38]], numpy.float32)


async def value(result):
    return await result if inspect.isawaitable(result) else result


def triton(address, name, ca, cert, key):
    module = importlib.import_module(f"tritonclient.{name}")
    if name == "http":
        options = {"ca_certs": ca, "certfile": cert, "keyfile": key}
        return module.InferenceServerClient(address, ssl=True, ssl_options=options)
    if name == "http.aio":
        context = ssl.create_default_context(cafile=ca)
        context.load_cert_chain(cert, key)
        return module.InferenceServerClient(address, ssl=True, ssl_context=context)
    files = {"root_certificates": ca, "certificate_chain": cert, "private_key": key}
    return module.InferenceServerClient(address, ssl=True, **files)


async def ask_triton(address, name, ca, token, cert, key):
    from tritonclient.utils import InferenceServerException

    client = triton(address, name, ca, cert, key)
    tensors = importlib.import_module(f"tritonclient.{name.split('.')[0]}")
    tensor = tensors.InferInput("x", list(SENT.shape), "FP32")
    tensor.set_data_from_numpy(SENT)
    headers = {"authorization": f"Bearer {token}"}
    assert await value(client.is_server_ready()) is True, "health needs no token"
    result = await value(client.infer("FP32", [tensor], headers=headers))
    same(result.as_numpy("y"), SENT)
    status = "401" if name.startswith("http") else "StatusCode.UNAUTHENTICATED"
    for wrong in [None, {"authorization": "Bearer a-token-of-nobody"}]:
        with refused(InferenceServerException, lambda error: error.status() == status, "token"):
            await value(client.infer("FP32", [tensor], headers=wrong))
    await value(client.load_model("FP32"))  # from this machine, without a token
    await value(client.close())


async def ask_kserve(address, ca, token, cert, key):
    from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig
    from kserve.inference_client import InferenceGRPCClient

    tensor = InferInput("x", list(SENT.shape), "FP32")
    tensor.set_data_from_numpy(SENT, binary_data=False)
    request = InferRequest("FP32", [tensor])
    base = f"https://{address}"
    context = ssl.create_default_context(cafile=ca)
    context.load_cert_chain(cert, key)
    rest = InferenceRESTClient(RESTConfig(protocol="v2", verify=context))
    assert await rest.is_server_ready(base) is True
    answer = await rest.infer(base, request, "FP32", headers={"Authorization": f"Bearer {token}"})
    same(answer.outputs[0].as_numpy(), SENT)
    with refused(httpx.HTTPStatusError, lambda error: error.response.status_code == 401):
        await rest.infer(base, request, "FP32")
    files = {"root_certificates": ca, "certificate_chain": cert, "private_key": key}
    client = InferenceGRPCClient(address, use_ssl=True, **files)
    assert await client.is_server_ready() is True
    answer = await client.infer(request, headers=(("authorization", f"Bearer {token}"),))
    same(answer.outputs[0].as_numpy(), SENT)
    with refused(grpc.aio.AioRpcError, lambda error: error.code() == grpc.StatusCode.UNAUTHENTICATED):
        await client.infer(request)
    await client.close()


async def main(address, client, *files):
    if client == "kserve":
        await ask_kserve(address, *files)
        return
    for name in ["http", "http.aio", "grpc", "grpc.aio"]:
        await ask_triton(address, name, *files)


asyncio.run(main(*sys.argv[1:]))
