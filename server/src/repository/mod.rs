//! The model repository: finding models, bringing them here, loading them, and which of them answer.

mod check_rows;
mod control;
mod describe;
mod error;
mod instances;
mod kept;
mod layout;
mod load;
mod look;
mod model_file;
mod naming;
mod passed_over;
mod plan;
mod registry;
mod said;
mod served;
mod sessions;
mod source;
mod sync;
mod time_limit;
mod triton;
mod version;

pub use control::{Commands, Control, control};
pub use error::{LoadError, RepositoryError};
pub use load::{Loader, Version};
pub use registry::{Registry, State};
pub use served::ServedModel;
pub use sync::Repository;
