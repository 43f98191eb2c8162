//! Pictures that are dropped, pasted and chosen.

use std::{
    fs,
    path::{Path, PathBuf},
};

use fantoccini::Locator;
use image::ImageFormat;
use serde_json::json;
use tempfile::TempDir;

use crate::{
    page::{By, Page, run},
    strokes,
    support::pictures,
};

fn file(folder: &TempDir, name: &str, content: &[u8]) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, content).unwrap();
    path
}

async fn drop_file(page: &Page, path: &Path) {
    let files = json!({ "items": [], "files": [path], "dragOperationsMask": 1 });
    for kind in ["dragEnter", "dragOver", "drop"] {
        let event = json!({ "type": kind, "x": 300, "y": 300, "data": files });
        page.chrome.devtools("Input.dispatchDragEvent", event).await;
        if kind == "dragOver" {
            page.until("document.getElementById('paper').classList.contains('is-target')").await;
        }
    }
    page.until("!document.getElementById('paper').classList.contains('is-target')").await;
}

async fn choose(page: &Page, path: &Path) {
    page.chrome
        .client
        .find(Locator::Id("file"))
        .await
        .unwrap()
        .send_keys(path.to_str().unwrap())
        .await
        .unwrap();
}

#[test]
fn a_dropped_file_is_read_and_drawn_over() {
    run(async {
        let (page, folder) = (Page::open().await, TempDir::new().unwrap());
        drop_file(&page, &file(&folder, "digits.png", &pictures::one_and_seven())).await;
        assert_eq!(page.read().await.answer, "17");
        page.chrome.screenshot("dropped").await;
        // A stroke through the seven makes it something else; without it the picture is as it was.
        page.draw(By::Mouse, &strokes::digit(1).at(40.0, 100.0, 160.0)).await;
        page.read().await;
        assert_eq!(
            page.js("return document.getElementById('pad').ariaLabel").await,
            json!("Drawing area with a picture")
        );
        page.press("undo").await;
        assert_eq!(page.read().await.answer, "17");
        page.until("document.getElementById('hint').textContent === ''").await;
        drop_file(&page, &file(&folder, "notes.txt", b"not a picture")).await;
        let hint = "document.getElementById('hint').textContent.includes('“notes.txt” is not a picture')";
        page.until(hint).await;
        drop_file(&page, &file(&folder, "seven.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>")).await;
        page.until("document.getElementById('hint').textContent === '“seven.svg” cannot be read here: use PNG or JPEG.'")
            .await;
        assert_eq!(page.shown().await.answer, "17", "what was there stays");
        page.press("undo").await;
        assert_eq!(page.shown().await.state, "empty");
        page.until("document.getElementById('hint').textContent === 'Draw, or drop or paste a picture.'")
            .await;
    });
}

#[test]
fn strokes_over_a_picture_are_sent_as_they_are_shown() {
    run(async {
        let (page, folder) = (Page::open().await, TempDir::new().unwrap());
        // As wide as the paper, and with bars above and below it.
        for (colour, height, shown) in [
            ([40, 60, 50], 360, 255),
            ([40, 60, 50], 300, 255),
            ([200, 190, 170], 360, 0),
            ([200, 190, 170], 300, 0),
        ] {
            let ground = pictures::plain(480, height, colour, ImageFormat::Png);
            choose(&page, &file(&folder, "ground.png", &ground)).await;
            page.until("document.getElementById('pad').ariaLabel === 'Drawing area with a picture'").await;
            let stroke = strokes::digit(4).in_the_middle();
            page.draw(By::Mouse, &stroke).await;
            assert_eq!(page.read().await.answer, "4", "{colour:?}, {height}");
            let place = page.on_screen(&stroke[0][2..3]).await[0];
            let script = format!(
                "const pad = document.getElementById('pad'), rect = pad.getBoundingClientRect();
                 return [...pad.getContext('2d').getImageData(
                   Math.round(({} - rect.left) / rect.width * pad.width),
                   Math.round(({} - rect.top) / rect.height * pad.height), 1, 1).data].slice(0, 3)",
                place.0, place.1
            );
            assert_eq!(page.js(&script).await, json!([shown, shown, shown]), "{colour:?}, {height}");
            page.press("clear").await;
        }
    });
}

#[test]
fn chosen_files_of_every_kind_are_read() {
    run(async {
        let (page, folder) = (Page::open().await, TempDir::new().unwrap());
        let kinds =
            [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Gif, ImageFormat::Bmp, ImageFormat::WebP];
        for format in kinds {
            let name = format!("seven.{}", format.extensions_str()[0]);
            choose(&page, &file(&folder, &name, &pictures::seven(format))).await;
            assert_eq!(page.read().await.answer, "7", "{name}");
            page.press("clear").await;
        }
        // One that browsers show and the server does not decode, and one that is larger than needed.
        let svg = "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 100 100' width='3000' height='3000'>\
             <rect width='100' height='100' fill='#fff'/>\
             <path d='M30 20 H70 L42 82' fill='none' stroke='#000' stroke-width='8'/></svg>";
        page.js(&format!(
            "const picture = new Image();
             picture.src = 'data:image/svg+xml,' + encodeURIComponent({});
             await picture.decode();
             const canvas = document.createElement('canvas');
             canvas.width = canvas.height = 3000;
             canvas.getContext('2d').drawImage(picture, 0, 0);
             const blob = await new Promise((resolve) => canvas.toBlob(resolve, 'image/avif'));
             const files = new DataTransfer();
             files.items.add(new File([blob], 'large', {{ type: blob.type }}));
             const input = document.getElementById('capture');
             input.files = files.files;
             input.dispatchEvent(new Event('change'))",
            json!(svg)
        ))
        .await;
        assert_eq!(page.read().await.answer, "7");
        page.press("clear").await;
        choose(&page, &file(&folder, "blank.png", &pictures::blank())).await;
        page.until("document.getElementById('message').textContent === 'No digit was found here.'").await;
        let shown = page.shown().await;
        assert_eq!((shown.state.as_str(), shown.answer.as_str()), ("empty", ""), "no ink, no digit");
    });
}

#[test]
fn a_picture_is_pasted() {
    run(async {
        let page = Page::open().await;
        let origin = page.server.url();
        let allowed =
            json!({ "origin": origin, "permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"] });
        page.chrome.devtools("Browser.grantPermissions", allowed).await;
        let bytes =
            base64::Engine::encode(&base64::prelude::BASE64_STANDARD, pictures::seven(ImageFormat::Png));
        page.js(&format!(
            "const bytes = Uint8Array.from(atob('{bytes}'), (each) => each.charCodeAt(0));
             const blob = new Blob([bytes], {{ type: 'image/png' }});
             await navigator.clipboard.write([new ClipboardItem({{ 'image/png': blob }})])"
        ))
        .await;
        let key = json!({
            "type": "keyDown", "key": "v", "code": "KeyV", "modifiers": 2, "windowsVirtualKeyCode": 86,
            "commands": ["paste"],
        });
        page.chrome.devtools("Input.dispatchKeyEvent", key).await;
        assert_eq!(page.read().await.answer, "7");
    });
}
