//! The container images, built and run as a cluster runs them.
