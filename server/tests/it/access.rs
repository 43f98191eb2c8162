//! Who may load and unload models, and who may ask for what: by address, by page and by token, on every wire.

use std::fs;

use oip::{
    Datatype,
    grpc::messages::{
        ModelInferRequest, ModelMetadataRequest, ModelReadyRequest, RepositoryIndexRequest,
        RepositoryModelLoadRequest, RepositoryModelUnloadRequest, ServerReadyRequest,
    },
};
use tonic::{Code, Request, Status};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest,
};

use crate::{
    model_control::{infer, load, unload},
    support::{Answer, Grpc, Server, ServerBuilder, client, eventually, models, post},
};

const INFER: &str = "a-token-of-a-client";
const ADMIN: &str = "a-token-of-an-operator";
const METRICS: &str = "a-token-of-prometheus";

const BODY: &[u8] = br#"{"inputs":[{"name":"x","datatype":"FP32","shape":[1,2],"data":[1,2]}]}"#;

fn builder() -> ServerBuilder {
    ServerBuilder::new().model("m", "1", &models::identity(Datatype::Fp32))
}

/// Asks to unload the model, which must not happen.
fn refused(server: &Server, headers: &[(&str, &str)]) -> Answer {
    let answer = post(&format!("{}/v2/repository/models/m/unload", server.url()), headers, b"{}");
    assert!([401, 403].contains(&answer.status), "{headers:?}: {answer:?}");
    assert_eq!(infer(server, "m").status, 200, "{headers:?}");
    answer
}

fn grpc_request<T>(message: T, headers: &[(&'static str, &str)]) -> Request<T> {
    let mut request = Request::new(message);
    for (name, value) in headers {
        request.metadata_mut().insert(*name, value.parse().unwrap());
    }
    request
}

fn grpc_unload(server: &Server, headers: &[(&'static str, &str)]) -> Result<(), Status> {
    let grpc = Grpc::connect(&server.url());
    let message =
        RepositoryModelUnloadRequest { model_name: "m".into(), ..RepositoryModelUnloadRequest::default() };
    let mut client = grpc.client.clone();
    grpc.wait(client.repository_model_unload(grpc_request(message, headers))).map(drop)
}

fn grpc_load(server: &Server, headers: &[(&'static str, &str)]) -> Result<(), Status> {
    let grpc = Grpc::connect(&server.url());
    let message =
        RepositoryModelLoadRequest { model_name: "m".into(), ..RepositoryModelLoadRequest::default() };
    let mut client = grpc.client.clone();
    grpc.wait(client.repository_model_load(grpc_request(message, headers))).map(drop)
}

#[test]
fn models_are_loaded_from_this_machine_and_not_through_pages_proxies_or_other_names() {
    let server = builder().start();
    assert_eq!((unload(&server, "m").status, load(&server, "m").status), (200, 200));
    let own_page = format!("http://{}", server.address());
    let path = format!("{}/v2/repository/models/m/load", server.url());
    assert_eq!(post(&path, &[("origin", &own_page), ("sec-fetch-site", "same-origin")], b"").status, 200);
    for (headers, reason) in [
        (&[("origin", "https://evil.example")][..], "other origins"),
        (&[("origin", "http://127.0.0.1:1")], "other origins"),
        (&[("origin", "null")], "other origins"),
        (&[("sec-fetch-site", "cross-site")], "other origins"),
        (&[("host", "evil.example")], "Host"),
        (&[("host", "evil.example"), ("origin", "http://evil.example")], "Host"), // by DNS rebinding
        (&[("x-forwarded-for", "10.0.0.1")], "a proxy"),
        (&[("forwarded", "for=10.0.0.1")], "a proxy"),
    ] {
        let answer = refused(&server, headers);
        assert_eq!(answer.status, 403);
        assert!(answer.error().contains(reason), "{headers:?}: {}", answer.error());
        // However the path is spelt, and whatever the method would have been answered.
        for path in ["models/m/load", "models/%6D/load", "other/models/m/load", "models/m/unload?x"] {
            let url = format!("{}/v2/repository/{path}", server.url());
            assert_eq!(post(&url, headers, b"").status, 403, "{path} {headers:?}");
        }
        let index = post(&format!("{}/v2/repository/index", server.url()), headers, b"");
        assert_eq!(index.status, 200, "reading is for everybody");
    }
    let mended = refused(&server, &[("x-forwarded-for", "10.0.0.1")]).error();
    assert!(mended.contains("--admin-token-file") && mended.contains("--admin open"), "{mended}");

    assert!(grpc_unload(&server, &[]).is_ok() && grpc_load(&server, &[]).is_ok());
    for headers in [[("x-forwarded-for", "10.0.0.1")], [("origin", "https://evil.example")]] {
        for status in [grpc_unload(&server, &headers), grpc_load(&server, &headers)] {
            assert_eq!(status.unwrap_err().code(), Code::PermissionDenied, "{headers:?}");
        }
        assert_eq!(infer(&server, "m").status, 200, "{headers:?}");
    }
}

#[test]
fn a_body_that_is_refused_is_not_waited_for_and_leaves_the_connection_usable() {
    let server = builder().start();
    let url = format!("{}/v2/repository/models/m/unload", server.url());
    for size in [0, 100, 1 << 20] {
        let answer = post(&url, &[("origin", "https://evil.example")], &vec![b' '; size]);
        assert_eq!(answer.status, 403, "{size}");
    }
    assert_eq!(infer(&server, "m").status, 200);
}

#[test]
fn a_setting_lets_everybody_load_models_but_no_foreign_page() {
    let server = builder().args(["--admin", "open"]).start();
    for headers in [&[("host", "decima.example")][..], &[("x-forwarded-for", "10.0.0.1")]] {
        let url = format!("{}/v2/repository/models/m/load", server.url());
        assert_eq!(post(&url, headers, b"").status, 200, "{headers:?}");
    }
    for headers in [
        &[("origin", "https://evil.example")][..],
        &[("host", "evil.example"), ("origin", "http://evil.example")],
        &[("sec-fetch-site", "cross-site")],
    ] {
        assert_eq!(refused(&server, headers).status, 403);
    }
    assert!(grpc_unload(&server, &[("x-forwarded-for", "10.0.0.1")]).is_ok());
}

#[test]
fn with_tokens_for_it_models_are_loaded_by_who_has_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("admin");
    fs::write(&file, format!("# operators\n{ADMIN}\n")).unwrap();
    let file = file.to_str().unwrap();
    let bearer = format!("Bearer {ADMIN}");
    let right = [("authorization", bearer.as_str())];
    for (args, local_without) in [
        (&["--admin-token-file", file][..], false),
        (&["--admin-token-file", file, "--admin", "token"], false),
        (&["--admin-token-file", file, "--admin", "loopback"], true),
    ] {
        let server = builder().args(args.iter().copied()).start();
        let url = format!("{}/v2/repository/models/m/load", server.url());
        assert_eq!(load(&server, "m").status == 200, local_without, "{args:?}");
        assert_eq!(grpc_load(&server, &[]).is_ok(), local_without, "{args:?}");
        let elsewhere = ("x-forwarded-for", "10.0.0.1");
        assert_eq!(post(&url, &[right[0], elsewhere], b"").status, 200, "{args:?}");
        assert!(grpc_unload(&server, &[right[0], elsewhere]).is_ok(), "{args:?}");
        assert!(grpc_load(&server, &right).is_ok(), "{args:?}");
        for wrong in [&[elsewhere][..], &[elsewhere, ("authorization", "Bearer another-token-of-somebody")]] {
            let answer = refused(&server, wrong);
            assert_eq!(answer.status, 401, "{wrong:?}: {}", answer.error());
            assert_eq!(answer.headers["www-authenticate"], "Bearer realm=\"decima\"");
            assert_eq!(grpc_unload(&server, wrong).unwrap_err().code(), Code::Unauthenticated);
        }
        // A page of another origin that somehow knows the token is still kept out.
        assert_eq!(refused(&server, &[right[0], ("origin", "https://evil.example")]).status, 403);
        assert_eq!(infer(&server, "m").status, 200, "inference needs no token");
        assert!(!server.log().join("\n").contains(ADMIN));
    }
}

fn get_with(server: &Server, path: &str, token: Option<&str>) -> u16 {
    let bearer = token.map(|token| format!("bearer {token}"));
    let headers: Vec<_> = bearer.iter().map(|bearer| ("authorization", bearer.as_str())).collect();
    client::get_with(&format!("{}{path}", server.url()), &headers).status
}

#[test]
fn each_route_asks_for_its_own_token_and_health_for_none() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, token: &str| {
        let path = folder.path().join(name);
        fs::write(&path, token).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let files = [write("infer", INFER), write("admin", ADMIN), write("metrics", METRICS)];
    let server = builder().args(["--token-file", &files[0], "--admin-token-file", &files[1]]);
    let server = server.args(["--metrics-token-file", &files[2]]).start();

    for path in ["/v2/health/live", "/v2/health/ready", "/v2/models/m/ready", "/", "/docs", "/openapi.json"] {
        assert_eq!(get_with(&server, path, None), 200, "{path}");
    }
    assert_eq!(get_with(&server, "/v1/models/m", None), 200, "V1's readiness");
    let guarded =
        ["/v2", "/v2/models", "/v2/models/m", "/v2/models/m/config", "/v2/models/stats", "/v1/models"];
    for (paths, right, wrong) in
        [(&guarded[..], INFER, [ADMIN, METRICS]), (&["/metrics"], METRICS, [INFER, ADMIN])]
    {
        for path in paths {
            assert_eq!(get_with(&server, path, None), 401, "{path}");
            assert_eq!(get_with(&server, path, Some(right)), 200, "{path}");
            for wrong in wrong {
                assert_eq!(get_with(&server, path, Some(wrong)), 401, "{path} {wrong}");
            }
        }
    }
    let v1 = br#"{"instances":[[1,2]]}"#;
    for (path, body) in [
        ("/v2/models/m/infer", BODY),
        ("/v2/models/m/versions/1/infer", BODY),
        ("/v2/models/%6D/infer", BODY),
        ("/v1/models/m:predict", v1),
        ("/v2/repository/index", b""),
    ] {
        let url = format!("{}{path}", server.url());
        for headers in [&[][..], &[("authorization", "Bearer ")], &[("authorization", "Basic YTpi")]] {
            let answer = post(&url, headers, body);
            assert_eq!(answer.status, 401, "{path} {headers:?}: {}", answer.error());
            assert_eq!(answer.headers["www-authenticate"], "Bearer realm=\"decima\"");
        }
        assert_eq!(post(&url, &[("authorization", &format!("Bearer {INFER}"))], body).status, 200, "{path}");
    }
    assert_eq!(load(&server, "m").status, 401, "a token for inference loads nothing");
    assert_eq!(
        grpc_load(&server, &[("authorization", &format!("Bearer {ADMIN}"))]).map_err(|s| s.code()),
        Ok(())
    );
}

#[test]
fn grpc_asks_for_tokens_in_metadata() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens");
    fs::write(&path, INFER).unwrap();
    let server = builder().args(["--token-file", path.to_str().unwrap()]).start();
    let bearer = format!("Bearer {INFER}");
    let (none, right) = (&[][..], &[("authorization", bearer.as_str())][..]);
    let grpc = Grpc::connect(&server.url());
    let code = |status: Status| status.code();
    grpc.wait(async {
        let mut client = grpc.client.clone();
        assert!(client.server_ready(ServerReadyRequest {}).await.is_ok());
        assert!(
            client.model_ready(ModelReadyRequest { name: "m".into(), version: String::new() }).await.is_ok()
        );
        let health = HealthClient::new(grpc.channel.clone()).check(HealthCheckRequest::default()).await;
        assert!(health.is_ok(), "{health:?}");
        for (headers, answer) in [(none, Err(Code::Unauthenticated)), (right, Ok(()))] {
            let metadata = ModelMetadataRequest { name: "m".into(), version: String::new() };
            let metadata = client.model_metadata(grpc_request(metadata, headers)).await;
            assert_eq!(metadata.map(drop).map_err(code), answer);
            let index =
                client.repository_index(grpc_request(RepositoryIndexRequest::default(), headers)).await;
            assert_eq!(index.map(drop).map_err(code), answer);
            let reflection = ServerReflectionRequest {
                host: String::new(),
                message_request: Some(MessageRequest::ListServices(String::new())),
            };
            let requests = grpc_request(futures_util::stream::iter([reflection]), headers);
            let mut reflection = ServerReflectionClient::new(grpc.channel.clone());
            let services = reflection.server_reflection_info(requests).await;
            assert_eq!(services.map(drop).map_err(code), answer);
            // Without inputs, so a request that gets through is refused for that.
            let message = ModelInferRequest { model_name: "m".into(), ..ModelInferRequest::default() };
            let expected = if answer.is_ok() { Code::InvalidArgument } else { Code::Unauthenticated };
            let refused = client.model_infer(grpc_request(message.clone(), headers)).await;
            assert_eq!(refused.map(drop).map_err(code), Err(expected));
            let stream = grpc_request(futures_util::stream::iter([message]), headers);
            assert_eq!(client.model_stream_infer(stream).await.map(drop).map_err(code), answer);
        }
    });
}

#[test]
fn tokens_follow_their_file_and_hangup_kills_nobody() {
    let (old, new) = ("the-first-token-of-all", "the-second-token-of-all");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens");
    fs::write(&path, old).unwrap();
    let server = builder().args(["--token-file", path.to_str().unwrap()]).start();
    let may = |token| get_with(&server, "/v2", Some(token)) == 200;
    assert!(may(old) && !may(new));
    fs::write(&path, format!("{old}\n{new}")).unwrap();
    server.hang_up();
    eventually(|| may(new));
    assert!(may(old));
    fs::write(&path, new).unwrap(); // without a signal, it takes some seconds
    eventually(|| !may(old));
    assert!(may(new));
    fs::write(&path, "tiny").unwrap();
    server.hang_up();
    let error = server.wait_for("what was read before stays in force")["message"].to_string();
    assert!(error.contains("--token-file") && error.contains("line 1") && !error.contains("tiny"), "{error}");
    assert!(may(new));
}

#[test]
fn a_file_without_tokens_ends_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens");
    fs::write(&path, "\n").unwrap();
    for flag in ["--token-file", "--admin-token-file", "--metrics-token-file"] {
        let mut server = builder().args([flag, path.to_str().unwrap()]).start_to_fail();
        assert_eq!(server.wait().code(), Some(64), "{flag}");
        let log = server.log().join("\n");
        assert!(
            log.contains(flag) && log.contains(path.to_str().unwrap()) && log.contains("no token"),
            "{log}"
        );
    }
}
