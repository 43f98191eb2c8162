//! `fetch` over HTTP and from a folder.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use decima_trainer::data::folder;
use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::TempDir;

use crate::support::{fail, mnist, succeed, text, trained};

/// Serves the files of a folder over HTTP until the test process ends. Returns the address.
fn serve(folder: PathBuf) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 4096];
            let length = stream.read(&mut request).unwrap();
            let line = String::from_utf8_lossy(&request[..length]).into_owned();
            let name = line.split_whitespace().nth(1).unwrap_or("/").trim_start_matches('/').to_owned();
            let (status, body) = match fs::read(folder.join(name)) {
                Ok(body) => ("200 OK", body),
                Err(_) => ("404 Not Found", Vec::new()),
            };
            let head =
                format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            stream.write_all(head.as_bytes()).unwrap();
            stream.write_all(&body).unwrap();
        }
    });
    address
}

/// A folder with the drawn digits, compressed as MNIST's files are.
fn packed() -> TempDir {
    let folder = TempDir::new().unwrap();
    for file in fs::read_dir(trained().join("synth")).unwrap() {
        let path = file.unwrap().path();
        let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
        packer.write_all(&fs::read(&path).unwrap()).unwrap();
        let name = format!("{}.gz", path.file_name().unwrap().to_str().unwrap());
        fs::write(folder.path().join(name), packer.finish().unwrap()).unwrap();
    }
    folder
}

fn same(a: &Path, b: &Path) {
    assert!(folder::load(a).unwrap() == folder::load(b).unwrap());
}

#[test]
fn files_from_the_web_need_mnists_checksums_unless_the_user_says_otherwise() {
    let (source, out) = (packed(), TempDir::new().unwrap());
    let address = serve(source.path().to_owned());
    let said = fail(&["fetch", "--url", &address, "--out", text(out.path())]);
    assert!(said.contains("SHA-256") && said.contains("--unverified") && said.contains(&address), "{said}");
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), 0, "a file with a wrong checksum stayed");
    succeed(&["fetch", "--url", &address, "--unverified", "--out", text(out.path())]);
    same(&trained().join("synth"), out.path());
}

#[test]
fn the_real_files_pass_the_check() {
    let Some(data) = mnist() else { return };
    let out = TempDir::new().unwrap();
    let address = serve(data.clone());
    succeed(&["fetch", "--url", &format!("{address}/"), "--out", text(out.path())]);
    same(&data, out.path());
}

#[test]
fn a_missing_file_is_named_with_its_address() {
    let (empty, out) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let address = serve(empty.path().to_owned());
    let said = fail(&["fetch", "--url", &address, "--out", text(out.path())]);
    assert!(
        said.contains(&format!("{address}/train-images-idx3-ubyte.gz")) && said.contains("404"),
        "{said}"
    );
    let said = fail(&["fetch", "--from", text(empty.path()), "--out", text(out.path())]);
    assert!(said.contains("holds neither"), "{said}");
}
