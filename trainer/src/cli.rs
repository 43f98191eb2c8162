//! The command line.
#![expect(clippy::doc_markdown, reason = "these comments are the help texts, for people at a terminal")]

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Trains a network to recognise digits and publishes it as an ONNX model.
///
/// `run` does everything at once. The other commands are its steps, each reading files and writing files, for
/// pipelines: fetch or synth, prepare, train, evaluate, export, publish.
#[derive(Debug, Parser)]
#[command(name = "decima-trainer", version)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
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
    /// Publish a model as a new version, in a folder or a bucket.
    Publish(PublishArgs),
    /// Do all but publishing: leaves OUT/model.onnx, OUT/metrics.json, OUT/report.html and
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
    /// the picture's folder where that is one digit, else the first character of its name.
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
    /// Threads to work with; changes the speed and not the result [default: one a core].
    #[arg(long, value_name = "T", value_parser = count())]
    pub threads: Option<u64>,
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
    /// Folder to put model.onnx into.
    #[arg(long, value_name = "FOLDER", default_value = "out")]
    pub out: PathBuf,
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
}

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
    /// Folder for everything that comes out.
    #[arg(long, value_name = "FOLDER", default_value = "out")]
    pub out: PathBuf,
}

fn count() -> clap::builder::RangedU64ValueParser {
    clap::value_parser!(u64).range(1..=1 << 30)
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.01..=0.9).contains(share));
    share.ok_or_else(|| "expected a share from 0.01 to 0.9".to_owned())
}
