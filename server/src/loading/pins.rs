//! What was chosen for a model, in words and as the text that pins it in the model's `config.toml`. Pure.

use std::fmt::Write;

use super::plan::{Facts, Plan, first_session_threads};
use crate::{
    config::BatchingMode,
    executor::RunCost,
    model::{DynamicBatching, InstanceGroup, ModelConfig},
};

/// What a plan says where nothing is left to choose.
const PINNED: &str = "config.toml";

/// Returns the sections of `config.toml` that make every start choose `plan`. They stand in the place of those that the
/// file has.
pub(super) fn toml(plan: &Plan, facts: &Facts<'_>, session_rows: &[usize]) -> String {
    let Plan { mode, count, intra_op_threads, idle_session_threads, lanes, joined_rows, returning_clients } =
        plan;
    let mut text = format!(
        "[instance_group]\ncount = {count}\nintra_op_threads = {intra_op_threads}\n\
         idle_session_threads = {idle_session_threads}\nlanes = {lanes}\n"
    );
    let mut line = |line: String| {
        text.push_str(&line);
        text.push('\n');
    };
    if facts.on_gpu() {
        line(format!("session_rows = {session_rows:?}"));
    }
    line(format!("\n[dynamic_batching]\nmode = \"{mode}\"\nreturning_clients = {returning_clients}"));
    if facts.joins_rows {
        line(format!("joined_rows = {joined_rows}"));
    }
    let DynamicBatching { max_queue_delay_microseconds, preferred_batch_size, .. } =
        &facts.config.dynamic_batching;
    line(format!("max_queue_delay_microseconds = {max_queue_delay_microseconds}"));
    if !preferred_batch_size.is_empty() {
        line(format!("preferred_batch_size = {preferred_batch_size:?}"));
    }
    text
}

/// Returns why a model has its plan.
pub(super) fn reason(facts: &Facts<'_>) -> String {
    let ModelConfig { instance_group: group, dynamic_batching: batching, max_batch_size, .. } = facts.config;
    let InstanceGroup { count, intra_op_threads, idle_session_threads, lanes, session_rows } = group;
    let is_adaptive = facts.mode() == BatchingMode::Adaptive;
    // Each choice, whether the file makes it, and whether there is anything to choose.
    let choices = [
        ("count", count.is_some(), true),
        ("intra_op_threads", intra_op_threads.is_some(), true),
        ("idle_session_threads", idle_session_threads.is_some(), is_adaptive && !facts.on_gpu()),
        ("lanes", lanes.is_some(), is_adaptive),
        ("session_rows", session_rows.is_some(), facts.on_gpu() && facts.joins_rows),
        ("returning_clients", batching.returning_clients.is_some(), is_adaptive),
        ("joined_rows", batching.joined_rows.or(*max_batch_size).is_some(), facts.joins_rows),
    ];
    let open = choices.into_iter().filter(|(.., is_open)| *is_open);
    let (pinned, chosen): (Vec<_>, Vec<_>) = open.partition(|(_, is_pinned, _)| *is_pinned);
    if chosen.is_empty() {
        return PINNED.to_owned();
    }
    let names = |choices: Vec<(&'static str, bool, bool)>| {
        choices.into_iter().map(|(name, ..)| name).collect::<Vec<_>>().join(", ")
    };
    let mut text = format!("{}: {}", names(chosen), basis(facts));
    if !pinned.is_empty() {
        // Writing into a String cannot fail.
        let _written = write!(text, "; {}: {PINNED}", names(pinned));
    }
    text
}

/// Returns what decides the choices that the file leaves open.
fn basis(facts: &Facts<'_>) -> String {
    match facts.config.dynamic_batching.mode {
        Some(BatchingMode::Static) => return "fixed, since mode in config.toml is static".to_owned(),
        _ if facts.mode() == BatchingMode::Static => return "fixed, by --batching static".to_owned(),
        _ => {}
    }
    let threads = first_session_threads(
        if facts.on_gpu() { 1 } else { facts.threads },
        facts.is_large,
        &facts.config.instance_group,
    );
    let place = if facts.on_gpu() {
        "the GPU".to_owned()
    } else if threads == 1 {
        "one thread".to_owned()
    } else {
        format!("{threads} threads")
    };
    let is_large = if facts.is_large { "a large file has one instance; " } else { "" };
    if facts.cost.first_row.is_zero() {
        return format!("{is_large}the time of a row is not known, since the model does not run on zeros");
    }
    let RunCost { first_row, further_row } = facts.cost;
    let row = format!("{is_large}one row takes {} us on {place}", first_row.as_micros());
    // Both are the same where further rows were not timed.
    if further_row == first_row {
        row
    } else {
        format!("{row}, each further row adds {} us", further_row.as_micros())
    }
}

/// Returns what another start may choose instead, if the measured times are close to a boundary.
pub(super) fn alternative(plan: &Plan, facts: &Facts<'_>) -> Option<String> {
    let other = Plan::nearby(facts)?;
    let pairs = [
        ("count", plan.count, other.count),
        ("intra_op_threads", plan.intra_op_threads, other.intra_op_threads),
        ("idle_session_threads", plan.idle_session_threads, other.idle_session_threads),
        ("lanes", plan.lanes, other.lanes),
        ("joined_rows", plan.joined_rows, other.joined_rows),
        ("returning_clients", plan.returning_clients.into(), other.returning_clients.into()),
    ];
    let different = pairs.into_iter().filter(|(_, chosen, other)| chosen != other);
    let words = different.map(|(name, chosen, other)| format!("{name} {other} instead of {chosen}"));
    Some(words.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{super::plan::Processor, *};

    fn facts(config: &ModelConfig, microseconds: u64) -> Facts<'_> {
        Facts {
            threads: 2,
            mode: BatchingMode::Adaptive,
            max_queue_rows: 1024,
            config,
            cost: RunCost::of_rows(Duration::from_micros(microseconds)),
            rows_are_alike: true,
            joins_rows: true,
            is_large: false,
            processor: Processor::Cpu,
        }
    }

    fn is_pinned_by_its_own_text(config: &str, facts: Facts<'_>) {
        let rest = ModelConfig::parse(config).unwrap();
        let facts = Facts { config: &rest, ..facts };
        let plan = Plan::choose(&facts);
        let text = toml(&plan, &facts, &[1, 16]);
        let pinned = ModelConfig::parse(&text).unwrap();
        // On a server and a machine where everything would come out otherwise.
        for (threads, microseconds) in [(2, 1), (64, 30_000)] {
            let cost = RunCost::of_rows(Duration::from_micros(microseconds));
            let later = Facts { config: &pinned, cost, threads, ..facts };
            assert_eq!(Plan::choose(&later), plan, "{text}");
            assert_eq!(reason(&later), PINNED, "{text}");
            assert_eq!(toml(&plan, &later, &[1, 16]), text);
            assert_eq!(alternative(&plan, &later), None);
        }
    }

    #[test]
    fn a_plan_is_pinned_by_its_own_text() {
        let config = ModelConfig::default();
        for microseconds in [10, 100, 800, 3_000, 9_000, 50_000] {
            let measured = facts(&config, microseconds);
            for config in ["", "[dynamic_batching]\nmode = \"static\"\npreferred_batch_size = [4, 8]"] {
                is_pinned_by_its_own_text(config, measured);
            }
            is_pinned_by_its_own_text("", Facts { processor: Processor::Gpu, ..measured });
            is_pinned_by_its_own_text("", Facts { joins_rows: false, ..measured });
            is_pinned_by_its_own_text("", Facts { mode: BatchingMode::Static, ..measured });
        }
    }

    #[test]
    fn the_reason_names_what_was_measured_and_what_the_file_says() {
        let reason_of = |text: &str, further_row: u64| {
            let config = ModelConfig::parse(text).unwrap();
            let facts = facts(&config, 700);
            let cost = RunCost { further_row: Duration::from_micros(further_row), ..facts.cost };
            reason(&Facts { cost, ..facts })
        };
        assert_eq!(
            reason_of("", 700),
            "count, intra_op_threads, idle_session_threads, lanes, returning_clients, joined_rows: one row takes 700 us \
             on one thread"
        );
        assert_eq!(
            reason_of("max_batch_size = 8\n[instance_group]\ncount = 1\nintra_op_threads = 2", 600),
            "idle_session_threads, lanes, returning_clients: one row takes 700 us on 2 threads, each further row adds \
             600 us; count, intra_op_threads, joined_rows: config.toml"
        );
        assert_eq!(
            reason_of("[dynamic_batching]\nmode = \"static\"", 700),
            "count, intra_op_threads, joined_rows: fixed, since mode in config.toml is static"
        );
        assert!(reason_of("", 100).ends_with("each further row adds 100 us"));
    }

    #[test]
    fn an_alternative_names_what_differs() {
        let config = ModelConfig::default();
        let words = |microseconds| {
            let facts = facts(&config, microseconds);
            alternative(&Plan::choose(&facts), &facts)
        };
        assert_eq!(words(100), None);
        assert_eq!(words(35).as_deref(), Some("joined_rows 32 instead of 16"));
        assert_eq!(words(450).as_deref(), Some("idle_session_threads 2 instead of 0"));
    }
}
