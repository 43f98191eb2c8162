//! Phones, scrolled pages and dense screens.

use fantoccini::actions::PointerAction;
use serde_json::{Value, json};

use crate::{
    page::{By, Page, digits, digits_with, run},
    strokes,
};

fn phone() -> Value {
    json!({
        "deviceMetrics": { "width": 390, "height": 760, "pixelRatio": 3.0, "touch": true, "mobile": true },
        "userAgent": "Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0 Mobile Safari/537.36",
    })
}

async fn resize(page: &Page, width: u32, height: u32, density: f64) {
    let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": density, "mobile": true });
    page.chrome.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
    page.until(&format!("innerWidth === {width} && devicePixelRatio === {density}")).await;
}

async fn scrolled(page: &Page) -> f64 {
    page.js("await new Promise((resolve) => setTimeout(resolve, 200)); return scrollY")
        .await
        .as_f64()
        .unwrap()
}

/// A finger from one place of the window to another.
fn swipe(from: (f64, f64), to: (f64, f64)) -> Vec<PointerAction> {
    let step = |at: u32| {
        let part = f64::from(at) / 10.0;
        let (x, y) = (from.0 + (to.0 - from.0) * part, from.1 + (to.1 - from.1) * part);
        PointerAction::MoveTo {
            duration: Some(std::time::Duration::from_millis(10)),
            x: x.round(),
            y: y.round(),
        }
    };
    let mut actions: Vec<_> = (0..=10).map(step).collect();
    actions.insert(1, PointerAction::Down { button: 0 });
    actions.push(PointerAction::Up { button: 0 });
    actions
}

#[test]
fn a_finger_draws_and_the_page_stays() {
    run(async {
        let page = Page::of(digits(), (500, 900), Some(phone())).await;
        let sides = page.js("return [document.documentElement.scrollWidth, innerWidth]").await;
        assert_eq!(sides[0], sides[1], "nothing is wider than the screen");
        let places = page.on_screen(&[(240.0, 340.0), (240.0, 20.0)]).await;
        page.act(By::Finger, swipe(places[0], places[1])).await;
        assert!(scrolled(&page).await < 1.0, "drawing does not scroll");
        assert_eq!(page.read().await.answer, "1");
        page.chrome.screenshot("phone").await;
        page.act(By::Finger, swipe((200.0, 700.0), (200.0, 300.0))).await;
        assert!(scrolled(&page).await > 50.0, "the page beside the paper does");
        page.js("scrollTo(0, 0)").await;
        page.press("clear").await;
        page.draw(By::Finger, &strokes::digit(5).in_the_middle()).await;
        assert_eq!(page.read().await.answer, "5");
    });
}

#[test]
fn strokes_outlive_rotation_and_the_address_bar() {
    run(async {
        let page = Page::of(digits(), (500, 900), Some(phone())).await;
        page.draw(By::Finger, &strokes::digit(4).in_the_middle()).await;
        assert_eq!(page.read().await.answer, "4");
        let (drawn, asked) = (page.inked().await, page.questions().await);
        for (width, height) in [(390, 700), (760, 390), (390, 760), (320, 560)] {
            resize(&page, width, height, 3.0).await;
            let now = page.inked().await;
            assert!((now - drawn).abs() < 0.1 * drawn, "{width} x {height}: {now} is not {drawn}");
            assert_eq!(page.shown().await.answer, "4", "{width} x {height}");
            let sides = page.js("return [document.documentElement.scrollWidth, innerWidth]").await;
            assert_eq!(sides[0], sides[1], "{width} x {height}: nothing is wider than the screen");
            if width > height {
                page.chrome.screenshot("phone-rotated").await;
            }
        }
        assert_eq!(page.questions().await, asked, "the same drawing is not asked about again");
        resize(&page, 760, 390, 3.0).await;
        page.press("clear").await;
        page.js("scrollTo(0, 0)").await;
        page.draw(By::Finger, &strokes::digit(2).in_the_middle()).await;
        assert_eq!(page.read().await.answer, "2");
    });
}

#[test]
fn ink_is_under_the_pen_on_scrolled_and_dense_pages() {
    run(async {
        let page = Page::open().await;
        // Each has another width: an emulated screen says nothing of a density that changes alone.
        for (width, height, density) in
            [(1280, 460, 1.0), (1200, 460, 2.0), (700, 460, 3.0), (1000, 460, 1.5)]
        {
            let metrics =
                json!({ "width": width, "height": height, "deviceScaleFactor": density, "mobile": false });
            page.chrome.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
            page.until(&format!("innerWidth === {width} && devicePixelRatio === {density}")).await;
            page.js("scrollTo(0, 70)").await;
            assert!(scrolled(&page).await > 20.0, "there is something to scroll");
            // Every pixel of the screen is used.
            page.until(
                "Math.abs(document.getElementById('pad').width \
                 - document.getElementById('pad').clientWidth * devicePixelRatio) <= 1",
            )
            .await;
            let points = [(60.0, 180.0), (240.0, 200.0), (420.0, 230.0)];
            page.draw(By::Mouse, &[points.to_vec()]).await;
            let places = page.on_screen(&points).await;
            assert_eq!(page.ink(&places).await, [255; 3], "{width} x {height} at {density}");
            let beside: Vec<_> = places.iter().map(|&(x, y)| (x, y - 40.0)).collect();
            assert_eq!(page.ink(&beside).await, [0; 3], "{width} x {height} at {density}");
            page.js("document.getElementById('clear').click()").await;
        }
    });
}

/// The least width of a label's button, and the lowest edges of the answer and of the thanks, in pixels of the window.
async fn measured(page: &Page) -> (f64, f64, f64) {
    let script = "const rect = (selector) => document.querySelector(selector).getBoundingClientRect();
         const labels = [...document.querySelectorAll('#labels button')].map((each) => each.getBoundingClientRect().width);
         return [Math.min(...labels), rect('.digit').bottom, rect('#thanks').bottom]";
    let values = page.js(script).await;
    let value = |at: usize| values[at].as_f64().unwrap();
    (value(0), value(1), value(2))
}

#[test]
fn the_answer_and_the_labels_fit_every_screen() {
    run(async {
        let place = tempfile::TempDir::new().unwrap();
        let server = digits_with(&["--feedback", place.path().to_str().unwrap()]);
        let page = Page::of(server, (1280, 900), None).await;
        page.until("!document.getElementById('teach').hidden").await;
        page.draw(By::Mouse, &strokes::digit(4).in_the_middle()).await;
        assert_eq!(page.read().await.answer, "4");
        for (width, height, least) in [
            (320, 568, 44.0),
            (375, 667, 44.0),
            (390, 844, 44.0),
            (768, 1024, 44.0),
            (820, 1180, 44.0),
            (1280, 800, 30.0),
        ] {
            resize(&page, width, height, 1.0).await;
            page.js("scrollTo(0, 0)").await;
            let (label, answer, thanks) = measured(&page).await;
            assert!(label >= least, "{width} x {height}: a label of {label}");
            if width >= 375 {
                assert!(answer <= f64::from(height), "{width} x {height}: the answer ends at {answer}");
                let row = "const top = (id) => document.getElementById(id).getBoundingClientRect().top;
                     return Math.abs(top('clear') - top('width'))";
                assert!(
                    page.js(row).await.as_f64().unwrap() < 2.0,
                    "{width} x {height}: the pen is beside Clear"
                );
            }
            if width >= 768 {
                assert!(thanks <= f64::from(height), "{width} x {height}: the thanks end at {thanks}");
            }
            let sides = page.js("return [document.documentElement.scrollWidth, innerWidth]").await;
            assert_eq!(sides[0], sides[1], "{width} x {height}: nothing is wider than the screen");
        }
    });
}
