//! The router of inference graphs, before several models of the server.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context, Result, ensure};
use deploy_tests::{
    images,
    podman::{CONFINED, Container},
    programs::{root, run, wait_for},
};
use onnx_graph::proto::{
    AttributeProto, Dimension, DimensionValue, GraphProto, ModelProto, NodeProto, OperatorSetIdProto,
    TensorShapeProto, TensorType, TypeProto, ValueInfoProto, attribute_type, data_type,
};
use prost::Message;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::pod::{Pod, digit, example, post, program};

/// `name`, of any number of rows.
fn tensor(name: &str, elements: i32, columns: Option<i64>) -> ValueInfoProto {
    let rows = DimensionValue::DimParam("rows".to_owned());
    let sizes = [Some(rows), columns.map(DimensionValue::DimValue)];
    let dim = sizes.into_iter().flatten().map(|size| Dimension { value: Some(size) }).collect();
    let tensor_type = Some(TensorType { elem_type: elements, shape: Some(TensorShapeProto { dim }) });
    ValueInfoProto {
        name: name.to_owned(),
        r#type: Some(TypeProto { tensor_type, ..TypeProto::default() }),
        ..ValueInfoProto::default()
    }
}

/// A model that says which of ten numbers is the greatest.
fn greatest() -> Vec<u8> {
    let attribute = |name: &str, value: i64| AttributeProto {
        name: name.to_owned(),
        i: value,
        r#type: attribute_type::INT,
        ..AttributeProto::default()
    };
    let node = NodeProto {
        op_type: "ArgMax".to_owned(),
        input: vec!["numbers".to_owned()],
        output: vec!["place".to_owned()],
        attribute: vec![attribute("axis", 1), attribute("keepdims", 0)],
        ..NodeProto::default()
    };
    let graph = GraphProto {
        name: "greatest".to_owned(),
        node: vec![node],
        input: vec![tensor("numbers", data_type::FLOAT, Some(10))],
        output: vec![tensor("place", data_type::INT64, None)],
        ..GraphProto::default()
    };
    ModelProto {
        ir_version: 8,
        graph: Some(graph),
        opset_import: vec![OperatorSetIdProto { version: 17, ..OperatorSetIdProto::default() }],
        ..ModelProto::default()
    }
    .encode_to_vec()
}

/// The digits under two names, and a model that takes what they answer.
fn models(folder: &Path) -> Result<()> {
    for name in ["digits", "numbers"] {
        run(std::process::Command::new("cp")
            .arg("--recursive")
            .arg(root().join("models/digits"))
            .arg(folder.join(name)))?;
    }
    fs::create_dir_all(folder.join("greatest/1"))?;
    fs::write(folder.join("greatest/1/model.onnx"), greatest())?;
    Ok(())
}

/// A router, ready, that has one graph.
struct Router {
    container: Container,
    url: String,
}

impl Router {
    fn start(nodes: &Value) -> Result<Self> {
        let graph = json!({ "nodes": nodes }).to_string();
        let program = program("router")?;
        let mut run = CONFINED.to_vec();
        run.extend(["--publish", "127.0.0.1::8080", "--volume", &program, "--entrypoint", "/router"]);
        run.extend([images::base()?, "--graph-json", &graph]);
        let container = Container::start(&run)?;
        let url = format!("http://{}", container.address(8080)?);
        let ready = || Ok(ureq::get(format!("{url}/readyz")).call()?);
        wait_for("KServe's router", 30, ready).with_context(|| container.logs())?;
        Ok(Self { container, url })
    }

    /// What the graph makes of a request.
    fn ask(&self, body: &Value) -> Result<(u16, Value)> {
        post(&self.url, body).with_context(|| self.container.logs())
    }
}

#[test]
fn graphs_of_every_kind_run_over_our_models() -> Result<()> {
    let folder = TempDir::new()?;
    models(folder.path())?;
    // for a user that this machine does not know
    run(std::process::Command::new("chmod").args(["--recursive", "a+rX"]).arg(folder.path()))?;
    let pod = Pod::start(folder.path(), &[])?;
    let server = pod.inside()?;
    let v1 = |model: &str| format!("{server}/v1/models/{model}:predict");
    let v2 = |model: &str| format!("{server}/v2/models/{model}/infer");
    let (of_v1, of_v2) = (example("example-v1.json")?, example("example.json")?);

    // One model's answer is the next one's question, where it is sure enough.
    let sequence = |condition: &str| {
        Router::start(&json!({ "root": { "routerType": "Sequence", "steps": [
            { "name": "digits", "serviceUrl": v1("digits") },
            { "name": "greatest", "serviceUrl": v1("greatest"), "data": "$response",
              "mapPredictionsToInstances": true, "condition": condition },
        ] } }))
    };
    let both = sequence("predictions.#(7>0.9)")?;
    assert_eq!(both.ask(&of_v1)?, (200, json!({ "predictions": [7] })));
    let first = sequence("predictions.#(3>0.9)")?.ask(&of_v1)?;
    assert_eq!(first.1["predictions"][0].as_array().context("probabilities")?.len(), 10);

    // Both at once, and both answers.
    let ensemble = Router::start(&json!({ "root": { "routerType": "Ensemble", "steps": [
        { "name": "one", "serviceUrl": v2("digits") },
        { "name": "other", "serviceUrl": v2("numbers") },
    ] } }))?;
    let (status, answer) = ensemble.ask(&of_v2)?;
    assert_eq!((status, digit(&answer["one"])?, digit(&answer["other"])?), (200, 7, 7), "{answer}");
    assert_eq!(
        (&answer["one"]["model_name"], &answer["other"]["model_name"]),
        (&json!("digits"), &json!("numbers"))
    );

    // By what is in the request: here, each protocol to its own path.
    let switch = Router::start(&json!({ "root": { "routerType": "Switch", "steps": [
        { "name": "v1", "serviceUrl": v1("digits"), "condition": "instances" },
        { "name": "v2", "serviceUrl": v2("numbers"), "condition": "inputs" },
    ] } }))?;
    assert!(switch.ask(&of_v1)?.1["predictions"].is_array());
    assert_eq!(switch.ask(&of_v2)?.1["model_name"], "numbers");
    assert_eq!(switch.ask(&json!({ "neither": 1 }))?.0, 404);

    // A share of the requests to each.
    let splitter = Router::start(&json!({ "root": { "routerType": "Splitter", "steps": [
        { "name": "one", "serviceUrl": v2("digits"), "weight": 50 },
        { "name": "other", "serviceUrl": v2("numbers"), "weight": 50 },
    ] } }))?;
    let mut shares = BTreeMap::new();
    for _ in 0..40 {
        let (status, answer) = splitter.ask(&of_v2)?;
        ensure!(status == 200, "{status}: {answer}");
        *shares.entry(answer["model_name"].to_string()).or_insert(0) += 1;
    }
    assert!(shares.len() == 2 && shares.values().all(|share| *share >= 5), "{shares:?}");

    // Where a step that must succeed does not, the graph answers what the server says.
    let broken = Router::start(&json!({ "root": { "routerType": "Sequence", "steps": [
        { "name": "nobody", "serviceUrl": v2("nobody"), "dependency": "Hard" },
        { "name": "digits", "serviceUrl": v2("digits") },
    ] } }))?;
    let (status, answer) = broken.ask(&of_v2)?;
    assert!(
        status == 404 && answer["error"].as_str().is_some_and(|error| error.contains("nobody")),
        "{answer}"
    );
    Ok(())
}
