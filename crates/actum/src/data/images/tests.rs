use std::{fs, io::Write};

use flate2::{Compression, write::GzEncoder};
use ndarray::{Array4, array, s};
use png::{BitDepth, ColorType, Encoder};
use tempfile::tempdir;

use super::*;
use crate::error::ErrorKind;

fn ramp(n: usize, h: usize, w: usize, c: usize) -> Images {
    let level = |(i, y, x, k)| ((50 * i + 31 * y + 7 * x + 90 * k) % 256) as u8;
    Images::new(Array4::from_shape_fn((n, h, w, c), level), "ramp").unwrap()
}

fn idx(images: &Images) -> Vec<u8> {
    let [h, w, _] = images.shape();
    let sides = [images.len(), h, w];
    let header = sides.iter().flat_map(|side| (*side as u32).to_be_bytes());
    let magic = [0, 0, 8, 3].into_iter();
    magic
        .chain(header)
        .chain(images.pixels().iter().copied())
        .collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(vec![], Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn encoded(color: ColorType, depth: BitDepth, [w, h]: [u32; 2], data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![];
    let mut encoder = Encoder::new(&mut bytes, w, h);
    encoder.set_color(color);
    encoder.set_depth(depth);
    if color == ColorType::Indexed {
        encoder.set_palette(vec![9, 8, 7, 200, 100, 50]);
    }
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(data).unwrap();
    writer.finish().unwrap();
    bytes
}

/// What reading these bytes from a file of this name gives.
fn read(name: &str, bytes: &[u8]) -> Result<Images> {
    let folder = tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    Images::read(&path)
}

fn fails(result: Result<Images>, kind: ErrorKind, parts: &[&str]) {
    let error = result.unwrap_err();
    let message = error.to_string();
    assert_eq!(error.kind(), kind, "{message}");
    for part in parts {
        assert!(message.contains(part), "{message:?} does not say {part:?}");
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = |i: usize| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap();
    (0..hex.len() / 2).map(digits).collect()
}

/// Pillow 12: 8 x 8 pixels, level `4 y + 20 x`, quality 90.
const GRAY_JPEG: &str = "ffd8ffe000104a46494600010100000100010000ffdb004300030202030202030303030403\
0304050805050404050a070706080c0a0c0c0b0a0b0b0d0e12100d0e110e0b0b1016101113141515150c0f171816141812\
141514ffc0000b080008000801011100ffc40014000100000000000000000000000000000007ffc4001910000105000000\
00000000000000000000000608223451ffda0008010100003f000a6929ba50c3ffd9";
/// The same of the one colour (200, 40, 90).
const COLOR_JPEG: &str = "ffd8ffe000104a46494600010100000100010000ffdb00430003020203020203030303040\
30304050805050404050a070706080c0a0c0c0b0a0b0b0d0e12100d0e110e0b0b1016101113141515150c0f17181614181\
2141514ffdb00430103040405040509050509140d0b0d14141414141414141414141414141414141414141414141414141\
41414141414141414141414141414141414141414141414ffc00011080008000803011100021101031101ffc4001400010\
0000000000000000000000000000007ffc40014100100000000000000000000000000000000ffc40015010101000000000\
00000000000000000000308ffc40014110100000000000000000000000000000000ffda000c03010002110311003f00241\
2cb7fffd9";

#[test]
fn idx_files_plain_and_in_gzip() {
    let images = ramp(3, 4, 5, 1);
    for bytes in [idx(&images), gzip(&idx(&images))] {
        let again = read("t-idx3-ubyte", &bytes).unwrap();
        assert_eq!(again.pixels(), images.pixels());
        assert!(again.source().ends_with("t-idx3-ubyte"));
    }
}

#[test]
fn damaged_idx_files() {
    let whole = idx(&ramp(3, 4, 5, 1));
    let name = "train-images";
    let cut = read(name, &whole[..whole.len() - 1]);
    fails(
        cut,
        ErrorKind::Format,
        &[name, "3 images of 4 x 5", "59 bytes", "truncated"],
    );
    fails(read(name, &whole[..9]), ErrorKind::Format, &["header"]);
    fails(read(name, &[]), ErrorKind::Format, &["empty"]);
    let packed = gzip(&whole);
    let cut = read(name, &packed[..packed.len() - 12]);
    fails(cut, ErrorKind::Format, &[name, "unpacked", "truncated"]);
    let with = |at: usize, byte: u8| {
        let mut bytes = whole.clone();
        bytes[at] = byte;
        read(name, &bytes)
    };
    fails(with(2, 0x0d), ErrorKind::Format, &["08", "type 0d"]);
    fails(with(3, 1), ErrorKind::Shape, &["labels", "idx3"]);
    fails(with(0, 7), ErrorKind::Format, &["07, 00", "expected"]);
    // A header that promises 2^32 images asks for no memory.
    fails(with(4, 0xff), ErrorKind::Format, &["truncated"]);
    // Sides whose product is 0, and overflows on the way.
    let empty = [&[0, 0, 8, 3][..], &[0xff; 8], &[0; 4]].concat();
    fails(
        read(name, &empty),
        ErrorKind::Format,
        &["one pixel or more", "4294967295 x 0"],
    );
    let other = read("a.gz", &gzip(b"something else"));
    fails(other, ErrorKind::Format, &["IDX", "73, 6f"]);
}

#[test]
fn folders_of_png_are_read_as_they_were_written() {
    let folder = tempdir().unwrap();
    for (name, images) in [("gray", ramp(12, 3, 4, 1)), ("color", ramp(2, 5, 3, 3))] {
        let path = folder.path().join(name);
        images.write_folder(&path).unwrap();
        fs::write(path.join("notes.txt"), "left out").unwrap();
        for hidden in ["._00.png", ".DS_Store", ".thumb.jpg"] {
            fs::write(path.join(hidden), "no picture").unwrap();
        }
        let again = Images::read(&path).unwrap();
        assert_eq!(again.pixels(), images.pixels());
        let error = images.write_folder(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Exists);
    }
    // Nothing else is left beside them.
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    let nowhere = folder.path().join("no/such");
    let error = ramp(1, 2, 2, 1).write_folder(&nowhere).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
}

#[test]
fn folders_that_are_no_images_of_one_size() {
    let folder = tempdir().unwrap();
    let path = folder.path();
    fails(
        Images::read(path),
        ErrorKind::Missing,
        &["no .png", "0 others"],
    );
    let put = |name: &str, image: Images| {
        let pixels = image.image(0).to_vec();
        let [h, w, c] = image.shape();
        let color = [ColorType::Grayscale, ColorType::Rgb][c / 2];
        let bytes = encoded(color, BitDepth::Eight, [w as u32, h as u32], &pixels);
        fs::write(path.join(name), bytes).unwrap();
    };
    put("a.png", ramp(1, 4, 5, 1));
    put("b.PNG", ramp(1, 5, 4, 1));
    fails(
        Images::read(path),
        ErrorKind::Shape,
        &["b.PNG is 5", "a.png is 4", "resize"],
    );
    put("b.PNG", ramp(1, 4, 5, 3));
    fails(
        Images::read(path),
        ErrorKind::Shape,
        &["b.PNG has 3", "a.png has 1"],
    );
    fs::write(path.join("b.PNG"), "GIF89a").unwrap();
    fails(
        Images::read(path),
        ErrorKind::Format,
        &["b.PNG", "not PNG or JPEG"],
    );
    fails(Images::read(&path.join("none")), ErrorKind::Io, &["none"]);
}

#[test]
fn kinds_of_png() {
    let depth = BitDepth::Eight;
    let opaque = encoded(
        ColorType::Rgba,
        depth,
        [2, 1],
        &[1, 2, 3, 255, 4, 5, 6, 255],
    );
    let image = read("a.png", &opaque).unwrap();
    assert_eq!(image.shape(), [1, 2, 3]);
    assert_eq!(image.image(0), [1, 2, 3, 4, 5, 6]);
    let clear = encoded(ColorType::GrayscaleAlpha, depth, [2, 1], &[1, 255, 4, 254]);
    fails(
        read("a.png", &clear),
        ErrorKind::Format,
        &["a.png", "transparent", "background"],
    );
    let deep = encoded(ColorType::Grayscale, BitDepth::Sixteen, [1, 1], &[1, 2]);
    fails(read("a.png", &deep), ErrorKind::Format, &["16", "8"]);
    let palette = encoded(ColorType::Indexed, depth, [2, 1], &[1, 0]);
    let image = read("a.png", &palette).unwrap();
    assert_eq!(image.image(0), [200, 100, 50, 9, 8, 7]);
    let bits = encoded(ColorType::Grayscale, BitDepth::One, [3, 1], &[0b101_00000]);
    assert_eq!(read("a.png", &bits).unwrap().image(0), [255, 0, 255]);
}

/// EXIF data with this orientation, of either order of bytes, behind another entry.
fn exif(orientation: u8, is_big: bool) -> Vec<u8> {
    let start = if is_big { b"MM\0*" } else { b"II*\0" };
    let number = |n: u32, length: usize| match is_big {
        true => n.to_be_bytes()[4 - length..].to_vec(),
        false => n.to_le_bytes()[..length].to_vec(),
    };
    let entry = |tag: u32, value: u32| {
        let short = [number(value, 2), number(0, 2)].concat();
        [number(tag, 2), number(3, 2), number(1, 4), short].concat()
    };
    let directory = [
        number(2, 2),
        entry(0x0100, 7),
        entry(0x0112, orientation.into()),
    ]
    .concat();
    [&start[..], &number(8, 4), &directory, &number(0, 4)].concat()
}

/// A picture of 2 x 3 pixels as a camera held in each of the eight ways stores it (EXIF 3.0, table
/// of `Orientation`): where the 0th row and the 0th column of what is stored are to be seen.
#[test]
fn pictures_are_upright() {
    let upright = array![[1, 2, 3], [4, 5, 6]];
    let stored = [
        array![[1, 2, 3], [4, 5, 6]],
        array![[3, 2, 1], [6, 5, 4]],
        array![[6, 5, 4], [3, 2, 1]],
        array![[4, 5, 6], [1, 2, 3]],
        array![[1, 4], [2, 5], [3, 6]],
        array![[3, 6], [2, 5], [1, 4]],
        array![[6, 3], [5, 2], [4, 1]],
        array![[4, 1], [5, 2], [6, 3]],
    ];
    for (i, stored) in stored.into_iter().enumerate() {
        for is_big in [false, true] {
            let exif = exif(i as u8 + 1, is_big);
            let (h, w) = stored.dim();
            let levels: Vec<u8> = stored.iter().map(|k| 10 * *k as u8).collect();
            let mut bytes = vec![];
            let mut encoder = Encoder::new(&mut bytes, w as u32, h as u32);
            encoder.set_color(ColorType::Grayscale);
            encoder.set_depth(BitDepth::Eight);
            let mut writer = encoder.write_header().unwrap();
            writer.write_chunk(png::chunk::eXIf, &exif).unwrap();
            writer.write_image_data(&levels).unwrap();
            writer.finish().unwrap();
            let images = read("a.png", &bytes).unwrap();
            assert_eq!(images.shape(), [2, 3, 1], "orientation {}", i + 1);
            let found: Vec<i32> = images.image(0).iter().map(|k| i32::from(*k) / 10).collect();
            assert_eq!(
                found,
                upright.iter().copied().collect::<Vec<_>>(),
                "{}",
                i + 1
            );
        }
    }
}

#[test]
fn a_jpeg_is_upright_and_damaged_exif_says_nothing() {
    let plain = bytes(GRAY_JPEG);
    let with = |exif: &[u8]| {
        let length = (exif.len() as u16 + 8).to_be_bytes();
        let segment = [&[0xff, 0xe1][..], &length, b"Exif\0\0", exif].concat();
        read("a.jpg", &[&plain[..2], &segment, &plain[2..]].concat())
    };
    let stored = read("a.jpg", &plain).unwrap();
    let stored = stored.pixels().slice(s![0, .., .., 0]).to_owned();
    for is_big in [false, true] {
        // The first column of what is stored is its top.
        let turned = with(&exif(6, is_big)).unwrap();
        let expected = stored.slice(s![..;-1, ..]).t().to_owned();
        assert_eq!(turned.pixels().slice(s![0, .., .., 0]), expected);
        let whole = exif(6, is_big);
        for end in 0..whole.len() - 8 {
            let cut = with(&whole[..end]).unwrap();
            assert_eq!(cut.pixels().slice(s![0, .., .., 0]), stored, "{end}");
        }
        for none in [0, 1, 9, 255] {
            let as_it_is = with(&exif(none, is_big)).unwrap();
            assert_eq!(as_it_is.pixels().slice(s![0, .., .., 0]), stored);
        }
    }
}

#[test]
#[ignore = "needs shared/cases"]
fn photographs_of_a_phone() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../shared/cases/orientation/exif"
    );
    let images = Images::read(Path::new(path)).unwrap();
    assert_eq!(images.len(), 24);
}

#[test]
fn a_cut_picture_is_never_read() {
    let [h, w, c] = [9, 7, 3];
    let pixels = ramp(1, h, w, c);
    let png = encoded(
        ColorType::Rgb,
        BitDepth::Eight,
        [w as u32, h as u32],
        pixels.image(0),
    );
    for whole in [png, bytes(GRAY_JPEG), bytes(COLOR_JPEG)] {
        assert!(read("a.png", &whole).is_ok());
        for length in 3..whole.len() {
            let cut = read("a.png", &whole[..length]);
            assert!(cut.is_err(), "{length} of {} bytes", whole.len());
            assert_eq!(cut.unwrap_err().kind(), ErrorKind::Format);
        }
    }
}

/// Decoded, each would be 600 MB of one colour, after seconds.
#[test]
fn a_picture_is_no_larger_than_its_bytes_can_say() {
    let mut jpeg = bytes(COLOR_JPEG);
    let at = jpeg
        .windows(2)
        .position(|pair| pair == [0xff, 0xc0])
        .unwrap();
    jpeg[at + 5..at + 9].copy_from_slice(&[0x36, 0x37, 0x38, 0x39]);
    fails(
        read("a.jpg", &jpeg),
        ErrorKind::Format,
        &["14393 x 13879", "damaged"],
    );

    let pixels = ramp(1, 9, 7, 1);
    let mut png = encoded(
        ColorType::Grayscale,
        BitDepth::Eight,
        [7, 9],
        pixels.image(0),
    );
    png[16..24].copy_from_slice(&[0, 0, 0x40, 0, 0, 0, 0x40, 0]);
    let mut sum = flate2::Crc::new();
    sum.update(&png[12..29]);
    png[29..33].copy_from_slice(&sum.sum().to_be_bytes());
    fails(
        read("a.png", &png),
        ErrorKind::Format,
        &["16384 x 16384", "damaged"],
    );
    // As much as can be packed: one gray.
    let [h, w] = [2000, 3000];
    let plain = encoded(
        ColorType::Grayscale,
        BitDepth::Eight,
        [w, h],
        &vec![9; (w * h) as usize],
    );
    assert!(
        plain.len() < 12_000 && read("a.png", &plain).is_ok(),
        "{}",
        plain.len()
    );
}

#[test]
fn jpeg_as_pillow_decodes_it() {
    let gray = read("a.jpg", &bytes(GRAY_JPEG)).unwrap();
    assert_eq!(gray.shape(), [8, 8, 1]);
    let expected = [1, 20, 41, 60, 80, 100, 121, 140];
    for (level, expected) in gray.image(0).iter().zip(expected) {
        assert!(level.abs_diff(expected) <= 1, "{level} {expected}");
    }
    let color = read("a.jpeg", &bytes(COLOR_JPEG)).unwrap();
    for (level, expected) in color.image(0).iter().zip([201u8, 40, 90]) {
        assert!(level.abs_diff(expected) <= 1, "{level} {expected}");
    }
}

#[test]
fn colours_of_print_are_named() {
    let gray = bytes(GRAY_JPEG);
    let at = |marker| gray.windows(2).position(|pair| pair == [0xff, marker]);
    let (frame, scan) = (at(0xc0).unwrap(), at(0xda).unwrap());
    // The same with four components in its frame and in its scan.
    let mut print = gray[..frame].to_vec();
    print.extend([0xff, 0xc0, 0, 20]);
    print.extend(&gray[frame + 4..frame + 9]);
    print.push(4);
    print.extend((1..=4).flat_map(|id| [id, 0x11, 0]));
    print.extend(&gray[frame + 13..scan]);
    print.extend([0xff, 0xda, 0, 14, 4]);
    print.extend((1..=4).flat_map(|id| [id, 0]));
    print.extend([0, 63, 0]);
    print.extend(&gray[scan + 10..]);
    let error = read("a.jpg", &print).unwrap_err();
    assert!(!error.to_string().contains("Some"), "{error}");
    fails(
        Err(error),
        ErrorKind::Format,
        &["a.jpg", "CMYK", "convert it"],
    );
}

#[test]
fn arrays_of_levels() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.npz");
    for images in [ramp(3, 4, 5, 3), ramp(2, 6, 2, 1)] {
        images.write_npz(&path).unwrap();
        assert_eq!(Images::read(&path).unwrap().pixels(), images.pixels());
    }
    let whole = fs::read(&path).unwrap();
    let cut = read("cut.npz", &whole[..whole.len() - 30]);
    fails(cut, ErrorKind::Format, &["cut.npz", "truncated"]);
    let first = ramp(2, 3, 8, 1).pixels().clone();
    let first = first.into_shape_with_order((2, 3, 4, 2)).unwrap();
    npz_with(&path, &first);
    fails(
        Images::read(&path),
        ErrorKind::Shape,
        &["channels first", "transpose(0, 2, 3, 1)"],
    );
    let points = Array2::zeros((10, 2));
    let numbers = crate::data::Snapshots::from_rows(points, &[0.0; 10], None, None).unwrap();
    crate::data::write(&path, &numbers).unwrap();
    fails(
        Images::read(&path),
        ErrorKind::Format,
        &["uint8", "X float64 [10, 2]", "levels from 0 to 255"],
    );
}

/// A `.npz` file of one array of numbers.
fn npz_of(name: &str, shape: &[usize], numbers: &[f64]) -> Vec<u8> {
    let mut bytes = vec![];
    let mut writer = crate::data::formats::npz::Writer::new(&mut bytes);
    writer.numbers(name, shape, numbers.iter()).unwrap();
    writer.finish().unwrap();
    bytes
}

#[test]
fn advice_suits_the_numbers() {
    let cases: [(&[f64; 4], &str); 8] = [
        (&[0.0, 0.25, 0.5, 1.0], "(255 * x).round().astype('uint8')"),
        (&[0.1, 0.25, 0.5, 0.9], "(255 * x).round().astype('uint8')"),
        (
            &[-1.0, 0.25, 0.5, 1.0],
            "(127.5 * (x + 1)).round().astype('uint8')",
        ),
        (&[0.0, 17.0, 200.0, 255.0], "x.round().astype('uint8')"),
        (
            &[0.0, 17.0, 200.0, 4095.0],
            "(255 / 4095 * (x - 0)).round().astype('uint8')",
        ),
        (
            &[-2.0, 17.0, 200.0, 3.0],
            "(255 / 202 * (x + 2)).round().astype('uint8')",
        ),
        (&[7.5, 7.5, 7.5, 7.5], "x.round().astype('uint8')"),
        (&[0.0, f64::NAN, 1.0, 0.5], "not finite; replace them first"),
    ];
    for (numbers, advice) in cases {
        let bytes = npz_of("x", &[1, 2, 2], numbers);
        fails(
            read("f.npz", &bytes),
            ErrorKind::Format,
            &["f.npz", "x float64", advice],
        );
    }
    let numbers = [0.5; 24];
    let first = npz_of("x", &[1, 3, 2, 4], &numbers);
    let advice = "(255 * x).round().astype('uint8').transpose(0, 2, 3, 1)";
    fails(read("f.npz", &first), ErrorKind::Format, &[advice]);
    let named = npz_of("0 x", &[1, 2, 2], &numbers[..4]);
    fails(
        read("f.npz", &named),
        ErrorKind::Format,
        &["(255 * images)"],
    );
}

#[test]
fn levels_that_are_no_images_of_gray_or_colour() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.npz");
    for (channels, remedy) in [(4, "arr_0[..., :3]"), (2, "arr_0[..., :1]")] {
        let levels = Array4::zeros((2, 5, 6, channels));
        crate::data::images::formats::npz::write(&path, "arr_0", &levels).unwrap();
        fails(Images::read(&path), ErrorKind::Shape, &["opacity", remedy]);
    }
    let mut bytes = vec![];
    let mut writer = crate::data::formats::npz::Writer::new(&mut bytes);
    writer.levels("photo", &[5, 6, 3], &[0; 90]).unwrap();
    writer.finish().unwrap();
    fails(
        read("a.npz", &bytes),
        ErrorKind::Shape,
        &["one image", "photo[None]"],
    );
}

#[test]
fn images_that_are_all_alike_are_warned_of() {
    let of = |images: Images| images.warnings();
    let shapes = crate::gallery::Shapes {
        height: 8,
        width: 8,
        channels: 1,
    };
    assert_eq!(of(shapes.draw(40, 0).unwrap()), Vec::<String>::new());
    let one = ramp(1, 4, 4, 1);
    assert!(of(one.clone())[0].contains("a single image"));
    let same = of(one.select(&[0; 9]).unwrap());
    assert!(same[0].contains("all 9 images are alike"), "{same:?}");
    // What a conversion of floats in [0, 1] to whole numbers leaves.
    let floats = Array4::from_shape_fn((9, 4, 4, 1), |(i, y, x, _)| ((i * y + x) % 5 / 4) as u8);
    let dark = of(Images::new(floats, "dark").unwrap());
    assert!(dark[0].contains("from 0 to 1"), "{dark:?}");
    let twice = ramp(2, 4, 4, 1).select(&[0, 1, 1, 0]).unwrap();
    assert!(
        of(twice)[0].contains("2 of 4 images repeat"),
        "{:?}",
        of(ramp(2, 4, 4, 1))
    );
}

fn npz_with(path: &Path, levels: &Array4<u8>) {
    super::formats::npz::write(path, "x", levels).unwrap();
}

#[test]
fn a_grid_has_its_images_in_place() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("grid.png");
    let images = ramp(5, 30, 40, 3);
    images.write_grid(&path, 2).unwrap();
    let grid = Images::read(&path).unwrap();
    // Enlarged twice, with gaps of two pixels.
    let high = 2 * 30 + 2;
    let wide = 2 * 40 + 2;
    assert_eq!(grid.shape(), [3 * high + 2, 2 * wide + 2, 3]);
    let part = grid
        .pixels()
        .slice(s![0, 2 + high..2 * high, 2 + wide..2 * wide;2, ..]);
    let expected = images.pixels().slice(s![3, .., .., ..]);
    assert_eq!(part.slice(s![..;2, .., ..]), expected);
    assert_eq!(part.slice(s![1..;2, .., ..]), expected);
    // There is no sixth image.
    assert_eq!(grid.pixels()[[0, 2 * high + 10, wide + 10, 0]], 255);
    assert_eq!(
        images.write_grid(&path, 0).unwrap_err().kind(),
        ErrorKind::Setting
    );
}

#[test]
fn halves_and_gray() {
    let pixels = Array4::from_shape_vec((1, 2, 4, 1), vec![0, 1, 10, 20, 1, 0, 30, 43]).unwrap();
    let half = Images::new(pixels, "four").unwrap().halved().unwrap();
    // 2/4 and 103/4.
    assert_eq!(half.image(0), [1, 26]);
    fails(
        ramp(1, 3, 4, 1).halved(),
        ErrorKind::Shape,
        &["3 x 4", "even"],
    );
    let pixels = Array4::from_shape_vec((1, 1, 1, 3), vec![200, 40, 90]).unwrap();
    let color = Images::new(pixels, "one").unwrap();
    // 59.8 + 23.48 + 10.26.
    assert_eq!(color.gray().image(0), [94]);
    assert_eq!(color.gray().in_color().image(0), [94; 3]);
    assert_eq!(color.in_color().image(0), [200, 40, 90]);
    fails(
        Images::new(Array4::zeros((2, 3, 4, 2)), "two"),
        ErrorKind::Shape,
        &["[2, 3, 4, 2]", "channel"],
    );
}

#[test]
fn points_are_channels_first_between_their_levels() {
    let images = ramp(4, 3, 5, 3);
    let points = images.points(1);
    for ((i, j), x) in points.indexed_iter() {
        let [y, column, k] = [j / 5 % 3, j % 5, j / 15];
        let level = f64::from(images.pixels()[[i, y, column, k]]);
        let above = 128.0 * (x + 1.0) - level;
        assert!((0.0..1.0).contains(&above), "{above}");
    }
    assert_eq!(images.points(1), points);
    assert_ne!(images.points(2), points);
    let again = Images::of_points(points.view(), images.shape(), "again").unwrap();
    assert_eq!(again.pixels(), images.pixels());

    let mut mirrored = vec![0.0; 45];
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    images.write_point(2, true, &mut rng, &mut mirrored);
    let mirrored = Array2::from_shape_vec((1, 45), mirrored).unwrap();
    let mirrored = Images::of_points(mirrored.view(), [3, 5, 3], "mirror").unwrap();
    let expected = images.pixels().slice(s![2..3, .., ..;-1, ..]);
    assert_eq!(mirrored.pixels(), expected);

    let outside = Array2::from_shape_vec((1, 2), vec![-7.0, 1.0]).unwrap();
    let outside = Images::of_points(outside.view(), [1, 2, 1], "outside").unwrap();
    assert_eq!(outside.image(0), [0, 255]);
    let shape = Images::of_points(points.view(), [3, 5, 1], "other");
    fails(shape, ErrorKind::Shape, &["15", "45"]);
    let mut bad = points.clone();
    bad[[3, 2]] = f64::NAN;
    fails(
        Images::of_points(bad.view(), [3, 5, 3], "bad"),
        ErrorKind::Value,
        &["image 3"],
    );
}

#[test]
fn a_sample_has_no_image_twice() {
    let pixels = Array4::from_shape_fn((9, 1, 1, 1), |(i, ..)| i as u8);
    let images = Images::new(pixels, "numbered").unwrap();
    let numbers = |n: usize, seed: u64| -> Vec<u8> {
        let sample = images.sample(n, seed).unwrap();
        (0..sample.len()).map(|i| sample.image(i)[0]).collect()
    };
    let mut all = numbers(20, 0);
    all.sort_unstable();
    assert_eq!(all, (0..9).collect::<Vec<u8>>());
    assert_eq!(numbers(4, 1), numbers(4, 1));
    assert_ne!(numbers(8, 1), numbers(8, 2));
    assert!(images.sample(0, 0).is_err());
}
