//! The operations of the protocol except inference: health, metadata, statistics, the model repository, corrections.

use std::{sync::Arc, time::Duration};

use futures_util::{Stream, stream};
use oip::{IndexEntry, ModelConfiguration, ModelMetadata, ModelState, ModelStatistics, ServerMetadata};
use tokio::sync::watch;

use crate::{
    error::{ErrorCode, ServeError},
    feedback::{Corrected, Correction, Feedback, Refusal},
    loading::ServedModel,
    repository::{Control, Registry},
    request::preprocess::Pictures,
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

/// Further extensions with `--model-control explicit`: Triton's name for the same extension, and `KServe`'s.
const CONTROL_EXTENSIONS: [&str; 2] = ["model_repository", "model_repository_extension"];

/// Implements every operation of the protocol, for all transports.
#[derive(Debug)]
pub struct DataPlane {
    registry: Arc<Registry>,
    pub(super) metrics: Metrics,
    pub(super) request_timeout: Duration,
    draining: watch::Sender<bool>,
    /// `None` if clients may not load and unload models.
    control: Option<Control>,
    /// `None` if corrections are not accepted.
    feedback: Option<Feedback>,
}

impl DataPlane {
    /// Makes a data plane for the models of `registry`. A request may take `request_timeout` in all.
    pub fn new(registry: Arc<Registry>, metrics: Metrics, request_timeout: Duration) -> Self {
        let draining = watch::Sender::new(false);
        Self { registry, metrics, request_timeout, draining, control: None, feedback: None }
    }

    /// With `control`, clients can load and unload models.
    #[must_use]
    pub fn with_control(mut self, control: Option<Control>) -> Self {
        self.control = control;
        self
    }

    /// With `feedback`, clients can send corrections.
    #[must_use]
    pub fn with_feedback(mut self, feedback: Option<Feedback>) -> Self {
        self.feedback = feedback;
        self
    }

    /// Returns whether every model of the start is loaded and the server is not draining.
    pub fn is_ready(&self) -> bool {
        !self.is_draining() && self.registry.is_ready()
    }

    /// Makes the server report that it is not ready, so that load balancers send new requests elsewhere. Requests that
    /// still arrive are served until the sockets close.
    pub fn start_draining(&self) {
        self.draining.send_replace(true);
    }

    /// Returns whether the server is draining.
    pub fn is_draining(&self) -> bool {
        *self.draining.borrow()
    }

    /// Waits until the server is draining.
    pub async fn draining(&self) {
        let mut draining = self.draining.subscribe();
        // Waiting fails only without a sender, and `self` owns the sender.
        let _draining = draining.wait_for(|&draining| draining).await;
    }

    /// Streams whether the server is ready: the current state, and then each change. The stream ends when the server is
    /// draining.
    pub fn readiness(self: Arc<Self>) -> impl Stream<Item = bool> + Send {
        let (models, draining) = (self.registry.changes(), self.draining.subscribe());
        stream::unfold((self, models, draining, None), |(plane, mut models, mut draining, last)| async move {
            loop {
                let ready = plane.is_ready();
                if last != Some(ready) {
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

    /// Returns the name, version and extensions of the server.
    pub fn server_metadata(&self) -> ServerMetadata {
        let control: &[&str] = if self.control.is_some() { &CONTROL_EXTENSIONS } else { &[] };
        ServerMetadata {
            name: "decima".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            extensions: EXTENSIONS.iter().chain(control).map(|&name| name.to_owned()).collect(),
        }
    }

    /// Returns the names of all models, ready or not.
    pub fn model_names(&self) -> Vec<String> {
        self.registry.names()
    }

    /// Returns a model that is ready.
    ///
    /// # Errors
    /// [`NotFound`](crate::error::ErrorCode::NotFound) or [`Unavailable`](crate::error::ErrorCode::Unavailable).
    pub fn model(&self, name: &str, version: Option<&str>) -> Result<Arc<ServedModel>, ServeError> {
        self.registry.get(name, version)
    }

    /// Returns the inputs, outputs and versions of a model.
    ///
    /// # Errors
    /// As [`DataPlane::model`].
    pub fn model_metadata(&self, name: &str, version: Option<&str>) -> Result<ModelMetadata, ServeError> {
        let model = self.model(name, version)?;
        Ok(model.metadata(self.registry.ready_versions(name)))
    }

    /// Returns the configuration of a model, in Triton's terms.
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

    /// Returns the statistics of loaded versions: of one version, of all versions of a model, or of all models.
    ///
    /// # Errors
    /// As [`DataPlane::model`], if `name` is given.
    pub fn model_statistics(
        &self,
        name: Option<&str>,
        version: Option<&str>,
    ) -> Result<Vec<ModelStatistics>, ServeError> {
        let report = |model: Arc<ServedModel>| model.metrics.statistics.report(&model.name, &model.version);
        Ok(self.registry.ready(name, version)?.into_iter().map(report).collect())
    }

    /// Returns every known version of every model, with its state. With `only_ready`, returns the ready ones only.
    pub fn repository_index(&self, only_ready: bool) -> Vec<IndexEntry> {
        let mut index = self.registry.index();
        index.retain(|entry| !only_ready || entry.state == ModelState::Ready);
        index
    }

    /// Loads a model from the repositories: new versions, changed files, and versions that were unloaded or failed
    /// before. Versions that are replaced serve requests until the new ones are ready. `parameters` are the names of
    /// the request's parameters.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::error::ErrorCode::InvalidArgument) for a parameter that would override the
    /// repository; [`NotFound`](crate::error::ErrorCode::NotFound) if no repository has the model;
    /// [`Unavailable`](crate::error::ErrorCode::Unavailable) while the server starts or stops, or if the store does not
    /// respond; [`Internal`](crate::error::ErrorCode::Internal) if the model cannot be loaded.
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

    /// Takes every version of a model out of service until it is loaded again. Requests that it has accepted are
    /// finished.
    ///
    /// # Errors
    /// [`NotFound`](crate::error::ErrorCode::NotFound) for an unknown model;
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

    /// Returns what stores corrections.
    ///
    /// # Errors
    /// [`NotFound`](crate::error::ErrorCode::NotFound) if this server stores none.
    pub fn feedback(&self) -> Result<&Feedback, ServeError> {
        let off = || ServeError::new(ErrorCode::NotFound, "this server stores no corrections (--feedback)");
        self.feedback.as_ref().ok_or_else(off)
    }

    /// Stores a correction for a model, and returns its name in the store.
    ///
    /// # Errors
    /// As [`DataPlane::feedback`], [`DataPlane::model`] and [`Feedback::store`].
    pub async fn store_feedback(&self, correction: Correction) -> Result<String, Refusal> {
        let feedback = self.feedback()?;
        let model = self.model(&correction.model, correction.version.as_deref());
        let model = model.inspect_err(|error| self.count_refused_feedback(error.code))?;
        let corrected = Corrected {
            model: &model.name,
            version: &model.version,
            labels: &model.labels,
            reads_digits: model.pictures.as_ref().is_some_and(Pictures::are_digits),
        };
        let stored = feedback.store(corrected, correction).await;
        self.metrics.correction(&model.name, stored.as_ref().err().map(|refusal| refusal.error.code));
        stored
    }

    /// Counts a correction that was refused before its model was known.
    pub fn count_refused_feedback(&self, code: ErrorCode) {
        self.metrics.correction("", Some(code));
    }

    /// Renders all metrics in Prometheus' text format.
    ///
    /// # Errors
    /// [`Internal`](crate::error::ErrorCode::Internal) if the encoder fails.
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
