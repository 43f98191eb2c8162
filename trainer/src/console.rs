//! Everything that is printed: results on stdout, progress on stderr.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};

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
