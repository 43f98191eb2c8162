//! Writes the fields of spans as JSON. A span formats its fields when it is made, even if nothing is logged inside it.
//! `tracing_subscriber`'s own formatter builds a tree of JSON values first, which costs more.

use std::fmt;

use tracing::{
    field::{Field, Visit},
    span::Record,
};
use tracing_subscriber::{
    field::RecordFields,
    fmt::{FormatFields, FormattedFields, format::Writer},
};

/// Formats fields as members of one JSON object, in the order in which they are recorded. No field may be recorded
/// twice.
#[derive(Debug)]
pub(super) struct JsonMembers;

impl<'writer> FormatFields<'writer> for JsonMembers {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'writer>, fields: R) -> fmt::Result {
        writer.write_char('{')?;
        let mut members = Members { writer: &mut writer, first: true, written: Ok(()) };
        fields.record(&mut members);
        members.written?;
        writer.write_char('}')
    }

    fn add_fields(&self, current: &'writer mut FormattedFields<Self>, fields: &Record<'_>) -> fmt::Result {
        if current.fields.pop().is_none() {
            current.fields.push('{');
        }
        let first = current.fields.len() == 1;
        let mut members = Members { writer: &mut current.fields, first, written: Ok(()) };
        fields.record(&mut members);
        members.written?;
        current.fields.push('}');
        Ok(())
    }
}

struct Members<'a> {
    writer: &'a mut dyn fmt::Write,
    first: bool,
    written: fmt::Result,
}

impl Members<'_> {
    /// Writes a member whose value is JSON already.
    fn member(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        let comma = if std::mem::take(&mut self.first) { "" } else { "," };
        // Names need no escaping, since they are identifiers in the code.
        self.written = self.written.and_then(|()| write!(self.writer, "{comma}\"{}\":{value}", field.name()));
    }
}

impl Visit for Members<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if value.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\') {
            return self.member(field, format_args!("\"{value}\""));
        }
        match serde_json::to_string(value) {
            Ok(escaped) => self.member(field, format_args!("{escaped}")),
            Err(_) => self.written = Err(fmt::Error),
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.member(field, format_args!("{value}"));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.member(field, format_args!("{value}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.member(field, format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}
