//! How well a network reads labelled pictures from outside MNIST, in total and for each style of drawing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::calibration::NOT_SURE;
use crate::data::samples::Samples;
use crate::evaluate::{self, Answers};
use crate::nn::folded::Folded;

/// Results on folders of labelled pictures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DrawingsMetrics {
    /// Number of pictures that could be used.
    pub pictures: usize,
    /// Share of them answered right, 0 to 1.
    pub accuracy: f64,
    /// Number answered wrong.
    pub errors: usize,
    /// Share whose answer is not sure, right or wrong, 0 to 1.
    pub not_sure: f64,
    /// The same numbers for each style, in the alphabetical order of the styles.
    pub by_style: Vec<StyleMetrics>,
    /// Pictures that could not be used. They are not part of the numbers above.
    pub unreadable: Vec<UnreadablePicture>,
}

/// Results on the drawings of one style.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StyleMetrics {
    /// The style, taken from the names of the pictures.
    pub style: String,
    /// Number of pictures of this style.
    pub pictures: usize,
    /// Share of them answered right, 0 to 1.
    pub accuracy: f64,
    /// Number answered wrong.
    pub errors: usize,
    /// Share whose answer is not sure, 0 to 1.
    pub not_sure: f64,
}

/// A picture that could not be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnreadablePicture {
    /// Name of the file.
    pub name: String,
    /// Why it could not be used.
    pub reason: String,
}

/// Running totals over some pictures.
#[derive(Debug, Clone, Copy, Default)]
struct Count {
    pictures: usize,
    errors: usize,
    not_sure: usize,
}

impl Count {
    fn add(&mut self, right: bool, sure: bool) {
        self.pictures += 1;
        self.errors += usize::from(!right);
        self.not_sure += usize::from(!sure);
    }

    fn accuracy(&self) -> f64 {
        (self.pictures - self.errors) as f64 / self.pictures.max(1) as f64
    }

    fn share_not_sure(&self) -> f64 {
        self.not_sure as f64 / self.pictures.max(1) as f64
    }
}

/// Measures a network on all pictures. Also returns its answers, in the order of the pictures.
pub fn measure(folded: &Folded, samples: &Samples) -> (DrawingsMetrics, Answers) {
    let every: Vec<u32> = (0..samples.pictures.len() as u32).collect();
    let answers = evaluate::answers(folded, &samples.pictures, &every);
    let (mut all, mut styles) = (Count::default(), BTreeMap::<&str, Count>::new());
    let outcomes = answers.right().into_iter().zip(answers.confidences());
    for (style, (right, confidence)) in samples.styles.iter().zip(outcomes) {
        for count in [&mut all, styles.entry(style).or_default()] {
            count.add(right, confidence >= NOT_SURE);
        }
    }
    let by_style = styles.into_iter().map(|(style, count)| StyleMetrics {
        style: style.to_owned(),
        pictures: count.pictures,
        accuracy: count.accuracy(),
        errors: count.errors,
        not_sure: count.share_not_sure(),
    });
    let unreadable = samples.unreadable.iter().map(|unreadable| UnreadablePicture {
        name: unreadable.path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        reason: unreadable.reason.clone(),
    });
    let metrics = DrawingsMetrics {
        pictures: all.pictures,
        accuracy: all.accuracy(),
        errors: all.errors,
        not_sure: all.share_not_sure(),
        by_style: by_style.collect(),
        unreadable: unreadable.collect(),
    };
    (metrics, answers)
}
