//! What the server does, whatever protocol asks for it.

mod data_plane;

pub use data_plane::{Call, DataPlane, Inference};
