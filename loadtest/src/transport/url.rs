//! The address of a server.

use std::{fmt, str::FromStr};

use http::Uri;

/// The URL of a server.
#[derive(Clone, Debug)]
pub struct ServerUrl {
    /// The URL as given.
    text: String,
    /// Host and port.
    pub(super) authority: String,
    /// The path before `/v2`, without a trailing slash.
    pub(super) base_path: String,
}

impl FromStr for ServerUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let expected = || "expected http://HOST:PORT (TLS is left to a proxy)".to_owned();
        let uri: Uri = text.parse().map_err(|_| expected())?;
        let (Some("http"), Some(host), None) = (uri.scheme_str(), uri.host(), uri.query()) else {
            return Err(expected());
        };
        let authority = format!("{host}:{}", uri.port_u16().unwrap_or(80));
        let base_path = uri.path().trim_end_matches('/').to_owned();
        Ok(Self { text: text.to_owned(), authority, base_path })
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_may_be_below_a_path_and_on_the_usual_port() {
        let url: ServerUrl = "http://[::1]/digits/".parse().unwrap();
        assert_eq!((url.authority.as_str(), url.base_path.as_str()), ("[::1]:80", "/digits"));
    }

    #[test]
    fn other_urls_than_plain_http_are_refused() {
        for url in ["https://localhost", "localhost:8080", "http://localhost?x=1", "http://", "/v2"] {
            assert!(url.parse::<ServerUrl>().is_err(), "{url}");
        }
    }
}
