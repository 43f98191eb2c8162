//! ONNX Runtime in the tests' own process, which may have it once.

use std::sync::OnceLock;

use decima_server::{
    config::Device,
    executor::Runtime,
    platform::{environment::Environment, ort_library},
};

/// ONNX Runtime on the CPU.
pub(crate) fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let library = ort_library::find(&Environment::of_process()).unwrap();
        Runtime::load(&library, Device::Cpu).unwrap()
    })
}
