//! A model that answers: one version, loaded and warm.

use std::sync::Arc;

use compact_str::CompactString;
use oip::{InferRequest, InferResponse, ModelConfiguration, ModelMetadata, TensorMetadata};
use smallvec::SmallVec;
use tokio::time::Instant;

use crate::{
    batcher::{Answer, Batcher},
    error::ServeError,
    model::TensorSpec,
    request::{
        classify::classify,
        preprocess::Pictures,
        schedule::Schedule,
        validate::{Rules, Selected, ValidRequest, select_outputs, validate},
    },
    telemetry::{ModelMetrics, Stage, Timed},
};

/// What `platform` says in the metadata: Triton's word for ONNX on ONNX Runtime.
pub(super) const PLATFORM: &str = "onnxruntime_onnx";

/// What a request wants of its answer.
struct Wanted {
    id: Option<CompactString>,
    outputs: SmallVec<[Selected; 2]>,
}

/// One version of a model, loaded and warm.
#[derive(Debug)]
pub struct ServedModel {
    /// Its name.
    pub name: CompactString,
    /// Its version.
    pub version: CompactString,
    /// How its requests are checked.
    pub rules: Rules,
    /// Names of its classes, by index.
    pub labels: Vec<String>,
    /// What `null` means as an element in JSON.
    pub nulls: oip::Nulls,
    /// How its input is made of pictures, where it takes them.
    pub pictures: Option<Pictures>,
    /// What the configuration extension says of it.
    pub configuration: ModelConfiguration,
    /// Its metrics.
    pub metrics: Arc<ModelMetrics>,
    pub(super) batcher: Batcher,
}

impl ServedModel {
    /// Answers a request: checks it, runs it, and picks the outputs that it asks for. `reading` ends when the request is
    /// as the model takes it.
    ///
    /// # Errors
    /// The request does not fit the model, the queue is full, `deadline` passes or ONNX Runtime fails.
    pub async fn infer(
        &self,
        request: InferRequest,
        deadline: Instant,
        reading: Timed,
    ) -> Result<InferResponse, ServeError> {
        if let Some(pictures) = self.pictures.as_ref().filter(|pictures| pictures.are_in(&request)) {
            // In a box of its own: there is no room for it in the future of every request.
            return Box::pin(self.infer_pictures(pictures, request, deadline, reading)).await;
        }
        drop(reading);
        let _timed = self.metrics.time(Stage::Predict);
        let (wanted, valid) = self.check(request)?;
        let answer = self.batcher.submit(valid, deadline).await?;
        self.response(wanted, answer)
    }

    async fn infer_pictures(
        &self,
        pictures: &Pictures,
        mut request: InferRequest,
        deadline: Instant,
        reading: Timed,
    ) -> Result<InferResponse, ServeError> {
        let wishes = pictures.wishes(&mut request)?;
        // What is wrong beside the pictures is said before they are decoded.
        select_outputs(&request.outputs, &self.rules.signature)?;
        let own = Schedule::of(&request.parameters)?.timeout;
        let own = own.and_then(|timeout| Instant::now().checked_add(timeout));
        let deadline = own.map_or(deadline, |own| own.min(deadline));
        let added = pictures.prepare(&mut request, &wishes, deadline).await?;
        drop(reading);
        let _timed = self.metrics.time(Stage::Predict);
        let (wanted, valid) = self.check(request)?;
        let answer = self.batcher.submit(valid, deadline).await?;
        let mut response = self.response(wanted, answer)?;
        wishes.add(&mut response.outputs, added, pictures.input());
        Ok(response)
    }

    fn check(&self, mut request: InferRequest) -> Result<(Wanted, ValidRequest), ServeError> {
        let outputs = select_outputs(&request.outputs, &self.rules.signature)?;
        let id = request.id.take();
        Ok((Wanted { id, outputs }, validate(request, &self.rules)?))
    }

    fn response(&self, wanted: Wanted, answer: Answer) -> Result<InferResponse, ServeError> {
        let mut answer: Vec<_> = answer.into_iter().map(Some).collect();
        let outputs = wanted
            .outputs
            .into_iter()
            .map(|Selected { index, classes }| {
                let tensor = answer.get_mut(index).and_then(Option::take);
                let missing = || ServeError::internal(format!("the model gave no output {index}"));
                let mut tensor = tensor.ok_or_else(missing)?;
                if let Some(count) = classes {
                    let has_rows = self.rules.output_rows(index) == Some(0);
                    tensor = classify(&tensor, has_rows, count, &self.labels);
                }
                Ok((self.rules.signature.outputs[index].name.clone(), tensor))
            })
            .collect::<Result<_, ServeError>>()?;
        let (model_name, model_version) = (self.name.clone(), self.version.clone());
        Ok(InferResponse { model_name, model_version, id: wanted.id, outputs })
    }

    /// How many of its runs do not stop, where they are too many to go on.
    pub fn stuck(&self) -> Option<usize> {
        self.batcher.stuck()
    }

    /// What the index says of it beside that it is ready: why its requests are not joined; empty where they are.
    pub fn remark(&self) -> String {
        let batching = &self.rules.batching;
        if batching.axes().is_some() { String::new() } else { format!("batching {batching}") }
    }

    /// Requests that wait for it now.
    pub fn pending(&self) -> usize {
        self.batcher.waiting()
    }

    /// Their rows.
    pub fn pending_rows(&self) -> usize {
        self.batcher.queue_rows()
    }

    /// The model's metadata; `versions` are those that are ready.
    pub fn metadata(&self, versions: Vec<String>) -> ModelMetadata {
        let side = |specs: &[TensorSpec]| {
            let tensor = |spec: &TensorSpec| TensorMetadata {
                name: spec.name.to_string(),
                datatype: spec.datatype,
                shape: spec.shape(),
                optional: spec.optional,
            };
            specs.iter().map(tensor).collect()
        };
        ModelMetadata {
            name: self.name.to_string(),
            versions,
            platform: PLATFORM.to_owned(),
            inputs: side(&self.rules.signature.inputs),
            outputs: side(&self.rules.signature.outputs),
        }
    }
}
