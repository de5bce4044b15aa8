//! Pictures as inputs: which models take them.

use cutpoint_plan::workload::ModelBuilder;
use std::path::{Path, PathBuf};

/// The form of a picture as the file that it came as, here a JPEG.
pub(crate) const JPEG: &str = "file";

/// The arguments of `--inputs` that give the model these photos; none if it does not take images.
///
/// Models with several pictures see the photos in turn.
pub(super) fn inputs(model: &ModelBuilder, photos: &[PathBuf]) -> Vec<String> {
    let names: Vec<&String> = model.inputs.iter().map(|(input, _)| input).collect();
    let is_picture = |bytes: u64| square_side(bytes).is_some();
    if photos.is_empty() || !model.inputs.iter().all(|(_, size)| is_picture(size.bytes)) {
        return Vec::new();
    }
    let shown = |path: &Path| path.display().to_string();
    let frame = |first: usize| match names.as_slice() {
        [_] => shown(&photos[first]),
        _ => {
            let pairs = names
                .iter()
                .enumerate()
                .map(|(i, name)| format!("{name}={}", shown(&photos[(first + i) % photos.len()])));
            pairs.collect::<Vec<_>>().join(",")
        }
    };
    (0..photos.len()).map(frame).collect()
}

/// The side of the square picture of three channels in 32 bits that has this size.
fn square_side(bytes: u64) -> Option<u32> {
    let side = (bytes as f64 / 12.0).sqrt().round() as u64;
    (side >= 32 && side * side * 12 == bytes).then(|| u32::try_from(side).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_input_is_recognised_by_its_size() {
        assert_eq!(square_side(224 * 224 * 3 * 4), Some(224));
        assert_eq!(square_side(48 * 320 * 3 * 4), None);
    }
}
