//! Checks the server's responses against raw ONNX Runtime in every encoding, and reads the server's metrics.

use anyhow::{Context as _, ensure};
use benches::pictures;
use oip::{InferResponse, Tensor, grpc::client::GrpcInferenceServiceClient};
use tonic::transport::Endpoint;

use crate::{
    cases::{Case, Wire},
    process::Server,
    raw::Raw,
    requests::{Call, grpc_message},
};

/// Largest difference that is allowed. Other batch sizes add up the products in another order, and so round
/// differently.
const TOLERANCE: f32 = 1e-4;

/// Sends one request of a load and compares the response with that of raw ONNX Runtime.
///
/// # Errors
/// There is no response, or it is wrong.
pub(crate) fn check(server: &Server, case: &Case, call: &Call, raw: &mut Raw) -> anyhow::Result<()> {
    let response = match case.wire {
        Wire::Grpc => ask_by_grpc(server, case)?,
        Wire::Binary | Wire::Json => ask_by_http(server, call)?,
    };
    let (_, answered) = response.outputs.first().context("an answer without outputs")?;
    let expected = raw.answer(pictures(case.pictures))?;
    ensure!(answered.shape == expected.shape, "answered {}, not {}", answered.shape, expected.shape);
    let close = floats(answered).zip(floats(&expected)).all(|(left, right)| (left - right).abs() < TOLERANCE);
    ensure!(close, "the numbers are not those of raw ONNX Runtime");
    Ok(())
}

fn floats(tensor: &Tensor) -> impl Iterator<Item = f32> {
    tensor.data.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes))
}

fn ask_by_http(server: &Server, call: &Call) -> anyhow::Result<InferResponse> {
    let mut request = ureq::post(format!("http://{}{}", server.address, call.path));
    for (name, value) in &call.headers {
        request = request.header(*name, value);
    }
    let mut response = request.send(&call.body[..])?;
    let length = response.headers().get(oip::JSON_LENGTH_HEADER);
    let length = length.map(|length| anyhow::Ok(length.to_str()?.parse()?)).transpose()?;
    Ok(oip::decode_response(&response.body_mut().read_to_vec()?.into(), length)?)
}

fn ask_by_grpc(server: &Server, case: &Case) -> anyhow::Result<InferResponse> {
    let endpoint = Endpoint::from_shared(format!("http://{}", server.address))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let response = runtime.block_on(async {
        let mut client = GrpcInferenceServiceClient::new(endpoint.connect().await?);
        anyhow::Ok(client.model_infer(grpc_message(case.model, case.pictures)).await?)
    })?;
    Ok(oip::grpc::decode_response(response.into_inner())?)
}

/// The server's metrics at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Metrics(String);

impl Metrics {
    /// Reads the metrics.
    ///
    /// # Errors
    /// The server does not return its metrics.
    pub(crate) fn read(server: &Server) -> anyhow::Result<Self> {
        let text =
            ureq::get(format!("http://{}/metrics", server.address)).call()?.body_mut().read_to_string()?;
        Ok(Self(text))
    }

    /// The sum of a metric over all series whose labels contain `labels`.
    fn sum(&self, name: &str, labels: &str) -> f64 {
        let value = |line: &str| {
            let (series, value) = line.rsplit_once(' ')?;
            let (found, with) = series.split_once('{').unwrap_or((series, ""));
            (found == name && with.contains(labels)).then(|| value.parse::<f64>().ok())?
        };
        self.0.lines().filter_map(value).sum()
    }

    /// Checks that no request failed. `h2load` does not check the gRPC status.
    ///
    /// # Errors
    /// The server has counted failed requests.
    pub(crate) fn ensure_all_answered(&self) -> anyhow::Result<()> {
        let rejected = self.sum("decima_rejected_total", "");
        ensure!(rejected == 0.0, "the server has counted {rejected} requests that failed");
        Ok(())
    }

    /// Mean size in rows of the batches that `model` has run since `before`.
    pub(crate) fn mean_batch(&self, before: &Self, model: &str) -> f64 {
        let model = format!("model=\"{model}\"");
        let since = |name: &str| self.sum(name, &model) - before.sum(name, &model);
        since("decima_batch_rows_sum") / since("decima_batch_rows_count")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_summed_by_name_and_label() {
        let text = "# TYPE decima_rejected_total counter\ndecima_rejected_total{reason=\"a\"} 2\n\
                    decima_rejected_total{reason=\"b\"} 1\n\
                    decima_batch_rows_sum{model=\"mlp\",version=\"1\"} 90\n\
                    decima_batch_rows_count{model=\"mlp\",version=\"1\"} 3\n\
                    decima_batch_rows_count{model=\"small\",version=\"1\"} 7\n";
        let (before, after) = (Metrics(String::new()), Metrics(text.to_owned()));
        before.ensure_all_answered().unwrap();
        assert!(after.ensure_all_answered().unwrap_err().to_string().contains("3 requests"));
        assert_eq!(after.mean_batch(&before, "mlp").to_bits(), 30.0_f64.to_bits());
    }
}
