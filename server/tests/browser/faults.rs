//! A server that is busy, still loading, or gone.

use serde_json::json;

use crate::{
    page::{By, Page, run},
    strokes,
};

/// Has what `path` matches answered with this status, as the server does it, while `window.isRefusing`.
pub(crate) fn refusing(path: &str, status: u16) -> String {
    format!(
        "{{
           const ask = window.fetch;
           window.isRefusing = true;
           window.fetch = (address, ...rest) => window.isRefusing && {path}.test(address)
             ? Promise.resolve(new Response(JSON.stringify({{ error: 'as the test says' }}), {{
                 status: {status}, headers: {{ 'Content-Type': 'application/json', 'Retry-After': '1' }} }}))
             : ask(address, ...rest);
         }}"
    )
}

#[test]
fn a_busy_server_is_asked_again() {
    run(async {
        let page = Page::open().await;
        for (status, message) in [(429, "The server is busy."), (503, "The model is not ready yet.")] {
            page.js(&refusing("/infer$/", status)).await;
            page.draw(By::Mouse, &strokes::digit(7).in_the_middle()).await;
            page.until(&format!(
                "document.getElementById('message').textContent === '{message} Trying again …'"
            ))
            .await;
            page.until("document.getElementById('message').classList.contains('is-bad')").await;
            page.until("document.getElementById('curl').disabled").await;
            page.js("window.isRefusing = false").await;
            page.until("document.getElementById('result').dataset.state === 'read'").await;
            assert_eq!(page.shown().await.answer, "7");
            page.press("clear").await;
        }
        // What is wrong with the request is said in the server's words, and not asked again.
        page.js(&refusing("/infer$/", 413)).await;
        page.draw(By::Mouse, &strokes::digit(7).in_the_middle()).await;
        page.until("document.getElementById('message').textContent === 'as the test says'").await;
        page.until("document.getElementById('result').ariaBusy === 'false'").await;
    });
}

#[test]
fn models_that_are_loading_are_waited_for() {
    run(async {
        let page = Page::open().await;
        let script = json!({ "source": refusing("/config$/", 503) });
        page.chrome.devtools("Page.addScriptToEvaluateOnNewDocument", script).await;
        page.chrome.client.refresh().await.unwrap();
        page.until("document.getElementById('message').textContent.startsWith('The server is still loading its models.')").await;
        page.draw(By::Mouse, &strokes::digit(7).in_the_middle()).await;
        assert_eq!(page.questions().await, 0);
        page.js("window.isRefusing = false").await;
        assert_eq!(page.read().await.answer, "7", "what was drawn meanwhile is read");
    });
}

#[test]
fn a_server_that_is_gone_is_found_again() {
    run(async {
        let page = Page::open().await;
        page.draw(By::Mouse, &strokes::digit(7).at(40.0, 60.0, 200.0)).await;
        assert_eq!(page.read().await.answer, "7");
        page.chrome.devtools("Network.enable", json!({})).await;
        let network = |offline: bool| json!({ "offline": offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1 });
        page.chrome.devtools("Network.emulateNetworkConditions", network(true)).await;
        page.draw(By::Mouse, &strokes::digit(1).at(300.0, 60.0, 200.0)).await;
        let message = "document.getElementById('message').textContent === 'The server cannot be reached. Trying again …'";
        page.until(message).await;
        assert_eq!(page.shown().await.state, "stale", "what was read is shown as what it is");
        page.chrome.screenshot("error").await;
        page.chrome.devtools("Network.emulateNetworkConditions", network(false)).await;
        page.until("document.getElementById('result').dataset.state === 'read'").await;
        assert_eq!(page.shown().await.answer, "71");
    });
}
