use prost::Message;

use super::*;
use crate::proto::{
    AttributeProto, Dimension, DimensionValue, FunctionProto, OperatorSetIdProto, TensorProto,
    TensorShapeProto, TensorType, TypeProto, ValueInfoProto, attribute_type, data_type,
};

fn node(op_type: &str, inputs: &[&str], outputs: &[&str]) -> NodeProto {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    NodeProto {
        op_type: op_type.into(),
        input: names(inputs),
        output: names(outputs),
        ..NodeProto::default()
    }
}

fn with(mut node: NodeProto, attribute: AttributeProto) -> NodeProto {
    node.attribute.push(attribute);
    node
}

fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto { name: name.into(), i: value, r#type: attribute_type::INT, ..AttributeProto::default() }
}

fn branch(name: &str, graph: GraphProto) -> AttributeProto {
    let g = Some(Box::new(graph));
    AttributeProto { name: name.into(), g, r#type: attribute_type::GRAPH, ..AttributeProto::default() }
}

fn typed(name: &str, elem_type: i32) -> ValueInfoProto {
    let dim = vec![Dimension { value: Some(DimensionValue::DimParam("N".into())) }];
    let tensor_type = TensorType { elem_type, shape: Some(TensorShapeProto { dim }) };
    let r#type = Some(TypeProto { tensor_type: Some(tensor_type), sequence_type: None });
    ValueInfoProto { name: name.into(), r#type, doc_string: String::new() }
}

fn constant(name: &str, values: &[i64]) -> TensorProto {
    TensorProto {
        name: name.into(),
        dims: vec![values.len() as i64],
        data_type: data_type::INT64,
        int64_data: values.to_vec(),
        ..TensorProto::default()
    }
}

fn graph(node: Vec<NodeProto>, element: i32, initializer: Vec<TensorProto>) -> GraphProto {
    let input = vec![typed("a", element), typed("b", element)];
    GraphProto { node, input, output: vec![typed("q", element)], initializer, ..GraphProto::default() }
}

fn model(graph: GraphProto) -> ModelProto {
    let opset_import = vec![OperatorSetIdProto { domain: String::new(), version: 17 }];
    ModelProto { ir_version: 8, graph: Some(graph), opset_import, ..ModelProto::default() }
}

/// The names of the guarded nodes, and the guarded model.
fn guarded(model: &ModelProto) -> (Vec<String>, Option<ModelProto>) {
    match guard(&model.encode_to_vec(), model) {
        Some(Guarded { bytes, nodes }) => (nodes, Some(crate::read(bytes).unwrap())),
        None => (Vec::new(), None),
    }
}

/// Domain and operator of the nodes in the main graph.
fn operators(model: &ModelProto) -> Vec<String> {
    let name = |node: &NodeProto| format!("{}:{}", node.domain, node.op_type);
    model.graph.iter().flat_map(|graph| &graph.node).map(name).collect()
}

fn is_guarded(nodes: Vec<NodeProto>, element: i32, initializer: Vec<TensorProto>) -> bool {
    !guarded(&model(graph(nodes, element, initializer))).0.is_empty()
}

#[test]
fn integer_division_by_what_a_request_gives_becomes_the_servers_own() {
    for op in ["Div", "Mod"] {
        let source = model(graph(vec![node(op, &["a", "b"], &["q"])], data_type::INT64, vec![]));
        let (nodes, new) = guarded(&source);
        let new = new.unwrap();
        assert_eq!(operators(&new), [format!("{CHECKED_DOMAIN}:{op}")]);
        assert_eq!(nodes, [format!("{op} ''")]);
        assert_eq!(new.opset_import.last().unwrap().domain, CHECKED_DOMAIN);
        assert_eq!(new.graph.as_ref().unwrap().input, source.graph.unwrap().input);
    }
    let fmod = with(node("Mod", &["a", "b"], &["q"]), int("fmod", 1));
    let new = guarded(&model(graph(vec![fmod], data_type::INT8, vec![]))).1.unwrap();
    assert_eq!(operators(&new), [format!("{CHECKED_DOMAIN}:Fmod")]);
    assert!(new.graph.unwrap().node[0].attribute.is_empty());
}

#[test]
fn floats_and_divisors_that_the_file_has_are_left_alone() {
    let by = |divisor: &str| vec![node("Div", &["a", divisor], &["q"])];
    assert!(!is_guarded(by("b"), data_type::FLOAT, vec![]));
    assert!(!is_guarded(by("c"), data_type::INT64, vec![constant("c", &[2, 8])]));
    assert!(is_guarded(by("c"), data_type::INT64, vec![constant("c", &[2, 0])]));
    assert!(is_guarded(by("c"), data_type::INT64, vec![constant("c", &[-1])]));
    let mut elsewhere = constant("c", &[2]);
    elsewhere.data_location = 1;
    assert!(is_guarded(by("c"), data_type::INT64, vec![elsewhere]));
    // A request may override the initializer of an input.
    assert!(is_guarded(by("b"), data_type::INT64, vec![constant("b", &[2])]));

    let value = AttributeProto { t: Some(Box::new(constant("", &[2]))), ..AttributeProto::default() };
    let two = with(node("Constant", &[], &["two"]), AttributeProto { name: "value".into(), ..value });
    let cast = with(node("Cast", &["two"], &["cast"]), int("to", data_type::INT32.into()));
    let of_shape = vec![node("Shape", &["a"], &["n"]), two, cast, node("Div", &["n", "cast"], &["q"])];
    assert!(!is_guarded(of_shape, data_type::FLOAT, vec![]));
}

#[test]
fn types_are_followed_through_the_graph_and_what_is_unknown_is_guarded() {
    let through = |nodes: &[NodeProto]| {
        let mut nodes = nodes.to_vec();
        nodes.push(node("Div", &["x", "x"], &["y"]));
        is_guarded(nodes, data_type::FLOAT, vec![])
    };
    assert!(!through(&[node("Sqrt", &["a"], &["x"])]));
    assert!(!through(&[node("Mul", &["unknown", "a"], &["x"])]));
    assert!(through(&[node("ArgMax", &["a"], &["x"])]));
    assert!(through(&[node("TopK", &["a", "k"], &["values", "x"])]));
    assert!(through(&[node("Nobody", &["a"], &["x"])]));
    assert!(!through(&[with(node("Cast", &["unknown"], &["x"]), int("to", data_type::DOUBLE.into()))]));
    assert!(through(&[with(node("Cast", &["a"], &["x"]), int("to", data_type::INT32.into()))]));
}

#[test]
fn nodes_in_subgraphs_and_functions_are_found() {
    let inner = GraphProto { node: vec![node("Div", &["a", "b"], &["q1"])], ..GraphProto::default() };
    let deeper = GraphProto {
        node: vec![with(node("If", &["c"], &["q2"]), branch("then_branch", inner))],
        ..GraphProto::default()
    };
    let outer = with(node("If", &["c"], &["q"]), branch("then_branch", deeper));
    let (nodes, new) = guarded(&model(graph(vec![outer], data_type::INT32, vec![])));
    assert_eq!(nodes, ["Div ''"]);
    let new = new.unwrap().graph.unwrap();
    let inner = graphs_of(&graphs_of(&new.node[0]).next().unwrap().node[0]).next().unwrap();
    assert_eq!(inner.node[0].domain, CHECKED_DOMAIN);

    let function = FunctionProto {
        name: "Half".into(),
        domain: "mine".into(),
        input: vec!["x".into(), "y".into()],
        output: vec!["z".into()],
        node: vec![node("Div", &["x", "y"], &["z"])],
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: 17 }],
        ..FunctionProto::default()
    };
    let call = NodeProto { domain: "mine".into(), ..node("Half", &["a", "b"], &["q"]) };
    let of = |element| ModelProto {
        functions: vec![function.clone()],
        ..model(graph(vec![call.clone(), node("Div", &["q", "q"], &["r"])], element, vec![]))
    };
    assert_eq!(guarded(&of(data_type::FLOAT)).0, Vec::<String>::new());
    let (nodes, new) = guarded(&of(data_type::INT64));
    assert_eq!(nodes.len(), 2);
    let new = new.unwrap();
    assert_eq!(new.functions[0].node[0].domain, CHECKED_DOMAIN);
    assert_eq!(new.functions[0].opset_import[1].domain, CHECKED_DOMAIN);
}

#[test]
fn what_this_crate_does_not_know_is_copied() {
    let mut raw =
        model(graph(vec![node("Div", &["a", "b"], &["q"])], data_type::INT64, vec![])).encode_to_vec();
    let original = crate::read(raw.clone().into()).unwrap();
    // Two fields that the decoder does not know: `ModelProto.domain`, and a field that ONNX does not define.
    let unknown = [0x22, 2, b'h', b'i', 0xf8, 0x3f, 5];
    raw.extend_from_slice(&unknown);
    let new = guard(&raw, &original).unwrap().bytes;
    assert!(new.windows(unknown.len()).any(|window| window == unknown));
    let untouched = model(graph(vec![node("Add", &["a", "b"], &["q"])], data_type::INT64, vec![]));
    assert!(guard(&untouched.encode_to_vec(), &untouched).is_none());
}

#[test]
fn bytes_that_are_not_the_models_change_nothing() {
    let source = model(graph(vec![node("Div", &["a", "b"], &["q"])], data_type::INT64, vec![]));
    let raw = source.encode_to_vec();
    for length in 0..raw.len() {
        // A message that is cut off after a whole field is still a valid message.
        assert!(guard(&raw[..length], &source).is_none_or(|guarded| crate::read(guarded.bytes).is_ok()));
    }
}

#[test]
fn no_two_nodes_are_called_the_same() {
    let called = |op: &str, inputs: &[&str], name: &str| {
        let node = NodeProto { name: name.into(), ..node(op, inputs, &["q"]) };
        let new =
            guarded(&model(graph(vec![node], data_type::FLOAT, vec![constant("three", &[3])]))).1.unwrap();
        new.graph.unwrap().node.into_iter().map(|node| node.name).collect::<Vec<_>>()
    };
    let mut names = called("STFT", &["a", "three", "b", "b"], "spectrum");
    assert_eq!((names.len(), names.last().unwrap().as_str()), (5, "spectrum"));
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 5);
    assert!(called("GRU", &["a", "w", "r"], "").iter().all(String::is_empty));
}

#[test]
fn sequences_and_windows_without_elements_are_checked_for() {
    let checked = |node: NodeProto| {
        let (_, new) = guarded(&model(graph(vec![node], data_type::FLOAT, vec![constant("three", &[3])])));
        new.map(|new| operators(&new)).unwrap_or_default()
    };
    let not_empty = [":Shape", "decima.checked:NotEmpty", ":Reshape"];
    assert_eq!(checked(node("LSTM", &["a", "w", "r"], &["q"])), [&not_empty[..], &[":LSTM"]].concat());
    for op in ["DynamicQuantizeLSTM", "QAttention"] {
        let node = NodeProto { domain: "com.microsoft".into(), ..node(op, &["a", "w", "r"], &["q"]) };
        assert_eq!(checked(node), [&not_empty[..], &[&format!("com.microsoft:{op}")]].concat());
    }
    assert_eq!(checked(node("GRU", &["a", "w", "r"], &["q"])), [&not_empty[..], &[":GRU"]].concat());
    assert_eq!(checked(node("STFT", &["a", "three", "b"], &["q"])), [&not_empty[..], &[":STFT"]].concat());
    let with_length = checked(node("STFT", &["a", "three", "", "b"], &["q"]));
    assert_eq!(with_length, ["decima.checked:Positive", ":STFT"]);
    assert!(checked(node("STFT", &["a", "three", "", "three"], &["q"])).is_empty());
    assert_eq!(checked(node("STFT", &["a", "three", "b", "b"], &["q"])).len(), 5);
}

fn zip_map(classes: AttributeProto) -> NodeProto {
    NodeProto { domain: "ai.onnx.ml".into(), ..with(node("ZipMap", &["probabilities"], &["maps"]), classes) }
}

fn classifier(zip_map: NodeProto, more: Vec<NodeProto>) -> ModelProto {
    let mut nodes = vec![node("Classifier", &["a"], &["label", "probabilities"]), zip_map];
    nodes.extend(more);
    let maps = ValueInfoProto { name: "maps".into(), ..ValueInfoProto::default() };
    let output = vec![typed("label", data_type::INT64), maps];
    model(GraphProto { output, ..graph(nodes, data_type::FLOAT, vec![]) })
}

#[test]
fn a_zip_map_becomes_the_tensor_of_probabilities() {
    let numbers =
        AttributeProto { name: "classlabels_int64s".into(), ints: vec![7, -3], ..AttributeProto::default() };
    let unzipped = |source: &ModelProto| unzip(&source.encode_to_vec(), source);
    let Unzipped { bytes, probabilities } = unzipped(&classifier(zip_map(numbers), vec![])).unwrap();
    assert_eq!(
        probabilities,
        [Probabilities { output: "maps".into(), classes: vec!["7".into(), "-3".into()] }]
    );
    let new = crate::read(bytes).unwrap();
    assert_eq!(operators(&new)[1], ":Identity");
    assert!(new.opset_import.iter().all(|import| import.domain.is_empty()));
    let declared = crate::interface(&new).output("maps").cloned().unwrap();
    assert_eq!(declared.kind, crate::Kind::Tensor(data_type::FLOAT));
    assert_eq!(declared.shape, Some(vec![crate::Dim::Symbol("N".into()), crate::Dim::Fixed(2)]));

    let strings = vec!["cat".into(), "dog".into()];
    let texts = AttributeProto { name: "classlabels_strings".into(), strings, ..AttributeProto::default() };
    assert_eq!(
        unzipped(&classifier(zip_map(texts), vec![])).unwrap().probabilities[0].classes,
        ["cat", "dog"]
    );
}

#[test]
fn maps_that_something_else_takes_stay_maps_and_there_is_a_way_out() {
    let numbers =
        AttributeProto { name: "classlabels_int64s".into(), ints: vec![7], ..AttributeProto::default() };
    let source = classifier(zip_map(numbers), vec![node("SequenceLength", &["maps"], &["n"])]);
    assert!(unzip(&source.encode_to_vec(), &source).is_none());
    assert!(way_out(&source, "maps").unwrap().contains("'zipmap': False"));
    let cut = model(graph(vec![node("SplitToSequence", &["a"], &["q"])], data_type::FLOAT, vec![]));
    assert!(way_out(&cut, "q").unwrap().contains("ConcatFromSequence"));
    assert_eq!(way_out(&cut, "nobody"), None);
}

#[test]
fn a_locale_is_settled_where_the_letters_are_the_same() {
    let settled = |locale: Option<&'static str>| {
        let mut normalizer = node("StringNormalizer", &["a"], &["q"]);
        if let Some(locale) = locale {
            let s = locale.as_bytes().into();
            normalizer.attribute.push(AttributeProto {
                name: "locale".into(),
                s,
                ..AttributeProto::default()
            });
        }
        let source = model(graph(vec![normalizer], data_type::STRING, vec![]));
        let bytes = settle_locale(&source.encode_to_vec(), &source)?;
        let node = crate::read(bytes).unwrap().graph.unwrap().node.pop().unwrap();
        Some(String::from_utf8(node.attribute[0].s.to_vec()).unwrap())
    };
    assert_eq!(settled(None).as_deref(), Some("C.UTF-8"));
    assert_eq!(settled(Some("en_US.UTF-8")).as_deref(), Some("C.UTF-8"));
    assert_eq!(settled(Some("de_DE")).as_deref(), Some("C.UTF-8"));
    assert_eq!(settled(Some("tr_TR.UTF-8")), None);
    assert_eq!(settled(Some("C.UTF-8")), None);
}
