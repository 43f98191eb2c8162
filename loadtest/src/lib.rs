//! Load tester for servers of the Open Inference Protocol: closed and open loop, answers checked.
//!
//! [`schedule`] says when requests are due, [`run`] sends them over a [`transport`] and [`check`]s the
//! answers, a [`recorder`] keeps the figures, and [`report`] writes them. It knows the protocol's codecs
//! and no inference engine.

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
