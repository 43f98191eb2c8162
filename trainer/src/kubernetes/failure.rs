//! What a cluster answered, in plain words with the mend.

use anyhow::{Error, anyhow};
use kube::config::InferConfigError;

/// Why there is no cluster to speak to.
pub(super) fn no_cluster(error: &InferConfigError) -> Error {
    anyhow!(
        "no cluster to deploy to: this is no pod with a service account, and there is no kubeconfig that can be used \
         (set KUBECONFIG, or see that ~/.kube/config is there and names a current context): {error}"
    )
}

/// Why the API server did not do what was asked.
pub(super) fn explain(error: kube::Error, doing: &str, namespace: &str, server: &str) -> Error {
    let kube::Error::Api(status) = error else {
        let cause = innermost(&error);
        return anyhow!(
            "cannot reach the cluster at {server}: {cause}; check that it runs and that the address is right"
        );
    };
    let message = status.message.trim();
    let of_namespace = status.details.as_ref().is_some_and(|details| details.kind == "namespaces");
    match status.code {
        401 => anyhow!(
            "{server} does not accept who asks ({message}): log in again, or renew the token of the kubeconfig"
        ),
        403 => anyhow!(
            "not allowed: {message}. Whoever administers {namespace} can allow it with\n  kubectl --namespace \
             {namespace} create rolebinding decima-trainer --clusterrole=kubeflow-kserve-edit \
             --serviceaccount={namespace}:ACCOUNT\n(in a profile of Kubeflow the account default-editor has this role)"
        ),
        404 if of_namespace => {
            anyhow!("there is no namespace {namespace} at {server}: make it, or correct --namespace")
        }
        404 if message.contains("inferenceservices.serving.kserve.io \"") => {
            anyhow!("the service is gone from {namespace}: somebody deleted it while it was waited for")
        }
        404 => anyhow!(
            "the cluster at {server} does not know InferenceServices of serving.kserve.io/v1beta1: install KServe, or \
             point KUBECONFIG to the cluster that has it"
        ),
        409 => anyhow!(
            "somebody else has set fields that differ: {message}. Take them over with --force-conflicts, or change \
             the service where it comes from"
        ),
        _ => anyhow!("the cluster refused to {doing} the service: {message}"),
    }
}

/// The innermost cause, which says what happened and not what was tried.
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
