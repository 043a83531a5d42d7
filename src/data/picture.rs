//! Pictures in files: PNG, JPEG, and the portable pixmaps in which traffic signs are published, told by their first bytes.

use std::io::Cursor;

use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::error::DataError;

/// The most pixels that a picture may have; more is taken for a hostile file.
const MAX_PIXELS: usize = 1 << 26;
/// The longest side, for the decoder that asks for one.
const MAX_SIDE: usize = 1 << 15;

/// Names of picture files end in one of these.
pub(super) const ENDINGS: [&str; 5] = ["png", "jpg", "jpeg", "ppm", "pgm"];

/// A decoded picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Picture {
    pub(super) height: usize,
    pub(super) width: usize,
    /// 1 for grey, 3 for colour.
    channels: usize,
    /// Pixels row after row, the channels of a pixel side by side.
    pixels: Vec<u8>,
}

impl Picture {
    /// Decodes the file `name`; an alpha channel is left out, and 16 bits are cut to the upper 8.
    pub(super) fn decode(name: &str, raw: &[u8]) -> Result<Self, DataError> {
        let decoded = match raw {
            [0x89, b'P', b'N', b'G', ..] => png(raw),
            [0xff, 0xd8, ..] => jpeg(raw),
            [b'P', b'5' | b'6', ..] => pixmap(raw),
            _ => Err("it is no PNG, JPEG, PPM or PGM picture".to_owned()),
        };
        decoded.map_err(|problem| DataError::malformed(name, problem))
    }

    /// One plane a channel, in the number of channels that is asked for: grey is
    /// `(19595 red + 38470 green + 7471 blue) / 65536`, as Pillow has it.
    pub(super) fn planes(&self, grey: bool) -> Vec<Vec<u8>> {
        let plane = |channel: usize| self.pixels.iter().skip(channel).step_by(self.channels).copied().collect();
        match (self.channels, grey) {
            (1, true) => vec![self.pixels.clone()],
            (1, false) => vec![self.pixels.clone(); 3],
            (_, false) => (0..3).map(plane).collect(),
            (_, true) => {
                let luma = |pixel: &[u8]| {
                    let [red, green, blue] = [pixel[0], pixel[1], pixel[2]].map(u32::from);
                    ((red * 19_595 + green * 38_470 + blue * 7_471 + 0x8000) >> 16) as u8
                };
                vec![self.pixels.chunks_exact(3).map(luma).collect()]
            }
        }
    }

    /// A picture whose pixels are as many as its sides say.
    fn new(height: usize, width: usize, channels: usize, pixels: Vec<u8>) -> Result<Self, String> {
        if height == 0 || width == 0 || pixels.len() != height * width * channels {
            return Err(format!("{} bytes are no picture of {height} x {width} pixels", pixels.len()));
        }
        Ok(Self { height, width, channels, pixels })
    }
}

fn png(raw: &[u8]) -> Result<Picture, String> {
    let limits = png::Limits { bytes: 8 * MAX_PIXELS };
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(raw), limits);
    decoder.set_transformations(png::Transformations::EXPAND | png::Transformations::STRIP_16);
    let mut reader = decoder.read_info().map_err(|error| error.to_string())?;
    let info = reader.info();
    check(info.height as usize, info.width as usize)?;
    let size = reader.output_buffer_size().ok_or("it is too large")?;
    let mut pixels = vec![0; size];
    let frame = reader.next_frame(&mut pixels).map_err(|error| error.to_string())?;
    pixels.truncate(frame.buffer_size());
    let (channels, stored) = match frame.color_type {
        png::ColorType::Grayscale => (1, 1),
        png::ColorType::GrayscaleAlpha => (1, 2),
        png::ColorType::Rgba => (3, 4),
        png::ColorType::Rgb | png::ColorType::Indexed => (3, 3),
    };
    if channels != stored {
        pixels = pixels.chunks_exact(stored).flat_map(|pixel| &pixel[..channels]).copied().collect();
    }
    Picture::new(frame.height as usize, frame.width as usize, channels, pixels)
}

fn jpeg(raw: &[u8]) -> Result<Picture, String> {
    let options = DecoderOptions::default()
        .jpeg_set_out_colorspace(ColorSpace::RGB)
        .set_max_width(MAX_SIDE)
        .set_max_height(MAX_SIDE);
    let mut decoder = JpegDecoder::new_with_options(Cursor::new(raw), options);
    decoder.decode_headers().map_err(|error| error.to_string())?;
    let (width, height) = decoder.dimensions().ok_or("it says nothing of its size")?;
    check(height, width)?;
    let pixels = decoder.decode().map_err(|error| error.to_string())?;
    Picture::new(height, width, 3, pixels)
}

/// `P6` (colour) or `P5` (grey): width, height and the greatest value as text, one blank, then bytes.
fn pixmap(raw: &[u8]) -> Result<Picture, String> {
    let channels = if raw[1] == b'6' { 3 } else { 1 };
    let mut at = 2;
    let mut number = || -> Result<usize, String> {
        while let Some(byte) = raw.get(at) {
            match byte {
                b'#' => at += raw[at..].iter().position(|&byte| byte == b'\n').unwrap_or(raw.len() - at),
                byte if byte.is_ascii_whitespace() => at += 1,
                _ => break,
            }
        }
        let digits = raw[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let text = std::str::from_utf8(&raw[at..at + digits]).unwrap_or_default();
        at += digits;
        text.parse().map_err(|_| "its header is no header of a pixmap".to_owned())
    };
    let [width, height, greatest] = [number()?, number()?, number()?];
    check(height, width)?;
    if greatest != 255 {
        return Err(format!("its values go to {greatest}; only pixmaps of 8 bits, to 255, are read"));
    }
    let pixels = raw.get(at + 1..).unwrap_or_default();
    let wanted = height * width * channels;
    match pixels.get(..wanted) {
        Some(pixels) => Picture::new(height, width, channels, pixels.to_vec()),
        None => Err(format!("it holds {} bytes of pixels instead of {wanted}", pixels.len())),
    }
}

fn check(height: usize, width: usize) -> Result<(), String> {
    if height == 0 || width == 0 || height.checked_mul(width).is_none_or(|pixels| pixels > MAX_PIXELS) {
        return Err(format!("{height} x {width} is no size that is read; at most 64 million pixels are"));
    }
    Ok(())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A pixmap of one colour.
    pub(in super::super) fn ppm(height: usize, width: usize, colour: [u8; 3]) -> Vec<u8> {
        [format!("P6\n# a comment\n{width} {height}\n255\n").as_bytes(), &colour.repeat(height * width)].concat()
    }

    fn png_of(color: png::ColorType, width: u32, height: u32, pixels: &[u8]) -> Vec<u8> {
        let mut raw = Vec::new();
        let mut encoder = png::Encoder::new(&mut raw, width, height);
        encoder.set_color(color);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.write_header().expect("a header").write_image_data(pixels).expect("pixels");
        raw
    }

    #[test]
    fn pixmaps_and_pngs_give_the_pixels_they_hold() {
        let picture = Picture::decode("a", &ppm(2, 3, [1, 2, 3])).expect("decodes");
        assert_eq!((picture.height, picture.width), (2, 3));
        assert_eq!(picture.planes(false), [[1; 6], [2; 6], [3; 6]]);
        let coloured = Picture::decode("a", &png_of(png::ColorType::Rgb, 3, 2, &[1, 2, 3].repeat(6)));
        assert_eq!(coloured.expect("decodes"), picture);
        let transparent = Picture::decode("a", &png_of(png::ColorType::Rgba, 3, 2, &[1, 2, 3, 9].repeat(6)));
        assert_eq!(transparent.expect("decodes"), picture);
        let grey = Picture::decode("a", &png_of(png::ColorType::Grayscale, 2, 1, &[7, 8])).expect("decodes");
        assert_eq!((grey.planes(true), grey.planes(false)), (vec![vec![7, 8]], vec![vec![7, 8]; 3]));
    }

    #[test]
    fn grey_is_pillows_mixture() {
        // Image.new("RGB", (1, 1), colour).convert("L") in Pillow.
        for (colour, grey) in [([255, 0, 0], 76), ([0, 255, 0], 150), ([0, 0, 255], 29), ([12, 200, 77], 130)] {
            assert_eq!(Picture::decode("a", &ppm(1, 1, colour)).expect("decodes").planes(true), [[grey]]);
        }
    }

    #[test]
    fn a_jpeg_is_near_to_what_it_shows() {
        // 16 x 8 pixels of (200, 30, 60), written by Pillow with quality 95.
        let picture = Picture::decode("a", include_bytes!("fixtures/red.jpg")).expect("decodes");
        assert_eq!((picture.height, picture.width), (8, 16));
        for (plane, wanted) in picture.planes(false).iter().zip([200_i16, 30, 60]) {
            assert!(plane.iter().all(|&value| (i16::from(value) - wanted).abs() <= 2), "{plane:?}");
        }
    }

    #[test]
    fn broken_pictures_are_errors_that_name_the_file() {
        let whole = ppm(2, 3, [1, 2, 3]);
        let jpeg = include_bytes!("fixtures/red.jpg");
        let png = png_of(png::ColorType::Rgb, 3, 2, &[1, 2, 3].repeat(6));
        let huge = b"P6 99999999999 99999999999 255\n".to_vec();
        for bad in [vec![], b"GIF89a".to_vec(), whole[..whole.len() - 1].to_vec(), b"P6".to_vec(), huge] {
            let error = Picture::decode("sign.ppm", &bad).expect_err("broken").to_string();
            assert!(error.contains("`sign.ppm`"), "{error}");
        }
        for whole in [&whole[..], &png, jpeg] {
            // Whatever comes of it, it is no panic.
            (2..whole.len()).for_each(|cut| drop(Picture::decode("a", &whole[..cut])));
            for bit in 0..8 * whole.len() {
                let mut flipped = whole.to_vec();
                flipped[bit / 8] ^= 1 << (bit % 8);
                drop(Picture::decode("a", &flipped));
            }
        }
    }
}
