//! What a report of a run of images shows.

use rayon::prelude::*;

use super::{
    Cell, Chart, Part, Raster, Report, Section, Table,
    parts::{count, number},
    snapshots::{how, log_table},
};
use crate::{
    action::Device,
    data::Images,
    error::{Result, ensure},
    metric,
    plot::{LossPoint, loss},
    problem::{Method, Task},
    run::{ImageModel, Record, Run},
};

/// What a caller knows beside the run.
#[derive(Debug, Clone, Default)]
pub struct ToldOfImages<'a> {
    /// The images of its data, as it [sees](Run::view_images) them: the nearest of those that it
    /// was fitted on are shown beside generated ones.
    pub fitted: Option<&'a Images>,
    /// Images that it restores, as it sees them.
    pub restored: Option<&'a Images>,
    /// The commands that make the run and its report again.
    pub commands: Vec<String>,
}

/// How many images are generated, and how many restored.
const GENERATED: usize = 24;
/// How many are restored.
const RESTORED: usize = 12;
/// Among how many images the nearest is looked for.
const SEARCHED: usize = 20_000;

impl Report {
    /// Of a run of images: what it makes or restores, and how its fit went.
    ///
    /// # Errors
    /// A run of snapshots; a fit that is not finished; nothing to restore for a run that restores
    /// (`Missing`), and images to restore for one that makes some (`Setting`).
    pub fn of_images(run: &Run, device: &Device, told: &ToldOfImages) -> Result<Self> {
        let (settings, seen) = run.images()?;
        let limited = match (told.fitted, settings.data.limit) {
            (Some(all), Some(limit)) if limit < all.len() => {
                Some(all.select(&(0..limit).collect::<Vec<_>>())?)
            }
            _ => None,
        };
        let told = &ToldOfImages {
            fitted: limited.as_ref().or(told.fitted),
            ..told.clone()
        };
        ensure!(
            settings.task != Task::Generate || told.restored.is_none(),
            Setting,
            "this run makes images and restores none: leave out those to restore"
        );
        let model = run.model(device)?;
        let [h, w, c] = seen.shape;
        let what = match settings.task {
            Task::Generate => "to make new ones",
            Task::Superres => "to double their size",
            Task::Colorize => "to colour gray ones",
            Task::Inpaint => "to fill in what is hidden of them",
        };
        let method = match settings.method {
            Method::Action => "an action",
            Method::Score => "a score",
        };
        let mut summary = vec![format!(
            "From {} of {h} x {w} pixels in {}, Actum learned {method} {what}.",
            count(seen.images, "image"),
            count(c, "channel"),
        )];
        let section = match settings.task {
            Task::Generate => generated(&model, told, settings.fit.seed, &mut summary)?,
            _ => restored(&model, told, &mut summary)?,
        };
        let log = run.log()?;
        let careful = match (run.warning()?, settings.task) {
            (Some(warning), _) => format!("Be careful: {warning}."),
            (None, Task::Generate) => {
                "Be careful with what looks like a copy: the nearest images it was fitted on are \
                 beside its own."
                    .to_owned()
            }
            (None, _) => {
                "Be careful with details: what was not observed is what is likely, not what \
                          was there."
                    .to_owned()
            }
        };
        summary.push(careful);
        let points: Vec<LossPoint> = log
            .iter()
            .filter_map(|record| match record {
                Record::Step(step) => Some(LossPoint {
                    step: step.step,
                    loss: step.loss,
                    smooth: Some(step.smoothed),
                }),
                Record::Rollback(_) => None,
            })
            .collect();
        let mut fit = vec![];
        if !points.is_empty() {
            let about = "The objective on the batch of each step, and its level.";
            fit.push(Part::Chart(Chart::new(
                &loss("Objective", &points, &[])?,
                about,
            )));
        }
        fit.push(Part::Table(log_table(&log)));
        let source = run.source();
        let data = format!("Data: {}. Hash: {}.", source.data, source.fingerprint);
        let mut data = vec![Part::Text(data)];
        let warnings = told.fitted.map(Images::warnings).unwrap_or_default();
        if !warnings.is_empty() {
            data.push(Part::List(
                warnings.iter().map(|text| format!("{text}.")).collect(),
            ));
        }
        let name = std::path::Path::new(&source.data).file_name();
        let name = name.map_or(source.data.clone(), |name| {
            name.to_string_lossy().into_owned()
        });
        Ok(Self {
            title: format!("Images after {name}"),
            about: format!("Action Matching by actum {}.", source.version),
            summary,
            scene: None,
            sections: vec![
                section,
                Section::new("The fit", fit),
                Section::new("Data", data),
                how(run, run.settings().to_toml(), &told.commands),
            ],
            version: env!("CARGO_PKG_VERSION").to_owned(),
        })
    }
}

fn generated(
    model: &ImageModel,
    told: &ToldOfImages,
    seed: u64,
    summary: &mut Vec<String>,
) -> Result<Section> {
    let made = model
        .sample(GENERATED, seed, ImageModel::SCHEME, told.fitted)?
        .images;
    let mut parts = vec![Part::Image(Raster {
        about: format!("{GENERATED} images that the model made."),
        png: made.grid(6)?,
    })];
    let Some(fitted) = told.fitted else {
        summary.push(
            "How near they are to those it was fitted on is not known: these are not there."
                .to_owned(),
        );
        return Ok(Section::new("Generated images", parts));
    };
    let fitted = fitted.sample(SEARCHED, 0)?;
    let found = nearest(&made, &fitted, false);
    // How near images of the data are to each other.
    let some = fitted.sample(GENERATED, 1)?;
    let among = nearest(&some, &fitted, true);
    let pairs = (0..made.len())
        .flat_map(|i| [i, made.len() + i])
        .collect::<Vec<_>>();
    let near: Vec<usize> = found.iter().map(|(i, _)| *i).collect();
    let both = made.beside(&fitted.select(&near)?)?.select(&pairs)?;
    parts.push(Part::Image(Raster {
        about: format!(
            "Each image that the model made, and right of it the nearest of {} that it was fitted \
             on.",
            count(fitted.len(), "image")
        ),
        png: both.grid(8)?,
    }));
    let median = |found: &[(usize, f64)]| {
        let mut all: Vec<f64> = found.iter().map(|(_, d)| *d).collect();
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    };
    let (own, usual) = (median(&found), median(&among));
    summary.push(format!(
        "The nearest image it was fitted on is {} levels a pixel away from one that it makes (root \
         mean square, median), and {} from another image of the data: {}.",
        number(own),
        number(usual),
        match own < 0.5 * usual {
            true => "it may repeat images that it was shown",
            false => "it does not repeat images that it was shown",
        }
    ));
    let mut table = Table::new(
        "Distance to the nearest image of the data",
        &["image", "of the model", "of the data"],
    );
    for (i, (own, usual)) in found.iter().zip(&among).enumerate() {
        table
            .rows
            .push(vec![Cell::Count(i), own.1.into(), usual.1.into()]);
    }
    table.folded = true;
    parts.push(Part::Table(table));
    Ok(Section::new("Generated images", parts))
}

fn restored(model: &ImageModel, told: &ToldOfImages, summary: &mut Vec<String>) -> Result<Section> {
    let given = told.restored.or(told.fitted);
    ensure!(
        given.is_some(),
        Missing,
        "there are no images to restore: name some"
    );
    let images = given.expect("there are some").sample(RESTORED, 0)?;
    let (all, columns) = model.beside(&images, 0.0, 0, ImageModel::SCHEME)?;
    let column = |k: usize| {
        let rows: Vec<usize> = (0..images.len()).map(|i| i * columns + k).collect();
        all.select(&rows)
    };
    let (observed, baseline, restored) = (column(0)?, column(1)?, column(2)?);
    let raster = |images: &Images, about: &str| -> Result<Raster> {
        Ok(Raster {
            about: about.to_owned(),
            png: images.grid(4)?,
        })
    };
    let compare = |title: &str, before: &Images, about: &str| -> Result<Part> {
        Ok(Part::Compare {
            title: title.to_owned(),
            before: raster(before, about)?,
            after: raster(&restored, "restored")?,
        })
    };
    let mut parts = vec![compare(
        "Observed and restored",
        &observed,
        "what is observed",
    )?];
    parts.push(compare("Baseline and restored", &baseline, "the baseline")?);
    if columns < 4 {
        summary.push("How well it restores is not known: there are no whole images.".to_owned());
        return Ok(Section::new("Restored images", parts));
    }
    let truth = column(3)?;
    parts.push(compare(
        "The images and restored",
        &truth,
        "the images themselves",
    )?);
    let mut table = Table::new(
        "Restored images",
        &[
            "image",
            "PSNR",
            "PSNR of the baseline",
            "SSIM",
            "SSIM of the baseline",
        ],
    );
    let psnr = [
        metric::psnr(&restored, &truth)?,
        metric::psnr(&baseline, &truth)?,
    ];
    let ssim = [&restored, &baseline].map(|found| metric::ssim(found, &truth).ok());
    for i in 0..images.len() {
        let ssim = ssim.each_ref().map(|all| all.as_ref().map(|all| all[i]));
        table.rows.push(vec![
            Cell::Count(i),
            psnr[0][i].into(),
            psnr[1][i].into(),
            ssim[0].into(),
            ssim[1].into(),
        ]);
    }
    let mean = |all: &[f64]| all.iter().filter(|x| x.is_finite()).sum::<f64>() / all.len() as f64;
    let [own, usual] = [mean(&psnr[0]), mean(&psnr[1])];
    summary.push(format!(
        "Restored images have a PSNR of {own:.2} dB, the baseline {usual:.2} dB (means of {}): {}.",
        count(images.len(), "image"),
        match own > usual {
            true => "they are nearer to the images than the baseline is",
            false => "the baseline is nearer to the images",
        }
    ));
    parts.push(Part::Table(table));
    Ok(Section::new("Restored images", parts))
}

/// For each image the place of the nearest of others, and the root mean square difference of their
/// levels. An image that is one of the others is not its own nearest.
fn nearest(images: &Images, others: &Images, apart: bool) -> Vec<(usize, f64)> {
    let distance = |a: &[u8], b: &[u8]| -> u64 {
        let squares = a
            .iter()
            .zip(b)
            .map(|(a, b)| u64::from(a.abs_diff(*b)).pow(2));
        squares.sum()
    };
    let one = |i: usize| {
        let all = (0..others.len()).map(|j| (j, distance(images.image(i), others.image(j))));
        let found = all
            .filter(|(_, d)| !apart || *d > 0)
            .min_by_key(|(_, d)| *d);
        let (j, d) = found.unwrap_or((0, 0));
        (j, (d as f64 / images.dimension() as f64).sqrt())
    };
    (0..images.len()).into_par_iter().map(one).collect()
}
