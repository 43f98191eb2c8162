//! The agent's batcher and logger, before the server.

use std::{
    collections::BTreeSet,
    sync::Barrier,
    thread::{self, ScopedJoinHandle},
};

use anyhow::{Context, Result, anyhow, ensure};
use deploy_tests::programs::{root, wait_for};
use serde_json::{Value, json};

use crate::{
    pod::{Pod, digit, example, post},
    sink::{Event, Sink},
};

/// Callers at once.
const CALLERS: usize = 8;

/// The example's digit moved to the right, by another number of points for each picture.
fn pictures() -> Result<Vec<Value>> {
    let example = example("example-v1.json")?;
    let rows: Vec<Vec<Value>> = serde_json::from_value(example["instances"][0].clone())?;
    let moved = |by: usize| {
        rows.iter().cloned().map(move |mut row| {
            row.rotate_right(by);
            row
        })
    };
    Ok((0..CALLERS).map(|by| moved(by).collect::<Value>()).collect())
}

/// The probabilities for each picture, in V1's form.
fn predictions(answer: &Value) -> Result<Vec<Vec<f64>>> {
    serde_json::from_value(answer["predictions"].clone()).with_context(|| format!("no predictions: {answer}"))
}

/// Requests of V1 that the server has answered.
fn answered_by(server: &str) -> Result<usize> {
    let metrics = ureq::get(format!("{server}/metrics")).call()?.body_mut().read_to_string()?;
    let counts = metrics.lines().filter(|line| {
        line.starts_with("decima_request_duration_seconds_count") && line.contains("protocol=\"v1\"")
    });
    counts.map(|line| Ok(line.rsplit(' ').next().context("a count")?.parse::<usize>()?)).sum()
}

#[test]
fn the_batcher_joins_requests_and_each_caller_gets_its_own_answers() -> Result<()> {
    let mut pod = Pod::start(&root().join("models"), &[])?;
    pod.add_agent(&[], &["--enable-batcher", "--max-batchsize", "32", "--max-latency", "500"])?;
    let (server, agent) = (pod.server()?, pod.agent()?);
    let path = "v1/models/digits:predict";
    let pictures = pictures()?;
    let alone: Vec<Vec<f64>> = pictures
        .iter()
        .map(|picture| {
            let (_, answer) = post(&format!("{server}/{path}"), &json!({ "instances": [picture] }))?;
            predictions(&answer)?.pop().context("a prediction")
        })
        .collect::<Result<_>>()?;
    let before = answered_by(&server)?;

    // Each has other pictures, and another number of them.
    let start = Barrier::new(CALLERS);
    let asked = |caller: usize| (0..=caller % 3).map(move |more| (caller + more) % CALLERS);
    let call = |caller: usize| {
        let instances: Vec<&Value> = asked(caller).map(|picture| &pictures[picture]).collect();
        start.wait();
        post(&format!("{agent}/{path}"), &json!({ "instances": instances }))
    };
    let answers: Vec<(u16, Value)> = thread::scope(|scope| {
        let callers: Vec<ScopedJoinHandle<'_, _>> =
            (0..CALLERS).map(|caller| scope.spawn(move || call(caller))).collect();
        let join = |caller: ScopedJoinHandle<'_, Result<_>>| {
            caller.join().map_err(|_| anyhow!("a caller failed")).flatten()
        };
        callers.into_iter().map(join).collect::<Result<_>>()
    })?;
    let mut batches = BTreeSet::new();
    for (caller, (status, answer)) in answers.iter().enumerate() {
        assert_eq!((*status, &answer["message"]), (200, &json!("")), "{answer}");
        let got = predictions(answer)?;
        assert_eq!(got.len(), caller % 3 + 1);
        for (got, picture) in got.iter().zip(asked(caller)) {
            let near = got.iter().zip(&alone[picture]).all(|(got, alone)| (got - alone).abs() < 1e-4);
            assert!(near && got.len() == 10, "caller {caller}: {got:?}, alone {:?}", alone[picture]);
        }
        batches.insert(answer["batchId"].to_string());
    }
    assert!(batches.len() < CALLERS, "each request went alone: {batches:?}");
    // The server counts a request a moment after it has sent the answer.
    wait_for("the server's count", 10, || {
        let asked = answered_by(&server)? - before;
        ensure!(asked == batches.len(), "{asked} requests for {} batches", batches.len());
        Ok(())
    })
    .with_context(|| pod.logs())?;

    // What the server says to a bad request is in the answer, which the batcher gives the status 200.
    let (_, refused) = post(&format!("{agent}/{path}"), &json!({ "instances": [[1, 2, 3]] }))?;
    let message = refused["message"].as_str().context("a message")?;
    let error: Value = serde_json::from_str(message).with_context(|| message.to_owned())?;
    assert!(error["error"].as_str().is_some_and(|error| error.contains("image")), "{refused}");
    assert_eq!(refused["predictions"], Value::Null);

    // V2 passes by the batcher.
    let (status, answer) = post(&format!("{agent}/v2/models/digits/infer"), &example("example.json")?)?;
    assert_eq!((status, digit(&answer)?), (200, 7), "{answer}");
    Ok(())
}

/// What an event must say of the pod that it is from.
fn check(event: &Event, kind: &str, id: &str) {
    let expected = [
        ("ce-type", format!("org.kubeflow.serving.inference.{kind}")),
        ("ce-id", id.to_owned()),
        ("ce-specversion", "1.0".to_owned()),
        ("ce-source", "http://localhost:9081/digits".to_owned()),
        ("ce-inferenceservicename", "digits".to_owned()),
        ("ce-namespace", "alice".to_owned()),
        ("ce-component", "predictor".to_owned()),
    ];
    for (name, value) in expected {
        assert_eq!(event.field(name), value, "{name}: {:?}", event.fields);
    }
}

/// The two events of one request, which come by different connections: that of the request is first here.
fn pair(sink: &Sink) -> Result<[Event; 2]> {
    let mut events = sink.next(2)?;
    events.sort_by_key(|event| event.field("ce-type").to_owned());
    events.try_into().map_err(|_| anyhow!("two events"))
}

#[test]
fn the_logger_sends_what_was_asked_and_what_was_answered() -> Result<()> {
    let mut pod = Pod::start(&root().join("models"), &[])?;
    let sink = Sink::start(&pod.machine()?)?;
    let mut args = vec!["--log-url", &sink.url, "--log-mode", "all", "--component", "predictor"];
    args.extend(["--source-uri", "http://localhost:9081/digits", "--inference-service", "digits"]);
    args.extend(["--namespace", "alice", "--endpoint", "default", "--metadata-headers", "X-Request-Id"]);
    pod.add_agent(&[], &args)?;
    let agent = pod.agent()?;

    // V1, with an id of the caller's
    let body = example("example-v1.json")?.to_string();
    let mut answer = ureq::post(format!("{agent}/v1/models/digits:predict"))
        .header("content-type", "application/json")
        .header("ce-id", "of-the-caller")
        .header("x-request-id", "seven")
        .send(&body)?;
    let answer = answer.body_mut().read_to_vec()?;
    let [request, response] = pair(&sink).with_context(|| pod.logs())?;
    check(&request, "request", "of-the-caller");
    check(&response, "response", "of-the-caller");
    assert_eq!(request.field("ce-metadata"), r#"{"X-Request-Id":["seven"]}"#);
    assert_eq!(request.field("content-type"), "application/json");
    assert_eq!(request.body, body.as_bytes());
    assert_eq!(response.body, answer);
    assert_eq!(predictions(&serde_json::from_slice(&answer)?)?.len(), 1);

    // V2, with an id of the agent's
    let body = example("example.json")?;
    let (_, answer) = post(&format!("{agent}/v2/models/digits/infer"), &body)?;
    let [request, response] = pair(&sink)?;
    let id = request.field("ce-id").to_owned();
    assert_eq!(id.len(), 36, "{id}");
    check(&request, "request", &id);
    check(&response, "response", &id);
    assert_eq!(serde_json::from_slice::<Value>(&request.body)?, body);
    assert_eq!(serde_json::from_slice::<Value>(&response.body)?, answer);
    assert_eq!(digit(&answer)?, 7);

    binary(&agent, &sink)?;

    // Of a request that is refused there is the request alone; of a probe there is nothing.
    let (status, _) = post(&format!("{agent}/v2/models/nobody/infer"), &body)?;
    assert_eq!(status, 404);
    let refused = sink.next(1)?;
    assert_eq!(refused[0].field("ce-type"), "org.kubeflow.serving.inference.request");
    pod.probe_agent()?;
    ensure!(sink.is_silent(), "a further event");
    Ok(())
}

/// V2 with its data as bytes behind the JSON, both ways.
fn binary(agent: &str, sink: &Sink) -> Result<()> {
    let points: Vec<Vec<f32>> =
        serde_json::from_value(example("example.json")?["inputs"][0]["data"].clone())?;
    let points = points.concat();
    let parameters = json!({ "binary_data_size": 4 * points.len() });
    let input =
        json!({ "name": "image", "shape": [1, 28, 28, 1], "datatype": "FP32", "parameters": parameters });
    let head = json!({ "inputs": [input], "parameters": { "binary_data_output": true } }).to_string();
    let mut body = head.clone().into_bytes();
    body.extend(points.iter().flat_map(|point| point.to_le_bytes()));
    let mut answer = ureq::post(format!("{agent}/v2/models/digits/infer"))
        .header("content-type", "application/octet-stream")
        .header("inference-header-content-length", head.len().to_string())
        .send(&body)?;
    let length = answer.headers().get("inference-header-content-length").context("a length")?;
    let length: usize = length.to_str()?.parse()?;
    let answer = answer.body_mut().read_to_vec()?;
    let (numbers, rest) = answer[length..].as_chunks::<4>();
    let probabilities: Vec<f32> = numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    ensure!(probabilities.len() == 10 && rest.is_empty() && probabilities[7] > 0.9, "{probabilities:?}");
    let [request, response] = pair(sink)?;
    assert_eq!(request.body, body);
    assert_eq!(response.body, answer);
    Ok(())
}
