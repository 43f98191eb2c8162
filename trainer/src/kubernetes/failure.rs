//! Errors of a cluster, in plain words and with what to do.

use anyhow::{Error, anyhow};
use kube::config::InferConfigError;

/// The error for a missing cluster configuration.
pub(super) fn no_cluster(error: &InferConfigError) -> Error {
    anyhow!(
        "no cluster to deploy to: this is not a pod with a service account, and there is no usable kubeconfig (set \
         KUBECONFIG, or check that ~/.kube/config exists and names a current context): {error}"
    )
}

/// Explains why the API server could not be reached or refused a request; `doing` is the verb of that request.
pub(super) fn explain(error: kube::Error, doing: &str, namespace: &str, server: &str) -> Error {
    let kube::Error::Api(status) = error else {
        let cause = innermost(&error);
        return anyhow!(
            "cannot reach the cluster at {server}: {cause}; check that it is running and that the address is right"
        );
    };
    let message = status.message.trim();
    let of_namespace = status.details.as_ref().is_some_and(|details| details.kind == "namespaces");
    match status.code {
        401 => anyhow!(
            "{server} does not accept your credentials ({message}): log in again, or renew the token in the kubeconfig"
        ),
        403 => anyhow!(
            "not allowed: {message}. An administrator of {namespace} can allow it with\n  kubectl --namespace \
             {namespace} create rolebinding decima-trainer --clusterrole=kubeflow-kserve-edit \
             --serviceaccount={namespace}:ACCOUNT\n(in a profile of Kubeflow the account default-editor has this role)"
        ),
        404 if of_namespace => {
            anyhow!("there is no namespace {namespace} at {server}: create it, or correct --namespace")
        }
        404 if message.contains("inferenceservices.serving.kserve.io \"") => {
            anyhow!("the service is gone from {namespace}: somebody deleted it during the wait")
        }
        404 => anyhow!(
            "the cluster at {server} does not know InferenceServices of serving.kserve.io/v1beta1: install KServe, or \
             point KUBECONFIG to the cluster that has it"
        ),
        409 => anyhow!(
            "another field manager has set fields to other values: {message}. Overwrite them with --force-conflicts, \
             or change them where they come from"
        ),
        _ => anyhow!("the cluster refused to {doing} the service: {message}"),
    }
}

/// The innermost cause: it says what happened, the outer ones only what was tried.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    #[test]
    fn each_answer_names_the_mend() {
        let said = |code: u16, message: &str| {
            let status = Status::failure(message, "x").with_code(code).boxed();
            explain(kube::Error::Api(status), "apply", "alice", "https://c").to_string()
        };
        assert!(said(401, "Unauthorized").contains("log in again"));
        let forbidden = said(403, "User \"bob\" cannot patch resource \"inferenceservices\"");
        assert!(forbidden.contains("bob") && forbidden.contains("kubeflow-kserve-edit"), "{forbidden}");
        assert!(said(404, "404 page not found").contains("install KServe"));
        assert!(said(404, "inferenceservices.serving.kserve.io \"digits\" not found").contains("deleted"));
        assert!(said(409, "conflict with \"kubectl\": .spec").contains("--force-conflicts"));
        assert!(said(422, "spec.x: unknown").ends_with("spec.x: unknown"));
    }
}
