//! `latest`.

use anyhow::Result;
use storage::Location;

use super::{data, storage_settings};
use crate::cli::LatestArgs;
use crate::console::{self, CountBar};
use crate::data::labelled::{self, Found};
use crate::data::latest::{self, Weight};
use crate::data::{CLASSES, Dataset, folder};
use crate::{outcome::Outcome, report::text::count};

/// Output parameters of `latest`.
pub(super) const LATEST: &[&str] =
    &["dataset_version", "train_pictures", "test_pictures", "pictures_used", "pictures_left_out"];

pub(super) fn latest(args: &LatestArgs) -> Result<Outcome> {
    let place: Location = args.from.parse()?;
    let base = folder::load(&args.data)?;
    let bar = CountBar::new("pictures");
    let found = labelled::read(&place, &storage_settings()?, &|done, total| bar.show(done, total))?;
    drop(bar);
    let Found { pictures, mut left_out } = found;
    let seen = pictures.len() + left_out.total();
    let weight = Weight { share: args.share, repeat: args.repeat as usize };
    let distinct = latest::distinct(pictures, &mut left_out);
    let (enlarged, used) = latest::enlarge(&base.train, distinct, weight, &mut left_out);

    if seen == 0 {
        console::result(&format!(
            "{place} has no pictures yet: the data set is that of {} unchanged",
            args.data.display()
        ));
    } else {
        console::result(&format!(
            "{} in {place}: {} used, {} left out",
            count(seen, "picture", "pictures"),
            used.len(),
            left_out.total()
        ));
    }
    left_out.lines().for_each(|line| console::result(&format!("  left out: {line}")));
    if !used.is_empty() {
        let mut by_digit = [0; CLASSES];
        for picture in &used {
            by_digit[usize::from(picture.label)] += 1;
        }
        let shown = by_digit.iter().enumerate().filter(|(_, count)| **count > 0);
        let shown: Vec<_> = shown.map(|(digit, count)| format!("{digit}: {count}")).collect();
        console::result(&format!("  by digit: {}", shown.join(", ")));
        let (added, all) = (used.len() * enlarged.repeat, enlarged.train.len());
        console::result(&format!(
            "each used {}: {added} of {all} training pictures, {:.1} %",
            count(enlarged.repeat, "time", "times"),
            100.0 * added as f64 / all as f64
        ));
    }
    let enlarged_repeat = enlarged.repeat;
    let dataset = Dataset { train: enlarged.train, test: base.test };
    folder::save_prepared(&dataset, &args.out)?;
    console::result(&format!(
        "{} training and {} test pictures prepared in {}",
        dataset.train.len(),
        dataset.test.len(),
        args.out.display()
    ));
    console::result(&format!("dataset SHA-256 {}", dataset.sha256()));
    Ok(data::about(&dataset)
        .parameter("pictures_used", used.len())
        .parameter("pictures_left_out", left_out.total())
        .fact("pictures_used", used.len())
        .fact("pictures_left_out", left_out.total())
        .fact("pictures_repeated", enlarged_repeat))
}
