//! The environment variables of OpenTelemetry that the server reads itself. The exporter reads the rest.

use opentelemetry_sdk::trace::Sampler;

use crate::platform::environment::Environment;

/// The default name of the service.
const SERVICE_NAME: &str = "decima-server";

/// How traces are exported.
#[derive(Debug)]
pub(super) struct Settings {
    /// Name of the service; `None` if the SDK reads it from the environment.
    pub(super) service_name: Option<&'static str>,
    /// Which requests are traced.
    pub(super) sampler: Sampler,
}

impl Settings {
    /// Reads the settings. Returns `None` if traces are off. Adds a line to `warnings` for each value that is not
    /// supported.
    pub(super) fn read(environment: &Environment, warnings: &mut Vec<String>) -> Option<Self> {
        let given = |name: &str| {
            environment.get(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
        };
        let either = |traces: &'static str, all: &'static str| {
            given(traces).map(|text| (traces, text)).or_else(|| given(all).map(|text| (all, text)))
        };
        either("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")?;
        if given("OTEL_SDK_DISABLED").is_some_and(|text| text.eq_ignore_ascii_case("true")) {
            return None;
        }
        match given("OTEL_TRACES_EXPORTER").as_deref() {
            None | Some("otlp") => {}
            Some("none") => return None,
            Some(other) => {
                warnings.push(format!("OTEL_TRACES_EXPORTER={other} is not supported, only otlp and none: traces are not exported"));
                return None;
            }
        }
        match either("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL") {
            None => {}
            Some((_, protocol)) if protocol == "grpc" => {}
            Some((name, protocol)) => {
                warnings.push(format!(
                    "{name}={protocol} is not supported, only grpc (port 4317 of most collectors): traces are \
                     not exported"
                ));
                return None;
            }
        }
        let in_resource = |text: String| text.split(',').any(|pair| pair.trim().starts_with("service.name="));
        let named = given("OTEL_SERVICE_NAME").is_some()
            || given("OTEL_RESOURCE_ATTRIBUTES").is_some_and(in_resource);
        Some(Self {
            service_name: (!named).then_some(SERVICE_NAME),
            sampler: sampler(
                given("OTEL_TRACES_SAMPLER"),
                given("OTEL_TRACES_SAMPLER_ARG").as_deref(),
                warnings,
            ),
        })
    }
}

/// Returns the sampler of this name. An unknown name stands for the default: follow the parent's decision, and sample
/// every request without a parent.
fn sampler(name: Option<String>, argument: Option<&str>, warnings: &mut Vec<String>) -> Sampler {
    let parent_based = |root| Sampler::ParentBased(Box::new(root));
    let name = name.unwrap_or_else(|| "parentbased_always_on".into());
    let mut ratio = || {
        let ratio = argument.map(str::parse).and_then(Result::ok);
        Sampler::TraceIdRatioBased(ratio.filter(|ratio| (0.0..=1.0).contains(ratio)).unwrap_or_else(|| {
            let given = argument.unwrap_or("not set");
            warnings.push(format!(
                "OTEL_TRACES_SAMPLER_ARG is {given}, but {name} takes a number from 0 to 1: every request is traced"
            ));
            1.0
        }))
    };
    match name.as_str() {
        "always_on" => Sampler::AlwaysOn,
        "always_off" => Sampler::AlwaysOff,
        "traceidratio" => ratio(),
        "parentbased_always_on" => parent_based(Sampler::AlwaysOn),
        "parentbased_always_off" => parent_based(Sampler::AlwaysOff),
        "parentbased_traceidratio" => parent_based(ratio()),
        other => {
            warnings
                .push(format!("OTEL_TRACES_SAMPLER={other} is not supported: parentbased_always_on is used"));
            parent_based(Sampler::AlwaysOn)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ON: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4317");

    fn read(variables: &[(&str, &str)]) -> (Option<Settings>, Vec<String>) {
        let environment = variables.iter().copied().collect();
        let mut warnings = Vec::new();
        let settings = Settings::read(&environment, &mut warnings);
        (settings, warnings)
    }

    #[test]
    fn traces_are_off_until_a_collector_is_named_and_wanted() {
        for off in [
            vec![],
            vec![("OTEL_EXPORTER_OTLP_ENDPOINT", "")],
            vec![("OTEL_SERVICE_NAME", "mine")],
            vec![ON, ("OTEL_SDK_DISABLED", "True")],
            vec![ON, ("OTEL_TRACES_EXPORTER", "none")],
        ] {
            let (settings, warnings) = read(&off);
            assert!(settings.is_none() && warnings.is_empty(), "{off:?}: {warnings:?}");
        }
        for on in [vec![ON], vec![("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://collector:4317")]] {
            let (settings, warnings) = read(&on);
            assert_eq!(settings.unwrap().service_name, Some("decima-server"));
            assert!(warnings.is_empty(), "{warnings:?}");
        }
        for named in [("OTEL_SERVICE_NAME", "mine"), ("OTEL_RESOURCE_ATTRIBUTES", "a=b, service.name=mine")] {
            assert_eq!(read(&[ON, named]).0.unwrap().service_name, None, "{named:?}");
        }
    }

    #[test]
    fn unsupported_values_are_warned_about() {
        for (variable, remains) in [
            (("OTEL_TRACES_EXPORTER", "zipkin"), false),
            (("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"), false),
            (("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"), false),
            (("OTEL_TRACES_SAMPLER", "xray"), true),
        ] {
            let (settings, warnings) = read(&[ON, variable]);
            assert_eq!(settings.is_some(), remains, "{variable:?}");
            assert!(warnings.len() == 1 && warnings[0].contains(variable.0), "{warnings:?}");
            assert!(warnings[0].contains(variable.1), "{warnings:?}");
        }
    }

    #[test]
    fn samplers_are_those_of_the_specification() {
        for (name, argument, expected) in [
            ("always_on", "", "AlwaysOn"),
            ("always_off", "", "AlwaysOff"),
            ("traceidratio", "0.25", "TraceIdRatioBased(0.25)"),
            ("parentbased_always_off", "", "ParentBased(AlwaysOff)"),
            ("parentbased_traceidratio", "1", "ParentBased(TraceIdRatioBased(1.0))"),
        ] {
            let (settings, warnings) =
                read(&[ON, ("OTEL_TRACES_SAMPLER", name), ("OTEL_TRACES_SAMPLER_ARG", argument)]);
            assert_eq!(format!("{:?}", settings.unwrap().sampler), expected);
            assert!(warnings.is_empty(), "{warnings:?}");
        }
        for argument in ["", "half", "1.5", "NaN"] {
            let (settings, warnings) =
                read(&[ON, ("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", argument)]);
            assert_eq!(format!("{:?}", settings.unwrap().sampler), "TraceIdRatioBased(1.0)");
            assert_eq!(warnings.len(), 1, "{argument}: {warnings:?}");
        }
    }
}
