//! Who may load and unload models. Pages in browsers may not, unless the server itself sent them: a page of another
//! origin could otherwise administer a server that only the browser's machine reaches. With DNS rebinding such a page
//! gives its own name the server's address, so that browsers take the server for the page's origin. So a name that is
//! not this machine's own counts as foreign.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, Uri, header};

use super::{Peer, check_token, tokens::Tokens};
use crate::{
    config::AdminCallers,
    error::{ErrorCode, ServeError},
};

/// Headers by which a proxy tells that a request came from elsewhere.
const OF_PROXIES: [HeaderName; 6] = [
    header::FORWARDED,
    header::VIA,
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-forwarded-proto"),
    HeaderName::from_static("x-real-ip"),
];

/// Header by which browsers tell whose page sends a request (Fetch Metadata).
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Checks whether a request may load or unload a model.
pub(super) fn check(
    callers: AdminCallers,
    tokens: Option<&Tokens>,
    peer: Peer,
    uri: &Uri,
    head: &HeaderMap,
) -> Result<(), ServeError> {
    let of_page = head.contains_key(header::ORIGIN) || head.contains_key(FETCH_SITE);
    if of_page && !is_from_own_page(uri, head) {
        return Err(denied(
            "models are not loaded and unloaded by pages of other origins: the headers Origin and Host differ",
        ));
    }
    match callers {
        AdminCallers::Token if tokens.is_some() => check_token(tokens, head),
        AdminCallers::Token => {
            Err(denied("nobody may load and unload models: the server has no tokens for it"))
        }
        AdminCallers::Open if of_page && !hosts(uri, head).all(is_address) => Err(denied(
            "models are loaded and unloaded by a page only where the server is addressed as localhost or by an IP \
             address: other names may be given to any server (DNS rebinding)",
        )),
        AdminCallers::Open => Ok(()),
        AdminCallers::Loopback => {
            let Some(refusal) = refusal(peer, uri, head) else { return Ok(()) };
            if tokens.is_some() { check_token(tokens, head) } else { Err(denied(refusal)) }
        }
    }
}

/// Returns why a request does not count as one from this machine; `None` if it does.
fn refusal(peer: Peer, uri: &Uri, head: &HeaderMap) -> Option<&'static str> {
    if !peer.is_loopback {
        Some(
            "models are loaded and unloaded from this machine only, and the request came from another: start the \
             server with --admin-token-file FILE and send a token, or with --admin open",
        )
    } else if OF_PROXIES.iter().any(|name| head.contains_key(name)) {
        Some(
            "models are loaded and unloaded from this machine only, and a proxy passed this request on: start the \
             server with --admin-token-file FILE and send a token, or with --admin open",
        )
    } else if hosts(uri, head).next().is_none() || !hosts(uri, head).all(is_loopback) {
        Some(
            "models are loaded and unloaded from this machine only, and the request's Host is not localhost or a \
             loopback address: use such an address, or start the server with --admin-token-file FILE and send a token",
        )
    } else {
        None
    }
}

/// Returns every host that a request names: the authority of its URI, which is `:authority` in HTTP/2, and `Host`. One
/// that cannot be read is an empty text.
fn hosts<'a>(uri: &'a Uri, head: &'a HeaderMap) -> impl Iterator<Item = &'a str> {
    let headers = head.get_all(header::HOST).into_iter().map(|host| host.to_str().unwrap_or_default());
    uri.authority().map(http::uri::Authority::as_str).into_iter().chain(headers)
}

/// Whether a page that this server sent makes the request.
fn is_from_own_page(uri: &Uri, head: &HeaderMap) -> bool {
    let is_of_host = |origin: &str| {
        let authority = origin.split_once("://").map(|(_, authority)| authority);
        authority.is_some_and(|origin| {
            hosts(uri, head).next().is_some()
                && hosts(uri, head).all(|host| host.eq_ignore_ascii_case(origin))
        })
    };
    let own_origins =
        head.get_all(header::ORIGIN).into_iter().all(|origin| origin.to_str().is_ok_and(is_of_host));
    own_origins && head.get_all(FETCH_SITE).into_iter().all(|site| site == "same-origin" || site == "none")
}

/// Returns the host of `host:port`, without the brackets of an IPv6 address.
fn without_port(host: &str) -> &str {
    if let Some(address) = host.strip_prefix('[') {
        return address.split(']').next().unwrap_or_default();
    }
    host.split(':').next().unwrap_or_default()
}

fn is_loopback(host: &str) -> bool {
    let host = without_port(host);
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

fn is_address(host: &str) -> bool {
    is_loopback(host) || without_port(host).parse::<IpAddr>().is_ok()
}

fn denied(message: &'static str) -> ServeError {
    ServeError::new(ErrorCode::PermissionDenied, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCAL: Peer = Peer { is_loopback: true, has_tls: false };
    const REMOTE: Peer = Peer { is_loopback: false, has_tls: false };

    fn ask(
        callers: AdminCallers,
        peer: Peer,
        authority: &str,
        headers: &[(&str, &str)],
    ) -> Result<(), ServeError> {
        let uri = if authority.is_empty() { "/v2" } else { authority };
        let mut head = HeaderMap::new();
        for (name, value) in headers {
            head.append(HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
        }
        check(callers, None, peer, &uri.parse().unwrap(), &head)
    }

    #[test]
    fn requests_from_this_machine_are_known_by_address_proxy_and_host() {
        let from = |peer, authority: &str, headers: &[(&str, &str)]| {
            ask(AdminCallers::Loopback, peer, authority, headers).is_ok()
        };
        for host in ["localhost", "localhost:8080", "LOCALHOST", "127.0.0.1:8080", "127.0.1.1", "[::1]:8080"]
        {
            assert!(from(LOCAL, "", &[("host", host)]), "{host}");
            assert!(!from(REMOTE, "", &[("host", host)]), "{host}");
            assert!(from(LOCAL, &format!("http://{host}/v2"), &[]), "{host}");
        }
        for host in
            ["", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1", "[::2]"]
        {
            assert!(!from(LOCAL, "", &[("host", host)]), "{host}");
        }
        assert!(!from(LOCAL, "", &[]), "no host at all");
        assert!(!from(LOCAL, "", &[("host", "localhost"), ("host", "evil.example")]));
        assert!(!from(LOCAL, "http://evil.example/v2", &[("host", "localhost")]));
        for name in OF_PROXIES {
            assert!(!from(LOCAL, "", &[("host", "localhost"), (name.as_str(), "10.0.0.1")]), "{name}");
        }
    }

    #[test]
    fn only_pages_of_the_server_itself_get_through() {
        for callers in [AdminCallers::Loopback, AdminCallers::Open] {
            let page = |host, origin| ask(callers, LOCAL, "", &[("host", host), ("origin", origin)]).is_ok();
            assert!(page("localhost:8080", "http://localhost:8080"), "{callers:?}");
            assert!(page("127.0.0.1", "https://127.0.0.1"), "{callers:?}");
            for (host, origin) in [
                ("localhost:8080", "https://evil.example"),
                ("localhost:8080", "http://localhost:3000"),
                ("localhost:8080", "null"),
                ("localhost:8080", ""),
                ("evil.example:8080", "http://evil.example:8080"), // by DNS rebinding
            ] {
                assert!(!page(host, origin), "{callers:?} {host} {origin}");
            }
            for (site, may) in
                [("same-origin", true), ("none", true), ("cross-site", false), ("same-site", false)]
            {
                let answer = ask(callers, LOCAL, "", &[("host", "localhost"), ("sec-fetch-site", site)]);
                assert_eq!(answer.is_ok(), may, "{callers:?} {site}");
            }
        }
        assert!(ask(AdminCallers::Open, REMOTE, "", &[("host", "decima.example")]).is_ok());
    }
}
