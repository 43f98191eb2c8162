//! The page as a user has it: what is drawn, pressed and read.

use std::{future::Future, path::Path, time::Duration};

use fantoccini::{
    Locator,
    actions::{InputSource, MouseActions, PenActions, PointerAction, TouchActions},
};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::{
    chrome::Chrome,
    strokes::Stroke,
    support::{Server, ServerBuilder},
};

/// Nothing here takes this long on a machine that works.
const PATIENCE: Duration = Duration::from_secs(20);

/// The paper's units.
const PAPER: (f64, f64) = (480.0, 360.0);

/// What draws.
#[derive(Clone, Copy, Debug)]
pub(crate) enum By {
    Mouse,
    Pen,
    Finger,
}

/// What the page shows of an answer.
#[derive(Debug)]
pub(crate) struct Shown {
    /// `empty`, `read` or `stale`.
    pub(crate) state: String,
    /// What was read, one digit after the other.
    pub(crate) answer: String,
    /// Whether the answer is doubted.
    pub(crate) is_unsure: bool,
    pub(crate) message: String,
    /// The numbers of the bars.
    pub(crate) percents: Vec<f64>,
}

/// The page in a browser, from a server.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) chrome: Chrome,
    pub(crate) server: Server,
}

/// A server of the digits in `models`.
pub(crate) fn digits() -> Server {
    digits_with(&[])
}

/// A server of the digits with further arguments.
pub(crate) fn digits_with(arguments: &[&str]) -> Server {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("models");
    let server = ServerBuilder::new().args(["--model-repository", models.to_str().unwrap()]);
    let server = server.args(arguments.iter().copied()).spawn();
    server.wait_until_ready();
    server
}

impl Page {
    /// The page of the digits' server in a window of a desktop.
    pub(crate) async fn open() -> Self {
        Self::of(digits(), (1280, 900), None).await
    }

    /// The page of a server.
    pub(crate) async fn of(server: Server, size: (u32, u32), phone: Option<Value>) -> Self {
        let page = Self { chrome: Chrome::open(size, phone).await, server };
        page.go(&page.server.url()).await;
        page
    }

    /// Goes to an address, and waits until the models are known.
    pub(crate) async fn go(&self, url: &str) {
        self.chrome.client.goto(url).await.unwrap();
        self.until("document.getElementById('model').options[0].textContent !== 'Loading …'").await;
    }

    /// What a script gives, which may wait.
    pub(crate) async fn js(&self, script: &str) -> Value {
        let script = format!(
            "const done = arguments[0]; (async () => {{ {script} }})().then(done, (error) => done(`failed: ${{error}}`));"
        );
        let value = self.chrome.client.execute_async(&script, vec![]).await.unwrap();
        assert!(!value.as_str().is_some_and(|text| text.starts_with("failed: ")), "{script}: {value}");
        value
    }

    /// Waits until it is so.
    pub(crate) async fn until(&self, condition: &str) {
        let gives_up = Instant::now() + PATIENCE;
        while self.js(&format!("return Boolean({condition})")).await != json!(true) {
            assert!(Instant::now() < gives_up, "never {condition}: {:?}", self.shown().await);
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Presses a button.
    pub(crate) async fn press(&self, id: &str) {
        self.chrome.client.find(Locator::Id(id)).await.unwrap().click().await.unwrap();
    }

    /// Types into what has the focus.
    pub(crate) async fn keys(&self, keys: &str) {
        self.chrome.client.active_element().await.unwrap().send_keys(keys).await.unwrap();
    }

    /// Draws strokes, wherever the paper is on the screen.
    pub(crate) async fn draw(&self, by: By, strokes: &[Stroke]) {
        let mut actions = Vec::new();
        for stroke in strokes {
            let points = self.on_screen(stroke).await;
            for (at, &(x, y)) in points.iter().enumerate() {
                actions.push(PointerAction::MoveTo { duration: Some(Duration::ZERO), x, y });
                if at == 0 {
                    actions.push(PointerAction::Down { button: 0 });
                }
            }
            actions.push(PointerAction::Up { button: 0 });
        }
        self.act(by, actions).await;
    }

    /// Does with a pointer what is said, in pixels of the window.
    pub(crate) async fn act(&self, by: By, actions: Vec<PointerAction>) {
        fn all<S: InputSource<Action = PointerAction>>(source: S, actions: Vec<PointerAction>) -> S {
            actions.into_iter().fold(source, S::then)
        }
        let client = &self.chrome.client;
        let id = format!("{by:?}"); // a pointer never turns into another
        match by {
            By::Mouse => client.perform_actions(all(MouseActions::new(id), actions)).await,
            By::Pen => client.perform_actions(all(PenActions::new(id), actions)).await,
            By::Finger => client.perform_actions(all(TouchActions::new(id), actions)).await,
        }
        .unwrap();
    }

    /// Places of the paper as whole pixels of the window.
    pub(crate) async fn on_screen(&self, points: &[(f64, f64)]) -> Vec<(f64, f64)> {
        let rect = self
            .js("const { left, top, width, height } = document.getElementById('pad').getBoundingClientRect();
                 return [left, top, width, height]")
            .await;
        let side = |at: usize| rect[at].as_f64().unwrap();
        let place = |&(x, y): &(f64, f64)| {
            ((side(0) + x / PAPER.0 * side(2)).round(), (side(1) + y / PAPER.1 * side(3)).round())
        };
        points.iter().map(place).collect()
    }

    /// How dark each of these places of the window is on the paper, from 0 (nothing drawn) to 255.
    pub(crate) async fn ink(&self, places: &[(f64, f64)]) -> Vec<u64> {
        let script = format!(
            "await new Promise(requestAnimationFrame); await new Promise(requestAnimationFrame);
             const pad = document.getElementById('pad'), rect = pad.getBoundingClientRect();
             const context = pad.getContext('2d');
             return {}.map(([x, y]) => context.getImageData(
               Math.round((x - rect.left) / rect.width * pad.width),
               Math.round((y - rect.top) / rect.height * pad.height), 1, 1).data[3])",
            json!(places)
        );
        self.js(&script).await.as_array().unwrap().iter().map(|value| value.as_u64().unwrap()).collect()
    }

    /// The part of the paper that has ink.
    pub(crate) async fn inked(&self) -> f64 {
        let script = "await new Promise(requestAnimationFrame); await new Promise(requestAnimationFrame);
             const pad = document.getElementById('pad');
             const { data } = pad.getContext('2d').getImageData(0, 0, pad.width, pad.height);
             let inked = 0;
             for (let at = 3; at < data.length; at += 4) inked += data[at] > 127;
             return inked / (data.length / 4)";
        self.js(script).await.as_f64().unwrap()
    }

    /// What is shown once the last change has been read.
    pub(crate) async fn read(&self) -> Shown {
        self.until(
            "document.getElementById('result').ariaBusy === 'false' \
             && document.getElementById('result').dataset.state !== 'empty'",
        )
        .await;
        self.shown().await
    }

    /// What is shown now.
    pub(crate) async fn shown(&self) -> Shown {
        let value = self
            .js("const $ = (selector) => [...document.querySelectorAll(selector)];
                 return {
                   state: $('#result')[0].dataset.state,
                   answer: $('.digit > span').map((each) => each.textContent).join(''),
                   unsure: $('.digit.is-unsure').length > 0,
                   message: $('#message')[0].textContent,
                   percents: $('#bars .number').map((each) => parseFloat(each.textContent) || 0),
                 }")
            .await;
        let text = |key: &str| value[key].as_str().unwrap().to_owned();
        Shown {
            state: text("state"),
            answer: text("answer"),
            is_unsure: value["unsure"].as_bool().unwrap(),
            message: text("message"),
            percents: value["percents"]
                .as_array()
                .unwrap()
                .iter()
                .map(|each| each.as_f64().unwrap())
                .collect(),
        }
    }

    /// How many requests for inference there have been.
    pub(crate) async fn questions(&self) -> u64 {
        let script = "return performance.getEntriesByType('resource').filter(({ name }) => name.endsWith('/infer')).length";
        self.js(script).await.as_u64().unwrap()
    }
}

/// Runs a test in a runtime of its own.
pub(crate) fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(test);
}
