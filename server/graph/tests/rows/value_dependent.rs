//! Operators whose running time depends on values of the inputs.

use onnx_graph::{analyse, proto::AttributeProto};

use super::graph::{analysis, graph, model_of};

#[track_caller]
fn check(text: &str, expected: Option<&str>) {
    let found = analysis(text).value_dependent.map(|node| node.operator);
    assert_eq!(found.as_deref(), expected, "{text}");
}

#[test]
fn lengths_from_values() {
    let first =
        "x: int64[N,3]\n zero = int(0)\n one = int(1)\n a = Gather(x, zero)\n n = ReduceSum(a) keepdims=0\n";
    check(&format!("{first} y = Range(zero, n, one)\n -> y"), Some("Range"));
    check("x: int64[2]\n y = ConstantOfShape(x)\n -> y", Some("ConstantOfShape"));
    check("x: float[N,2]\n s: int64[2]\n y = Expand(x, s)\n -> y", Some("Expand"));
    check("x: float[N,2]\n s: int64[2]\n y = Tile(x, s)\n -> y", Some("Tile"));
    check("x: float[N,2]\n s: int64[4]\n y = Pad(x, s)\n -> y", Some("Pad"));
    check("x: float[N,2]\n s: float[4]\n y = Resize(x, _, s)\n -> y", Some("Resize"));
    check("x: int64[N]\n d: int64[]\n v = floats(0,1)\n y = OneHot(x, d, v)\n -> y", Some("OneHot"));
}

#[test]
fn lengths_from_shapes() {
    check("x: float[N,2]\n d = Shape(x)\n y = ConstantOfShape(d)\n -> y", None);
    check("x: float[N,2]\n p = NonZero(x)\n d = Shape(p)\n y = ConstantOfShape(d)\n -> y", None);
    check("x: float[N,2]\n s: int64[2]\n y = Reshape(x, s)\n -> y", None);
    check("x: float[N,2]\n p = ints(0,1,0,1)\n y = Pad(x, p)\n -> y", None);
    check("x: float[N,2]\n k: int64[1]\n y, i = TopK(x, k)\n -> y", None);
}

#[test]
fn loops_by_values() {
    let found = |outer: &str, body: &str| {
        let mut outer = graph(outer);
        let body = Some(Box::new(graph(body)));
        let attribute = AttributeProto { name: "body".to_owned(), g: body, ..AttributeProto::default() };
        outer.node.last_mut().unwrap().attribute.push(attribute);
        analyse(&model_of(outer, 17)).value_dependent.map(|node| node.operator)
    };
    let steady = "i: int64[]\n c: bool[]\n v: float[]\n k = Identity(c)\n -> k, v";
    let stops = "i: int64[]\n c: bool[]\n v: float[]\n k = Cast(v) to=9\n -> k, v";
    assert_eq!(found("n: int64[]\n v = float[]\n y = Loop(n, _, v)\n -> y", steady).as_deref(), Some("Loop"));
    assert_eq!(found("v: float[]\n n = int(5)\n y = Loop(n, _, v)\n -> y", stops), None);
    assert_eq!(found("v: float[]\n t = bool[]\n y = Loop(_, t, v)\n -> y", stops).as_deref(), Some("Loop"));
    let endless = "v: float[]\n n = int(9223372036854775807)\n y = Loop(n, _, v)\n -> y";
    assert_eq!(found(endless, stops).as_deref(), Some("Loop"));
    let shape = "v: float[N]\n zero = int(0)\n d = Shape(v)\n n = Gather(d, zero)\n y = Loop(n, _, v)\n -> y";
    assert_eq!(found(shape, steady), None);
}
