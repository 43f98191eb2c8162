//! Resolves settings: the order of the sources, the origin of each value, and the list of all problems.

use super::{Config, Flags, Resolved, error::ConfigError, fallback::Fallback, file::File, setting::Setting};
use crate::platform::environment::Environment;

/// A setting with its value as text, and where that came from.
#[derive(Debug, Clone)]
pub struct Settled {
    /// The setting.
    pub setting: &'static Setting,
    /// Its value. Only settings that may be given several times have several, and a setting without a value has none.
    pub texts: Vec<String>,
    /// The flag, the variable, the file, or `default` and why.
    pub origin: String,
}

/// The sources of settings, the highest first.
#[derive(Debug, Clone, Copy)]
pub(super) enum Layer {
    Flag,
    Environment,
    File,
}

impl Layer {
    pub(super) const ALL: [Self; 3] = [Self::Flag, Self::Environment, Self::File];
}

/// A value that a user gave, as text.
#[derive(Debug)]
pub(super) struct Given {
    pub(super) texts: Vec<String>,
    /// The flag, variable or key by which the user gave it.
    pub(super) origin: String,
}

/// The sources of one run of the server.
pub(super) struct Sources<'a> {
    pub(super) flags: &'a Flags,
    pub(super) environment: &'a Environment,
    pub(super) file: Option<&'a File>,
}

/// Resolves settings one by one, and collects problems.
pub(super) struct Resolver<'a> {
    sources: Sources<'a>,
    problems: Vec<String>,
    warnings: Vec<String>,
    settled: Vec<Settled>,
}

impl<'a> Resolver<'a> {
    pub(super) fn new(sources: Sources<'a>) -> Self {
        let warn = |flag| format!("--{flag} is a flag of KServe's own servers and has no effect here");
        let warnings = sources.flags.foreign.iter().map(warn).collect();
        Self { sources, problems: Vec::new(), warnings, settled: Vec::new() }
    }

    pub(super) fn problem(&mut self, problem: String) {
        self.problems.push(problem);
    }

    pub(super) fn warn(&mut self, warning: String) {
        self.warnings.push(warning);
    }

    pub(super) fn settle(&mut self, setting: &'static Setting, texts: Vec<String>, origin: String) {
        self.settled.push(Settled { setting, texts, origin });
    }

    /// Returns where the value of a setting came from, if it is resolved already.
    pub(super) fn origin(&self, setting: &Setting) -> Option<String> {
        let settled = self.settled.iter().find(|settled| settled.setting.key == setting.key)?;
        Some(settled.origin.clone())
    }

    /// Returns a variable of the environment. An empty one counts as unset, as in Kubernetes manifests.
    pub(super) fn environment(&self, name: &str) -> Option<String> {
        self.sources.environment.get(name).filter(|text| !text.is_empty()).map(str::to_owned)
    }

    /// Returns what one source says about a setting.
    pub(super) fn at(&mut self, layer: Layer, setting: &Setting) -> Option<Given> {
        match layer {
            Layer::Flag => {
                let texts = self.sources.flags.values.get(setting.key)?.clone();
                Some(Given { texts, origin: format!("--{}", setting.flag) })
            }
            Layer::Environment => setting.environment.iter().find_map(|name| self.variable(name)),
            Layer::File => {
                let file = self.sources.file?;
                let texts = file.values.get(setting.key)?.clone();
                Some(Given { texts, origin: format!("{} in {}", setting.key, file.path.display()) })
            }
        }
    }

    /// Returns a variable as the value of a setting. For a service called `decima-http`, Kubernetes sets a variable
    /// `DECIMA_HTTP_PORT` that holds an address. Such a variable is ignored with a warning.
    pub(super) fn variable(&mut self, name: &'static str) -> Option<Given> {
        let text = self.environment(name)?;
        if ["tcp://", "udp://", "sctp://"].iter().any(|scheme| text.starts_with(scheme)) {
            self.warn(format!(
                "{name}={text} is Kubernetes' link to a service of that name, and is left alone"
            ));
            return None;
        }
        Some(Given { texts: vec![text], origin: name.into() })
    }

    /// Returns the value of a setting with a fixed default.
    pub(super) fn value<T>(
        &mut self,
        setting: &'static Setting,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> T {
        let Fallback::Value(text) = setting.fallback else {
            unreachable!("{} has no fixed default", setting.key)
        };
        self.value_or(setting, (text.into(), None), parse)
    }

    /// Returns the value of a setting whose default depends on something. `default` is its text, with the reason.
    pub(super) fn value_or<T>(
        &mut self,
        setting: &'static Setting,
        (default, reason): (String, Option<String>),
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> T {
        if let Some(value) = self.find(setting, &parse) {
            return value;
        }
        // Also if the given value is wrong, so that the other settings are still checked.
        let value =
            parse(&default).unwrap_or_else(|error| unreachable!("default of {}: {error}", setting.key));
        let origin = reason.map_or_else(|| "default".into(), |reason| format!("default: {reason}"));
        self.settle(setting, vec![default], origin);
        value
    }

    /// Returns the value of a setting if one is given and right. A wrong one becomes a problem.
    pub(super) fn find<T>(
        &mut self,
        setting: &'static Setting,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let given = self.given(setting)?;
        // As everywhere on a command line, the last one wins.
        let text = given.texts.last()?.clone();
        self.parsed(setting, text, given.origin, parse)
    }

    /// Returns the value of a setting that is a list. It may be given with commas, as a list, or several times.
    pub(super) fn find_list<T>(
        &mut self,
        setting: &'static Setting,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let given = self.given(setting)?;
        self.parsed(setting, given.texts.join(","), given.origin, parse)
    }

    fn given(&mut self, setting: &'static Setting) -> Option<Given> {
        Layer::ALL.into_iter().find_map(|layer| self.at(layer, setting))
    }

    fn parsed<T>(
        &mut self,
        setting: &'static Setting,
        text: String,
        origin: String,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        match parse(&text) {
            Ok(value) => {
                self.settle(setting, vec![text], origin);
                Some(value)
            }
            Err(expected) => {
                self.problem(format!("{origin} is {text:?}: {expected}"));
                None
            }
        }
    }

    pub(super) fn finish(self, config: Config) -> Result<Resolved, ConfigError> {
        if self.problems.is_empty() {
            Ok(Resolved { config, warnings: self.warnings, settled: self.settled })
        } else {
            Err(ConfigError::new(self.problems))
        }
    }
}
