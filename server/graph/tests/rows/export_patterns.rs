//! Graphs as exporters write them.

use super::graph::check;

/// Self-attention of two heads, with shapes read from the input as `torch.onnx` traces `view`.
fn attention(view: &str, back: &str) -> String {
    format!(
        "x: float[batch,seq,8]\n m: int64[batch,seq]\n w = float[8,8]\n i0 = int(0)\n i1 = int(1)\n h = ints(2)\n e = ints(4)\n all = ints(8)\n \
         first = ints(0)\n mid = ints(1,2)\n one = ints(1)\n minus = ints(-1)\n \
         d = Shape(x)\n b0 = Gather(d, i0)\n s0 = Gather(d, i1)\n b = Unsqueeze(b0, first)\n s = Unsqueeze(s0, first)\n \
         q = MatMul(x, w)\n k = MatMul(x, w)\n v = MatMul(x, w)\n \
         view = Concat({view}) axis=0\n back = Concat({back}) axis=0\n \
         qv = Reshape(q, view)\n kv = Reshape(k, view)\n vv = Reshape(v, view)\n \
         qt = Transpose(qv) perm=[0,2,1,3]\n kt = Transpose(kv) perm=[0,2,3,1]\n vt = Transpose(vv) perm=[0,2,1,3]\n \
         scores = MatMul(qt, kt)\n mf = Cast(m) to=1\n mu = Unsqueeze(mf, mid)\n masked = Add(scores, mu)\n \
         p = Softmax(masked) axis=-1\n c = MatMul(p, vt)\n ct = Transpose(c) perm=[0,2,1,3]\n \
         r = Reshape(ct, back)\n y = Add(r, x)\n -> y"
    )
}

#[test]
fn attention_over_the_own_tokens() {
    check(17, &attention("b, s, h, e", "b, s, all"), "[0, 0] -> [0]");
    check(17, &attention("b, minus, h, e", "b, minus, all"), "[0, 0] -> [0]");
    check(17, &attention("minus, s, h, e", "minus, s, all"), "[0, 0] -> [0]");
    // exported with a batch of one row
    check(17, &attention("one, minus, h, e", "one, minus, all"), "has the batch size 1 written in its shape");
}

#[test]
fn a_position_for_each_token_but_not_for_each_row() {
    let positions = |axis: u32, table: &str| {
        format!(
            "x: int64[batch,seq]\n words = float[99,8]\n table = {table}\n i0 = int(0)\n i1 = int(1)\n d = Shape(x)\n \
             n = Gather(d, i{axis})\n r = Range(i0, n, i1)\n e = Gather(words, x)\n p = Gather(table, r)\n y = Add(e, p)\n -> y"
        )
    };
    check(17, &positions(1, "float[512,8]"), "[0] -> [0]");
    check(17, &positions(0, "float[512,8]"), "computes with the number of rows");
}

#[test]
fn batched_heads_as_one_axis() {
    // torch.bmm over batch * heads with the time axis first, as in nn.MultiheadAttention
    let text = "x: float[seq,batch,8]\n w = float[8,8]\n i0 = int(0)\n i1 = int(1)\n two = int(2)\n first = ints(0)\n four = ints(4)\n eight = ints(8)\n \
         d = Shape(x)\n s0 = Gather(d, i0)\n b0 = Gather(d, i1)\n bh0 = Mul(b0, two)\n s = Unsqueeze(s0, first)\n b = Unsqueeze(b0, first)\n \
         bh = Unsqueeze(bh0, first)\n view = Concat(s, bh, four) axis=0\n back = Concat(s, b, eight) axis=0\n q = MatMul(x, w)\n \
         qv = Reshape(q, view)\n qt = Transpose(qv) perm=[1,0,2]\n kt = Transpose(qv) perm=[1,2,0]\n a = MatMul(qt, kt)\n p = Softmax(a)\n \
         c = MatMul(p, qt)\n ct = Transpose(c) perm=[1,0,2]\n y = Reshape(ct, back)\n -> y";
    check(17, text, "[1] -> [1]");
}

#[test]
fn a_token_for_the_class_in_front() {
    let text = "x: float[N,4,8]\n cls = float[1,1,8]\n i0 = int(0)\n first = ints(0)\n ones = ints(1,1)\n minus = ints(-1,-1)\n none = ints(-1)\n \
         d = Shape(x)\n n0 = Gather(d, i0)\n n = Unsqueeze(n0, first)\n want = Concat(n, minus) axis=0\n three = ints(3)\n \
         one = int(1)\n filled = ConstantOfShape(three)\n ";
    let by_where = "same = Equal(want, none)\n unit = ints(1,1,1)\n shape = Where(same, unit, want)\n c = Expand(cls, shape)\n y = Concat(c, x) axis=1\n -> y";
    check(17, &format!("{text}{by_where}"), "[0] -> [0]");
}

#[test]
fn windows_of_an_image_as_rows() {
    let text = "x: float[N,8,8,4]\n split = ints(-1,2,4,2,4,4)\n windows = ints(-1,16,4)\n merge = ints(-1,2,2,4,4,4)\n whole = ints(-1,8,8,4)\n \
         mask = float[4,16,16]\n masks = ints(-1,4,16,16)\n flat = ints(-1,16,16)\n \
         a = Reshape(x, split)\n b = Transpose(a) perm=[0,1,3,2,4,5]\n c = Reshape(b, windows)\n t = Transpose(c) perm=[0,2,1]\n \
         s = MatMul(c, t)\n sm = Reshape(s, masks)\n sa = Add(sm, mask)\n sf = Reshape(sa, flat)\n p = Softmax(sf)\n o = MatMul(p, c)\n \
         m = Reshape(o, merge)\n mt = Transpose(m) perm=[0,1,3,2,4,5]\n y = Reshape(mt, whole)\n -> y";
    check(17, text, "[0] -> [0]");
}

#[test]
fn channels_that_are_shuffled() {
    let text = |shape: &str| {
        format!(
            "x: float[N,6,4,4]\n groups = {shape}\n joined = ints(-1,6,4,4)\n a = Reshape(x, groups)\n \
             b = Transpose(a) perm=[0,2,1,3,4]\n y = Reshape(b, joined)\n -> y"
        )
    };
    check(17, &text("ints(-1,2,3,4,4)"), "[0] -> [0]");
    check(17, &text("ints(1,2,3,4,4)"), "has the batch size 1 written in its shape");
}

#[test]
fn rows_that_end_up_among_tokens() {
    let text = "x: float[N,2,4]\n shape = ints(2,-1,4)\n y = Reshape(x, shape)\n -> y";
    check(17, text, "mixes the rows with other axes");
    check(17, "x: float[N,4]\n s = ints(-1)\n y = Reshape(x, s)\n -> y", "several rows for each row");
    check(17, "x: float[N,4]\n s = ints(4,-1)\n y = Reshape(x, s)\n -> y", "mixes the rows with other axes");
    check(17, "x: float[N,4]\n s: int64[2]\n y = Reshape(x, s)\n -> y", "fixed first dimension of 2");
}

#[test]
fn pads_as_an_exporter_computes_them() {
    let text = |row: u32| {
        format!(
            "x: float[N,6]\n p = ints(1,2)\n more = ints(0,{row})\n all = Concat(p, more) axis=0\n two = ints(-1,2)\n r = Reshape(all, two)\n \
             start = ints(-1)\n end = ints(-9223372036854775807)\n axis = ints(0)\n step = ints(-1)\n s = Slice(r, start, end, axis, step)\n \
             t = Transpose(s)\n flat = ints(-1)\n pads = Reshape(t, flat)\n y = Pad(x, pads)\n -> y"
        )
    };
    check(17, &text(0), "[0] -> [0]");
    check(17, &text(1), "pads the rows");
}

#[test]
fn lengths_that_were_traced() {
    // nn.MultiheadAttention: the shape has five tokens as a constant, and rows and heads share one axis. For other
    // lengths, ONNX Runtime computes the size of that axis from the rest.
    let text = "x: float[batch,seq,16]\n i1 = int(1)\n four = int(4)\n first = ints(0)\n five = ints(5)\n w = ints(4)\n \
         t = Transpose(x) perm=[1,0,2]\n d = Shape(t)\n n = Gather(d, i1)\n h0 = Mul(n, four)\n h = Unsqueeze(h0, first)\n \
         shape = Concat(five, h, w) axis=0\n r = Reshape(t, shape)\n q = Transpose(r) perm=[1,0,2]\n flat = ints(-1,4,5,4)\n \
         y = Reshape(q, flat)\n -> y";
    check(17, text, "has sizes written in its shape that may not be those of its input");
    // axis positions computed by Mod, as in unflatten
    let text = "x: float[N,48]\n two = int(2)\n three = int(3)\n one = ints(1)\n zero = ints(0)\n far = ints(9223372036854775807)\n \
         m = Mod(three, two)\n i = Reshape(m, one)\n d = Shape(x)\n front = Slice(d, zero, i)\n parts = ints(3,4,4)\n \
         shape = Concat(front, parts) axis=0\n y = Reshape(x, shape)\n -> y";
    check(17, text, "[0] -> [0]");
}

#[test]
fn positions_up_to_the_length() {
    let text = "x: int64[N,seq]\n words = float[99,8]\n places = float[1,512,8]\n one = ints(1)\n zero = ints(0)\n minus = ints(-1)\n \
         heads = ints(2,4)\n first = ints(0)\n d = Shape(x)\n n = Slice(d, zero, one)\n two = ints(2)\n s = Slice(d, one, two)\n \
         p = Slice(places, zero, s, one)\n e = Gather(words, x)\n a = Add(e, p)\n shape = Concat(n, s, minus, w4) axis=0\n w4 = ints(4)\n \
         v = Reshape(a, shape)\n y = Transpose(v) perm=[0,2,1,3]\n -> y";
    check(17, text, "[0] -> [0]");
}
