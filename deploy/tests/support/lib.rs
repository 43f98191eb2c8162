//! Shared code of the deployment tests: it builds images, and starts, waits for and ends programs.

pub mod images;
pub mod podman;
pub mod programs;
pub mod prometheus;
pub mod store;
