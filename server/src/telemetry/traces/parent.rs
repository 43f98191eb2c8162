//! The client's span, from the headers `traceparent` and `tracestate` of W3C Trace Context.

use http::HeaderMap;
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

/// Length of `version-trace id-parent id-flags`, which is all of version 00, in bytes.
const LENGTH: usize = 55;

/// Reads the client's span. Returns `None` if the headers have none or are malformed; then the request starts a new
/// trace, as the recommendation requires.
pub fn parent(headers: &HeaderMap) -> Option<SpanContext> {
    let mut values = headers.get_all("traceparent").iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let text = value.to_str().ok()?;
    let (trace_id, span_id, flags) = read(text)?;
    // A valid context has no id that is zero.
    Some(SpanContext::new(trace_id, span_id, flags, true, state(headers))).filter(SpanContext::is_valid)
}

fn read(text: &str) -> Option<(TraceId, SpanId, TraceFlags)> {
    let fixed = text.get(..LENGTH)?;
    let rest = &text[LENGTH..];
    let fields: Vec<&str> = fixed.split('-').collect();
    let [version, trace_id, span_id, flags] = fields[..] else { return None };
    let hexadecimal = |text: &str| text.bytes().all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c));
    if [version.len(), trace_id.len(), span_id.len()] != [2, 32, 16] || !fields.iter().all(|f| hexadecimal(f))
    {
        return None;
    }
    // Later versions may add fields after these four. The version ff is invalid.
    if version == "ff" || !(rest.is_empty() || version != "00" && rest.starts_with('-')) {
        return None;
    }
    let flags = u8::from_str_radix(flags, 16).ok()?;
    let sampled = TraceFlags::new(flags) & TraceFlags::SAMPLED;
    Some((TraceId::from_hex(trace_id).ok()?, SpanId::from_hex(span_id).ok()?, sampled))
}

/// Reads `tracestate`, in which tracing systems store data of their own. A malformed value counts as empty, and the
/// parent stays valid.
fn state(headers: &HeaderMap) -> TraceState {
    let values = headers.get_all("tracestate").iter().map(http::HeaderValue::to_str);
    let values: Vec<&str> = values.collect::<Result<_, _>>().unwrap_or_default();
    values.join(",").parse().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    fn of(pairs: &[(&'static str, &str)]) -> Option<SpanContext> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        parent(&headers)
    }

    #[test]
    fn a_parent_is_read_with_its_flag_and_its_state() {
        let sampled = format!("00-{TRACE}-{SPAN}-01");
        let state = [("traceparent", sampled.as_str()), ("tracestate", "a=1, b=2"), ("tracestate", "c=3")];
        let parent = of(&state).unwrap();
        assert_eq!(parent.trace_id().to_string(), TRACE);
        assert_eq!(parent.span_id().to_string(), SPAN);
        assert!(parent.is_sampled() && parent.is_remote());
        assert_eq!(parent.trace_state().header(), "a=1,b=2,c=3");
        let unsampled = of(&[("traceparent", &format!("00-{TRACE}-{SPAN}-fe"))]).unwrap();
        assert!(!unsampled.is_sampled());
        for later in [format!("cc-{TRACE}-{SPAN}-01"), format!("cc-{TRACE}-{SPAN}-01-what-the-future")] {
            assert!(of(&[("traceparent", &later)]).unwrap().is_sampled(), "{later}");
        }
        let broken_state = [("traceparent", sampled.as_str()), ("tracestate", "no pairs at all")];
        assert_eq!(of(&broken_state).unwrap().trace_state().header(), "");
    }

    #[test]
    fn malformed_headers_have_no_parent() {
        assert!(of(&[]).is_none());
        for malformed in [
            String::new(),
            "00".into(),
            format!("00-{TRACE}-{SPAN}"),
            format!("00-{TRACE}-{SPAN}-1"),
            format!("00-{TRACE}-{SPAN}-01-more"),
            format!("cc-{TRACE}-{SPAN}-01more"),
            format!("ff-{TRACE}-{SPAN}-01"),
            format!("0-{TRACE}0-{SPAN}-01"),
            format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
            format!("00-{}-{SPAN}-01", "0".repeat(32)),
            format!("00-{TRACE}-{}-01", "0".repeat(16)),
            format!("00_{TRACE}_{SPAN}_01"),
            format!("00-{TRACE}-{SPAN}-0x"),
            format!(" 00-{TRACE}-{SPAN}-01"),
        ] {
            assert!(of(&[("traceparent", &malformed)]).is_none(), "{malformed}");
        }
        let twice = format!("00-{TRACE}-{SPAN}-01");
        assert!(of(&[("traceparent", &twice), ("traceparent", &twice)]).is_none());
    }
}
