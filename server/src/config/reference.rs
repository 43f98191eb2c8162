//! Writes settings as text: those in force for `--print-config`, and all of them for the documentation.

use storage::Location;

use super::{
    Place, Resolved,
    fallback::Fallback,
    group::Group,
    resolver::Settled,
    setting::{Setting, belongs_in_file},
    table::ALL,
};

impl Resolved {
    /// Returns the configuration as a TOML file that `--config` would read, with the origin of each value beside it. It
    /// never shows keys to object stores: they are no settings, and an address that holds one was refused.
    pub fn to_toml(&self) -> String {
        let line = |setting: &Setting| match self
            .settled
            .iter()
            .find(|settled| settled.setting.key == setting.key)
        {
            Some(settled) => format!("{} = {} # {}\n", setting.key, toml_value(settled), settled.origin),
            None => format!("# {} is not set\n", setting.key),
        };
        let section = |group: Group| {
            let lines: String = members(group).filter(|setting| belongs_in_file(setting)).map(line).collect();
            if lines.is_empty() { lines } else { format!("\n# {}\n{lines}", group.title()) }
        };
        let sections: String = Group::ALL.map(section).concat();
        let version = env!("CARGO_PKG_VERSION");
        format!("# Effective configuration of decima-server {version}\n{sections}{}", self.store())
    }

    /// Returns how buckets are reached, as comments, since that comes from variables of the AWS SDK and of `KServe`.
    fn store(&self) -> String {
        let models = &self.config.models;
        let mut locations = models.places.iter().map(Place::location).chain(&self.config.feedback.place);
        if !locations.any(|location| matches!(location, Location::Bucket(_))) {
            return String::new();
        }
        let settings = format!("{:#?}", models.store).replace('\n', "\n# ");
        format!("\n# Object store, from the variables of the AWS SDK and of KServe\n# {settings}\n")
    }
}

fn members(group: Group) -> impl Iterator<Item = &'static Setting> {
    ALL.iter().copied().filter(move |setting| setting.group == group)
}

fn toml_value(settled: &Settled) -> String {
    let value = |text: &String| match (text.parse::<i64>(), text.parse::<bool>()) {
        (Ok(number), _) => toml::Value::Integer(number),
        (_, Ok(boolean)) => toml::Value::Boolean(boolean),
        _ => toml::Value::String(text.clone()),
    };
    match settled.texts.as_slice() {
        [text] => value(text).to_string(),
        texts => toml::Value::Array(texts.iter().map(value).collect()).to_string(),
    }
}

/// Returns the table of all settings in Markdown, with a section for each group, for `docs/CONFIGURATION.md`.
pub fn reference() -> String {
    let section = |group: Group| {
        let rows: String = members(group).map(row).collect();
        let head = "| flag | environment | file key | default | meaning |\n|---|---|---|---|---|";
        format!("### {}\n\n{head}\n{rows}", group.title())
    };
    Group::ALL.map(section).join("\n")
}

fn row(setting: &Setting) -> String {
    let code = |text: &str| format!("`{text}`");
    let flag = format!("`--{} {}`", setting.flag, setting.value);
    let environment = setting.environment.iter().map(|name| code(name)).collect::<Vec<_>>().join(", ");
    let key = if belongs_in_file(setting) { code(setting.key) } else { String::new() };
    let default = match setting.fallback {
        Fallback::Value(text) => code(text),
        fallback => fallback.text().into(),
    };
    format!("| {flag} | {environment} | {key} | {default} | {} |\n", setting.help)
}
