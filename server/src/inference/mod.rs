//! The operations of the server, independent of protocols. HTTP and gRPC translate their requests into calls of this
//! module.

mod codec;
mod data_plane;
mod deadline;
mod in_flight;
mod infer;

pub use codec::{Codec, EncodedSize};
pub use data_plane::DataPlane;
pub use infer::Call;
