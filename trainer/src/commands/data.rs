//! `fetch`, `synth` and `prepare`.

use anyhow::Result;

use super::storage_settings;
use crate::cli::{FetchArgs, PrepareArgs, SynthArgs};
use crate::data::fetch::Source;
use crate::data::{Dataset, fetch, folder, synth};
use crate::outcome::Outcome;
use crate::{console, files};

/// Output parameters of the commands that write a data set.
pub(super) const DATASET: &[&str] = &["dataset_version", "train_pictures", "test_pictures"];

pub(super) fn fetch(args: &FetchArgs) -> Result<Outcome> {
    // A pipeline cannot leave a parameter out, only give it as an empty string.
    let from = args.from.as_deref().filter(|place| !place.is_empty());
    let source = from.map_or(Ok(Source::Mirrors), Source::parse)?;
    let names = fetch::fetch(&source, &args.out, !args.unverified, &storage_settings()?)?;
    console::result(&format!("{} in {}", names.join(", "), args.out.display()));
    let source = from.unwrap_or("mirrors of MNIST");
    Ok(Outcome::default().fact("source", source).fact("files", names))
}

pub(super) fn synth(args: &SynthArgs) -> Result<Outcome> {
    let dataset = synth::draw(args.train as usize, args.test as usize, args.seed);
    for (name, bytes) in dataset.idx_files() {
        files::write(&args.out.join(name), &bytes)?;
    }
    console::result(&describe(&dataset, &format!("drawn into {}", args.out.display())));
    Ok(about(&dataset))
}

pub(super) fn prepare(args: &PrepareArgs) -> Result<Outcome> {
    let dataset = folder::load(&args.data)?;
    folder::save_prepared(&dataset, &args.out)?;
    console::result(&describe(&dataset, &format!("prepared in {}", args.out.display())));
    console::result(&format!("dataset SHA-256 {}", dataset.sha256()));
    Ok(about(&dataset))
}

/// The version of a data set (the SHA-256 of its content) and its numbers of pictures.
pub(super) fn about(dataset: &Dataset) -> Outcome {
    let version = dataset.sha256();
    let (train, test) = (dataset.train.len(), dataset.test.len());
    Outcome::default()
        .parameter("dataset_version", version.clone())
        .parameter("train_pictures", train)
        .parameter("test_pictures", test)
        .fact("dataset_version", version)
        .fact("train_pictures", train)
        .fact("test_pictures", test)
}

fn describe(dataset: &Dataset, what: &str) -> String {
    format!("{} training and {} test pictures {what}", dataset.train.len(), dataset.test.len())
}
