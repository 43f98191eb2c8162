//! The model repositories: finding models, downloading and loading them, and the registry of models that are ready.
//!
//! | question | file |
//! |---|---|
//! | When are the places looked through, and what follows from it? | `sync`: [`Repository`] |
//! | What do all places hold together? | `scan` |
//! | What does one place hold, and how is it downloaded? | `source` |
//! | Which files are a model or a version? | `layout`; which look like one and are none: `skipped` |
//! | What are models called? | `naming` |
//! | Which versions are served, and which is the newest? | `version` |
//! | Which version answers a request? | `registry` |
//! | How does a client have a model loaded or unloaded? | `control` |
//! | Which downloads are kept? | `cache_holds` |
//! | What is logged once? | `log_once` |
//! | What is a client told whose name is wrong? | `suggestion` |
//! | What does Triton's `config.pbtxt` say that has another name here? | `triton_config` |

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
mod suggestion;
mod sync;
mod triton_config;
mod version;

pub use control::{Commands, Control, control};
pub use error::RepositoryError;
pub use registry::{Registry, State};
pub use sync::Repository;
