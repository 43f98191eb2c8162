"""Checks an exported digits model: check_onnx.py MODEL. Needs the package onnx."""

import sys

import onnx


def signature(value):
    tensor = value.type.tensor_type
    dims = [dim.dim_param or dim.dim_value for dim in tensor.shape.dim]
    return value.name, onnx.TensorProto.DataType.Name(tensor.elem_type), dims


def main(path):
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    assert [signature(value) for value in model.graph.input] == [("image", "FLOAT", ["batch", 28, 28, 1])]
    assert [signature(value) for value in model.graph.output] == [("probabilities", "FLOAT", ["batch", 10])]
    assert model.opset_import[0].version >= 17 and 8 <= model.ir_version <= 10
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    assert set(metadata) >= {"trainer_version", "dataset_sha256", "seed", "test_accuracy"}, metadata
    assert len(metadata["dataset_sha256"]) == 64
    assert 0 <= float(metadata["test_accuracy"]) <= 1


main(sys.argv[1])
