//! A chromedriver of a test's own, with one Chromium.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use fantoccini::{Client, ClientBuilder, error::CmdError, wd::WebDriverCompatibleCommand};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;
use url::{ParseError, Url};

/// Longest wait for Chromium to close.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running browser; it ends with the test.
#[derive(Debug)]
pub(crate) struct Chrome {
    pub(crate) client: Client,
    driver: Child,
    /// Where it can be told to close the browser.
    session: String,
    /// Its profile, and whatever else it writes.
    _folder: TempDir,
}

impl Chrome {
    /// A window of this size, or a phone's screen as `mobileEmulation` has it.
    pub(crate) async fn open(size: (u32, u32), phone: Option<Value>) -> Self {
        let folder = TempDir::new().unwrap();
        let driver = Command::new(program("chromedriver"))
            .arg("--port=0")
            .env("TMPDIR", folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut driver = driver.unwrap();
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| {
                Some(line.split_once("successfully on port ")?.1.trim_end_matches('.').to_owned())
            })
            .expect("chromedriver starts");
        thread::spawn(move || lines.for_each(drop)); // it must never wait for a reader
        let (width, height) = size;
        let mut options = json!({
            "binary": program("chromium"),
            "args": [
                "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
                format!("--window-size={width},{height}"),
            ],
        });
        if let Some(phone) = phone {
            options["mobileEmulation"] = phone;
        }
        let wanted = json!({ "goog:chromeOptions": options, "goog:loggingPrefs": { "browser": "ALL" } });
        let address = format!("http://127.0.0.1:{port}");
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(wanted.as_object().unwrap().clone())
            .connect(&address)
            .await
            .expect("Chromium starts");
        let id = client.session_id().await.unwrap().unwrap();
        Self { client, driver, session: format!("{address}/session/{id}"), _folder: folder }
    }

    /// A command of the `DevTools` protocol.
    pub(crate) async fn devtools(&self, command: &str, parameters: Value) -> Value {
        let call = Call {
            path: "goog/cdp/execute",
            body: json!({ "cmd": command, "params": parameters }).to_string(),
        };
        self.issue(call).await.unwrap_or_else(|error| panic!("{command}: {error}"))
    }

    /// What the console has been told since the last time.
    pub(crate) async fn console(&self) -> Vec<String> {
        let call = Call { path: "se/log", body: json!({ "type": "browser" }).to_string() };
        let lines = self.issue(call).await.unwrap();
        lines.as_array().unwrap().iter().map(|line| line["message"].as_str().unwrap().to_owned()).collect()
    }

    /// Keeps what is on the whole page as a picture.
    pub(crate) async fn screenshot(&self, name: &str) {
        let answer = self.devtools("Page.captureScreenshot", json!({ "captureBeyondViewport": true })).await;
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("screenshots");
        fs::create_dir_all(&folder).unwrap();
        let picture = base64_decoded(answer["data"].as_str().unwrap());
        fs::write(folder.join(format!("{name}.png")), picture).unwrap();
    }

    async fn issue(&self, call: Call) -> Result<Value, CmdError> {
        self.client.issue_cmd(call).await
    }
}

impl Drop for Chrome {
    fn drop(&mut self) {
        let agent: ureq::Agent = ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).build().into();
        let _closed = agent.delete(&self.session).call();
        let _ended = self.driver.kill();
        let _reaped = self.driver.wait();
    }
}

pub(crate) fn base64_decoded(text: &str) -> Vec<u8> {
    base64::Engine::decode(&base64::prelude::BASE64_STANDARD, text).unwrap()
}

/// One of the browser's programs, on the search path.
fn program(name: &str) -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut found =
        env::split_paths(&path).map(|folder| folder.join(name)).filter(|program| program.is_file());
    found.next().unwrap_or_else(|| panic!("no {name}: run scripts/setup browser"))
}

/// A command of chromedriver's own.
#[derive(Debug)]
struct Call {
    path: &'static str,
    body: String,
}

impl WebDriverCompatibleCommand for Call {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(self.body.clone()))
    }
}
