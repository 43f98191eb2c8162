//! The classification extension, as JSON and as binary.

use oip::{Datatype, bytes_elements};
use serde_json::json;

use crate::support::{Server, ServerBuilder, get, models, post};

fn server() -> Server {
    ServerBuilder::new()
        .model("m", "1", &models::identity_of(Datatype::Fp32, &["N", "4"], &["N", "4"]))
        .file("m/config.toml", "labels = [\"zero\", \"one\", \"two\"]")
        .model("fixed", "1", &models::identity_of(Datatype::Int8, &["1", "3"], &["1", "3"]))
        .model("texts", "1", &models::identity(Datatype::Bytes))
        .start()
}

const ROWS: &str =
    r#""inputs":[{"name":"x","shape":[2,4],"datatype":"FP32","data":[0.1,0.5,0.25,0.15,0,0,0,1]}]"#;

#[test]
fn the_best_classes_come_first_with_their_labels() {
    let server = server();
    let infer = format!("{}/v2/models/m/infer", server.url());
    let ask = |count: u32| {
        let body =
            format!(r#"{{{ROWS},"outputs":[{{"name":"y","parameters":{{"classification":{count}}}}}]}}"#);
        post(&infer, &[], body.as_bytes()).json()["outputs"][0].clone()
    };
    assert_eq!(
        ask(2),
        json!({ "name": "y", "datatype": "BYTES", "shape": [2, 2],
                "data": ["0.500000:1:one", "0.250000:2:two", "1.000000:3", "0.000000:0:zero"] })
    );
    assert_eq!(ask(1000)["shape"], json!([2, 4]), "as many as there are");
    let extensions = get(&format!("{}/v2", server.url())).json()["extensions"].clone();
    assert!(extensions.as_array().unwrap().contains(&json!("classification")));
}

#[test]
fn they_come_as_binary_too_and_without_rows_where_the_model_has_none() {
    let server = server();
    let body = format!(
        r#"{{{ROWS},"outputs":[{{"name":"y","parameters":{{"classification":1,"binary_data":true}}}}]}}"#
    );
    let response = post(&format!("{}/v2/models/m/infer", server.url()), &[], body.as_bytes()).response();
    let classes = &response.outputs[0].1;
    assert_eq!((classes.datatype, classes.shape.0.as_slice()), (Datatype::Bytes, &[2, 1][..]));
    assert_eq!(bytes_elements(&classes.data).collect::<Vec<_>>(), [&b"0.500000:1:one"[..], b"1.000000:3"]);
    let body = r#"{"inputs":[{"name":"x","shape":[1,3],"datatype":"INT8","data":[-5,7,0]}],
                   "outputs":[{"name":"y","parameters":{"classification":2}}]}"#;
    let answer = post(&format!("{}/v2/models/fixed/infer", server.url()), &[], body.as_bytes()).json();
    assert_eq!(answer["outputs"][0]["shape"], json!([2]));
    assert_eq!(answer["outputs"][0]["data"], json!(["7:1", "0:2"]));
}

#[test]
fn what_is_no_number_of_classes_is_400() {
    let server = server();
    for count in ["0", "-1", "1.5", "\"2\"", "true"] {
        let body =
            format!(r#"{{{ROWS},"outputs":[{{"name":"y","parameters":{{"classification":{count}}}}}]}}"#);
        let answer = post(&format!("{}/v2/models/m/infer", server.url()), &[], body.as_bytes());
        assert_eq!(answer.status, 400, "{count}");
        assert!(answer.error().contains("'y'") && answer.error().contains("above 0"), "{}", answer.error());
    }
    let body = r#"{"inputs":[{"name":"x","shape":[1,2],"datatype":"BYTES","data":["a","b"]}],
                   "outputs":[{"name":"y","parameters":{"classification":1}}]}"#;
    let answer = post(&format!("{}/v2/models/texts/infer", server.url()), &[], body.as_bytes());
    assert_eq!(answer.status, 400);
    assert!(answer.error().contains("BYTES"), "{}", answer.error());
}
