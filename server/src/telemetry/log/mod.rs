//! The log: one line per event on standard error, as text for people or as JSON for programs.
//!
//! Every line inside the span `request` has its `request_id`.

mod fields;

use std::{
    io::{self, IsTerminal, Write},
    panic::PanicHookInfo,
};

use tracing::Subscriber;
use tracing_subscriber::{
    EnvFilter, Layer, Registry, fmt,
    fmt::MakeWriter,
    layer::SubscriberExt,
    util::{SubscriberInitExt, TryInitError},
};

use crate::{
    config::{Log, LogFormat},
    platform::environment::Environment,
};

/// Sets up the log of the process, and logs panics there.
///
/// # Errors
/// The process has a log already.
pub fn init(log: &Log, environment: &Environment) -> Result<(), TryInitError> {
    let colours = io::stderr().is_terminal() && wants_colours(environment);
    subscriber(log, io::stderr, colours).try_init()?;
    std::panic::set_hook(Box::new(log_panic));
    Ok(())
}

/// Returns whether a terminal should be sent colours: unless `NO_COLOR` has any value (no-color.org), or the terminal says
/// that it has none.
fn wants_colours(environment: &Environment) -> bool {
    let is_refused = environment.get("NO_COLOR").is_some_and(|value| !value.is_empty());
    !is_refused && environment.get("TERM") != Some("dumb")
}

/// Makes the subscriber that writes events as lines to `writer`.
fn subscriber<W>(log: &Log, writer: W, colours: bool) -> impl Subscriber + Send + Sync + 'static
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = match log.format {
        LogFormat::Text => fmt::layer().with_ansi(colours).with_writer(OneLine { writer, colours }).boxed(),
        LogFormat::Json => {
            let json = fmt::layer().json().flatten_event(true).with_span_list(false).with_writer(writer);
            json.fmt_fields(fields::JsonMembers).boxed()
        }
    };
    Registry::default().with(EnvFilter::new(&log.filter)).with(lines)
}

/// Logs a panic as one line.
fn log_panic(info: &PanicHookInfo<'_>) {
    let location = info.location().map(ToString::to_string).unwrap_or_default();
    let reason = info.payload_as_str().unwrap_or("no message");
    tracing::error!(location, "panicked: {reason}");
}

/// Escapes line breaks and other control characters inside an event, such as those in a library's error or in what a
/// client sent. So each event is one line, and moves no cursor. The formatter writes each event with one call.
struct OneLine<W> {
    writer: W,
    /// Whether the formatter colours events, so that its sequences for colours stay.
    colours: bool,
}

impl<'a, M: MakeWriter<'a>> MakeWriter<'a> for OneLine<M> {
    type Writer = OneLine<M::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        OneLine { writer: self.writer.make_writer(), colours: self.colours }
    }
}

impl<W: Write> Write for OneLine<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = event.strip_suffix(b"\n").unwrap_or(event);
        let mut rest = text;
        while let Some(at) = rest.iter().position(|byte| is_control(*byte)) {
            let (before, control) = rest.split_at(at);
            self.writer.write_all(before)?;
            let colour = if self.colours { colour_sequence(control) } else { 0 };
            if colour > 0 {
                self.writer.write_all(&control[..colour])?;
            } else {
                self.writer.write_all(control[0].escape_ascii().to_string().as_bytes())?;
            }
            rest = &control[colour.max(1)..];
        }
        self.writer.write_all(rest)?;
        self.writer.write_all(&event[text.len()..])?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

fn is_control(byte: u8) -> bool {
    byte.is_ascii_control() && byte != b'\t'
}

/// Returns the length of the sequence for a colour at the start of a text: ESC, `[`, digits, `m`. 0: there is none.
fn colour_sequence(text: &[u8]) -> usize {
    let Some(parameters) = text.strip_prefix(b"\x1b[") else { return 0 };
    let length = parameters.iter().take_while(|byte| byte.is_ascii_digit() || **byte == b';').count();
    if parameters.get(length) == Some(&b'm') { length + 3 } else { 0 }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use serde_json::Value;

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Returns the lines that `act` logs.
    fn lines(format: LogFormat, filter: &str, act: impl FnOnce()) -> Vec<String> {
        let written = Written::default();
        let writer = written.clone();
        let log = Log { format, filter: filter.into() };
        tracing::subscriber::with_default(subscriber(&log, move || writer.clone(), false), act);
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn colours_are_left_out_where_nobody_wants_them() {
        let wants = |variables: &[(&str, &str)]| wants_colours(&variables.iter().copied().collect());
        assert!(wants(&[]) && wants(&[("NO_COLOR", ""), ("TERM", "xterm-256color")]));
        assert!(!wants(&[("NO_COLOR", "1")]) && !wants(&[("NO_COLOR", "false")]));
        assert!(!wants(&[("TERM", "dumb")]));
    }

    #[test]
    fn json_lines_carry_the_request_id() {
        let lines = lines(LogFormat::Json, "info", || {
            let _span = tracing::info_span!("request", request_id = "r-1").entered();
            tracing::warn!(model = "digits", rows = 3, "cannot\nrun");
        });
        let [line] = lines.as_slice() else { panic!("one line expected: {lines:?}") };
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["span"]["request_id"], "r-1");
        assert_eq!(line["level"], "WARN");
        assert_eq!(line["message"], "cannot\nrun");
        assert_eq!(line["model"], "digits");
        assert_eq!(line["rows"], 3);
    }

    #[test]
    fn fields_of_spans_are_valid_json_with_any_value() {
        let lines = lines(LogFormat::Json, "info", || {
            let path = "/\"quoted\"\\\u{1}é";
            let span = tracing::info_span!("request", path, rows = 3, late = tracing::field::Empty);
            let _entered = span.enter();
            span.record("late", tracing::field::display("a \"b\""));
            tracing::info!("answered");
        });
        let line: Value = serde_json::from_str(&lines[0]).unwrap();
        assert_eq!(line["span"]["path"], "/\"quoted\"\\\u{1}é");
        assert_eq!(line["span"]["rows"], 3);
        assert_eq!(line["span"]["late"], "a \"b\"");
    }

    #[test]
    fn text_lines_carry_the_request_id_and_stay_single() {
        let lines = lines(LogFormat::Text, "info", || {
            let _span = tracing::info_span!("request", request_id = "r-1").entered();
            tracing::info!("first\nsecond");
            tracing::debug!("not at this level");
        });
        let [line] = lines.as_slice() else { panic!("one line expected: {lines:?}") };
        assert!(line.contains("request_id=\"r-1\"") && line.contains("first\\nsecond"), "{line}");
    }

    #[test]
    fn text_lines_have_no_control_characters_of_clients() {
        let lines = lines(LogFormat::Text, "info", || {
            let id = "a\u{1b}[2Jb\rc\u{7}";
            let _span = tracing::info_span!("request", request_id = id).entered();
            tracing::info!(shown = %"d\u{1b}]0;e\u{8}", "f\u{1b}[31mg\r\u{7f}");
        });
        let [line] = lines.as_slice() else { panic!("one line expected: {lines:?}") };
        assert!(!line.chars().any(char::is_control), "{line:?}");
        for part in ["a", "b", "c", "d", "e", "f", "g"] {
            assert!(line.contains(part), "{line:?}");
        }
    }

    #[test]
    fn only_colours_pass_where_a_terminal_shows_them() {
        let mut shown = OneLine { writer: Vec::new(), colours: true };
        shown.write_all(b"\x1b[32mINFO\x1b[0m a\x1b[2J\x1b[1;31mb\x1b\r\n").unwrap();
        assert_eq!(shown.writer, b"\x1b[32mINFO\x1b[0m a\\x1b[2J\x1b[1;31mb\\x1b\\r\n");
    }
}
