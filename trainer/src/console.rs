//! Everything that is printed: results on stdout, progress on stderr.

use std::io::{IsTerminal, Write};

use indicatif::{ProgressBar, ProgressStyle};

/// Prints one line of a result.
pub fn result(line: &str) {
    // A reader that has gone, as `head` does, wants no more of it: no reason to leave work undone.
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Prints one line about what is going on.
pub fn progress(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Prints figures as Katib collects them: a line for each, `name=value`.
pub fn metrics(figures: &[(&str, f64)]) {
    for (name, value) in figures {
        result(&format!("{name}={value:.6}"));
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
