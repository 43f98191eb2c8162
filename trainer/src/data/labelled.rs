//! Labelled pictures of a folder or a bucket, as the server would show them to the model.
//!
//! A picture's label is the name of its folder where that is one digit, else the digit that its own name begins with.
//! No letter or digit may follow that one: cameras name pictures by the date. Where a JSON file of the same name lies
//! beside a picture, as the server's corrections have one, that must say the same.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::time::SystemTime;

use anyhow::Result;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use ndarray::Array2;
use pictures::decode::{Limits, decode};
use pictures::mnist::{self, MnistError};
use serde::Deserialize;
use storage::{Location, Settings, StorageError, Store};

use super::CLASSES;
use crate::blocking::block_on;
use crate::files;

/// Names of files that are pictures end like this.
pub const EXTENSIONS: [&str; 6] = ["png", "jpg", "jpeg", "webp", "gif", "bmp"];
/// Larger pictures are left out: a camera's photograph has less.
const LARGEST_PICTURE: u64 = 8 << 20;
/// Larger JSON files are none of ours.
const LARGEST_CARD: u64 = 64 << 10;
/// Most pictures that are looked at: more than MNIST has.
pub const MOST_PICTURES: usize = 100_000;
/// Why a picture has no label.
const NO_LABEL: &str = "it has no label: neither is its folder named as one digit, nor does its name start with a \
                        digit that no other digit or letter follows";
/// Files that are read at once, so that a bucket far away does not take a picture's time for each.
const AT_ONCE: usize = 16;
/// Pictures that are named for each reason to leave some out.
const NAMED: usize = 5;

/// A picture with its label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labelled {
    /// Its name below the place.
    pub key: String,
    /// The digit on it.
    pub label: u8,
    /// When it was labelled, where that is known.
    pub time: Option<SystemTime>,
    /// What the model sees of it, `[row, column]`, 28 x 28.
    pub pixels: Array2<u8>,
}

/// Why a picture is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// Its folder is not named as one digit, and its name does not begin with one that stands alone.
    NoLabel,
    /// Folder or name, and the JSON file beside it, do not say the same; or that cannot be read.
    OtherLabel,
    /// It is not the picture that the JSON file beside it is about.
    Changed,
    /// It has too many bytes.
    TooLarge,
    /// It is no picture, or a broken one.
    Unreadable,
    /// Nothing is drawn on it.
    Blank,
    /// Several digits are on it.
    Several,
    /// The same picture is there already.
    Duplicate,
    /// The same picture got another label later.
    Outdated,
    /// The same picture has several labels, and no time says which is the last.
    Contradictory,
    /// There are more than are looked at or wanted.
    TooMany,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoLabel => {
                "without a label: put them into folders named 0 to 9, or begin their names with the digit and a hyphen"
            }
            Self::OtherLabel => "whose JSON file says another label, or none that can be read",
            Self::Changed => "that are not the pictures their JSON files are about",
            Self::TooLarge => "of more than 8 MiB",
            Self::Unreadable => "that cannot be read",
            Self::Blank => "without ink",
            Self::Several => "of several digits",
            Self::Duplicate => "that are there already",
            Self::Outdated => "that got another label later",
            Self::Contradictory => "with several labels, none of them later than the others",
            Self::TooMany => "more than the limit",
        })
    }
}

/// Why one picture is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The kind of reason.
    pub reason: Reason,
    /// The reason in words, about this picture alone.
    pub why: String,
}

impl Refusal {
    fn new(reason: Reason, why: impl fmt::Display) -> Self {
        Self { reason, why: why.to_string() }
    }
}

/// What was left out, and why.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeftOut(BTreeMap<Reason, (usize, Vec<String>)>);

impl LeftOut {
    /// Notes a picture.
    pub fn add(&mut self, reason: Reason, key: &str) {
        let (count, named) = self.0.entry(reason).or_default();
        *count += 1;
        if named.len() < NAMED {
            named.push(key.to_owned());
        }
    }

    /// How many there are for this reason.
    pub fn count(&self, reason: Reason) -> usize {
        self.0.get(&reason).map_or(0, |(count, _)| *count)
    }

    /// How many there are.
    pub fn total(&self) -> usize {
        self.0.values().map(|(count, _)| count).sum()
    }

    /// A line for each reason, with the names of some.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|(reason, (count, named))| {
            let more = if *count > named.len() { ", …" } else { "" };
            format!("{count} {reason} ({}{more})", named.join(", "))
        })
    }
}

/// What a place holds.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// Pictures that a model can learn from or be measured on, by their names.
    pub pictures: Vec<Labelled>,
    /// The others.
    pub left_out: LeftOut,
}

/// What the server writes beside a correction.
#[derive(Debug, Deserialize)]
struct Card {
    label: Option<String>,
    time: Option<String>,
    sha256: Option<String>,
}

/// A picture and the JSON file beside it, as they were read.
struct Raw {
    key: String,
    picture: Result<Bytes, StorageError>,
    card: Option<Result<Bytes, StorageError>>,
}

/// Reads every labelled picture below `place`; nothing there is no error. `progress` is told how many are done, and of how
/// many.
///
/// # Errors
/// When the place cannot be read.
pub fn read(place: &Location, settings: &Settings, progress: &dyn Fn(usize, usize)) -> Result<Found> {
    let mut found = Found::default();
    visit(place, settings, progress, &mut |key, picture| match picture {
        Ok(picture) => found.pictures.push(picture),
        Err(Refusal { reason, .. }) => found.left_out.add(reason, &key),
    })?;
    Ok(found)
}

/// Takes every picture below a place by its name below that, or the reason to leave it out.
pub type Visitor<'a> = dyn FnMut(String, Result<Labelled, Refusal>) + 'a;

/// Shows every picture below `place` to `visitor`, in the order of their names. Like [`read`] in all else.
///
/// # Errors
/// When the place cannot be read.
pub fn visit(
    place: &Location,
    settings: &Settings,
    progress: &dyn Fn(usize, usize),
    visitor: &mut Visitor<'_>,
) -> Result<()> {
    block_on(async {
        let store = Store::open(place, settings)?;
        let listing = match store.look().await {
            Ok(listing) => listing,
            Err(StorageError::NotFound { .. }) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        for folder in listing.unreadable {
            visitor(folder.key, Err(Refusal::new(Reason::Unreadable, folder.error)));
        }
        let keys: Vec<String> = listing.objects.into_iter().map(|object| object.key).collect();
        let keys = chosen(&keys, visitor);
        let total = keys.len();
        let raw: Vec<_> = keys.into_iter().map(|(key, card)| fetch(&store, key, card)).collect();
        let mut raw = stream::iter(raw).buffered(AT_ONCE);
        let mut done = 0;
        while let Some(raw) = raw.next().await {
            let key = raw.key.clone();
            visitor(key, labelled(raw, place)?);
            done += 1;
            progress(done, total);
        }
        Ok(())
    })
}

/// The pictures among these names, each with the name of the JSON file beside it, where there is one.
fn chosen(keys: &[String], visitor: &mut Visitor<'_>) -> Vec<(String, Option<String>)> {
    let mut pictures: Vec<String> = keys.iter().filter(|key| is_picture(Path::new(key))).cloned().collect();
    if pictures.len() > MOST_PICTURES {
        // by a hash: in their own order, whole digits would be missing
        pictures.sort_by_cached_key(|key| files::sha256(&[key.as_bytes()]));
        let why = format!("there are more than {MOST_PICTURES} pictures");
        for key in pictures.drain(MOST_PICTURES..) {
            visitor(key, Err(Refusal::new(Reason::TooMany, &why)));
        }
        pictures.sort_unstable();
    }
    let with_card = |key: String| {
        let card = Path::new(&key).with_extension("json").to_string_lossy().into_owned();
        let card = keys.binary_search(&card).is_ok().then_some(card);
        (key, card)
    };
    pictures.into_iter().map(with_card).collect()
}

async fn fetch(store: &Store, key: String, card: Option<String>) -> Raw {
    let picture = store.read(&key, LARGEST_PICTURE).await;
    let card = match card {
        Some(card) => Some(store.read(&card, LARGEST_CARD).await),
        None => None,
    };
    Raw { key, picture, card }
}

fn labelled(raw: Raw, place: &Location) -> Result<Result<Labelled, Refusal>> {
    let bytes = match raw.picture {
        Ok(bytes) => bytes,
        Err(error @ StorageError::TooLarge { .. }) => return Ok(Err(Refusal::new(Reason::TooLarge, error))),
        // taken away since it was listed, or closed to this user
        Err(error @ (StorageError::NotFound { .. } | StorageError::Io { .. })) => {
            return Ok(Err(Refusal::new(Reason::Unreadable, error)));
        }
        Err(error) => return Err(error.into()),
    };
    let other_label = |why: &dyn fmt::Display| {
        Refusal::new(Reason::OtherLabel, format!("the JSON file beside it cannot be read: {why}"))
    };
    let card = match raw.card {
        None | Some(Err(StorageError::NotFound { .. })) => None,
        Some(Ok(card)) => match serde_json::from_slice::<Card>(&card) {
            Ok(card) => Some(card),
            Err(error) => return Ok(Err(other_label(&error))),
        },
        Some(Err(error @ (StorageError::TooLarge { .. } | StorageError::Io { .. }))) => {
            return Ok(Err(other_label(&error)));
        }
        Some(Err(error)) => return Err(error.into()),
    };
    Ok(digit(raw.key, &bytes, card.as_ref(), place))
}

fn digit(key: String, bytes: &[u8], card: Option<&Card>, place: &Location) -> Result<Labelled, Refusal> {
    let label =
        label(&place.join(&key).to_string()).ok_or_else(|| Refusal::new(Reason::NoLabel, NO_LABEL))?;
    if let Some(said) = card.and_then(|card| card.label.as_ref())
        && *said != label.to_string()
    {
        let why = format!("its folder or name says {label}, the JSON file beside it '{said}'");
        return Err(Refusal::new(Reason::OtherLabel, why));
    }
    let sha256 = card.and_then(|card| card.sha256.as_ref());
    if sha256.is_some_and(|sha256| !sha256.eq_ignore_ascii_case(&files::sha256(&[bytes]))) {
        return Err(Refusal::new(Reason::Changed, "the JSON file beside it is about another picture"));
    }
    let picture =
        decode(bytes, &Limits::default()).map_err(|error| Refusal::new(Reason::Unreadable, error))?;
    let digit = mnist::digit(picture.view()).map_err(|error| {
        let reason = match error {
            MnistError::Several { .. } => Reason::Several,
            MnistError::Blank => Reason::Blank,
        };
        Refusal::new(reason, error)
    })?;
    let time = card.and_then(|card| card.time.as_ref());
    let time = time.and_then(|time| humantime::parse_rfc3339(time).ok());
    Ok(Labelled { key, label, time, pixels: digit.pixels })
}

/// Whether a file is a picture, by its name.
fn is_picture(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    EXTENSIONS.iter().any(|known| known.eq_ignore_ascii_case(extension))
}

/// The label of the picture at an address: see the module.
fn label(address: &str) -> Option<u8> {
    let (folders, name) = address.rsplit_once('/').unwrap_or(("", address));
    let folder = folders.rsplit('/').next().unwrap_or_default();
    let digit = |text: &str| {
        let mut characters = text.chars();
        let digit = characters.next()?.to_digit(CLASSES as u32)? as u8;
        (!characters.next().is_some_and(char::is_alphanumeric)).then_some(digit)
    };
    digit(folder).filter(|_| folder.len() == 1).or_else(|| digit(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_one_digit_goes_before_the_name() {
        for (address, expected) in [
            ("place/7/abc.png", Some(7)),
            ("s3://bucket/7/1.png", Some(7)),
            ("place/3-pen.png", Some(3)),
            ("place/77/4.png", Some(4)),
            ("4.png", Some(4)),
            ("5 (2).png", Some(5)),
            ("6_curly.png", Some(6)),
            ("place/20240101_120000.png", None),
            ("2024-01-01 12.00.00.jpg", None),
            ("8/20240101_120000.png", Some(8)),
            ("7b41f0.png", None),
            ("2nd try.png", None),
            ("3\u{e9}.png", None),
            ("9", Some(9)),
            ("place/cat/abc.png", None),
            ("place/\u{663}/x.png", None),
            ("", None),
        ] {
            assert_eq!(label(address), expected, "{address}");
        }
    }

    #[test]
    fn pictures_are_found_by_their_names_and_bounded() {
        let mut keys: Vec<String> = (0..MOST_PICTURES + 3).map(|n| format!("{}/{n}.PNG", n % 10)).collect();
        keys.extend(["0/0.json", "0/notes.txt", "README"].map(str::to_owned));
        keys.sort_unstable();
        let mut left_out = LeftOut::default();
        let chosen = chosen(&keys, &mut |key, picture| left_out.add(picture.unwrap_err().reason, &key));
        assert_eq!((chosen.len(), left_out.count(Reason::TooMany)), (MOST_PICTURES, 3));
        let with_card: Vec<_> = chosen.iter().filter(|(_, card)| card.is_some()).collect();
        assert!(with_card.len() <= 1 && with_card.iter().all(|(key, _)| key == "0/0.PNG"));
        let line = left_out.lines().next().unwrap();
        assert!(line.starts_with("3 more than the limit ("), "{line}");
    }
}
