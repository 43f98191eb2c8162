//! A plain HTTP client, and requests in the protocol's two forms.

use std::time::Duration;

use bytes::Bytes;
use oip::{InferRequest, InferResponse, InputTensor, Parameter, Parameters, Tensor};
use serde_json::Value;
use ureq::{Agent, http::HeaderMap};

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| panic!("not JSON: {} {:?}", self.status, String::from_utf8_lossy(&self.body)))
    }

    /// The text of an error, which every answer other than success has.
    pub(crate) fn error(&self) -> String {
        assert!(self.status >= 400, "{self:?}");
        assert_eq!(self.headers["content-type"], "application/json", "{self:?}");
        self.json()["error"].as_str().expect("an error in the protocol's shape").to_owned()
    }

    /// The body as the answer to a request for inference.
    pub(crate) fn response(&self) -> InferResponse {
        assert_eq!(self.status, 200, "{}", String::from_utf8_lossy(&self.body));
        let length =
            self.headers.get(oip::JSON_LENGTH_HEADER).map(|value| value.to_str().unwrap().parse().unwrap());
        oip::decode_response(&self.body, length).unwrap()
    }
}

fn agent() -> Agent {
    let config =
        Agent::config_builder().http_status_as_error(false).timeout_global(Some(Duration::from_mins(1)));
    config.build().into()
}

fn answer(response: ureq::http::Response<ureq::Body>) -> Answer {
    let (parts, mut body) = response.into_parts();
    let body = body.with_config().limit(1 << 30).read_to_vec().unwrap().into();
    Answer { status: parts.status.as_u16(), headers: parts.headers, body }
}

/// GET.
pub(crate) fn get(url: &str) -> Answer {
    answer(agent().get(url).call().unwrap())
}

/// GET with these headers.
pub(crate) fn get_with(url: &str, headers: &[(&str, &str)]) -> Answer {
    let request =
        headers.iter().fold(agent().get(url), |request, (name, value)| request.header(*name, *value));
    answer(request.call().unwrap())
}

/// POST with these headers.
pub(crate) fn post(url: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let request =
        headers.iter().fold(agent().post(url), |request, (name, value)| request.header(*name, *value));
    answer(request.send(body).unwrap())
}

fn request(inputs: &[(&str, Tensor)], binary: bool) -> InferRequest {
    let named = |(name, tensor): &(&str, Tensor)| InputTensor {
        name: (*name).into(),
        parameters: Parameters::default(),
        tensor: tensor.clone(),
    };
    let mut request = InferRequest { inputs: inputs.iter().map(named).collect(), ..InferRequest::default() };
    if binary {
        request.parameters.0.push(("binary_data_output".into(), Parameter::Bool(true)));
    }
    request
}

fn send(url: &str, model: &str, inputs: &[(&str, Tensor)], binary: bool) -> Answer {
    let request = request(inputs, binary);
    let encoded = oip::encode_request(&request, &vec![binary; inputs.len()]).unwrap();
    let length = encoded.json_length.map(|length| length.to_string());
    let headers: Vec<(&str, &str)> =
        length.iter().map(|length| (oip::JSON_LENGTH_HEADER, length.as_str())).collect();
    post(&format!("{url}/v2/models/{model}/infer"), &headers, &encoded.body())
}

/// A request in JSON, to be answered in JSON.
pub(crate) fn infer(url: &str, model: &str, inputs: &[(&str, Tensor)]) -> Answer {
    send(url, model, inputs, false)
}

/// A request in the binary form, to be answered in it.
pub(crate) fn infer_binary(url: &str, model: &str, inputs: &[(&str, Tensor)]) -> Answer {
    send(url, model, inputs, true)
}
