//! Settings as text: the effective ones for `--print-config`, and all of them for the documentation.

use super::{
    Resolved,
    resolver::Settled,
    setting::{ALL, Fallback, Group, Setting, belongs_in_file},
};

impl Resolved {
    /// The effective configuration as a TOML file that `--config` would read, with the origin of each value
    /// beside it. It holds no secrets: keys to object stores are no settings of the server.
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
        format!("# Effective configuration of decima-server {}\n{sections}", env!("CARGO_PKG_VERSION"))
    }
}

fn members(group: Group) -> impl Iterator<Item = &'static Setting> {
    ALL.iter().copied().filter(move |setting| setting.group == group)
}

fn toml_value(settled: &Settled) -> String {
    let value = |text: &String| match text.parse::<i64>() {
        Ok(number) => toml::Value::Integer(number),
        Err(_) => toml::Value::String(without_password(text)),
    };
    match settled.texts.as_slice() {
        [text] => value(text).to_string(),
        texts => toml::Value::Array(texts.iter().map(value).collect()).to_string(),
    }
}

/// Hides what stands between the scheme and the last `@` of an address.
fn without_password(text: &str) -> String {
    match text.rsplit_once('@').and_then(|(before, after)| Some((before.split_once("://")?.0, after))) {
        Some((scheme, after)) => format!("{scheme}://***@{after}"),
        None => text.to_owned(),
    }
}

/// The table of all settings in Markdown, a section for each group: the heart of `docs/CONFIGURATION.md`.
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
