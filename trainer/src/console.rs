//! Everything that is printed: results on stdout, progress on stderr.

use std::io::{IsTerminal, Write};

use indicatif::{ProgressBar, ProgressStyle};

/// Prints one line of a result.
pub fn result(line: &str) {
    // A closed pipe is no reason to leave work undone: the reader, such as `head`, wants no more lines.
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Prints one line about the progress of the work.
pub fn progress(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Prints metrics in the format that Katib collects: one `name=value` line each.
pub fn metrics(figures: &[(&str, f64)]) {
    for (name, value) in figures {
        result(&format!("{name}={value:.6}"));
    }
}

/// A progress bar that counts items. It is shown on a terminal only.
#[derive(Debug)]
pub struct CountBar(ProgressBar);

impl CountBar {
    /// Shows an empty bar; `what` names the items.
    pub fn new(what: &str) -> Self {
        let bar = if std::io::stderr().is_terminal() { ProgressBar::new(0) } else { ProgressBar::hidden() };
        let style = format!("{{bar:30}} {{human_pos}}/{{human_len}} {what}, {{eta}} left");
        bar.set_style(ProgressStyle::with_template(&style).expect("the template is well formed"));
        Self(bar)
    }

    /// Shows that `done` of `total` items are done.
    pub fn show(&self, done: usize, total: usize) {
        self.0.set_length(total as u64);
        self.0.set_position(done as u64);
    }
}

impl Drop for CountBar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
