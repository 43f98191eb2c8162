//! Shows the progress of a training on stderr: a line for each epoch and, on a terminal, a bar for the whole run.

use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::LogFormat;
use crate::console;
use crate::interrupt::Interrupt;
use crate::training::run::{EpochRecord, Observer};

/// Template of the progress bar.
const BAR: &str = "{prefix}  {bar:28.cyan/blue}  {percent:>3} %  {msg}";

/// Shows the progress of a training, and stops the training after Ctrl-C.
#[derive(Debug)]
pub struct TrainingProgress<'a> {
    bar: ProgressBar,
    interrupt: &'a Interrupt,
    start: Instant,
    log_format: LogFormat,
    /// Number of epochs of the whole run.
    epochs: usize,
    /// Number of pictures of an epoch.
    pictures: usize,
    /// Number of epochs that are over.
    done: usize,
}

impl<'a> TrainingProgress<'a> {
    /// Starts to show a training of `epochs` epochs of `pictures` pictures each.
    pub fn new(epochs: usize, pictures: usize, log_format: LogFormat, interrupt: &'a Interrupt) -> Self {
        let bar = if std::io::stderr().is_terminal() {
            ProgressBar::new((epochs * pictures) as u64)
        } else {
            ProgressBar::hidden()
        };
        bar.set_style(ProgressStyle::with_template(BAR).expect("the template is well formed"));
        let progress = Self { bar, interrupt, start: Instant::now(), log_format, epochs, pictures, done: 0 };
        progress.bar.set_prefix(progress.name(1));
        progress
    }

    /// An epoch's label, padded to the width of the last epoch's label.
    fn name(&self, epoch: usize) -> String {
        let width = self.epochs.to_string().len();
        format!("epoch {epoch:>width$}/{}", self.epochs)
    }

    /// Time left at the mean speed so far, or `None` before the first pictures are done.
    fn left(&self, pictures: usize) -> Option<Duration> {
        let (done, all) = (self.done * self.pictures + pictures, self.epochs * self.pictures);
        let rest = all.saturating_sub(done) as f64 / done as f64;
        (done > 0).then(|| self.start.elapsed().mul_f64(rest))
    }
}

impl Observer for TrainingProgress<'_> {
    fn pictures(&mut self, done: usize) -> ControlFlow<()> {
        self.bar.set_position((self.done * self.pictures + done) as u64);
        if let Some(left) = self.left(done) {
            let elapsed = clock(self.start.elapsed());
            self.bar.set_message(format!("{elapsed} elapsed, about {} left", clock(left)));
        }
        if self.interrupt.stop_requested() {
            self.bar.finish_and_clear();
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }

    fn epoch(&mut self, record: &EpochRecord) {
        self.done = record.epoch;
        let left = self.left(0).filter(|_| record.epoch < self.epochs);
        let line = line(&self.name(record.epoch), record, left);
        self.bar.suspend(|| match self.log_format {
            LogFormat::Text => console::progress(&line),
            LogFormat::Katib => console::metrics(&figures(record)),
        });
        if record.epoch == self.epochs {
            self.bar.finish_and_clear();
        } else {
            self.bar.set_prefix(self.name(record.epoch + 1));
        }
    }
}

/// An epoch's metrics by name, for programs.
pub fn figures(record: &EpochRecord) -> Vec<(&'static str, f64)> {
    let always = [("train_loss", record.train_loss), ("train_accuracy", record.train_accuracy)];
    let measured = [
        ("holdout_loss", record.holdout_loss),
        ("holdout_accuracy", record.holdout_accuracy),
        ("drawings_accuracy", record.drawings_accuracy),
    ];
    let measured = measured.into_iter().filter_map(|(name, value)| Some((name, value?)));
    always.into_iter().chain(measured).collect()
}

/// An epoch's metrics in aligned columns, for people.
fn line(name: &str, record: &EpochRecord, left: Option<Duration>) -> String {
    let learnt = format!("{name}  {:>6.1} s  loss {:.4}", record.train_seconds, record.train_loss);
    let held_out = match (record.holdout_accuracy, record.holdout_loss) {
        (Some(accuracy), Some(loss)) => {
            format!("  held out {:>6.2} % right, loss {loss:.4}", 100.0 * accuracy)
        }
        _ => String::new(),
    };
    let left = left.map_or(String::new(), |left| format!("  about {} left", clock(left)));
    learnt + &held_out + &left
}

/// A duration as "4:05" (minutes and seconds) or "1:04:05" (with hours).
fn clock(time: Duration) -> String {
    let seconds = time.as_secs_f64().round() as u64;
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, m, s) => format!("{m}:{s:02}"),
        (h, m, s) => format!("{h}:{m:02}:{s:02}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_on_a_clock() {
        for (seconds, text) in [(0.4, "0:00"), (65.0, "1:05"), (3_599.6, "1:00:00"), (3_845.0, "1:04:05")] {
            assert_eq!(clock(Duration::from_secs_f64(seconds)), text);
        }
    }

    #[test]
    fn lines_of_all_epochs_are_aligned() {
        let record = |epoch, accuracy| EpochRecord {
            epoch,
            learning_rate: 0.1,
            train_loss: 0.5,
            train_accuracy: 0.9,
            holdout_loss: Some(0.25),
            holdout_accuracy: Some(accuracy),
            drawings_accuracy: None,
            train_seconds: 9.25,
        };
        let left = Some(Duration::from_secs(65));
        let first = line("epoch  1/30", &record(1, 0.971), left);
        assert_eq!(
            first,
            "epoch  1/30     9.2 s  loss 0.5000  held out  97.10 % right, loss 0.2500  about 1:05 left"
        );
        assert_eq!(line("epoch 30/30", &record(30, 1.0), left).len(), first.len());
        assert!(!line("epoch 30/30", &record(30, 1.0), None).contains("left"));
        let unmeasured = EpochRecord { holdout_loss: None, holdout_accuracy: None, ..record(1, 0.0) };
        assert_eq!(line("epoch 1/1", &unmeasured, None), "epoch 1/1     9.2 s  loss 0.5000");
    }
}
