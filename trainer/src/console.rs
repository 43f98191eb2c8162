//! Everything that is printed: results on stdout, progress on stderr.

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
