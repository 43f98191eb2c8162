//! `gate`.

use anyhow::{Context, Result};
use serde::Deserialize;
use storage::{Location, StorageError, Store};

use super::storage_settings;
use crate::blocking::block_on;
use crate::cli::GateArgs;
use crate::console;
use crate::metrics::Metrics;
use crate::outcome::Outcome;

/// Output parameters of `gate`.
pub(super) const GATE: &[&str] = &["decision", "reason"];
/// Largest `metrics.json` of a served model that is read, in bytes.
const LARGEST_METRICS: u64 = 16 << 20;

/// The model that the new one would replace.
#[derive(Debug, Clone, PartialEq)]
enum Served {
    /// The user gave no place to compare with.
    NotCompared,
    /// No version is published there.
    Nothing,
    /// A version without a `metrics.json`.
    Unmeasured { version: u64 },
    /// A version whose accuracy is known.
    Measured { version: u64, accuracy: f64 },
}

/// The part of a served model's `metrics.json` that is compared. Other fields may differ between trainers.
#[derive(Deserialize)]
struct Figures {
    test: TestFigures,
}

#[derive(Deserialize)]
struct TestFigures {
    accuracy: f64,
}

pub(super) fn gate(args: &GateArgs) -> Result<Outcome> {
    let accuracy = Metrics::load(&args.metrics)?.test.accuracy;
    let served = match &args.served {
        None => Served::NotCompared,
        Some(place) => {
            let location: Location = place.parse()?;
            block_on(look(&Store::open(&location, &storage_settings()?)?))?
        }
    };
    let (yes, reason) = decide(accuracy, &served, args.threshold, args.tolerance);
    console::result(&format!("{}: {reason}", if yes { "yes" } else { "no" }));
    let outcome = Outcome::default()
        .parameter("decision", yes.to_string())
        .parameter("reason", reason.clone())
        .fact("decision", yes.to_string())
        .fact("reason", reason.clone())
        .metric("accuracy", accuracy)
        .metric("threshold", args.threshold)
        .metric("tolerance", args.tolerance);
    let outcome = match served {
        Served::Measured { accuracy, .. } => outcome.metric("served_accuracy", accuracy),
        _ => outcome,
    };
    let failure = (args.fail && !yes).then(|| format!("the gate says no: {reason}"));
    Ok(Outcome { failure, ..outcome })
}

/// Finds the highest version in a model's folder, and reads its accuracy.
async fn look(store: &Store) -> Result<Served> {
    let objects = match store.list().await {
        Err(StorageError::NotFound { .. }) => return Ok(Served::Nothing),
        listed => listed?,
    };
    // `publish` writes the model last: with it, a version is complete.
    let versions =
        objects.iter().filter_map(|object| object.key.strip_suffix("/model.onnx")?.parse::<u64>().ok());
    let Some(version) = versions.max() else { return Ok(Served::Nothing) };
    let bytes = match store.read(&format!("{version}/metrics.json"), LARGEST_METRICS).await {
        Err(StorageError::NotFound { .. }) => return Ok(Served::Unmeasured { version }),
        read => read?,
    };
    let figures: Figures = serde_json::from_slice(&bytes).with_context(|| {
        let place = store.location().join(&format!("{version}/metrics.json"));
        format!(
            "{place} has no accuracy to compare with: publish that version with its metrics.json, or leave out --served"
        )
    })?;
    Ok(Served::Measured { version, accuracy: figures.test.accuracy })
}

/// Decides whether a model of this accuracy may replace the served one, and gives the reason.
fn decide(accuracy: f64, served: &Served, threshold: f64, tolerance: f64) -> (bool, String) {
    let shown = |share: f64| format!("{:.2} %", 100.0 * share);
    let enough = accuracy >= threshold; // false for NaN
    if !enough {
        let reason =
            format!("the accuracy of {} is below the threshold of {}", shown(accuracy), shown(threshold));
        return (false, reason);
    }
    let above =
        format!("the accuracy of {} is at least the threshold of {}", shown(accuracy), shown(threshold));
    match served {
        Served::NotCompared => (true, above),
        Served::Nothing => (true, format!("{above}, and nothing is served yet")),
        Served::Unmeasured { version } => {
            (true, format!("{above}; the served version {version} has no metrics.json to compare with"))
        }
        Served::Measured { version, accuracy: before } => {
            let compared = format!("the served version {version} has {}", shown(*before));
            // A difference equal to the tolerance is allowed; the addend absorbs rounding errors.
            if before - accuracy > tolerance + 1e-9 {
                let limit = shown(tolerance);
                (
                    false,
                    format!(
                        "the accuracy of {} is too low: {compared}, and at most {limit} less is allowed",
                        shown(accuracy)
                    ),
                )
            } else {
                (true, format!("{above}; {compared}, so it is not worse by more than {}", shown(tolerance)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_threshold_and_what_is_served_decide_and_the_reason_has_both() {
        let served = Served::Measured { version: 4, accuracy: 0.99 };
        let cases = [
            (0.97, Served::NotCompared, false, "97.00 % is below the threshold of 98.00 %"),
            (0.98, Served::NotCompared, true, "at least the threshold of 98.00 %"),
            (0.98, Served::Nothing, true, "nothing is served yet"),
            (0.98, Served::Unmeasured { version: 3 }, true, "the served version 3 has no metrics.json"),
            (0.988, served.clone(), true, "not worse by more than 0.20 %"),
            (0.9879, served.clone(), false, "the served version 4 has 99.00 %, and at most 0.20 % less"),
            (0.995, served.clone(), true, "version 4"),
            (0.5, served, false, "below the threshold"),
        ];
        for (accuracy, served, expected, part) in cases {
            let (yes, reason) = decide(accuracy, &served, 0.98, 0.002);
            assert_eq!(yes, expected, "{accuracy} {served:?}: {reason}");
            assert!(reason.contains(part), "{reason}");
        }
        // NaN is never enough.
        assert!(!decide(f64::NAN, &Served::Nothing, 0.98, 0.002).0);
    }
}
