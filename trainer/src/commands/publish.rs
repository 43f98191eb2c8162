//! `publish`.

use std::path::Path;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use storage::{Location, Settings, StorageError, Store};

use super::storage_settings;
use crate::blocking::block_on;
use crate::cli::PublishArgs;
use crate::outcome::Outcome;
use crate::{console, files};

/// The `config.toml` that is written when the repository has none for the model.
const CONFIG: &str = r#"labels = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]

[image]
preprocess = "mnist"
"#;
const CONFIG_NAME: &str = "config.toml";
/// Largest `config.toml` that is read from a repository, in bytes.
const LARGEST_CONFIG: u64 = 1 << 20;

/// Output parameters of `publish`.
pub(super) const PUBLISH: &[&str] = &["published", "version", "place"];

pub(super) fn publish(args: &PublishArgs) -> Result<Outcome> {
    if !args.gate {
        console::result("not published: the gate said no");
        return Ok(outcome("false", String::new(), String::new()));
    }
    model(&args.model, &args.to, args.version)
}

/// Publishes a model, with the `metrics.json` from the same folder if there is one.
pub(super) fn model(model: &Path, to: &str, version: Option<u64>) -> Result<Outcome> {
    let location: Location = to.parse()?;
    let mut content = vec![("model.onnx", Bytes::from(files::read_made_by("export", model)?))];
    let metrics = model.with_file_name("metrics.json");
    if metrics.is_file() {
        content.push(("metrics.json", files::read(&metrics)?.into()));
    }
    let settings = storage_settings()?;
    let version = block_on(async {
        let store = Store::open(&location, &settings)?;
        let version = match version {
            Some(version) => version,
            None => store.next_version().await?,
        };
        add_config(&store, &settings).await?;
        store.publish(&version.to_string(), &content).await?;
        anyhow::Ok(version)
    })?;
    let place = location.join(&version.to_string());
    console::result(&format!("published {} as {place}", model.display()));
    Ok(outcome("true", version.to_string(), place.to_string()))
}

fn outcome(published: &str, version: String, place: String) -> Outcome {
    Outcome::default()
        .parameter("published", published)
        .parameter("version", version)
        .parameter("place", place)
}

/// Writes the model's `config.toml` if there is none. It comes before the version, so that a server which sees the
/// version also sees its settings.
async fn add_config(store: &Store, settings: &Settings) -> Result<()> {
    match store.read(CONFIG_NAME, LARGEST_CONFIG).await {
        Ok(_) => return Ok(()),
        Err(StorageError::NotFound { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    match store.location() {
        Location::Folder(folder) => write_config(folder),
        Location::Bucket(bucket) => {
            let Some((parent, model)) = bucket
                .prefix
                .rsplit_once('/')
                .or(Some(("", &bucket.prefix)))
                .filter(|(_, model)| !model.is_empty())
            else {
                bail!(
                    "{} is a whole bucket: give the model's folder in it, such as s3://{}/digits",
                    store.location(),
                    bucket.name
                );
            };
            let parent = storage::Bucket { prefix: parent.to_owned(), ..bucket.clone() };
            let parent = Store::open(&Location::Bucket(parent), settings)?;
            parent.publish(model, &[(CONFIG_NAME, Bytes::from_static(CONFIG.as_bytes()))]).await?;
            Ok(())
        }
    }
}

fn write_config(folder: &Path) -> Result<()> {
    files::write(&folder.join(CONFIG_NAME), CONFIG.as_bytes()).context("the model needs its settings")
}
