//! Headers of gRPC calls: timeouts and compression.

use std::time::Duration;

use http::HeaderMap;
use tonic::{Response, metadata::MetadataMap};

/// Reads how long the client waits for the response, from `grpc-timeout`: at most eight digits and a unit (gRPC over
/// HTTP/2, "Requests"). An unreadable value counts as no timeout, as in other servers.
pub(super) fn timeout(head: &HeaderMap) -> Option<Duration> {
    let text = head.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_hours(count)),
        "M" => Some(Duration::from_mins(count)),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

/// Returns whether the client compresses its messages. Only then are responses compressed too: most clients announce
/// that they accept gzip, but few gain from it.
pub(super) fn is_compressed(metadata: &MetadataMap) -> bool {
    metadata.get("grpc-encoding").is_some_and(|encoding| encoding != "identity")
}

/// Makes a response, compressed or not.
pub(super) fn reply<T>(message: T, compressed: bool) -> Response<T> {
    let mut response = Response::new(message);
    if !compressed {
        response.disable_compression();
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_as_grpc_writes_them() {
        let read = |text: &'static str| {
            let mut head = HeaderMap::new();
            head.insert("grpc-timeout", text.parse().unwrap());
            timeout(&head)
        };
        assert_eq!(read("2H"), Some(Duration::from_hours(2)));
        assert_eq!(read("3M"), Some(Duration::from_mins(3)));
        assert_eq!(read("4S"), Some(Duration::from_secs(4)));
        assert_eq!(read("250m"), Some(Duration::from_millis(250)));
        assert_eq!(read("99999999u"), Some(Duration::from_micros(99_999_999)));
        assert_eq!(read("5n"), Some(Duration::from_nanos(5)));
        for unreadable in ["", "S", "123456789S", "1.5S", "-1S", "1 S", "1h", "10"] {
            assert_eq!(read(unreadable), None, "{unreadable}");
        }
        assert_eq!(timeout(&HeaderMap::new()), None);
    }
}
