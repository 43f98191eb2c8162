//! Folders of labelled pictures to measure a model on, with the labels of [`labelled`]. The words in a file's name are
//! its style: `7-pen-crossed-03.png` has the style "pen crossed".

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use storage::{Location, Settings};

use super::Pictures;
use super::labelled::{self, EXTENSIONS};

/// The style of a picture whose name contains no word.
pub const NO_STYLE: &str = "no style";

/// The pictures of some folders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Samples {
    /// The pictures after preprocessing, with their labels.
    pub pictures: Pictures,
    /// The path of each picture.
    pub paths: Vec<PathBuf>,
    /// The style of each picture, taken from its name.
    pub styles: Vec<String>,
    /// Pictures that cannot be used.
    pub unreadable: Vec<Unreadable>,
}

/// A picture that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// Path of the file.
    pub path: PathBuf,
    /// Why it cannot be used.
    pub reason: String,
}

/// Reads all pictures in some folders and their subfolders, in the order of their names.
///
/// # Errors
/// When a folder cannot be read, or none of them has a usable picture.
pub fn read(folders: &[PathBuf]) -> Result<Samples> {
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    let (mut paths, mut styles, mut unreadable) = (Vec::new(), Vec::new(), Vec::new());
    // Only buckets need settings, and these are folders.
    let settings = Settings::from_env(&|_| None)?;
    for folder in folders {
        ensure!(folder.is_dir(), "there is no folder {}", folder.display());
        labelled::visit(&Location::Folder(folder.clone()), &settings, &|_, _| (), &mut |key, picture| {
            let path = folder.join(key);
            match picture {
                Ok(picture) => {
                    pixels.extend(picture.pixels);
                    labels.push(picture.label);
                    styles.push(style(&path));
                    paths.push(path);
                }
                Err(refusal) => unreadable.push(Unreadable { path, reason: refusal.why }),
            }
        })?;
    }
    let why = unreadable.first().map_or_else(
        || format!("no file name there ends in .{}", EXTENSIONS.join(", .")),
        |first| {
            format!(
                "none of {} pictures can be used; {}: {}",
                unreadable.len(),
                first.path.display(),
                first.reason
            )
        },
    );
    let places: Vec<String> = folders.iter().map(|folder| folder.display().to_string()).collect();
    ensure!(!labels.is_empty(), "no labelled pictures in {}: {why}", places.join(", "));
    Ok(Samples { pictures: Pictures::from_rows(pixels, labels), paths, styles, unreadable })
}

/// The style of a picture: the words in its name.
pub fn style(path: &Path) -> String {
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let parts = stem.split(|c: char| !c.is_alphanumeric());
    let words: Vec<&str> = parts
        .map(|part| part.trim_matches(|c: char| c.is_ascii_digit()))
        .filter(|word| !word.is_empty() && word.chars().all(char::is_alphabetic))
        .collect();
    if words.is_empty() { NO_STYLE.to_owned() } else { words.join(" ") }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A PNG of a black bar on white, or a blank one.
    fn png(drawn: bool) -> Vec<u8> {
        let side = 60;
        let grey = |at: usize| {
            if drawn && (28..32).contains(&(at % side)) && (10..50).contains(&(at / side)) { 0 } else { 255 }
        };
        let pixels: Vec<u8> = (0..side * side).map(grey).collect();
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, side as u32, side as u32);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
        bytes
    }

    #[test]
    fn subfolders_are_read_and_unusable_pictures_are_named() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let place = folder.path();
        fs::create_dir_all(place.join("a/1"))?;
        for (name, bytes) in [
            ("a/1/scan.png", png(true)),
            ("1-thin-pen-02.PNG", png(true)),
            ("1-blank.png", png(false)),
            ("1-broken.png", b"no picture".to_vec()),
            ("bar.png", png(true)),
            ("notes.txt", b"7".to_vec()),
        ] {
            fs::write(place.join(name), bytes)?;
        }
        let read = read(&[place.to_owned()])?;
        assert_eq!(read.pictures.labels.to_vec(), [1, 1]);
        assert_eq!(read.styles, ["thin pen", "scan"]);
        assert_eq!(read.paths[1], place.join("a/1/scan.png"));
        let unreadable: Vec<(&str, &str)> = read
            .unreadable
            .iter()
            .map(|unreadable| {
                (unreadable.path.file_name().unwrap().to_str().unwrap(), unreadable.reason.as_str())
            })
            .collect();
        let names: Vec<&str> = unreadable.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["1-blank.png", "1-broken.png", "bar.png"]);
        assert!(unreadable[0].1.contains("empty") && unreadable[2].1.contains("no label"), "{unreadable:?}");
        Ok(())
    }

    #[test]
    fn a_folder_without_pictures_is_an_error_that_says_what_was_looked_for() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let places = [folder.path().to_owned()];
        let error = read(&places).unwrap_err().to_string();
        assert!(error.contains(".png") && error.contains(folder.path().to_str().unwrap()), "{error}");
        fs::write(folder.path().join("1-blank.png"), png(false))?;
        let error = read(&places).unwrap_err().to_string();
        assert!(error.contains("1-blank.png") && error.contains("empty"), "{error}");
        assert!(read(&[folder.path().join("none")]).unwrap_err().to_string().contains("there is no folder"));
        Ok(())
    }

    #[test]
    fn styles_are_the_words_of_the_name() {
        let hash = "5/9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08.png";
        let cases = [
            ("7-pen-crossed-03.png", "pen crossed"),
            ("0-pen00.png", "pen"),
            ("9_hooked_12.jpg", "hooked"),
            ("4.png", NO_STYLE),
            (hash, NO_STYLE),
        ];
        for (path, expected) in cases {
            assert_eq!(style(Path::new(path)), expected, "{path}");
        }
    }
}
