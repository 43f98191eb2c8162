//! Adds corrections to the training set: duplicates are removed, the rest is repeated, and the total is limited to a
//! share of the training set.

use std::collections::BTreeMap;

use ndarray::{Array1, Array3, concatenate};
use ndarray::{Axis, s};

use super::labelled::{Labelled, LeftOut, Reason};
use super::{Pictures, SIDE};

/// How much corrections weigh in the training set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weight {
    /// Largest share of the training set that they may make up, repetitions included: 0 to 1.
    pub share: f64,
    /// How often each is repeated, if the share allows it.
    pub repeat: usize,
}

/// A training set with corrections in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enlarged {
    /// The whole training set, corrections last.
    pub train: Pictures,
    /// How often each correction is repeated in it.
    pub repeat: usize,
}

/// Removes duplicates: pictures that are equal after preprocessing. If equal pictures have different labels, the latest
/// label counts. If none is the latest, the picture is left out.
pub fn distinct(pictures: Vec<Labelled>, left_out: &mut LeftOut) -> Vec<Labelled> {
    let mut groups: BTreeMap<Vec<u8>, Vec<Labelled>> = BTreeMap::new();
    for picture in pictures {
        groups.entry(picture.pixels.iter().copied().collect()).or_default().push(picture);
    }
    let mut kept = Vec::with_capacity(groups.len());
    for mut group in groups.into_values() {
        group.sort_by(|a, b| b.time.cmp(&a.time).then_with(|| a.key.cmp(&b.key)));
        let last = group.remove(0);
        let rival = |other: &Labelled| other.label != last.label && other.time == last.time;
        if group.iter().any(rival) {
            group.push(last);
            group.sort_by(|a, b| a.key.cmp(&b.key));
            for picture in &group {
                left_out.add(Reason::Contradictory, &picture.key);
            }
            continue;
        }
        for other in group {
            let reason = if other.label == last.label { Reason::Duplicate } else { Reason::Outdated };
            left_out.add(reason, &other.key);
        }
        kept.push(last);
    }
    kept
}

/// Adds corrections to a training set. If there are too many for their share, the latest are used.
pub fn enlarge(
    base: &Pictures,
    mut corrections: Vec<Labelled>,
    weight: Weight,
    left_out: &mut LeftOut,
) -> (Enlarged, Vec<Labelled>) {
    // share = added / (base + added)
    let room = (base.len() as f64 * weight.share / (1.0 - weight.share)) as usize;
    corrections.sort_by(|a, b| b.time.cmp(&a.time).then_with(|| a.key.cmp(&b.key)));
    if corrections.len() > room {
        corrections.drain(room..).for_each(|picture| left_out.add(Reason::TooMany, &picture.key));
    }
    let repeat = room.checked_div(corrections.len()).map_or(0, |fits| fits.min(weight.repeat));
    let added = repeat * corrections.len();
    let mut pixels = Array3::zeros((added, SIDE, SIDE));
    let mut labels = Array1::zeros(added);
    for (index, picture) in corrections.iter().cycle().take(added).enumerate() {
        pixels.slice_mut(s![index, .., ..]).assign(&picture.pixels);
        labels[index] = picture.label;
    }
    let join = "both have pictures of one size";
    let train = Pictures::new(
        concatenate(Axis(0), &[base.pixels.view(), pixels.view()]).expect(join),
        concatenate(Axis(0), &[base.labels.view(), labels.view()]).expect(join),
    );
    (Enlarged { train, repeat }, corrections)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use ndarray::Array2;

    use super::*;

    fn picture(key: &str, label: u8, grey: u8, seconds: Option<u64>) -> Labelled {
        let time = seconds.map(|seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        Labelled { key: key.to_owned(), label, time, pixels: Array2::from_elem((SIDE, SIDE), grey) }
    }

    fn base(count: usize) -> Pictures {
        Pictures::new(Array3::zeros((count, SIDE, SIDE)), Array1::zeros(count))
    }

    #[test]
    fn the_last_label_of_a_picture_counts() {
        let mut left_out = LeftOut::default();
        let pictures = vec![
            picture("a", 7, 1, Some(5)),
            picture("b", 1, 1, Some(9)),
            picture("c", 1, 1, None),
            picture("d", 3, 2, Some(5)),
            picture("e", 3, 2, Some(5)),
            picture("f", 4, 3, Some(8)),
            picture("g", 9, 3, Some(8)),
            picture("h", 4, 3, Some(1)),
            picture("i", 4, 4, None),
            picture("j", 9, 4, None),
            picture("k", 5, 5, None),
        ];
        let kept: Vec<_> = distinct(pictures, &mut left_out).into_iter().map(|p| (p.key, p.label)).collect();
        assert_eq!(kept, [("b".to_owned(), 1), ("d".to_owned(), 3), ("k".to_owned(), 5)]);
        let counts = [Reason::Outdated, Reason::Duplicate, Reason::Contradictory].map(|r| left_out.count(r));
        assert_eq!(counts, [1, 2, 5]);
    }

    #[test]
    fn corrections_have_their_share_and_no_more() {
        let many = |count: u64| (0..count).map(|n| picture(&n.to_string(), 7, n as u8, Some(n))).collect();
        for (count, expected_repeat, expected_kept) in
            [(0, 0, 0), (1, 10, 1), (5, 5, 5), (20, 1, 20), (90, 1, 25)]
        {
            let mut left_out = LeftOut::default();
            let weight = Weight { share: 0.2, repeat: 10 };
            let (enlarged, kept) = enlarge(&base(100), many(count), weight, &mut left_out);
            assert_eq!((enlarged.repeat, kept.len()), (expected_repeat, expected_kept), "{count}");
            assert_eq!(enlarged.train.len(), 100 + expected_repeat * expected_kept);
            assert_eq!(left_out.count(Reason::TooMany) as u64, count - expected_kept as u64);
            let latest =
                kept.iter().all(|picture| u64::from(picture.pixels[[0, 0]]) >= count - expected_kept as u64);
            assert!(latest, "{count}");
        }
        let (enlarged, _) =
            enlarge(&base(4), many(1), Weight { share: 0.5, repeat: 2 }, &mut LeftOut::default());
        assert_eq!(enlarged.train.labels.to_vec(), [0, 0, 0, 0, 7, 7]);
    }
}
