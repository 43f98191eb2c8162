//! Prometheus, what Grafana's dashboards ask it, and what it answers.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::programs::root;

/// A panel's query, as Grafana sends it.
#[derive(Clone, Debug)]
pub struct Query {
    /// The dashboard and the panel.
    pub panel: String,
    /// With every variable replaced.
    pub expression: String,
}

/// The dashboards' files.
///
/// # Errors
///
/// There are none.
pub fn dashboards() -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(root().join("deploy/monitoring/grafana"))?;
    let paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    let mut files: Vec<PathBuf> =
        paths.into_iter().filter(|path| path.extension().is_some_and(|end| end == "json")).collect();
    files.sort();
    ensure!(!files.is_empty(), "deploy/monitoring/grafana has no dashboard");
    Ok(files)
}

/// Every query of every panel, where Grafana looks at all jobs and models. `interval` is what rates are taken over.
///
/// # Errors
///
/// A dashboard is not one.
pub fn queries(interval: &str) -> Result<Vec<Query>> {
    let mut queries = Vec::new();
    for file in dashboards()? {
        let board: Value = serde_json::from_str(&fs::read_to_string(&file)?)?;
        for panel in board["panels"].as_array().context("no panels")? {
            let title = panel["title"].as_str().context("a panel without a title")?;
            let panel_name = format!("{}, {title}", file.display());
            for target in panel["targets"].as_array().context("a panel without queries")? {
                let text = target["expr"].as_str().with_context(|| format!("{panel_name}: no query"))?;
                let expression =
                    text.replace("$__rate_interval", interval).replace("$job", ".+").replace("$model", ".+");
                ensure!(!expression.contains('$'), "{panel_name}: an unknown variable in {text}");
                queries.push(Query { panel: panel_name.clone(), expression });
            }
        }
    }
    Ok(queries)
}

/// Names of the metrics in an expression, without what Prometheus adds for the series of a histogram. Recorded series,
/// which have colons, are not metrics.
pub fn metrics(expression: &str) -> impl Iterator<Item = &str> {
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let words = expression.split(move |c| !is_of_name(c));
    words.filter(|word| word.starts_with("decima_") || word.starts_with("process_")).map(|series| {
        let ends = ["_count", "_sum", "_bucket"];
        ends.into_iter().find_map(|end| series.strip_suffix(end)).unwrap_or(series)
    })
}

/// GET of JSON.
///
/// # Errors
///
/// There is no answer of JSON.
pub fn get(url: &str) -> Result<Value> {
    let mut answer = ureq::get(url).call().with_context(|| url.to_owned())?;
    Ok(serde_json::from_str(&answer.body_mut().read_to_string()?)?)
}

/// The series that Prometheus answers a query with.
///
/// # Errors
///
/// It is not a query.
pub fn query(prometheus: &str, query: &str) -> Result<Vec<Value>> {
    let request = ureq::get(format!("{prometheus}/api/v1/query")).query("query", query);
    let mut answer = request.call().with_context(|| query.to_owned())?;
    let answer: Value = serde_json::from_str(&answer.body_mut().read_to_string()?)?;
    ensure!(answer["status"] == "success", "{query}: {answer}");
    Ok(serde_json::from_value(answer["data"]["result"].clone())?)
}
