//! Trains a network to recognise handwritten digits and exports it as an ONNX model.
//!
//! Floors, lowest first: [`random`], [`simd`], [`files`] and [`console`]; [`data`] and [`nn`]; [`augment`] and
//! [`evaluate`]; [`calibration`]; [`drawings`]; [`training`] and [`onnx`]; [`checkpoint`]; [`metrics`]; [`report`],
//! [`summary`] and [`outcome`]; [`kfp`] and [`kubernetes`]; [`interrupt`]; [`cli`]; [`progress`]; [`commands`]. A
//! module imports downward only.

pub mod augment;
pub mod blocking;
pub mod calibration;
pub mod checkpoint;
pub mod cli;
pub mod commands;
pub mod console;
pub mod data;
pub mod drawings;
pub mod evaluate;
pub mod files;
pub mod interrupt;
pub mod kfp;
pub mod kubernetes;
pub mod metrics;
pub mod nn;
pub mod onnx;
pub mod outcome;
pub mod progress;
pub mod random;
pub mod report;
pub mod simd;
pub mod summary;
pub mod training;
