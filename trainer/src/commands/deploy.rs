//! `deploy`.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde_json::Value;

use crate::blocking::block_on;
use crate::cli::{DeployArgs, Version};
use crate::console;
use crate::kubernetes::{Cluster, Source, manifest};
use crate::outcome::Outcome;

/// Output parameters of `deploy`.
pub(super) const DEPLOY: &[&str] = &["deployed", "address"];
/// The test request: a drawn digit.
const EXAMPLE: &str = include_str!("../../../models/digits/example.json");
/// The digit in the test request.
const EXAMPLE_DIGIT: usize = 7;
/// Environment variable with the bearer token, read when no `--token-file` is given.
const TOKEN: &str = "DECIMA_TOKEN";
/// Time between two test requests to a service that does not answer yet.
const RETRY: Duration = Duration::from_secs(2);
/// Time limit of one test request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) fn deploy(args: &DeployArgs) -> Result<Outcome> {
    if !args.gate {
        console::result("not deployed: the gate said no");
        return Ok(outcome(false, ""));
    }
    let source = match (&args.models, &args.storage_uri, &args.manifest) {
        (Some(place), ..) => Source::Models(place, args.feedback.as_deref()),
        (_, Some(uri), _) => Source::StorageUri(uri),
        (.., Some(file)) => Source::File(file),
        _ => bail!("nothing to serve: give --models, --storage-uri or --manifest"),
    };
    let mut service = manifest(source, &args.name, args.image.as_deref())?;
    if args.dry_run {
        if let Some(namespace) = &args.namespace {
            service["metadata"]["namespace"] = namespace.as_str().into();
        }
        console::result(serde_saphyr::to_string(&service)?.trim_end());
        return Ok(outcome(false, ""));
    }
    // A bad token is reported before anything is changed in the cluster.
    let token = token(args)?;
    let deadline = Instant::now() + args.timeout;
    let address = block_on(async {
        let cluster = Cluster::find(args.namespace.as_deref()).await?;
        cluster.apply(&service, args.force_conflicts).await?;
        console::progress(&format!(
            "applied {}/{}; waiting until it is ready",
            cluster.namespace(),
            args.name
        ));
        let address = cluster.wait_until_ready(&args.name, deadline).await?;
        console::result(&format!("{}/{} is ready", cluster.namespace(), args.name));
        anyhow::Ok(address)
    })?;
    let address = args.address.clone().or(address);
    let address = address.context("the service is ready, but has no address: see its status.address.url")?;
    let path = predict_path(&address, args);
    if !args.no_request {
        send_test_digit(&path, token.as_deref(), deadline)?;
    }
    console::result(&format!("predict at {path}"));
    Ok(outcome(true, &path))
}

fn outcome(deployed: bool, address: &str) -> Outcome {
    Outcome::default().parameter("deployed", deployed.to_string()).parameter("address", address)
}

fn token(args: &DeployArgs) -> Result<Option<String>> {
    let token = match &args.token_file {
        Some(file) => Some(fs::read_to_string(file).with_context(|| {
            format!("cannot read the token in {}: give another --token-file", file.display())
        })?),
        None => std::env::var(TOKEN).ok(),
    };
    let token = token.map(|token| token.trim().to_owned()).filter(|token| !token.is_empty());
    ensure!(
        token.as_ref().is_none_or(|token| token.bytes().all(|byte| byte.is_ascii_graphic())),
        "the token has characters that are not allowed in an HTTP header: give a bearer token in visible ASCII"
    );
    Ok(token)
}

/// The address of the model's `infer` endpoint. The service's own address may have a path, as in Kubeflow.
fn predict_path(address: &str, args: &DeployArgs) -> String {
    let model = args.model.as_deref().unwrap_or(&args.name);
    let version = match args.version {
        Some(Version(Some(version))) => format!("/versions/{version}"),
        _ => String::new(),
    };
    format!("{}/v2/models/{model}{version}/infer", address.trim_end_matches('/'))
}

/// Sends the test digit until the service answers.
#[expect(clippy::disallowed_methods, reason = "called outside any async runtime, so that blocking is fine")]
fn send_test_digit(path: &str, token: Option<&str>, deadline: Instant) -> Result<()> {
    let config =
        ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(REQUEST_TIMEOUT));
    let agent: ureq::Agent = config.build().into();
    let mut told = String::new();
    loop {
        let answer = match try_test_digit(&agent, path, token) {
            Attempt::Answered(probabilities) => return print_answer(&probabilities),
            Attempt::Failed(error) => return Err(error),
            Attempt::Retry(answer) => answer,
        };
        ensure!(
            Instant::now() + RETRY < deadline,
            "the service is ready, but does not answer at {path}: {answer}. This address may not be reachable from \
             outside the cluster: give one that is with --address, or skip the test request with --no-request"
        );
        if answer != told {
            console::progress(&format!("{path}: {answer}; trying again"));
            told = answer;
        }
        std::thread::sleep(RETRY);
    }
}

/// The result of one test request.
enum Attempt {
    /// The service answered with a probability for each digit.
    Answered(Vec<f64>),
    /// The service does not answer yet: it is still loading a version, or its route is not up. Holds what it said.
    Retry(String),
    /// The request failed in a way that a retry does not change.
    Failed(anyhow::Error),
}

fn try_test_digit(agent: &ureq::Agent, path: &str, token: Option<&str>) -> Attempt {
    let request = agent.post(path).header("Content-Type", "application/json");
    let request = match token {
        Some(token) => request.header("Authorization", format!("Bearer {token}")),
        None => request,
    };
    let mut response = match request.send(EXAMPLE) {
        Ok(response) => response,
        Err(error @ (ureq::Error::BadUri(_) | ureq::Error::Http(_))) => {
            return Attempt::Failed(anyhow!("{path} is not a valid address: {error}"));
        }
        Err(error) => return Attempt::Retry(error.to_string()),
    };
    let status = response.status().as_u16();
    let body = response.body_mut().read_to_string().unwrap_or_default();
    match status {
        200 => match probabilities(&body) {
            Some(probabilities) => Attempt::Answered(probabilities),
            None => {
                Attempt::Failed(anyhow!("{path} answered, but not with ten probabilities: {}", short(&body)))
            }
        },
        // The service mesh (Istio) sends these. The server itself never asks for a token.
        401 | 403 | 302 => Attempt::Failed(anyhow!(
            "{path} refuses the request ({status} {}): {}",
            short(&body),
            if token.is_some() {
                "the service mesh accepts this token only if an AuthorizationPolicy allows its service account \
                 (deploy/kserve/overlays/kubeflow/authorization-policy.yaml)"
            } else {
                "the service mesh requires a token: give one with --token-file or in DECIMA_TOKEN"
            }
        )),
        _ => Attempt::Retry(format!("{status} {}", short(&body))),
    }
}

/// The ten probabilities in a response body.
fn probabilities(body: &str) -> Option<Vec<f64>> {
    let answer: Value = serde_json::from_str(body).ok()?;
    let outputs = answer["outputs"].as_array()?;
    let lists = outputs.iter().filter_map(|output| {
        output["data"].as_array()?.iter().map(Value::as_f64).collect::<Option<Vec<f64>>>()
    });
    lists.into_iter().find(|list| list.len() == 10)
}

fn print_answer(probabilities: &[f64]) -> Result<()> {
    let best = (0..probabilities.len()).max_by(|a, b| probabilities[*a].total_cmp(&probabilities[*b]));
    let digit = best.context("ten probabilities have a highest one")?;
    console::result(&format!(
        "sent a {EXAMPLE_DIGIT}, answered {digit} ({:.1} %)",
        100.0 * probabilities[digit]
    ));
    Ok(())
}

/// The first 200 characters of a body, on one line.
fn short(body: &str) -> String {
    body.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(200).collect()
}
