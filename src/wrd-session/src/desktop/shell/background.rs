//! The picture behind everything, scaled until it covers the output.

use std::path::Path;

/// Larger pictures are refused before they are decoded; px on a side.
const MAX_SIDE: u32 = 16_384;
/// What decoding may take, in bytes.
const MAX_MEMORY: u64 = 512 * 1024 * 1024;

/// A picture of exactly this size: B, G, R, X, rows from the top, no padding.
pub fn load(path: &Path, width: u32, height: u32) -> anyhow::Result<Vec<u8>> {
    let mut reader = image::ImageReader::open(path)?.with_guessed_format()?;
    let mut limits = image::Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_MEMORY);
    reader.limits(limits);
    let picture = reader.decode()?.resize_to_fill(width, height, image::imageops::FilterType::Triangle).into_rgb8();
    Ok(picture.pixels().flat_map(|pixel| [pixel.0[2], pixel.0[1], pixel.0[0], 255]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_covers_the_output() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("wide.png");
        let mut picture = image::RgbImage::from_pixel(40, 10, image::Rgb([1, 2, 3]));
        for x in 0..10 {
            for y in 0..10 {
                picture.put_pixel(x, y, image::Rgb([255, 0, 0]));
            }
        }
        picture.save(&path).unwrap();
        let pixels = load(&path, 5, 5).unwrap();
        assert_eq!(pixels.len(), 100);
        assert_eq!(pixels[..4], [3, 2, 1, 255], "the red left end is cut off");
    }

    #[test]
    fn what_is_no_picture_is_an_error() {
        assert!(load(Path::new("/etc/passwd"), 10, 10).is_err());
        assert!(load(Path::new("/nonexistent.png"), 10, 10).is_err());
    }
}
