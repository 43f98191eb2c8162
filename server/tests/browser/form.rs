//! What the page is made of: nothing from elsewhere, legible, and usable by everybody.

use std::{env, fs, path::PathBuf};

use serde_json::json;

use crate::{
    page::{By, Page, run},
    strokes,
};

/// The checker of accessibility, as `scripts/setup browser` has it.
fn axe() -> String {
    let cache = env::var_os("DECIMA_CACHE").map_or_else(
        || env::home_dir().expect("HOME or DECIMA_CACHE is set").join(".cache/decima"),
        PathBuf::from,
    );
    let script = cache.join("axe/axe.min.js");
    fs::read_to_string(&script)
        .unwrap_or_else(|_| panic!("no {}: run scripts/setup browser", script.display()))
}

async fn is_accessible(page: &Page, axe: &str, state: &str) {
    let inject = json!({ "expression": axe });
    page.chrome.devtools("Runtime.evaluate", inject).await;
    let script = "const { violations } = await axe.run(document);
         return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`)}`)";
    let violations = page.js(script).await;
    assert_eq!(violations, json!([]), "{state}");
}

async fn prefer(page: &Page, scheme: &str) {
    let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
    page.chrome.devtools("Emulation.setEmulatedMedia", media).await;
    page.until(&format!("matchMedia('(prefers-color-scheme: {scheme})').matches")).await;
}

#[test]
fn everybody_can_use_it_by_day_and_by_night() {
    run(async {
        let (page, axe) = (Page::open().await, axe());
        for scheme in ["light", "dark"] {
            prefer(&page, scheme).await;
            is_accessible(&page, &axe, &format!("{scheme}, empty")).await;
            page.draw(By::Mouse, &strokes::digit(3).at(60.0, 60.0, 200.0)).await;
            page.read().await;
            is_accessible(&page, &axe, &format!("{scheme}, a digit")).await;
            if scheme == "dark" {
                page.chrome.screenshot("dark").await;
            }
            page.draw(By::Mouse, &strokes::digit(5).at(280.0, 60.0, 200.0)).await;
            assert_eq!(page.read().await.answer, "35", "what is sent is black on white by night too");
            is_accessible(&page, &axe, &format!("{scheme}, several digits")).await;
            page.press("clear").await;
        }
        let brightness =
            "const [red, green, blue] = getComputedStyle(document.body).backgroundColor.match(/\\d+/g);
             return (Number(red) + Number(green) + Number(blue)) / 3";
        assert!(page.js(brightness).await.as_f64().unwrap() < 60.0, "dark is dark");
        prefer(&page, "light").await;
        assert!(page.js(brightness).await.as_f64().unwrap() > 200.0);
    });
}

#[test]
fn every_control_is_reached_by_keyboard_and_shows_it() {
    run(async {
        let page = Page::open().await;
        page.draw(By::Mouse, &strokes::digit(3).at(60.0, 60.0, 200.0)).await;
        page.draw(By::Mouse, &strokes::digit(5).at(280.0, 60.0, 200.0)).await;
        page.read().await;
        page.js("document.getElementById('model').focus()").await;
        let mut reached = vec!["model".to_owned()];
        for _ in 0..30 {
            for kind in ["keyDown", "keyUp"] {
                let tab = json!({ "type": kind, "key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9 });
                page.chrome.devtools("Input.dispatchKeyEvent", tab).await;
            }
            let focused = page
                .js("const at = document.activeElement, { outlineStyle, outlineWidth } = getComputedStyle(at);
                     return [at.id || at.textContent, outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2]")
                .await;
            let name = focused[0].as_str().unwrap().to_owned();
            if reached.contains(&name) || name.contains('\n') {
                break; // the page's end, which is its body
            }
            assert_eq!(focused[1], json!(true), "the focus on {name} is seen");
            reached.push(name);
        }
        let wanted =
            ["model", "undo", "clear", "width", "open", "camera", "3", "5", "curl", "python", "API and docs"];
        assert_eq!(reached, wanted);
    });
}

#[test]
fn nothing_comes_from_elsewhere_and_nothing_is_refused() {
    run(async {
        let page = Page::open().await;
        page.draw(By::Mouse, &strokes::digit(7).in_the_middle()).await;
        page.read().await;
        let origins = "return [...new Set(performance.getEntries().filter(({ entryType }) => /resource|navigation/.test(entryType))
             .map(({ name }) => new URL(name)).filter(({ protocol }) => protocol !== 'data:').map(({ origin }) => origin))]";
        assert_eq!(page.js(origins).await, json!([page.server.url()]));
        let said = page.chrome.console().await;
        assert!(said.is_empty(), "{said:?}");
        // The console does say it where the policy refuses something.
        let refused = "const script = document.createElement('script');
             script.textContent = 'window.isRun = true';
             document.head.append(script);
             document.body.setAttribute('style', 'color: red');
             await new Promise((resolve) => setTimeout(resolve, 200));
             return [window.isRun === undefined, getComputedStyle(document.body).color !== 'rgb(255, 0, 0)']";
        assert_eq!(page.js(refused).await, json!([true, true]));
        let said = page.chrome.console().await.join("\n");
        assert!(said.contains("Content Security Policy"), "{said}");
    });
}

#[test]
fn nothing_jumps_while_it_is_drawn() {
    run(async {
        let page = Page::open().await;
        page.js(
            "window.shifted = 0;
             new PerformanceObserver((list) => { for (const { value } of list.getEntries()) window.shifted += value; })
               .observe({ type: 'layout-shift' })",
        )
        .await;
        for (digit, left) in [(1, 30.0), (8, 180.0), (2, 330.0)] {
            page.draw(By::Mouse, &strokes::digit(digit).at(left, 90.0, 160.0)).await;
            page.read().await;
        }
        let heights =
            "return [document.getElementById('result').offsetHeight, document.documentElement.scrollHeight]";
        let full = page.js(heights).await;
        page.press("clear").await;
        assert_eq!(page.js(heights).await, full);
        let shifted = page.js("return window.shifted").await.as_f64().unwrap();
        assert!(shifted < 0.01, "{shifted}");
    });
}
