//! The command line. Its flags come from the table of settings. This module only collects the texts of the flags;
//! `config` checks and interprets them.

use std::ffi::OsString;

use clap::{
    Arg, ArgAction, ArgMatches, Command, ValueHint,
    error::{ContextKind, ContextValue, ErrorKind},
    value_parser,
};
use cli_pages::Page;

use crate::{
    config::{ALL, Fallback, Flags, SPELLINGS_OF_KSERVE, Setting},
    platform::exit::Exit,
};

/// Flags that `KServe` and its manifests give to every model server, with or without a value. They tune `KServe`'s own
/// Python servers, and have no effect here. The server accepts them so that such manifests work unchanged.
const FOREIGN: [&str; 19] = [
    "access_log_format",
    "configure_logging",
    "enable_docs_url",
    "enable_grpc",
    "enable_latency_logging",
    "enable_predictor_health_check",
    "grpc_max_receive_message_length",
    "grpc_max_send_message_length",
    "log_config_file",
    "max_asyncio_workers",
    "max_threads",
    "nthread",
    "predictor_host",
    "predictor_protocol",
    "predictor_request_retries",
    "predictor_request_timeout_seconds",
    "predictor_use_ssl",
    "protocol",
    "workers",
];

/// The settings that `-h` shows: what a first start and a first look at a fault need. `--help` has all of them.
const COMMON: [&str; 8] = [
    "model_repository",
    "model_name",
    "poll_interval",
    "host",
    "http_port",
    "device",
    "threads",
    "log_level",
];

const PRINT_CONFIG: &str = "print_config";

const GENERATE: &str = "generate";

const EXAMPLES: &str = "\
Examples:
  Serve the folder models on port 8080:   decima-server
  Serve a bucket:                         decima-server --model-repository s3://mlpipeline/models
  Serve one model:                        decima-server --model-name digits --model-dir /mnt/models
  Print the effective settings:           decima-server --http-port 9000 --print-config";

const MORE: &str = "\
Settings come from flags, the environment, the file and defaults, in this order. Flags may be written with \
underscores, as KServe does. Buckets are reached with the variables of the AWS SDK and of KServe, such as \
AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.

Exit status: 0 after a drain, 1 when serving failed, 64 for wrong settings, 70 when a model could not be loaded.";

/// The parsed command line.
#[derive(Debug, Clone, Default)]
pub struct Args {
    /// Values of the flags, by setting.
    pub flags: Flags,
    /// Whether to print the configuration instead of serving.
    pub print_config: bool,
    /// The page about the program to print instead of serving.
    pub generate: Option<Page>,
}

impl Args {
    /// Reads a command line, the name of the program first.
    ///
    /// # Errors
    /// The command line cannot be parsed, or asks for `--help` or `--version`. Print the error with its own `print`,
    /// and end the process with [`exit`].
    pub fn parse(line: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> Result<Self, clap::Error> {
        let mut matches = command().try_get_matches_from(line).map_err(with_flag_for_place)?;
        let foreign = FOREIGN.into_iter().filter(|flag| matches.value_source(flag).is_some()).collect();
        let values =
            ALL.iter().filter_map(|setting| Some((setting.key, texts(&mut matches, setting)?))).collect();
        let (print_config, generate) = (matches.get_flag(PRINT_CONFIG), matches.remove_one(GENERATE));
        Ok(Self { flags: Flags { values, foreign }, print_config, generate })
    }
}

/// Adds to the error of a bare word, such as `decima-server models`, the flag that names a place of models.
fn with_flag_for_place(mut error: clap::Error) -> clap::Error {
    if let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidArg)
        && error.kind() == ErrorKind::UnknownArgument
        && !word.starts_with('-')
    {
        let tip = format!("to serve the models at '{word}', use '--model-repository {word}'").into();
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip]));
    }
    error
}

fn texts(matches: &mut ArgMatches, setting: &Setting) -> Option<Vec<String>> {
    matches.remove_many::<String>(setting.key).map(Iterator::collect)
}

/// Returns the exit status after [`Args::parse`] failed.
pub fn exit(error: &clap::Error) -> Exit {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Exit::Drained,
        _ => Exit::Usage,
    }
}

/// Describes the command line to `clap`.
fn command() -> Command {
    documented().args(FOREIGN.map(foreign))
}

/// Describes what of the command line is for people.
pub fn documented() -> Command {
    Command::new("decima-server")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Serves ONNX models over the Open Inference Protocol")
        .after_help(format!("{EXAMPLES}\n\n--help has all {} settings.", ALL.len()))
        .after_long_help(format!("{EXAMPLES}\n\n{MORE}"))
        .max_term_width(110)
        .args(ALL.iter().map(|setting| flag(setting)))
        .arg(
            Arg::new(PRINT_CONFIG)
                .long("print-config")
                .alias(PRINT_CONFIG)
                .action(ArgAction::SetTrue)
                .help_heading("Configuration")
                .help("Print the effective settings as a configuration file, each with its origin, and exit"),
        )
        .arg(
            Arg::new(GENERATE)
                .long(GENERATE)
                .value_name("PAGE")
                .value_parser(value_parser!(Page))
                .hide_short_help(true)
                .help_heading("Configuration")
                .help("Print the manual page or the completions of a shell, and exit"),
        )
}

/// Describes the flag of a setting. Every flag may be repeated, and the last one wins: `KServe` appends the arguments
/// of a service to those of its runtime.
fn flag(setting: &Setting) -> Arg {
    let default = match setting.fallback {
        Fallback::Unset => String::new(),
        fallback => format!(" [default: {}]", fallback.text().replace('`', "")),
    };
    let environment = setting.environment.join(", ");
    let other = SPELLINGS_OF_KSERVE.into_iter().filter(|(key, _)| *key == setting.key);
    let hint = match setting.value {
        "URI" => ValueHint::AnyPath,
        "DIR" => ValueHint::DirPath,
        "FILE" => ValueHint::FilePath,
        _ => ValueHint::Other,
    };
    Arg::new(setting.key)
        .long(setting.flag)
        .alias(setting.key)
        .aliases(other.map(|(_, spelling)| spelling))
        .value_name(setting.value)
        .action(ArgAction::Append)
        .allow_negative_numbers(true)
        .help_heading(setting.group.title())
        .value_hint(hint)
        .hide_short_help(!COMMON.contains(&setting.key))
        .help(format!("{}{default}", first_sentence(setting.help)))
        .long_help(format!("{}{default} [env: {environment}]", setting.help))
}

fn first_sentence(text: &str) -> &str {
    text.find(". ").map_or(text, |end| &text[..=end])
}

fn foreign(name: &'static str) -> Arg {
    Arg::new(name).long(name).num_args(0..=1).action(ArgAction::Append).hide(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &[&str]) -> Result<Args, clap::Error> {
        Args::parse(std::iter::once("decima-server").chain(line.iter().copied()))
    }

    #[test]
    fn clap_accepts_the_description_of_the_command_line() {
        command().debug_assert();
    }

    #[test]
    fn flags_take_hyphens_and_underscores() {
        for line in [
            &["--http-port", "9"][..],
            &["--http_port", "9"],
            &["--http-port=9"],
            &["--http_port=9"],
            &["--http_port=7", "--http-port=9"],
        ] {
            let args = parse(line).unwrap();
            assert_eq!(args.flags.values["http_port"].last().unwrap(), "9", "{line:?}");
        }
    }

    #[test]
    fn flags_of_kserve_without_effect_are_recorded() {
        let args = parse(&["--workers=2", "--enable_docs_url", "--nthread", "4", "--host", "::"]).unwrap();
        assert_eq!(args.flags.foreign, ["enable_docs_url", "nthread", "workers"]);
        assert_eq!(args.flags.values["host"], ["::"]);
    }

    #[test]
    fn unknown_flags_and_stray_words_are_refused() {
        for line in [&["--htp-port", "9"][..], &["serve"], &["--http-port"], &["--print-config=yes"]] {
            assert_eq!(exit(&parse(line).unwrap_err()), Exit::Usage, "{line:?}");
        }
        let message = parse(&["--htp-port", "9"]).unwrap_err().to_string();
        assert!(message.contains("--http-port"), "{message}");
        let message = parse(&["./models"]).unwrap_err().to_string();
        assert!(message.contains("'--model-repository ./models'"), "{message}");
    }

    #[test]
    fn help_and_version_exit_with_success() {
        for line in [&["--help"][..], &["-h"], &["--version"], &["-V"]] {
            assert_eq!(exit(&parse(line).unwrap_err()), Exit::Drained, "{line:?}");
        }
        let help = parse(&["--help"]).unwrap_err().to_string();
        for setting in ALL {
            let variables_named = setting.environment.iter().all(|name| help.contains(name));
            assert!(help.contains(&format!("--{} ", setting.flag)) && variables_named, "{}", setting.flag);
        }
        assert!(!help.contains("workers"));
    }

    #[test]
    fn a_short_help_has_the_common_settings_and_names_the_long_one() {
        let help = parse(&["-h"]).unwrap_err().to_string();
        assert!(help.lines().count() < 45, "{help}");
        for setting in ALL {
            // The examples below the list name others.
            let flag = format!("--{} ", setting.flag);
            let is_shown = help.lines().any(|line| line.trim_start().starts_with(&flag));
            assert_eq!(is_shown, COMMON.contains(&setting.key), "{}:\n{help}", setting.flag);
        }
        assert!(help.contains("--help has all"), "{help}");
        let common = COMMON.iter().all(|key| ALL.iter().any(|setting| setting.key == *key));
        assert!(common, "each is a setting");
    }

    #[test]
    fn completions_and_the_manual_page_have_every_setting_and_nothing_foreign() {
        for page in [Page::Bash, Page::Zsh, Page::Fish, Page::Man] {
            let mut text = Vec::new();
            cli_pages::write(documented(), page, &mut text).unwrap();
            let text = String::from_utf8(text).unwrap().replace("\\-", "-");
            for setting in ALL {
                assert!(text.contains(setting.flag), "{page:?} has no {}", setting.flag);
            }
            assert!(!text.contains("grpc_max_send"), "{page:?}");
        }
        assert_eq!(parse(&["--generate", "man"]).unwrap().generate, Some(Page::Man));
    }
}
