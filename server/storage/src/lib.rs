//! Objects behind `s3://` addresses and folders: list, read, download, publish.
//!
//! A [`Location`] says where, [`Settings`] say how to reach an S3 store (every environment variable of KServe
//! and of the AWS SDK), a [`Store`] does the work, and a [`Cache`] keeps downloaded objects between starts.
//!
//! What callers may rely on:
//! - A download appears whole or not at all, and every file in it is the one that was listed.
//! - A published version appears whole or not at all, and never replaces another.
//! - Each error is one line that names the address, what went wrong and the mend; [`StorageError::is_transient`]
//!   tells whether waiting can help.
//! - Nothing here reads the process environment except the last links of the AWS credential chain (profile
//!   files, container and instance credentials).

mod bucket;
mod cache;
mod client;
mod download;
mod error;
mod fault;
mod folder;
mod location;
mod object;
mod publish;
mod settings;
mod store;
#[cfg(feature = "testkit")]
pub mod testkit;
mod transfer;

pub use cache::{Cache, Held};
pub use error::StorageError;
pub use location::{Bucket, Location};
pub use object::{Fetched, Listing, Object, Unreadable};
pub use settings::{Addressing, Credentials, Secret, Settings};
pub use store::Store;

/// Short for results of this crate.
pub type Result<T> = std::result::Result<T, StorageError>;
