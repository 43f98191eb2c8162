//! `evaluate --pictures`: the user's own labelled pictures are preprocessed as the server does it, and measured.

use std::fs;
use std::path::Path;

use decima_trainer::data::folder;
use decima_trainer::metrics::Metrics;
use tempfile::TempDir;

use crate::support::{fail, succeed, text, trained};

/// Writes a 28x28 picture as a PNG of three times its size, dark on light.
fn write_png(path: &Path, pixels: &[u8]) {
    let side = 28 * 3;
    let large: Vec<u8> =
        (0..side * side).map(|at| 255 - pixels[at / side / 3 * 28 + at % side / 3]).collect();
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, side as u32, side as u32);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.write_header().unwrap().write_image_data(&large).unwrap();
    fs::write(path, bytes).unwrap();
}

#[test]
fn labelled_pictures_are_measured_by_style_and_appear_in_the_metrics() {
    let folder = TempDir::new().unwrap();
    let data = trained().join("synth");
    let test = folder::load(&data).unwrap().test;
    let pictures = folder.path().join("pictures");
    fs::create_dir(&pictures).unwrap();
    for index in 0..40 {
        let style = if index % 4 == 0 { "chalk" } else { "soft-pen" };
        let name = format!("{}-{style}-{index:02}.png", test.labels[index]);
        write_png(&pictures.join(name), test.row_major(index));
    }
    write_png(&pictures.join("5-chalk-90.png"), &[0; 784]);
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    succeed(&["prepare", "--data", text(&data), "--out", &at("prepared")]);
    let weights = trained().join("out/weights.safetensors");
    let measured = ["--weights", text(&weights), "--pictures", text(&pictures)];
    let whole = ["evaluate", "--data", &at("prepared"), "--out", &at("out")];
    let output = succeed(&[&whole[..], &measured[..]].concat());
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("40 drawings") && said.contains("not read: 5-chalk-90.png"), "{said}");
    let drawings = Metrics::load(Path::new(&at("out/metrics.json"))).unwrap().drawings.unwrap();
    assert_eq!(drawings.pictures, 40);
    assert!(drawings.accuracy > 0.7, "accuracy {}", drawings.accuracy);
    assert_eq!((drawings.accuracy * 40.0).round() as usize + drawings.errors, 40);
    let styles: Vec<(&str, usize)> =
        drawings.by_style.iter().map(|style| (style.style.as_str(), style.pictures)).collect();
    assert_eq!(styles, [("chalk", 10), ("soft pen", 30)]);
    assert_eq!(drawings.by_style.iter().map(|style| style.errors).sum::<usize>(), drawings.errors);
    assert_eq!(drawings.unreadable.len(), 1);
    assert!(drawings.unreadable[0].reason.contains("empty"));
    let page = fs::read_to_string(at("out/report.html")).unwrap();
    assert!(page.contains("Drawings by style") && page.contains("soft pen"));
    // Without a data set, the figures are printed and nothing is written.
    let alone = String::from_utf8(succeed(&[&["evaluate"], &measured[..]].concat()).stdout).unwrap();
    assert!(said.contains(alone.lines().next().unwrap()), "{alone}");
}

#[test]
fn metrics_without_drawings_have_no_such_section() {
    let path = trained().join("out/metrics.json");
    assert_eq!(Metrics::load(&path).unwrap().drawings, None);
    assert!(!fs::read_to_string(path).unwrap().contains("\"drawings\": {"));
}

#[test]
fn a_missing_folder_is_named() {
    let weights = trained().join("out/weights.safetensors");
    let said = fail(&["evaluate", "--weights", text(&weights), "--pictures", "no-such-folder"]);
    assert!(said.contains("no-such-folder"), "{said}");
}
