//! Changes to inputs, by bytes and by what the bytes mean.

use std::io::{Cursor, Read, Write};

use actum::{
    rand::{Rng, RngExt},
    rand_chacha::ChaCha8Rng,
};
use flate2::{Compression, Crc, read::MultiGzDecoder, write::GzEncoder};
use sha2::{Digest, Sha256};
use zip::{ZipArchive, ZipWriter, write::SimpleFileOptions};

/// Numbers at which sizes and signs go wrong.
const EDGES: [u64; 16] = [
    0,
    1,
    2,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0xffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    1 << 32,
    1 << 40,
    i64::MAX as u64,
    1 << 63,
    u64::MAX,
];

/// What readers of text trip over.
const WORDS: [&str; 44] = [
    "",
    "\n",
    "\r\n",
    "\n\n",
    ",",
    ",,",
    "\t",
    "\"",
    "\"\"",
    "#",
    ";",
    " ",
    "-",
    "--",
    ".",
    "e",
    "nan",
    "NaN",
    "inf",
    "-inf",
    "1e308",
    "-1e308",
    "1e-320",
    "1e999",
    "-0",
    "0",
    "1",
    "18446744073709551616",
    "99999999999999999999999",
    "0x10",
    "true",
    "null",
    "Day 2",
    "d-1",
    "36h",
    "t=-1",
    "\u{2212}3",
    "\u{feff}",
    "\0",
    "[",
    "]",
    "{",
    "}",
    "=",
];

/// A few changes, anywhere.
pub fn bytes(input: &mut Vec<u8>, others: &[Vec<u8>], rng: &mut ChaCha8Rng) {
    for _ in 0..1 << rng.random_range(0..4) {
        let n = input.len();
        let at = if n == 0 { 0 } else { rng.random_range(0..n) };
        let most = 16usize << rng.random_range(0..6);
        let size = rng.random_range(1..=most);
        let end = (at + size).min(n);
        match rng.random_range(0..10) {
            0 | 1 if n > 0 => input[at] ^= 1 << rng.random_range(0..8),
            2 if n > 0 => input[at] = EDGES[rng.random_range(0..6)] as u8,
            3 | 4 => {
                let edge = EDGES[rng.random_range(0..EDGES.len())];
                let edge = edge.wrapping_add(rng.random_range(0..3)).wrapping_sub(1);
                let mut word = edge.to_le_bytes();
                let width = 1 << rng.random_range(0..4);
                if rng.random() {
                    word[..width].reverse();
                }
                let places = input[at..].iter_mut().zip(&word[..width]);
                places.for_each(|(place, byte)| *place = *byte);
            }
            5 => input.truncate(at),
            6 => drop(input.drain(at..end)),
            7 if n < 1 << 16 => {
                let again = input[at..end].to_vec();
                input.splice(at..at, again);
            }
            8 => {
                let word = WORDS[rng.random_range(0..WORDS.len())];
                let gone = rng.random_range(0..4);
                input.splice(at..end.min(at + gone), word.bytes());
            }
            _ => {
                let other = &others[rng.random_range(0..others.len())];
                let from = rng.random_range(0..=other.len());
                let to = (from + size).min(other.len());
                input.splice(at..end, other[from..to].iter().copied());
            }
        }
    }
}

/// Changes of text, word by word.
pub fn text(input: &mut Vec<u8>, others: &[Vec<u8>], rng: &mut ChaCha8Rng) {
    if rng.random_range(0..4) == 0 {
        return bytes(input, others, rng);
    }
    let is_between = |c: u8| b",\t\n \"=:[]{}".contains(&c);
    for _ in 0..rng.random_range(1..4) {
        let starts: Vec<usize> = (0..input.len()).filter(|i| is_between(input[*i])).collect();
        if starts.is_empty() {
            break;
        }
        let at = starts[rng.random_range(0..starts.len())] + 1;
        let length = input[at..].iter().take_while(|c| !is_between(**c)).count();
        let word = WORDS[rng.random_range(0..WORDS.len())];
        input.splice(at..at + length, word.bytes());
    }
}

/// A zip whose members are changed and have the checksums of what they are now.
pub fn archive(input: &mut Vec<u8>, others: &[Vec<u8>], rng: &mut ChaCha8Rng) {
    let Some(changed) = rezipped(input, others, rng) else {
        return bytes(input, others, rng);
    };
    *input = changed;
}

fn rezipped(input: &[u8], others: &[Vec<u8>], rng: &mut ChaCha8Rng) -> Option<Vec<u8>> {
    let mut from = ZipArchive::new(Cursor::new(input)).ok()?;
    let mut to = ZipWriter::new(Cursor::new(vec![]));
    let chosen = rng.random_range(0..from.len().max(1));
    for i in 0..from.len() {
        let mut member = from.by_index(i).ok()?;
        let mut content = vec![];
        let name = String::from_utf8_lossy(member.name_raw()).into_owned();
        (&mut member).take(1 << 20).read_to_end(&mut content).ok()?;
        if i == chosen {
            // The text that says what the array is matters most.
            match rng.random_range(0..3) {
                0 => bytes(&mut content, others, rng),
                _ => array(&mut content, rng),
            }
        }
        to.start_file(name, SimpleFileOptions::default()).ok()?;
        to.write_all(&content).ok()?;
    }
    Some(to.finish().ok()?.into_inner())
}

/// An array of NumPy with another type, order or shape.
pub fn array(content: &mut Vec<u8>, rng: &mut ChaCha8Rng) {
    const TYPES: [&str; 14] = [
        "<f8", "<f4", "<f2", ">f8", "<i8", "|i1", "|u1", "<u8", "<U3", "|S5", "|O", "<m8[ns]",
        "|b1", "<U0",
    ];
    let mut pick = |from: &[&str]| from[rng.random_range(0..from.len())].to_owned();
    let (of, order) = (pick(&TYPES), pick(&["True", "False"]));
    let sides = [
        "0",
        "1",
        "2",
        "3",
        "6",
        "60",
        "-1",
        "1000000000",
        "18446744073709551615",
        "",
    ];
    let shape = match pick(&["1", "2", "3", "4"]).as_str() {
        "1" => format!("{},", pick(&sides)),
        "2" => format!("{}, {}", pick(&sides), pick(&sides)),
        "3" => format!("{}, {}, {}", pick(&sides), pick(&sides), pick(&sides)),
        _ => "60, 2".to_owned(),
    };
    let header = format!("{{'descr': '{of}', 'fortran_order': {order}, 'shape': ({shape}), }}\n");
    let start = content
        .iter()
        .position(|c| *c == b'\n')
        .map_or(0, |at| at + 1);
    let mut whole = b"\x93NUMPY\x01\x00".to_vec();
    whole.extend((header.len() as u16).to_le_bytes());
    whole.extend(header.bytes());
    whole.extend(&content[start..]);
    *content = whole;
}

/// What is compressed, changed.
pub fn packed(input: &mut Vec<u8>, others: &[Vec<u8>], rng: &mut ChaCha8Rng) {
    let mut plain = vec![];
    let whole = MultiGzDecoder::new(&input[..])
        .take(1 << 20)
        .read_to_end(&mut plain);
    if whole.is_err() || rng.random_range(0..4) == 0 {
        return bytes(input, others, rng);
    }
    text(&mut plain, others, rng);
    let mut packer = GzEncoder::new(vec![], Compression::fast());
    if packer.write_all(&plain).is_ok() {
        *input = packer.finish().unwrap_or_default();
    }
}

/// A file of a store, whose name stays: what says what the arrays are is text, the rest is numbers.
pub fn store(input: &mut Vec<u8>, others: &[Vec<u8>], rng: &mut ChaCha8Rng) {
    let end = input
        .iter()
        .position(|byte| *byte == b'\n')
        .map_or(0, |at| at + 1);
    let mut content = input.split_off(end);
    let is_text = content.first() == Some(&b'{');
    if is_text {
        text(&mut content, others, rng);
    } else {
        bytes(&mut content, others, rng);
    }
    input.append(&mut content);
}

/// A PNG whose chunks have the checksums of what they are now.
pub fn chunks(input: &mut Vec<u8>, others: &[Vec<u8>], rng: &mut ChaCha8Rng) {
    bytes(input, others, rng);
    let mut at = 8;
    while let Some(head) = input.get(at..at + 8) {
        let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let end = at + 8 + length;
        if input.len() < end + 4 {
            break;
        }
        let mut sum = Crc::new();
        sum.update(&input[at + 4..end]);
        input[end..end + 4].copy_from_slice(&sum.sum().to_be_bytes());
        at = end + 4;
    }
}

/// A file of arrays by name whose header or numbers are changed and have the hash of what they are
/// now.
pub fn hashed(input: &mut Vec<u8>, others: &[Vec<u8>], rng: &mut ChaCha8Rng) {
    if rehashed(input, others, rng).is_none() {
        bytes(input, others, rng);
    }
}

fn rehashed(input: &mut Vec<u8>, others: &[Vec<u8>], rng: &mut ChaCha8Rng) -> Option<()> {
    let length = u64::from_le_bytes(input.get(..8)?.try_into().ok()?) as usize;
    let mut header: serde_json::Value = serde_json::from_slice(input.get(8..8 + length)?).ok()?;
    let mut data = input.get(8 + length..)?.to_vec();
    let metadata = header.get_mut("__metadata__")?.as_object_mut()?;
    let keys: Vec<String> = metadata.keys().cloned().collect();
    let key = &keys[rng.random_range(0..keys.len())];
    match rng.random_range(0..3) {
        0 if !data.is_empty() => {
            let at = rng.random_range(0..data.len());
            data[at] = rng.next_u32() as u8;
        }
        _ => {
            let mut about = metadata[key].as_str()?.as_bytes().to_vec();
            text(&mut about, others, rng);
            metadata[key] = String::from_utf8(about).ok()?.into();
        }
    }
    // As store/arrays.rs has it.
    let mut hash = Sha256::new();
    let mut add = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    for (key, value) in metadata.iter().filter(|(key, _)| *key != "sha256") {
        add(key.as_bytes());
        add(value.as_str()?.as_bytes());
    }
    let arrays = header
        .as_object()?
        .iter()
        .filter(|(name, _)| *name != "__metadata__");
    for (name, about) in arrays {
        add(name.as_bytes());
        let shape = about["shape"].as_array()?.iter();
        let shape: Vec<u8> = shape
            .flat_map(|n| n.as_u64().unwrap_or(0).to_le_bytes())
            .collect();
        add(&shape);
        let place = |k: usize| about["data_offsets"][k].as_u64().map(|at| at as usize);
        add(data.get(place(0)?..place(1)?)?);
    }
    let hash: String = hash
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    header["__metadata__"]["sha256"] = hash.into();
    let header = header.to_string();
    *input = (header.len() as u64).to_le_bytes().to_vec();
    input.extend(header.bytes());
    input.extend(data);
    Some(())
}
