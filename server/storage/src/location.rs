//! Addresses of stores: `s3://bucket/prefix` with or without an endpoint, `file://` URLs and plain paths.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::{Result, StorageError};

/// The location of objects: a local folder, or a prefix in a bucket.
///
/// It is written as `s3://bucket/prefix`, `s3://http(s)://host:port/bucket/prefix`, `s3://host:port/bucket/prefix` (as
/// in Triton, with the endpoint in the address), `file:///folder` or a path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Location {
    /// A local folder.
    Folder(PathBuf),
    /// A prefix in a bucket.
    Bucket(Bucket),
}

/// The address of a prefix in a bucket.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Bucket {
    /// The endpoint in the address: `http://host:port`, or `host:port` if the address has no scheme for it.
    pub endpoint: Option<String>,
    /// Name of the bucket.
    pub name: String,
    /// The prefix, without slashes at its ends; empty for the whole bucket.
    pub prefix: String,
}

impl Location {
    /// The location `part` below this one, where `part` is a key such as `digits/3`.
    #[must_use]
    pub fn join(&self, part: &str) -> Self {
        let part = part.trim_matches('/');
        match self {
            _ if part.is_empty() => self.clone(),
            Self::Folder(path) => Self::Folder(path.join(part)),
            Self::Bucket(bucket) => Self::Bucket(Bucket { prefix: bucket.key(part), ..bucket.clone() }),
        }
    }
}

impl Bucket {
    /// The key in the bucket of `part` below the prefix.
    pub(crate) fn key(&self, part: &str) -> String {
        if self.prefix.is_empty() { part.to_owned() } else { format!("{}/{part}", self.prefix) }
    }

    fn parse(address: &str, rest: &str) -> Result<Self> {
        let bad = |reason| StorageError::BadAddress { address: address.to_owned(), reason };
        let scheme_len =
            ["http://", "https://"].iter().find(|s| rest.starts_with(**s)).map_or(0, |s| s.len());
        let (host, after_host) = match rest[scheme_len..].find('/') {
            Some(slash) => (&rest[..scheme_len + slash], &rest[scheme_len + slash + 1..]),
            None => (rest, ""),
        };
        let has_endpoint = scheme_len > 0 || host.contains(':');
        let (endpoint, path) = if has_endpoint { (Some(host.to_owned()), after_host) } else { (None, rest) };
        if let Some((_credentials, host)) = host.split_once('@') {
            let address = format!("s3://{host}/{after_host}");
            return Err(StorageError::BadAddress {
                address,
                reason: "credentials do not belong into an address",
            });
        }
        if has_endpoint && host.len() == scheme_len {
            return Err(bad("the endpoint has no host"));
        }
        let (name, prefix) = path.split_once('/').unwrap_or((path, ""));
        if name.is_empty() {
            return Err(bad("it names no bucket"));
        }
        Ok(Self { endpoint, name: name.to_owned(), prefix: prefix.trim_matches('/').to_owned() })
    }
}

impl FromStr for Location {
    type Err = StorageError;

    fn from_str(address: &str) -> Result<Self> {
        let bad = |reason| StorageError::BadAddress { address: address.to_owned(), reason };
        if address.is_empty() {
            return Err(bad("the address is empty"));
        }
        if let Some(rest) = address.strip_prefix("s3://") {
            return Bucket::parse(address, rest).map(Self::Bucket);
        }
        if let Some(path) = address.strip_prefix("file://") {
            let path = path.strip_prefix("localhost").unwrap_or(path);
            return if path.starts_with('/') {
                Ok(Self::Folder(path.into()))
            } else {
                Err(bad("a file:// address needs an absolute path"))
            };
        }
        match address.split_once("://") {
            Some(_) => Err(bad("this scheme is not supported")),
            None => Ok(Self::Folder(address.into())),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => write!(f, "{}", path.display()),
            Self::Bucket(bucket) => bucket.fmt(f),
        }
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("s3://")?;
        if let Some(endpoint) = &self.endpoint {
            write!(f, "{endpoint}/")?;
        }
        f.write_str(&self.name)?;
        if self.prefix.is_empty() { Ok(()) } else { write!(f, "/{}", self.prefix) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(address: &str) -> (Option<String>, String, String) {
        match address.parse().unwrap() {
            Location::Bucket(Bucket { endpoint, name, prefix }) => (endpoint, name, prefix),
            Location::Folder(path) => panic!("{} is a folder", path.display()),
        }
    }

    #[test]
    fn reads_every_form_of_an_s3_address() {
        let own = |e: Option<&str>, n: &str, p: &str| (e.map(str::to_owned), n.to_owned(), p.to_owned());
        assert_eq!(bucket("s3://b"), own(None, "b", ""));
        assert_eq!(bucket("s3://b/"), own(None, "b", ""));
        assert_eq!(bucket("s3://b//models/digits/"), own(None, "b", "models/digits"));
        assert_eq!(bucket("s3://http://minio:9000/b/p/q"), own(Some("http://minio:9000"), "b", "p/q"));
        assert_eq!(bucket("s3://https://s3.example.org/b"), own(Some("https://s3.example.org"), "b", ""));
        assert_eq!(bucket("s3://10.0.0.1:9000/b/p"), own(Some("10.0.0.1:9000"), "b", "p"));
    }

    #[test]
    fn shows_what_it_read() {
        for address in
            ["s3://b", "s3://b/p/q", "s3://http://h:9000/b/p", "s3://h:9000/b", "models", "/mnt/models"]
        {
            assert_eq!(address.parse::<Location>().unwrap().to_string(), address);
        }
        assert_eq!("file:///mnt/models".parse::<Location>().unwrap().to_string(), "/mnt/models");
    }

    #[test]
    fn joins_keys() {
        let root: Location = "s3://b".parse().unwrap();
        assert_eq!(root.join("digits/").join("/3").to_string(), "s3://b/digits/3");
        assert_eq!(root.join("").to_string(), "s3://b");
        assert_eq!("models".parse::<Location>().unwrap().join("digits/3").to_string(), "models/digits/3");
    }

    #[test]
    fn refuses_what_it_cannot_serve() {
        for address in
            ["", "s3://", "s3:///p", "s3://http://", "s3://http:///b", "gs://b/p", "file://relative"]
        {
            let error = address.parse::<Location>().unwrap_err();
            assert!(error.to_string().contains("write s3://bucket/prefix"), "{error}");
        }
        let error = "s3://http://key:secret@h:9000/b".parse::<Location>().unwrap_err().to_string();
        assert!(error.contains("credentials") && !error.contains("secret"), "{error}");
    }
}
