"""The four clients of Triton (http, http.aio, grpc, grpc.aio): every call that all of them have.

Arguments: the server's address, and which client.
"""

import asyncio
import importlib
import inspect
import sys

import numpy
from common import SAMPLES, drawn_one, is_one, refused, same
from tritonclient.utils import InferenceServerException

#: The same refusals on both wires.
STATUSES = {
    "invalid": ("400", "StatusCode.INVALID_ARGUMENT"),
    "not found": ("404", "StatusCode.NOT_FOUND"),
    "unavailable": ("503", "StatusCode.UNAVAILABLE"),
    "late": ("504", "StatusCode.DEADLINE_EXCEEDED"),
    "internal": ("500", "StatusCode.INTERNAL"),
    "not offered": ("404", "StatusCode.UNIMPLEMENTED"),
}


class Wire:
    """A client of one kind, and what its kind calls things."""

    def __init__(self, address, name):
        self.name = name
        self.address = address
        self.http = name.startswith("http")
        self.module = importlib.import_module(f"tritonclient.{name}")
        self.tensors = importlib.import_module(f"tritonclient.{name.split('.')[0]}")
        self.client = self.open()

    def open(self, **options):
        return self.module.InferenceServerClient(self.address, **options)

    async def call(self, method, *arguments, client=None, **options):
        """A call of the client, whether it blocks or is awaited."""
        result = getattr(client or self.client, method)(*arguments, **options)
        return await result if inspect.isawaitable(result) else result

    async def json(self, method, *arguments, **options):
        """A call whose answer is a JSON document here, and a message there."""
        if not self.http:
            options["as_json"] = True
        return await self.call(method, *arguments, **options)

    def input(self, name, array, datatype, binary=True, shape=None):
        tensor = self.tensors.InferInput(name, shape or list(array.shape), datatype)
        return tensor.set_data_from_numpy(array, binary) if self.http else tensor.set_data_from_numpy(array)

    def output(self, name, binary=True, **options):
        if self.http:
            options["binary_data"] = binary
        return self.tensors.InferRequestedOutput(name, **options)

    def response(self, result):
        """Id, model and version that an answer names."""
        response = result.get_response()
        if self.http:
            return response.get("id"), response["model_name"], response["model_version"]
        return response.id, response.model_name, response.model_version

    def compression(self, algorithm):
        if self.http:
            return {"request_compression_algorithm": algorithm, "response_compression_algorithm": algorithm}
        return {"compression_algorithm": algorithm}

    def refused(self, what, *texts):
        status = STATUSES[what][0 if self.http else 1]
        return refused(InferenceServerException, lambda error: error.status() == status, *texts)


async def health(wire):
    assert await wire.call("is_server_live") is True
    assert await wire.call("is_server_ready") is True
    assert await wire.call("is_model_ready", "versions") is True
    assert await wire.call("is_model_ready", "versions", "1") is True
    for model, version in [("nobody", ""), ("versions", "9")]:
        if wire.http:
            assert await wire.call("is_model_ready", model, version) is False
        else:
            with wire.refused("not found", model):
                await wire.call("is_model_ready", model, version)


async def metadata(wire):
    server = await wire.json("get_server_metadata")
    assert server["name"] == "decima" and server["version"], server
    for extension in ["binary_tensor_data", "classification", "model_configuration", "model_repository", "statistics"]:
        assert extension in server["extensions"], server
    model = await wire.json("get_model_metadata", "versions")
    assert model["name"] == "versions" and sorted(model["versions"]) == ["1", "2"], model
    assert model["platform"] == "onnxruntime_onnx", model
    for tensor, name in [(model["inputs"][0], "x"), (model["outputs"][0], "y")]:
        assert (tensor["name"], tensor["datatype"]) == (name, "INT32"), model
        assert [int(dimension) for dimension in tensor["shape"]] == [-1, 2], model
    assert (await wire.json("get_model_metadata", "versions", "1"))["name"] == "versions"
    with wire.refused("not found", "nobody"):
        await wire.json("get_model_metadata", "nobody")


async def configuration(wire):
    config = await wire.json("get_model_config", "scores")
    config = config if wire.http else config["config"]
    assert (config["name"], config["backend"], config["platform"]) == ("scores", "onnxruntime", "onnxruntime_onnx")
    assert config["max_batch_size"] > 0, config
    for tensor, name in [(config["input"][0], "x"), (config["output"][0], "y")]:
        assert (tensor["name"], tensor["data_type"]) == (name, "TYPE_FP32"), config
        assert [int(dimension) for dimension in tensor["dims"]] == [4], config
    assert await wire.json("get_model_config", "versions", "2")
    with wire.refused("not found", "nobody"):
        await wire.json("get_model_config", "nobody")


async def states(wire):
    """What the index says of each version."""
    index = await wire.json("get_model_repository_index")
    entries = index if wire.http else index["models"]
    return {(entry["name"], entry["version"]): (entry["state"], entry.get("reason", "")) for entry in entries}


async def repository(wire):
    before = await states(wire)
    assert len(before) == len(SAMPLES) + 10, before
    assert {state for state, _ in before.values()} == {"READY"}, before
    await wire.call("unload_model", "UINT16")
    assert (await states(wire))[("UINT16", "1")] == ("UNAVAILABLE", "unloaded")
    with wire.refused("unavailable", "UINT16"):
        await wire.call("infer", "UINT16", [wire.input("x", SAMPLES["UINT16"], "UINT16")])
    if wire.http:
        assert await wire.call("is_model_ready", "UINT16") is False
    await wire.call("load_model", "UINT16")
    assert await wire.call("is_model_ready", "UINT16") is True
    assert await states(wire) == before
    await wire.call("unload_model", "versions", unload_dependents=True)
    assert (await states(wire))[("versions", "2")] == ("UNAVAILABLE", "unloaded")
    await wire.call("load_model", "versions")
    for call in ["load_model", "unload_model"]:
        with wire.refused("not found", "nobody"):
            await wire.call(call, "nobody")
    with wire.refused("invalid", "config"):
        await wire.call("load_model", "UINT16", config='{"max_batch_size": 4}')
    with wire.refused("invalid"):
        await wire.call("load_model", "UINT16", config="{}", files={"file:1/model.onnx": b"\x00\x01"})
    assert await states(wire) == before


async def statistics(wire):
    async def count():
        document = await wire.json("get_inference_statistics", "versions", "2")
        (model,) = document["model_stats"]
        assert (model["name"], model["version"]) == ("versions", "2"), model
        stats = model["inference_stats"]
        numbers = [model.get("inference_count", 0), model.get("execution_count", 0)]
        numbers += [stats[key].get("count", 0) for key in ("success", "fail", "queue", "compute_infer")]
        return [int(number) for number in numbers]

    before = await count()
    for _ in range(3):
        await wire.call("infer", "versions", [wire.input("x", SAMPLES["INT32"], "INT32")])
    with wire.refused("invalid"):
        await wire.call("infer", "versions", [wire.input("x", SAMPLES["INT64"], "INT64")])
    after = await count()
    assert [new - old for new, old in zip(after, before)] == [6, 3, 3, 1, 3, 3], (before, after)
    document = await wire.json("get_inference_statistics")
    assert {model["name"] for model in document["model_stats"]} >= set(SAMPLES), document
    with wire.refused("not found", "nobody"):
        await wire.json("get_inference_statistics", "nobody")


async def datatypes(wire):
    forms = [(True, True), (True, False), (False, True), (False, False)] if wire.http else [(True, True)]
    for datatype, array in SAMPLES.items():
        for binary_in, binary_out in forms:
            if datatype == "BF16" and not binary_in:
                continue  # the client has no JSON for it
            for algorithm in [None, "gzip", "deflate"]:
                tensor = wire.input("x", array, datatype, binary_in)
                outputs = [wire.output("y", binary_out)]
                compression = wire.compression(algorithm)
                result = await wire.call("infer", datatype, [tensor], outputs=outputs, **compression)
                same(result.as_numpy("y"), array)
        result = await wire.call("infer", datatype, [wire.input("x", array, datatype)])
        same(result.as_numpy("y"), array)
        assert result.as_numpy("nothing") is None


async def several_rows_and_inputs(wire):
    left = numpy.arange(500, dtype=numpy.float32)
    right = left[::-1].copy()
    for algorithm in [None, "gzip", "deflate"]:
        for binary in [True, False]:
            inputs = [wire.input("right", right, "FP32", not binary), wire.input("left", left, "FP32", binary)]
            compression = wire.compression(algorithm)
            result = await wire.call("infer", "pair", inputs, request_id="mine", **compression)
            assert wire.response(result) == ("mine", "pair", "1")
            same(result.as_numpy("sum"), left + right)
            same(result.as_numpy("difference"), left - right)
            outputs = [wire.output("difference", binary)]
            result = await wire.call("infer", "pair", inputs, outputs=outputs, **compression)
            same(result.as_numpy("difference"), left - right)
            assert result.as_numpy("sum") is None and result.get_output("difference") is not None


async def options(wire):
    tensor = wire.input("x", SAMPLES["INT32"], "INT32")
    for version in ["", "1", "2"]:
        result = await wire.call("infer", "versions", [tensor], model_version=version, request_id="7")
        assert wire.response(result) == ("7", "versions", version or "2")
    scheduling = {"priority": 1, "timeout": 60_000_000}
    own = {"parameters": {"colour": "blue", "size": 3, "exact": True, "share": 0.5}}
    sequence = {"sequence_id": 7, "sequence_start": True, "sequence_end": True}
    named = {"sequence_id": "seven", "sequence_start": True}
    headers = {"headers": {"x-request-id": "mine", "authorization": "Bearer nothing"}}
    for option in [scheduling, own, sequence, named, headers]:
        result = await wire.call("infer", "versions", [tensor], **option)
        same(result.as_numpy("y"), SAMPLES["INT32"])
    if wire.http:
        result = await wire.call("infer", "versions", [tensor], query_params={"a": "b c"})
        same(result.as_numpy("y"), SAMPLES["INT32"])


async def classes(wire):
    scores = numpy.array([[0.1, 0.5, 0.25, 0.15], [0, 0, 0, 1]], numpy.float32)
    expected = [[b"0.500000:1:one", b"0.250000:2:two"], [b"1.000000:3", b"0.000000:0:zero"]]
    for binary in [True, False]:
        outputs = [wire.output("y", binary, class_count=2)]
        result = await wire.call("infer", "scores", [wire.input("x", scores, "FP32")], outputs=outputs)
        got = [[text.encode() if isinstance(text, str) else text for text in row] for row in result.as_numpy("y")]
        assert got == expected, got


async def pictures(wire):
    encoded = numpy.array([drawn_one(), drawn_one()], numpy.object_)
    seen = (await wire.call("infer", "digit", [wire.input("x", encoded, "BYTES")])).as_numpy("y")
    assert seen.shape == (2, 28, 28, 1) and all(is_one(row) for row in seen), seen
    broken = numpy.array([drawn_one(), drawn_one()[:60]], numpy.object_)
    with wire.refused("invalid", "digit", "picture 1", "PNG"):
        await wire.call("infer", "digit", [wire.input("x", broken, "BYTES")])


async def numbers_beyond_json(wire):
    tensor = wire.input("x", numpy.array([4, -1], numpy.float32), "FP32")
    for binary in [True, False]:
        root = (await wire.call("infer", "root", [tensor], outputs=[wire.output("root", binary)])).as_numpy("root")
        assert root[0] == 2 and numpy.isnan(root[1]), root


async def errors(wire):
    good = SAMPLES["FP32"]
    flat = numpy.zeros(3, numpy.float32)
    index = numpy.array([99], numpy.int64)
    for what, texts, model, inputs, options in [
        ("not found", ["nobody"], "nobody", [wire.input("x", good, "FP32")], {}),
        ("not found", ["FP32", "9"], "FP32", [wire.input("x", good, "FP32")], {"model_version": "9"}),
        ("invalid", ["x", "FP32", "INT32"], "FP32", [wire.input("x", SAMPLES["INT32"], "INT32")], {}),
        ("invalid", ["x", "[3]", "2]"], "FP32", [wire.input("x", flat, "FP32")], {}),
        ("invalid", ["x"], "FP32", [wire.input("z", good, "FP32")], {}),
        ("invalid", ["right"], "pair", [wire.input("left", flat, "FP32")], {}),
        ("invalid", ["z"], "FP32", [wire.input("x", good, "FP32")], {"outputs": [wire.output("z")]}),
        # ONNX Runtime alone finds out about the table's index.
        ("invalid", ["99"], "table", [wire.input("index", index, "INT64")], {}),
        # There is no such amount of memory.
        ("internal", ["allocate"], "zeros", [wire.input("n", numpy.array([10**15], numpy.int64), "INT64")], {}),
    ]:
        with wire.refused(what, *texts):
            await wire.call("infer", model, inputs, **options)
    for binary in [True, False]:
        same((await wire.call("infer", "FP32", [wire.input("x", good, "FP32", binary)])).as_numpy("y"), good)


async def deadlines(wire):
    tensor = wire.input("x", numpy.ones((1, 1, 1), numpy.float32), "FP32")
    with wire.refused("late"):
        await wire.call("infer", "slow", [tensor], timeout=1)
    result = await wire.call("infer", "slow", [tensor], timeout=60_000_000)
    assert abs(result.as_numpy("y")[0, 0, 0] - 1) < 1e-3


async def not_offered(wire):
    """Shared memory, traces and logs: the client is told so, and can go on."""
    for method, *arguments in [
        ("get_trace_settings",),
        ("update_trace_settings", "FP32", {"trace_rate": "1"}),
        ("get_log_settings",),
        ("update_log_settings", {"log_info": True}),
        ("get_system_shared_memory_status",),
        ("register_system_shared_memory", "region", "/region", 64),
        ("unregister_system_shared_memory",),
        ("get_cuda_shared_memory_status",),
        ("register_cuda_shared_memory", "region", b"aGFuZGxl", 0, 64),
        ("unregister_cuda_shared_memory",),
    ]:
        try:
            await wire.call(method, *arguments)
        except InferenceServerException as error:
            assert error.status() in STATUSES["not offered"] and error.message(), f"{method}: {error}"
        else:
            raise AssertionError(f"{method} is not offered, and said nothing")
    assert await wire.call("is_server_live") is True


async def main(address, name):
    wire = Wire(address, name)
    checks = [health, metadata, configuration, repository, statistics, datatypes, several_rows_and_inputs, options]
    checks += [classes, pictures, numbers_beyond_json, errors, deadlines, not_offered]
    checks += importlib.import_module(f"triton_{name.split('.')[0]}").CHECKS[name]
    for check in checks:
        print(check.__name__, flush=True)
        await check(wire)
    await wire.call("close")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
