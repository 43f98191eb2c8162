//! What the server does, whatever protocol asks for it. Transports translate and call this.

mod codec;
mod data_plane;
mod in_flight;
mod infer;

pub use codec::{Codec, EncodedSize};
pub use data_plane::DataPlane;
pub use infer::Call;
