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

/// What later steps may take.
pub(super) const DEPLOY: &[&str] = &["deployed", "address"];
/// The request that a new service is asked: a drawn digit.
const EXAMPLE: &str = include_str!("../../../models/digits/example.json");
/// The digit in it.
const EXAMPLE_DIGIT: usize = 7;
/// The variable with the token, where no file has it.
const TOKEN: &str = "DECIMA_TOKEN";
/// Time between two questions to a service that does not answer yet, and for one of them.
const RETRY: Duration = Duration::from_secs(2);
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
    // Before anything is changed.
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
        ask(&path, token.as_deref(), deadline)?;
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
        "the token is no token: it has characters that no header takes"
    );
    Ok(token)
}

/// Where the model is asked. The address may have a path, as Kubeflow's do.
fn predict_path(address: &str, args: &DeployArgs) -> String {
    let model = args.model.as_deref().unwrap_or(&args.name);
    let version = match args.version {
        Some(Version(Some(version))) => format!("/versions/{version}"),
        _ => String::new(),
    };
    format!("{}/v2/models/{model}{version}/infer", address.trim_end_matches('/'))
}

/// Asks a digit until the service answers.
#[expect(clippy::disallowed_methods, reason = "no runtime is at work here whose thread could be blocked")]
fn ask(path: &str, token: Option<&str>, deadline: Instant) -> Result<()> {
    let config =
        ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(REQUEST_TIMEOUT));
    let agent: ureq::Agent = config.build().into();
    let mut told = String::new();
    loop {
        let answer = match ask_once(&agent, path, token) {
            Answer::Digit(probabilities) => return say(&probabilities),
            Answer::Never(error) => return Err(error),
            Answer::NotYet(answer) => answer,
        };
        ensure!(
            Instant::now() + RETRY < deadline,
            "the service is ready, but does not answer at {path}: {answer}. From outside the cluster its address may \
             not be known: give the one that leads there with --address, or do without with --no-request"
        );
        if answer != told {
            console::progress(&format!("{path}: {answer}; asking again"));
            told = answer;
        }
        std::thread::sleep(RETRY);
    }
}

/// What came of one question.
enum Answer {
    /// A probability for each digit.
    Digit(Vec<f64>),
    /// Something that time may mend: a new version that is still loaded, a route that is still made.
    NotYet(String),
    /// Something that time does not mend.
    Never(anyhow::Error),
}

fn ask_once(agent: &ureq::Agent, path: &str, token: Option<&str>) -> Answer {
    let request = agent.post(path).header("Content-Type", "application/json");
    let request = match token {
        Some(token) => request.header("Authorization", format!("Bearer {token}")),
        None => request,
    };
    let mut response = match request.send(EXAMPLE) {
        Ok(response) => response,
        Err(error @ (ureq::Error::BadUri(_) | ureq::Error::Http(_))) => {
            return Answer::Never(anyhow!("{path} is no address: {error}"));
        }
        Err(error) => return Answer::NotYet(error.to_string()),
    };
    let status = response.status().as_u16();
    let body = response.body_mut().read_to_string().unwrap_or_default();
    match status {
        200 => match probabilities(&body) {
            Some(probabilities) => Answer::Digit(probabilities),
            None => Answer::Never(anyhow!(
                "{path} answers something else than ten probabilities: {}",
                short(&body)
            )),
        },
        // The mesh refuses, not the server, which asks for no token.
        401 | 403 | 302 => Answer::Never(anyhow!(
            "{path} refuses the request ({status} {}): {}",
            short(&body),
            if token.is_some() {
                "the mesh admits the token only where an AuthorizationPolicy allows its account \
                 (deploy/kserve/overlays/kubeflow/authorization-policy.yaml)"
            } else {
                "the mesh wants a token: give one with --token-file or in DECIMA_TOKEN"
            }
        )),
        _ => Answer::NotYet(format!("{status} {}", short(&body))),
    }
}

/// The answer's ten probabilities.
fn probabilities(body: &str) -> Option<Vec<f64>> {
    let answer: Value = serde_json::from_str(body).ok()?;
    let outputs = answer["outputs"].as_array()?;
    let lists = outputs.iter().filter_map(|output| {
        output["data"].as_array()?.iter().map(Value::as_f64).collect::<Option<Vec<f64>>>()
    });
    lists.into_iter().find(|list| list.len() == 10)
}

fn say(probabilities: &[f64]) -> Result<()> {
    let best = (0..probabilities.len()).max_by(|a, b| probabilities[*a].total_cmp(&probabilities[*b]));
    let digit = best.context("ten probabilities have a highest one")?;
    console::result(&format!(
        "asked for a {EXAMPLE_DIGIT}, it answers {digit} ({:.1} %)",
        100.0 * probabilities[digit]
    ));
    Ok(())
}

/// The beginning of a body, in one line.
fn short(body: &str) -> String {
    body.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(200).collect()
}
