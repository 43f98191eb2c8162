//! Builds the `InferenceService` that `deploy` applies, from the manifests in `deploy/kserve` and the user's arguments.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::files;

/// The server as a custom predictor.
const BASE: &str = include_str!("../../../deploy/kserve/base/inference-service.yaml");
/// The patch that gives the server the address and keys of the object store of a Kubeflow profile.
const STORE: &str = include_str!("../../../deploy/kserve/overlays/kubeflow/store.yaml");
/// An `InferenceService` whose model KServe downloads and the cluster's runtime serves.
const BY_RUNTIME: &str = include_str!("../../../deploy/kserve/examples/storage-uri.yaml");

/// API version and kind of the object that is applied.
pub(super) const API_VERSION: &str = "serving.kserve.io/v1beta1";
pub(super) const KIND: &str = "InferenceService";

/// Where the models come from.
#[derive(Debug, Clone, Copy)]
pub enum Source<'a> {
    /// A model repository in a bucket, which the server reads itself; and the place where it stores corrections, if any.
    Models(&'a str, Option<&'a str>),
    /// One model, which KServe downloads for the cluster's runtime.
    StorageUri(&'a str),
    /// The user's own manifest.
    File(&'a Path),
}

/// Builds the manifest of an `InferenceService` called `name`.
///
/// # Errors
/// When the user's file is not an `InferenceService`, or a server in a cluster cannot read from the given place.
pub fn manifest(source: Source<'_>, name: &str, image: Option<&str>) -> Result<Value> {
    let mut service = match source {
        Source::Models(place, feedback) => {
            for (option, place) in [("models", Some(place)), ("feedback", feedback)] {
                let Some(place) = place else { continue };
                ensure!(
                    place.starts_with("s3://"),
                    "--{option} {place}: a server in the cluster reads and writes buckets: write s3://bucket/prefix, or \
                     give a manifest of your own with --manifest"
                );
            }
            let mut service = yaml(BASE)?;
            json_patch::patch(&mut service, &serde_json::from_value::<json_patch::Patch>(yaml(STORE)?)?)?;
            let args = service.pointer_mut("/spec/predictor/containers/0/args").and_then(Value::as_array_mut);
            let args = args.context("the base manifest gives the server arguments")?;
            let repository = args.iter_mut().find(|argument| {
                argument.as_str().is_some_and(|argument| argument.starts_with("--model-repository="))
            });
            *repository.context("the base manifest names a model repository")? =
                format!("--model-repository={place}").into();
            args.extend(feedback.map(|place| Value::from(format!("--feedback={place}"))));
            service
        }
        Source::StorageUri(uri) => {
            let mut service = yaml(BY_RUNTIME)?;
            service["spec"]["predictor"]["model"]["storageUri"] = uri.into();
            service
        }
        Source::File(path) => {
            let text = String::from_utf8(files::read(path)?)
                .map_err(|_| anyhow::anyhow!("{} is not text", path.display()))?;
            let service =
                yaml(&text).with_context(|| format!("{} is not a single YAML document", path.display()))?;
            if service["apiVersion"] != API_VERSION || service["kind"] != KIND {
                bail!("{} is not an {KIND} of {API_VERSION}", path.display());
            }
            service
        }
    };
    service["metadata"]["name"] = name.into();
    if let Some(image) = image {
        let container = service.pointer_mut("/spec/predictor/containers/0/image");
        *container.context("the base manifest names an image")? = image.into();
    }
    Ok(service)
}

/// A copy of the manifest with the namespace set.
pub(super) fn in_namespace(service: &Value, namespace: &str) -> Value {
    let mut service = service.clone();
    service["metadata"]["namespace"] = json!(namespace);
    service
}

fn yaml(text: &str) -> Result<Value> {
    Ok(serde_saphyr::from_str(text)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_served_by_the_base_with_the_profiles_keys() {
        let place = "s3://mlpipeline/private/alice/models";
        let service = manifest(Source::Models(place, None), "numbers", Some("registry/decima:7")).unwrap();
        assert_eq!(service["metadata"], json!({ "name": "numbers" }));
        let container = &service["spec"]["predictor"]["containers"][0];
        assert_eq!(container["image"], "registry/decima:7");
        let args = container["args"].to_string();
        assert!(
            args.contains(&format!("\"--model-repository={place}\"")) && !args.contains("NAMESPACE"),
            "{args}"
        );
        assert!(args.contains("--poll-interval"), "new versions are found: {args}");
        assert!(!args.contains("--feedback"), "corrections were not asked for: {args}");
        let key = json!({ "secretKeyRef": { "name": "mlpipeline-minio-artifact", "key": "accesskey" } });
        assert_eq!(container["env"][0], json!({ "name": "AWS_ACCESS_KEY_ID", "valueFrom": key }));
    }

    #[test]
    fn corrections_are_stored_where_that_is_said() {
        let place = "s3://mlpipeline/private/alice/models";
        let corrections = "s3://mlpipeline/private/alice/feedback";
        let service = manifest(Source::Models(place, Some(corrections)), "digits", None).unwrap();
        let args = service["spec"]["predictor"]["containers"][0]["args"].to_string();
        assert!(args.contains(&format!("\"--feedback={corrections}\"")), "{args}");
        let folder = manifest(Source::Models(place, Some("feedback")), "digits", None).unwrap_err();
        assert!(folder.to_string().contains("--feedback feedback"), "{folder}");
    }

    #[test]
    fn a_storage_uri_is_served_by_the_runtime() {
        let service = manifest(Source::StorageUri("pvc://models/digits"), "digits", None).unwrap();
        let model = &service["spec"]["predictor"]["model"];
        assert_eq!(
            (&model["storageUri"], &model["modelFormat"]["name"]),
            (&json!("pvc://models/digits"), &json!("onnx"))
        );
    }

    #[test]
    fn a_file_of_the_users_own_is_taken_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("own.yaml");
        let file = |text: &str| {
            files::write(&path, text.as_bytes()).unwrap();
            manifest(Source::File(&path), "digits", None)
        };
        let text = "apiVersion: serving.kserve.io/v1beta1\nkind: InferenceService\nmetadata: {name: x}\nspec: {a: 1}\n";
        let service = file(text).unwrap();
        assert_eq!((&service["spec"], &service["metadata"]["name"]), (&json!({ "a": 1 }), &json!("digits")));
        for (text, part) in
            [("kind: Pod\n", "is not an InferenceService"), ("a: [", "not a single YAML document")]
        {
            let error = format!("{:#}", file(text).unwrap_err());
            assert!(error.contains("own.yaml") && error.contains(part), "{error}");
        }
        assert!(
            manifest(Source::Models("models", None), "digits", None)
                .unwrap_err()
                .to_string()
                .contains("s3://")
        );
    }
}
