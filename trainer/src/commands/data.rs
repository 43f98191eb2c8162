//! `fetch`, `synth` and `prepare`.

use anyhow::Result;

use super::storage_settings;
use crate::cli::{FetchArgs, PrepareArgs, SynthArgs};
use crate::data::fetch::Source;
use crate::data::{Dataset, fetch, folder, synth};
use crate::{console, files};

pub(super) fn fetch(args: &FetchArgs) -> Result<()> {
    let source = args.from.as_deref().map_or(Ok(Source::Mirrors), Source::parse)?;
    let names = fetch::fetch(&source, &args.out, !args.unverified, &storage_settings()?)?;
    console::result(&format!("{} in {}", names.join(", "), args.out.display()));
    Ok(())
}

pub(super) fn synth(args: &SynthArgs) -> Result<()> {
    let dataset = synth::draw(args.train as usize, args.test as usize, args.seed);
    for (name, bytes) in dataset.idx_files() {
        files::write(&args.out.join(name), &bytes)?;
    }
    console::result(&describe(&dataset, &format!("drawn into {}", args.out.display())));
    Ok(())
}

pub(super) fn prepare(args: &PrepareArgs) -> Result<()> {
    let dataset = folder::load(&args.data)?;
    folder::save_prepared(&dataset, &args.out)?;
    console::result(&describe(&dataset, &format!("prepared in {}", args.out.display())));
    console::result(&format!("dataset SHA-256 {}", dataset.sha256()));
    Ok(())
}

fn describe(dataset: &Dataset, what: &str) -> String {
    format!("{} training and {} test pictures {what}", dataset.train.len(), dataset.test.len())
}
