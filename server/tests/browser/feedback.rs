//! Corrections: what is right is stored, with the picture that it is of.

use std::{
    fs,
    path::{Path, PathBuf},
};

use pictures::{Limits, decode, mnist};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    page::{By, Page, digits_with, run},
    strokes,
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
        page.until("document.getElementById('thanks').textContent === 'Thank you: kept as a 1.'").await;
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
        page.until("document.getElementById('thanks').textContent === 'Thank you: kept as a 9.'").await;
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
        page.until("document.getElementById('thanks').textContent === 'Not kept. The server is busy.'").await;
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
