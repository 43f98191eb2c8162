//! Where the models are. `--model-repository` and `--model-dir` are two ways to say one thing, and `KServe`
//! has a third and a fourth: the highest source that says anything decides alone.

use super::{
    host::{Host, MOUNTED_MODELS},
    resolver::{Given, Layer, Resolver},
    setting as s, value,
};

/// A place that holds models. A `uri` is a folder or `s3://bucket/prefix`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A model repository, or a single model in one of `KServe`'s layouts: what lies there decides.
    Repository {
        /// Where.
        uri: String,
        /// What the model is called if it is a single one; `None`: after the last segment of the URI.
        single_model_name: Option<String>,
    },
    /// One model.
    Model {
        /// Where.
        uri: String,
        /// What it is called.
        name: String,
    },
}

/// What one source says.
enum Said {
    Repositories(Given),
    Model(Given),
}

pub(super) fn resolve<E: Fn(&str) -> Option<String>>(
    resolver: &mut Resolver<'_, E>,
    host: &Host,
) -> Vec<Place> {
    let name = resolver.find(s::MODEL_NAME, value::model_name);
    let places = match said(resolver, host) {
        Said::Model(given) => model(resolver, given, name),
        Said::Repositories(given) => repositories(resolver, given, name),
    };
    for uri in places.iter().map(Place::uri) {
        if let Some((scheme, _)) =
            uri.split_once("://").filter(|(scheme, _)| !["s3", "file"].contains(scheme))
        {
            resolver.problem(format!("{uri}: {scheme}:// is not supported; use s3:// or a folder"));
        }
    }
    places
}

fn said<E: Fn(&str) -> Option<String>>(resolver: &mut Resolver<'_, E>, host: &Host) -> Said {
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
    let of_no_use =
        |uri: &str| uri.contains("://") && !uri.starts_with("s3://") && !uri.starts_with("file://");
    if given.origin == "STORAGE_URI" && host.models_mounted && given.texts.iter().any(|uri| of_no_use(uri)) {
        let origin = format!("STORAGE_URI {}, mounted by KServe", given.texts.join(","));
        return Given { texts: vec![MOUNTED_MODELS.into()], origin };
    }
    given
}

fn model<E: Fn(&str) -> Option<String>>(
    resolver: &mut Resolver<'_, E>,
    given: Given,
    name: Option<String>,
) -> Vec<Place> {
    let uri = given.texts.into_iter().next_back().unwrap_or_default();
    resolver.settle(s::MODEL_DIR, vec![uri.clone()], given.origin.clone());
    let Some(name) = name else {
        resolver.problem(format!("{} is {uri:?} without a name: give --model-name too", given.origin));
        return Vec::new();
    };
    vec![Place::Model { uri, name }]
}

fn repositories<E: Fn(&str) -> Option<String>>(
    resolver: &mut Resolver<'_, E>,
    given: Given,
    name: Option<String>,
) -> Vec<Place> {
    let uris: Vec<String> = if s::MODEL_REPOSITORY.environment.contains(&given.origin.as_str()) {
        given.texts.iter().flat_map(|text| text.split(',')).map(|uri| uri.trim().to_owned()).collect()
    } else {
        given.texts
    };
    if uris.is_empty() || uris.iter().any(String::is_empty) {
        resolver.problem(format!("{} has an empty place: give a folder or s3://bucket/prefix", given.origin));
    }
    resolver.settle(s::MODEL_REPOSITORY, uris.clone(), given.origin);
    let named_by = resolver.origin(s::MODEL_NAME).filter(|origin| *origin != "INFERENCE_SERVICE_NAME");
    if let Some(origin) = named_by.filter(|_| uris.len() > 1) {
        resolver.warn(format!("{origin} has no effect with several model repositories"));
    }
    let single_model_name = name.filter(|_| uris.len() == 1);
    uris.into_iter()
        .map(|uri| Place::Repository { uri, single_model_name: single_model_name.clone() })
        .collect()
}

impl Place {
    /// Where it is.
    pub fn uri(&self) -> &str {
        match self {
            Self::Repository { uri, .. } | Self::Model { uri, .. } => uri,
        }
    }
}
