//! What the tests of the deployment share: programs that are started, waited for and ended, and images that are built.

pub mod images;
pub mod podman;
pub mod programs;
pub mod prometheus;
pub mod store;
