//! Scores of sorted sets: minus the rank key. They travel as text that reads back exactly.

use crate::scoring::{KeyRange, RankKey};

/// The score of a key: minus the key, so that ascending scores are page order.
pub fn score(key: RankKey) -> f64 {
    // Subtracting from zero never gives the negative zero.
    0.0 - key.value()
}

/// The key of a score as Redis writes it.
pub fn key_of(score: &str) -> Option<RankKey> {
    score
        .parse()
        .ok()
        .and_then(|score: f64| RankKey::new(0.0 - score))
}

/// A range of keys as Redis takes it: its least and its greatest score.
pub struct Scores {
    /// With `(` before it when it is excluded.
    pub least: String,
    pub greatest: String,
}

impl Scores {
    pub fn of(keys: &KeyRange) -> Self {
        Self {
            least: match keys.below {
                Some(below) => format!("({:e}", score(below)),
                None => "-inf".to_owned(),
            },
            greatest: format!("{:e}", score(keys.from)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use redis::Arg;

    use super::*;

    fn key(value: f64) -> RankKey {
        RankKey::new(value).unwrap()
    }

    /// The score as a command carries it.
    fn sent(key: RankKey) -> String {
        let mut command = redis::cmd("ECHO");
        command.arg(score(key));
        match command.args_iter().nth(1) {
            Some(Arg::Simple(text)) => String::from_utf8(text.to_vec()).unwrap(),
            _ => panic!("no score was sent"),
        }
    }

    #[test]
    fn scores_are_minus_the_keys_and_zero_has_no_sign() {
        assert_eq!(sent(key(0.0)), "0.0");
        assert_eq!(sent(RankKey::NO_POINTS), "inf");
        assert_eq!(sent(key(2.5)), "-2.5");
    }

    #[test]
    fn ranges_of_keys_become_ranges_of_scores() {
        let scores = |from, below: Option<f64>| {
            let scores = Scores::of(&KeyRange {
                from,
                below: below.map(key),
            });
            (scores.least, scores.greatest)
        };
        let text = |least: &str, greatest: &str| (least.to_owned(), greatest.to_owned());
        assert_eq!(scores(RankKey::NO_POINTS, None), text("-inf", "inf"));
        assert_eq!(scores(key(3.0), Some(4.0)), text("(-4e0", "-3e0"));
        let nobody = scores(RankKey::NO_POINTS, Some(f64::NEG_INFINITY));
        assert_eq!(nobody, text("(inf", "inf"));
    }

    proptest! {
        #[test]
        fn a_key_survives_as_a_score(value in any::<f64>()) {
            if let Some(key) = RankKey::new(value) {
                prop_assert_eq!(key_of(&sent(key)), Some(key));
            }
        }
    }
}
