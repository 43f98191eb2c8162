//! The manifests against `KServe`'s own definitions.

use std::{collections::BTreeMap, fs};

use jsonschema::{Draft, Validator};
use serde_json::{Value, json};

use crate::workspace::{kserve_folder, manifests, yaml};

#[test]
fn manifests_follow_the_definitions_of_kserve() {
    let Some(folder) = kserve_folder() else { return };
    let mut validators = BTreeMap::new();
    for entry in fs::read_dir(folder.join("crds")).unwrap() {
        let definition = yaml(&fs::read_to_string(entry.unwrap().path()).unwrap()).remove(0);
        add_validators(&definition, &mut validators);
    }
    let mut validated = 0;
    for (file, document) in manifests() {
        let api_version = document["apiVersion"].as_str().unwrap();
        if !api_version.starts_with("serving.kserve.io/") {
            continue;
        }
        let key = format!("{api_version} {}", document["kind"].as_str().unwrap());
        let validator = validators.get(&key).unwrap_or_else(|| panic!("{file}: KServe has no {key}"));
        let problems: Vec<String> = validator
            .iter_errors(&document)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(problems.is_empty(), "{file}: {problems:#?}");
        let mut misspelt = document.clone();
        misspelt["spec"]["conatiners"] = json!([]);
        assert!(!validator.is_valid(&misspelt), "{key}: the definition lets anything through");
        validated += 1;
    }
    assert!(validated >= 10, "{validated}");
}

fn add_validators(definition: &Value, validators: &mut BTreeMap<String, Validator>) {
    let group = definition["spec"]["group"].as_str().unwrap();
    let kind = definition["spec"]["names"]["kind"].as_str().unwrap();
    for version in definition["spec"]["versions"].as_array().unwrap() {
        let mut schema = version["schema"]["openAPIV3Schema"].clone();
        close(&mut schema);
        let validator = jsonschema::options().with_draft(Draft::Draft4).build(&schema).unwrap();
        validators.insert(format!("{group}/{} {kind}", version["name"].as_str().unwrap()), validator);
    }
}

/// Refuses fields that the schema does not know, as the API server does under strict validation; it would
/// otherwise drop a misspelt field without a word.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            let is_open = fields.contains_key("additionalProperties")
                || fields.get("x-kubernetes-preserve-unknown-fields") == Some(&json!(true));
            if fields.get("properties").is_some_and(Value::is_object)
                && fields.contains_key("type")
                && !is_open
            {
                fields.insert("additionalProperties".into(), json!(false));
            }
            fields.values_mut().for_each(close);
        }
        Value::Array(schemas) => schemas.iter_mut().for_each(close),
        _ => {}
    }
}
