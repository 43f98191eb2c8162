//! Tests of the store: with a real MinIO, through a proxy that breaks connections, and on folders.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod bucket;
mod cache;
mod faults;
mod folder;
mod interrupted;
mod proxy;

use std::path::Path;

use bytes::Bytes;
use storage::Object;

/// Random bytes, so that a shifted or repeated part changes the content.
fn noise(len: usize, seed: u64) -> Bytes {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut bytes = vec![0; len];
    random.fill(&mut bytes);
    bytes.into()
}

fn keys(objects: &[Object]) -> Vec<&str> {
    objects.iter().map(|object| object.key.as_str()).collect()
}

/// The names in a folder, hidden ones included.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn quiet(_bytes: u64) {}
