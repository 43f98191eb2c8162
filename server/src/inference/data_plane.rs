//! The verbs of the protocol but inference: health, metadata, statistics, the repository, corrections.

use std::{sync::Arc, time::Duration};

use futures_util::{Stream, stream};
use oip::{IndexEntry, ModelConfiguration, ModelMetadata, ModelState, ModelStatistics, ServerMetadata};
use tokio::sync::watch;

use crate::{
    error::{ErrorCode, ServeError},
    feedback::{Corrected, Correction, Feedback, Refusal},
    loading::ServedModel,
    repository::{Control, Registry},
    telemetry::{Metrics, ModelCounts},
};

/// Extensions of the protocol that the server speaks.
const EXTENSIONS: [&str; 6] = [
    "binary_tensor_data",
    "classification",
    "model_configuration",
    "parameters",
    "schedule_policy",
    "statistics",
];

/// And these where models are loaded and unloaded by request: Triton's name and `KServe`'s.
const CONTROL_EXTENSIONS: [&str; 2] = ["model_repository", "model_repository_extension"];

/// The one implementation of every verb of the protocol.
#[derive(Debug)]
pub struct DataPlane {
    registry: Arc<Registry>,
    pub(super) metrics: Metrics,
    pub(super) request_timeout: Duration,
    draining: watch::Sender<bool>,
    /// `None` where models are not loaded and unloaded by request.
    control: Option<Control>,
    /// `None` where corrections are not taken.
    feedback: Option<Feedback>,
}

impl DataPlane {
    /// A data plane over the models of `registry`; a request may take `request_timeout` in all.
    pub fn new(registry: Arc<Registry>, metrics: Metrics, request_timeout: Duration) -> Self {
        let draining = watch::Sender::new(false);
        Self { registry, metrics, request_timeout, draining, control: None, feedback: None }
    }

    /// With `control`, models can be loaded and unloaded by request.
    #[must_use]
    pub fn with_control(mut self, control: Option<Control>) -> Self {
        self.control = control;
        self
    }

    /// With `feedback`, corrections of what models answer are stored.
    #[must_use]
    pub fn with_feedback(mut self, feedback: Option<Feedback>) -> Self {
        self.feedback = feedback;
        self
    }

    /// Whether every model of the start has been loaded and the server is not about to stop.
    pub fn is_ready(&self) -> bool {
        !self.is_draining() && self.registry.is_ready()
    }

    /// From now on the server is not ready: its orchestrator should send new requests elsewhere. Those
    /// that come nevertheless are answered until the sockets close.
    pub fn start_draining(&self) {
        self.draining.send_replace(true);
    }

    /// Whether the server is about to stop.
    pub fn is_draining(&self) -> bool {
        *self.draining.borrow()
    }

    /// Waits until the server is about to stop.
    pub async fn draining(&self) {
        let mut draining = self.draining.subscribe();
        // It fails only where the sender is gone, and `self` has it.
        let _draining = draining.wait_for(|&draining| draining).await;
    }

    /// Whether the server is ready: now, and whenever that changes. Ends when it is about to stop.
    pub fn readiness(self: Arc<Self>) -> impl Stream<Item = bool> + Send {
        let (models, draining) = (self.registry.changes(), self.draining.subscribe());
        stream::unfold((self, models, draining, None), |(plane, mut models, mut draining, told)| async move {
            loop {
                let ready = plane.is_ready();
                if told != Some(ready) {
                    return Some((ready, (plane, models, draining, Some(ready))));
                }
                if plane.is_draining() {
                    return None;
                }
                tokio::select! {
                    changed = models.changed() => changed.ok()?,
                    changed = draining.changed() => changed.ok()?,
                }
            }
        })
    }

    /// Name, version and extensions of the server.
    pub fn server_metadata(&self) -> ServerMetadata {
        let control: &[&str] = if self.control.is_some() { &CONTROL_EXTENSIONS } else { &[] };
        ServerMetadata {
            name: "decima".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            extensions: EXTENSIONS.iter().chain(control).map(|&name| name.to_owned()).collect(),
        }
    }

    /// Names of all models, ready or not.
    pub fn model_names(&self) -> Vec<String> {
        self.registry.names()
    }

    /// A model that is ready.
    ///
    /// # Errors
    /// [`NotFound`](crate::error::ErrorCode::NotFound) or [`Unavailable`](crate::error::ErrorCode::Unavailable).
    pub fn model(&self, name: &str, version: Option<&str>) -> Result<Arc<ServedModel>, ServeError> {
        self.registry.get(name, version)
    }

    /// Inputs, outputs and versions of a model.
    ///
    /// # Errors
    /// As [`DataPlane::model`].
    pub fn model_metadata(&self, name: &str, version: Option<&str>) -> Result<ModelMetadata, ServeError> {
        let model = self.model(name, version)?;
        Ok(model.metadata(self.registry.ready_versions(name)))
    }

    /// The configuration of a model, in Triton's terms.
    ///
    /// # Errors
    /// As [`DataPlane::model`].
    pub fn model_configuration(
        &self,
        name: &str,
        version: Option<&str>,
    ) -> Result<ModelConfiguration, ServeError> {
        Ok(self.model(name, version)?.configuration.clone())
    }

    /// What versions that are ready have done: the one asked for, all of a model, or all of every model.
    ///
    /// # Errors
    /// As [`DataPlane::model`], where there is a name.
    pub fn model_statistics(
        &self,
        name: Option<&str>,
        version: Option<&str>,
    ) -> Result<Vec<ModelStatistics>, ServeError> {
        let report = |model: Arc<ServedModel>| model.metrics.statistics.report(&model.name, &model.version);
        Ok(self.registry.ready(name, version)?.into_iter().map(report).collect())
    }

    /// Every version of every model that the server knows, with its state; or those that are ready.
    pub fn repository_index(&self, only_ready: bool) -> Vec<IndexEntry> {
        let mut index = self.registry.index();
        index.retain(|entry| !only_ready || entry.state == ModelState::Ready);
        index
    }

    /// Loads what the repositories hold of a model: new versions, changed files, what was unloaded or
    /// failed before. What answers goes on answering until that is ready. `parameters` are the names of
    /// those that came with the request.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::error::ErrorCode::InvalidArgument) for a parameter that would override the
    /// repository, [`NotFound`](crate::error::ErrorCode::NotFound) where no repository has the model,
    /// [`Unavailable`](crate::error::ErrorCode::Unavailable) while the server starts or stops or the store
    /// does not answer, [`Internal`](crate::error::ErrorCode::Internal) where the model cannot be loaded.
    pub async fn load_model(&self, name: &str, parameters: &[&str]) -> Result<(), ServeError> {
        let overrides = |parameter: &&&str| **parameter == "config" || parameter.starts_with("file:");
        if let Some(parameter) = parameters.iter().find(overrides) {
            let shown: String = parameter.chars().take(64).collect();
            return Err(ServeError::invalid(format!(
                "parameter '{shown}' is not supported: models are loaded as the repository has them"
            )));
        }
        self.control()?.load(name).await
    }

    /// Takes every version of a model out of service until it is loaded again. Requests that it has taken up
    /// are answered.
    ///
    /// # Errors
    /// [`NotFound`](crate::error::ErrorCode::NotFound) for a model that there is not,
    /// [`Unavailable`](crate::error::ErrorCode::Unavailable) while the server starts or stops.
    pub async fn unload_model(&self, name: &str) -> Result<(), ServeError> {
        self.control()?.unload(name).await
    }

    fn control(&self) -> Result<&Control, ServeError> {
        let message = match &self.control {
            Some(control) if self.registry.is_started() => return Ok(control),
            Some(_) => "the server is still loading its models",
            None => "models are not loaded or unloaded by request here (--model-control none)",
        };
        Err(ServeError::new(ErrorCode::Unavailable, message))
    }

    /// Whether corrections are taken.
    ///
    /// # Errors
    /// [`NotFound`](crate::error::ErrorCode::NotFound) where they are not.
    pub fn takes_feedback(&self) -> Result<&Feedback, ServeError> {
        let off = || ServeError::new(ErrorCode::NotFound, "this server stores no corrections (--feedback)");
        self.feedback.as_ref().ok_or_else(off)
    }

    /// Stores a correction of what a model answered, and returns the name under which it lies.
    ///
    /// # Errors
    /// As [`DataPlane::model`] and [`Feedback::store`], and where they are not taken.
    pub async fn store_feedback(&self, correction: Correction) -> Result<String, Refusal> {
        let feedback = self.takes_feedback()?;
        let model = self.model(&correction.model, correction.version.as_deref());
        let model = model.inspect_err(|error| self.refused_feedback(error.code))?;
        let corrected = Corrected { model: &model.name, version: &model.version, labels: &model.labels };
        let stored = feedback.store(corrected, correction).await;
        self.metrics.correction(&model.name, stored.as_ref().err().map(|refusal| refusal.error.code));
        stored
    }

    /// Counts a correction that was refused before its model was looked for.
    pub fn refused_feedback(&self, code: ErrorCode) {
        self.metrics.correction("", Some(code));
    }

    /// All metrics as Prometheus' text.
    ///
    /// # Errors
    /// [`Internal`](crate::error::ErrorCode::Internal) where the encoder fails.
    pub fn render_metrics(&self) -> Result<String, ServeError> {
        let counts = |model: Arc<ServedModel>| ModelCounts {
            statistics: model.metrics.statistics.report(&model.name, &model.version),
            pending: model.pending(),
        };
        let models = self.registry.ready(None, None).unwrap_or_default();
        for model in &models {
            model.metrics.queue_rows.set(model.pending_rows() as i64);
            model.metrics.answers(model.stuck().is_none());
        }
        self.metrics
            .render(|| models.into_iter().map(counts).collect())
            .map_err(|error| ServeError::internal(error.to_string()))
    }
}
