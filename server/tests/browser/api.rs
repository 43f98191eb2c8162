//! The page at `/docs`: the models of this server, and requests to them.

use oip::Datatype;
use serde_json::{Value, json};

use crate::{
    chrome::Chrome,
    page::{Page, digits, run},
    support::{Server, ServerBuilder, models},
};

/// The page of a server.
async fn page_of(server: Server, path: &str) -> Page {
    let page = Page { chrome: Chrome::open((1280, 900), None).await, server };
    page.chrome.client.goto(&format!("{}{path}", page.server.url())).await.unwrap();
    page
}

/// Opens the row of an operation.
async fn open(page: &Page, id: &str) {
    page.until(&format!("document.querySelector('[id$=-{id}] .opblock-summary-control')")).await;
    page.js(&format!(
        "const row = document.querySelector('[id$=-{id}]');
         if (!row.classList.contains('is-open')) row.querySelector('.opblock-summary-control').click()"
    ))
    .await;
    page.until(&format!("document.querySelector('[id$=-{id}] textarea.body-param__text')")).await;
}

async fn body(page: &Page, id: &str) -> Value {
    let script = format!("return document.querySelector('[id$=-{id}] textarea.body-param__text').value");
    serde_json::from_str(page.js(&script).await.as_str().unwrap()).unwrap()
}

async fn model(page: &Page, id: &str) -> Value {
    page.js(&format!("return document.querySelector('[id$=-{id}] input[placeholder=model]').value")).await
}

async fn choose(page: &Page, name: &str) {
    let button = format!(
        "[...document.querySelectorAll('#models button')].find((each) => each.textContent === '{name}')"
    );
    page.until(&button).await;
    page.js(&format!("{button}.click()")).await;
    page.until(&format!("{button}.getAttribute('aria-pressed') === 'true'")).await;
}

/// Sends the request of an opened row, and returns the status of the answer.
async fn execute(page: &Page, id: &str) -> Value {
    page.js(&format!("document.querySelector('[id$=-{id}] button.execute').click()")).await;
    let status =
        format!("document.querySelector('[id$=-{id}] .live-responses-table .response .response-col_status')");
    page.until(&status).await;
    page.js(&format!("return {status}.textContent.trim()")).await
}

#[test]
fn requests_are_filled_in_for_the_models_of_the_server() {
    run(async {
        let server = ServerBuilder::new()
            .model("pair", "3", &models::two_inputs())
            .model("words", "1", &models::identity(Datatype::Bytes))
            .start();
        let page = page_of(server, "/docs").await;
        page.until("document.querySelectorAll('#models button').length === 2").await;
        let text = "return [...document.querySelectorAll('#models li')].map((item) => item.textContent)";
        let listed = page.js(text).await;
        assert!(listed[0].as_str().unwrap().starts_with("pair version 3: "), "{listed}");
        assert_eq!(listed[1], "words version 1: x BYTES[-1,2] → y BYTES[-1,2]");

        for (name, id) in [("words", "infer"), ("words", "predict"), ("pair", "infer"), ("pair", "predict")] {
            choose(&page, name).await;
            open(&page, id).await;
            assert_eq!(model(&page, id).await, name, "{id}");
            assert!(
                !body(&page, id).await.to_string().contains("image"),
                "the digits' example: {id}, {name}"
            );
            assert_eq!(execute(&page, id).await, "200", "{id}, {name}");
        }
        choose(&page, "words").await;
        open(&page, "infer").await;
        let inputs = json!([{ "name": "x", "datatype": "BYTES", "shape": [1, 2], "data": [["", ""]] }]);
        assert_eq!(body(&page, "infer").await["inputs"], inputs);
        page.chrome.screenshot("api").await;
        assert_eq!(page.chrome.console().await, [""; 0]);
    });
}

#[test]
fn the_digits_have_their_own_example() {
    run(async {
        let page = page_of(digits(), "/docs/").await;
        open(&page, "infer").await;
        assert_eq!(model(&page, "infer").await, "digits");
        assert_eq!(body(&page, "infer").await["inputs"][0]["shape"], json!([1, 28, 28, 1]));
        assert_eq!(execute(&page, "infer").await, "200");
        assert_eq!(page.chrome.console().await, [""; 0]);
    });
}

#[test]
fn without_any_model_none_is_filled_in() {
    run(async {
        let arguments = ["--exit-on-error", "false", "--strict-readiness", "false"];
        let server =
            ServerBuilder::new().file("broken/1/model.onnx", "no model").args(arguments).start_to_fail();
        server.wait_for("listening");
        let page = page_of(server, "/docs").await;
        open(&page, "infer").await;
        assert_eq!(model(&page, "infer").await, "");
        assert!(
            page.js("return document.getElementById('models').textContent")
                .await
                .as_str()
                .unwrap()
                .contains("None yet")
        );
    });
}
