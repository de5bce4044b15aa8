//! Photographs for measurements, made by rule: skies and floors as smooth gradients, things with
//! edges in front of them, and a grain as from a sensor. They are no real photographs; what they share
//! with them is that a JPEG file takes one to two bits for each pixel.

use anyhow::Context;
use image::codecs::jpeg::JpegEncoder;
use image::{Rgb, RgbImage};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Width and height, in turns.
const SIZES: [[u32; 2]; 4] = [[640, 480], [800, 600], [480, 640], [1024, 768]];

/// The quality of the JPEG files, as cameras choose it.
const QUALITY: u8 = 90;

/// How many things stand in a photograph.
const THINGS: usize = 12;

/// Write synthetic photographs as JPEG files.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How many.
    #[arg(long, value_name = "COUNT", default_value_t = 8)]
    count: u64,

    /// The folder; made if it is not there.
    #[arg(short, long, value_name = "FOLDER")]
    output: PathBuf,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    std::fs::create_dir_all(&args.output)?;
    for file in write(&args.output, args.count)? {
        println!("{}", file.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes photographs 0, 1 and so on into a folder; returns the files.
pub(crate) fn write(folder: &Path, count: u64) -> anyhow::Result<Vec<PathBuf>> {
    let write = |number: u64| {
        let file = folder.join(format!("photo-{number:03}.jpg"));
        std::fs::write(&file, jpeg(number)?).with_context(|| file.display().to_string())?;
        Ok(file)
    };
    (0..count).map(write).collect()
}

/// The JPEG file of a photograph, the same for the same number.
pub(crate) fn jpeg(number: u64) -> anyhow::Result<Vec<u8>> {
    let [width, height] = SIZES[(number % SIZES.len() as u64) as usize];
    let mut file = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut file, QUALITY);
    photo(number, width, height).write_with_encoder(encoder)?;
    Ok(file)
}

/// A thing in a photograph: an ellipse or a box of one colour, lit from above.
struct Thing {
    centre: [f32; 2],
    half: [f32; 2],
    colour: [f32; 3],
    is_round: bool,
}

impl Thing {
    fn draw(random: &mut ChaCha8Rng) -> Thing {
        let mut between = |least: f32, most: f32| least + (most - least) * unit(random);
        Thing {
            centre: [between(0.0, 1.0), between(0.3, 1.0)],
            half: [between(0.03, 0.2), between(0.03, 0.25)],
            colour: [between(20.0, 235.0), between(20.0, 235.0), between(20.0, 235.0)],
            is_round: between(0.0, 1.0) < 0.5,
        }
    }

    /// The colour at a place, if the thing is there.
    fn at(&self, place: [f32; 2]) -> Option<[f32; 3]> {
        let [x, y] = [0, 1].map(|axis| (place[axis] - self.centre[axis]) / self.half[axis]);
        let is_inside =
            if self.is_round { x * x + y * y < 1.0 } else { x.abs() < 1.0 && y.abs() < 1.0 };
        is_inside.then(|| self.colour.map(|channel| channel * (0.85 - 0.25 * y)))
    }
}

fn photo(number: u64, width: u32, height: u32) -> RgbImage {
    let mut random = ChaCha8Rng::seed_from_u64(number);
    let mut colour = || [0, 1, 2].map(|_| 40.0 + 180.0 * unit(&mut random));
    let (above, below) = (colour(), colour());
    let things: Vec<Thing> = (0..THINGS).map(|_| Thing::draw(&mut random)).collect();
    let waves: [f32; 4] = [0, 1, 2, 3].map(|_| 5.0 + 60.0 * unit(&mut random));
    RgbImage::from_fn(width, height, |x, y| {
        let place = [x as f32 / width as f32, y as f32 / height as f32];
        let [across, down] = place;
        let ground = [0, 1, 2].map(|c| above[c] * (1.0 - down) + below[c] * down);
        let found = things.iter().rev().find_map(|thing| thing.at(place));
        let texture = ((across * waves[0] + (down * waves[1]).sin()).sin()
            * (down * waves[2] - (across * waves[3]).cos()).sin())
            * 9.0;
        let grain = (unit(&mut random) - 0.5) * 6.0;
        Rgb(found.unwrap_or(ground).map(|c| (c + texture + grain).clamp(0.0, 255.0) as u8))
    })
}

/// Evenly from 0 to 1.
fn unit(random: &mut ChaCha8Rng) -> f32 {
    (random.next_u32() >> 8) as f32 / (1u32 << 24) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn photographs_are_deterministic_and_as_large_as_real_ones() {
        for number in 0..4 {
            let file = jpeg(number).unwrap();
            assert_eq!(file, jpeg(number).unwrap());
            let [width, height] = SIZES[number as usize];
            let bits = file.len() as f64 * 8.0 / f64::from(width * height);
            assert!((0.8..3.0).contains(&bits), "{bits} bits for each pixel");
        }
        assert_ne!(jpeg(0).unwrap(), jpeg(4).unwrap());
    }
}
