"""Remakes the graphs of this folder: exports of real frameworks, with random weights, checked with ONNX Runtime, and then
stripped of the weights. Needs the packages named in README.md. Usage: make.py [NAME ...]
"""

import glob
import os
import sys
import tempfile
import warnings
import zipfile

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto
from torch import nn

from check import rows_are_independent
from networks import (
    BertPooled, CausalDecoder, EncoderBlock, Interactions, Pool, Recurrent, UNet, Unflattened, Yolo, bert, transformer,
)

HERE = os.path.dirname(os.path.abspath(__file__))
MOST_ELEMENTS = 64
MOST_INDICES = 200
MODELS = {}


def model(build):
    """Registers a function that writes a whole model to a path, and returns what ONNX Runtime is to be given."""
    MODELS[build.__name__] = build
    return build


# --------------------------------------------------------------------------------------------- weights

def strip_tensor(tensor):
    elements = int(np.prod(tensor.dims))
    is_index = tensor.data_type in (TensorProto.INT64, TensorProto.INT32)
    if elements <= (MOST_INDICES if is_index else MOST_ELEMENTS):
        return
    kept = TensorProto(dims=tensor.dims, data_type=tensor.data_type, name=tensor.name)
    kept.data_location = TensorProto.EXTERNAL
    kept.external_data.add(key="location", value="left-out")
    tensor.CopyFrom(kept)


def strip_graph(graph):
    graph.doc_string = ""
    del graph.metadata_props[:]
    del graph.value_info[:]
    for tensor in graph.initializer:
        strip_tensor(tensor)
    for node in graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                strip_graph(attribute.g)
            if attribute.type == onnx.AttributeProto.TENSOR:
                strip_tensor(attribute.t)


def shorten(graph, names=None):
    """Short names for values, where the exporter's names make most of the file. An exporter gives each name once."""
    if names is None:
        names = {v.name: v.name for v in [*graph.input, *graph.output]}

    def short(name):
        return names.setdefault(name, f"v{len(names)}") if name else name

    for value in [*graph.initializer, *graph.input, *graph.output]:
        value.name = short(value.name)
    for node in graph.node:
        node.name = ""
        for field in (node.input, node.output):
            field[:] = [short(name) for name in field]
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                shorten(attribute.g, names)


def strip(path, target):
    whole = onnx.load(path, load_external_data=False)
    whole.doc_string = ""
    del whole.metadata_props[:]
    strip_graph(whole.graph)
    if whole.ByteSize() > 12_000:
        shorten(whole.graph)
    onnx.save(whole, target)


# ------------------------------------------------------------------------------------------------ torch

BATCH = {0: "batch"}
SEQUENCE = {0: "batch", 1: "sequence"}


def export(network, arguments, path, inputs, outputs, dynamo=False, opset=17):
    """`inputs` and `outputs` are from names to dynamic axes."""
    torch.manual_seed(0)
    with torch.no_grad():
        # Trained weights are never equal, and equal ones would be exported once.
        for parameter in network.parameters():
            parameter.add_(0.01 * torch.randn_like(parameter))
    options = {"input_names": list(inputs), "output_names": list(outputs)}
    if dynamo:
        shapes = tuple({axis: torch.export.Dim.DYNAMIC for axis in axes} for axes in inputs.values())
        options |= {"dynamo": True, "dynamic_shapes": shapes, "external_data": False, "verbose": False}
        opset = max(opset, 18)
    else:
        options |= {"dynamo": False, "dynamic_axes": {**inputs, **outputs}}
    torch.onnx.export(network.eval(), arguments, path, opset_version=opset, **options)


def images(name, build, size=64, spatial=False, dynamo=False):
    """A network from images to anything."""
    axes = {0: "batch", 2: "height", 3: "width"} if spatial else BATCH

    def run(path):
        export(build(), (torch.randn(2, 3, size, size),), path, {"input": axes}, {"output": BATCH}, dynamo)
        return {"sizes": {"height": size, "width": size}}

    MODELS[name] = run


def tokens(name, build, inputs, outputs, dynamo=False):
    """A network from token ids, masks and the like."""

    def run(path):
        kinds = {"attention_mask": torch.ones, "token_type_ids": torch.zeros}
        arguments = tuple(kinds.get(i, torch.ones)(2, 6, dtype=torch.long) for i in inputs)
        export(build(), arguments, path, {i: SEQUENCE for i in inputs}, outputs, dynamo)

    MODELS[name] = run


def torch_models():
    from torchvision import models as vision
    from torchvision.models import resnet, swin_transformer

    def small_resnet():
        return vision.ResNet(resnet.BasicBlock, [1, 1, 1, 1], num_classes=10)

    images("resnet", small_resnet)
    images("resnet_dynamo", small_resnet, dynamo=True)
    images("resnet_any_size", small_resnet, spatial=True)
    images("densenet", lambda: vision.DenseNet(8, (2, 2, 2, 2), 16, num_classes=10))
    images("inception", lambda: vision.googlenet(weights=None, init_weights=False, aux_logits=False))
    images("mobilenet_v2", lambda: vision.mobilenet_v2(weights=None))
    images("mobilenet_v3", lambda: vision.mobilenet_v3_small(weights=None))
    images("efficientnet", lambda: vision.efficientnet_b0(weights=None))
    images("shufflenet", lambda: vision.shufflenet_v2_x0_5(weights=None))
    images("squeezenet", lambda: vision.squeezenet1_1(weights=None))
    images("vgg", lambda: vision.vgg11(weights=None, num_classes=10), size=224)
    settings = [vision.convnext.CNBlockConfig(8, 16, 1), vision.convnext.CNBlockConfig(16, None, 1)]
    images("convnext", lambda: vision.ConvNeXt(settings, num_classes=10))
    images("convnext_dynamo", lambda: vision.ConvNeXt(settings, num_classes=10), dynamo=True)
    images("vit_torchvision", lambda: vision.VisionTransformer(32, 8, 2, 4, 32, 64, num_classes=10), size=32)
    swin = swin_transformer.SwinTransformer
    images("swin", lambda: swin([4, 4], 16, [2], [2], [4, 4], num_classes=10))
    images("yolo_v5", lambda: Yolo(5))
    images("yolo_v5_any_size", lambda: Yolo(5), spatial=True)
    images("yolo_v8", lambda: Yolo(8))
    images("yolo_v8_dynamo", lambda: Yolo(8), dynamo=True)
    images("unet_transposed", lambda: UNet("transposed"), spatial=True)
    images("unet_resized", lambda: UNet("size"), spatial=True)
    images("autoencoder", Unflattened)
    images("vit", lambda: transformer("vit"), size=32)
    images("swin_hugging_face", lambda: transformer("swin"), size=32)
    images("clip_image", lambda: transformer("clip_image"), size=32)

    plain, typed = ["input_ids", "attention_mask"], ["input_ids", "attention_mask", "token_type_ids"]
    states, pooled = {"last_hidden_state": SEQUENCE}, {"logits": BATCH}
    both = {"last_hidden_state": SEQUENCE, "pooler_output": BATCH}
    tokens("bert", bert, typed, both)
    tokens("bert_sdpa", lambda: bert("sdpa"), typed, both)
    tokens("bert_dynamo", bert, typed, both, dynamo=True)
    tokens("minilm", BertPooled, typed, {"sentence_embedding": BATCH})
    tokens("distilbert", lambda: transformer("distilbert"), plain, pooled)
    tokens("roberta", lambda: transformer("roberta"), plain, pooled)
    tokens("deberta", lambda: transformer("deberta"), plain, states)
    tokens("t5_encoder", lambda: transformer("t5"), plain, states)
    tokens("clip_text", lambda: transformer("clip_text"), plain, {"text_embeds": BATCH})
    tokens("gpt", CausalDecoder, ["input_ids"], {"logits": SEQUENCE})
    tokens("last_token", lambda: Pool("last"), plain, {"state": BATCH})
    tokens("batch_mean", lambda: Pool("batch"), plain, {"state": BATCH})
    for kind in ("LSTM", "GRU"):
        tokens(kind.lower(), lambda kind=kind: Recurrent(kind), ["input_ids"], {"output": SEQUENCE})
        tokens(f"{kind.lower()}_last", lambda kind=kind: Recurrent(kind, "last"), ["input_ids"], pooled)
    tokens("interactions", lambda: Interactions(False), ["dense", "sparse"], pooled)
    tokens("in_batch_scores", lambda: Interactions(True), ["dense", "sparse"], {"scores": {0: "batch", 1: "others"}})


@model
def lstm_time_first(path):
    axes = {0: "sequence", 1: "batch"}
    network = Recurrent("LSTM", batch_first=False)
    export(network, (torch.ones(6, 2, dtype=torch.long),), path, {"input_ids": axes}, {"output": axes})
    return {"inputs": [1], "outputs": [1]}


@model
def graph_convolution(path):
    axes = {"features": {0: "nodes"}, "adjacency": {0: "nodes", 1: "nodes"}}
    export(EncoderBlock("graph"), (torch.randn(3, 16), torch.randn(3, 3)), path, axes, {"output": {0: "nodes"}})
    return {"sizes": {"nodes": 5}, "skip": True}


@model
def batch_statistics(path):
    export(EncoderBlock("statistics"), (torch.randn(4, 16),), path, {"input": BATCH}, {"output": BATCH})


@model
def random_noise(path):
    export(EncoderBlock("noise"), (torch.randn(2, 16),), path, {"input": BATCH}, {"output": BATCH})


# ---------------------------------------------------------------------------------- trees and pipelines

def table():
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((80, 4)).astype(np.float32)
    return rows, (rows[:, 0] + rows[:, 1] > 0).astype(int) + (rows[:, 2] > 1)


def scikit_models():
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType
    from sklearn import (
        cluster, decomposition, ensemble, linear_model, naive_bayes, neighbors, neural_network, pipeline, preprocessing, svm,
    )

    scaled = lambda last: pipeline.make_pipeline(preprocessing.StandardScaler(), last)  # noqa: E731
    estimators = {
        "logistic_regression": scaled(linear_model.LogisticRegression()),
        "random_forest": ensemble.RandomForestClassifier(3, max_depth=2),
        "gradient_boosting": ensemble.GradientBoostingClassifier(n_estimators=2),
        "bagging": ensemble.BaggingClassifier(n_estimators=2, random_state=0),
        "svc": scaled(svm.SVC(probability=True, max_iter=20)),
        "nearest_neighbours": neighbors.KNeighborsClassifier(3),
        "perceptron": scaled(neural_network.MLPClassifier((4,), max_iter=20)),
        "gaussian_naive_bayes": naive_bayes.GaussianNB(),
        "principal_components": pipeline.make_pipeline(decomposition.PCA(2), linear_model.LogisticRegression()),
        "k_means": cluster.KMeans(3, n_init=1),
        "isolation_forest": ensemble.IsolationForest(n_estimators=2, max_samples=8),
    }
    for name, estimator in estimators.items():
        def run(path, estimator=estimator):
            rows, labels = table()
            estimator.fit(rows, labels)
            options = {id(estimator): {"zipmap": False}} if hasattr(estimator, "predict_proba") else None
            kind = [("X", FloatTensorType([None, 4]))]
            onnx.save(convert_sklearn(estimator, initial_types=kind, options=options, target_opset={"": 17, "ai.onnx.ml": 3}), path)

        MODELS[name] = run


@model
def lightgbm(path):
    import lightgbm as library
    import onnxmltools
    from onnxmltools.convert.common.data_types import FloatTensorType
    classifier = library.LGBMClassifier(n_estimators=2, num_leaves=4, verbose=-1).fit(*table())
    kind = [("input", FloatTensorType([None, 4]))]
    onnx.save(onnxmltools.convert_lightgbm(classifier, initial_types=kind, zipmap=False, target_opset=15), path)


@model
def xgboost(path):
    import onnxmltools
    import xgboost as library
    from onnxmltools.convert.common.data_types import FloatTensorType
    classifier = library.XGBClassifier(n_estimators=2, max_depth=2).fit(*table())
    onnx.save(onnxmltools.convert_xgboost(classifier, initial_types=[("input", FloatTensorType([None, 4]))], target_opset=15), path)


# --------------------------------------------------------------------- what is made of another model

def made(name, folder):
    path = os.path.join(folder, f"{name}-whole.onnx")
    if not os.path.exists(path):
        MODELS[name](path)
    return path


@model
def resnet_qdq(path, form="QDQ"):
    from onnxruntime import quantization
    source = made("resnet", os.path.dirname(path))
    samples = iter([{"input": np.random.default_rng(0).standard_normal((1, 3, 64, 64)).astype(np.float32)}])

    class Samples(quantization.CalibrationDataReader):
        def get_next(self):
            return next(samples, None)

    quantization.quantize_static(source, path, Samples(), quant_format=quantization.QuantFormat[form])
    # Rounding of sums moves a number by one step of its scale.
    return {"tolerance": 0.05}


@model
def resnet_qoperator(path):
    return resnet_qdq(path, "QOperator")


@model
def resnet_float16(path):
    from onnxconverter_common import float16
    whole = onnx.load(made("resnet", os.path.dirname(path)))
    onnx.save(float16.convert_float_to_float16(whole), path)


@model
def bert_dynamic_quantisation(path):
    from onnxruntime import quantization
    quantization.quantize_dynamic(made("bert", os.path.dirname(path)), path)


@model
def bert_fused(path):
    from onnxruntime.transformers import optimizer
    source = made("bert", os.path.dirname(path))
    optimizer.optimize_model(source, model_type="bert", num_heads=2, hidden_size=16, opt_level=0).save_model_to_file(path)


@model
def bert_runtime_optimised(path):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = path
    onnxruntime.InferenceSession(made("bert", os.path.dirname(path)), options, providers=["CPUExecutionProvider"])


@model
def bert_four_bits(path):
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer
    quantizer = MatMulNBitsQuantizer(onnx.load(made("bert", os.path.dirname(path))), block_size=16, is_symmetric=True)
    quantizer.process()
    quantizer.model.save_model_to_file(path)


@model
def one_image(path):
    """As exported without dynamic axes."""
    export(nn.Conv2d(3, 4, 3), (torch.randn(1, 3, 8, 8),), path, {"input": {}}, {"output": {}})


# ------------------------------------------------------------------------------------------ of packages

def package_models():
    """Models that packages ship: wheels that lie in the folder named by PACKAGES."""
    files = {
        "magika": "magika/models/standard_v3_3/model.onnx",
        "paddle_text_direction": "rapidocr_onnxruntime/models/ch_ppocr_mobile_v2.0_cls_infer.onnx",
    }
    for name, file in files.items():
        def run(path, file=file):
            wheel = glob.glob(os.path.join(os.environ["PACKAGES"], file.split("/")[0] + "-*.whl"))[0]
            with open(path, "wb") as target:
                target.write(zipfile.ZipFile(wheel).read(file))
            return {"sizes": {"?": 48}}

        MODELS[name] = run


def main():
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    torch.backends.mha.set_fastpath_enabled(False)
    torch_models()
    scikit_models()
    package_models()
    with tempfile.TemporaryDirectory() as folder:
        for name in sys.argv[1:] or MODELS:
            path = os.path.join(folder, f"{name}-whole.onnx")
            options = (MODELS[name](path) if not os.path.exists(path) else None) or {}
            if options.pop("skip", False):
                says = False
            else:
                says = rows_are_independent(path, **options)
            target = os.path.join(HERE, f"{name}.onnx")
            strip(path, target)
            word = {True: "independent", False: "not independent", None: "one row alone"}[says]
            print(f"{name}: {word}, {os.path.getsize(target)} bytes", flush=True)


if __name__ == "__main__":
    main()
