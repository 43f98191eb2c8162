//! The model repository: finding models, bringing them here, loading them, and which of them answer.

mod check_rows;
mod control;
mod describe;
mod error;
mod instances;
mod layout;
mod load;
mod model_file;
mod plan;
mod registry;
mod served;
mod sessions;
mod source;
mod sync;
mod time_limit;
mod version;

pub use control::{Commands, Control, control};
pub use error::{LoadError, RepositoryError};
pub use load::Loader;
pub use registry::{Registry, State};
pub use served::ServedModel;
pub use sync::Repository;
