//! Pictures of a population and its motion as SVG, and the same drawing as PNG.
//!
//! Points of more than two columns are projected on the first two principal axes of the observed
//! clouds ([`Projection`]). A population of one column is drawn against time. Colour is time, from
//! dark (early) to light (late), in real units, or by the order of the times where these are so
//! unequally spaced that some would look alike.
//!
//! The caption of a picture states how many points are not drawn, how many lie outside of the axes,
//! and which characters the font lacks.
//!
//! ```
//! use actum::{cloud::Cloud, plot::{self, Panel, Projection}};
//! use ndarray::array;
//!
//! let first = Cloud::new(array![[0.0, 1.0], [0.5, 0.8]])?;
//! let last = Cloud::new(array![[2.0, 0.0], [2.5, 0.1]])?;
//! let projection = Projection::fit(&[&first, &last], &["height".into(), "age".into()])?;
//! let panel = |time: f64, cloud| Panel {
//!     time,
//!     label: format!("{time} h"),
//!     observed: Some(cloud),
//!     predicted: None,
//!     held_out: false,
//! };
//! let picture = plot::snapshots(&[panel(0.0, first), panel(6.0, last)], "", &projection, None)?;
//! assert!(picture.svg().starts_with("<svg"));
//! # Ok::<(), actum::error::Error>(())
//! ```

mod axis;
mod canvas;
mod classes;
mod colour;
mod curves;
mod loss;
mod mass;
mod population;
mod projection;
mod scores;
mod snapshots;
mod streamlines;
mod trajectories;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, LazyLock},
};

use resvg::{tiny_skia, usvg};

use crate::{
    cloud::Cloud,
    error::{Error, ErrorKind, Result, ensure},
    store,
};

#[cfg(feature = "train")]
pub(crate) use classes::COLOURS as CLASS_COLOURS;
pub use classes::{ByClass, Classes};
#[cfg(feature = "train")]
pub(crate) use colour::{TimeScale, hex, ramp};
pub use curves::{Axis, Chart, Curve, Look, curves};
pub use loss::{LossPoint, loss};
pub use mass::{ObservedMass, mass};
pub use projection::Projection;
pub use scores::{Score, scores};
pub use snapshots::{Panel, snapshots, snapshots_apart};
pub use streamlines::streamlines;
pub use trajectories::trajectories;

/// An observed cloud and its time.
#[derive(Debug, Clone)]
pub struct Observed<'a> {
    /// Real time, in the units of the data.
    pub time: f64,
    /// Its name in the legend: "day 2".
    pub label: String,
    /// The points, `[n, d]`.
    pub cloud: &'a Cloud,
}

/// A finished drawing.
///
/// The same input gives the same bytes. Characters that Noto Sans lacks are drawn with the reader's
/// own fonts in the SVG and are missing in the PNG; a line below the picture says so.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    svg: String,
}

/// Pixels of the PNG for one unit of the SVG.
const RASTER: f32 = 2.0;

static FONTS: LazyLock<Arc<usvg::fontdb::Database>> = LazyLock::new(|| {
    let mut fonts = usvg::fontdb::Database::new();
    for font in [notosans::REGULAR_TTF, notosans::BOLD_TTF] {
        fonts.load_font_data(font.to_vec());
    }
    fonts.set_sans_serif_family(canvas::FAMILY);
    Arc::new(fonts)
});

impl Picture {
    /// The drawing as an SVG document.
    pub fn svg(&self) -> &str {
        &self.svg
    }

    /// The drawing as a PNG file, two pixels for every unit of the SVG.
    ///
    /// # Errors
    /// The drawing is too large for the memory.
    pub fn png(&self) -> Result<Vec<u8>> {
        let tree = self.tree()?;
        let size = tree.size().to_int_size();
        let side = |length: u32| (length as f32 * RASTER) as u32;
        let mut pixels = tiny_skia::Pixmap::new(side(size.width()), side(size.height()))
            .ok_or_else(|| {
                Error::new(
                    ErrorKind::Value,
                    format!(
                        "a picture of {} by {} is too large; draw fewer panels",
                        size.width(),
                        size.height()
                    ),
                )
            })?;
        let scale = tiny_skia::Transform::from_scale(RASTER, RASTER);
        resvg::render(&tree, scale, &mut pixels.as_mut());
        pixels
            .encode_png()
            .map_err(|cause| Error::new(ErrorKind::Value, "cannot encode the PNG").because(cause))
    }

    /// Writes `stem.svg` and `stem.png` and returns their paths. The extension is appended: a stem
    /// `fit.1` becomes `fit.1.svg`.
    ///
    /// # Errors
    /// The folder is missing or read-only, or the disk is full.
    pub fn save(&self, stem: &Path) -> Result<[PathBuf; 2]> {
        let with = |extension: &str| {
            let mut path = stem.as_os_str().to_owned();
            path.push(extension);
            PathBuf::from(path)
        };
        let paths = [with(".svg"), with(".png")];
        let png = self.png()?;
        store::replace(&paths[0], |w| w.write_all(self.svg.as_bytes()))?;
        store::replace(&paths[1], |w| w.write_all(&png))?;
        Ok(paths)
    }

    fn tree(&self) -> Result<usvg::Tree> {
        let options = usvg::Options {
            fontdb: FONTS.clone(),
            font_family: canvas::FAMILY.to_owned(),
            ..usvg::Options::default()
        };
        usvg::Tree::from_str(&self.svg, &options)
            .map_err(|cause| Error::new(ErrorKind::Format, "cannot draw the SVG").because(cause))
    }
}

/// Refuses numbers that an axis cannot show.
fn check(what: &str, values: impl IntoIterator<Item = f64>) -> Result<()> {
    for (i, value) in values.into_iter().enumerate() {
        ensure!(
            value.is_finite() && value.abs() < 1e150,
            Value,
            "{what} {i} is {value}; a picture needs finite numbers below 1e150 in magnitude"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, Array3, array};

    use super::*;

    fn columns(d: usize) -> Vec<String> {
        (0..d).map(|i| format!("<column & {i}>")).collect()
    }

    /// n points around `center`, `size` wide, drifting with `time`.
    fn cloud(n: usize, d: usize, center: f64, size: f64, time: f64) -> Cloud {
        let at = |(i, j): (usize, usize)| {
            let wave = ((i * 7 + j * 13) as f64 * 1.7).sin() + 0.4 * ((i * i + j) as f64).cos();
            center + size * (wave + time * (j + 1) as f64)
        };
        Cloud::new(Array2::from_shape_fn((n, d), at)).unwrap()
    }

    /// Every picture of a population.
    fn pictures(clouds: &[Cloud], times: &[f64]) -> Result<Vec<Picture>> {
        let d = clouds[0].dimension();
        let projection = Projection::fit(&clouds.iter().collect::<Vec<_>>(), &columns(d))?;
        let label = |t: &f64| format!("<day & {t}>");
        let panels: Vec<Panel> = times
            .iter()
            .zip(clouds)
            .enumerate()
            .map(|(i, (t, c))| Panel {
                time: *t,
                label: label(t),
                observed: (i != 1).then(|| c.clone()),
                predicted: (i != 0).then(|| c.clone()),
                held_out: i % 2 == 1,
            })
            .collect();
        let observed: Vec<Observed> = times
            .iter()
            .zip(clouds)
            .map(|(t, cloud)| Observed {
                time: *t,
                label: label(t),
                cloud,
            })
            .collect();
        let n = clouds.iter().map(Cloud::len).min().unwrap();
        let points =
            Array3::from_shape_fn((times.len(), n, d), |(k, i, j)| clouds[k].points()[[i, j]]);
        let first = clouds[0].points();
        let moves = Array2::from_shape_fn(first.dim(), |(i, j)| {
            clouds[clouds.len() - 1].points()[[i.min(n - 1), j]] - first[[i, j]]
        });
        let when = vec![times[0]; first.nrows()];
        Ok(vec![
            snapshots(&panels, "Predicted from t = 0.", &projection, None)?,
            trajectories(times, &points, &observed, &projection, None)?,
            streamlines(first, &moves, &when, &observed, &projection, None)?,
        ])
    }

    fn curve(n: usize) -> Vec<LossPoint> {
        let at = |step| LossPoint {
            step,
            loss: (step as f64).sin() - 2.0,
            smooth: (n > 3).then_some(-2.0),
        };
        (0..n).map(at).collect()
    }

    fn texts(group: &usvg::Group, found: &mut Vec<(String, usvg::Rect)>) {
        for node in group.children() {
            match node {
                usvg::Node::Group(group) => texts(group, found),
                usvg::Node::Text(text) => {
                    let written = text.chunks().iter().map(|c| c.text()).collect();
                    found.push((written, text.abs_bounding_box()));
                }
                _ => {}
            }
        }
    }

    /// A picture is XML. Its PNG is twice its size and neither blank nor full. Its texts are inside
    /// of the canvas and do not overlap.
    fn assert_sound(picture: &Picture, what: &str) {
        let tree = picture.tree().unwrap();
        let size = tree.size();
        let bytes = picture.png().unwrap();
        let pixels = tiny_skia::Pixmap::decode_png(&bytes).unwrap();
        assert_eq!(f64::from(pixels.width()), 2.0 * f64::from(size.width()));
        assert_eq!(f64::from(pixels.height()), 2.0 * f64::from(size.height()));
        let ink = pixels
            .pixels()
            .iter()
            .filter(|p| (p.red(), p.green(), p.blue()) != (255, 255, 255));
        let share = ink.count() as f64 / (pixels.width() * pixels.height()) as f64;
        assert!(
            (0.005..0.6).contains(&share),
            "{what}: {share} of the pixels are not white"
        );
        assert!(pixels.pixels().iter().all(|p| p.alpha() == 255));
        assert!(
            picture.svg().len() < 2_000_000,
            "{what}: {} bytes",
            picture.svg().len()
        );
        assert!(
            !picture.svg().contains("NaN") && !picture.svg().contains("inf"),
            "{what}"
        );

        let mut found = Vec::new();
        texts(tree.root(), &mut found);
        assert!(found.len() >= 3, "{what}: {found:?}");
        for (i, (text, at)) in found.iter().enumerate() {
            let inside = at.left() >= 0.0
                && at.top() >= 0.0
                && at.right() <= size.width()
                && at.bottom() <= size.height();
            assert!(inside, "{what}: {text:?} at {at:?} leaves {size:?}");
            for (other, there) in &found[..i] {
                // A box has the full height of the font; letters fill about two thirds.
                let apart = at.left() >= there.right()
                    || there.left() >= at.right()
                    || at.top() + 4.0 >= there.bottom()
                    || there.top() + 4.0 >= at.bottom();
                assert!(
                    apart,
                    "{what}: {text:?} at {at:?} overlaps {other:?} at {there:?}"
                );
            }
        }
    }

    #[test]
    fn pictures_are_sound_for_any_dimension_and_number_of_times() {
        let uneven: Vec<f64> = (0..20).map(|i| f64::from(i * i) * 0.25).collect();
        for d in [1, 2, 7] {
            for times in [
                &uneven[..1],
                &uneven[..2],
                &uneven[..5],
                &uneven[..7],
                &uneven[..8],
                &uneven,
            ] {
                let clouds: Vec<Cloud> =
                    times.iter().map(|t| cloud(120, d, 1.0, 0.5, *t)).collect();
                for (i, picture) in pictures(&clouds, times).unwrap().iter().enumerate() {
                    assert_sound(
                        picture,
                        &format!("d = {d}, {} times, picture {i}", times.len()),
                    );
                }
            }
        }
    }

    #[test]
    fn pictures_are_sound_for_extreme_numbers() {
        for d in [1, 2, 3] {
            for (n, center, size) in [
                (1, 3.0, 1.0),
                (30, 0.0, 0.0),
                (30, 5.0, 0.0),
                (50, 0.0, 1e120),
                (50, 0.0, 1e-120),
                (50, 1e9, 1e-2),
                (50, -1e6, 1e-9),
            ] {
                let times = [0.0, 1e-3, 2e5];
                let clouds = [0.0, 0.1, 2.0].map(|t| cloud(n, d, center, size, t));
                for (i, picture) in pictures(&clouds, &times).unwrap().iter().enumerate() {
                    assert_sound(
                        picture,
                        &format!("d = {d}, {n} points at {center}, {size} wide, picture {i}"),
                    );
                }
            }
        }
    }

    #[test]
    fn large_clouds_stay_small_pictures_and_say_so() {
        let times = [0.0, 1.0, 2.0, 3.0, 4.0];
        let clouds = times.map(|t| cloud(4000, 2, 0.0, 1.0, t));
        let pictures = pictures(&clouds, &times).unwrap();
        assert!(
            pictures[0]
                .svg()
                .contains("6,000 of 16,000 observed points are drawn.")
        );
        assert!(
            pictures[1]
                .svg()
                .contains("80 of 4,000 trajectories are drawn.")
        );
        for (i, picture) in pictures.iter().enumerate() {
            assert_sound(picture, &format!("picture {i} of large clouds"));
        }
    }

    #[test]
    fn weights_are_areas_and_nothing_is_drawn_for_zero() {
        let points = array![[0.0, 0.0], [1.0, 1.0], [2.0, 0.0]];
        let cloud = Cloud::weighted(points, array![1.0, 4.0, 0.0]).unwrap();
        let projection = Projection::fit(&[&cloud], &columns(2)).unwrap();
        let panel = Panel {
            time: 0.0,
            label: "a".into(),
            observed: Some(cloud),
            predicted: None,
            held_out: false,
        };
        let picture = snapshots(&[panel], "", &projection, None).unwrap();
        assert!(
            picture
                .svg()
                .contains("The area of a dot is its share of the mass at its time.")
        );
        let radii: Vec<f64> = picture
            .svg()
            .split("r=\"")
            .skip(1)
            .filter_map(|rest| rest.split('"').next()?.parse().ok())
            .collect();
        // The first dot belongs to the heading.
        assert_eq!(radii.len(), 3);
        assert!((radii[2] / radii[1] - 2.0).abs() < 0.02, "{radii:?}");
    }

    #[test]
    fn the_same_input_gives_the_same_bytes() {
        let draw = || {
            let clouds = [0.0, 1.0].map(|t| cloud(2500, 9, 0.0, 1.0, t));
            pictures(&clouds, &[0.0, 1.0]).unwrap()
        };
        let (one, two) = (draw(), draw());
        assert_eq!(one, two);
        assert_eq!(one[0].png().unwrap(), two[0].png().unwrap());
    }

    #[test]
    fn loss_and_scores_are_sound() {
        for n in [1, 2, 50, 30_000] {
            let events: Vec<(usize, String)> = (0..12)
                .map(|i| (i * n / 12, format!("mark <{i}> & more")))
                .collect();
            let picture = loss("Loss of <a & b>, a title that is much longer than one line of the picture could ever hold, so it goes on below", &curve(n), &events).unwrap();
            assert_sound(&picture, &format!("loss of {n} steps"));
        }
        for values in [
            vec![0.0],
            vec![1.0, 0.2],
            vec![1e9, 1e-9],
            vec![-1.0, 2.0, 0.5],
            vec![-3.0, -1.0],
        ] {
            let rows: Vec<Score> = values
                .iter()
                .enumerate()
                .map(|(i, value)| Score {
                    name: format!("<row & {i}> with quite a long name to be cut somewhere"),
                    value: *value,
                    result: i == 1,
                })
                .collect();
            assert_sound(
                &scores("W1 to <day & 2>", &rows).unwrap(),
                &format!("scores {values:?}"),
            );
        }
    }

    #[test]
    fn curves_are_sound() {
        let long =
            "a name <that> nobody would write & that has no place beside a frame as small as this";
        for logarithmic in [false, true] {
            for (count, columns) in [(1, 3), (4, 2), (7, 3)] {
                for (n, size) in [(1, 1.0), (2, 1e120), (30, 1e-120), (3000, 1.0), (50, 1e4)] {
                    let chart = |i: usize| {
                        let axis = || Axis {
                            name: format!("{long} {i}"),
                            logarithmic,
                        };
                        let points = |j: usize| {
                            let at = |k: usize| {
                                let wave = 1.2 + ((k * (j + 1)) as f64 * 0.01).sin();
                                [
                                    size * (1.0 + k as f64).powi(3),
                                    size * wave * (j + 1) as f64,
                                ]
                            };
                            (0..n).map(at).collect()
                        };
                        let look = |j| {
                            if j == 1 {
                                Look::Truth
                            } else {
                                Look::Learned(j)
                            }
                        };
                        let curve = |j: usize| Curve {
                            name: format!("<{j}> & {}", &long[..10 * j]),
                            points: points(j),
                            look: look(j),
                            dots: n < 60,
                        };
                        Chart {
                            title: format!("{long} {i}"),
                            x: axis(),
                            y: axis(),
                            curves: (0..=i + 2).map(curve).collect(),
                            y_limits: (i == 1).then_some([0.5 * size, 1.5 * size]),
                            density: (i == 2 && n > 1).then(|| points(0)),
                        }
                    };
                    let charts: Vec<Chart> = (0..count).map(chart).collect();
                    let picture = curves("Curves of <a & b>", &charts, columns).unwrap();
                    let what = format!("{count} charts, {n} points, {size}, {logarithmic}");
                    assert_sound(&picture, &what);
                }
            }
        }
    }

    #[test]
    fn long_labels_are_cut() {
        let long = "a label that nobody would write but a file name could well be as long as this"
            .to_owned();
        let clouds = [0.0, 1.0].map(|t| cloud(40, 2, 0.0, 1.0, t));
        let projection = Projection::fit(&[&clouds[0]], &[long.repeat(3), long.repeat(3)]).unwrap();
        let observed: Vec<Observed> = clouds
            .iter()
            .map(|cloud| Observed {
                time: 0.0,
                label: long.clone(),
                cloud,
            })
            .collect();
        let points = Array3::zeros((2, 1, 2));
        assert_sound(
            &trajectories(&[0.0, 1.0], &points, &observed, &projection, None).unwrap(),
            "trajectories",
        );
        let panel = |c: &Cloud| Panel {
            time: 1.0,
            label: long.clone(),
            observed: Some(c.clone()),
            predicted: None,
            held_out: true,
        };
        assert_sound(
            &snapshots(&clouds.each_ref().map(panel), "", &projection, None).unwrap(),
            "snapshots",
        );
    }

    #[test]
    fn bad_input_is_refused() {
        let c = cloud(5, 2, 0.0, 1.0, 0.0);
        let projection = Projection::fit(&[&c], &columns(2)).unwrap();
        let kind = |p: Result<Picture>| p.unwrap_err().kind();
        let nan = |k: usize| Array3::from_elem((k, 3, 2), f64::NAN);
        let zero = Array2::zeros((3, 2));
        assert_eq!(
            kind(snapshots(&[], "", &projection, None)),
            ErrorKind::Value
        );
        assert_eq!(
            kind(trajectories(&[0.0, 1.0], &nan(2), &[], &projection, None)),
            ErrorKind::Value
        );
        assert_eq!(
            kind(trajectories(
                &[0.0, 0.0],
                &Array3::zeros((2, 3, 2)),
                &[],
                &projection,
                None
            )),
            ErrorKind::Value
        );
        assert_eq!(
            kind(trajectories(
                &[0.0],
                &Array3::zeros((2, 3, 2)),
                &[],
                &projection,
                None
            )),
            ErrorKind::Shape
        );
        assert_eq!(
            kind(trajectories(
                &[0.0],
                &Array3::zeros((1, 3, 4)),
                &[],
                &projection,
                None
            )),
            ErrorKind::Shape
        );
        assert_eq!(
            kind(trajectories(
                &[],
                &Array3::zeros((0, 0, 2)),
                &[],
                &projection,
                None
            )),
            ErrorKind::Value
        );
        let still = [0.0; 3];
        assert_eq!(
            kind(streamlines(
                &zero,
                &(&zero + f64::NAN),
                &still,
                &[],
                &projection,
                None
            )),
            ErrorKind::Value
        );
        assert_eq!(
            kind(streamlines(
                &zero,
                &zero,
                &still[1..],
                &[],
                &projection,
                None
            )),
            ErrorKind::Shape
        );
        assert_eq!(
            kind(streamlines(
                &Array2::zeros((0, 2)),
                &Array2::zeros((0, 2)),
                &[],
                &[],
                &projection,
                None
            )),
            ErrorKind::Value
        );
        assert_eq!(kind(loss("", &[], &[])), ErrorKind::Value);
        let gone = LossPoint {
            step: 7,
            loss: f64::NAN,
            smooth: None,
        };
        let error = loss("", &[gone], &[]).unwrap_err();
        assert!(error.to_string().contains("step 7"), "{error}");
        assert_eq!(kind(scores("", &[])), ErrorKind::Value);
        let other = cloud(5, 3, 0.0, 1.0, 0.0);
        let panel = Panel {
            time: 0.0,
            label: "x".into(),
            observed: Some(other),
            predicted: None,
            held_out: false,
        };
        assert_eq!(
            kind(snapshots(&[panel], "", &projection, None)),
            ErrorKind::Shape
        );
    }

    #[test]
    fn a_picture_is_saved_as_two_files() {
        let folder = tempfile::tempdir().unwrap();
        let picture = loss("", &curve(5), &[]).unwrap();
        let [svg, png] = picture.save(&folder.path().join("fit.1")).unwrap();
        assert!(svg.ends_with("fit.1.svg") && png.ends_with("fit.1.png"));
        assert_eq!(std::fs::read_to_string(svg).unwrap(), picture.svg());
        assert_eq!(std::fs::read(png).unwrap(), picture.png().unwrap());
        assert_eq!(
            picture
                .save(&folder.path().join("no/such"))
                .unwrap_err()
                .kind(),
            ErrorKind::Io
        );
    }
}
