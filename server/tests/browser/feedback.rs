//! Corrections: what is right is stored, with the picture that it is of.

use std::{
    fs,
    path::{Path, PathBuf},
};

use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use pictures::{Limits, decode, mnist};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    faults::refusing,
    page::{By, Page, digits_with, run},
    strokes::{self, Stroke},
    support::post,
};

/// The picture that is stored under a label, and what is told of it.
fn stored(place: &Path, label: &str) -> (PathBuf, Value) {
    let files: Vec<_> = fs::read_dir(place.join(label)).unwrap().map(|entry| entry.unwrap().path()).collect();
    let of = |extension: &str| {
        let mut found = files.iter().filter(|path| path.extension().is_some_and(|own| own == extension));
        found.next().cloned().unwrap_or_else(|| panic!("no {extension} in {files:?}"))
    };
    (of("png"), serde_json::from_slice(&fs::read(of("json")).unwrap()).unwrap())
}

async fn press_label(page: &Page, label: &str) {
    page.js(&format!("document.querySelector('[aria-label=\"It is a {label}\"]').click()")).await;
}

#[test]
fn a_correction_is_stored() {
    run(async {
        let place = TempDir::new().unwrap();
        let server = digits_with(&["--feedback", place.path().to_str().unwrap()]);
        let page = Page::of(server, (1280, 900), None).await;
        page.until("!document.getElementById('teach').hidden").await;
        page.until("[...document.querySelectorAll('#labels button')].every(({ disabled }) => disabled)")
            .await;
        page.draw(By::Mouse, &strokes::digit(7).in_the_middle()).await;
        page.read().await;
        press_label(&page, "1").await;
        page.until("document.getElementById('thanks').textContent === 'Thank you: stored as a 1.'").await;
        page.chrome.screenshot("taught").await;
        let (picture, told) = stored(place.path(), "1");
        assert_eq!(
            (&told["label"], &told["model"], &told["version"]),
            (&json!("1"), &json!("digits"), &json!("1"))
        );
        let picture = decode(&fs::read(picture).unwrap(), &Limits::default()).unwrap();
        assert_eq!(mnist::digits(picture.view()).unwrap().len(), 1);
        // Of several digits it is the chosen one alone.
        page.press("clear").await;
        page.until("document.getElementById('thanks').textContent === ''").await;
        page.draw(By::Mouse, &strokes::digit(4).at(60.0, 60.0, 200.0)).await;
        page.draw(By::Mouse, &strokes::digit(2).at(280.0, 60.0, 200.0)).await;
        assert_eq!(page.read().await.answer, "42");
        page.js("document.querySelector('.digit').click()").await;
        press_label(&page, "9").await;
        page.until("document.getElementById('thanks').textContent === 'Thank you: stored as a 9.'").await;
        let (picture, _) = stored(place.path(), "9");
        let picture = decode(&fs::read(picture).unwrap(), &Limits::default()).unwrap();
        let kept = mnist::digit(picture.view()).unwrap();
        assert!(kept.bounds.height > kept.bounds.width, "{:?}", kept.bounds);
        // What the server refuses is said where it was asked.
        page.js("const ask = window.fetch;
             window.fetch = (address, ...rest) => address === 'feedback'
               ? Promise.resolve(new Response('{\"error\":\"too many corrections\"}', { status: 429 }))
               : ask(address, ...rest)")
            .await;
        press_label(&page, "9").await;
        page.until("document.getElementById('thanks').textContent === 'Not stored. The server is busy.'")
            .await;
        page.until("document.getElementById('thanks').classList.contains('is-bad')").await;
    });
}

#[test]
fn nothing_is_asked_for_where_nothing_is_kept() {
    run(async {
        let page = Page::open().await;
        page.draw(By::Mouse, &strokes::digit(7).in_the_middle()).await;
        page.read().await;
        assert_eq!(page.js("return document.getElementById('teach').hidden").await, json!(true));
    });
}

#[test]
fn an_answer_to_an_earlier_drawing_cannot_be_corrected() {
    run(async {
        let place = TempDir::new().unwrap();
        let server = digits_with(&["--feedback", place.path().to_str().unwrap()]);
        let page = Page::of(server, (1280, 900), None).await;
        let labels = |are: &str| {
            format!(
                "[...document.querySelectorAll('#labels button')].every(({{ disabled }}) => disabled === {are})"
            )
        };
        page.draw(By::Mouse, &strokes::digit(1).at(60.0, 60.0, 200.0)).await;
        assert_eq!(page.read().await.answer, "1");
        page.until(&labels("false")).await;
        page.js(&refusing("/infer$/", 413)).await;
        page.draw(By::Mouse, &strokes::digit(7).at(260.0, 60.0, 200.0)).await;
        page.until("document.getElementById('result').dataset.state === 'stale'").await;
        page.until("document.getElementById('result').ariaBusy === 'false'").await;
        assert_eq!(
            page.js(&format!("return {}", labels("true"))).await,
            json!(true),
            "the answer is of the 1 alone"
        );
        press_label(&page, "7").await;
        assert_eq!(page.js("return document.getElementById('thanks').textContent").await, json!(""));
        page.js("window.isRefusing = false").await;
        page.draw(By::Mouse, &[vec![(20.0, 20.0), (20.5, 20.5)]]).await;
        page.until("document.getElementById('result').dataset.state === 'read'").await;
        page.until(&labels("false")).await;
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0, "nothing was kept");
    });
}

/// A blackboard in uneven light with these digits, in chalk, as a photograph of 900 x 400 pixels.
fn board(digits: &[usize]) -> Vec<u8> {
    let strokes: Vec<Stroke> = (0..)
        .zip(digits)
        .flat_map(|(at, &digit)| strokes::digit(digit).at(90.0 + 260.0 * f64::from(at), 90.0, 210.0))
        .collect();
    let mut random = fastrand::Rng::with_seed(3);
    let picture = RgbImage::from_fn(900, 400, |x, y| {
        let (x, y) = (f64::from(x), f64::from(y));
        let near = strokes
            .iter()
            .flat_map(|stroke| stroke.windows(2))
            .any(|line| distance((x, y), line[0], line[1]) < 8.0);
        let ground = 40.0 + 0.05 * x + 0.03 * y + 6.0 * random.f64();
        let grey = if near { ground + 120.0 } else { ground };
        Rgb([(0.9 * grey) as u8, grey as u8, (0.95 * grey) as u8])
    });
    let mut bytes = std::io::Cursor::new(Vec::new());
    DynamicImage::ImageRgb8(picture).write_to(&mut bytes, ImageFormat::Jpeg).unwrap();
    bytes.into_inner()
}

/// Distance of a point from a straight line between two others.
fn distance(point: (f64, f64), from: (f64, f64), to: (f64, f64)) -> f64 {
    let (along, across) = (to.0 - from.0, to.1 - from.1);
    let share =
        ((point.0 - from.0) * along + (point.1 - from.1) * across) / (along * along + across * across);
    let share = share.clamp(0.0, 1.0);
    (point.0 - from.0 - share * along).hypot(point.1 - from.1 - share * across)
}

/// The digit that the server reads in the only picture of a label.
fn read_again(page: &Page, place: &Path, label: &str) -> usize {
    let picture = fs::read(stored(place, label).0).unwrap();
    let url = format!("{}/v2/models/digits/infer", page.server.url());
    let answer = post(&url, &[("content-type", "image/png")], &picture).json();
    let classes = answer["outputs"][0]["data"].as_array().unwrap_or_else(|| panic!("{label}: {answer}"));
    let value = |class: &usize| classes[*class].as_f64().unwrap();
    (0..10).max_by(|one, other| value(one).total_cmp(&value(other))).unwrap()
}

#[test]
fn a_digit_of_a_photograph_is_kept_as_one_that_can_be_read() {
    run(async {
        let (place, folder) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let server = digits_with(&["--feedback", place.path().to_str().unwrap()]);
        let page = Page::of(server, (1280, 900), None).await;
        let photograph = folder.path().join("board.jpg");
        fs::write(&photograph, board(&[7, 0, 4])).unwrap();
        page.chrome
            .client
            .find(fantoccini::Locator::Id("file"))
            .await
            .unwrap()
            .send_keys(photograph.to_str().unwrap())
            .await
            .unwrap();
        assert_eq!(page.read().await.answer, "704");
        // With a stroke over it too: then the picture of the whole paper is sent.
        for (round, labels) in [["1", "2", "3"], ["5", "6", "8"]].iter().enumerate() {
            if round == 1 {
                page.draw(By::Mouse, &strokes::digit(1).at(440.0, 110.0, 120.0)).await;
                assert_eq!(page.read().await.answer, "7041");
            }
            for (at, label) in labels.iter().enumerate() {
                page.js(&format!("document.querySelectorAll('.digit')[{at}].click()")).await;
                press_label(&page, label).await;
                page.until(&format!(
                    "document.getElementById('thanks').textContent === 'Thank you: stored as a {label}.'"
                ))
                .await;
                assert_eq!(read_again(&page, place.path(), label), [7, 0, 4][at], "{label}");
                // The ground around the digit is the photograph's own, pixel for pixel, and no frame of white.
                let kept = fs::read(stored(place.path(), label).0).unwrap();
                let kept = decode(&kept, &Limits::default()).unwrap();
                let (rows, columns, _) = kept.dim();
                let corners = [(0, 0), (0, columns - 1), (rows - 1, 0), (rows - 1, columns - 1)]
                    .map(|(row, column)| kept[[row, column, 0]]);
                assert!(corners.iter().all(|&grey| grey < 128), "{label}: {corners:?}");
                assert!(round == 1 || (230..=290).contains(&rows), "{label}: {rows} rows");
            }
        }
    });
}
