//! The container images, built and run as a cluster runs them, and what goes with them: the compose file, the
//! workflows that publish them, and their bills of materials.

mod compose;
mod confined;
mod form;
mod published;
