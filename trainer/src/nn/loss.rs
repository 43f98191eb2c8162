//! Softmax and cross-entropy with smoothed labels.

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

/// Cross-entropy of one row of logits against `label`, and its gradient in the logits' place.
///
/// A `label` beyond the classes is of a picture that shows none of them: its target is an even answer.
/// Otherwise the target gives `smoothing` of its mass evenly to all classes, so that the network is not driven to
/// certainty about pictures that are wrong or unreadable.
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

/// The index of the largest value; the first of equals.
pub fn largest(row: &[f32]) -> usize {
    let mut best = 0;
    for (index, value) in row.iter().enumerate() {
        if *value > row[best] {
            best = index;
        }
    }
    best
}
