//! `train`, `evaluate`, `export` and `run`.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Result, ensure};

use super::{publish, storage_settings};
use crate::checkpoint::{Checkpoint, History};
use crate::cli::{EvaluateArgs, ExportArgs, LogFormat, RecipeArgs, RunArgs, TrainArgs};
use crate::data::fetch::{self, Source};
use crate::data::{Dataset, folder, samples};
use crate::drawings::{self, DrawingsMetrics};
use crate::interrupt::{Interrupt, Interrupted};
use crate::metrics::Metrics;
use crate::onnx::export::{Metadata, encode};
use crate::outcome::Outcome;
use crate::progress::{self, TrainingProgress};
use crate::report::Report;
use crate::report::text::{count, thousands};
use crate::training::recipe::Recipe;
use crate::training::run::RecipeError;
use crate::{console, evaluate as measure, files, summary, training};

const WEIGHTS: &str = "weights.safetensors";
const METRICS: &str = "metrics.json";
const REPORT: &str = "report.html";
const MODEL: &str = "model.onnx";

/// Output parameters of each command.
pub(super) const TRAIN: &[&str] = &["chosen_epoch"];
pub(super) const EVALUATE: &[&str] = &["accuracy", "loss", "errors"];
pub(super) const EXPORT: &[&str] = &["model_sha256"];
pub(super) const RUN: &[&str] = &["accuracy", "loss", "errors", "model_sha256"];

pub(super) fn train(args: &TrainArgs) -> Result<Outcome> {
    let dataset = folder::load_prepared(&args.data)?;
    let after = After { prepare: None, data: &args.data, out: &args.out };
    let checkpoint = learn(&dataset, &args.recipe, &after)?;
    console::result(&format!("trained; weights in {}", args.out.join(WEIGHTS).display()));
    Ok(trained(&checkpoint.history))
}

pub(super) fn evaluate(args: &EvaluateArgs) -> Result<Outcome> {
    let checkpoint = Checkpoint::load(&args.weights)?;
    let Some(data) = &args.data else {
        let drawings = drawings::measure(&checkpoint.folded, &samples::read(&args.pictures)?).0;
        print_drawings(&drawings);
        return Ok(Outcome::default()
            .parameter("accuracy", drawings.accuracy)
            .metric("drawings_accuracy", drawings.accuracy));
    };
    let dataset = folder::load_prepared(data)?;
    let trained_on = &checkpoint.history.dataset_sha256;
    ensure!(
        *trained_on == dataset.sha256(),
        "{} was trained on another dataset (SHA-256 {trained_on}) than {} holds, and may have learnt from these test \
         pictures: give the folder that it was trained on, or train again",
        args.weights.display(),
        data.display()
    );
    let places = Places {
        metrics: args.metrics.clone().unwrap_or_else(|| args.out.join(METRICS)),
        report: args.report.clone().unwrap_or_else(|| args.out.join(REPORT)),
    };
    let metrics = test(&checkpoint, &dataset, &args.pictures, &places)?;
    if let Some(file) = &args.summary {
        files::write(file, summary::markdown(&checkpoint.folded.architecture, &metrics).as_bytes())?;
    }
    Ok(measured(&metrics))
}

pub(super) fn export(args: &ExportArgs) -> Result<Outcome> {
    let checkpoint = Checkpoint::load(&args.weights)?;
    let metrics = Metrics::load(&args.metrics)?;
    ensure!(
        metrics.history == checkpoint.history,
        "{} does not describe {}: run `decima-trainer evaluate` on these weights",
        args.metrics.display(),
        args.weights.display()
    );
    // `publish` looks for the metrics beside the model.
    metrics.save(&args.out.join(METRICS))?;
    write_model(&checkpoint, &metrics, &args.out)
}

pub(super) fn run(args: &RunArgs) -> Result<Outcome> {
    let source = args.mnist.as_deref().map_or(Ok(Source::Mirrors), Source::parse)?;
    let folder: PathBuf = if let Source::Folder(folder) = &source {
        folder.clone()
    } else {
        let folder = args.out.join("mnist");
        console::progress(&format!("fetching MNIST into {}", folder.display()));
        fetch::fetch(&source, &folder, !args.unverified, &storage_settings()?)?;
        folder
    };
    let dataset = folder::load(&folder)?;
    let prepared = args.out.join("prepared");
    let after = After { prepare: Some(&folder), data: &prepared, out: &args.out };
    let checkpoint = learn(&dataset, &args.recipe, &after)?;
    let places = Places { metrics: args.out.join(METRICS), report: args.out.join(REPORT) };
    let metrics = test(&checkpoint, &dataset, &args.pictures, &places)?;
    if args.recipe.log_format == LogFormat::Katib {
        console::metrics(&[("accuracy", metrics.test.accuracy), ("loss", metrics.test.loss)]);
    }
    let model = write_model(&checkpoint, &metrics, &args.out)?;
    let mut outcome = measured(&metrics);
    outcome.parameters.extend(model.parameters);
    outcome.facts.extend(model.facts);
    if let Some(place) = &args.publish {
        publish::model(&args.out.join(MODEL), place, None)?;
    }
    Ok(outcome)
}

/// The folders for going on after Ctrl-C.
struct After<'a> {
    /// The folder with fetched data, if `prepare` must still be run on it.
    prepare: Option<&'a Path>,
    /// The folder with prepared data.
    data: &'a Path,
    /// The folder with the weights, for all output.
    out: &'a Path,
}

impl After<'_> {
    /// The commands that turn the weights into a model.
    fn commands(&self) -> Vec<String> {
        let (data, out) = (quoted(self.data), quoted(self.out));
        let (weights, metrics) = (quoted(&self.out.join(WEIGHTS)), quoted(&self.out.join(METRICS)));
        let prepare = self
            .prepare
            .map(|folder| format!("decima-trainer prepare --data {} --out {data}", quoted(folder)));
        prepare
            .into_iter()
            .chain([
                format!("decima-trainer evaluate --data {data} --weights {weights} --out {out}"),
                format!("decima-trainer export --weights {weights} --metrics {metrics} --out {out}"),
            ])
            .collect()
    }
}

/// A path, quoted for a shell where it needs that.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-+".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

/// Trains a network and writes its weights to the output folder.
fn learn(dataset: &Dataset, args: &RecipeArgs, after: &After<'_>) -> Result<Checkpoint> {
    let threads = threads(args)?;
    let (peak_learning_rate, weight_decay) = args.optimizer.defaults();
    let defaults = Recipe {
        optimizer: args.optimizer,
        peak_learning_rate: if args.learning_rate > 0.0 { args.learning_rate } else { peak_learning_rate },
        weight_decay,
        ..Recipe::default()
    };
    // Small sets, such as those drawn for tests, keep nine tenths for training.
    let holdout = args.holdout.map_or(defaults.holdout.min(dataset.train.len() / 10), |n| n as usize);
    let recipe = Recipe { epochs: args.epochs as usize, seed: args.seed, holdout, ..defaults };
    let learning_from = dataset.train.len().saturating_sub(holdout);
    let interrupt = Interrupt::listen()?;
    console::progress(&format!(
        "training on {} and {} drawn ones, for {} with {}",
        count(learning_from, "picture", "pictures"),
        thousands(recipe.pictures(learning_from) - learning_from),
        count(recipe.epochs, "epoch", "epochs"),
        count(threads, "thread", "threads")
    ));
    // An epoch has whole batches only. A few of the added pictures may fail, which the progress bar need not show.
    let an_epoch = recipe.pictures(learning_from) / recipe.batch * recipe.batch;
    let mut progress = TrainingProgress::new(recipe.epochs, an_epoch, args.log_format, &interrupt);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    let trained = match pool.install(|| training::run::train(&dataset.train, &recipe, &mut progress)) {
        Err(RecipeError::Stopped) => return Err(Interrupted::Nothing.into()),
        trained => trained?,
    };
    let history = History {
        trainer_version: env!("CARGO_PKG_VERSION").to_owned(),
        dataset_sha256: dataset.sha256(),
        recipe,
        chosen_epoch: trained.chosen_epoch,
        temperature: trained.temperature,
        threads,
        epochs: trained.epochs,
    };
    let checkpoint = Checkpoint { folded: trained.folded, history };
    let weights = after.out.join(WEIGHTS);
    checkpoint.save(&weights)?;
    if interrupt.stop_requested() {
        let History { recipe, chosen_epoch: chosen, epochs, .. } = checkpoint.history;
        let (epochs, planned) = (epochs.len(), recipe.epochs);
        return Err(Interrupted::Kept { epochs, planned, chosen, weights, next: after.commands() }.into());
    }
    Ok(checkpoint)
}

fn threads(args: &RecipeArgs) -> Result<usize> {
    match args.threads {
        Some(threads) => Ok(threads as usize),
        None => Ok(std::thread::available_parallelism()?.get()),
    }
}

/// Where `evaluate` writes its results.
struct Places {
    metrics: PathBuf,
    report: PathBuf,
}

/// Measures the network on the test set and writes the results.
fn test(
    checkpoint: &Checkpoint,
    dataset: &Dataset,
    pictures: &[PathBuf],
    places: &Places,
) -> Result<Metrics> {
    let indices: Vec<u32> = (0..dataset.test.len() as u32).collect();
    let answers = measure::answers(&checkpoint.folded, &dataset.test, &indices);
    let parameters = checkpoint.folded.parameters.len();
    let mut metrics = Metrics::new(checkpoint.history.clone(), parameters, dataset, &answers);
    if !pictures.is_empty() {
        let samples = samples::read(pictures)?;
        metrics.drawings = Some(drawings::measure(&checkpoint.folded, &samples).0);
    }
    metrics.save(&places.metrics)?;
    let report =
        Report { metrics: &metrics, dataset, answers: &answers, drawings: pictures, time: SystemTime::now() };
    files::write(&places.report, report.html()?.as_bytes())?;
    console::result(&format!(
        "{:.2} % of {} test pictures correct ({} wrong); report in {}",
        100.0 * metrics.test.accuracy,
        answers.len(),
        metrics.test.errors,
        places.report.display()
    ));
    if let Some(drawings) = &metrics.drawings {
        print_drawings(drawings);
    }
    Ok(metrics)
}

/// Prints the results on the user's pictures: in total, for each style, and the pictures that could not be used.
fn print_drawings(drawings: &DrawingsMetrics) {
    let line = |name: &str, pictures: usize, errors: usize, accuracy: f64, not_sure: f64| {
        console::result(&format!(
            "{:6.2} % of {pictures} {name} correct ({errors} wrong, {:.1} % not sure)",
            100.0 * accuracy,
            100.0 * not_sure
        ));
    };
    line("drawings", drawings.pictures, drawings.errors, drawings.accuracy, drawings.not_sure);
    if drawings.by_style.len() > 1 {
        for style in &drawings.by_style {
            line(&style.style, style.pictures, style.errors, style.accuracy, style.not_sure);
        }
    }
    for unreadable in &drawings.unreadable {
        console::result(&format!("not read: {}: {}", unreadable.name, unreadable.reason));
    }
}

fn write_model(checkpoint: &Checkpoint, metrics: &Metrics, out: &Path) -> Result<Outcome> {
    let history = &checkpoint.history;
    let metadata = Metadata {
        trainer_version: history.trainer_version.clone(),
        dataset_sha256: history.dataset_sha256.clone(),
        seed: history.recipe.seed,
        test_accuracy: metrics.test.accuracy,
    };
    let path = out.join(MODEL);
    let model = encode(&checkpoint.folded, &metadata);
    files::write(&path, &model)?;
    console::result(&format!("model in {} ({} kB)", path.display(), model.len() / 1000));
    let sha256 = files::sha256(&[&model]);
    Ok(Outcome::default()
        .parameter("model_sha256", sha256.clone())
        .fact("framework", "ONNX")
        .fact("sha256", sha256)
        .fact("bytes", model.len())
        .fact("accuracy", metrics.test.accuracy)
        .fact("dataset_version", history.dataset_sha256.clone()))
}

/// The results of a training.
fn trained(history: &History) -> Outcome {
    let recipe = &history.recipe;
    let outcome = Outcome::default()
        .parameter("chosen_epoch", history.chosen_epoch)
        .fact("epochs", history.epochs.len())
        .fact("chosen_epoch", history.chosen_epoch)
        .fact("optimizer", recipe.optimizer.to_string())
        .fact("learning_rate", f64::from(recipe.peak_learning_rate))
        .fact("seed", recipe.seed)
        .fact("dataset_version", history.dataset_sha256.clone());
    let chosen = history.epochs.iter().find(|epoch| epoch.epoch == history.chosen_epoch);
    chosen.map_or(outcome.clone(), |epoch| {
        progress::figures(epoch)
            .into_iter()
            .fold(outcome, |outcome, (name, value)| outcome.metric(name, value))
    })
}

/// The results on the test set.
fn measured(metrics: &Metrics) -> Outcome {
    let test = &metrics.test;
    let outcome = Outcome::default()
        .parameter("accuracy", test.accuracy)
        .parameter("loss", test.loss)
        .parameter("errors", test.errors)
        .fact("accuracy", test.accuracy)
        .fact("loss", test.loss)
        .metric("accuracy", test.accuracy)
        .metric("loss", test.loss)
        .metric("errors", test.errors as f64)
        .metric("not_sure", test.not_sure)
        .metric("test_pictures", metrics.dataset.test_pictures as f64)
        .metric("train_pictures", metrics.dataset.train_pictures as f64)
        .metric("parameters", metrics.parameters as f64);
    Outcome { confusion: Some(test.confusion.clone()), ..outcome }
}
