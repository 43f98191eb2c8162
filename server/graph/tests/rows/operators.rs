//! Each family of operators: graphs whose rows are independent, and similar graphs whose rows are not.

use super::graph::check;

/// Tests a node on `x: float[N,3,4]`, with some weights, at this opset version.
#[track_caller]
fn one(version: i64, node: &str, expected: &str) {
    let text = format!(
        "x: float[N,3,4]\n w = float[4,5]\n fixed = float[2,3,4]\n one = float[1,3,4]\n row = float[4]\n scalar = float[]\n \
         zero = int(0)\n first = ints(0)\n second = ints(1)\n third = ints(2)\n far = ints(9223372036854775807)\n \
         pick = ints(0,1)\n shape = ints(0,12)\n y = {node}\n -> y"
    );
    check(version, &text, expected);
}

const FIRST: &str = "[0] -> [0]";

#[test]
fn elements_at_the_same_place() {
    one(17, "Relu(x)", FIRST);
    one(17, "Add(x, row)", FIRST);
    one(17, "Mul(x, one)", FIRST);
    one(17, "Add(x, fixed)", "lines up the rows with an axis of fixed size 2");
    one(17, "Where(x, one, scalar)", FIRST);
    one(17, "Clip(x, scalar, scalar)", FIRST);
    one(6, "Add(x, row) broadcast=1 axis=2", FIRST);
    one(6, "Add(x, row) broadcast=1 axis=0", "lines up the rows with an axis of fixed size 4");
    one(17, "Dropout(x)", FIRST);
    check(17, "x: float[N,3]\n t = bool[]\n y = Dropout(x, _, t)\n -> y", "drops elements at random");
    check(17, "x: float[N,3]\n z: float[N]\n y = Add(x, z)\n -> y", "lines up the rows of one input");
    check(17, "x: float[N,1]\n z: float[N]\n y = Mul(x, z)\n -> y", "lines up the rows of one input");
    check(17, "x: float[N,3]\n z: float[M,1]\n y = Mul(x, z)\n -> y", "[0, 0] -> [0]");
}

#[test]
fn products_of_matrices() {
    one(17, "MatMul(x, w)", FIRST);
    check(17, "x: float[N,4]\n w = float[4,5]\n y = MatMul(x, w)\n -> y", FIRST);
    check(17, "x: float[N,4]\n w = float[5,2]\n y = MatMul(w, x)\n -> y", "sums over the rows");
    check(
        17,
        "x: float[N,4]\n t = Transpose(x)\n y = MatMul(x, t)\n -> y",
        "multiplies the rows of one input by those",
    );
    check(17, "x: float[N,4]\n w = float[5,4]\n c = float[5]\n y = Gemm(x, w, c) transB=1\n -> y", FIRST);
    check(
        17,
        "x: float[N,4]\n w = float[5,4]\n c = float[3,5]\n y = Gemm(x, w, c) transB=1\n -> y",
        "fixed size 3",
    );
    check(17, "x: float[N,4]\n w = float[2,5]\n y = Gemm(x, w) transA=1\n -> y", "sums over the rows");
    check(17, "x: float[N,4]\n w = float[2,4]\n y = Gemm(w, x) transB=1\n -> y", "[0] -> [1]");
    check(17, "x: float[N,3,4]\n y = Einsum(x, x) equation=bij,bkj->bik\n -> y", FIRST);
    check(17, "x: float[N,3,4]\n y = Einsum(x) equation=bij->ij\n -> y", "sums over the rows");
    check(17, "x: float[N,3,4]\n w = float[4,2]\n y = Einsum(x, w) equation=...j,jk->...k\n -> y", FIRST);
    check(17, "x: float[N,3]\n y = Einsum(x, x) equation=ai,bi->ab\n -> y", "multiplies the rows");
    check(17, "x: float[N,4]\n w = float[2,3]\n y = Einsum(x, w) equation=ai,ab->aib\n -> y", "fixed size");
}

#[test]
fn convolutions_and_pools() {
    let image = |node: &str, expected: &str| {
        let weights = "w = float[8,3,3,3]\n c = float[3]";
        check(13, &format!("x: float[N,3,9,9]\n {weights}\n y, z = {node}\n -> y"), expected);
    };
    image("Conv(x, w)", FIRST);
    image("MaxPool(x) kernel_shape=[2,2]", FIRST);
    image("GlobalAveragePool(x)", FIRST);
    image("BatchNormalization(x, c, c, c, c)", "exported in training mode");
    image("InstanceNormalization(x, c, c)", FIRST);
    image("LRN(x) size=3", FIRST);
    image("MeanVarianceNormalization(x)", "normalises over the batch");
    image("MeanVarianceNormalization(x) axes=[2,3]", FIRST);
    image("DepthToSpace(x) blocksize=1", FIRST);
    check(13, "x: float[N,8,9]\n c = float[8]\n y = BatchNormalization(x, c, c, c, c)\n -> y", FIRST);
    check(
        15,
        "x: float[N,8]\n c = float[8]\n y = BatchNormalization(x, c, c, c, c) training_mode=1\n -> y",
        "training",
    );
    check(13, "x: float[1,N,9]\n w = float[8,3,3]\n y = Conv(x, w)\n -> y", "fixed first dimension of 1");
    check(13, "x: float[N,3,9]\n z, i = MaxPool(x) kernel_shape=[2]\n -> i", "rows are not kept apart");
    check(13, "w: float[N,3,5]\n x = float[1,3,9]\n y = Conv(x, w)\n -> y", "[0] -> [1]");
}

#[test]
fn along_axes() {
    one(13, "Softmax(x) axis=1", FIRST);
    one(13, "Softmax(x) axis=0", "normalises over the rows");
    one(12, "Softmax(x)", FIRST);
    one(12, "Softmax(x) axis=0", "normalises over the rows");
    one(17, "CumSum(x, second)", FIRST);
    one(17, "CumSum(x, first)", "sums up over the rows");
    one(17, "LayerNormalization(x, row)", FIRST);
    one(17, "LayerNormalization(x, fixed) axis=0", "normalises over the rows");
    one(17, "TopK(x, second)", FIRST);
    one(17, "TopK(x, second) axis=0", "compares the rows");
    one(17, "ArgMax(x) axis=1 keepdims=0", FIRST);
    one(17, "ArgMax(x)", "compares the rows");
    one(13, "ReduceSum(x, second)", FIRST);
    one(13, "ReduceSum(x)", "reduces over the rows");
    one(13, "ReduceSum(x) noop_with_empty_axes=1", FIRST);
    one(12, "ReduceMean(x) axes=[1,2] keepdims=0", FIRST);
    one(12, "ReduceMax(x) axes=[-3]", "reduces over the rows");
    one(17, "Trilu(x)", FIRST);
    check(17, "x: float[N,4]\n y = Trilu(x)\n -> y", "the rows are one of its axes");
    check(17, "x: float[N,4]\n y = EyeLike(x)\n -> y", "a one at another position");
}

#[test]
fn parts_and_joins() {
    one(17, "Concat(x, x) axis=1", FIRST);
    one(17, "Concat(x, fixed) axis=1", "the same for all rows");
    one(17, "Concat(x, x) axis=0", "several rows for each row");
    one(17, "Slice(x, second, far, second)", FIRST);
    one(17, "Slice(x, first, far, first)", FIRST);
    one(17, "Slice(x, second, far, first)", "cuts out a part of the rows");
    one(17, "Gather(x, zero) axis=1", FIRST);
    one(17, "Gather(x, zero)", "picks rows out of the batch");
    one(17, "Compress(x, first) axis=0", "keeps some of the rows");
    one(13, "Squeeze(x)", "drops every axis of size 1");
    one(13, "Flatten(x)", FIRST);
    one(13, "Flatten(x) axis=2", "several rows for each row");
    one(13, "Transpose(x) perm=[1,0,2]", "[0] -> [1]");
    one(13, "Reshape(x, shape)", FIRST);
    check(13, "x: float[N,3]\n p = ints(0,1,0,1)\n y = Pad(x, p)\n -> y", FIRST);
    check(13, "x: float[N,3]\n p = ints(1,0,0,0)\n y = Pad(x, p)\n -> y", "pads the rows");
    check(13, "x: int64[N,3]\n table = float[9,4]\n y = Gather(table, x)\n -> y", FIRST);
    check(13, "x: int64[N]\n table = float[3,9]\n y = Gather(table, x) axis=1\n -> y", "[0] -> [1]");
    check(13, "x: float[N,2]\n a = Concat(x, x) axis=0\n y, z = Split(a) axis=0\n -> y, z", "[0] -> [0, 0]");
    check(13, "x: float[N,3]\n i: int64[N,2]\n y = GatherElements(x, i) axis=1\n -> y", "[0, 0] -> [0]");
    check(13, "x: float[N,3]\n i: int64[N,2]\n y = GatherElements(x, i)\n -> y", "picks rows");
    check(
        13,
        "x: float[N,3]\n i = int64[2,2]\n y = GatherElements(x, i) axis=1\n -> y",
        "positions of the rows",
    );
    check(13, "x: float[N,3,4]\n i: int64[N,2,1]\n y = GatherND(x, i) batch_dims=1\n -> y", "[0, 0] -> [0]");
    check(13, "x: float[N,3,4]\n i: int64[N,2,1]\n y = GatherND(x, i)\n -> y", "out of all rows");
    let scatter = "x: float[N,3]\n i: int64[N,2]\n u: float[N,2]\n y = ScatterElements(x, i, u)";
    check(13, &format!("{scatter} axis=1\n -> y"), "[0, 0, 0] -> [0]");
    check(13, &format!("{scatter} axis=0\n -> y"), "writes to rows that the values name");
    check(13, "x: int64[N]\n d = int(5)\n v = floats(0,1)\n y = OneHot(x, d, v)\n -> y", FIRST);
    check(13, "x: int64[N]\n d = int(5)\n v = floats(0,1)\n y = OneHot(x, d, v) axis=0\n -> y", "[0] -> [1]");
    check(13, "x: float[N,3]\n y = NonZero(x)\n -> y", "positions across the whole batch");
    check(13, "x: float[N,3]\n y = Unique(x)\n -> y", "drops duplicates");
}

#[test]
fn images_of_another_size() {
    let text = "x: float[N,3,8,8]\n s = floats(1,1,2,2)\n r = floats(2,1,2,2)\n";
    check(13, &format!("{text} y = Resize(x, _, s) mode=nearest\n -> y"), FIRST);
    check(13, &format!("{text} y = Resize(x, _, r) mode=nearest\n -> y"), "scales the axis of the rows");
    check(9, &format!("{text} y = Upsample(x, s)\n -> y"), FIRST);
    let sizes = "d = Shape(x)\n a = ints(0)\n b = ints(2)\n nc = Slice(d, a, b)\n hw = ints(16,16)\n t = Concat(nc, hw) axis=0\n";
    check(13, &format!("{text}{sizes} y = Resize(x, _, _, t)\n -> y"), FIRST);
}

#[test]
fn recurrent_networks() {
    let weights = "w = float[1,16,3]\n r = float[1,16,4]\n";
    let lstm = "a, h, c = LSTM(t, w, r) hidden_size=4\n";
    check(
        13,
        &format!("x: float[N,7,3]\n {weights} t = Transpose(x) perm=[1,0,2]\n {lstm} -> a, h"),
        "[0] -> [2, 1]",
    );
    check(13, &format!("t: float[seq,batch,3]\n {weights} {lstm} -> a, h"), "[1] -> [2, 1]");
    check(
        13,
        &format!("t: float[seq,1,3]\n {weights} {lstm} -> a"),
        "one after another, as steps of a sequence",
    );
    let start = "x: float[N,7,3]\n h: float[N,4]\n one = ints(0)\n i = Unsqueeze(h, one)\n t = Transpose(x) perm=[1,0,2]\n";
    let from = "a, b = GRU(t, w, r, _, _, i) hidden_size=4\n -> b";
    check(13, &format!("{start} w = float[1,12,3]\n r = float[1,12,4]\n {from}"), "[0, 0] -> [1]");
    let fixed = "x: float[N,7,3]\n i = float[1,2,4]\n t = Transpose(x) perm=[1,0,2]\n";
    check(13, &format!("{fixed} w = float[1,12,3]\n r = float[1,12,4]\n {from}"), "for other rows");
}

#[test]
fn integers_with_scales() {
    let text = "x: float[N,4]\n s = float[]\n z = uint8[]\n v = float[4]\n k = uint8[4]\n u = float[3]\n";
    check(13, &format!("{text} q = QuantizeLinear(x, s, z)\n y = DequantizeLinear(q, s, z)\n -> y"), FIRST);
    check(13, &format!("{text} y = QuantizeLinear(x, v, k) axis=1\n -> y"), FIRST);
    check(
        13,
        &format!("{text} y = QuantizeLinear(x, u) axis=0\n -> y"),
        "a scale for each of a fixed number of rows",
    );
    check(
        13,
        &format!("{text} y, a, b = DynamicQuantizeLinear(x)\n -> y"),
        "takes its scale from the whole batch",
    );
    let product = "x: uint8[N,4]\n w = uint8[4,5]\n s = float[]\n z = uint8[]\n y = QLinearMatMul(x, s, z, w, s, z, s, z)";
    check(13, &format!("{product}\n -> y"), FIRST);
    let each = "x: uint8[N,4]\n w = uint8[4,5]\n s = float[3]\n z = uint8[]\n y = QLinearMatMul(x, s, z, w, z, z, z, z)";
    check(13, &format!("{each}\n -> y"), "a scale for each of a fixed number of rows");
}

#[test]
fn classical_models() {
    let ml = |node: &str, expected: &str| {
        check(13, &format!("x: float[N,4]\n y, z = ai.onnx.ml.{node}\n -> y"), expected);
    };
    ml("TreeEnsembleClassifier(x)", FIRST);
    ml("LinearRegressor(x) targets=1", FIRST);
    ml("Scaler(x) offset=[1.0,2.0,3.0,4.0]", FIRST);
    ml("Normalizer(x)", FIRST);
    ml("OneHotEncoder(x) cats_int64s=[1,2]", FIRST);
    check(13, "x: float[N]\n y = ai.onnx.ml.Normalizer(x)\n -> y", "does not have two axes");
    check(13, "x: string[N]\n y = ai.onnx.ml.LabelEncoder(x)\n -> y", FIRST);
    let labels = "x: float[N,4]\n c = int64[3]\n i = ArgMax(x) axis=1\n f = ai.onnx.ml.ArrayFeatureExtractor(c, i)\n flat = ints(-1)\n";
    check(13, &format!("{labels} y = Reshape(f, flat)\n -> f, y"), "[0] -> [1, 0]");
}

#[test]
fn text_and_random_numbers() {
    check(13, "x: string[N]\n y = StringNormalizer(x)\n -> y", FIRST);
    check(13, "x: string[N]\n y = StringNormalizer(x) stopwords=[the]\n -> y", "stop words");
    check(20, "x: string[N]\n y, n = StringSplit(x)\n -> y", "pads to the longest text");
    check(13, "x: int64[N,5]\n y = TfIdfVectorizer(x) ngram_indexes=[0,1]\n -> y", FIRST);
    check(13, "x: int64[N]\n y = TfIdfVectorizer(x) ngram_indexes=[0,1]\n -> y", "words of one text");
    check(
        13,
        "x: float[N,2]\n r = RandomNormal() shape=[1,2]\n y = Add(x, r)\n -> y",
        "draws random numbers",
    );
    check(13, "x: float[N,2]\n y = Bernoulli(x)\n -> y", "draws random numbers");
}

#[test]
fn onnx_runtime_operators() {
    let ms = |node: &str, expected: &str| {
        let text = "x: float[N,3,4]\n z: float[N,3,4]\n m: int32[N]\n w = float[4,12]\n b = float[12]\n row = float[4]\n one = int32[1]";
        check(13, &format!("{text}\n y = com.microsoft.{node}\n -> y"), expected);
    };
    ms("SkipLayerNormalization(x, z, row, row)", "[0, 0, 0] -> [0]");
    ms("Attention(x, w, b, m) num_heads=2", "[0, 0, 0] -> [0]");
    ms("Attention(x, w, b, one) num_heads=2", "attend to other rows");
    ms("FusedMatMul(x, z) transB=1", "[0, 0, 0] -> [0]");
    ms("BiasGelu(x, row)", "[0, 0, 0] -> [0]");
    ms("DynamicQuantizeMatMul(x, w)", "takes its scale from the whole batch");
    ms("SomethingNew(x)", "is an operator that is not known");
}
