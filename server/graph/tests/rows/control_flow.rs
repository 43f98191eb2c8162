//! If, Loop and Scan, and functions of the file.

use onnx_graph::{
    analyse,
    proto::{AttributeProto, FunctionProto, GraphProto, ModelProto, OperatorSetIdProto},
};

use super::graph::{attribute, graph, model_of, said};

/// The text as a model, with these graphs as attributes of its last node.
fn with_bodies(text: &str, bodies: &[(&str, &str)]) -> ModelProto {
    let mut outer = graph(text);
    let node = outer.node.last_mut().unwrap();
    for (name, body) in bodies {
        let body = Some(Box::new(graph(body)));
        node.attribute.push(AttributeProto {
            name: (*name).to_owned(),
            g: body,
            ..AttributeProto::default()
        });
    }
    model_of(outer, 17)
}

#[track_caller]
fn check(text: &str, bodies: &[(&str, &str)], expected: &str) {
    let said = said(&analyse(&with_bodies(text, bodies)));
    if expected.starts_with('[') {
        assert_eq!(said, expected, "{text}");
    } else {
        assert!(said.contains(expected), "said: {said}\nexpected: {expected}\n{text}");
    }
}

#[test]
fn branches() {
    let both = [("then_branch", "a = Relu(x)\n -> a"), ("else_branch", "b = Neg(x)\n -> b")];
    let mixing = [("then_branch", "a = Softmax(x) axis=0\n -> a"), ("else_branch", "b = Neg(x)\n -> b")];
    check("x: float[N,2]\n c = bool[]\n y = If(c)\n -> y", &both, "[0] -> [0]");
    check("x: float[N,2]\n c = bool[]\n y = If(c)\n -> y", &mixing, "normalises over the rows");
    check("x: float[N,2]\n one = int(1)\n c = Equal(one, one)\n y = If(c)\n -> y", &mixing, "normalises");
    check(
        "x: float[N,2]\n one = int(1)\n two = int(2)\n c = Equal(one, two)\n y = If(c)\n -> y",
        &mixing,
        "[0] -> [0]",
    );
    check(
        "x: float[N,2]\n m = ReduceMax(x) keepdims=0\n c = Cast(m) to=9\n y = If(c)\n -> y",
        &both,
        "reduces over the rows",
    );
    check("x: float[N,2]\n c = ReduceMax(x) axes=[1]\n y = If(c)\n -> y", &both, "by values of the rows");
    let text = "x: float[N,2]\n zero = int(0)\n one = int(1)\n d = Shape(x)\n n = Gather(d, zero)\n c = Equal(n, one)\n y = If(c)\n -> y";
    check(text, &both, "chooses by the number of rows");
    // as torch.onnx exports squeeze(1)
    let squeeze = [
        ("then_branch", "k = ints(1)\n a = Squeeze(x, k)\n -> a"),
        ("else_branch", "b = Identity(x)\n -> b"),
    ];
    let text = "x: float[N,1,2]\n one = int(1)\n d = Shape(x)\n n = Gather(d, one)\n c = Equal(n, one)\n y = If(c)\n -> y";
    check(text, &squeeze, "[0] -> [0]");
}

#[test]
fn loops() {
    let text = "x: float[N,2]\n trips = int(5)\n y, all = Loop(trips, _, x)\n -> y, all";
    let body = |step: &str| {
        format!("i: int64[]\n c: bool[]\n v: float[N,2]\n k = Identity(c)\n {step}\n -> k, w, w")
    };
    check(text, &[("body", &body("w = Relu(v)"))], "[0] -> [0, 1]");
    check(text, &[("body", &body("w = CumSum(v, i)"))], "");
    check(text, &[("body", &body("w = Softmax(v) axis=0"))], "normalises over the rows");
    // only the second iteration mixes rows
    let swap = "x: float[N,2]\n z = float[2,2]\n trips = int(5)\n y, t = Loop(trips, _, x, z)\n -> t";
    let turns = "i: int64[]\n c: bool[]\n v: float[N,2]\n u: float[2,2]\n k = Identity(c)\n p = Transpose(v)\n q = MatMul(u, p)\n \
                 w = Transpose(q)\n o = ReduceMax(w) axes=[0]\n n = Add(u, o)\n -> k, w, n";
    check(swap, &[("body", turns)], "reduces over the rows");
    let stop = "i: int64[]\n c: bool[]\n v: float[N,2]\n m = ReduceMax(v) keepdims=0\n k = Cast(m) to=9\n -> k, v, v";
    check(text, &[("body", stop)], "reduces over the rows");
    let each = "i: int64[]\n c: bool[]\n v: float[N,2]\n k = Cast(v) to=9\n -> k, v, v";
    check(text, &[("body", each)], "decides for the whole batch, by values of the rows, whether to go on");
    let count =
        "x: float[N,2]\n zero = int(0)\n d = Shape(x)\n n = Gather(d, zero)\n y, all = Loop(n, _, x)\n -> y";
    check(count, &[("body", &body("w = Relu(v)"))], "decides by the number of rows whether to go on");
    let grows = "x: float[N,2]\n trips = int(5)\n y = Loop(trips, _, x)\n -> y";
    let wider =
        "i: int64[]\n c: bool[]\n v: float[N,2]\n k = Identity(c)\n w = Concat(v, v) axis=1\n -> k, w";
    check(grows, &[("body", wider)], "[0] -> [0]");
    let longer =
        "i: int64[]\n c: bool[]\n v: float[N,2]\n k = Identity(c)\n w = Concat(v, v) axis=0\n -> k, w";
    check(grows, &[("body", longer)], "gives rows in some cases");
}

#[test]
fn scans() {
    let body = "s: float[N,2]\n e: float[N,2]\n t = Add(s, e)\n -> t, t";
    let text = "x: float[N,7,2]\n h: float[N,2]\n y, all = Scan(h, x) num_scan_inputs=1 scan_input_axes=[1]\n -> y, all";
    check(text, &[("body", body)], "[0, 0] -> [0, 1]");
    let text = "x: float[N,2]\n h = float[2]\n y, all = Scan(h, x) num_scan_inputs=1\n -> all";
    check(
        text,
        &[("body", "s: float[2]\n e: float[2]\n t = Add(s, e)\n -> t, t")],
        "goes through the rows one after another",
    );
}

fn function(name: &str, inputs: &[&str], body: GraphProto) -> FunctionProto {
    FunctionProto {
        name: name.to_owned(),
        domain: "own".to_owned(),
        input: inputs.iter().map(|&input| input.to_owned()).collect(),
        output: body.output.into_iter().map(|output| output.name).collect(),
        node: body.node,
        opset_import: vec![
            OperatorSetIdProto { domain: String::new(), version: 17 },
            OperatorSetIdProto { domain: "own".to_owned(), version: 1 },
        ],
        ..FunctionProto::default()
    }
}

#[test]
fn functions_of_the_file() {
    let mut body = graph("b = Softmax(a)\n -> b");
    body.node[0].attribute.push(AttributeProto {
        name: "axis".to_owned(),
        ref_attr_name: "along".to_owned(),
        ..AttributeProto::default()
    });
    let mut softmax = function("Soft", &["a"], body);
    softmax.attribute_proto.push(attribute("along=1"));
    for (call, expected) in
        [("own.Soft(x)", "[0] -> [0]"), ("own.Soft(x) along=0", "normalises over the rows")]
    {
        let mut model = model_of(graph(&format!("x: float[N,2]\n y = {call}\n -> y")), 17);
        model.functions = vec![softmax.clone()];
        let said = said(&analyse(&model));
        assert!(said.contains(expected), "{said}");
    }
    // a function that calls itself
    let mut model = model_of(graph("x: float[N,2]\n y = own.Again(x)\n -> y"), 17);
    model.functions = vec![function("Again", &["a"], graph("b = own.Again(a)\n -> b"))];
    assert!(said(&analyse(&model)).contains("too large or too deeply nested"));
}
