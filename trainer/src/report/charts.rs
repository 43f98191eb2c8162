//! The charts of the report.

use anyhow::Result;
use plotters::style::RGBColor;

use super::plot::{Axis, HELD_OUT, Line, Plot, TRAINING};
use crate::calibration::{Bin, Calibration};
use crate::training::run::EpochRecord;

/// Width and height of the curves over the epochs, in units of the drawing.
const CURVES: (u32, u32) = (960, 640);
/// Width and height of the reliability diagram, in units of the drawing.
const RELIABILITY: (u32, u32) = (960, 860);
/// Lower limit of the drawn values, since 0 has no logarithm.
const SMALLEST: f64 = 1e-5;
/// Curves of more epochs than this have no dots.
const MOST_DOTS: usize = 60;

/// The epochs, from 1, each with a value.
type Curve = Vec<(usize, f64)>;

/// Chart of the loss by epoch, on a logarithmic axis.
pub(super) fn loss(epochs: &[EpochRecord], chosen: usize) -> Result<String> {
    let training = epochs.iter().map(|epoch| (epoch.epoch, epoch.train_loss)).collect();
    let held_out = epochs.iter().filter_map(|epoch| Some((epoch.epoch, epoch.holdout_loss?))).collect();
    let label = |power: f64| trimmed(10_f64.powf(power));
    curves("Loss by epoch", "loss (nats)", training, held_out, chosen, &label)
}

/// Chart of the accuracy by epoch, on an axis where 90, 99 and 99.9 % are equally far apart.
///
/// On such an axis, 100 % would be infinitely far away. It is drawn as if half of one of the `held_out` pictures was
/// wrong.
pub(super) fn accuracy(epochs: &[EpochRecord], chosen: usize, held_out: usize) -> Result<String> {
    let fewest = 0.5 / held_out.max(50) as f64;
    let pictures_an_error = |accuracy: f64| 1.0 / (1.0 - accuracy).max(fewest);
    let training =
        epochs.iter().map(|epoch| (epoch.epoch, pictures_an_error(epoch.train_accuracy))).collect();
    let held_out = epochs
        .iter()
        .filter_map(|epoch| Some((epoch.epoch, pictures_an_error(epoch.holdout_accuracy?))))
        .collect();
    let label = |power: f64| format!("{} %", trimmed(100.0 * (1.0 - 10_f64.powf(-power))));
    curves("Accuracy by epoch", "accuracy", training, held_out, chosen, &label)
}

fn curves(
    name: &str,
    axis: &str,
    training: Curve,
    held_out: Curve,
    chosen: usize,
    label: &dyn Fn(f64) -> String,
) -> Result<String> {
    let lines = [line(training, TRAINING), line(held_out, HELD_OUT)];
    let places = || lines.iter().flat_map(|line| line.points.iter().map(|(place, _)| *place));
    let (low, high) = bounds(places().map(|(_, value)| value));
    let last = places().map(|(epoch, _)| epoch).fold(1.0, f64::max);
    let margin = if last > 1.0 { 0.03 * (last - 1.0) } else { 0.5 };
    let plot = Plot {
        name,
        size: CURVES,
        x: Axis {
            name: "epoch",
            range: 1.0 - margin..last + margin,
            ticks: epoch_ticks(last as usize),
            label: &|epoch| format!("{epoch:.0}"),
        },
        y: Axis { name: axis, range: low..high, ticks: ticks(low, high), label },
        guide: [(chosen as f64, low), (chosen as f64, high)],
        lines: lines.into(),
    };
    plot.svg()
}

/// A curve of the logarithms of the values, without values that are NaN.
fn line(curve: Curve, colour: RGBColor) -> Line {
    let radius = if curve.len() > MOST_DOTS { 0.0 } else { 6.0 };
    let finite = curve.into_iter().filter(|(_, value)| value.is_finite());
    let points = finite.map(|(epoch, value)| ((epoch as f64, value.max(SMALLEST).log10()), radius)).collect();
    Line { colour, joined: true, points }
}

/// Reliability diagram: accuracy against confidence, with a dot for each range of confidence. Its area grows with the
/// number of answers.
pub(super) fn reliability(calibration: &Calibration) -> Result<String> {
    let filled: Vec<&Bin> = calibration.bins.iter().filter(|bin| bin.answers > 0).collect();
    let most = filled.iter().map(|bin| bin.answers).max().unwrap_or(1) as f64;
    let point = |bin: &&Bin| {
        // The smallest dot must still be visible.
        let radius = 8.0 + 16.0 * (bin.answers as f64 / most).sqrt();
        ((bin.confidence(), bin.accuracy()), radius)
    };
    let axis = |name| Axis {
        name,
        range: -0.02..1.02,
        ticks: (0..=5).map(|fifth| f64::from(fifth) / 5.0).collect(),
        label: &|share| format!("{:.0} %", 100.0 * share),
    };
    let plot = Plot {
        name: "Accuracy by confidence",
        size: RELIABILITY,
        x: axis("confidence"),
        y: axis("accuracy"),
        guide: [(0.0, 0.0), (1.0, 1.0)],
        lines: vec![Line { colour: HELD_OUT, joined: false, points: filled.iter().map(point).collect() }],
    };
    plot.svg()
}

/// A number as text, without digits that come from rounding errors.
fn trimmed(value: f64) -> String {
    ((value * 1e6).round() / 1e6).to_string()
}

/// The lowest and highest of some logarithms, with a margin.
fn bounds(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let none = (f64::INFINITY, f64::NEG_INFINITY);
    let (low, high) = values.fold(none, |(low, high), value| (low.min(value), high.max(value)));
    if low > high {
        return (-1.0, 0.0);
    }
    // At least 0.8 of a power of ten, so that the axis has two ticks.
    let margin = (0.05 * (high - low)).max((0.8 - (high - low)) / 2.0);
    (low - margin, high + margin)
}

/// The ticks between two logarithms: the powers of ten and, unless there would be too many, 2 and 5 times these.
fn ticks(low: f64, high: f64) -> Vec<f64> {
    let steps: &[f64] = if high - low > 2.5 { &[1.0] } else { &[1.0, 2.0, 5.0] };
    let powers = low.floor() as i32..=high.ceil() as i32;
    let all = powers.flat_map(|power| steps.iter().map(move |step| f64::from(power) + step.log10()));
    all.filter(|tick| (low..=high).contains(tick)).collect()
}

/// The epochs that have a tick: the first, and multiples of a step after it.
fn epoch_ticks(last: usize) -> Vec<f64> {
    let step = [1, 2, 5, 10, 20, 50, 100].into_iter().find(|step| last / step <= 8).unwrap_or(last / 8);
    let steps = (step..=last).step_by(step).filter(|epoch| *epoch > 1);
    std::iter::once(1).chain(steps).map(|epoch| epoch as f64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(epoch: usize, loss: f64, accuracy: Option<f64>) -> EpochRecord {
        EpochRecord {
            epoch,
            learning_rate: 0.1,
            train_loss: loss,
            train_accuracy: 0.9,
            holdout_loss: accuracy.map(|_| loss),
            holdout_accuracy: accuracy,
            drawings_accuracy: None,
            train_seconds: 1.0,
        }
    }

    #[test]
    fn an_axis_holds_every_value_and_has_two_ticks_at_least() {
        for values in [vec![0.3], vec![0.3, 0.31], vec![2.5, 0.001], vec![1e-5, 7.0]] {
            let (low, high) = bounds(values.iter().map(|value: &f64| value.log10()));
            assert!(values.iter().all(|value| low < value.log10() && value.log10() < high), "{values:?}");
            assert!((2..=8).contains(&ticks(low, high).len()), "{values:?}: {:?}", ticks(low, high));
        }
        assert_eq!(bounds(std::iter::empty()), (-1.0, 0.0));
    }

    #[test]
    fn epochs_are_named_in_whole_steps() {
        assert_eq!(epoch_ticks(1), [1.0]);
        assert_eq!(epoch_ticks(3), [1.0, 2.0, 3.0]);
        assert_eq!(epoch_ticks(30), [1.0, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0]);
        assert!(epoch_ticks(10_000).len() <= 10);
    }

    #[test]
    fn missing_values_and_nan_are_left_out() -> Result<()> {
        let epochs = [record(1, f64::NAN, None), record(2, 0.5, Some(1.0)), record(3, 0.2, Some(0.99))];
        for svg in [loss(&epochs, 3)?, accuracy(&epochs, 3, 100)?] {
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
            assert!(svg.starts_with("<svg role=\"img\" aria-label=") && svg.contains("epoch"), "{svg}");
        }
        assert_eq!(loss(&epochs, 3)?.matches("<circle").count(), 2 + 2);
        assert_eq!(accuracy(&epochs, 3, 100)?.matches("<circle").count(), 3 + 2);
        assert!(accuracy(&epochs, 3, 100)?.contains("99 %") && loss(&epochs, 3)?.contains("0.2"));
        assert!(loss(&[], 0)?.contains("<svg"));
        Ok(())
    }
}
