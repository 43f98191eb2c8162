//! Drawing, and what is made of it.

use std::{env, fs};

use fantoccini::{actions::PointerAction, key::Key};
use serde_json::json;

use crate::{
    page::{By, Page, run},
    strokes,
};

/// The part of the digits of a file that must be read rightly. Those of the tests' own must be all of them.
const LEAST_RIGHT: f64 = 0.97;

#[test]
fn digits_are_read_as_they_are_drawn() {
    run(async {
        let page = Page::open().await;
        let (drawings, least) = match env::var("DECIMA_STROKES") {
            Ok(file) => (strokes::read(&fs::read_to_string(file).unwrap()), LEAST_RIGHT),
            Err(_) => (strokes::own(), 1.0),
        };
        let mut wrong = Vec::new();
        for (at, drawing) in drawings.iter().enumerate() {
            page.draw([By::Mouse, By::Pen][at % 2], &drawing.in_the_middle()).await;
            let shown = page.read().await;
            assert_eq!(shown.percents.len(), 10);
            assert!((shown.percents.iter().sum::<f64>() - 100.0).abs() < 1.0, "{shown:?}");
            if shown.answer == drawing.digit.to_string() {
                let best = shown.percents.iter().copied().fold(0.0, f64::max);
                assert!((shown.percents[drawing.digit as usize] - best).abs() < f64::EPSILON, "{shown:?}");
            } else {
                wrong.push(format!(
                    "{} ({}): {}, {}",
                    drawing.digit, drawing.style, shown.answer, shown.message
                ));
            }
            page.press("clear").await;
        }
        let right = 1.0 - wrong.len() as f64 / drawings.len() as f64;
        println!("{:.2} % of {} read rightly; wrong: {wrong:#?}", 100.0 * right, drawings.len());
        assert!(right >= least, "{wrong:#?}");
    });
}

#[test]
fn the_place_the_size_and_the_pen_do_not_matter() {
    run(async {
        let page = Page::open().await;
        let seven = strokes::digit(7);
        for (left, top, height) in
            [(20.0, 15.0, 100.0), (380.0, 240.0, 100.0), (150.0, 15.0, 330.0), (30.0, 280.0, 60.0)]
        {
            page.draw(By::Mouse, &seven.at(left, top, height)).await;
            assert_eq!(page.read().await.answer, "7", "{left}, {top}, {height}");
            page.press("clear").await;
        }
        for (key, width) in [(Key::Home, "4"), (Key::End, "44")] {
            page.js("document.getElementById('width').focus()").await;
            page.keys(&key.to_string()).await;
            assert_eq!(page.js("return document.getElementById('width').value").await, json!(width));
            page.draw(By::Mouse, &strokes::digit(3).in_the_middle()).await;
            assert_eq!(page.read().await.answer, "3", "a pen of {width}");
            page.press("clear").await;
        }
    });
}

#[test]
fn the_answer_says_what_the_model_saw() {
    run(async {
        let page = Page::open().await;
        page.chrome.screenshot("empty").await;
        page.draw(By::Mouse, &strokes::digit(8).in_the_middle()).await;
        assert_eq!(page.read().await.answer, "8");
        let script = "const sight = document.getElementById('sight');
             const { data } = sight.getContext('2d').getImageData(0, 0, 28, 28);
             const bright = (x, y) => data[4 * (28 * y + x)];
             let [bar, border] = [0, 0];
             for (let x = 0; x < 28; x++) for (let y = 0; y < 28; y++) {
               if (Math.min(x, y, 27 - x, 27 - y) < 2) border = Math.max(border, bright(x, y));
               else bar = Math.max(bar, bright(x, y));
             }
             const { imageRendering } = getComputedStyle(sight);
             return [bar > 200, border, sight.clientWidth >= 140, imageRendering, sight.ariaLabel]";
        assert_eq!(
            page.js(script).await,
            json!([true, 0, true, "pixelated", "The 8 as the model sees it, 28 by 28 pixels"])
        );
        page.until("/^\\d+ ms · digits, version 1$/.test(document.getElementById('facts').textContent)")
            .await;
        page.until("/^8, \\d+\\.\\d % sure\\.$/.test(document.getElementById('announcer').textContent)")
            .await;
        page.chrome.screenshot("light").await;
    });
}

#[test]
fn strokes_are_undone_and_cleared() {
    run(async {
        let page = Page::open().await;
        let (one, seven) =
            (strokes::digit(1).at(60.0, 60.0, 240.0), strokes::digit(7).at(250.0, 60.0, 240.0));
        page.draw(By::Mouse, &one).await;
        assert_eq!(page.read().await.answer, "1");
        page.draw(By::Mouse, &seven).await;
        assert_eq!(page.read().await.answer, "17");
        page.press("undo").await;
        assert_eq!(page.read().await.answer, "1");
        page.press("clear").await;
        assert_eq!(page.shown().await.state, "empty");
        page.js("document.activeElement.blur()").await;
        page.keys(&(Key::Control + "z")).await; // clearing is undone too
        assert_eq!(page.read().await.answer, "1");
        page.keys(&(Key::Control + "z")).await;
        assert_eq!(page.shown().await.state, "empty");
        assert!(page.inked().await < f64::EPSILON);
        let disabled =
            "return ['undo', 'clear', 'curl', 'python'].every((id) => document.getElementById(id).disabled)";
        assert_eq!(page.js(disabled).await, json!(true));
    });
}

#[test]
fn an_empty_paper_asks_and_shows_nothing() {
    run(async {
        let page = Page::open().await;
        let shown = page.shown().await;
        assert_eq!((shown.state.as_str(), shown.answer.as_str(), shown.message.as_str()), ("empty", "", ""));
        assert!(shown.percents.iter().all(|&percent| percent == 0.0), "{shown:?}");
        assert_eq!(page.questions().await, 0);
        // A slow network: the answer would come when the paper is empty again.
        let slow =
            json!({ "offline": false, "latency": 400, "downloadThroughput": -1, "uploadThroughput": -1 });
        page.chrome.devtools("Network.enable", json!({})).await;
        page.chrome.devtools("Network.emulateNetworkConditions", slow).await;
        page.draw(By::Mouse, &strokes::digit(7).in_the_middle()).await;
        page.until("document.getElementById('result').ariaBusy === 'true'").await;
        page.press("clear").await;
        page.js("await new Promise((resolve) => setTimeout(resolve, 900))").await;
        let shown = page.shown().await;
        assert_eq!(
            (shown.state.as_str(), shown.answer.as_str()),
            ("empty", ""),
            "the old drawing is read no more"
        );
        assert!(page.questions().await >= 1, "there was an answer to drop");
        let before = page.questions().await;
        page.press("model").await;
        page.js(
            "dispatchEvent(new Event('resize')); await new Promise((resolve) => setTimeout(resolve, 300))",
        )
        .await;
        assert_eq!(page.questions().await, before, "nothing is asked of an empty paper");
        page.draw(By::Mouse, &strokes::digit(1).in_the_middle()).await;
        assert_eq!(page.read().await.answer, "1");
    });
}

#[test]
fn the_pen_is_up_when_it_is_released_outside() {
    run(async {
        let page = Page::open().await;
        let mut places = page.on_screen(&[(240.0, 40.0), (240.0, 180.0), (240.0, 320.0)]).await;
        places.push((1200.0, 400.0)); // over the result
        let to = |&(x, y): &(f64, f64)| PointerAction::MoveTo { duration: None, x, y };
        let mut actions: Vec<_> = places.iter().map(to).collect();
        actions.insert(1, PointerAction::Down { button: 0 });
        actions.push(PointerAction::Up { button: 0 });
        page.act(By::Mouse, actions).await;
        page.read().await;
        let drawn = page.inked().await;
        assert!(drawn > 0.01, "{drawn}");
        let back = page.on_screen(&[(60.0, 60.0), (60.0, 300.0)]).await;
        page.act(By::Mouse, back.iter().map(to).collect()).await;
        assert!((page.inked().await - drawn).abs() < f64::EPSILON, "a pen that is up draws nothing");
        let strokes = "return document.getElementById('pad').ariaLabel";
        assert_eq!(page.js(strokes).await, json!("Drawing area with 1 stroke"));
    });
}

#[test]
fn several_digits_are_read_as_a_number() {
    run(async {
        let page = Page::open().await;
        for (digit, left) in [(7, 20.0), (4, 170.0), (2, 330.0)] {
            page.draw(By::Pen, &strokes::digit(digit).at(left, 90.0, 170.0)).await;
        }
        let shown = page.read().await;
        assert_eq!(shown.answer, "742");
        assert_eq!(shown.message, "742 · 3 digits, read from left to right.", "one number, to be copied");
        let selected = "getSelection().selectAllChildren(document.getElementById('message'));
             return getSelection().toString()";
        assert!(page.js(selected).await.as_str().unwrap().starts_with("742 "));
        let best = |percents: &[f64]| {
            (0..10).max_by(|&one, &other| percents[one].total_cmp(&percents[other])).unwrap()
        };
        assert_eq!(best(&shown.percents), 2, "the bars are those of what was drawn last");
        let pressed =
            "return [...document.querySelectorAll('.digit')].map((each) => each.ariaPressed).join()";
        assert_eq!(page.js(pressed).await, json!("false,false,true"));
        let pictures = "return new Set([...document.querySelectorAll('.digit canvas')].map((each) => each.toDataURL())).size";
        assert_eq!(page.js(pictures).await, json!(3));
        page.chrome.screenshot("several-digits").await;
        page.js("document.querySelector('.digit').focus()").await;
        page.keys(&Key::Enter.to_string()).await;
        assert_eq!(page.js(pressed).await, json!("true,false,false"));
        assert_eq!(best(&page.shown().await.percents), 7);
        page.until("document.getElementById('announcer').textContent.startsWith('7 4 2.')").await;
    });
}
