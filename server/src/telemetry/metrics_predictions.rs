//! Metrics of what models predict: how often each class wins, and with what score. A shift in what clients send shows in
//! them before anybody complains.

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry, core::Collector,
};

use super::metrics_registry::{label, register};

/// Bucket limits of scores. Most models answer with probabilities, and of most answers the winner's is close to 1: the
/// limits are closer together there.
const SCORE_BUCKETS: [f64; 12] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0];

/// Most classes that are counted one by one. A model with more has the histogram alone: each class is a time series in
/// every replica.
const MOST_CLASSES: usize = 100;

/// The metrics of all models.
#[derive(Clone, Debug)]
pub(super) struct Predictions {
    total: IntCounterVec,
    score: HistogramVec,
}

/// The metrics of one version of a model.
#[derive(Debug)]
pub struct ModelPredictions {
    /// By the class's index; empty for a model with too many classes.
    classes: Vec<IntCounter>,
    score: Histogram,
}

impl ModelPredictions {
    /// Counts a row whose greatest score is that of the class with this index.
    pub fn count(&self, class: usize, score: f64) {
        if let Some(wins) = self.classes.get(class) {
            wins.inc();
        }
        self.score.observe(score);
    }
}

impl Predictions {
    pub(super) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let total = Opts::new("decima_predictions_total", "Rows by the class with the greatest score.");
        let score = HistogramOpts::new("decima_prediction_score", "The greatest score of a row.")
            .buckets(SCORE_BUCKETS.to_vec());
        Ok(Self {
            total: register(registry, IntCounterVec::new(total, &["model", "version", "class"])?)?,
            score: register(registry, HistogramVec::new(score, &["model", "version"])?)?,
        })
    }

    /// Makes the metrics of a version with these labels, which has taken the place of one with the same name. Series of
    /// classes that it does not have are removed.
    pub(super) fn model(&self, names: [&str; 2], labels: &[String]) -> ModelPredictions {
        let labels = if labels.len() > MOST_CLASSES { &[] } else { labels };
        // A label may be empty: the class then goes by its index, as in the classification extension.
        let classes: Vec<String> = labels
            .iter()
            .enumerate()
            .map(|(index, label)| if label.is_empty() { index.to_string() } else { label.clone() })
            .collect();
        self.retain(names, &classes);
        let [name, version] = names;
        ModelPredictions {
            classes: classes
                .iter()
                .map(|class| self.total.with_label_values(&[name, version, class]))
                .collect(),
            score: self.score.with_label_values(&names),
        }
    }

    /// Removes the series of a version that predicts no more.
    pub(super) fn remove(&self, names: [&str; 2]) {
        self.retain(names, &[]);
        // An error says that there are none, which is what is wanted.
        let _missing = self.score.remove_label_values(&names);
    }

    /// Removes the counts of all classes of a version but these.
    fn retain(&self, [name, version]: [&str; 2], classes: &[String]) {
        for family in self.total.collect() {
            for metric in family.get_metric() {
                let class = label(metric, "class");
                let is_of_version = label(metric, "model") == name && label(metric, "version") == version;
                if is_of_version && !classes.iter().any(|kept| kept == class) {
                    let _missing = self.total.remove_label_values(&[name, version, class]);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use prometheus::TextEncoder;

    use super::*;

    fn labels(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    fn rendered(registry: &Registry) -> String {
        TextEncoder::new().encode_to_string(&registry.gather()).unwrap()
    }

    #[test]
    fn a_version_has_a_series_for_each_class_and_loses_them_when_it_goes() {
        let registry = Registry::new();
        let all = Predictions::new(&registry).unwrap();
        let first = all.model(["m", "1"], &labels(&["cat", "", "cat"]));
        let other = all.model(["m", "2"], &labels(&["cat"]));
        for (class, score) in [(0, 0.5), (1, 0.97), (2, 0.25), (9, 0.1)] {
            first.count(class, score);
        }
        other.count(0, 1.0);
        let text = rendered(&registry);
        for line in [
            "decima_predictions_total{class=\"cat\",model=\"m\",version=\"1\"} 2\n",
            "decima_predictions_total{class=\"1\",model=\"m\",version=\"1\"} 1\n",
            "decima_prediction_score_bucket{model=\"m\",version=\"1\",le=\"0.95\"} 3\n",
            "decima_prediction_score_count{model=\"m\",version=\"1\"} 4\n",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        // A reload with other labels keeps the counts of those that stay.
        let _again = all.model(["m", "1"], &labels(&["cat", "dog"]));
        let text = rendered(&registry);
        assert!(text.contains("{class=\"cat\",model=\"m\",version=\"1\"} 2\n"), "{text}");
        assert!(text.contains("{class=\"dog\",model=\"m\",version=\"1\"} 0\n"), "{text}");
        assert!(!text.contains("{class=\"1\",model=\"m\",version=\"1\"}"), "{text}");

        all.remove(["m", "1"]);
        all.remove(["m", "1"]);
        let text = rendered(&registry);
        assert!(!text.contains("version=\"1\"") && text.contains("version=\"2\""), "{text}");
    }

    #[test]
    fn many_classes_are_not_counted_one_by_one() {
        let registry = Registry::new();
        let all = Predictions::new(&registry).unwrap();
        let many: Vec<String> = (0..=MOST_CLASSES).map(|class| class.to_string()).collect();
        all.model(["m", "1"], &many).count(3, 0.5);
        let text = rendered(&registry);
        assert!(!text.contains("decima_predictions_total"), "{text}");
        assert!(text.contains("decima_prediction_score_count{model=\"m\",version=\"1\"} 1\n"), "{text}");
        all.model(["m", "2"], &many[1..]).count(3, 0.5);
        assert_eq!(rendered(&registry).matches("decima_predictions_total{").count(), MOST_CLASSES);
    }
}
