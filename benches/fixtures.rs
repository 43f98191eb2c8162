//! Inputs of the benchmarks, the same in every run.

use std::path::PathBuf;

use decima_server::{
    config::Device,
    executor::Runtime,
    platform::{environment::Environment, ort_library},
};
use oip::{Datatype, InferRequest, InferResponse, InputTensor, Parameter, Parameters, Tensor};

/// Pixels of a picture.
pub const PIXELS: usize = 28 * 28;

/// Pictures per request: one, and a typical batch.
pub const ROWS: [usize; 2] = [1, 16];

/// `rows` pictures that resemble scanned digits: four pixels in five are 0, the others are `k/255`.
pub fn pictures(rows: usize) -> Tensor {
    let mut random = fastrand::Rng::with_seed(1);
    let pixels = (0..rows * PIXELS).flat_map(|_| {
        let level = if random.u8(..5) == 0 { random.u8(1..) } else { 0 };
        (f32::from(level) / 255.0).to_le_bytes()
    });
    Tensor { datatype: Datatype::Fp32, shape: [rows, 28, 28, 1].as_slice().into(), data: pixels.collect() }
}

/// A request with `rows` pictures.
pub fn request(rows: usize) -> InferRequest {
    let image =
        InputTensor { name: "image".into(), parameters: Parameters::default(), tensor: pictures(rows) };
    InferRequest { inputs: vec![image], ..InferRequest::default() }
}

/// A request with `rows` pictures for binary outputs.
pub fn binary_request(rows: usize) -> InferRequest {
    let parameters = Parameters(vec![("binary_data_output".into(), Parameter::Bool(true))]);
    InferRequest { parameters, ..request(rows) }
}

/// Ten scores for each of `rows` pictures, with as many digits as the results of a softmax have.
pub fn scores(rows: usize) -> Tensor {
    let mut random = fastrand::Rng::with_seed(2);
    let scores = (0..rows * 10).flat_map(|_| (random.f32() * 10_f32.powi(-random.i32(0..8))).to_le_bytes());
    Tensor { datatype: Datatype::Fp32, shape: [rows, 10].as_slice().into(), data: scores.collect() }
}

/// The response to a request with `rows` pictures.
pub fn response(rows: usize) -> InferResponse {
    let outputs = vec![("probabilities".into(), scores(rows))];
    InferResponse { model_name: "digits".into(), model_version: "1".into(), id: None, outputs }
}

/// Path of ONNX Runtime's library, as `scripts/setup onnxruntime` installs it.
///
/// # Errors
/// The library is missing. The message says how to install it.
pub fn library() -> Result<PathBuf, String> {
    ort_library::find(&Environment::of_process()).map_err(|missing| missing.to_string())
}

/// ONNX Runtime on the CPU.
///
/// # Errors
/// The library is missing or cannot be loaded. The message says what to do.
pub fn runtime() -> Result<Runtime, String> {
    Runtime::load(&library()?, Device::Cpu).map_err(|error| error.to_string())
}

/// Path of the digits model in this repository.
pub fn digits_model() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../models/digits/1/model.onnx"))
}
