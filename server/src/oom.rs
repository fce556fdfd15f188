//! The kernel's preference of victims when memory runs out: `oom-score-adj`.
//!
//! A child that saves is the best victim, a replica a better one than a primary.

use std::fs;
use std::sync::OnceLock;

use crate::config::Config;
use crate::config::value::{OomScoreAdj, Reason};

/// Where the kernel reads it.
const FILE: &str = "/proc/self/oom_score_adj";

/// What the kernel accepts.
const RANGE: std::ops::RangeInclusive<i32> = -1000..=1000;

/// What the process started with, read before it is first changed.
static AT_START: OnceLock<i32> = OnceLock::new();

/// What this process is, as an index of `oom-score-adj-values`.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Victim {
    /// A server without a primary.
    Primary = 0,
    /// A server with one.
    Replica = 1,
    /// A child.
    Child = 2,
}

/// Writes the score that the configuration asks for; the one from the start when it asks for none any more.
///
/// # Errors
/// The kernel refuses it: lower than before takes a privilege.
pub fn apply(config: &Config, victim: Victim) -> Result<(), Reason> {
    let Some(score) = wanted(config, victim) else { return Ok(()) };
    fs::write(FILE, score.to_string()).map_err(|error| {
        tracing::warn!("Unable to write oom_score_adj: {}", crate::config::parse::error_text(&error));
        Reason::from("Failed to apply new oom_score_adj configuration, check server logs.")
    })
}

/// The score to write. None when it was never changed and is not to be.
fn wanted(config: &Config, victim: Victim) -> Option<i32> {
    if config.oom_score_adj == OomScoreAdj::No {
        return AT_START.get().copied();
    }
    let base =
        *AT_START.get_or_init(|| fs::read_to_string(FILE).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0));
    let value = config.oom_score_adj_values.0[victim as usize];
    let score = if config.oom_score_adj == OomScoreAdj::Relative { base + value } else { value };
    Some(score.clamp(*RANGE.start(), *RANGE.end()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::value::OomScores;

    #[test]
    fn scores_follow_the_role_and_stay_in_range() {
        let mut config = Config::default();
        assert_eq!(wanted(&config, Victim::Primary), AT_START.get().copied(), "nothing to do");
        config.oom_score_adj = OomScoreAdj::Absolute;
        assert_eq!(
            [Victim::Primary, Victim::Replica, Victim::Child].map(|victim| wanted(&config, victim)),
            [Some(0), Some(200), Some(800)]
        );
        config.oom_score_adj_values = OomScores([-2000, 5, 2000]);
        assert_eq!(wanted(&config, Victim::Primary), Some(-1000));
        config.oom_score_adj = OomScoreAdj::Relative;
        let base = *AT_START.get().expect("read above");
        assert_eq!(wanted(&config, Victim::Replica), Some((base + 5).clamp(-1000, 1000)));
        config.oom_score_adj = OomScoreAdj::No;
        assert_eq!(wanted(&config, Victim::Child), Some(base), "back to the start");
    }

    #[test]
    fn the_kernel_takes_it() {
        // Raising needs no privilege.
        let config = Config {
            oom_score_adj: OomScoreAdj::Relative,
            oom_score_adj_values: OomScores([1, 1, 1]),
            ..Config::default()
        };
        let base = *AT_START.get_or_init(|| fs::read_to_string(FILE).unwrap().trim().parse().unwrap());
        apply(&config, Victim::Primary).unwrap();
        assert_eq!(fs::read_to_string(FILE).unwrap().trim(), (base + 1).clamp(-1000, 1000).to_string());
    }
}
