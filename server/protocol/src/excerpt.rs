//! A client's text in messages and logs: short, and on one line.

use std::borrow::Cow;

use compact_str::{CompactString, ToCompactString, format_compact};

/// Names and values quoted in a message are cut to this many characters, because a client chooses their length.
const EXCERPT_CHARS: usize = 64;

/// The start of `text`, on one line, for use in a message.
pub(crate) fn excerpt(text: &str) -> CompactString {
    match text.char_indices().nth(EXCERPT_CHARS) {
        None => on_one_line(text).to_compact_string(),
        Some((end, _)) => format_compact!("{}…", on_one_line(&text[..end])),
    }
}

/// Makes a client's text safe for a message or log line: control characters are escaped, because they could break the
/// line or control a terminal.
pub fn on_one_line(text: &str) -> Cow<'_, str> {
    let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    if !text.contains(breaks) {
        return Cow::Borrowed(text);
    }
    let mut line = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if breaks(c) {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    Cow::Owned(line)
}
