//! The proof that rows are independent, judged by ONNX Runtime: whatever random graph is proven to keep rows apart gives
//! the same whether its rows run alone or joined. `DECIMA_RANDOM_GRAPHS` says how many, `DECIMA_RANDOM_SEED` which.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test says what is wrong by panicking")]

mod array;
mod builder;
mod operators;

use std::{env, sync::OnceLock};

use array::{Array, Elements};
use builder::Builder;
use fastrand::Rng;
use onnx_graph::{RowAxes, analyse};
use ort::{environment::Environment, session::Session};
use prost::Message;

/// Graphs where `DECIMA_RANDOM_GRAPHS` does not say.
const GRAPHS: u64 = 1_000;

/// Rows of each request that is joined: one and several.
const REQUESTS: [usize; 3] = [1, 2, 1];

fn number(variable: &str, default: u64) -> u64 {
    env::var(variable).map_or(default, |text| text.parse().unwrap())
}

/// ONNX Runtime, as the server finds it.
fn environment() -> &'static Environment {
    static ENVIRONMENT: OnceLock<Environment> = OnceLock::new();
    ENVIRONMENT.get_or_init(|| {
        let variables = decima_server::platform::environment::Environment::of_process();
        let library = decima_server::platform::ort_library::find(&variables).unwrap();
        ort::init_from(library).unwrap().build().unwrap()
    })
}

fn load(model: &[u8]) -> Option<Session> {
    let builder = Session::builder(environment()).unwrap().with_intra_threads(1).unwrap();
    builder.with_log_level(ort::logging::LogLevel::Fatal).unwrap().commit_from_memory(model).ok()
}

/// What came of one graph.
enum Outcome {
    /// Proven, and right.
    Proven,
    /// Not proven, and ONNX Runtime shows that rows mix.
    Mixes,
    /// Not proven, though nothing mixes that can be seen.
    Missed,
    /// It runs with some numbers of rows alone.
    DoesNotRun,
}

/// Whether requests give joined what they give alone; `None` where they do not run alone.
fn keeps_apart(session: &mut Session, graph: &Builder, axes: &RowAxes, rng: &mut Rng) -> Option<bool> {
    let requests: Vec<Vec<Array>> = REQUESTS.iter().map(|&rows| graph.inputs_of(rows, rng)).collect();
    let alone: Vec<Vec<Array>> =
        requests.iter().map(|request| builder::run(session, request)).collect::<Option<_>>()?;
    let join = |tensors: &[Vec<Array>], axes: &[usize]| -> Option<Vec<Array>> {
        let part = |(index, &axis): (usize, &usize)| {
            Array::join(&tensors.iter().map(|of| &of[index]).collect::<Vec<_>>(), axis)
        };
        axes.iter().enumerate().map(part).collect()
    };
    let joined = builder::run(session, &join(&requests, &axes.inputs)?);
    let expected = join(&alone, &axes.outputs);
    Some(match (joined, expected) {
        (Some(joined), Some(expected)) => joined.iter().zip(&expected).all(|(got, want)| got.is_alike(want)),
        _ => false,
    })
}

fn judge(rng: &mut Rng) -> Outcome {
    let graph = Builder::random(rng);
    let model = graph.model();
    let mut session = load(&model.encode_to_vec()).unwrap();
    let proof = analyse(&model).rows;
    let first = RowAxes { inputs: vec![0; graph.input_count()], outputs: vec![0] };
    let keeps = keeps_apart(&mut session, &graph, proof.as_ref().unwrap_or(&first), rng);
    match (proof, keeps) {
        (Ok(_), Some(true)) => Outcome::Proven,
        (Ok(axes), Some(false)) => panic!("proven along {axes:?}, and yet rows mix:\n{graph}"),
        (Err(_), Some(true)) => Outcome::Missed,
        (Err(_), Some(false)) => Outcome::Mixes,
        (_, None) => Outcome::DoesNotRun,
    }
}

#[test]
fn what_is_proven_keeps_rows_apart() {
    let (graphs, seed) = (number("DECIMA_RANDOM_GRAPHS", GRAPHS), number("DECIMA_RANDOM_SEED", 1));
    let (mut proven, mut mixes, mut missed, mut does_not_run) = (0_u64, 0_u64, 0_u64, 0_u64);
    for index in 0..graphs {
        match judge(&mut Rng::with_seed(seed * 1_000_003 + index)) {
            Outcome::Proven => proven += 1,
            Outcome::Mixes => mixes += 1,
            Outcome::Missed => missed += 1,
            Outcome::DoesNotRun => does_not_run += 1,
        }
    }
    let counts = format!("{proven} proven, {mixes} mix, {missed} missed, {does_not_run} do not run");
    // The graphs must show both, and the proof must be worth having.
    assert!(proven * 10 >= graphs && mixes * 10 >= graphs, "{counts}");
    assert!(missed * 4 <= proven, "{counts}");
}

/// The numbers of rows that a test of the parts needs.
#[test]
fn arrays_are_joined_along_an_axis() {
    let of = |shape: &[usize], values: &[i64]| Array {
        shape: shape.to_vec(),
        elements: Elements::Integers(values.to_vec()),
    };
    let (left, right) = (of(&[2, 1], &[1, 2]), of(&[2, 2], &[3, 4, 5, 6]));
    assert_eq!(
        Array::join(&[&left, &right], 1).unwrap().elements,
        Elements::Integers(vec![1, 3, 4, 2, 5, 6])
    );
    assert!(Array::join(&[&left, &right], 0).is_none());
}
