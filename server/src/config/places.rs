//! Where the models are. `--model-repository` and `--model-dir` are two ways to say one thing, and `KServe`
//! has a third and a fourth: the highest source that says anything decides alone.

use storage::Location;

use super::{
    host::{Host, MOUNTED_MODELS},
    resolver::{Given, Layer, Resolver},
    setting as s, value,
};

/// A place that holds models.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A model repository, or a single model in one of `KServe`'s layouts: what lies there decides.
    Repository {
        /// Where.
        location: Location,
        /// What the model is called if it is a single one; `None`: after the last segment of the location.
        single_model_name: Option<String>,
    },
    /// One model.
    Model {
        /// Where.
        location: Location,
        /// What it is called.
        name: String,
    },
}

/// What one source says.
enum Said {
    Repositories(Given),
    Model(Given),
}

pub(super) fn resolve(resolver: &mut Resolver<'_>, host: &Host) -> Vec<Place> {
    let name = resolver.find(s::MODEL_NAME, value::model_name);
    match said(resolver, host) {
        Said::Model(given) => model(resolver, given, name),
        Said::Repositories(given) => repositories(resolver, given, name),
    }
}

fn locate(resolver: &mut Resolver<'_>, origin: &str, uri: &str) -> Option<Location> {
    uri.parse().inspect_err(|error| resolver.problem(format!("{origin}: {error}"))).ok()
}

fn said(resolver: &mut Resolver<'_>, host: &Host) -> Said {
    for layer in Layer::ALL {
        let model = resolver.at(layer, s::MODEL_DIR);
        let repositories = match (layer, &model) {
            // STORAGE_URI, the lesser of the two variables, does not contradict DECIMA_MODEL_DIR
            (Layer::Environment, Some(_)) => resolver.variable("DECIMA_MODEL_REPOSITORY"),
            _ => resolver.at(layer, s::MODEL_REPOSITORY),
        };
        match (repositories, model) {
            (Some(repositories), Some(model)) => {
                let both = format!("{} and {}", repositories.origin, model.origin);
                resolver.problem(format!("{both} exclude each other: give one of them"));
                return Said::Repositories(repositories);
            }
            (Some(given), None) => return Said::Repositories(mounted(given, host)),
            (None, Some(given)) => return Said::Model(given),
            (None, None) => {}
        }
    }
    let (uri, origin) = if host.models_mounted {
        (MOUNTED_MODELS, format!("default: {MOUNTED_MODELS} exists"))
    } else {
        ("models", "default".into())
    };
    Said::Repositories(Given { texts: vec![uri.into()], origin })
}

/// `KServe` replaces `STORAGE_URI` by the folder that it downloads to. Where it only mounts something (a
/// volume, an image) the variable may keep an address that is of no use to us, and the folder is what counts.
fn mounted(given: Given, host: &Host) -> Given {
    let of_no_use = given.texts.iter().any(|uri| uri.parse::<Location>().is_err());
    if given.origin == "STORAGE_URI" && host.models_mounted && of_no_use {
        let origin = format!("STORAGE_URI {}, mounted by KServe", given.texts.join(","));
        return Given { texts: vec![MOUNTED_MODELS.into()], origin };
    }
    given
}

fn model(resolver: &mut Resolver<'_>, given: Given, name: Option<String>) -> Vec<Place> {
    let uri = given.texts.into_iter().next_back().unwrap_or_default();
    resolver.settle(s::MODEL_DIR, vec![uri.clone()], given.origin.clone());
    let Some(name) = name else {
        resolver.problem(format!("{} is {uri:?} without a name: give --model-name too", given.origin));
        return Vec::new();
    };
    let location = locate(resolver, &given.origin, &uri);
    location.map(|location| Place::Model { location, name }).into_iter().collect()
}

fn repositories(resolver: &mut Resolver<'_>, given: Given, name: Option<String>) -> Vec<Place> {
    let uris: Vec<String> = if s::MODEL_REPOSITORY.environment.contains(&given.origin.as_str()) {
        given.texts.iter().flat_map(|text| text.split(',')).map(|uri| uri.trim().to_owned()).collect()
    } else {
        given.texts
    };
    if uris.is_empty() {
        resolver.problem(format!("{} is empty: give a folder or s3://bucket/prefix", given.origin));
    }
    let locations: Vec<Location> =
        uris.iter().filter_map(|uri| locate(resolver, &given.origin, uri)).collect();
    resolver.settle(s::MODEL_REPOSITORY, uris, given.origin);
    let named_by = resolver.origin(s::MODEL_NAME).filter(|origin| *origin != "INFERENCE_SERVICE_NAME");
    if let Some(origin) = named_by.filter(|_| locations.len() > 1) {
        resolver.warn(format!("{origin} has no effect with several model repositories"));
    }
    let single_model_name = name.filter(|_| locations.len() == 1);
    locations
        .into_iter()
        .map(|location| Place::Repository { location, single_model_name: single_model_name.clone() })
        .collect()
}

impl Place {
    /// Where it is.
    pub fn location(&self) -> &Location {
        match self {
            Self::Repository { location, .. } | Self::Model { location, .. } => location,
        }
    }
}
