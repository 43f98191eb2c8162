//! Takes the two files of Swagger UI that `/docs` needs out of their archive, compressed as browsers take them.
#![expect(clippy::unwrap_used, reason = "a build that fails says where")]

use std::{
    env, fs,
    io::{Cursor, Read as _, Write as _},
    path::Path,
};

use flate2::{Compression, write::GzEncoder};
use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED;
use zip::ZipArchive;

const FILES: [&str; 2] = ["swagger-ui-bundle.js", "swagger-ui.css"];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let out = env::var_os("OUT_DIR").unwrap();
    let mut archive = ZipArchive::new(Cursor::new(SWAGGER_UI_VENDORED)).unwrap();
    for file in FILES {
        let end = format!("/dist/{file}");
        let is_it = |name: &String| name.ends_with(&end) && name.matches('/').count() == 2;
        let name = archive.file_names().map(|name| name.unwrap().into_owned()).find(is_it).unwrap();
        let mut content = Vec::new();
        archive.by_name(&name).unwrap().read_to_end(&mut content).unwrap();
        let packed = fs::File::create(Path::new(&out).join(format!("{file}.gz"))).unwrap();
        let mut packed = GzEncoder::new(packed, Compression::best());
        packed.write_all(&content).unwrap();
        packed.finish().unwrap();
    }
}
