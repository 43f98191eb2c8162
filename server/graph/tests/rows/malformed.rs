//! Files that no exporter writes. The analysis must return a result and must not panic.

use std::time::{Duration, Instant};

use onnx_graph::{
    analyse,
    proto::{AttributeProto, GraphProto, ModelProto, NodeProto},
};

use super::graph::{graph, model_of, said};

#[test]
fn nothing_at_all() {
    assert_eq!(said(&analyse(&ModelProto::default())), "the file has no graph");
    let empty = ModelProto { graph: Some(GraphProto::default()), ..ModelProto::default() };
    assert_eq!(said(&analyse(&empty)), "the model has no inputs");
}

#[test]
fn names_that_nothing_gives() {
    let text = "x: float[N,2]\n y = Add(x, nowhere)\n -> y";
    assert!(
        said(&analyse(&model_of(graph(text), 17))).contains("reads 'nowhere', which no node before it gives")
    );
    let text = "x: float[N,2]\n -> nowhere";
    assert_eq!(said(&analyse(&model_of(graph(text), 17))), "no node gives 'nowhere'");
    let turned = "x: float[N,2]\n y = Relu(z)\n z = Relu(x)\n -> y";
    assert!(said(&analyse(&model_of(graph(turned), 17))).contains("which no node before it gives"));
    let circle = "x: float[N,2]\n y = Add(x, z)\n z = Relu(y)\n -> z";
    assert!(said(&analyse(&model_of(graph(circle), 17))).contains("which no node before it gives"));
}

/// Operators of every rule, with too few inputs, wrong ranks and extreme numbers.
#[test]
fn operators_without_their_inputs() {
    let standard = concat!(
        include_str!("../../src/rows/rules/elementwise.rs"),
        include_str!("../../src/rows/rules/shape.rs"),
        include_str!("../../src/rows/rules/reshape.rs"),
        include_str!("../../src/rows/rules/gather.rs"),
        include_str!("../../src/rows/rules/slice.rs"),
        include_str!("../../src/rows/rules/matmul.rs"),
        include_str!("../../src/rows/rules/normalise.rs"),
        include_str!("../../src/rows/rules/reduce.rs"),
        include_str!("../../src/rows/rules/convolution.rs"),
        include_str!("../../src/rows/rules/resize.rs"),
        include_str!("../../src/rows/rules/scatter.rs"),
        include_str!("../../src/rows/rules/quantised.rs"),
        include_str!("../../src/rows/rules/recurrent.rs"),
        include_str!("../../src/rows/rules/sequence.rs"),
        include_str!("../../src/rows/rules/strings.rs"),
        include_str!("../../src/rows/rules/signal.rs"),
        "\"If\" \"Loop\" \"Scan\"",
    );
    let sources = [
        ("", standard),
        ("ai.onnx.ml.", include_str!("../../src/rows/rules/ml.rs")),
        ("com.microsoft.", include_str!("../../src/rows/rules/microsoft.rs")),
    ];
    let is_operator =
        |word: &&str| word.starts_with(char::is_uppercase) && word.chars().all(char::is_alphanumeric);
    let operators = sources.iter().flat_map(|&(domain, source)| {
        source.split('"').skip(1).step_by(2).filter(is_operator).map(move |operator| (domain, operator))
    });
    let numbers = [
        "axis=-9223372036854775808",
        "axis=9223372036854775807",
        "axes=[-9,99]",
        "perm=[0,0]",
        "pads=[9223372036854775807,-1,2]",
    ];
    let operands = [
        "x",
        "s",
        "x, x",
        "x, s",
        "s, x",
        "x, _",
        "_, x",
        "big, x",
        "x, big",
        "x, x, x",
        "x, s, s, s",
        "x, _, _, x, x, x",
        "e, e",
        "x, big, big, big, big",
        "big, big, big",
        "n, n",
        "s, n, n",
        "x, n, n, n",
        "v, n, n, n, n",
        "v, big, big, axis0, big",
        "s, s, s, s, s, s, s, s, s",
    ];
    let mut count = 0;
    for (domain, operator) in operators {
        for inputs in operands {
            let text = format!(
                "x: float[N,2,3]\n v: float[N]\n s = int(3)\n axis0 = ints(0)\n e = float[0,-5]\n \
                     big = ints(9223372036854775807,-9223372036854775808,-9223372036854775807)\n n = ints(-1)\n \
                     y, z = {domain}{operator}({inputs}) {}\n -> y, z",
                numbers[count % numbers.len()]
            );
            for version in [6, 12, 21] {
                let _ = analyse(&model_of(graph(&text), version));
            }
            count += 1;
        }
    }
    assert!(count > 4_000, "{count}");
}

#[test]
fn loops_within_loops() {
    let mut body = graph("i: int64[]\n c: bool[]\n v: float[N,2]\n k = Identity(c)\n w = Relu(v)\n -> k, w");
    for _ in 0..60 {
        let mut outer =
            graph("i: int64[]\n c: bool[]\n v: float[N,2]\n k = Identity(c)\n w = Loop(i, _, v)\n -> k, w");
        let attribute =
            AttributeProto { name: "body".to_owned(), g: Some(Box::new(body)), ..AttributeProto::default() };
        outer.node[1].attribute.push(attribute);
        body = outer;
    }
    let mut outer = graph("x: float[N,2]\n t = int(2)\n y = Loop(t, _, x)\n -> y");
    outer.node[0].attribute.push(AttributeProto {
        name: "body".to_owned(),
        g: Some(Box::new(body)),
        ..AttributeProto::default()
    });
    let start = Instant::now();
    assert!(said(&analyse(&model_of(outer, 17))).contains("too large or too deeply nested"));
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}

#[test]
fn sizes_that_grow_without_end() {
    let mut graph = graph("x: float[N,a,b,c]\n d0 = Shape(x)\n -> x");
    for step in 0..400 {
        let (from, to) = (format!("d{step}"), format!("d{}", step + 1));
        let operator = ["Mul", "Add", "Div", "Mul"][step % 4];
        graph.node.push(NodeProto {
            input: vec![from, if step % 4 == 2 { "d0".to_owned() } else { format!("d{}", step / 2) }],
            output: vec![to],
            op_type: operator.to_owned(),
            ..NodeProto::default()
        });
    }
    let start = Instant::now();
    assert_eq!(said(&analyse(&model_of(graph, 17))), "[0] -> [0]");
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}
