//! The committed gRPC code is what `proto/inference.proto` says.
//!
//! `UPDATE_GENERATED=1 cargo test -p oip --test generated` writes it anew. The compiler of the `.proto` is a crate:
//! neither building nor this test needs `protoc`.

use std::{env, fs, path::Path};

use prost::Message;

/// Fields that are slices of the message that they came in, not copies.
const SHARED: [&str; 3] = [
    ".inference.ModelInferRequest.raw_input_contents",
    ".inference.ModelInferResponse.raw_output_contents",
    ".inference.InferTensorContents.bytes_contents",
];

#[test]
fn generated_code_is_up_to_date() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let committed = root.join("src/grpc/generated");
    let fresh = tempfile::tempdir().unwrap();
    let mut compiler = protox::Compiler::new([root.join("proto")]).unwrap();
    compiler.include_source_info(true).include_imports(true).open_file("inference.proto").unwrap();
    let documented = compiler.file_descriptor_set();
    let mut plain = documented.clone();
    plain.file.iter_mut().for_each(|file| file.source_code_info = None);
    fs::write(fresh.path().join("inference.bin"), plain.encode_to_vec()).unwrap();
    SHARED
        .into_iter()
        .fold(tonic_prost_build::configure(), tonic_prost_build::Builder::bytes)
        .out_dir(fresh.path())
        .codec_path("crate::grpc::MessageCodec")
        .build_transport(false)
        .generate_default_stubs(true)
        .compile_fds(documented)
        .unwrap();
    for name in ["inference.rs", "inference.bin"] {
        let new = fs::read(fresh.path().join(name)).unwrap();
        if env::var_os("UPDATE_GENERATED").is_some() {
            fs::write(committed.join(name), &new).unwrap();
        } else if fs::read(committed.join(name)).ok() != Some(new) {
            panic!(
                "{name} is not what proto/inference.proto says: UPDATE_GENERATED=1 cargo test -p oip --test generated"
            );
        }
    }
}
