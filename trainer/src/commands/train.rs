//! `train`, `evaluate`, `export` and `run`.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

use super::storage_settings;
use crate::checkpoint::{Checkpoint, History};
use crate::cli::{EvaluateArgs, ExportArgs, RecipeArgs, RunArgs, TrainArgs};
use crate::console::{self, TrainingProgress};
use crate::data::fetch::{self, Source};
use crate::data::{Dataset, folder};
use crate::metrics::Metrics;
use crate::onnx::export::{Metadata, encode};
use crate::training::recipe::Recipe;
use crate::{evaluate as measure, files, report, training};

const WEIGHTS: &str = "weights.safetensors";
const METRICS: &str = "metrics.json";
const REPORT: &str = "report.html";
const MODEL: &str = "model.onnx";

pub(super) fn train(args: &TrainArgs) -> Result<()> {
    let dataset = folder::load_prepared(&args.data)?;
    let checkpoint = learn(&dataset, &args.recipe)?;
    let path = args.out.join(WEIGHTS);
    checkpoint.save(&path)?;
    console::result(&format!("trained; weights in {}", path.display()));
    Ok(())
}

pub(super) fn evaluate(args: &EvaluateArgs) -> Result<()> {
    let dataset = folder::load_prepared(&args.data)?;
    let checkpoint = Checkpoint::load(&args.weights)?;
    let trained_on = &checkpoint.history.dataset_sha256;
    ensure!(
        *trained_on == dataset.sha256(),
        "{} was trained on another dataset (SHA-256 {trained_on}) than {} holds: its test pictures may be \
         among those",
        args.weights.display(),
        args.data.display()
    );
    test(&checkpoint, &dataset, &args.out).map(drop)
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
    let checkpoint = learn(&dataset, &args.recipe)?;
    checkpoint.save(&args.out.join(WEIGHTS))?;
    let metrics = test(&checkpoint, &dataset, &args.out)?;
    write_model(&checkpoint, &metrics, &args.out)
}

fn learn(dataset: &Dataset, args: &RecipeArgs) -> Result<Checkpoint> {
    let threads = threads(args)?;
    let defaults = Recipe::default();
    // Small sets (drawn ones, for tests) keep nine tenths to learn from.
    let holdout = args.holdout.map_or(defaults.holdout.min(dataset.train.len() / 10), |n| n as usize);
    let recipe = Recipe { epochs: args.epochs as usize, seed: args.seed, holdout, ..defaults };
    let learning_from = dataset.train.len().saturating_sub(holdout);
    console::progress(&format!("training on {learning_from} pictures with {threads} threads"));
    let mut progress = TrainingProgress::new(recipe.epochs, learning_from);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    let trained = pool.install(|| training::run::train(&dataset.train, &recipe, &mut progress))?;
    let history = History {
        trainer_version: env!("CARGO_PKG_VERSION").to_owned(),
        dataset_sha256: dataset.sha256(),
        recipe,
        chosen_epoch: trained.chosen_epoch,
        temperature: trained.temperature,
        threads,
        epochs: trained.epochs,
    };
    Ok(Checkpoint { folded: trained.folded, history })
}

fn threads(args: &RecipeArgs) -> Result<usize> {
    match args.threads {
        Some(threads) => Ok(threads as usize),
        None => Ok(std::thread::available_parallelism()?.get()),
    }
}

/// Reads the test set, once, and writes what came of it.
fn test(checkpoint: &Checkpoint, dataset: &Dataset, out: &Path) -> Result<Metrics> {
    let indices: Vec<u32> = (0..dataset.test.len() as u32).collect();
    let answers = measure::answers(&checkpoint.folded, &dataset.test, &indices);
    let parameters = checkpoint.folded.parameters.len();
    let metrics = Metrics::new(checkpoint.history.clone(), parameters, dataset, &answers);
    metrics.save(&out.join(METRICS))?;
    files::write(&out.join(REPORT), report::html(&metrics, &dataset.test, &answers)?.as_bytes())?;
    console::result(&format!(
        "{:.2} % of {} test pictures read right ({} wrong); report in {}",
        100.0 * metrics.test.accuracy,
        answers.len(),
        metrics.test.errors,
        out.join(REPORT).display()
    ));
    Ok(metrics)
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
