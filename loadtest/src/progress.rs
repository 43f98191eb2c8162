//! Shows progress on standard error: a bar on a terminal, else a line every few seconds.

use std::{
    io::{self, IsTerminal as _, Write as _},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

use crate::{
    recorder::Recorder,
    schedule::{Phase, Schedule},
};

/// Time between two updates of the figures.
pub const TICK: Duration = Duration::from_millis(250);

/// Time between two lines if standard error is not a terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Shows the progress of a run.
#[derive(Debug)]
pub struct Progress {
    schedule: Schedule,
    display: Display,
    last: (Instant, u64),
}

#[derive(Debug)]
enum Display {
    Bar(ProgressBar),
    Lines { next: Instant },
    Nothing,
}

impl Progress {
    /// Progress of a run with this schedule. Shows nothing if `quiet` is true.
    pub fn new(schedule: Schedule, quiet: bool) -> Self {
        let now = Instant::now();
        let display = if quiet {
            Display::Nothing
        } else if io::stderr().is_terminal() {
            let style = ProgressStyle::with_template("{bar:30} {msg}").expect("the template is a constant");
            Display::Bar(ProgressBar::new(1000).with_style(style))
        } else {
            Display::Lines { next: now + LINE_EVERY }
        };
        Self { schedule, display, last: (now, 0) }
    }

    /// Shows the figures at `elapsed` after the start.
    pub fn show(&mut self, elapsed: Duration, recorder: &Recorder) {
        let now = Instant::now();
        match &mut self.display {
            Display::Nothing => return,
            Display::Lines { next } if now < *next => return,
            Display::Lines { next } => *next = now + LINE_EVERY,
            Display::Bar(bar) => {
                bar.set_position((self.schedule.fraction(elapsed, recorder.succeeded()) * 1e3) as u64);
            }
        }
        let (since, before) = std::mem::replace(&mut self.last, (now, recorder.succeeded()));
        let rate = (recorder.succeeded() - before) as f64 / (now - since).as_secs_f64();
        let message = message(self.schedule.phase(elapsed), elapsed, rate, recorder);
        match &self.display {
            Display::Bar(bar) => bar.set_message(message),
            // If standard error is closed, progress cannot be shown.
            Display::Lines { .. } | Display::Nothing => drop(writeln!(io::stderr(), "{message}")),
        }
    }

    /// Removes the bar, before the report is written.
    pub fn finish(self) {
        if let Display::Bar(bar) = self.display {
            bar.finish_and_clear();
        }
    }
}

fn message(phase: Phase, elapsed: Duration, rate: f64, recorder: &Recorder) -> String {
    let seconds = elapsed.as_secs_f64();
    match phase {
        Phase::Warmup => format!("{seconds:.0} s: warming up"),
        Phase::Measured | Phase::Over => {
            let p99 = recorder.latency.value_at_quantile(0.99) as f64 / 1e6;
            let (answered, failed) = (recorder.succeeded(), recorder.failures.total());
            format!("{seconds:.0} s: {answered} answered, {rate:.0}/s, p99 {p99:.2} ms, {failed} failed")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recorder::Timing;

    #[test]
    fn a_line_shows_the_figures() {
        let mut recorder = Recorder::new();
        let latency = Duration::from_millis(2);
        recorder.answered(Timing { latency, send_delay: Duration::ZERO, in_window: true });
        let seconds = Duration::from_secs;
        assert_eq!(message(Phase::Warmup, seconds(1), 0.0, &recorder), "1 s: warming up");
        assert_eq!(
            message(Phase::Measured, seconds(6), 12.3, &recorder),
            "6 s: 1 answered, 12/s, p99 2.00 ms, 0 failed"
        );
    }
}
