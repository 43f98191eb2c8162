//! What lies in a repository and is not served: the log says why, once, and so does the answer to who asks for it.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
};

use decima_server::platform::{environment::Environment, ort_library};
use oip::Datatype;

use crate::{
    model_control::{infer, load},
    support::{Server, ServerBuilder, eventually, get, models},
};

fn lines(server: &Server, text: &str) -> Vec<String> {
    server.log().into_iter().filter(|line| line.contains(text)).collect()
}

fn good() -> Vec<u8> {
    models::identity(Datatype::Fp32)
}

#[test]
fn folders_that_look_like_models_have_one_line_and_who_asks_for_them_is_told() {
    let cases = [
        ("two/1/encoder.onnx", "two", "two ONNX files, decoder.onnx and encoder.onnx"),
        ("loud/1/Model.ONNX", "loud", "must end in .onnx"),
        ("ort/1/model.ort", "ort", "ORT format"),
        ("program/1/model.py", "program", "a program in Python"),
        ("tf/1/model.savedmodel/saved_model.pb", "tf", "TensorFlow"),
        ("torch/1/model.pt", "torch", "PyTorch"),
        ("deep/a/b/model.onnx", "deep", "too deep"),
    ];
    let mut server = ServerBuilder::new().model("m", "1", &good()).file("two/1/decoder.onnx", "x");
    for (key, ..) in cases {
        server = server.file(key, "x");
    }
    let server = server.args(["--poll-interval", "20ms"]).start();
    for (key, model, reason) in cases {
        let refused = load(&server, model);
        assert_eq!(refused.status, 404, "{key}");
        assert!(refused.error().contains(reason), "{key}: {}", refused.error());
        assert!(!refused.error().contains(server.models().to_str().unwrap()), "a path: {}", refused.error());
    }
    // Some looks later there is still one line for each, and a new one where something changes.
    models::write(server.models(), "seen", "1", &good());
    eventually(|| infer(&server, "seen").status == 200);
    for (key, _, reason) in cases {
        assert_eq!(lines(&server, reason).len(), 1, "{key}: {:?}", lines(&server, reason));
    }
    fs::write(server.models().join("two/1/joiner.onnx"), "x").unwrap();
    eventually(|| lines(&server, "3 ONNX files").len() == 1);
    fs::write(server.models().join("two/1/model.onnx"), good()).unwrap();
    eventually(|| infer(&server, "two").status == 200);
}

#[test]
fn a_place_with_nothing_to_serve_says_what_is_in_it() {
    let mut server = ServerBuilder::new().file("two/a.onnx", "x").file("two/b.onnx", "x").start_to_fail();
    assert_eq!(server.wait().code(), Some(70));
    let errors = lines(&server, "\"ERROR\"");
    assert!(errors.len() == 1 && errors[0].contains("folder 'two' has two ONNX files"), "{errors:?}");
}

#[test]
fn triton_s_configuration_is_named_once_with_what_says_the_same_here() {
    let triton = "name: \"m\"\nmax_batch_size: 8\ndynamic_batching { preferred_batch_size: [ 4, 8 ] }\n";
    let server = ServerBuilder::new()
        .model("m", "1", &good())
        .file("m/config.pbtxt", triton)
        .model("plain", "1", &good())
        .file("plain/config.pbtxt", "platform: \"onnxruntime_onnx\"")
        .model("huge", "1", &good())
        .file("huge/config.pbtxt", "a".repeat(100 << 10))
        .model("bytes", "1", &good())
        .file("bytes/config.pbtxt", [0xff, 0xfe, b'{'])
        .model("both", "1", &good())
        .file("both/config.pbtxt", triton)
        .file("both/config.toml", "max_batch_size = 8")
        .file("two/a.onnx", "x")
        .file("two/b.onnx", "x")
        .file("two/config.pbtxt", "default_model_filename: \"a.onnx\"")
        .args(["--poll-interval", "20ms"])
        .start();
    models::write(server.models(), "seen", "1", &good());
    eventually(|| infer(&server, "seen").status == 200);
    let said = |model: &str| lines(&server, &format!("model '{model}': config.pbtxt"));
    let m = said("m");
    assert_eq!(m.len(), 1, "{m:?}");
    for part in ["config.toml", "max_batch_size = 8", "preferred_batch_size = [4, 8]"] {
        assert!(m[0].contains(part), "{m:?}");
    }
    assert_eq!(
        (said("plain").len(), said("huge").len(), said("bytes").len(), said("both").len()),
        (1, 1, 1, 1)
    );
    for (model, level, part) in [
        ("m", "WARN", "say in config.toml"),
        ("huge", "WARN", "settings belong in config.toml"),
        ("plain", "INFO", "no config.toml is needed"),
        ("both", "INFO", "config.toml beside it counts"),
    ] {
        let line = said(model).remove(0);
        assert!(line.contains(&format!("\"{level}\"")) && line.contains(part), "{line}");
    }
    assert!(said("two")[0].contains("default_model_filename = \\\"a.onnx\\\""), "{:?}", said("two"));
    for model in ["m", "plain", "huge", "bytes"] {
        assert_eq!(infer(&server, model).status, 200, "{model}");
    }
}

#[test]
fn folders_that_may_not_be_read_are_passed_over() {
    let program = tempfile::tempdir().unwrap();
    let library = ort_library::find(&Environment::of_process()).unwrap();
    let server = ServerBuilder::new()
        .model("m", "1", &good())
        .model("closed", "1", &good())
        .model("listed", "1", &good())
        .model("half", "1", &good())
        .model("half", "2", &good())
        .file("lost+found/x", "")
        .args(["--poll-interval", "20ms"])
        .unprivileged(program.path(), &library);
    let close = |server: &ServerBuilder, key: &str, mode| {
        fs::set_permissions(server.models().join(key), Permissions::from_mode(mode)).unwrap();
    };
    for (key, mode) in [("lost+found", 0o000), ("closed", 0o000), ("listed", 0o444), ("half/2", 0o000)] {
        close(&server, key, mode);
    }
    let server = server.start();
    assert_eq!(infer(&server, "m").status, 200);
    assert_eq!(get(&format!("{}/v2/models/half", server.url())).json()["versions"][0], "1");
    models::write(server.models(), "seen", "1", &good());
    eventually(|| infer(&server, "seen").status == 200);
    for folder in ["closed", "listed", "half/2"] {
        let said = lines(&server, &format!("folder '{folder}' cannot be read"));
        assert_eq!(said.len(), 1, "{folder}: {said:?}");
    }
    assert!(lines(&server, "lost+found").len() <= 1, "{:?}", lines(&server, "lost+found"));
    let refused = load(&server, "closed");
    assert!(refused.status == 404 && refused.error().contains("cannot be read"), "{}", refused.error());
    // A model that answers goes on when its folder is closed under it.
    fs::set_permissions(server.models().join("m"), Permissions::from_mode(0o000)).unwrap();
    eventually(|| lines(&server, "folder 'm' cannot be read").len() == 1);
    assert_eq!(infer(&server, "m").status, 200);
    for key in ["lost+found", "closed", "listed", "half/2", "m"] {
        fs::set_permissions(server.models().join(key), Permissions::from_mode(0o755)).unwrap();
    }
}
