//! Softmax, and cross-entropy with label smoothing.

/// Turns a row of logits into probabilities, in place.
pub fn softmax(row: &mut [f32]) {
    let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for value in row.iter_mut() {
        *value = (*value - largest).exp();
        sum += *value;
    }
    for value in row {
        *value /= sum;
    }
}

/// Returns the cross-entropy of one row of logits against `label`, and replaces the logits by its gradient.
///
/// A `label` outside the classes means that the picture shows none of them: its target is the uniform distribution.
/// Otherwise the target spreads `smoothing` of its mass evenly over all classes, so that wrongly labelled and
/// unreadable pictures do not make the network overconfident.
pub fn cross_entropy(row: &mut [f32], label: usize, smoothing: f32) -> f32 {
    softmax(row);
    let smoothing = if label < row.len() { smoothing } else { 1.0 };
    let even = smoothing / row.len() as f32;
    let mut loss = 0.0;
    for (class, value) in row.iter_mut().enumerate() {
        let target = if class == label { 1.0 - smoothing + even } else { even };
        loss -= target * value.max(f32::MIN_POSITIVE).ln();
        *value -= target;
    }
    loss
}

/// The index of the largest value, or of the first one among equals.
pub fn largest(row: &[f32]) -> usize {
    let mut best = 0;
    for (index, value) in row.iter().enumerate() {
        if *value > row[best] {
            best = index;
        }
    }
    best
}
