//! The page below a path, as Kubeflow serves it.

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request, State},
    http::{Response, header},
    routing::any,
};
use ureq::Agent;

use crate::{
    chrome::Chrome,
    page::{By, Page, digits, run},
    strokes,
};

/// Where the page is.
const PLACE: &str = "/kubeflow/team-a/digits";

/// Hands a request on without the path in front of it.
async fn hand_on(State(server): State<String>, request: Request) -> Response<Body> {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let url = format!("{server}{}", head.uri.path().strip_prefix(PLACE).unwrap());
    let ask = move || -> (u16, String, Bytes) {
        let agent = Agent::from(Agent::config_builder().http_status_as_error(false).build());
        let kept = [header::ACCEPT, header::CONTENT_TYPE];
        let headers = kept.iter().filter_map(|name| Some((name, head.headers.get(name)?)));
        let mut answer = if head.method == http::Method::POST {
            headers.fold(agent.post(&url), |ask, (name, value)| ask.header(name, value)).send(&body[..])
        } else {
            headers.fold(agent.get(&url), |ask, (name, value)| ask.header(name, value)).call()
        }
        .unwrap();
        let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
        (answer.status().as_u16(), kind, answer.body_mut().read_to_vec().unwrap().into())
    };
    let (status, kind, body) = tokio::task::spawn_blocking(ask).await.unwrap();
    Response::builder().status(status).header(header::CONTENT_TYPE, kind).body(body.into()).unwrap()
}

#[test]
fn it_works_below_a_path() {
    run(async {
        let server = digits();
        let router = Router::new().route(&format!("{PLACE}/{{*rest}}"), any(hand_on));
        let router = router.route(&format!("{PLACE}/"), any(hand_on)).with_state(server.url());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let service = tokio::spawn(async move { axum::serve(listener, router).await });
        let page = Page { chrome: Chrome::open((1280, 900), None).await, server };
        page.go(&format!("http://{address}{PLACE}/")).await;
        page.draw(By::Mouse, &strokes::digit(7).in_the_middle()).await;
        assert_eq!(page.read().await.answer, "7");
        service.abort();
    });
}
