//! The model repositories: finding models, downloading and loading them, and the registry of models that are ready.

mod cache_holds;
mod control;
mod error;
mod layout;
mod log_once;
mod naming;
mod registry;
mod scan;
mod skipped;
mod source;
mod sync;
mod triton_config;
mod version;

pub use control::{Commands, Control, control};
pub use error::RepositoryError;
pub use registry::{Registry, State};
pub use sync::Repository;
