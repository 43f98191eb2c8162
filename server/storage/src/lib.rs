//! Objects behind `s3://` addresses and folders: list, read, download, publish.
//!
//! A [`Location`] is the address of a store. [`Settings`] say how to reach an S3 server; they support every environment
//! variable of `KServe` and of the AWS SDK. A [`Store`] runs the operations. A [`Cache`] keeps downloaded objects
//! across restarts.
//!
//! Guarantees:
//! - A download appears complete or not at all, and every file in it is the one that was listed.
//! - A published version appears complete or not at all, and never replaces another one.
//! - Each error is one line that names the address, the fault and the remedy. [`StorageError::is_transient`] says
//!   whether a retry may help.
//! - This crate does not read the environment of the process, except in the last sources of the AWS credential chain
//!   (profile files, container and instance credentials).

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

/// The result of an operation of this crate.
pub type Result<T> = std::result::Result<T, StorageError>;
