//! Metrics of the process under the names that all of Prometheus' clients use.

use std::sync::Mutex;

use prometheus::{
    Counter, Gauge, Registry,
    core::{Collector, Desc},
    proto::MetricFamily,
};

use crate::platform::usage::Usage;

/// Reads what the process uses whenever the metrics are rendered.
#[derive(Debug)]
struct ProcessMetrics {
    reading: Mutex<()>,
    cpu_seconds: Counter,
    gauges: Vec<(Gauge, Read)>,
}

type Read = fn(&Usage) -> f64;

/// The gauges: name, help text, value.
const GAUGES: [(&str, &str, Read); 6] = [
    ("process_resident_memory_bytes", "Memory of the process that is in use.", |usage| {
        usage.resident_bytes as f64
    }),
    ("process_virtual_memory_bytes", "Address space of the process.", |usage| usage.virtual_bytes as f64),
    ("process_start_time_seconds", "When the process started, in seconds since 1970.", |usage| usage.started),
    ("process_open_fds", "Open file descriptors.", |usage| usage.open_files as f64),
    ("process_max_fds", "Most file descriptors that may be open.", |usage| {
        usage.most_files.map_or(f64::INFINITY, |most| most as f64)
    }),
    ("process_threads", "Threads of the process.", |usage| usage.threads as f64),
];

/// Registers the metrics of the process, where the system tells what it uses.
///
/// # Errors
/// Two metrics have the same name, which is a mistake in this file.
pub(super) fn register(registry: &Registry) -> Result<(), prometheus::Error> {
    if Usage::now().is_none() {
        return Ok(());
    }
    let gauges = GAUGES.into_iter().map(|(name, help, read)| Ok((Gauge::new(name, help)?, read)));
    let gauges = gauges.collect::<Result<_, prometheus::Error>>()?;
    let cpu_seconds = Counter::new("process_cpu_seconds_total", "CPU time of the process.")?;
    registry.register(Box::new(ProcessMetrics { reading: Mutex::default(), cpu_seconds, gauges }))
}

impl Collector for ProcessMetrics {
    fn desc(&self) -> Vec<&Desc> {
        let gauges = self.gauges.iter().flat_map(|(gauge, _)| gauge.desc());
        self.cpu_seconds.desc().into_iter().chain(gauges).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        // The counter is added to, so two scrapes at the same time would add the same part twice.
        let Ok(_one_at_a_time) = self.reading.lock() else { return Vec::new() };
        let Some(usage) = Usage::now() else { return Vec::new() };
        self.cpu_seconds.inc_by((usage.cpu_seconds - self.cpu_seconds.get()).max(0.0));
        for (gauge, read) in &self.gauges {
            gauge.set(read(&usage));
        }
        let gauges = self.gauges.iter().flat_map(|(gauge, _)| gauge.collect());
        self.cpu_seconds.collect().into_iter().chain(gauges).collect()
    }
}
