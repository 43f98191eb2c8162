//! The alerts, by themselves.

use std::{collections::BTreeSet, fs, process::Command};

use deploy_tests::{
    programs::{cached, root, run},
    prometheus::metrics,
};
use serde_json::Value;

/// The rules of all groups.
fn rules() -> Vec<Value> {
    let text = fs::read_to_string(root().join("deploy/monitoring/rules.yaml")).unwrap();
    let file: Value = serde_saphyr::from_str(&text).unwrap();
    let groups = file["groups"].as_array().unwrap();
    groups.iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
}

fn text<'a>(rule: &'a Value, key: &str) -> &'a str {
    rule[key].as_str().unwrap_or_else(|| panic!("{rule} has no {key}"))
}

fn alerts() -> Vec<Value> {
    rules().into_iter().filter(|rule| rule.get("alert").is_some()).collect()
}

#[test]
fn they_fire_and_rest_as_their_tests_say() {
    let promtool = cached("prometheus", "prometheus/bin/promtool").unwrap();
    let folder = root().join("deploy/monitoring");
    let promtool = |arguments: &[&str]| run(Command::new(&promtool).args(arguments).current_dir(&folder));
    promtool(&["check", "rules", "rules.yaml"]).unwrap();
    promtool(&["test", "rules", "rules-test.yaml"]).unwrap();
}

#[test]
fn each_alert_has_a_test_in_which_it_fires_and_one_in_which_it_rests() {
    let text_of_tests = fs::read_to_string(root().join("deploy/monitoring/rules-test.yaml")).unwrap();
    let file: Value = serde_saphyr::from_str(&text_of_tests).unwrap();
    let tests = file["tests"].as_array().unwrap();
    let cases: Vec<&Value> =
        tests.iter().flat_map(|test| test["alert_rule_test"].as_array().into_iter().flatten()).collect();
    for alert in alerts() {
        let of_alert = cases.iter().filter(|case| case["alertname"] == alert["alert"]);
        let fires: BTreeSet<bool> = of_alert.map(|case| case["exp_alerts"].is_array()).collect();
        assert_eq!(fires.len(), 2, "{}: not both in rules-test.yaml", alert["alert"]);
    }
}

#[test]
fn each_alert_names_a_section_of_the_manual_that_names_the_alert() {
    let manual = fs::read_to_string(root().join("docs/operations.md")).unwrap();
    let slug = |heading: &str| heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
    for alert in alerts() {
        let name = text(&alert, "alert");
        let address = text(&alert["annotations"], "runbook_url");
        let anchor = address.strip_prefix("https://example.org/decima/operations/#");
        let anchor = anchor.unwrap_or_else(|| panic!("{name}: another address, {address}"));
        let mut lines = manual.lines().skip_while(|line| !line.starts_with('#') || slug(line) != anchor);
        assert!(lines.next().is_some(), "{name}: docs/operations.md has no section #{anchor}");
        let section = lines.take_while(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n");
        assert!(section.contains(&format!("`{name}`")), "the section #{anchor} does not name {name}");
        for annotation in ["summary", "description"] {
            text(&alert["annotations"], annotation);
        }
        assert!(["critical", "warning"].contains(&text(&alert["labels"], "severity")), "{name}");
    }
}

#[test]
fn every_metric_of_the_rules_is_documented() {
    let documented = fs::read_to_string(root().join("docs/PROTOCOL.md")).unwrap();
    let mut named = 0;
    for rule in rules() {
        for metric in metrics(text(&rule, "expr")) {
            assert!(documented.contains(&format!("`{metric}`")), "docs/PROTOCOL.md has no {metric}: {rule}");
            named += 1;
        }
    }
    assert!(named > 10, "{named}");
}
