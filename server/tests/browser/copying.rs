//! The request as a command: what is copied works as it is pasted.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use crate::{
    page::{By, Page, run},
    strokes,
};

/// What is on the clipboard after the button was pressed.
async fn copied(page: &Page, button: &str) -> String {
    page.press(button).await;
    page.until("document.getElementById('copied').textContent === 'Copied'").await;
    page.js("return navigator.clipboard.readText()").await.as_str().unwrap().to_owned()
}

/// What a program prints that is given a text to read.
fn output(program: &str, text: &str) -> String {
    let mut process = Command::new(program)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    process.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = process.wait_with_output().unwrap();
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The digits of an answer's probabilities.
fn best(answer: &Value) -> String {
    let data: Vec<f64> =
        answer["outputs"][0]["data"].as_array().unwrap().iter().map(|each| each.as_f64().unwrap()).collect();
    let best =
        |row: &[f64]| (0..10).max_by(|&one, &other| row[one].total_cmp(&row[other])).unwrap().to_string();
    data.chunks_exact(10).map(best).collect()
}

#[test]
fn copied_commands_give_the_same_answer() {
    run(async {
        let page = Page::open().await;
        let allowed = json!({ "origin": page.server.url(), "permissions": ["clipboardReadWrite"] });
        page.chrome.devtools("Browser.grantPermissions", allowed).await;
        page.draw(By::Mouse, &strokes::digit(6).at(60.0, 60.0, 200.0)).await;
        page.draw(By::Mouse, &strokes::digit(9).at(280.0, 60.0, 200.0)).await;
        assert_eq!(page.read().await.answer, "69");
        let command = copied(&page, "curl").await;
        assert!(command.lines().all(|line| line.len() < 4096), "terminals take no longer lines");
        for shell in ["sh", "bash"] {
            let answer: Value = serde_json::from_str(&output(shell, &command)).unwrap();
            assert_eq!(best(&answer), "69", "{shell}");
        }
        let program = copied(&page, "python").await;
        let printed = output("python3", &program);
        let digits: String = printed.lines().map(|line| line.split(' ').nth(1).unwrap()).collect();
        assert_eq!(digits, "69", "{printed}");
        // After clearing, it is the new drawing that is copied.
        page.press("clear").await;
        page.draw(By::Mouse, &strokes::digit(0).in_the_middle()).await;
        assert_eq!(page.read().await.answer, "0");
        let answer: Value = serde_json::from_str(&output("sh", &copied(&page, "curl").await)).unwrap();
        assert_eq!(best(&answer), "0");
    });
}

#[test]
fn pages_without_tls_can_copy_too() {
    run(async {
        let page = Page::open().await;
        // What browsers do on a page of another machine's without TLS.
        page.js("Object.defineProperty(navigator, 'clipboard', { value: undefined, configurable: true })")
            .await;
        page.draw(By::Mouse, &strokes::digit(1).in_the_middle()).await;
        page.read().await;
        page.press("curl").await;
        page.until("document.getElementById('copied').textContent === 'Copied'").await;
        let allowed = json!({ "origin": page.server.url(), "permissions": ["clipboardReadWrite"] });
        page.chrome.devtools("Browser.grantPermissions", allowed).await;
        let text = page.js("delete navigator.clipboard; return navigator.clipboard.readText()").await;
        assert!(
            text.as_str().unwrap().starts_with("base64 -d <<'PICTURE' | curl -sS 'http://127.0.0.1:"),
            "{text}"
        );
    });
}

#[test]
fn a_copy_that_fails_is_shown_as_a_failure() {
    run(async {
        let page = Page::open().await;
        page.js("Object.defineProperty(navigator, 'clipboard', { value: undefined, configurable: true });
             document.execCommand = () => false")
            .await;
        page.draw(By::Mouse, &strokes::digit(1).in_the_middle()).await;
        page.read().await;
        page.press("curl").await;
        page.until(
            "document.getElementById('copied').textContent === 'The browser does not let this page copy.'",
        )
        .await;
        let is_red = "const [red, green] = getComputedStyle(document.getElementById('copied')).color.match(/\\d+/g).map(Number);
             return red > 2 * green";
        assert_eq!(page.js(is_red).await, json!(true));
        page.js("document.execCommand = () => true").await;
        page.press("curl").await;
        page.until("document.getElementById('copied').textContent === 'Copied'").await;
        assert_eq!(page.js(is_red).await, json!(false));
    });
}
