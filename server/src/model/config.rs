//! `config.toml`: what an operator may say about one model beside what its ONNX file says.

use std::path::Path;

use serde::{Deserialize, Deserializer};

use super::ImageConfig;
use crate::config::BatchingMode;

/// Most instances, threads or lanes that a model may ask for: more than a machine has use for, and few enough that a
/// mistyped number does not exhaust its memory.
const MAX_INSTANCES: usize = 256;

/// Configuration of one model. Every field may be left out.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// Most rows of a request and of a batch. 0: requests are not joined. Above 0 it also asserts that rows are independent.
    pub max_batch_size: Option<usize>,
    /// Which versions to serve.
    #[serde(default)]
    pub version_policy: VersionPolicy,
    /// Class names of the classification extension, by index.
    #[serde(default)]
    pub labels: Vec<String>,
    /// What `null` means as an element of a floating point tensor in JSON.
    #[serde(default)]
    pub nulls: Nulls,
    /// SHA-256 of the model file in hexadecimal; anything else is refused.
    pub sha256: Option<String>,
    /// Name of the ONNX file in each version's folder; `None`: `model.onnx`, or the only `.onnx` file.
    pub default_model_filename: Option<String>,
    /// How batches are formed.
    #[serde(default)]
    pub dynamic_batching: DynamicBatching,
    /// How many ONNX Runtime sessions run at once.
    #[serde(default)]
    pub instance_group: InstanceGroup,
    /// Which input takes encoded pictures, and what is made of them.
    pub image: Option<ImageConfig>,
    /// What is counted beside requests.
    #[serde(default)]
    pub metrics: MetricsConfig,
}

/// What is counted beside requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricsConfig {
    /// Whether the classes that win are counted, and their scores. By default they are, where the model has labels.
    pub predictions: Option<bool>,
}

/// What `null` means as an element of a floating point tensor in JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Nulls {
    /// The request is refused.
    #[default]
    Refuse,
    /// NaN: a value that is missing, for models that take such.
    Nan,
}

impl From<Nulls> for oip::Nulls {
    fn from(nulls: Nulls) -> Self {
        match nulls {
            Nulls::Refuse => Self::Refuse,
            Nulls::Nan => Self::Nan,
        }
    }
}

/// How batches are formed. Every field that is left out is chosen at load.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DynamicBatching {
    /// Whether the adaptive policies act for this model. `--batching static` outranks `adaptive` here, so that one
    /// flag switches the policies off for every model.
    pub mode: Option<BatchingMode>,
    /// Most rows of a batch of several requests. A request may have more, and then runs alone.
    pub joined_rows: Option<usize>,
    /// Whether a batch waits for the clients of the batch before it.
    pub returning_clients: Option<bool>,
    /// How long a request may wait for others to join it, in microseconds. 0 adds no delay: what waits
    /// when an instance becomes free goes at once.
    #[serde(default)]
    pub max_queue_delay_microseconds: u64,
    /// While a batch waits for others: sizes at which it goes at once, in rows.
    #[serde(default)]
    pub preferred_batch_size: Vec<usize>,
}

/// ONNX Runtime sessions of one model. Every field that is left out is chosen at load.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstanceGroup {
    /// Sessions that run at once.
    pub count: Option<usize>,
    /// Threads of one session's run.
    pub intra_op_threads: Option<usize>,
    /// Threads of one session more, for a client that is alone. 0: there is none.
    pub idle_session_threads: Option<usize>,
    /// Queues that the sessions are shared out among. With 1, all workers share all sessions.
    pub lanes: Option<usize>,
    /// On a GPU: numbers of rows that have a session of their own in each instance. Empty: one session runs all.
    pub session_rows: Option<Vec<usize>>,
}

/// Which versions of a model to serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VersionPolicy {
    /// The newest so many.
    Latest(usize),
    /// Every one.
    All,
    /// These.
    Specific(Vec<String>),
}

impl Default for VersionPolicy {
    fn default() -> Self {
        Self::Latest(1)
    }
}

impl<'de> Deserialize<'de> for VersionPolicy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "expected \"all\", { latest = N } or { specific = [\"V\", …] }")]
        enum Written {
            Word(String),
            Latest { latest: usize },
            Specific { specific: Vec<String> },
        }
        let refuse = |text: &str| Err(serde::de::Error::custom(text));
        match Written::deserialize(deserializer)? {
            Written::Word(word) if word == "all" => Ok(Self::All),
            Written::Word(_) => refuse("expected \"all\", { latest = N } or { specific = [\"V\", …] }"),
            Written::Latest { latest: 0 } => refuse("latest must be at least 1"),
            Written::Latest { latest } => Ok(Self::Latest(latest)),
            Written::Specific { specific } if specific.is_empty() => refuse("specific must name a version"),
            Written::Specific { specific } => Ok(Self::Specific(specific)),
        }
    }
}

/// What is wrong with a `config.toml`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

impl ModelConfig {
    /// Reads the text of a `config.toml`.
    ///
    /// # Errors
    /// Says the line and what was expected; unknown keys are refused.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let config: Self =
            toml::from_str(text).map_err(|error| ConfigError(place_and_message(&error, text)))?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), ConfigError> {
        let refuse = |text: String| Err(ConfigError(text));
        if let Some(image) = &self.image {
            image.check().map_err(ConfigError)?;
        }
        if let Some(sha256) = &self.sha256
            && (sha256.len() != 64 || !sha256.bytes().all(|byte| byte.is_ascii_hexdigit()))
        {
            return refuse(format!("sha256 must be 64 hexadecimal digits, not '{sha256}'"));
        }
        if let Some(name) = &self.default_model_filename
            && (Path::new(name).extension().is_none_or(|extension| extension != "onnx") || name.contains('/'))
        {
            return refuse(format!(
                "default_model_filename must be the name of an .onnx file in the version's folder, not '{name}'"
            ));
        }
        self.instance_group.check().map_err(ConfigError)?;
        if self.dynamic_batching.max_queue_delay_microseconds > 10_000_000 {
            return refuse("dynamic_batching.max_queue_delay_microseconds must be at most 10000000".into());
        }
        let most = self.max_batch_size.unwrap_or(usize::MAX);
        let DynamicBatching { joined_rows, preferred_batch_size, .. } = &self.dynamic_batching;
        let sizes = joined_rows.iter().map(|size| ("joined_rows", size));
        for (name, size) in
            sizes.chain(preferred_batch_size.iter().map(|size| ("preferred_batch_size", size)))
        {
            if !(1..=most).contains(size) {
                return refuse(format!(
                    "dynamic_batching.{name} {size} must be between 1 and max_batch_size"
                ));
            }
        }
        if let Some(policy) = self.contradicts_static() {
            return refuse(format!("dynamic_batching.mode is \"static\", which does without {policy}"));
        }
        Ok(())
    }

    /// Returns the key that asks for an adaptive policy, if there is one and the same file has `mode = "static"`.
    fn contradicts_static(&self) -> Option<&'static str> {
        let (group, batching) = (&self.instance_group, &self.dynamic_batching);
        let asked = [
            (
                "instance_group.idle_session_threads",
                group.idle_session_threads.is_some_and(|threads| threads > 0),
            ),
            ("instance_group.lanes above 1", group.lanes.is_some_and(|lanes| lanes > 1)),
            ("dynamic_batching.returning_clients", batching.returning_clients == Some(true)),
        ];
        let asked = asked.into_iter().find_map(|(key, is_asked)| is_asked.then_some(key));
        asked.filter(|_| batching.mode == Some(BatchingMode::Static))
    }
}

impl InstanceGroup {
    fn check(&self) -> Result<(), String> {
        for (name, value, least) in [
            ("count", self.count, 1),
            ("intra_op_threads", self.intra_op_threads, 1),
            ("idle_session_threads", self.idle_session_threads, 0),
            ("lanes", self.lanes, 1),
        ] {
            if value.is_some_and(|value| !(least..=MAX_INSTANCES).contains(&value)) {
                return Err(format!("instance_group.{name} must be between {least} and {MAX_INSTANCES}"));
            }
        }
        let rows = self.session_rows.iter().flatten();
        if rows.clone().count() > MAX_INSTANCES || rows.clone().any(|&rows| rows == 0) {
            return Err(format!(
                "instance_group.session_rows must be at most {MAX_INSTANCES} numbers, each at least 1"
            ));
        }
        Ok(())
    }
}

/// Describes an error by its line, the key in that line, and its message. Clients may see it, so it does not quote the
/// rest of the line.
fn place_and_message(error: &toml::de::Error, text: &str) -> String {
    let message = error.message().lines().map(str::trim).collect::<Vec<_>>().join(" ");
    let Some(before) = error.span().and_then(|span| text.get(..span.start)) else { return message };
    let number = before.matches('\n').count();
    let line = text.lines().nth(number).unwrap_or_default();
    let is_key = |key: &&str| {
        !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
    };
    let key = line.split_once('=').map(|(key, _)| key.trim()).filter(is_key);
    let key = key.map(|key| format!(" ({key})")).unwrap_or_default();
    format!("line {}{key}: {message}", number + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_of_the_documentation_is_read() {
        let config = ModelConfig::parse(
            r#"
            max_batch_size = 64
            version_policy = { specific = ["3", "7"] }
            labels = ["zero", "one"]
            nulls = "nan"
            sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
            default_model_filename = "encoder.onnx"
            [dynamic_batching]
            mode = "adaptive"
            joined_rows = 32
            returning_clients = true
            max_queue_delay_microseconds = 100
            preferred_batch_size = [16, 32]
            [instance_group]
            count = 2
            intra_op_threads = 1
            idle_session_threads = 0
            lanes = 2
            session_rows = [1, 16]
            [image]
            input = "x"
            preprocess = "rgb"
            size = [224, 224]
            resize = 256
            mean = [0.485, 0.456, 0.406]
            deviation = [0.229, 0.224, 0.225]
            [metrics]
            predictions = false
            "#,
        )
        .unwrap();
        assert_eq!(config.max_batch_size, Some(64));
        assert_eq!(config.version_policy, VersionPolicy::Specific(vec!["3".into(), "7".into()]));
        assert_eq!(config.default_model_filename.as_deref(), Some("encoder.onnx"));
        let DynamicBatching { mode, joined_rows, returning_clients, preferred_batch_size, .. } =
            &config.dynamic_batching;
        assert_eq!(preferred_batch_size, &[16, 32]);
        assert_eq!(
            (*mode, *joined_rows, *returning_clients),
            (Some(BatchingMode::Adaptive), Some(32), Some(true))
        );
        let expected = InstanceGroup {
            count: Some(2),
            intra_op_threads: Some(1),
            idle_session_threads: Some(0),
            lanes: Some(2),
            session_rows: Some(vec![1, 16]),
        };
        assert_eq!(config.instance_group, expected);
        assert_eq!(config.nulls, Nulls::Nan);
        assert_eq!(config.metrics.predictions, Some(false));
        let image = config.image.unwrap();
        assert_eq!(
            (image.input.as_deref(), image.size, image.resize),
            (Some("x"), Some([224, 224]), Some(256))
        );
        let latest = ModelConfig::parse("version_policy = { latest = 2 }").unwrap();
        assert_eq!(latest.version_policy, VersionPolicy::Latest(2));
        let all = ModelConfig::parse("version_policy = \"all\"").unwrap();
        assert_eq!(all.version_policy, VersionPolicy::All);
        assert_eq!(ModelConfig::parse("").unwrap(), ModelConfig::default());
    }

    #[test]
    fn mistakes_are_named() {
        for (text, named) in [
            ("max_batchsize = 4", "max_batchsize"),
            ("max_batch_size = -1", "max_batch_size"),
            ("version_policy = \"some\"", "all"),
            ("version_policy = { latest = 0 }", "latest"),
            ("sha256 = \"abc\"", "sha256"),
            ("nulls = \"zero\"", "`refuse` or `nan`"),
            ("[metrics]\nprediction = false", "prediction"),
            ("default_model_filename = \"encoder.pt\"", "default_model_filename"),
            ("default_model_filename = \"../1/encoder.onnx\"", "default_model_filename"),
            ("[instance_group]\ncount = 0", "instance_group.count"),
            ("[instance_group]\nlanes = 0", "instance_group.lanes must be between 1 and 256"),
            (
                "[instance_group]\nidle_session_threads = 257",
                "idle_session_threads must be between 0 and 256",
            ),
            ("[instance_group]\nsession_rows = [0]", "instance_group.session_rows"),
            ("[dynamic_batching]\nmode = \"fixed\"", "`adaptive` or `static`"),
            ("[dynamic_batching]\njoined_rows = 0", "dynamic_batching.joined_rows 0"),
            ("max_batch_size = 8\n[dynamic_batching]\njoined_rows = 16", "joined_rows 16"),
            (
                "[dynamic_batching]\nmode = \"static\"\nreturning_clients = true",
                "does without dynamic_batching.returning_clients",
            ),
            (
                "[dynamic_batching]\nmode = \"static\"\n[instance_group]\nidle_session_threads = 2",
                "does without instance_group.idle_session_threads",
            ),
            (
                "max_batch_size = 8\n[dynamic_batching]\npreferred_batch_size = [16]",
                "preferred_batch_size 16",
            ),
        ] {
            let error = ModelConfig::parse(text).unwrap_err().to_string();
            assert!(error.contains(named), "{text}: {error}");
            assert!(!error.contains('\n'), "one line: {error}");
        }
    }

    #[test]
    fn an_error_tells_the_place_and_quotes_no_line() {
        for (text, expected) in [
            ("# first\nlabels = [1] # a secret", "line 2 (labels): "),
            ("nulls = \"zero\" # a secret", "line 1 (nulls): "),
            ("\n\nlabels = [\"a secret", "line 3"),
        ] {
            let error = ModelConfig::parse(text).unwrap_err().to_string();
            assert!(error.starts_with(expected) && !error.contains("a secret"), "{text}: {error}");
        }
    }
}
