//! The agent's puller: it follows the models that a `ConfigMap` names, downloads them beside the server, and has the server
//! load and unload them.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use deploy_tests::{
    programs::{root, wait_for},
    store::{Key, Store},
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::pod::{Pod, digit, example, post};

/// Where the profile's models lie in the bucket.
const PREFIX: &str = "private/alice/models";

/// A folder that users see whom this machine does not know.
fn open_folder(parent: &Path, name: &str) -> Result<PathBuf> {
    let folder = parent.join(name);
    fs::create_dir(&folder)?;
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777))?;
    Ok(folder)
}

/// Changes a mounted `ConfigMap` as a kubelet does: a new folder, and one link that is replaced at once.
fn set_models(folder: &Path, turn: u32, models: &[&str]) -> Result<()> {
    let models: Vec<Value> = models
        .iter()
        .map(|name| {
            let uri = format!("s3://mlpipeline/{PREFIX}/{name}");
            json!({ "modelName": name, "modelSpec": { "storageUri": uri, "framework": "onnx", "memory": "64Mi" } })
        })
        .collect();
    let data = format!("..data-{turn}");
    fs::write(open_folder(folder, &data)?.join("models.json"), Value::from(models).to_string())?;
    symlink(data, folder.join("..data_tmp"))?;
    fs::rename(folder.join("..data_tmp"), folder.join("..data"))?;
    let file = folder.join("models.json");
    if !file.is_symlink() {
        symlink("..data/models.json", file)?;
    }
    Ok(())
}

/// Puts the digits into the bucket as a model of this name.
fn upload(store: &Store, key: &Key, name: &str) -> Result<()> {
    for file in ["1/model.onnx", "config.toml"] {
        store.put(key, &format!("{PREFIX}/{name}/{file}"), &root().join("models/digits").join(file))?;
    }
    Ok(())
}

/// The digit that a model sees in the example.
fn ask(url: &str, model: &str) -> Result<usize> {
    let (status, answer) = post(&format!("{url}/v2/models/{model}/infer"), &example("example.json")?)?;
    ensure!(status == 200, "{status}: {answer}");
    ensure!(answer["model_name"] == model, "{answer}");
    digit(&answer)
}

/// The models that the server has, by its own list.
fn loaded(url: &str) -> Result<Vec<String>> {
    let (_, index) = post(&format!("{url}/v2/repository/index"), &json!({ "ready": true }))?;
    let models = index.as_array().with_context(|| format!("no list: {index}"))?;
    Ok(models.iter().filter_map(|model| model["name"].as_str().map(str::to_owned)).collect())
}

#[test]
fn the_puller_downloads_loads_and_unloads_the_models_of_a_config_map() -> Result<()> {
    let folder = TempDir::new()?;
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
    let models = open_folder(folder.path(), "models")?;
    let config = open_folder(folder.path(), "configs")?;
    // as docs/MODELS.md has it for several models: there is none at the start
    let options =
        ["--model-repository", "/mnt/models", "--exit-on-error", "false", "--strict-readiness", "false"];
    let mut pod = Pod::start(&models, &options)?;
    let (store, key) = Store::start_at(&pod.machine()?, "alice")?;
    for name in ["digits", "numbers"] {
        upload(&store, &key, name)?;
    }
    set_models(&config, 0, &["digits"])?;

    let volumes =
        [format!("{}:/mnt/models", models.display()), format!("{}:/mnt/configs:ro", config.display())];
    let region =
        [("AWS_DEFAULT_REGION", "us-east-1".to_owned()), ("S3_USER_VIRTUAL_BUCKET", "false".to_owned())];
    let variables = store.variables(&key).into_iter().chain(region);
    let variables: Vec<String> = variables.map(|(name, value)| format!("--env={name}={value}")).collect();
    let mut options: Vec<&str> = volumes.iter().flat_map(|volume| ["--volume", volume]).collect();
    options.extend(variables.iter().map(String::as_str));
    let directories = ["--enable-puller", "--config-dir", "/mnt/configs", "--model-dir", "/mnt/models"];
    pod.add_agent(&options, &directories)?;

    let agent = pod.agent()?;
    let becomes = |names: &[&str]| {
        wait_for("the models of the ConfigMap", 30, || {
            let mut now = loaded(&agent)?;
            now.sort();
            ensure!(now == names, "{now:?} instead of {names:?}");
            Ok(())
        })
        .with_context(|| pod.logs())
    };
    becomes(&["digits"])?;
    assert_eq!(ask(&agent, "digits")?, 7);
    // The mark that the agent leaves in the model's folder is no part of the model.
    let marked = fs::read_dir(models.join("digits"))?.flatten();
    let mut marked = marked.map(|entry| entry.file_name().to_string_lossy().into_owned());
    assert!(marked.any(|name| name.starts_with("SUCCESS.")), "no mark");

    // One more, then the first goes: its folder first, and then the server is asked to unload it.
    set_models(&config, 1, &["digits", "numbers"])?;
    becomes(&["digits", "numbers"])?;
    assert_eq!((ask(&agent, "digits")?, ask(&agent, "numbers")?), (7, 7));
    set_models(&config, 2, &["numbers"])?;
    becomes(&["numbers"])?;
    assert!(!models.join("digits").exists());
    let (status, answer) = post(&format!("{agent}/v2/models/digits/infer"), &example("example.json")?)?;
    let error = answer["error"].as_str().context("an error")?;
    assert!(status == 503 && error.contains("unloaded"), "{status}: {answer}");
    assert_eq!(ask(&agent, "numbers")?, 7);

    // And again, by the name that it had.
    set_models(&config, 3, &["digits", "numbers"])?;
    becomes(&["digits", "numbers"])?;
    assert_eq!(ask(&agent, "digits")?, 7);
    Ok(())
}
