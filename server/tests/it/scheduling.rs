//! Priority and timeout of a request, by its parameters.

use oip::Datatype;
use serde_json::json;

use crate::support::{ServerBuilder, get, models, post};

#[test]
fn priority_and_timeout_are_read_and_other_parameters_pass() {
    let server = ServerBuilder::new().model("m", "1", &models::identity(Datatype::Fp32)).start();
    let infer = |parameters: &str| {
        let body = format!(
            r#"{{"parameters":{{{parameters}}},"inputs":[{{"name":"x","shape":[1,2],"datatype":"FP32","data":[1,2]}}]}}"#
        );
        post(&format!("{}/v2/models/m/infer", server.url()), &[], body.as_bytes())
    };
    for parameters in [
        r#""priority":0"#,
        r#""priority":1,"timeout":10000000"#,
        r#""priority":18446744073709551615,"timeout":18446744073709551615"#,
        r#""timeout":0,"sequence_id":7,"sequence_start":true,"triton_enable_empty_final_response":true"#,
        r#""mine":"anything","sequence_end":"odd""#,
    ] {
        let answer = infer(parameters);
        assert_eq!(answer.status, 200, "{parameters}: {}", String::from_utf8_lossy(&answer.body));
    }
    for parameters in [
        r#""priority":-1"#,
        r#""priority":"1""#,
        r#""priority":1.5"#,
        r#""timeout":-1"#,
        r#""timeout":"1s""#,
        r#""timeout":true"#,
    ] {
        let answer = infer(parameters);
        assert_eq!(answer.status, 400, "{parameters}");
        let name = &parameters[1..9];
        assert!(answer.error().contains(name.trim_end_matches('"')), "{}", answer.error());
    }
    let extensions = get(&format!("{}/v2", server.url())).json()["extensions"].clone();
    assert!(extensions.as_array().unwrap().contains(&json!("schedule_policy")));
}

#[test]
fn a_timeout_that_is_over_before_the_run_is_504() {
    let server = ServerBuilder::new().model("slow", "1", &models::slow()).args(["--threads", "1"]).start();
    let infer = format!("{}/v2/models/slow/infer", server.url());
    let rows = |rows: usize, timeout: &str| {
        let data = vec!["1"; rows].join(",");
        format!(
            r#"{{{timeout}"inputs":[{{"name":"x","datatype":"FP32","shape":[{rows},1,1],"data":[{data}]}}]}}"#
        )
    };
    std::thread::scope(|scope| {
        scope.spawn(|| assert_eq!(post(&infer, &[], rows(16, "").as_bytes()).status, 200));
        // Whether it comes before, while or after the other one runs: a microsecond is never enough.
        let answer = post(&infer, &[], rows(1, r#""parameters":{"timeout":1},"#).as_bytes());
        assert_eq!(answer.status, 504, "{}", answer.error());
        let whose = "its parameter 'timeout' is 1 (microseconds)";
        assert!(answer.error().ends_with(whose), "{}", answer.error());
    });
}
