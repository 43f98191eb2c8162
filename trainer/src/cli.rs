//! The command line.
#![expect(clippy::doc_markdown, reason = "these comments are the help texts, for people at a terminal")]

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

use crate::training::recipe::Optimizer;

/// Trains a network to recognise digits and publishes it as an ONNX model.
///
/// `run` does everything at once. The other commands are its steps, each reading files and writing files, for
/// pipelines: fetch or synth, prepare, latest, train, evaluate, export, gate, publish, deploy.
#[derive(Debug, Parser)]
#[command(name = "decima-trainer", version)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// The task of this step in Kubeflow Pipelines ({{$}}): what the command comes to is written where it says.
    #[arg(long, global = true, value_name = "JSON")]
    pub executor_input: Option<String>,
}

/// The steps.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Bring MNIST into a folder: from its mirrors, a web address, a folder or a bucket.
    Fetch(FetchArgs),
    /// Draw digits on the spot instead, as MNIST's four files: for tests and machines without a network.
    Synth(SynthArgs),
    /// Check fetched files and write them in one form, whatever form they came in.
    Prepare(PrepareArgs),
    /// Add corrected pictures, such as the server stores, to a data set, and write it as `prepare` does.
    Latest(LatestArgs),
    /// Train a network on prepared data: leaves OUT/weights.safetensors.
    Train(TrainArgs),
    /// Measure a trained network on the test set: leaves OUT/metrics.json and OUT/report.html.
    Evaluate(EvaluateArgs),
    /// Write a trained and measured network as OUT/model.onnx.
    Export(ExportArgs),
    /// Say whether a measured model is good enough to replace the one that is served, and why.
    Gate(GateArgs),
    /// Publish a model as a new version, in a folder or a bucket.
    Publish(PublishArgs),
    /// Serve the models of a bucket by KServe: apply the InferenceService, wait until it is ready, ask it a digit.
    Deploy(DeployArgs),
    /// Do all at once, but publish only where asked: leaves OUT/model.onnx, OUT/metrics.json, OUT/report.html and
    /// OUT/weights.safetensors.
    Run(RunArgs),
}

/// Arguments of `fetch`.
#[derive(Debug, Args)]
pub struct FetchArgs {
    /// Where from: an http(s):// address of a folder with the four IDX files or of mnist.npz, a folder, or
    /// s3://bucket/prefix. Without it, MNIST's public mirrors.
    #[arg(long, visible_alias = "url", value_name = "PLACE")]
    pub from: Option<String>,
    /// Accept files from the web that do not have MNIST's checksums.
    #[arg(long)]
    pub unverified: bool,
    /// Folder to put the files into.
    #[arg(long, value_name = "FOLDER", default_value = "mnist")]
    pub out: PathBuf,
}

/// Arguments of `synth`.
#[derive(Debug, Args)]
pub struct SynthArgs {
    /// Training pictures to draw.
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = count())]
    pub train: u64,
    /// Test pictures to draw.
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = count())]
    pub test: u64,
    /// Seed of the drawing.
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub seed: u64,
    /// Folder to put the files into.
    #[arg(long, value_name = "FOLDER", default_value = "synth")]
    pub out: PathBuf,
}

/// Arguments of `prepare`.
#[derive(Debug, Args)]
pub struct PrepareArgs {
    /// Folder with MNIST's four files (packed or not) or mnist.npz.
    #[arg(long, value_name = "FOLDER")]
    pub data: PathBuf,
    /// Folder to put the prepared files into.
    #[arg(long, value_name = "FOLDER")]
    pub out: PathBuf,
}

/// Arguments of `latest`.
#[derive(Debug, Args)]
pub struct LatestArgs {
    /// Labelled pictures: a folder or s3://bucket/prefix, such as the server's --feedback. The label is the name of
    /// the picture's folder where that is one digit, else the digit that its own name begins with, such as 7-pen.png.
    /// No letter or digit may follow that one: 20240101.png has no label.
    #[arg(long, value_name = "PLACE")]
    pub from: String,
    /// Folder with the data set that they are added to: what `fetch`, `synth` or `prepare` wrote.
    #[arg(long, value_name = "FOLDER", default_value = "mnist")]
    pub data: PathBuf,
    /// Folder to put the prepared files into.
    #[arg(long, value_name = "FOLDER", default_value = "latest")]
    pub out: PathBuf,
    /// Most of the training set that they may be, repetitions included: 0.01 to 0.9. Of more, the latest are used.
    #[arg(long, value_name = "S", default_value_t = 0.2, value_parser = share)]
    pub share: f64,
    /// How often each is repeated, as far as the share has room: a few among thousands are not noticed otherwise.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = count())]
    pub repeat: u64,
}

/// How to train.
#[derive(Debug, Clone, Args)]
pub struct RecipeArgs {
    /// Passes over the training pictures.
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = count())]
    pub epochs: u64,
    /// Seed of every random draw: the same seed gives the same model.
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub seed: u64,
    /// Training pictures set aside to choose the model by; at most a quarter of them are [default: 5000, or a
    /// tenth where there are fewer than 50000].
    #[arg(long, value_name = "N")]
    pub holdout: Option<u64>,
    /// What turns gradients into steps.
    #[arg(long, value_enum, default_value_t = Optimizer::AdamW)]
    pub optimizer: Optimizer,
    /// Highest learning rate: it rises to this and then falls to 0. By default, or where this is 0, that which suits
    /// the optimiser: 0.004 for adamw, 0.1 for sgd.
    #[arg(long, value_name = "R", default_value_t = 0.0, hide_default_value = true, value_parser = learning_rate)]
    pub learning_rate: f32,
    /// Threads to work with; changes the speed and not the result [default: one a core].
    #[arg(long, value_name = "T", value_parser = count())]
    pub threads: Option<u64>,
    /// Form of the lines about each epoch and the test.
    #[arg(long, value_enum, default_value_t)]
    pub log_format: LogFormat,
}

/// How a command tells its numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// As `name=value` on stdout, as Katib collects them.
    Katib,
}

/// Arguments of `train`.
#[derive(Debug, Args)]
pub struct TrainArgs {
    /// Folder that `prepare` wrote.
    #[arg(long, value_name = "FOLDER")]
    pub data: PathBuf,
    /// The recipe.
    #[command(flatten)]
    pub recipe: RecipeArgs,
    /// Folder to put weights.safetensors into.
    #[arg(long, value_name = "FOLDER", default_value = "out")]
    pub out: PathBuf,
}

/// Arguments of `evaluate`.
#[derive(Debug, Args)]
pub struct EvaluateArgs {
    /// Folder that `prepare` wrote: the one that was trained with. May be left out where pictures are given:
    /// then these alone are measured, and nothing is written.
    #[arg(long, value_name = "FOLDER", required_unless_present = "pictures")]
    pub data: Option<PathBuf>,
    /// Folder of labelled pictures to measure too, of any size, through the server's own preprocessing; may be
    /// given several times. A picture's label is the name of its folder, if that is one digit, or else the first
    /// character of its name.
    #[arg(long, value_name = "FOLDER")]
    pub pictures: Vec<PathBuf>,
    /// The file that `train` wrote.
    #[arg(long, value_name = "FILE", default_value = "out/weights.safetensors")]
    pub weights: PathBuf,
    /// Folder to put metrics.json and report.html into.
    #[arg(long, value_name = "FOLDER", default_value = "out")]
    pub out: PathBuf,
    /// File to put the metrics into instead.
    #[arg(long, value_name = "FILE")]
    pub metrics: Option<PathBuf>,
    /// File to put the report into instead.
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// File to describe the model in, as Markdown: its layers, what it learnt from, how well it does.
    #[arg(long, value_name = "FILE")]
    pub summary: Option<PathBuf>,
}

/// Arguments of `export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// The file that `train` wrote.
    #[arg(long, value_name = "FILE", default_value = "out/weights.safetensors")]
    pub weights: PathBuf,
    /// The file that `evaluate` wrote.
    #[arg(long, value_name = "FILE", default_value = "out/metrics.json")]
    pub metrics: PathBuf,
    /// Folder to put model.onnx into, with metrics.json beside it.
    #[arg(long, value_name = "FOLDER", default_value = "out")]
    pub out: PathBuf,
}

/// Arguments of `gate`.
#[derive(Debug, Args)]
pub struct GateArgs {
    /// The file that `evaluate` wrote.
    #[arg(long, value_name = "FILE", default_value = "out/metrics.json")]
    pub metrics: PathBuf,
    /// Lowest accuracy on the test set, 0 to 1.
    #[arg(long, value_name = "A", default_value_t = 0.98, value_parser = zero_to_one)]
    pub threshold: f64,
    /// The model's folder in a model repository, a folder or s3://bucket/models/digits: its highest version is what
    /// is served. Where nothing is there yet, the threshold alone counts.
    #[arg(long, value_name = "PLACE")]
    pub served: Option<String>,
    /// By how much the accuracy may be below that of the served model: 0 to 1.
    #[arg(long, value_name = "D", default_value_t = 0.002, value_parser = zero_to_one)]
    pub tolerance: f64,
    /// Exit with 1 where the answer is no.
    #[arg(long)]
    pub fail: bool,
}

/// Arguments of `publish`.
#[derive(Debug, Args)]
pub struct PublishArgs {
    /// The model; a metrics.json beside it is published with it.
    #[arg(long, value_name = "FILE", default_value = "out/model.onnx")]
    pub model: PathBuf,
    /// The model's folder in a model repository: a folder or s3://bucket/models/digits. Addresses and keys of
    /// the S3 store are read from the environment (AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, ...).
    #[arg(long, value_name = "PLACE")]
    pub to: String,
    /// Version to publish as [default: the one after the highest there is].
    #[arg(long, value_name = "N", value_parser = count())]
    pub version: Option<u64>,
    /// What the gate decided; on `false`, nothing is published.
    #[arg(long, value_name = "true|false", default_value_t = true, action = ArgAction::Set)]
    pub gate: bool,
}

/// Arguments of `deploy`.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct DeployArgs {
    /// The model repository that is served: s3://bucket/prefix. On Kubeflow, s3://mlpipeline/private/NAMESPACE/models.
    #[arg(long, value_name = "PLACE", required_unless_present_any = ["storage_uri", "manifest"])]
    pub models: Option<String>,
    /// Serve this one model by the cluster's runtime for ONNX instead; KServe downloads it.
    #[arg(long, value_name = "URI", conflicts_with = "models")]
    pub storage_uri: Option<String>,
    /// Apply the InferenceService of this YAML file instead.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["models", "storage_uri", "image"])]
    pub manifest: Option<PathBuf>,
    /// Name of the InferenceService: a service of that name is changed, not a second one made.
    #[arg(long, value_name = "NAME", default_value = "digits")]
    pub name: String,
    /// Namespace of it [default: that of the pod, or of the kubeconfig's context].
    #[arg(long, value_name = "NAMESPACE")]
    pub namespace: Option<String>,
    /// Image of the server.
    #[arg(long, value_name = "IMAGE", conflicts_with = "storage_uri")]
    pub image: Option<String>,
    /// Where the server stores what people correct on its page, for the next training: s3://bucket/prefix. On Kubeflow,
    /// s3://mlpipeline/private/NAMESPACE/feedback.
    #[arg(long, value_name = "PLACE", requires = "models")]
    pub feedback: Option<String>,
    /// Take over fields that somebody else has set on the service.
    #[arg(long)]
    pub force_conflicts: bool,
    /// How long it may take until the service is ready and answers.
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = humantime::parse_duration)]
    pub timeout: Duration,
    /// Model to ask a digit [default: the service's name].
    #[arg(long, value_name = "MODEL")]
    pub model: Option<String>,
    /// Version that must be served in the end, as `publish` gives it [default: any].
    #[arg(long, value_name = "N", value_parser = version)]
    pub version: Option<Version>,
    /// Address to ask it at [default: the one that KServe gives it].
    #[arg(long, value_name = "URL")]
    pub address: Option<String>,
    /// File with the token to ask with; without it, the token is in DECIMA_TOKEN, if there is one.
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Do not ask a digit.
    #[arg(long)]
    pub no_request: bool,
    /// Print the InferenceService and do nothing.
    #[arg(long, value_name = "true|false", default_value_t = false, default_missing_value = "true",
        num_args = 0..=1, require_equals = true, action = ArgAction::Set)]
    pub dry_run: bool,
    /// What the gate decided; on `false`, nothing is deployed.
    #[arg(long, value_name = "true|false", default_value_t = true, action = ArgAction::Set)]
    pub gate: bool,
}

/// A model's version; none where nothing was published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version(pub Option<u64>);

/// Arguments of `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// MNIST: a folder, an http(s):// address or s3://bucket/prefix. Without it, MNIST's public mirrors.
    #[arg(long, value_name = "PLACE")]
    pub mnist: Option<String>,
    /// Accept files from the web that do not have MNIST's checksums.
    #[arg(long)]
    pub unverified: bool,
    /// The recipe.
    #[command(flatten)]
    pub recipe: RecipeArgs,
    /// Folder of labelled pictures to measure too, of any size, through the server's own preprocessing; may be
    /// given several times. A picture's label is the name of its folder, if that is one digit, or else the first
    /// character of its name.
    #[arg(long, value_name = "FOLDER")]
    pub pictures: Vec<PathBuf>,
    /// Publish the model too, as `publish` does: the model's folder in a model repository.
    #[arg(long, value_name = "PLACE")]
    pub publish: Option<String>,
    /// Folder for everything that comes out.
    #[arg(long, value_name = "FOLDER", default_value = "out")]
    pub out: PathBuf,
}

fn count() -> clap::builder::RangedU64ValueParser {
    clap::value_parser!(u64).range(1..=1 << 30)
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
    rate.ok_or_else(|| {
        "expected a rate from 0.000001 to 10, or 0 for that which suits the optimiser".to_owned()
    })
}

fn zero_to_one(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number| (0.0..=1.0).contains(number));
    number.ok_or_else(|| "expected a number from 0 to 1".to_owned())
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.01..=0.9).contains(share));
    share.ok_or_else(|| "expected a share from 0.01 to 0.9".to_owned())
}
