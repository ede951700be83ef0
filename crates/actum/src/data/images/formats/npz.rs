//! NumPy archives of levels.

use std::{io::Cursor, path::Path};

use ndarray::{Array4, ArrayD, Axis, IxDyn, ShapeBuilder};

use crate::{
    data::formats::npz::{Archive, Writer},
    error::{Error, ErrorKind, Result, ensure},
    store,
};

/// The one array of whole levels in a file of images: `[n, height, width]` or `[n, height, width,
/// channels]`.
pub(super) fn read(bytes: &[u8]) -> Result<Array4<u8>> {
    let mut archive = Archive::new(Cursor::new(bytes))?;
    let (mut found, mut seen) = (vec![], vec![]);
    for name in archive.names.clone() {
        archive.array(&name, |header, _| {
            if (header.kind, header.size) == ('u', 1) && [3, 4].contains(&header.shape.len()) {
                found.push(name.clone());
            }
            seen.push(format!("{name} {} {:?}", header.type_name(), header.shape));
            Ok(())
        })?;
    }
    let [name] = &found[..] else {
        let what = format!(
            "expected one array of uint8, [n, height, width] or [n, height, width, channels], got \
             {} of that kind among: {}; save the images alone, in Python: \
             numpy.savez('images.npz', images.astype('uint8')), with levels from 0 to 255",
            found.len(),
            seen.join(", ")
        );
        return Err(Error::new(ErrorKind::Format, what));
    };
    archive.array(name, |header, source| {
        let count = header.count()?;
        if let [_, c, _, last] = header.shape[..] {
            ensure!(
                [1, 3].contains(&last) || ![1, 3].contains(&c),
                Shape,
                "array {name:?} has shape {:?}, channels first; save it channels last, in Python: \
                 images.transpose(0, 2, 3, 1)",
                header.shape
            );
        }
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

/// Writes one array of levels, in row-major order.
pub(in crate::data) fn write(path: &Path, name: &str, levels: &Array4<u8>) -> Result<()> {
    let bytes = levels.as_slice().expect("row-major order");
    store::replace(path, |out| {
        let mut writer = Writer::new(out);
        writer.levels(name, levels.shape(), bytes)?;
        writer.finish()
    })
}
