//! The configuration file: TOML with the settings under their keys, and nothing else.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use toml::Value;

use super::{error::ConfigError, setting::belongs_in_file, table::ALL};

/// A configuration file that was read. Every key in it is known.
#[derive(Debug, Clone)]
pub struct File {
    pub(super) path: PathBuf,
    pub(super) values: BTreeMap<String, Vec<String>>,
}

impl File {
    /// Reads a file.
    ///
    /// # Errors
    /// The file cannot be read, is not TOML, or has keys that are not known. All of them are named.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            ConfigError::new(vec![format!("cannot read the configuration file {}: {error}", path.display())])
        })?;
        Self::parse(path, &text)
    }

    /// Parses the text of a file. Errors call the file `path`.
    ///
    /// # Errors
    /// As [`File::read`].
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
            ConfigError::new(vec![format!(
                "{} is not TOML: {}",
                path.display(),
                error.to_string().trim_end()
            )])
        })?;
        let mut values = BTreeMap::new();
        let mut problems = Vec::new();
        for (key, value) in table {
            let known = ALL.iter().any(|setting| belongs_in_file(setting) && setting.key == key);
            match texts(&value) {
                _ if !known => problems
                    .push(format!("{}: unknown key {key}; --print-config shows every key", path.display())),
                Some(texts) => drop(values.insert(key, texts)),
                None => problems.push(format!(
                    "{}: {key} must be a string, a number, true, false or a list of strings",
                    path.display()
                )),
            }
        }
        if problems.is_empty() {
            Ok(Self { path: path.to_owned(), values })
        } else {
            Err(ConfigError::new(problems))
        }
    }
}

fn texts(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::String(text) => Some(vec![text.clone()]),
        Value::Integer(number) => Some(vec![number.to_string()]),
        Value::Float(number) => Some(vec![number.to_string()]),
        Value::Array(items) => items.iter().map(|item| item.as_str().map(str::to_owned)).collect(),
        Value::Boolean(boolean) => Some(vec![boolean.to_string()]),
        Value::Datetime(_) | Value::Table(_) => None,
    }
}
