//! The command-line interface.

use std::{path::PathBuf, str::FromStr, time::Duration};

use anyhow::{Result, bail};
use clap::Parser;
use cli_pages::Page;
use http::{HeaderName, HeaderValue};

use crate::{
    inputs::GivenShape,
    schedule::{Pace, Schedule},
    transport::{ServerUrl, Wire},
};

/// Length of the measurement if neither --duration nor --requests is given.
const DEFAULT_DURATION: Duration = Duration::from_secs(10);

/// Load tester for servers of the Open Inference Protocol. It sends requests to a model, checks every response, and
/// reports throughput and latency.
///
/// Exit codes: 0 if there were responses and all were correct, 1 if a response was wrong or no request succeeded, 64 if
/// the command line is not valid, 130 after Ctrl-C (the report then covers the time until then).
#[derive(Clone, Debug, Parser)]
#[command(name = "decima-loadtest", version)]
pub struct Args {
    /// URL of the server
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    pub url: ServerUrl,

    /// Name of the model
    #[arg(long, short, default_value = "digits")]
    pub model: String,

    /// Version of the model [default: the server chooses]
    #[arg(long)]
    pub model_version: Option<String>,

    /// Protocol and encoding of tensors
    #[arg(long, value_enum, default_value = "json")]
    pub wire: Wire,

    /// Number of connections. Each sends one request at a time
    #[arg(long, short, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..))]
    pub connections: u16,

    /// Open loop: send this number of requests per second at equal intervals, regardless of the responses. Latency
    /// counts from the intended send time. --connections is the highest number of requests in flight
    #[arg(long, short)]
    pub rate: Option<f64>,

    /// Length of the measurement, such as 30s or 2m [default: 10s unless --requests is given]
    #[arg(long, short, value_parser = parse_duration)]
    pub duration: Option<Duration>,

    /// Number of requests to measure
    #[arg(long, short = 'n', value_parser = clap::value_parser!(u64).range(1..))]
    pub requests: Option<u64>,

    /// Length of the warm-up, which the figures do not include
    #[arg(long, default_value = "1s", value_parser = parse_duration)]
    pub warmup: Duration,

    /// Longest time to wait for a response
    #[arg(long, default_value = "10s", value_parser = parse_duration)]
    pub timeout: Duration,

    /// Rows (for example pictures) in each request
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub rows: u32,

    /// Shape of an input whose sizes the model leaves open, such as images:1,3,640,640; may be repeated. The first size
    /// is the number of rows, where the model takes several
    #[arg(long, value_name = "NAME:SIZES", value_parser = parse_shape, conflicts_with = "rows")]
    pub shape: Vec<GivenShape>,

    /// Number of different requests, generated from the model's metadata and sent in turn
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..))]
    pub distinct: u16,

    /// Seed for the values in generated requests
    #[arg(long, default_value_t = 1)]
    pub seed: u64,

    /// Send the JSON request in this file instead of generated ones; --wire json sends the file unchanged
    #[arg(long, value_name = "FILE", conflicts_with_all = ["rows", "shape", "distinct", "seed"])]
    pub body: Option<PathBuf>,

    /// Header to send with every request, as NAME:VALUE; may be repeated
    #[arg(long, short = 'H', value_name = "NAME:VALUE", value_parser = parse_header)]
    pub header: Vec<(HeaderName, HeaderValue)>,

    /// Largest difference allowed between two responses to the same request, relative for values above 1
    #[arg(long, default_value_t = 1e-4)]
    pub tolerance: f64,

    /// Number of threads of the load tester
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub threads: u16,

    /// Write the report as JSON to this file. With -, write it to standard output and the table to standard error
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,

    /// Do not show progress
    #[arg(long, short)]
    pub quiet: bool,

    /// Print the manual page or the completions of a shell, and exit
    #[arg(long, value_name = "PAGE", exclusive = true, hide_short_help = true)]
    pub generate: Option<Page>,
}

impl Args {
    /// The schedule that the arguments describe.
    ///
    /// # Errors
    /// An argument has a value that is not valid. The message says which values are.
    pub fn schedule(&self) -> Result<Schedule> {
        let pace = match self.rate {
            None => Pace::Closed,
            Some(rate) if rate.is_finite() && rate > 0.0 && rate <= 1e9 => Pace::Open { rate },
            Some(rate) => bail!("--rate {rate}: expected a number of requests per second above 0"),
        };
        if self.duration == Some(Duration::ZERO) {
            bail!("--duration 0: expected a duration above 0, such as 30s");
        }
        if self.timeout.is_zero() {
            bail!("--timeout 0: expected a duration above 0, such as 10s");
        }
        if self.tolerance.is_nan() || self.tolerance < 0.0 {
            bail!("--tolerance {}: expected 0 or more", self.tolerance);
        }
        let duration = self.duration.or(self.requests.is_none().then_some(DEFAULT_DURATION));
        Ok(Schedule { pace, warmup: self.warmup, duration, requests: self.requests })
    }
}

/// Parses a duration of at most a day: `250ms`, `30s`, `2m`, or a number of seconds.
fn parse_duration(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds
        .or_else(|| humantime::parse_duration(text).ok())
        .filter(|duration| *duration <= Duration::from_hours(24))
        .ok_or_else(|| "expected a duration of at most a day, such as 250ms, 30s or 2m".to_owned())
}

fn parse_shape(text: &str) -> Result<GivenShape, String> {
    let expected = || "expected NAME:SIZES, as images:1,3,640,640".to_owned();
    // At the last colon, since names such as input:0 have one too.
    let (name, sizes) = text.rsplit_once(':').ok_or_else(expected)?;
    let sizes: Result<Vec<usize>, _> = sizes.split(',').map(|size| size.trim().parse()).collect();
    let sizes = sizes.ok().filter(|sizes| !name.is_empty() && !sizes.contains(&0)).ok_or_else(expected)?;
    Ok(GivenShape { input: name.to_owned(), sizes })
}

fn parse_header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let wrong = || "expected NAME:VALUE".to_owned();
    let (name, value) = text.split_once(':').ok_or_else(wrong)?;
    let name = HeaderName::from_str(name.trim()).map_err(|_| wrong())?;
    let value = HeaderValue::from_str(value.trim()).map_err(|_| wrong())?;
    Ok((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(flags: &[&str]) -> Result<Args, clap::Error> {
        Args::try_parse_from([&["decima-loadtest"], flags].concat())
    }

    #[test]
    fn the_command_line_is_sound() {
        use clap::CommandFactory as _;
        Args::command().debug_assert();
    }

    #[test]
    fn ten_seconds_unless_something_else_ends_the_run() {
        let schedule = |flags: &[&str]| args(flags).unwrap().schedule().unwrap();
        assert_eq!(schedule(&[]).duration, Some(DEFAULT_DURATION));
        assert_eq!(schedule(&["-n", "5"]).duration, None);
        assert_eq!(schedule(&["-d", "250ms"]).duration, Some(Duration::from_millis(250)));
        assert_eq!(schedule(&["-d", "1.5", "-r", "20"]).pace, Pace::Open { rate: 20.0 });
    }

    #[test]
    fn shapes_have_a_name_and_sizes() {
        let shapes = args(&["--shape", "images:1,3, 640,640", "--shape", "input:0:7"]).unwrap().shape;
        let given = |input: &str, sizes: &[usize]| GivenShape { input: input.into(), sizes: sizes.into() };
        assert_eq!(shapes, [given("images", &[1, 3, 640, 640]), given("input:0", &[7])]);
        for wrong in ["images", "images:", ":1,2", "images:1,x", "images:1,-1", "images:0,3", "images:1,,3"] {
            assert!(args(&["--shape", wrong]).is_err(), "{wrong}");
        }
        assert!(args(&["--shape", "images:1", "--rows", "1"]).is_err(), "the first size is the rows");
    }

    #[test]
    fn invalid_arguments_are_refused() {
        for flags in [
            &["--connections", "0"][..],
            &["--duration", "soon"],
            &["--duration", "1000000h"],
            &["--header", "no colon"],
            &["--body", "request.json", "--rows", "2"],
            &["--requests", "0"],
            &["--url", "https://localhost"],
        ] {
            assert!(args(flags).is_err(), "{flags:?}");
        }
        for flags in [["--rate", "0"], ["--rate", "inf"], ["--duration", "0"], ["--timeout", "0s"]] {
            let error = args(&flags).unwrap().schedule().unwrap_err().to_string();
            assert!(error.starts_with(flags[0]), "{error}");
        }
    }
}
