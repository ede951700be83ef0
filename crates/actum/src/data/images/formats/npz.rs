//! NumPy archives of levels.

use std::{
    io::{self, Cursor},
    path::Path,
};

use ndarray::{Array4, ArrayD, Axis, IxDyn, ShapeBuilder};

use crate::{
    data::formats::npz::{Archive, Header, Writer},
    error::{Error, ErrorKind, Result, ensure},
    memory, store,
};

/// The one array of whole levels in a file of images: `[n, height, width]` or `[n, height, width,
/// channels]`.
pub(super) fn read(bytes: &[u8]) -> Result<Array4<u8>> {
    let mut archive = Archive::new(Cursor::new(bytes))?;
    let (mut found, mut others, mut seen) = (vec![], vec![], vec![]);
    for name in archive.names.clone() {
        let header = archive.header(&name)?;
        seen.push(format!("{name} {} {:?}", header.type_name(), header.shape));
        if ![3, 4].contains(&header.shape.len()) {
            continue;
        }
        if (header.kind, header.size) == ('u', 1) {
            found.push(name.clone());
        } else if ['f', 'i', 'u', 'b'].contains(&header.kind) {
            archive.array(&name, |header, source| {
                others.push(as_levels(&header, source));
                // What is only looked at need not be read to its end.
                io::copy(source, &mut io::sink()).ok();
                Ok(())
            })?;
        }
    }
    let [name] = &found[..] else {
        let advice = match (&found[..], &others[..]) {
            ([first, ..], _) => format!(
                "; save one of them alone, in Python: numpy.savez('images.npz', {})",
                variable(first)
            ),
            ([], [first, ..]) => format!("; {first}"),
            ([], []) => "; save the images alone, with levels from 0 to 255".to_owned(),
        };
        let what = format!(
            "expected one array of uint8, [n, height, width] or [n, height, width, channels], got \
             {} of that kind among: {}{advice}",
            found.len(),
            seen.join(", ")
        );
        return Err(Error::new(ErrorKind::Format, what));
    };
    archive.array(name, |header, source| {
        let count = header.count()?;
        memory::check(&[count], 1, format_args!("array {name:?}"))?;
        let x = variable(name);
        let (what, remedy) = match header.shape[..] {
            [_, c, _, last] if [1, 3].contains(&c) && ![1, 3].contains(&last) => (
                "channels first; save it channels last",
                format!("{x}.transpose(0, 2, 3, 1)"),
            ),
            [_, _, _, 4] => ("with opacity; save it without", format!("{x}[..., :3]")),
            [_, _, _, 2] => ("with opacity; save it without", format!("{x}[..., :1]")),
            [_, _, 3 | 4] => ("one image; save a set of them", format!("{x}[None]")),
            _ => ("", String::new()),
        };
        ensure!(
            what.is_empty(),
            Shape,
            "array {name:?} has shape {:?}, {what}, in Python: {remedy}",
            header.shape
        );
        let mut levels = vec![];
        header.each(source, count, 1, 1, |item| levels.push(item[0]))?;
        let shape = IxDyn(&header.shape).set_f(header.fortran);
        let array = ArrayD::from_shape_vec(shape, levels).expect("a level for each place");
        let array = match array.ndim() {
            3 => array.insert_axis(Axis(3)),
            _ => array,
        };
        Ok(array.into_dimensionality().expect("four dimensions"))
    })
}

/// What an array is called in Python.
fn variable(name: &str) -> &str {
    let is_plain = |c: char| c == '_' || c.is_alphanumeric();
    let is_name = name.chars().all(is_plain) && !name.starts_with(|c: char| c.is_numeric());
    if is_name { name } else { "images" }
}

/// The least and the greatest number, NaN where one is not finite.
fn range(header: &Header, source: &mut dyn io::Read) -> Result<[f64; 2]> {
    const SOME: usize = 1 << 16;
    let mut range = [f64::INFINITY, f64::NEG_INFINITY];
    let count = header.count()?;
    for start in (0..count).step_by(SOME) {
        for x in header.next_numbers(source, SOME.min(count - start))? {
            if !x.is_finite() {
                return Ok([f64::NAN; 2]);
            }
            range = [range[0].min(x), range[1].max(x)];
        }
    }
    Ok(range)
}

/// How the numbers of an array become levels: Python that suits their range.
fn as_levels(header: &Header, source: &mut dyn io::Read) -> String {
    let (name, x) = (&header.name, variable(&header.name));
    let range = match header.kind {
        'b' => Ok([0.0, 1.0]),
        _ => range(header, source),
    };
    let Ok([low, high]) = range else {
        return format!("{name} cannot be read as numbers");
    };
    if low.is_nan() {
        return format!("{name} has numbers that are not finite; replace them first");
    }
    let levels = if 0.0 <= low && high <= 1.0 {
        format!("(255 * {x}).round()")
    } else if -1.0 <= low && high <= 1.0 {
        format!("(127.5 * ({x} + 1)).round()")
    } else if 0.0 <= low && high <= 255.0 {
        format!("{x}.round()")
    } else if low < high {
        let [shifted, width] = [low, high - low].map(|x| x.to_string());
        format!("(255 / {width} * ({x} - {shifted})).round()").replace("- -", "+ ")
    } else {
        return format!("all numbers of {name} are {low}");
    };
    let order = match header.shape[..] {
        [_, c, _, last] if [1, 3].contains(&c) && ![1, 3].contains(&last) => {
            ".transpose(0, 2, 3, 1)"
        }
        _ => "",
    };
    format!(
        "the numbers of {name} go from {low} to {high}; save them as levels, in Python: \
         numpy.savez('images.npz', {levels}.astype('uint8'){order})"
    )
}

/// Writes one array of levels, in row-major order.
pub(in crate::data) fn write(path: &Path, name: &str, levels: &Array4<u8>) -> Result<()> {
    let bytes = levels.as_slice().expect("row-major order");
    store::replace(path, |out| {
        let mut writer = Writer::new(out);
        writer.levels(name, levels.shape(), bytes)?;
        writer.finish()
    })
}
