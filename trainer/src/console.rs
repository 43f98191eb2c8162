//! Everything that is printed: results on stdout, progress on stderr.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};

use crate::training::run::{EpochRecord, Observer};

/// Prints one line of a result.
#[expect(clippy::print_stdout, reason = "the program's results go to stdout")]
pub fn result(line: &str) {
    println!("{line}");
}

/// Prints one line about what is going on.
#[expect(clippy::print_stderr, reason = "what is going on goes to stderr")]
pub fn progress(line: &str) {
    eprintln!("{line}");
}

/// Shows a training: a bar for the epoch on a terminal, and a line for every finished one everywhere.
#[derive(Debug)]
pub struct TrainingProgress {
    bar: ProgressBar,
    epochs: usize,
}

impl TrainingProgress {
    /// Starts to show `epochs` epochs of `pictures` pictures.
    pub fn new(epochs: usize, pictures: usize) -> Self {
        let bar = if std::io::stderr().is_terminal() {
            ProgressBar::new(pictures as u64)
        } else {
            ProgressBar::hidden()
        };
        let style = "{prefix} {bar:30} {human_pos}/{human_len} pictures, {per_sec}";
        bar.set_style(ProgressStyle::with_template(style).expect("the template is well formed"));
        bar.set_prefix(format!("epoch 1/{epochs}"));
        Self { bar, epochs }
    }
}

impl Observer for TrainingProgress {
    fn pictures(&mut self, done: usize) {
        self.bar.set_position(done as u64);
    }

    fn epoch(&mut self, record: &EpochRecord) {
        let held_out = match (record.holdout_accuracy, record.holdout_loss) {
            (Some(accuracy), Some(loss)) => {
                format!("; held out: {:.2} % right, loss {loss:.4}", 100.0 * accuracy)
            }
            _ => String::new(),
        };
        let line = format!(
            "epoch {}/{} in {:.1} s: loss {:.4}{held_out}",
            record.epoch, self.epochs, record.train_seconds, record.train_loss
        );
        self.bar.suspend(|| progress(&line));
        if record.epoch == self.epochs {
            self.bar.finish_and_clear();
        } else {
            self.bar.set_prefix(format!("epoch {}/{}", record.epoch + 1, self.epochs));
            self.bar.set_position(0);
        }
    }
}

/// Counts what is done: a bar on a terminal, nothing elsewhere.
#[derive(Debug)]
pub struct Counting(ProgressBar);

impl Counting {
    /// Starts to count `what`.
    pub fn new(what: &str) -> Self {
        let bar = if std::io::stderr().is_terminal() { ProgressBar::new(0) } else { ProgressBar::hidden() };
        let style = format!("{{bar:30}} {{human_pos}}/{{human_len}} {what}, {{eta}} left");
        bar.set_style(ProgressStyle::with_template(&style).expect("the template is well formed"));
        Self(bar)
    }

    /// So many of so many are done.
    pub fn show(&self, done: usize, total: usize) {
        self.0.set_length(total as u64);
        self.0.set_position(done as u64);
    }
}

impl Drop for Counting {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
