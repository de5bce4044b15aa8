//! Robust statistics of repeated measurements.

/// The median; the mean of the two in the middle where their number is even. 0 of nothing.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => 0.0,
        count if count % 2 == 1 => sorted[middle],
        _ => (sorted[middle - 1] + sorted[middle]) / 2.0,
    }
}

/// The median absolute deviation from the median, divided by the median; 0 if the median is 0.
pub(super) fn spread(values: &[f64]) -> f64 {
    let middle = median(values);
    if middle <= 0.0 {
        return 0.0;
    }
    let deviations: Vec<f64> = values.iter().map(|value| (value - middle).abs()).collect();
    median(&deviations) / middle
}

/// `wanted` of `count` positions, evenly chosen, the first among them.
pub(super) fn evenly(count: usize, wanted: usize) -> Vec<usize> {
    let wanted = wanted.min(count);
    (0..wanted).map(|i| i * count / wanted.max(1)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_outlier_moves_neither_median_nor_spread() {
        // Deviations from 10 are 0, 1, 1, 0, 990; their median is 1.
        let values = [10.0, 9.0, 11.0, 10.0, 1000.0];
        assert!((median(&values) - 10.0).abs() < 1e-12);
        assert!((spread(&values) - 0.1).abs() < 1e-12);
    }

    #[test]
    fn few_or_no_values_have_a_median() {
        assert!((median(&[3.0, 1.0]) - 2.0).abs() < 1e-12);
        assert!((median(&[]) + spread(&[]) + spread(&[0.0, 0.0])).abs() < 1e-12);
    }
}
