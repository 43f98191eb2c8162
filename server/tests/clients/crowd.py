"""Eight good clients and two bad ones on one model that batches: every good request is answered right.

Arguments: the server's address, and how they speak: json, binary or grpc.
"""

import http.client
import json
import random
import sys
import threading

import numpy
import tritonclient.grpc
import tritonclient.http
from common import refused
from tritonclient.grpc import service_pb2
from tritonclient.utils import InferenceServerException

TURNS = 100
OK = []
FAILURES = []


def open_client(wire, address):
    module = tritonclient.grpc if wire == "grpc" else tritonclient.http
    return module, module.InferenceServerClient(address)


def good(wire, address, number):
    module, client = open_client(wire, address)
    for turn in range(TURNS):
        index = numpy.array([(number + turn) % 4, turn % 4, number % 4][: 1 + turn % 3])
        tensor = module.InferInput("index", list(index.shape), "INT64")
        output = module.InferRequestedOutput("value")
        if wire == "grpc":
            tensor.set_data_from_numpy(index)
        else:
            tensor.set_data_from_numpy(index, binary_data=wire == "binary")
            output = module.InferRequestedOutput("value", binary_data=wire == "binary")
        result = client.infer("table", [tensor], outputs=[output], request_id=f"{number}-{turn}")
        got = result.as_numpy("value")
        assert list(got) == list(index + 10.0), f"{got} for {index}"
        OK.append(number)
    client.close()


def wrong(wire, address, number):
    """Wrong shape, wrong datatype, and an index that only ONNX Runtime finds fault with."""
    module, client = open_client(wire, address)
    status = {"json": "400", "binary": "400", "grpc": "StatusCode.INVALID_ARGUMENT"}[wire]
    cases = [
        (numpy.array([[1]]), "INT64", status),
        (numpy.array([1], numpy.int32), "INT32", status),
        (numpy.array([0, 99]), "INT64", status),
    ]
    for turn in range(TURNS // 2):
        array, datatype, expected = cases[turn % len(cases)]
        tensor = module.InferInput("index", list(array.shape), datatype)
        if wire == "grpc":
            tensor.set_data_from_numpy(array)
        else:
            tensor.set_data_from_numpy(array, binary_data=wire == "binary")
        with refused(InferenceServerException, lambda error: error.status() == expected):
            client.infer("table", [tensor])
    client.close()


def broken(wire, address, number):
    """What no client of theirs would send: NaN in JSON, half a body, tensors cut short, noise."""
    noise = random.Random(7)
    head = {"inputs": [{"name": "index", "shape": [2], "datatype": "INT64"}]}
    if wire == "grpc":
        channel = tritonclient.grpc.grpc.insecure_channel(address)
        raw = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
        message = service_pb2.ModelInferRequest(model_name="table")
        message.inputs.add(name="index", shape=[2], datatype="INT64")
        message.raw_input_contents.append(bytes(16))
        whole = message.SerializeToString()
        message.raw_input_contents[0] = bytes(9)
        bodies = [whole[:-5], message.SerializeToString(), noise.randbytes(200)]
        for turn in range(TURNS // 2):
            with refused(tritonclient.grpc.grpc.RpcError, None):
                raw(bodies[turn % len(bodies)], timeout=60)
        channel.close()
        return
    if wire == "json":
        head["inputs"][0]["data"] = [1, 2]
        whole = json.dumps(head).encode()
        bodies = [(whole.replace(b"2]}", b"NaN]}"), {}), (whole[: len(whole) // 2], {}), (noise.randbytes(200), {})]
    else:
        head["inputs"][0]["parameters"] = {"binary_data_size": 16}
        whole = json.dumps(head).encode()
        length = {"Inference-Header-Content-Length": str(len(whole))}
        bodies = [(whole + bytes(9), length), (whole[:-5], length), (noise.randbytes(200), length)]
    for turn in range(TURNS // 2):
        body, headers = bodies[turn % len(bodies)]
        connection = http.client.HTTPConnection(address, timeout=60)
        connection.request("POST", "/v2/models/table/infer", body, headers)
        answer = connection.getresponse()
        assert answer.status == 400 and json.load(answer)["error"], (answer.status, body)
        connection.close()
        # and one that goes away in the middle of its body
        connection = http.client.HTTPConnection(address, timeout=60)
        connection.putrequest("POST", "/v2/models/table/infer")
        connection.putheader("Content-Length", str(len(whole)))
        connection.endheaders()
        connection.send(whole[: len(whole) // 2])
        connection.close()


def act(client, *arguments):
    try:
        client(*arguments)
    except BaseException as error:
        FAILURES.append(f"{client.__name__} {arguments[2]}: {error!r}")
        raise


def main(address, wire):
    clients = [(good, number) for number in range(8)] + [(wrong, 8), (broken, 9)]
    threads = [threading.Thread(target=act, args=(client, wire, address, number)) for client, number in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not FAILURES, "\n".join(FAILURES)
    assert len(OK) == 8 * TURNS, f"{len(OK)} good answers instead of {8 * TURNS}"


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
