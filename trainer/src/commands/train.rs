//! `train`, `evaluate`, `export` and `run`.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Result, ensure};

use super::storage_settings;
use crate::checkpoint::{Checkpoint, History};
use crate::cli::{EvaluateArgs, ExportArgs, RecipeArgs, RunArgs, TrainArgs};
use crate::data::fetch::{self, Source};
use crate::data::{Dataset, folder, samples};
use crate::drawings::{self, DrawingsMetrics};
use crate::interrupt::{Interrupt, Interrupted};
use crate::metrics::Metrics;
use crate::onnx::export::{Metadata, encode};
use crate::progress::TrainingProgress;
use crate::report::Report;
use crate::report::text::{count, thousands};
use crate::training::recipe::Recipe;
use crate::training::run::RecipeError;
use crate::{console, evaluate as measure, files, training};

const WEIGHTS: &str = "weights.safetensors";
const METRICS: &str = "metrics.json";
const REPORT: &str = "report.html";
const MODEL: &str = "model.onnx";

pub(super) fn train(args: &TrainArgs) -> Result<()> {
    let dataset = folder::load_prepared(&args.data)?;
    let after = After { prepare: None, data: &args.data, out: &args.out };
    learn(&dataset, &args.recipe, &after)?;
    console::result(&format!("trained; weights in {}", args.out.join(WEIGHTS).display()));
    Ok(())
}

pub(super) fn evaluate(args: &EvaluateArgs) -> Result<()> {
    let checkpoint = Checkpoint::load(&args.weights)?;
    let Some(data) = &args.data else {
        say_drawings(&drawings::measure(&checkpoint.folded, &samples::read(&args.pictures)?).0);
        return Ok(());
    };
    let dataset = folder::load_prepared(data)?;
    let trained_on = &checkpoint.history.dataset_sha256;
    ensure!(
        *trained_on == dataset.sha256(),
        "{} was trained on another dataset (SHA-256 {trained_on}) than {} holds: its test pictures may be \
         among those",
        args.weights.display(),
        data.display()
    );
    test(&checkpoint, &dataset, &args.pictures, &args.out).map(drop)
}

pub(super) fn export(args: &ExportArgs) -> Result<()> {
    let checkpoint = Checkpoint::load(&args.weights)?;
    let metrics = Metrics::load(&args.metrics)?;
    ensure!(
        metrics.history == checkpoint.history,
        "{} is not about {}: run `decima-trainer evaluate` on these weights",
        args.metrics.display(),
        args.weights.display()
    );
    write_model(&checkpoint, &metrics, &args.out)
}

pub(super) fn run(args: &RunArgs) -> Result<()> {
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
    let metrics = test(&checkpoint, &dataset, &args.pictures, &args.out)?;
    write_model(&checkpoint, &metrics, &args.out)
}

/// Where things are for who wants to go on after Ctrl-C.
struct After<'a> {
    /// The folder that is still to be prepared, where it was not.
    prepare: Option<&'a Path>,
    /// The prepared folder.
    data: &'a Path,
    /// Where the weights are and everything else should go.
    out: &'a Path,
}

impl After<'_> {
    /// The commands that make a model of the weights.
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

/// A path as a shell takes it for one word.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-+".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

/// Trains a network and leaves its weights in the folder for everything that comes out.
fn learn(dataset: &Dataset, args: &RecipeArgs, after: &After<'_>) -> Result<Checkpoint> {
    let threads = threads(args)?;
    let defaults = Recipe::default();
    // Small sets (drawn ones, for tests) keep nine tenths to learn from.
    let holdout = args.holdout.map_or(defaults.holdout.min(dataset.train.len() / 10), |n| n as usize);
    let recipe = Recipe { epochs: args.epochs as usize, seed: args.seed, holdout, ..defaults };
    let learning_from = dataset.train.len().saturating_sub(holdout);
    let interrupt = Interrupt::listen()?;
    console::progress(&format!(
        "training on {} and {} drawn beside them, for {} with {}",
        count(learning_from, "picture", "pictures"),
        thousands(recipe.pictures(learning_from) - learning_from),
        count(recipe.epochs, "epoch", "epochs"),
        count(threads, "thread", "threads")
    ));
    // An epoch is of whole batches. Of the additions a few may fail, which makes no difference to look at.
    let an_epoch = recipe.pictures(learning_from) / recipe.batch * recipe.batch;
    let mut progress = TrainingProgress::new(recipe.epochs, an_epoch, &interrupt);
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
    if interrupt.asked() {
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

/// Reads the test set, once, and writes what came of it.
fn test(checkpoint: &Checkpoint, dataset: &Dataset, pictures: &[PathBuf], out: &Path) -> Result<Metrics> {
    let indices: Vec<u32> = (0..dataset.test.len() as u32).collect();
    let answers = measure::answers(&checkpoint.folded, &dataset.test, &indices);
    let parameters = checkpoint.folded.parameters.len();
    let mut metrics = Metrics::new(checkpoint.history.clone(), parameters, dataset, &answers);
    if !pictures.is_empty() {
        let samples = samples::read(pictures)?;
        metrics.drawings = Some(drawings::measure(&checkpoint.folded, &samples).0);
    }
    metrics.save(&out.join(METRICS))?;
    let report =
        Report { metrics: &metrics, dataset, answers: &answers, drawings: pictures, time: SystemTime::now() };
    files::write(&out.join(REPORT), report.html()?.as_bytes())?;
    console::result(&format!(
        "{:.2} % of {} test pictures read right ({} wrong); report in {}",
        100.0 * metrics.test.accuracy,
        answers.len(),
        metrics.test.errors,
        out.join(REPORT).display()
    ));
    if let Some(drawings) = &metrics.drawings {
        say_drawings(drawings);
    }
    Ok(metrics)
}

/// Tells how drawings were read: all, each style, and which could not be.
fn say_drawings(drawings: &DrawingsMetrics) {
    let line = |name: &str, pictures: usize, errors: usize, accuracy: f64, not_sure: f64| {
        console::result(&format!(
            "{:6.2} % of {pictures} {name} read right ({errors} wrong, {:.1} % not sure)",
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

fn write_model(checkpoint: &Checkpoint, metrics: &Metrics, out: &Path) -> Result<()> {
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
    Ok(())
}
