//! A page of Markdown about a model: its layers, training data and accuracy.

use std::fmt::Write;

use crate::metrics::Metrics;
use crate::nn::architecture::Architecture;

/// Writes the page.
pub fn markdown(architecture: &Architecture, metrics: &Metrics) -> String {
    let (test, history) = (&metrics.test, &metrics.history);
    let (recipe, data) = (&history.recipe, &metrics.dataset);
    let mut page = String::from("# Digits\n\n");
    let mut fact = |name: &str, value: String| row(&mut page, &[name, &value]);
    fact("Test accuracy", format!("{:.2} %", 100.0 * test.accuracy));
    fact("---", "---".to_owned());
    fact("Test loss", format!("{:.4}", test.loss));
    fact("Wrong", format!("{} of {}", test.errors, data.test_pictures));
    fact("Not sure", format!("{:.2} %", 100.0 * test.not_sure));
    fact("Training pictures", data.train_pictures.to_string());
    fact(
        "Epochs",
        format!("{}, of which epoch {} gave the model", history.epochs.len(), history.chosen_epoch),
    );
    fact(
        "Optimiser",
        format!(
            "{}, learning rate up to {}, seed {}",
            recipe.optimizer, recipe.peak_learning_rate, recipe.seed
        ),
    );
    fact("Data set", format!("`{}`", history.dataset_sha256));
    page.push_str("\n## Layers\n\n");
    row(&mut page, &["Layer", "Output", "Parameters"]);
    row(&mut page, &["---", "---", "---:"]);
    layers(architecture, &mut page);
    row(&mut page, &["**All**", "", &format!("**{}**", architecture.parameters())]);
    page
}

/// Adds a table row for each layer.
fn layers(architecture: &Architecture, page: &mut String) {
    row(page, &["picture", &format!("{0} × {0} × 1", architecture.side), ""]);
    for block in &architecture.blocks {
        let (conv, pooled) = (block.conv, block.pool.is_some());
        let side = if pooled { conv.side / 2 } else { conv.side };
        let layer = if pooled {
            "convolution 3 × 3, pool 2 × 2, rectifier"
        } else {
            "convolution 3 × 3, rectifier"
        };
        let parameters = (block.weights.len() + block.beta.len()).to_string();
        row(page, &[layer, &format!("{side} × {side} × {}", conv.outputs), &parameters]);
    }
    let head = architecture.head;
    let parameters = (architecture.head_weights.len() + architecture.head_bias.len()).to_string();
    row(page, &["mean over the picture", &head.inputs.to_string(), ""]);
    row(page, &["dense, softmax", &head.outputs.to_string(), &parameters]);
}

fn row(page: &mut String, cells: &[&str]) {
    writeln!(page, "| {} |", cells.join(" | ")).expect("a string takes any text");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layers_have_all_parameters() {
        let architecture = Architecture::digits();
        let mut page = String::new();
        layers(&architecture, &mut page);
        let counted: usize =
            page.lines().filter_map(|line| line.rsplit('|').nth(1)?.trim().parse::<usize>().ok()).sum();
        assert_eq!(counted, architecture.parameters());
        assert!(page.contains("| convolution 3 × 3, pool 2 × 2, rectifier | 14 × 14 × 16 | 160 |"), "{page}");
        assert!(page.contains("| dense, softmax | 10 | 650 |"), "{page}");
    }
}
