//! The command line.
#![expect(clippy::doc_markdown, reason = "these comments are the help texts, for people at a terminal")]

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use cli_pages::Page;

use crate::training::recipe::Optimizer;

/// Trains a network to recognise digits and publishes it as an ONNX model.
///
/// `run` does everything at once. The other commands are single steps for pipelines; each reads and writes files:
/// fetch or synth, prepare, latest, train, evaluate, export, gate, publish, deploy.
#[derive(Debug, Parser)]
#[command(name = "decima-trainer", version)]
pub struct Cli {
    /// The command.
    #[command(subcommand)]
    pub command: Command,
    /// The task that Kubeflow Pipelines gives this step ({{$}}). The command writes its results where the task says.
    #[arg(long, global = true, value_name = "JSON")]
    pub executor_input: Option<String>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Copy MNIST into a folder: from its mirrors, a web address, a folder or a bucket.
    Fetch(FetchArgs),
    /// Draw digits instead of fetching MNIST, and write them as MNIST's four files: for tests and machines without
    /// internet access.
    Synth(SynthArgs),
    /// Check fetched files and write them in the one format that `train` and `evaluate` read.
    Prepare(PrepareArgs),
    /// Add labelled pictures, such as the corrections that the server stores, to a data set. Writes the same files as
    /// `prepare`.
    Latest(LatestArgs),
    /// Train a network on prepared data. Writes OUT/weights.safetensors.
    Train(TrainArgs),
    /// Measure a trained network on the test set. Writes OUT/metrics.json and OUT/report.html.
    Evaluate(EvaluateArgs),
    /// Write a trained and evaluated network as OUT/model.onnx.
    Export(ExportArgs),
    /// Decide whether a new model is good enough to replace the one that is served, and give the reason.
    Gate(GateArgs),
    /// Publish a model as a new version in a model repository: a folder or a bucket.
    Publish(PublishArgs),
    /// Serve the models of a bucket with KServe: apply the InferenceService, wait until it is ready, send it a test
    /// digit.
    Deploy(DeployArgs),
    /// Run all steps from fetch to export, and publish with --publish. Writes OUT/model.onnx, OUT/metrics.json,
    /// OUT/report.html and OUT/weights.safetensors.
    Run(RunArgs),
    /// Print the manual page or the completions of a shell.
    #[command(hide = true)]
    Generate(GenerateArgs),
}

/// Arguments of `generate`.
#[derive(Debug, Args)]
pub struct GenerateArgs {
    /// What to print.
    pub page: Page,
}

/// Arguments of `fetch`.
#[derive(Debug, Args)]
pub struct FetchArgs {
    /// Source: the http(s):// address of mnist.npz or of a folder with the four IDX files, a local folder, or
    /// s3://bucket/prefix [default: MNIST's public mirrors].
    #[arg(long, visible_alias = "url", value_name = "PLACE")]
    pub from: Option<String>,
    /// Accept files from the web whose checksums are not MNIST's.
    #[arg(long)]
    pub unverified: bool,
    /// Folder to write the files to.
    #[arg(long, value_name = "FOLDER", default_value = "mnist")]
    pub out: PathBuf,
}

/// Arguments of `synth`.
#[derive(Debug, Args)]
pub struct SynthArgs {
    /// Number of training pictures to draw.
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = count())]
    pub train: u64,
    /// Number of test pictures to draw.
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = count())]
    pub test: u64,
    /// Random seed of the drawings.
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub seed: u64,
    /// Folder to write the files to.
    #[arg(long, value_name = "FOLDER", default_value = "synth")]
    pub out: PathBuf,
}

/// Arguments of `prepare`.
#[derive(Debug, Args)]
pub struct PrepareArgs {
    /// Folder with mnist.npz or MNIST's four IDX files, which may be compressed (.gz).
    #[arg(long, value_name = "FOLDER")]
    pub data: PathBuf,
    /// Folder to write the prepared files to.
    #[arg(long, value_name = "FOLDER")]
    pub out: PathBuf,
}

/// Arguments of `latest`.
#[derive(Debug, Args)]
pub struct LatestArgs {
    /// Labelled pictures: a folder or s3://bucket/prefix, such as the place in the server's --feedback. The label is
    /// the name of the picture's folder if that is a single digit. Otherwise it is the first character of the file's
    /// name, if that is a digit and no letter or digit follows: 7-pen.png is a 7, 20240101.png has no label.
    #[arg(long, value_name = "PLACE")]
    pub from: String,
    /// Folder with the data set to add them to, written by `fetch`, `synth` or `prepare`.
    #[arg(long, value_name = "FOLDER", default_value = "mnist")]
    pub data: PathBuf,
    /// Folder to write the prepared files to.
    #[arg(long, value_name = "FOLDER", default_value = "latest")]
    pub out: PathBuf,
    /// Largest share of the training set that they may make up, repetitions included: 0.01 to 0.9. If there are more,
    /// the latest are used.
    #[arg(long, value_name = "S", default_value_t = 0.2, value_parser = share)]
    pub share: f64,
    /// How often to repeat each picture, within the share. Without repetition, a few pictures among thousands would not
    /// change the model.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = count())]
    pub repeat: u64,
}

/// Arguments about the training, of `train` and `run`.
#[derive(Debug, Clone, Args)]
pub struct RecipeArgs {
    /// Number of epochs: passes over the training pictures.
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = count())]
    pub epochs: u64,
    /// Random seed: the same seed gives the same model.
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub seed: u64,
    /// Number of training pictures to hold out for choosing the best epoch, at most a quarter of them [default: 5000,
    /// or a tenth of fewer than 50000].
    #[arg(long, value_name = "N")]
    pub holdout: Option<u64>,
    /// Optimiser.
    #[arg(long, value_enum, default_value_t = Optimizer::AdamW)]
    pub optimizer: Optimizer,
    /// Peak learning rate. The rate rises to it and then falls to 0. 0 means the optimiser's default: 0.004 for adamw,
    /// 0.1 for sgd.
    #[arg(long, value_name = "R", default_value_t = 0.0, hide_default_value = true, value_parser = learning_rate)]
    pub learning_rate: f32,
    /// Number of threads. It changes the speed but not the result [default: one per core].
    #[arg(long, value_name = "T", value_parser = count())]
    pub threads: Option<u64>,
    /// Format of the lines about each epoch and about the test set.
    #[arg(long, value_enum, default_value_t)]
    pub log_format: LogFormat,
}

/// The format in which a command prints its metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Sentences and tables for people.
    #[default]
    Text,
    /// `name=value` lines on stdout, which Katib collects.
    Katib,
}

/// Arguments of `train`.
#[derive(Debug, Args)]
pub struct TrainArgs {
    /// Folder written by `prepare`.
    #[arg(long, value_name = "FOLDER")]
    pub data: PathBuf,
    /// The hyperparameters.
    #[command(flatten)]
    pub recipe: RecipeArgs,
    /// Folder to write weights.safetensors to.
    #[arg(long, value_name = "FOLDER", default_value = "out")]
    pub out: PathBuf,
}

/// Arguments of `evaluate`.
#[derive(Debug, Args)]
pub struct EvaluateArgs {
    /// Folder written by `prepare`: the same one that the network was trained on. Without it, only --pictures are
    /// measured, and no file is written.
    #[arg(long, value_name = "FOLDER", required_unless_present = "pictures")]
    pub data: Option<PathBuf>,
    /// Folder of labelled pictures of any size to measure as well, with the server's preprocessing. May be given
    /// several times. A picture's label is the name of its folder if that is a single digit. Otherwise it is the first
    /// character of the file's name, if that is a digit and no letter or digit follows.
    #[arg(long, value_name = "FOLDER")]
    pub pictures: Vec<PathBuf>,
    /// File written by `train`.
    #[arg(long, value_name = "FILE", default_value = "out/weights.safetensors")]
    pub weights: PathBuf,
    /// Folder to write metrics.json and report.html to.
    #[arg(long, value_name = "FOLDER", default_value = "out")]
    pub out: PathBuf,
    /// File to write the metrics to, instead of OUT/metrics.json.
    #[arg(long, value_name = "FILE")]
    pub metrics: Option<PathBuf>,
    /// File to write the report to, instead of OUT/report.html.
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// File to write a description of the model to, in Markdown: layers, training data, accuracy.
    #[arg(long, value_name = "FILE")]
    pub summary: Option<PathBuf>,
}

/// Arguments of `export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// File written by `train`.
    #[arg(long, value_name = "FILE", default_value = "out/weights.safetensors")]
    pub weights: PathBuf,
    /// File written by `evaluate`.
    #[arg(long, value_name = "FILE", default_value = "out/metrics.json")]
    pub metrics: PathBuf,
    /// Folder to write model.onnx to, with metrics.json beside it.
    #[arg(long, value_name = "FOLDER", default_value = "out")]
    pub out: PathBuf,
}

/// Arguments of `gate`.
#[derive(Debug, Args)]
pub struct GateArgs {
    /// File written by `evaluate`.
    #[arg(long, value_name = "FILE", default_value = "out/metrics.json")]
    pub metrics: PathBuf,
    /// Lowest accuracy on the test set that is accepted, 0 to 1.
    #[arg(long, value_name = "A", default_value_t = 0.98, value_parser = zero_to_one)]
    pub threshold: f64,
    /// The model's folder in a model repository: a folder or s3://bucket/models/digits. The new model is compared with
    /// the highest version there. If there is none, only the threshold counts.
    #[arg(long, value_name = "PLACE")]
    pub served: Option<String>,
    /// How far the accuracy may be below that of the served model, 0 to 1.
    #[arg(long, value_name = "D", default_value_t = 0.002, value_parser = zero_to_one)]
    pub tolerance: f64,
    /// Exit with code 1 if the decision is no.
    #[arg(long)]
    pub fail: bool,
}

/// Arguments of `publish`.
#[derive(Debug, Args)]
pub struct PublishArgs {
    /// The model. A metrics.json in the same folder is published with it.
    #[arg(long, value_name = "FILE", default_value = "out/model.onnx")]
    pub model: PathBuf,
    /// The model's folder in a model repository: a folder or s3://bucket/models/digits. The address and keys of the S3
    /// store come from environment variables (AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, ...).
    #[arg(long, value_name = "PLACE")]
    pub to: String,
    /// Version to publish [default: one more than the highest that exists].
    #[arg(long, value_name = "N", value_parser = count())]
    pub version: Option<u64>,
    /// The gate's decision. With false, nothing is published.
    #[arg(long, value_name = "true|false", default_value_t = true, action = ArgAction::Set)]
    pub gate: bool,
}

/// Arguments of `deploy`.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct DeployArgs {
    /// The model repository to serve: s3://bucket/prefix. On Kubeflow, s3://mlpipeline/private/NAMESPACE/models.
    #[arg(long, value_name = "PLACE", required_unless_present_any = ["storage_uri", "manifest"])]
    pub models: Option<String>,
    /// Serve this one model with the cluster's ONNX runtime instead. KServe downloads it.
    #[arg(long, value_name = "URI", conflicts_with = "models")]
    pub storage_uri: Option<String>,
    /// Apply the InferenceService of this YAML file instead.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["models", "storage_uri", "image"])]
    pub manifest: Option<PathBuf>,
    /// Name of the InferenceService. If one of that name exists, it is changed.
    #[arg(long, value_name = "NAME", default_value = "digits", value_parser = service_name)]
    pub name: String,
    /// Namespace of the InferenceService [default: the pod's, or that of the kubeconfig's context].
    #[arg(long, value_name = "NAMESPACE")]
    pub namespace: Option<String>,
    /// Container image of the server.
    #[arg(long, value_name = "IMAGE", conflicts_with = "storage_uri")]
    pub image: Option<String>,
    /// Where the server stores what people correct on its page, for the next training: s3://bucket/prefix. On Kubeflow,
    /// s3://mlpipeline/private/NAMESPACE/feedback.
    #[arg(long, value_name = "PLACE", requires = "models")]
    pub feedback: Option<String>,
    /// Overwrite fields of the service that another field manager has set.
    #[arg(long)]
    pub force_conflicts: bool,
    /// How long to wait until the service is ready and answers.
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = humantime::parse_duration)]
    pub timeout: Duration,
    /// Model to send the test digit to [default: the service's name].
    #[arg(long, value_name = "MODEL")]
    pub model: Option<String>,
    /// Wait until this version is served, as printed by `publish` [default: any version].
    #[arg(long, value_name = "N", value_parser = version)]
    pub version: Option<Version>,
    /// Address to send the test digit to [default: the address that KServe reports].
    #[arg(long, value_name = "URL")]
    pub address: Option<String>,
    /// File with the bearer token for the test request [default: the token in DECIMA_TOKEN, if it is set].
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Do not send a test digit.
    #[arg(long)]
    pub no_request: bool,
    /// Print the InferenceService and change nothing.
    #[arg(long, value_name = "true|false", default_value_t = false, default_missing_value = "true",
        num_args = 0..=1, require_equals = true, action = ArgAction::Set)]
    pub dry_run: bool,
    /// The gate's decision. With false, nothing is deployed.
    #[arg(long, value_name = "true|false", default_value_t = true, action = ArgAction::Set)]
    pub gate: bool,
}

/// A model's version, or `None` when nothing was published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version(pub Option<u64>);

/// Arguments of `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// MNIST: a folder, an http(s):// address or s3://bucket/prefix [default: MNIST's public mirrors].
    #[arg(long, value_name = "PLACE")]
    pub mnist: Option<String>,
    /// Accept files from the web whose checksums are not MNIST's.
    #[arg(long)]
    pub unverified: bool,
    /// The hyperparameters.
    #[command(flatten)]
    pub recipe: RecipeArgs,
    /// Folder of labelled pictures of any size to measure as well, with the server's preprocessing. May be given
    /// several times. A picture's label is the name of its folder if that is a single digit. Otherwise it is the first
    /// character of the file's name, if that is a digit and no letter or digit follows.
    #[arg(long, value_name = "FOLDER")]
    pub pictures: Vec<PathBuf>,
    /// Publish the model, as `publish --to` does: the model's folder in a model repository.
    #[arg(long, value_name = "PLACE")]
    pub publish: Option<String>,
    /// Folder to write everything to.
    #[arg(long, value_name = "FOLDER", default_value = "out")]
    pub out: PathBuf,
}

fn count() -> clap::builder::RangedU64ValueParser {
    clap::value_parser!(u64).range(1..=1 << 30)
}

/// A name that KServe takes: it makes Services of it, by adding up to ten letters to what DNS allows 63 of.
fn service_name(text: &str) -> Result<String, String> {
    let is_in_form = text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
    let starts = text.starts_with(|c: char| c.is_ascii_lowercase());
    if is_in_form && starts && !text.ends_with('-') && text.len() <= 53 {
        return Ok(text.to_owned());
    }
    Err("expected small letters, digits and hyphens, a letter first and no hyphen last, at most 53 in all"
        .to_owned())
}

fn version(text: &str) -> Result<Version, String> {
    if text.is_empty() {
        return Ok(Version(None));
    }
    let version = text.parse().ok().filter(|version| *version > 0);
    version
        .map(|version| Version(Some(version)))
        .ok_or_else(|| "expected a whole number of at least 1".to_owned())
}

fn learning_rate(text: &str) -> Result<f32, String> {
    let rate = text.parse().ok().filter(|rate| *rate == 0.0 || (1e-6..=10.0).contains(rate));
    rate.ok_or_else(|| "expected a rate from 0.000001 to 10, or 0 for the optimiser's default".to_owned())
}

fn zero_to_one(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number| (0.0..=1.0).contains(number));
    number.ok_or_else(|| "expected a number from 0 to 1".to_owned())
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.01..=0.9).contains(share));
    share.ok_or_else(|| "expected a share from 0.01 to 0.9".to_owned())
}
