//! Parsers of single values. Each error says what would be right, and the caller adds where the text came from.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    num::NonZeroUsize,
    str::FromStr,
    time::Duration,
};

use tracing_subscriber::EnvFilter;

use super::{CorsOrigins, Device, Listen, LogFormat, MetricsCompat, ModelControl};

/// Longest duration: a year. It is longer than any sensible timeout, and adding it to a clock cannot overflow.
const LONGEST: Duration = Duration::from_hours(365 * 24);

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// `30s`, `250ms`, `1m 30s`, or plain seconds; at most a year.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let parsed = match text.parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).ok(),
        Err(_) => humantime::parse_duration(text).ok(),
    };
    parsed
        .filter(|duration| *duration <= LONGEST)
        .ok_or_else(|| "expected a duration such as 30s, 250ms, 1m or plain seconds, at most 365 days".into())
}

/// Parses a duration that is not zero.
pub(super) fn positive_duration(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("expected a duration longer than 0".into()),
        duration => Ok(duration),
    }
}

/// `64MiB`, `10MB`, or plain bytes; at least 1.
pub(super) fn size(text: &str) -> Result<usize, String> {
    text.parse::<bytesize::ByteSize>()
        .ok()
        .and_then(|size| usize::try_from(size.as_u64()).ok())
        .filter(|bytes| *bytes > 0)
        .ok_or_else(|| "expected a size such as 64MiB, 10MB or plain bytes, at least 1".into())
}

/// Parses `true` or `false` in upper or lower case, since manifests that Python writes have `True`.
pub(super) fn boolean(text: &str) -> Result<bool, String> {
    text.to_ascii_lowercase().parse().map_err(|_| "expected true or false".into())
}

/// Parses `on` or `off`; `true` and `false` mean the same.
pub(super) fn on_or_off(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "on" | "true" => Ok(true),
        "off" | "false" => Ok(false),
        _ => Err("expected on or off".into()),
    }
}

/// Parses a whole number, at least 1.
pub(super) fn count(text: &str) -> Result<NonZeroUsize, String> {
    text.parse().map_err(|_| "expected a whole number, at least 1".into())
}

/// Parses a number of events a minute. It is limited, since each event of the last minute takes memory.
pub(super) fn rate(text: &str) -> Result<NonZeroUsize, String> {
    let bounded = count(text).ok().filter(|count| count.get() <= 10_000);
    bounded.ok_or_else(|| "expected a whole number from 1 to 10000".into())
}

/// Parses a whole number from 1 to the largest number of streams in HTTP/2.
pub(super) fn stream_count(text: &str) -> Result<u32, String> {
    text.parse()
        .ok()
        .filter(|count| (1..=0x7fff_ffff).contains(count))
        .ok_or_else(|| "expected a whole number from 1 to 2147483647".into())
}

/// Parses a TCP port. 0 has a meaning of its own in each setting.
pub(super) fn port(text: &str) -> Result<u16, String> {
    text.parse().map_err(|_| "expected a port from 0 to 65535".into())
}

/// Parses an IPv4 or IPv6 address, or `localhost`.
pub(super) fn host(text: &str) -> Result<IpAddr, String> {
    if text == "localhost" {
        return Ok(Ipv4Addr::LOCALHOST.into());
    }
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse().map_err(|_| "expected an IP address such as 0.0.0.0, 127.0.0.1 or ::".into())
}

/// Parses the name of a model, which must fit into one segment of a URL and of a path.
pub(super) fn model_name(text: &str) -> Result<String, String> {
    let fits = !matches!(text, "" | "." | "..") && !text.contains(|c: char| c == '/' || c.is_control());
    if fits { Ok(text.into()) } else { Err("expected a model name without slashes".into()) }
}

/// Parses a log filter. A bare word must be a level. The filter itself would take it for a module, so that
/// `--log-level verbose` would log nothing.
pub(super) fn log_filter(text: &str) -> Result<String, String> {
    let expected = || "expected off, error, warn, info, debug or trace, or target=level, ...".to_owned();
    let is_level = |part: &str| LEVELS.contains(&part.trim().to_ascii_lowercase().as_str());
    if !text.split(',').all(|part| part.contains('=') || is_level(part)) {
        return Err(expected());
    }
    EnvFilter::try_new(text).map_err(|_| expected())?;
    Ok(text.into())
}

impl FromStr for Device {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            "auto" => Ok(Self::Auto),
            other => other
                .strip_prefix("cuda:")
                .and_then(|index| index.parse().ok())
                .map(Self::Cuda)
                .ok_or_else(|| "expected cpu, cuda, cuda:N or auto".into()),
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
            Self::Auto => f.write_str("auto"),
        }
    }
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "early" => Ok(Self::Early),
            "ready" => Ok(Self::Ready),
            _ => Err("expected early or ready".into()),
        }
    }
}

impl FromStr for ModelControl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Self::None),
            "explicit" => Ok(Self::Explicit),
            _ => Err("expected explicit or none".into()),
        }
    }
}

impl FromStr for LogFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("expected text or json".into()),
        }
    }
}

impl FromStr for CorsOrigins {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut origins = Vec::new();
        for text in text.split(',').map(str::trim) {
            origins.push(origin(text).ok_or_else(|| {
                format!(
                    "'{text}' is no origin: expected scheme://host or scheme://host:port without a path, such as \
                     https://app.example.org, several separated by commas, or * alone"
                )
            })?);
        }
        match &origins[..] {
            [all] if all == "*" => Ok(Self::Any),
            _ if origins.iter().any(|origin| origin == "*") => {
                Err("'*' stands for all origins: expected it alone, or origins without it".into())
            }
            _ => Ok(Self::Listed(origins)),
        }
    }
}

/// Converts an origin to the form that browsers use in `Origin`: in lower case, and without the default port of the scheme.
/// `*` stays as it is.
fn origin(text: &str) -> Option<String> {
    if text == "*" {
        return Some(text.into());
    }
    let text = text.to_ascii_lowercase();
    let (scheme, authority) = text.split_once("://")?;
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_lowercase())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let is_host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c)),
    };
    if !is_scheme || !is_host {
        return None;
    }
    let port = match port {
        Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => Some(port.parse::<u16>().ok()?),
        Some(_) => return None,
        None => None,
    };
    Some(match (scheme, port) {
        (_, None) | ("http", Some(80)) | ("https", Some(443)) => format!("{scheme}://{host}"),
        (_, Some(port)) => format!("{scheme}://{host}:{port}"),
    })
}

impl FromStr for MetricsCompat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut compat = Self::default();
        for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            match name {
                "triton" => compat.triton = true,
                "kserve" => compat.kserve = true,
                _ => return Err("expected triton, kserve or both, separated by a comma".into()),
            }
        }
        Ok(compat)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_carry_units_or_are_seconds() {
        for (text, milliseconds) in
            [("30s", 30_000), ("250ms", 250), ("1m 30s", 90_000), ("45", 45_000), ("0.5", 500), ("0", 0)]
        {
            assert_eq!(duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in ["", "-1", "inf", "NaN", "30x", "s", "366days", "1e300"] {
            assert!(duration(text).is_err(), "{text}");
        }
        assert!(positive_duration("0s").is_err());
    }

    #[test]
    fn sizes_carry_units_or_are_bytes() {
        for (text, bytes) in [("64MiB", 64 << 20), ("10MB", 10_000_000), ("1 KiB", 1024), ("7", 7)] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "0", "-1", "64 apples", "MiB"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn booleans_are_two_words() {
        for (text, value) in [("true", true), ("false", false), ("False", false), ("TRUE", true)] {
            assert_eq!(boolean(text), Ok(value), "{text}");
        }
        for text in ["", "1", "yes", "tru"] {
            assert!(boolean(text).is_err(), "{text}");
        }
    }

    #[test]
    fn devices_have_an_index() {
        assert_eq!("cuda".parse(), Ok(Device::Cuda(0)));
        assert_eq!("cuda:3".parse(), Ok(Device::Cuda(3)));
        assert_eq!("AUTO".parse(), Ok(Device::Auto));
        for device in [Device::Cpu, Device::Cuda(2), Device::Auto] {
            assert_eq!(device.to_string().parse(), Ok(device));
        }
        for text in ["gpu", "cuda:", "cuda:-1", ""] {
            assert!(text.parse::<Device>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_bare_word_in_a_log_filter_is_a_level() {
        for text in ["info", "WARN", "debug,h2=warn", "decima_server=trace"] {
            assert!(log_filter(text).is_ok(), "{text}");
        }
        for text in ["verbose", "", "h2=loud", "decima_server"] {
            assert!(log_filter(text).is_err(), "{text}");
        }
    }

    #[test]
    fn names_of_other_servers_are_a_list() {
        let both = MetricsCompat { triton: true, kserve: true };
        assert_eq!("kserve, triton".parse(), Ok(both));
        assert_eq!("triton".parse(), Ok(MetricsCompat { kserve: false, ..both }));
        assert_eq!("".parse(), Ok(MetricsCompat::default()));
        assert!("tensorflow".parse::<MetricsCompat>().is_err());
    }

    #[test]
    fn origins_are_as_browsers_write_them() {
        for (text, expected) in [
            ("https://app.example.org", "https://app.example.org"),
            ("HTTPS://App.Example.org:443", "https://app.example.org"),
            ("http://localhost:80", "http://localhost"),
            ("http://localhost:3000", "http://localhost:3000"),
            ("http://localhost:443", "http://localhost:443"),
            ("http://[::1]", "http://[::1]"),
            ("http://[::1]:8000", "http://[::1]:8000"),
            ("chrome-extension://abc", "chrome-extension://abc"),
        ] {
            assert_eq!(text.parse(), Ok(CorsOrigins::Listed(vec![expected.into()])), "{text}");
        }
        let two = CorsOrigins::Listed(vec!["http://a".into(), "http://b:1".into()]);
        assert_eq!("http://a, http://b:1".parse(), Ok(two));
        assert_eq!("*".parse(), Ok(CorsOrigins::Any));
        for (text, named) in [
            ("example.org", "'example.org'"),
            ("http://a,https://b/", "'https://b/'"),
            ("http://a/path", "'http://a/path'"),
            ("http://a:port", "'http://a:port'"),
            ("http://a:70000", "'http://a:70000'"),
            ("http://a:", "'http://a:'"),
            ("http://a:+1", "'http://a:+1'"),
            ("http://user@a", "'http://user@a'"),
            ("http://", "'http://'"),
            ("://a", "'://a'"),
            ("http://a b", "'http://a b'"),
            ("http://[::1", "'http://[::1'"),
            ("http://*.a", "'http://*.a'"),
            ("null", "'null'"),
            ("http://a,", "''"),
            ("http://a,*", "'*'"),
        ] {
            let error = text.parse::<CorsOrigins>().unwrap_err();
            assert!(error.contains(named), "{text}: {error}");
        }
    }

    #[test]
    fn what_may_be_left_out_is_on_or_off() {
        for (text, value) in [("on", true), ("OFF", false), ("true", true), ("false", false)] {
            assert_eq!(on_or_off(text), Ok(value), "{text}");
        }
        for text in ["", "yes", "1"] {
            assert!(on_or_off(text).is_err(), "{text}");
        }
    }

    #[test]
    fn hosts_are_addresses() {
        for (text, address) in [("0.0.0.0", "0.0.0.0"), ("localhost", "127.0.0.1"), ("[::1]", "::1")] {
            assert_eq!(host(text).map(|host| host.to_string()), Ok(address.into()));
        }
        assert!(host("example.org").is_err());
    }

    #[test]
    fn model_names_are_one_segment() {
        for text in ["", ".", "..", "a/b", "a\nb"] {
            assert!(model_name(text).is_err(), "{text:?}");
        }
        assert_eq!(model_name("digits-rt_2.1"), Ok("digits-rt_2.1".into()));
    }
}
