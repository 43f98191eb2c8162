//! The report's sections about the hyperparameters and the measurements of each epoch.

use anyhow::Result;
use maud::{Markup, html};
use serde_json::Value;

use super::tables::{scrolled, table};
use super::text::{count, duration, percent, thousands};
use crate::metrics::Metrics;
use crate::training::run::EpochRecord;

/// Titles of hyperparameters whose names in the recipe do not explain themselves.
const NAMES: [(&str, &str); 7] = [
    ("averaging", "Decay rate of the weight average"),
    ("batch", "Pictures in a batch"),
    ("chunk", "Pictures that share batch norm statistics"),
    ("holdout", "Held-out pictures"),
    ("label_smoothing", "Label smoothing"),
    ("statistics_pictures", "Pictures for the final batch norm statistics"),
    ("warm_up", "Warm-up, as a share of all steps"),
];

/// The section with all settings of the training.
pub(super) fn settings(metrics: &Metrics) -> Result<Markup> {
    let history = &metrics.history;
    let recipe = recipe(&serde_json::to_string(&history.recipe)?)?;
    Ok(html! {
        section #settings {
            h2 { "Settings" }
            dl.facts {
                dt { "Trainer" } dd { "decima-trainer " (history.trainer_version) }
                dt { "Threads" } dd { (history.threads) }
                dt { "Weights, shifts and biases" } dd { (thousands(metrics.parameters as u64)) }
                dt { "SHA-256 of the data" } dd { code { (history.dataset_sha256) } }
                @for (name, value) in recipe { dt { (name) } dd { (value) } }
            }
        }
    })
}

/// Title and value of each hyperparameter in the recipe's JSON.
fn recipe(json: &str) -> Result<Vec<(String, String)>> {
    // Through JSON text: converted directly, the f32 0.004 would become the f64 0.004000000189989805.
    let Value::Object(fields) = serde_json::from_str(json)? else { return Ok(Vec::new()) };
    Ok(fields.into_iter().map(|(name, value)| (full_name(&name), shown(&name, &value))).collect())
}

fn shown(name: &str, value: &Value) -> String {
    match value {
        // A seed is not a quantity, so it has no separators.
        Value::Number(number) if name != "seed" => number.as_u64().map_or(number.to_string(), thousands),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The title of a hyperparameter: `weight_decay` becomes "Weight decay".
fn full_name(name: &str) -> String {
    if let Some((_, full)) = NAMES.iter().find(|(short, _)| *short == name) {
        return (*full).to_owned();
    }
    let words = name.replace('_', " ");
    let mut letters = words.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

/// The table with the measurements of each epoch.
pub(super) fn epochs(epochs: &[EpochRecord], chosen: usize) -> Markup {
    const HEADINGS: [&str; 7] = [
        "Epoch",
        "Training loss",
        "Held-out loss",
        "Training accuracy",
        "Held-out accuracy",
        "Learning rate",
        "Time",
    ];
    let seconds: f64 = epochs.iter().map(|epoch| epoch.train_seconds).sum();
    let loss = |loss: Option<f64>| loss.map_or("–".to_owned(), |loss| format!("{loss:.4}"));
    let accuracy = |share: Option<f64>| share.map_or("–".to_owned(), |share| percent(share, 2));
    let rows = html! {
        @for epoch in epochs {
            tr.taken[epoch.epoch == chosen] {
                th scope="row" { (epoch.epoch) }
                td { (loss(Some(epoch.train_loss))) }
                td { (loss(epoch.holdout_loss)) }
                td { (accuracy(Some(epoch.train_accuracy))) }
                td { (accuracy(epoch.holdout_accuracy)) }
                td { (format!("{:.6}", epoch.learning_rate)) }
                td { (duration(epoch.train_seconds)) }
            }
        }
    };
    html! {
        details {
            summary { "Numbers of " (count(epochs.len(), "epoch", "epochs")) ", " (duration(seconds)) " of training" }
            (scrolled("Numbers by epoch", &table(&HEADINGS, &rows)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::training::recipe::Recipe;

    #[test]
    fn every_hyperparameter_is_shown_in_readable_form() -> Result<()> {
        let recipe_json = serde_json::to_string(&Recipe { seed: 20_261_128, ..Recipe::default() })?;
        let shown = recipe(&recipe_json)?;
        let value = |name: &str| shown.iter().find(|(found, _)| found == name).unwrap().1.clone();
        assert_eq!(value("Peak learning rate"), "0.004");
        assert_eq!(value("Pictures for the final batch norm statistics"), "6,400");
        assert_eq!(value("Weight decay"), "0.02");
        assert_eq!(value("Seed"), "20261128");
        let Value::Object(fields) = serde_json::from_str::<Value>(&recipe_json)? else { unreachable!() };
        assert_eq!(shown.len(), fields.len());
        Ok(())
    }
}
