//! `latest` adds corrected pictures to the training set.

use std::fs;
use std::path::Path;

use decima_trainer::data::folder;
use decima_trainer::files::sha256;
use serde_json::json;
use storage::testkit::{Minio, free_port};
use tempfile::TempDir;

use crate::support::{fail, succeed, text, trained, trainer};

/// Rows and columns of a drawing.
const SIDE: usize = 60;

/// A PNG with strokes of black ink on white: rectangles of `(top, left, height, width)`.
fn drawing(strokes: &[[usize; 4]]) -> Vec<u8> {
    let mut pixels = vec![255; SIDE * SIDE];
    for &[top, left, height, width] in strokes {
        for row in top..top + height {
            pixels[row * SIDE + left..][..width].fill(0);
        }
    }
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, SIDE as u32, SIDE as u32);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
    bytes
}

/// Thirty sevens that still differ after they are scaled to one size.
fn sevens() -> impl Iterator<Item = (String, Vec<u8>)> {
    (0..30).map(|n| {
        let (width, dash) = (12 + n % 6 * 6, 18 + n / 6 * 7);
        let strokes = [[6, 8, 6, width], [6, 2 + width, 48, 6], [dash, 4 + width, 4, 12]];
        (format!("7/{n}"), drawing(&strokes))
    })
}

/// The digit one as a straight bar of this height.
fn one(height: usize) -> Vec<u8> {
    drawing(&[[5, 28, height, 5]])
}

fn seven() -> Vec<u8> {
    drawing(&[[8, 15, 6, 30], [8, 39, 44, 6]])
}

fn put(place: &Path, key: &str, content: &[u8]) {
    let path = place.join(key);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

fn card(label: &str, time: &str, picture: &[u8]) -> Vec<u8> {
    let about = json!({ "label": label, "model": "digits", "version": "1", "time": time, "sha256": sha256(&[picture]) });
    about.to_string().into_bytes()
}

#[test]
fn each_picture_counts_once_and_what_is_left_out_is_named() {
    let (place, out) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let put = |key: &str, content: &[u8]| put(place.path(), key, content);
    put("7/a.png", &seven());
    put("7/a.json", &card("7", "2026-01-01T00:00:00.500Z", &seven()));
    put("7/again.png", &seven()); // no time: older than all
    put("1/a.png", &seven());
    put("1/a.json", &card("1", "2026-01-01T00:00:00Z", &seven())); // half a second before
    put("1-one.png", &one(50));
    put("4/unsure.png", &one(20));
    put("9/unsure.png", &one(20));
    put("3/blank.png", &drawing(&[]));
    put("4-two.png", &drawing(&[[10, 10, 40, 5], [10, 45, 40, 5]]));
    put("5/cut.png", &seven()[..60]);
    put("6/text.png", b"no picture");
    put("unlabelled.png", &one(40));
    put("cat/8.png", &one(45));
    put("cat/8.json", &card("cat", "2026-01-01T00:00:00Z", &one(45)));
    put("2/changed.png", &one(46));
    put("2/changed.json", &card("2", "2026-01-01T00:00:00Z", &one(47)));
    put("2/odd.png", &one(47));
    put("2/odd.json", b"{");
    put("notes.txt", b"not looked at");
    let base = trained().join("synth");
    let arguments =
        ["latest", "--from", text(place.path()), "--data", text(&base), "--out", text(out.path())];
    let output = succeed(&[&arguments[..], &["--repeat", "3"]].concat());
    let said = String::from_utf8(output.stdout).unwrap();
    for expected in [
        "14 pictures in ",
        ": 2 used, 12 left out",
        "1 without a label",
        "unlabelled.png",
        "2 whose JSON file has another label or cannot be read (2/odd.png, cat/8.png)",
        "1 whose JSON file describes another picture (2/changed.png)",
        "2 that cannot be read (5/cut.png, 6/text.png)",
        "1 with nothing drawn on them (3/blank.png)",
        "1 of several digits (4-two.png)",
        "1 that equal another one (7/again.png)",
        "1 that were labelled differently later (1/a.png)",
        "2 with several labels, none of which is the latest (4/unsure.png, 9/unsure.png)",
        "by digit: 1: 1, 7: 1",
        "each used 3 times: 6 of 2006 training pictures, 0.3 %",
    ] {
        assert!(said.contains(expected), "{expected}:\n{said}");
    }
    let (before, after) = (folder::load(&base).unwrap(), folder::load_prepared(out.path()).unwrap());
    assert_eq!(after.test, before.test);
    let (count, labels) = (before.train.len(), after.train.labels.to_vec());
    assert_eq!(labels[..count], before.train.labels.to_vec());
    let mut added = labels[count..].to_vec();
    added.sort_unstable();
    assert_eq!(added, [1, 1, 1, 7, 7, 7]);
    assert!((0..count).all(|index| after.train.picture(index) == before.train.picture(index)));
}

#[test]
fn the_share_is_a_limit_and_an_empty_place_is_no_failure() {
    let (place, out) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    sevens().for_each(|(name, picture)| put(place.path(), &format!("{name}.png"), &picture));
    let base = trained().join("synth");
    let arguments = ["latest", "--data", text(&base), "--out", text(out.path())];
    succeed(&[&arguments[..], &["--from", text(place.path()), "--share", "0.05"]].concat());
    let added = folder::load_prepared(out.path()).unwrap().train.len() - 2000;
    assert!((80..=105).contains(&added), "{added}");

    let nowhere = place.path().join("nowhere");
    let said = succeed(&[&arguments[..], &["--from", text(&nowhere)]].concat()).stdout;
    assert!(String::from_utf8(said).unwrap().contains("has no pictures yet"));
    assert_eq!(folder::load_prepared(out.path()).unwrap(), folder::load(&base).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn corrections_are_read_from_a_bucket() {
    let minio = Minio::start().await;
    minio.create_bucket("decima").await;
    for (name, picture) in sevens() {
        let about = card("7", "2026-01-01T00:00:00Z", &picture);
        minio.put("decima", &format!("feedback/{name}.json"), about).await;
        minio.put("decima", &format!("feedback/{name}.png"), picture).await;
    }
    let (base, out) = (trained().join("synth"), TempDir::new().unwrap());
    let run = |from: &str| {
        let arguments = ["latest", "--from", from, "--data", text(&base), "--out", text(out.path())];
        trainer().args(arguments).envs(minio.variables()).output().unwrap()
    };
    let output = run("s3://decima/feedback");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        said.contains("30 pictures in s3://decima/feedback: 30 used, 0 left out"),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(folder::load_prepared(out.path()).unwrap().train.len() > 2450, "{said}");
    let output = run("s3://none/feedback");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && said.contains("no bucket none"), "{said}");
}

#[test]
fn a_missing_store_or_data_set_gives_one_clear_line() {
    let out = TempDir::new().unwrap();
    let said = fail(&["latest", "--from", text(out.path()), "--data", "/nowhere", "--out", text(out.path())]);
    assert!(said.contains("/nowhere") && said.lines().count() == 1, "{said}");
    let base = trained().join("synth");
    let from = format!("s3://http://127.0.0.1:{}/decima/feedback", free_port());
    let output = trainer()
        .args(["latest", "--from", &from, "--data", text(&base), "--out", text(out.path())])
        .envs([("AWS_ACCESS_KEY_ID", "minio"), ("AWS_SECRET_ACCESS_KEY", "minio123")])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && said.contains("cannot reach"), "{said}");
    let output = trainer().args(["latest", "--from", "x", "--share", "1.5"]).output().unwrap();
    assert_eq!(output.status.code(), Some(64));
}
