//! Builds the requests: paths, headers and bodies.

use anyhow::Context as _;
use bytes::Bytes;
use oip::{
    InferRequest,
    grpc::{TensorForm, frame::framed, messages::ModelInferRequest},
};

use crate::{
    cases::{Case, Model, Wire},
    models::INPUT,
};

/// A POST request.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) path: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Bytes,
}

impl Call {
    /// The request of a load.
    ///
    /// # Errors
    /// An error of the encoder.
    pub(crate) fn of(case: &Case) -> anyhow::Result<Self> {
        let (encoded, content_type) = match case.wire {
            Wire::Grpc => return Ok(Self::grpc(&grpc_message(case.model, case.pictures))),
            Wire::Binary => (
                oip::encode_request(&named(benches::binary_request(case.pictures)), &[true]),
                "application/octet-stream",
            ),
            Wire::Json => {
                (oip::encode_request(&named(benches::request(case.pictures)), &[]), "application/json")
            }
        };
        let encoded = encoded.context("the request cannot be written")?;
        let mut headers = vec![("content-type", content_type.to_owned())];
        headers.extend(case.accepts_gzip.then(|| ("accept-encoding", "gzip, deflate".to_owned())));
        headers.extend(encoded.json_length.map(|length| (oip::JSON_LENGTH_HEADER, length.to_string())));
        Ok(Self { path: format!("/v2/models/{}/infer", case.model.name()), headers, body: encoded.body() })
    }

    fn grpc(message: &ModelInferRequest) -> Self {
        Self {
            path: "/inference.GRPCInferenceService/ModelInfer".to_owned(),
            headers: vec![("content-type", "application/grpc".to_owned()), ("te", "trailers".to_owned())],
            body: framed(message, None).expect("a picture is no 4 GiB"),
        }
    }
}

/// A gRPC request with `pictures` pictures, as raw contents.
pub(crate) fn grpc_message(model: Model, pictures: usize) -> ModelInferRequest {
    oip::grpc::encode_request(&named(benches::request(pictures)), model.name(), "", TensorForm::Raw)
}

/// Renames the tensor to the name of the models' input.
fn named(mut request: InferRequest) -> InferRequest {
    request.inputs[0].name = INPUT.into();
    request
}
