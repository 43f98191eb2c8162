//! A check for values that Kubeflow Pipelines would refuse.

use anyhow::{Result, bail};
use serde_json::Value;

/// Refuses `null` and names its path. A number that is not finite (NaN, infinity) becomes `null` in JSON.
pub(super) fn no_nulls(value: &Value, path: &str) -> Result<()> {
    match value {
        Value::Null => bail!("{path} is null or not a finite number, which Kubeflow Pipelines refuses"),
        Value::Array(values) => values
            .iter()
            .enumerate()
            .try_for_each(|(index, value)| no_nulls(value, &format!("{path}[{index}]"))),
        Value::Object(fields) => fields.iter().try_for_each(|(name, value)| {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            no_nulls(value, &path)
        }),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}
