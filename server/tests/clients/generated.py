"""A client that openapi-python-client makes from what the server says of itself. Argument: the server's address.

It asks the server of the digits in `models` for its seven, over V2 and V1, and reads the answers by their types.
"""

import importlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path

MODELS = Path(__file__).resolve().parents[3] / "models" / "digits"
#: Of several types of body, the last one of each kind counts for the generator: bytes are sent as a picture.
SETTINGS = """\
post_hooks: []
content_type_overrides: {"image/*": application/octet-stream}
"""


def generate(address, folder):
    """Makes the package `decima_client` in a folder; a part of the description that is left out is an error."""
    settings = folder / "settings.yaml"
    settings.write_text(SETTINGS, encoding="utf-8")
    command = [sys.executable, "-m", "openapi_python_client", "generate", "--url", f"http://{address}/openapi.json"]
    command += ["--config", str(settings), "--meta", "none", "--fail-on-warning"]
    subprocess.run([*command, "--output-path", str(folder / "decima_client")], check=True)
    sys.path.insert(0, str(folder))


def part(name):
    return importlib.import_module(f"decima_client.{name}")


def best(scores):
    return max(range(len(scores)), key=lambda digit: scores[digit])


def ask(address):
    client = part("client").Client(base_url=f"http://{address}", timeout=60)
    models, types = part("models"), part("types")
    listed = part("api.models.models").sync(client=client)
    assert listed.models == ["digits"], listed
    metadata = part("api.models.model").sync("digits", client=client)
    assert (metadata.inputs[0].name, metadata.inputs[0].shape) == ("image", [-1, 28, 28, 1]), metadata

    example = json.loads((MODELS / "example.json").read_text(encoding="utf-8"))
    request = models.InferRequest.from_dict(example)
    infer = part("api.inference.infer")
    answer = infer.sync("digits", client=client, body=request)
    assert isinstance(answer, models.InferResponse) and answer.model_version == "1", answer
    assert answer.outputs[0].shape == [1, 10] and best(answer.outputs[0].data) == 7, answer
    answer = part("api.inference.infer_version").sync("digits", "1", client=client, body=request)
    assert best(answer.outputs[0].data) == 7, answer

    with open(MODELS / "seven.png", "rb") as picture:
        answer = infer.sync("digits", client=client, body=types.File(payload=picture))
    assert best(answer.outputs[0].data) == 7, answer

    rows = models.PredictRequest.from_dict(json.loads((MODELS / "example-v1.json").read_text(encoding="utf-8")))
    answer = part("api.v1.predict").sync("digits", client=client, body=rows)
    assert best(answer.predictions[0]) == 7, answer

    unknown = infer.sync_detailed("cats", client=client, body=request)
    assert unknown.status_code == 404 and "cats" in unknown.parsed.error, unknown
    wrong = infer.sync_detailed("digits", client=client, body=models.InferRequest(inputs=[]))
    assert wrong.status_code == 400 and "image" in wrong.parsed.error, wrong


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        generate(sys.argv[1], Path(made))
        ask(sys.argv[1])
