//! Reads the state of a service: whether it is ready, and if not, why.

use serde_json::Value;

/// Whether the service is ready, in the controller's view of its current generation.
pub(super) fn is_ready(service: &Value) -> bool {
    // After a change, the status still describes the generation before until the controller has handled the new one.
    let seen = &service["status"]["observedGeneration"];
    let current = seen.is_null() || seen.as_i64() >= service["metadata"]["generation"].as_i64();
    current && condition(service, "Ready").is_some_and(|ready| ready["status"] == "True")
}

/// The address of the service: the one inside the cluster if there is one, else the public one.
pub(super) fn address(service: &Value) -> Option<String> {
    let status = &service["status"];
    [&status["address"]["url"], &status["url"]].into_iter().find_map(Value::as_str).map(str::to_owned)
}

/// Why a service is not ready, according to its conditions and its pods. Empty if none of them gives a reason.
pub(super) fn reasons(service: &Value, pods: &[Value]) -> Vec<String> {
    let status = &service["status"];
    let mut reasons: Vec<String> = Vec::new();
    let failure = &status["modelStatus"]["lastFailureInfo"];
    if let Some(message) = failure["message"].as_str().filter(|message| !message.is_empty()) {
        reasons.push(with_reason("the model", failure["reason"].as_str(), message));
    }
    for condition in list(&status["conditions"]) {
        // The condition Ready only repeats the others.
        let kind = condition["type"].as_str().unwrap_or_default();
        if condition["status"] != "True" && kind != "Ready" {
            let message = condition["message"].as_str().unwrap_or("not yet");
            reasons.push(with_reason(kind, condition["reason"].as_str(), message));
        }
    }
    for pod in pods {
        let name = format!("pod {}", pod["metadata"]["name"].as_str().unwrap_or_default());
        reasons.extend(of_pod(pod).into_iter().map(|reason| format!("{name}: {reason}")));
    }
    let mut seen = std::collections::BTreeSet::new();
    reasons.retain(|reason| seen.insert(reason.clone()));
    reasons
}

/// Why a pod is not running.
fn of_pod(pod: &Value) -> Vec<String> {
    let status = &pod["status"];
    let unscheduled = list(&status["conditions"])
        .filter(|condition| condition["type"] == "PodScheduled" && condition["status"] == "False")
        .map(|condition| {
            with_reason("", condition["reason"].as_str(), condition["message"].as_str().unwrap_or_default())
        });
    let containers = list(&status["initContainerStatuses"]).chain(list(&status["containerStatuses"]));
    let stopped = containers.flat_map(|container| {
        let name = container["name"].as_str().unwrap_or_default();
        let waiting = &container["state"]["waiting"];
        // A container that waits to be restarted gives its reason in the message of its last exit.
        let ended = [&container["state"]["terminated"], &container["lastState"]["terminated"]];
        let ended = ended.into_iter().find(|state| state["exitCode"].as_i64().is_some_and(|code| code != 0));
        let waiting = waiting["reason"]
            .as_str()
            .filter(|reason| !["ContainerCreating", "PodInitializing"].contains(reason))
            .map(|reason| with_reason(name, Some(reason), waiting["message"].as_str().unwrap_or_default()));
        let ended = ended.map(|state| {
            let said = state["message"].as_str().unwrap_or("see its log").trim();
            format!("{name} ended with {}: {said}", state["exitCode"])
        });
        waiting.into_iter().chain(ended)
    });
    unscheduled.chain(stopped).collect()
}

fn condition<'a>(service: &'a Value, kind: &str) -> Option<&'a Value> {
    list(&service["status"]["conditions"]).find(|condition| condition["type"] == kind)
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// A name, a reason and a message on one line, without those that are empty.
fn with_reason(name: &str, reason: Option<&str>, message: &str) -> String {
    let parts = [name, reason.unwrap_or_default(), message.trim()];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn service(ready: &str, seen: Option<i64>) -> Value {
        let mut service = json!({
            "metadata": { "generation": 3 },
            "status": { "conditions": [{ "type": "Ready", "status": ready }] }
        });
        if let Some(seen) = seen {
            service["status"]["observedGeneration"] = seen.into();
        }
        service
    }

    #[test]
    fn a_service_is_ready_when_its_newest_form_is() {
        assert!(is_ready(&service("True", Some(3))));
        assert!(is_ready(&service("True", None)));
        assert!(!is_ready(&service("True", Some(2))));
        assert!(!is_ready(&service("False", Some(3))));
        assert!(!is_ready(&service("Unknown", Some(3))));
        assert!(!is_ready(&json!({ "metadata": { "generation": 1 } })));
    }

    #[test]
    fn the_address_within_the_cluster_comes_first() {
        let both = json!({ "status": { "url": "http://out", "address": { "url": "http://in" } } });
        assert_eq!(address(&both).unwrap(), "http://in");
        assert_eq!(address(&json!({ "status": { "url": "http://out" } })).unwrap(), "http://out");
        assert_eq!(address(&json!({})), None);
    }

    #[test]
    fn conditions_and_pods_say_why() {
        let service = json!({ "status": {
            "conditions": [
                { "type": "PredictorReady", "status": "False", "reason": "RevisionFailed", "message": "no pods" },
                { "type": "IngressReady", "status": "Unknown" },
                { "type": "Ready", "status": "False", "reason": "RevisionFailed", "message": "no pods" },
                { "type": "LatestDeploymentReady", "status": "True" }
            ],
            "modelStatus": { "lastFailureInfo": { "reason": "ModelLoadFailed", "message": "no such bucket\n" } }
        } });
        let pods = [
            json!({ "metadata": { "name": "a" }, "status": { "containerStatuses": [
                { "name": "kserve-container",
                  "state": { "waiting": { "reason": "CrashLoopBackOff", "message": "back-off 10s" } },
                  "lastState": { "terminated": { "exitCode": 1, "message": "s3://x: denied\n" } } },
                { "name": "queue-proxy", "state": { "running": {} } }
            ] } }),
            json!({ "metadata": { "name": "b" }, "status": { "conditions": [
                { "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no cpu" }
            ] } }),
            json!({ "metadata": { "name": "c" }, "status": { "containerStatuses": [
                { "name": "x", "state": { "waiting": { "reason": "ContainerCreating" } } }
            ] } }),
        ];
        assert_eq!(
            reasons(&service, &pods),
            [
                "the model: ModelLoadFailed: no such bucket",
                "PredictorReady: RevisionFailed: no pods",
                "IngressReady: not yet",
                "pod a: kserve-container: CrashLoopBackOff: back-off 10s",
                "pod a: kserve-container ended with 1: s3://x: denied",
                "pod b: Unschedulable: no cpu",
            ]
        );
        assert!(reasons(&json!({}), &[]).is_empty());
    }
}
