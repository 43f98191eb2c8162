//! The handlers of the HTTP paths.

mod content_coding;
pub(in crate::http) mod docs;
pub(in crate::http) mod feedback;
pub(in crate::http) mod health;
pub(in crate::http) mod infer;
pub(in crate::http) mod models;
pub(in crate::http) mod openapi;
mod picture;
pub(in crate::http) mod repository;
pub(in crate::http) mod ui;
pub(in crate::http) mod v1;
