//! Files that are made of others are as they would be made now.

use std::{fs, process::Command};

use deploy_tests::{
    programs::{cached, root, run},
    prometheus::{dashboards, metrics, queries},
};
use serde_json::Value;
use tempfile::TempDir;

#[test]
fn dashboards_and_the_operator_s_alerts_are_what_the_sources_say() {
    let folder = TempDir::new().unwrap();
    let python = cached("monitoring", "venv-monitoring/bin/python").unwrap();
    let source = root().join("deploy/monitoring");
    let make = |more: &[&str]| {
        let mut script = Command::new(&python);
        script.arg(source.join("dashboards.py")).arg("--out").arg(folder.path()).args(more);
        run(script.env("PYTHONDONTWRITEBYTECODE", "1")).unwrap();
    };
    make(&[]);
    let mut names = vec!["prometheus-rule.yaml".to_owned()];
    for path in dashboards().unwrap() {
        names.push(format!("grafana/{}", path.file_name().unwrap().to_string_lossy()));
    }
    assert_eq!(fs::read_dir(folder.path().join("grafana")).unwrap().count(), names.len() - 1);
    for name in names {
        let [made, kept] =
            [folder.path(), source.as_path()].map(|folder| fs::read_to_string(folder.join(&name)).unwrap());
        assert!(made == kept, "deploy/monitoring/{name} is another: make monitoring");
    }

    // With an address of one's own, for the runbooks.
    make(&["--docs", "https://docs.example.net/decima/"]);
    let rule = fs::read_to_string(folder.path().join("prometheus-rule.yaml")).unwrap();
    assert!(
        rule.contains("runbook_url: https://docs.example.net/decima/operations/#the-queue-grows\n"),
        "{rule}"
    );
    assert!(!rule.contains("example.org"), "{rule}");
}

#[test]
fn the_operator_gets_the_same_alerts() {
    let read = |name: &str| -> Value {
        let text = fs::read_to_string(root().join("deploy/monitoring").join(name)).unwrap();
        serde_saphyr::from_str(&text).unwrap()
    };
    let (rules, rule) = (read("rules.yaml"), read("prometheus-rule.yaml"));
    assert!(rules["groups"][0]["rules"].as_array().unwrap().len() > 12);
    assert_eq!(rules["groups"], rule["spec"]["groups"]);
}

#[test]
fn every_panel_says_what_it_shows_and_asks_for_documented_metrics() {
    let documented = fs::read_to_string(root().join("docs/PROTOCOL.md")).unwrap();
    let queries = queries("1m").unwrap();
    assert!(queries.len() > 30, "{}", queries.len());
    for query in &queries {
        for metric in metrics(&query.expression) {
            assert!(
                documented.contains(&format!("`{metric}`")),
                "{}: no {metric} is documented",
                query.panel
            );
        }
    }
    // and nothing that can be seen is missing: each documented metric is asked for
    let asked =
        |metric: &str| queries.iter().any(|query| metrics(&query.expression).any(|name| name == metric));
    let section = documented.split("\n## Metrics\n").nth(1).unwrap().split("\n### ").next().unwrap();
    for name in section.lines().filter_map(|line| line.strip_prefix("| `decima_")?.split('`').next()) {
        let name = format!("decima_{name}");
        let is_for_alerts = name == "decima_runs_not_stopped_total";
        assert!(is_for_alerts || asked(&name), "no panel shows {name}");
    }
}
