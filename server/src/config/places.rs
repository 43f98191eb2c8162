//! Where the models are. `--model-repository`, `--model-dir`, `KServe`'s variable `STORAGE_URI` and its folder `/mnt/models`
//! all say so. The highest source that says anything decides alone.

use storage::Location;

use super::{
    host::{Host, MOUNTED_MODELS},
    resolver::{Given, Layer, Resolver},
    setting as s, value,
};

/// A place that holds models.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A model repository, or a single model in one of `KServe`'s layouts. The files there show which of them it is.
    Repository {
        /// Its folder or bucket.
        location: Location,
        /// The name of the model if it is a single one. `None`: the last segment of the location.
        single_model_name: Option<String>,
    },
    /// One model.
    Model {
        /// Its folder or bucket.
        location: Location,
        /// The name of the model.
        name: String,
    },
}

/// The places that one source gives.
enum GivenPlaces {
    Repositories(Given),
    Model(Given),
}

pub(super) fn resolve(resolver: &mut Resolver<'_>, host: &Host) -> Vec<Place> {
    let name = resolver.find(s::MODEL_NAME, value::model_name);
    match highest_source(resolver, host) {
        GivenPlaces::Model(given) => model(resolver, given, name),
        GivenPlaces::Repositories(given) => repositories(resolver, given, name),
    }
}

fn parse_location(resolver: &mut Resolver<'_>, origin: &str, uri: &str) -> Option<Location> {
    uri.parse().inspect_err(|error| resolver.problem(format!("{origin}: {error}"))).ok()
}

fn highest_source(resolver: &mut Resolver<'_>, host: &Host) -> GivenPlaces {
    for layer in Layer::ALL {
        let model = resolver.at(layer, s::MODEL_DIR);
        let repositories = match (layer, &model) {
            // DECIMA_MODEL_DIR outranks STORAGE_URI, so both together are no contradiction.
            (Layer::Environment, Some(_)) => resolver.variable("DECIMA_MODEL_REPOSITORY"),
            _ => resolver.at(layer, s::MODEL_REPOSITORY),
        };
        match (repositories, model) {
            (Some(repositories), Some(model)) => {
                let both = format!("{} and {}", repositories.origin, model.origin);
                resolver.problem(format!("{both} exclude each other: give one of them"));
                return GivenPlaces::Repositories(repositories);
            }
            (Some(given), None) => return GivenPlaces::Repositories(or_mounted_folder(given, host)),
            (None, Some(given)) => return GivenPlaces::Model(given),
            (None, None) => {}
        }
    }
    let (uri, origin) = if host.models_mounted {
        (MOUNTED_MODELS, format!("default: {MOUNTED_MODELS} exists"))
    } else {
        ("models", "default".into())
    };
    GivenPlaces::Repositories(Given { texts: vec![uri.into()], origin })
}

/// Replaces an address that this server cannot read by the folder that `KServe` mounts.
///
/// `KServe` sets `STORAGE_URI` to the folder to which it downloads. If it mounts a volume or an image instead, the variable
/// may keep the address of that.
fn or_mounted_folder(given: Given, host: &Host) -> Given {
    let is_unusable = given.texts.iter().any(|uri| uri.parse::<Location>().is_err());
    if given.origin == "STORAGE_URI" && host.models_mounted && is_unusable {
        let origin = format!("STORAGE_URI {}, or_mounted_folder by KServe", given.texts.join(","));
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
    let location = parse_location(resolver, &given.origin, &uri);
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
        uris.iter().filter_map(|uri| parse_location(resolver, &given.origin, uri)).collect();
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
    /// Returns where it is.
    pub fn location(&self) -> &Location {
        match self {
            Self::Repository { location, .. } | Self::Model { location, .. } => location,
        }
    }
}
