//! The errors for a model or version that does not exist: which name the client may have meant, or which there are.

use crate::error::{ErrorCode, ServeError};

/// Most characters of a client's name that an error repeats.
const LONGEST_NAME: usize = 64;

/// Most names that an error lists.
const MOST_NAMED: usize = 16;

/// Most names that are compared letter by letter, so that a server of thousands of models answers a wrong name as fast
/// as one of few.
const MOST_COMPARED: usize = 64;

/// Makes the error for a model that does not exist. `known` are the models that do.
pub(super) fn unknown_model<'a>(name: &str, known: impl Iterator<Item = &'a str> + Clone) -> ServeError {
    let name = shortened(name);
    let hint = match (meant(&name, known.clone()), known.clone().next()) {
        (Some(meant), _) => format!("did you mean '{meant}'?"),
        (None, None) => "the server has no models".to_owned(),
        (None, Some(only)) if known.clone().nth(1).is_none() => format!("the only model is '{only}'"),
        (None, Some(_)) => format!("the models are {}", enumerated(known)),
    };
    ServeError::new(ErrorCode::NotFound, format!("unknown model '{name}': {hint}"))
}

/// Makes the error for a version that a model does not have. `known` are those that it has.
pub(super) fn unknown_version<'a>(
    model: &str,
    version: &str,
    known: impl Iterator<Item = &'a str> + Clone,
) -> ServeError {
    let are = if known.clone().nth(1).is_none() { "its only version is" } else { "its versions are" };
    let (version, known) = (shortened(version), enumerated(known));
    ServeError::new(ErrorCode::NotFound, format!("model '{model}' has no version '{version}': {are} {known}"))
}

/// Shortens a name that a client sent, for an error text.
pub(super) fn shortened(name: &str) -> String {
    name.chars().take(LONGEST_NAME).collect()
}

/// Returns the known name that a wrong one may stand for: one that differs in case or in few letters.
fn meant<'a>(name: &str, known: impl Iterator<Item = &'a str> + Clone) -> Option<&'a str> {
    if let Some(same) = known.clone().find(|known| known.eq_ignore_ascii_case(name)) {
        return Some(same);
    }
    let length = name.chars().count();
    // One slip in a name of three letters, two in one of six and more.
    let most_slips = (length / 3).min(2);
    let name = name.to_lowercase();
    let slips = |known: &&str| strsim::damerau_levenshtein(&name, &known.to_lowercase());
    let is_near = |known: &&str| known.chars().take(LONGEST_NAME + 1).count().abs_diff(length) <= most_slips;
    let near = known.filter(is_near).take(MOST_COMPARED);
    near.map(|known| (slips(&known), known))
        .filter(|(slips, _)| *slips <= most_slips)
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, known)| known)
}

fn enumerated<'a>(mut names: impl Iterator<Item = &'a str>) -> String {
    let named: Vec<&str> = names.by_ref().take(MOST_NAMED).collect();
    let more = names.count();
    let list = named.join(", ");
    if more == 0 { list } else { format!("{list} and {more} more") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(name: &str, known: &[&str]) -> String {
        let error = unknown_model(name, known.iter().copied());
        assert_eq!(error.code, ErrorCode::NotFound);
        error.message.into_owned()
    }

    #[test]
    fn a_name_that_is_nearly_right_is_suggested() {
        for wrong in ["Digits", "DIGITS", "digit", "didgits", "digist", "Digitz"] {
            let expected = format!("unknown model '{wrong}': did you mean 'digits'?");
            assert_eq!(said(wrong, &["digits", "iris", "resnet"]), expected);
        }
        assert!(said("model-2", &["model-1", "other"]).ends_with("did you mean 'model-1'?"));
    }

    #[test]
    fn a_name_like_no_other_gets_the_names_that_there_are() {
        assert_eq!(said("none", &["digits"]), "unknown model 'none': the only model is 'digits'");
        assert_eq!(said("none", &["a", "b"]), "unknown model 'none': the models are a, b");
        assert_eq!(said("none", &[]), "unknown model 'none': the server has no models");
        assert!(said("ab", &["cd", "ef"]).contains("the models are"), "short names are not alike");
        let many: Vec<String> = (0..20).map(|number| format!("{number:05}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let said = said("none", &many);
        assert!(said.contains("00000, 00001") && said.ends_with("00015 and 4 more"), "{said}");
    }

    #[test]
    fn long_names_are_cut() {
        let said = said(&"x".repeat(1 << 20), &["digits", &"y".repeat(1 << 20)[..]].map(|name| &name[..6]));
        assert!(said.len() < 200, "{said}");
    }

    #[test]
    fn a_version_that_is_not_there_gets_those_that_are() {
        let said = |known: &[&str]| unknown_version("m", "9", known.iter().copied()).message.into_owned();
        assert_eq!(said(&["1"]), "model 'm' has no version '9': its only version is 1");
        assert_eq!(said(&["1", "2"]), "model 'm' has no version '9': its versions are 1, 2");
    }
}
