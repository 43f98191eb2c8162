//! Labelled pictures in a folder or a bucket, preprocessed as the server would do it for the model.
//!
//! A picture's label is the name of its folder if that is a single digit. Otherwise it is the digit that the file's
//! name begins with. No letter or digit may follow that digit, because cameras name pictures by the date. The server
//! writes a JSON file of the same name beside each correction. Where there is one, its label must be the same.

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

/// File name extensions of pictures.
pub const EXTENSIONS: [&str; 6] = ["png", "jpg", "jpeg", "webp", "gif", "bmp"];
/// Largest picture that is read, in bytes. Photographs from a camera are smaller.
const LARGEST_PICTURE: u64 = 8 << 20;
/// Largest JSON file that is read, in bytes. The server's files are smaller.
const LARGEST_CARD: u64 = 64 << 10;
/// Largest number of pictures that are read. MNIST has 70,000.
pub const MOST_PICTURES: usize = 100_000;
/// Why a picture has no label.
const NO_LABEL: &str = "it has no label: the name of its folder is not a single digit, and its own name does not start \
                        with a digit that is followed by neither digit nor letter";
/// Number of files that are read concurrently. With a distant bucket, one at a time would cost a round trip for each.
const CONCURRENT_READS: usize = 16;
/// Number of pictures that a message names for each reason to leave pictures out.
const NAMED: usize = 5;

/// A picture with its label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labelled {
    /// The picture's path relative to the folder or prefix that was read.
    pub key: String,
    /// The digit that it shows.
    pub label: u8,
    /// When it was labelled, if its JSON file says so.
    pub time: Option<SystemTime>,
    /// The model's input after preprocessing, `[row, column]`, 28 x 28.
    pub pixels: Array2<u8>,
}

/// Why a picture is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// Neither its folder nor its name gives a label.
    NoLabel,
    /// The JSON file beside it has another label or cannot be read.
    OtherLabel,
    /// The JSON file beside it describes another picture: the checksums differ.
    Changed,
    /// It has more than 8 MiB.
    TooLarge,
    /// It is not a picture, or a damaged one.
    Unreadable,
    /// Nothing is drawn on it.
    Blank,
    /// It shows several digits.
    Several,
    /// An equal picture was already used.
    Duplicate,
    /// An equal picture has a label of a later date.
    Outdated,
    /// Equal pictures have different labels, and no date says which is the last.
    Contradictory,
    /// There are more pictures than are read, or more than their share of the training set.
    TooMany,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoLabel => {
                "without a label: put them into folders named 0 to 9, or begin each name with the digit and a hyphen"
            }
            Self::OtherLabel => "whose JSON file has another label or cannot be read",
            Self::Changed => "whose JSON file describes another picture",
            Self::TooLarge => "of more than 8 MiB",
            Self::Unreadable => "that cannot be read",
            Self::Blank => "with nothing drawn on them",
            Self::Several => "of several digits",
            Self::Duplicate => "that equal another one",
            Self::Outdated => "that were labelled differently later",
            Self::Contradictory => "with several labels, none of which is the latest",
            Self::TooMany => "more than the limit",
        })
    }
}

/// Why one picture is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The kind of reason.
    pub reason: Reason,
    /// The reason in words, for this one picture.
    pub why: String,
}

impl Refusal {
    fn new(reason: Reason, why: impl fmt::Display) -> Self {
        Self { reason, why: why.to_string() }
    }
}

/// The pictures that were left out, by reason.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeftOut(BTreeMap<Reason, (usize, Vec<String>)>);

impl LeftOut {
    /// Adds a picture.
    pub fn add(&mut self, reason: Reason, key: &str) {
        let (count, named) = self.0.entry(reason).or_default();
        *count += 1;
        if named.len() < NAMED {
            named.push(key.to_owned());
        }
    }

    /// Number of pictures left out for this reason.
    pub fn count(&self, reason: Reason) -> usize {
        self.0.get(&reason).map_or(0, |(count, _)| *count)
    }

    /// Number of pictures left out.
    pub fn total(&self) -> usize {
        self.0.values().map(|(count, _)| count).sum()
    }

    /// A line for each reason, with the names of up to five pictures.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|(reason, (count, named))| {
            let more = if *count > named.len() { ", …" } else { "" };
            format!("{count} {reason} ({}{more})", named.join(", "))
        })
    }
}

/// The pictures of a folder or bucket.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// Pictures that can be used, in the order of their names.
    pub pictures: Vec<Labelled>,
    /// Pictures that cannot be used.
    pub left_out: LeftOut,
}

/// The JSON file that the server writes beside a correction.
#[derive(Debug, Deserialize)]
struct Card {
    label: Option<String>,
    time: Option<String>,
    sha256: Option<String>,
}

/// The bytes of a picture and of the JSON file beside it.
struct Raw {
    key: String,
    picture: Result<Bytes, StorageError>,
    card: Option<Result<Bytes, StorageError>>,
}

/// Reads every labelled picture below `place`. An empty place is not an error. `progress` is called with the number of
/// pictures done and their total.
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

/// Called for each picture with its path relative to the place, and the picture or the reason to leave it out.
pub type Visitor<'a> = dyn FnMut(String, Result<Labelled, Refusal>) + 'a;

/// Calls `visitor` for each picture below `place`, in the order of their names. Otherwise like [`read`].
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
        let mut raw = stream::iter(raw).buffered(CONCURRENT_READS);
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

/// Chooses the pictures to read among these file names. Each comes with the name of the JSON file beside it, if there
/// is one.
fn chosen(keys: &[String], visitor: &mut Visitor<'_>) -> Vec<(String, Option<String>)> {
    let mut pictures: Vec<String> = keys.iter().filter(|key| is_picture(Path::new(key))).cloned().collect();
    if pictures.len() > MOST_PICTURES {
        // The hash makes this a random sample. In the order of the names, whole digits would be missing.
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
        // Removed since it was listed, or not readable by this user.
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
        let why = format!("its folder or name says {label}, but the JSON file beside it says '{said}'");
        return Err(Refusal::new(Reason::OtherLabel, why));
    }
    let sha256 = card.and_then(|card| card.sha256.as_ref());
    if sha256.is_some_and(|sha256| !sha256.eq_ignore_ascii_case(&files::sha256(&[bytes]))) {
        return Err(Refusal::new(Reason::Changed, "the JSON file beside it describes another picture"));
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

/// The label of the picture at an address, by the rules in the module's documentation.
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
