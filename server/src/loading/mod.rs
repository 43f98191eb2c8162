//! From a model's file to a model that is ready.
//!
//! | question | file |
//! |---|---|
//! | What are the steps, and what does the log say about them? | `load` |
//! | What does the file declare, and what is rewritten in it? | `model_file` |
//! | Do joined rows give what they give alone? | `check_rows` |
//! | Which sessions, threads, lanes and batches does a model get? | `plan` (pure) |
//! | Why does it get them, and how can an operator fix them? | `pins` (pure) |
//! | How are its instances made by that plan, on the CPU or a GPU? | `instances` |
//! | How are its sessions loaded, timed and warmed? | `sessions` |
//! | Who stops a run that takes too long meanwhile? | `time_limit` |
//! | What does `/v2/models/{m}/config` show? | `describe` (pure) |
//! | What is a model that is ready? | `served_model` |

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
