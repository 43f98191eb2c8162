//! Builds the container images and runs them as a cluster does. Also tests the compose file, the workflows that publish
//! the images, and their bills of materials.

mod compose;
mod confined;
mod form;
mod published;
