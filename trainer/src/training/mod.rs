//! Training: hyperparameters, optimisers, and the training loop.

pub mod epoch;
pub mod optimizer;
pub mod recipe;
pub mod run;
pub mod statistics;
pub mod temperature;
