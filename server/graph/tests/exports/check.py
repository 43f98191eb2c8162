"""What ONNX Runtime says: whether the rows of a batch are independent."""

import numpy as np
import onnxruntime


def draw(value, rows, axis, sizes, rng):
    shape = [rows if k == axis else d if isinstance(d, int) else sizes.get(d, 5) for k, d in enumerate(value.shape)]
    if value.type == "tensor(string)":
        return rng.choice(np.array(["red", "blue", "x y"], dtype=object), shape)
    if value.type == "tensor(bool)":
        return np.zeros(shape, bool)
    if "int" in value.type:
        kind = np.int64 if "64" in value.type else np.int32
        if "mask" in value.name:
            return np.ones(shape, kind)
        return rng.integers(0, 2 if "type" in value.name else 40, shape).astype(kind)
    kind = {"tensor(float16)": np.float16, "tensor(double)": np.float64}.get(value.type, np.float32)
    return (rng.standard_normal(shape) * rng.choice([0.1, 1, 10])).astype(kind)


def rows_are_independent(path, inputs=None, outputs=None, sizes=None, tolerance=1e-3):
    """Whether the answers to requests, joined, are those to each alone. None where the model takes no two rows."""
    onnxruntime.set_default_logger_severity(4)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    inputs = inputs or [0] * len(session.get_inputs())
    outputs = outputs or [0] * len(session.get_outputs())
    rng = np.random.default_rng(0)
    for value, axis in zip(session.get_inputs(), inputs):
        if axis >= len(value.shape) or isinstance(value.shape[axis], int):
            return None
    for counts in ([1, 1], [1, 2], [3, 1], [2, 2]):
        requests = [
            {v.name: draw(v, n, a, sizes or {}, rng) for v, a in zip(session.get_inputs(), inputs)} for n in counts
        ]
        alone = [session.run(None, request) for request in requests]
        together = {
            v.name: np.concatenate([request[v.name] for request in requests], axis)
            for v, axis in zip(session.get_inputs(), inputs)
        }
        try:
            joined = session.run(None, together)
        except onnxruntime.capi.onnxruntime_pybind11_state.RuntimeException:
            return False
        for k, axis in enumerate(outputs):
            try:
                expected = np.concatenate([answer[k] for answer in alone], axis)
            except ValueError:
                return False
            if expected.shape != joined[k].shape:
                return False
            if expected.dtype.kind in "fiub":
                scale = np.abs(expected.astype(np.float64)).max() + 1e-9
                difference = np.abs(expected.astype(np.float64) - joined[k].astype(np.float64)).max()
                if difference > tolerance * scale:
                    return False
    return True
