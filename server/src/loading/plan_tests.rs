//! Plans near thresholds and under noise, with and without pins.

use super::*;

/// Times of a row, in nanoseconds, at which the plan changes: each threshold with its margin.
const BOUNDARIES: [u64; 6] = [32_000, 312_500, 500_000, 1_250_000, 5_000_000, 20_000_000];

/// Of a convolution: each row is computed anew.
fn even(microseconds: u64) -> RunCost {
    RunCost::of_rows(Duration::from_micros(microseconds))
}

/// Of a dense layer: the weights are read once for all rows.
fn cheap(microseconds: u64) -> RunCost {
    let first_row = Duration::from_micros(microseconds);
    RunCost { first_row, further_row: first_row / 12 }
}

fn with_config<R>(text: &str, threads: usize, cost: RunCost, see: impl FnOnce(Facts<'_>) -> R) -> R {
    let config = ModelConfig::parse(text).unwrap();
    see(Facts {
        threads,
        mode: BatchingMode::Adaptive,
        max_queue_rows: 1024,
        config: &config,
        cost,
        rows_are_alike: true,
        joins_rows: true,
        is_large: false,
        processor: Processor::Cpu,
    })
}

fn plan(threads: usize, cost: RunCost) -> Plan {
    with_config("", threads, cost, |facts| Plan::choose(&facts))
}

/// Sessions, threads of each, threads of the idle session.
fn sessions_of(threads: usize, cost: RunCost) -> (usize, usize, usize) {
    let Plan { count, intra_op_threads, idle_session_threads, .. } = plan(threads, cost);
    (count, intra_op_threads, idle_session_threads)
}

#[test]
fn long_rows_get_more_threads_and_few_are_left_over() {
    assert_eq!(sessions_of(2, even(0)), (2, 1, 0));
    assert_eq!(sessions_of(2, even(6_000)), (1, 2, 0));
    assert_eq!(sessions_of(16, even(8_000)), (4, 4, 16));
    assert_eq!(sessions_of(64, even(40_000)), (4, 16, 64));
    assert_eq!(sessions_of(1, even(1_000_000)), (1, 1, 0));
    for threads in 1..=64 {
        for microseconds in (0..200_000).step_by(500) {
            for cost in [even(microseconds), cheap(microseconds)] {
                let Plan { count, intra_op_threads: each, idle_session_threads, lanes, .. } =
                    plan(threads, cost);
                assert!(count * each <= threads && threads < (count + 1) * each, "{threads}, {cost:?}");
                assert!(
                    idle_session_threads == 0
                        || (each < idle_session_threads && idle_session_threads <= threads),
                    "{threads}, {cost:?}"
                );
                assert!((1..=count).contains(&lanes), "{threads}, {cost:?}");
            }
        }
    }
}

#[test]
fn a_client_that_is_alone_gets_idle_threads_where_a_row_is_worth_them() {
    assert_eq!([100, 499].map(|row| sessions_of(2, even(row))), [(2, 1, 0); 2]);
    assert_eq!([500, 4_900].map(|row| sessions_of(2, even(row))), [(2, 1, 2); 2]);
    assert_eq!(sessions_of(16, even(1_000)), (16, 1, 4));
    assert_eq!(sessions_of(16, even(4_000)), (16, 1, 16));
    assert_eq!(sessions_of(1, even(3_900)), (1, 1, 0));
}

#[test]
fn rows_that_are_cheap_together_go_in_one_run() {
    assert_eq!([500, 2_000, 80_000].map(|row| sessions_of(2, cheap(row))), [(1, 2, 0); 3]);
    assert_eq!(sessions_of(16, cheap(1_000)), (4, 4, 0));
    assert_eq!(sessions_of(2, cheap(300)), (2, 1, 0));
    assert_eq!(plan(2, cheap(500)).joined_rows, 64);
    assert_eq!([even(500), even(80_000), cheap(300)].map(|cost| plan(2, cost).joined_rows), [16; 3]);
}

#[test]
fn more_rows_share_a_run_where_they_take_next_to_nothing() {
    assert_eq!([1, 31, 32, 39].map(|row| plan(2, even(row)).joined_rows), [32, 32, 16, 16]);
    assert_eq!(plan(2, even(0)).joined_rows, 16, "not measured");
    let other_sizes = with_config("", 2, even(1), |facts| {
        Plan::choose(&Facts { rows_are_alike: false, ..facts }).joined_rows
    });
    assert_eq!(other_sizes, 16, "other rows may take long");
    let apart = with_config("", 2, even(1), |facts| Plan::choose(&Facts { joins_rows: false, ..facts }));
    assert_eq!(apart.joined_rows, 1);
}

#[test]
fn quick_models_have_a_lane_for_each_worker() {
    assert_eq!([0, 100, 1_249, 1_250].map(|row| plan(4, even(row)).lanes), [4, 4, 4, 1]);
}

#[test]
fn only_a_single_instance_with_long_rows_waits_for_returning_clients() {
    assert!(plan(2, even(6_000)).returning_clients && plan(2, cheap(600)).returning_clients);
    assert!(!plan(2, even(3_000)).returning_clients && !plan(1, even(6_000)).returning_clients);
    let large = |row| {
        with_config("", 2, even(row), |facts| {
            Plan::choose(&Facts { is_large: true, ..facts }).returning_clients
        })
    };
    assert_eq!([312, 313].map(large), [false, true]);
}

/// Every time from 1 us to 100 ms in steps of 5 %, in nanoseconds.
fn times() -> impl Iterator<Item = u64> {
    iter::successors(Some(1_000), |time| Some(time + time / 20)).take_while(|&time| time < 100_000_000)
}

/// The costs that a row of this time may be measured to have, with noise of up to 20 % either way.
fn noisy(time: u64) -> impl Iterator<Item = RunCost> {
    (80..=120).map(move |percent| RunCost::of_rows(Duration::from_nanos(time * percent / 100)))
}

#[test]
fn noise_changes_a_plan_only_near_a_boundary() {
    for (threads, config) in
        [(1, ""), (2, ""), (4, ""), (16, ""), (64, ""), (2, "[instance_group]\ncount = 1")]
    {
        for time in times() {
            // The band of a boundary: noise of 20 % carries a time from it across the boundary.
            let is_near = BOUNDARIES.iter().any(|&at| at * 100 / 120 <= time && time <= at * 100 / 80);
            let plans: Vec<_> = noisy(time)
                .map(|cost| with_config(config, threads, cost, |facts| Plan::choose(&facts)))
                .collect();
            assert!(is_near || plans.iter().all(|plan| *plan == plans[0]), "{threads} threads, {time} ns");
        }
    }
}

#[test]
fn a_time_above_a_threshold_by_less_than_the_margin_stays_below_it() {
    for (threshold, boundary) in [(400, 500), (1_000, 1_250), (4_000, 5_000), (16_000, 20_000)] {
        for threads in [2, 4, 16, 64] {
            let below = plan(threads, even(threshold - 1));
            assert_eq!(plan(threads, even(boundary - 1)), below, "{threads} threads, {threshold} us");
        }
        assert_ne!(plan(64, even(boundary)), plan(64, even(boundary - 1)), "{threshold} us");
    }
}

#[test]
fn noise_never_makes_a_convolution_a_dense_network() {
    for time in times() {
        for (first, further) in [(80, 120), (120, 80)] {
            let at = |percent| Duration::from_nanos(time * percent / 100);
            // Two runs are timed, of one row and of four.
            let four_rows = 4 * at(further);
            let cost = RunCost { first_row: at(first), further_row: four_rows.saturating_sub(at(first)) / 3 };
            assert!(!are_cheap_together(cost), "{time} ns");
        }
    }
}

#[test]
fn the_plan_that_another_start_may_choose_is_found() {
    let nearby = |row| with_config("", 2, even(row), |facts| Plan::nearby(&facts));
    assert_eq!([10, 100, 800, 2_500, 8_000, 100_000].map(nearby), [None; 6]);
    assert_eq!(nearby(450), Some(plan(2, even(500))));
    assert_eq!(nearby(550), Some(plan(2, even(450))));
    let dense = RunCost { first_row: Duration::from_millis(3), further_row: Duration::from_micros(450) };
    let other = with_config("", 2, dense, |facts| Plan::nearby(&facts)).unwrap();
    assert_eq!((plan(2, dense).joined_rows, other.joined_rows), (64, 16));
}

#[test]
fn a_static_plan_does_not_depend_on_times() {
    let fixed = Plan {
        mode: BatchingMode::Static,
        count: 4,
        intra_op_threads: 1,
        idle_session_threads: 0,
        lanes: 1,
        joined_rows: 16,
        returning_clients: false,
    };
    for time in times() {
        for cost in [even(time / 1000), cheap(time / 1000)] {
            let by_flag = with_config("", 4, cost, |facts| {
                Plan::choose(&Facts { mode: BatchingMode::Static, ..facts })
            });
            let mode = "[dynamic_batching]\nmode = \"static\"";
            let by_file = with_config(mode, 4, cost, |facts| Plan::choose(&facts));
            assert_eq!([by_flag, by_file], [fixed; 2]);
        }
    }
    let pins = "[dynamic_batching]\nmode = \"adaptive\"\nreturning_clients = true\njoined_rows = 8\n\
                [instance_group]\ncount = 1\nintra_op_threads = 4\nidle_session_threads = 2\nlanes = 2";
    let overruled = with_config(pins, 4, even(9_000), |facts| {
        Plan::choose(&Facts { mode: BatchingMode::Static, ..facts })
    });
    assert_eq!(overruled, Plan { count: 1, intra_op_threads: 4, joined_rows: 8, ..fixed });
}

#[test]
fn pins_leave_nothing_to_times() {
    let pins = "[dynamic_batching]\nreturning_clients = false\njoined_rows = 48\n\
                [instance_group]\ncount = 2\nintra_op_threads = 2\nidle_session_threads = 3\nlanes = 2";
    for time in times() {
        for cost in [even(time / 1000), cheap(time / 1000)] {
            let pinned = with_config(pins, 4, cost, |facts| {
                assert_eq!(Plan::nearby(&facts), None);
                Plan::choose(&facts)
            });
            let expected = Plan {
                mode: BatchingMode::Adaptive,
                count: 2,
                intra_op_threads: 2,
                idle_session_threads: 3,
                lanes: 2,
                joined_rows: 48,
                returning_clients: false,
            };
            assert_eq!(pinned, expected);
        }
    }
}

#[test]
fn sessions_of_one_size_reach_up_to_the_full_batch() {
    assert_eq!(session_rows(32, &[]), [1, 2, 4, 8, 16, 32]);
    assert_eq!(session_rows(12, &[]), [1, 2, 4, 8, 12]);
    assert_eq!(session_rows(64, &[48, 16, 64]), [1, 16, 48, 64]);
    assert_eq!(session_rows(1, &[]), [1]);
}
