//! Robust statistics of repeated measurements.

/// The median: the mean of the two middle values of an even number; 0 for an empty list.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        count => f64::midpoint(sorted[(count - 1) / 2], sorted[count / 2]),
    }
}

/// The minimum, the median and the maximum; `None` for an empty list.
pub(crate) fn range(values: &[f64]) -> Option<[f64; 3]> {
    let least = values.iter().copied().reduce(f64::min)?;
    let greatest = values.iter().copied().reduce(f64::max)?;
    Some([least, median(values), greatest])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outlier_does_not_move_the_median() {
        let cases: [(&[f64], f64); 4] =
            [(&[], 0.0), (&[7.0], 7.0), (&[3.0, 1.0], 2.0), (&[10.0, 1000.0, 9.0], 10.0)];
        for (values, expected) in cases {
            assert!((median(values) - expected).abs() < 1e-12, "{values:?}");
        }
    }
}
