//! The order of versions, and which versions of a model a version policy selects.

use std::cmp::Ordering;

use crate::model::VersionPolicy;

/// Orders versions: numbers by value, where `v7` counts as 7, and then other names alphabetically.
pub(super) fn compare(left: &str, right: &str) -> Ordering {
    match (number(left), number(right)) {
        (Some(left_number), Some(right_number)) => {
            left_number.cmp(&right_number).then_with(|| left.cmp(right))
        }
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => left.cmp(right),
    }
}

/// Returns the versions that `policy` selects, oldest first.
///
/// # Errors
/// The policy names a version that does not exist.
pub(super) fn select(policy: &VersionPolicy, mut available: Vec<String>) -> Result<Vec<String>, String> {
    available.sort_by(|left, right| compare(left, right));
    match policy {
        VersionPolicy::All => Ok(available),
        VersionPolicy::Latest(count) => Ok(available.split_off(available.len().saturating_sub(*count))),
        VersionPolicy::Specific(wanted) => {
            if let Some(missing) = wanted.iter().find(|version| !available.contains(version)) {
                let available = available.join(", ");
                return Err(format!("version_policy asks for version '{missing}', there are {available}"));
            }
            Ok(available.into_iter().filter(|version| wanted.contains(version)).collect())
        }
    }
}

fn number(version: &str) -> Option<u128> {
    version.strip_prefix('v').unwrap_or(version).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(policy: &VersionPolicy, available: &[&str]) -> Result<Vec<String>, String> {
        select(policy, available.iter().map(|&version| version.to_owned()).collect())
    }

    #[test]
    fn the_latest_is_the_greatest_number() {
        assert_eq!(chosen(&VersionPolicy::Latest(1), &["9", "10", "2"]).unwrap(), ["10"]);
        assert_eq!(chosen(&VersionPolicy::Latest(2), &["9", "10", "2"]).unwrap(), ["9", "10"]);
        assert_eq!(chosen(&VersionPolicy::Latest(5), &["v2", "v10"]).unwrap(), ["v2", "v10"]);
    }

    #[test]
    fn a_policy_serves_what_it_names_or_says_what_is_missing() {
        assert_eq!(chosen(&VersionPolicy::All, &["b", "1", "a"]).unwrap(), ["1", "a", "b"]);
        let specific =
            |names: &[&str]| VersionPolicy::Specific(names.iter().map(|&name| name.into()).collect());
        assert_eq!(chosen(&specific(&["7", "3"]), &["3", "5", "7"]).unwrap(), ["3", "7"]);
        let error = chosen(&specific(&["4"]), &["3", "5"]).unwrap_err();
        assert!(error.contains("'4'") && error.contains("3, 5"), "{error}");
    }
}
