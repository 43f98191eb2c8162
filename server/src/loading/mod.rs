//! From a model's file to a model that is ready: what the file declares, sessions, warm-up, plan.

mod check_rows;
mod describe;
mod error;
mod instances;
mod load;
mod model_file;
mod pins;
mod plan;
mod served_model;
mod sessions;
mod time_limit;

pub use error::LoadError;
pub use load::{Loader, Version};
pub use served_model::ServedModel;
