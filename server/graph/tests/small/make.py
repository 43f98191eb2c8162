"""Writes graphs.bin from graphs.txt: each model with its length before it; the name of its graph is its heading."""

import os
import re

import onnx.parser

HERE = os.path.dirname(os.path.abspath(__file__))


def length(number):
    """A number as protobuf's varint."""
    parts = []
    while number > 127:
        parts.append(number & 127 | 128)
        number >>= 7
    return bytes([*parts, number])


def main():
    with open(os.path.join(HERE, "graphs.txt"), encoding="utf-8") as source:
        entries = re.split(r"^# ", source.read(), flags=re.MULTILINE)[1:]
    with open(os.path.join(HERE, "graphs.bin"), "wb") as target:
        for entry in entries:
            heading, text = entry.split("\n", 1)
            model = onnx.parser.parse_model(text)
            model.graph.name = heading.strip()
            data = model.SerializeToString(deterministic=True)
            target.write(length(len(data)) + data)


if __name__ == "__main__":
    main()
