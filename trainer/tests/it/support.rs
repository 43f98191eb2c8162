//! Functions that the tests share.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use ort::environment::Environment;
use ort::session::Session;
use ort::value::Tensor;
use tempfile::TempDir;

/// The program, ready for arguments.
pub(crate) fn trainer() -> Command {
    Command::new(env!("CARGO_BIN_EXE_decima-trainer"))
}

/// Runs the program and expects success.
pub(crate) fn succeed(arguments: &[&str]) -> Output {
    let output = trainer().args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

/// Runs the program, expects it to fail with exit code 1, and returns its stderr.
pub(crate) fn fail(arguments: &[&str]) -> String {
    let output = trainer().args(arguments).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {text}");
    text
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A folder with drawn digits and a model trained on them for three epochs. It is made once for all tests.
pub(crate) fn trained() -> &'static Path {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = TempDir::new().unwrap();
        let (data, out) = (folder.path().join("synth"), folder.path().join("out"));
        succeed(&["synth", "--train", "2000", "--test", "500", "--out", text(&data)]);
        succeed(&["run", "--mnist", text(&data), "--epochs", "3", "--out", text(&out)]);
        folder
    });
    folder.path()
}

/// The folder with the real MNIST, if it is available. In CI, a missing folder is an error.
#[expect(clippy::print_stderr, reason = "a check that is skipped must be visible")]
pub(crate) fn mnist() -> Option<PathBuf> {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/mnist");
    let folder = std::env::var_os("MNIST_DIR").map_or(default, PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    let mend = "get it with `decima-trainer fetch --out FOLDER` and set MNIST_DIR=FOLDER";
    assert!(std::env::var("CI").as_deref() != Ok("true"), "MNIST is not in {}: {mend}", folder.display());
    eprintln!("NOT CHECKED on real digits: MNIST is not in {}: {mend}", folder.display());
    None
}

/// The folder into which `scripts/setup` installs programs and libraries.
pub(crate) fn cache() -> PathBuf {
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache/decima");
    std::env::var_os("DECIMA_CACHE").map_or_else(home, PathBuf::from)
}

/// ONNX Runtime's environment. A process can have only one.
static ENVIRONMENT: OnceLock<Environment> = OnceLock::new();

/// Runs a model in ONNX Runtime on pictures, `[n, 28, 28, 1]`. Returns the probabilities, `[n, 10]`.
pub(crate) fn run_onnx(model: &Path, pictures: Vec<f32>) -> Vec<f32> {
    let default = cache().join("onnxruntime-1.32.0/libonnxruntime.so.1.32.0");
    let library = std::env::var_os("ORT_DYLIB_PATH").map_or(default, PathBuf::from);
    assert!(
        library.is_file(),
        "ONNX Runtime is not at {}: run `scripts/setup onnxruntime`, or set ORT_DYLIB_PATH",
        library.display()
    );
    let environment = ENVIRONMENT.get_or_init(|| ort::init_from(&library).unwrap().build().unwrap());
    let mut session = Session::builder(environment).unwrap().commit_from_file(model).unwrap();
    let count = pictures.len() / 784;
    let image = Tensor::from_array(([count, 28, 28, 1], pictures)).unwrap();
    let outputs = session.run(ort::inputs!["image" => image]).unwrap();
    let (shape, probabilities) = outputs["probabilities"].try_extract_tensor::<f32>().unwrap();
    assert_eq!(**shape, [count as i64, 10]);
    probabilities.to_vec()
}
