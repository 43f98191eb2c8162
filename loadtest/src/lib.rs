//! Load tester for servers of the Open Inference Protocol, with a closed or an open loop. It checks every response.
//!
//! [`schedule`] determines when requests are due. [`run`] sends them over a [`transport`] and [`check`]s the responses.
//! A [`recorder`] collects the figures, and [`report`] writes them. The crate uses the protocol's codecs, and no
//! inference engine.

pub mod alarm;
pub mod check;
pub mod cli;
pub mod command;
pub mod failure;
pub mod inputs;
pub mod metadata;
pub mod progress;
pub mod recorder;
pub mod report;
pub mod run;
pub mod schedule;
pub mod transport;
