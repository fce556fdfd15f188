//! Rows of a percentile table from a histogram: dense where the tail is.

use hdrhistogram::Histogram;

/// One row: this share of the values is at most `value`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Row {
    /// 0 to 100.
    pub(crate) percentile: f64,
    /// The largest value that the histogram does not tell from those counted.
    pub(crate) value: u64,
    /// Values counted up to here.
    pub(crate) cumulative: u64,
}

/// A row at 0 %, and one for each halving of what remains to 100 % (50, 75, 87.5 …) that another value brings; the last
/// value also has the row of 100 %.
pub(crate) fn rows(histogram: &Histogram<u64>) -> Vec<Row> {
    let total = histogram.len();
    let mut rows = Vec::new();
    let (mut cumulative, mut wanted) = (0, 0.0);
    for step in histogram.iter_recorded() {
        cumulative += step.count_since_last_iteration();
        let reached = 100.0 * cumulative as f64 / total as f64;
        let value = histogram.highest_equivalent(step.value_iterated_to());
        if wanted <= reached {
            rows.push(Row { percentile: wanted, value, cumulative });
        }
        while wanted <= reached && wanted < 100.0 {
            wanted = 100.0 - (100.0 - wanted) / 2.0;
        }
        if cumulative == total {
            rows.push(Row { percentile: 100.0, value, cumulative });
            break;
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_halving_that_another_value_brings() {
        let mut histogram = Histogram::new(3).unwrap();
        for (value, count) in [(23, 645), (31, 846), (39, 377), (47, 75), (63, 56), (99, 1)] {
            histogram.record_n(value, count).unwrap();
        }
        let got: Vec<(f64, u64, u64)> =
            rows(&histogram).iter().map(|row| (row.percentile, row.value, row.cumulative)).collect();
        let expected = [
            (0.0, 23, 645),
            (50.0, 31, 1491),
            (75.0, 39, 1868),
            (93.75, 47, 1943),
            (98.4375, 63, 1999),
            (99.951171875, 99, 2000),
            (100.0, 99, 2000),
        ];
        assert_eq!(got, expected);
        assert_eq!(rows(&Histogram::new(3).unwrap()), []);
    }
}
