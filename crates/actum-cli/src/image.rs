//! `actum image`.

use std::path::{Path, PathBuf};

use actum::{
    action::Device,
    data::{ImageTarget, Images},
    error::{Error, ErrorKind, Result},
    flow::Scheme,
    gallery::Shapes,
    path::Mask,
    problem::{Half, Hidden, Method, NoisePath, Task},
    run::{IfExists, ImageModel, ImageSettings, Record, Run, SampleQuality, Schema},
};
use serde_json::json;

use crate::{
    arguments::{Image, ImageFit, ImageRestore, ImageSample, ImageScore},
    output,
    progress::Progress,
};

pub fn run(arguments: &Image) -> Result<()> {
    match arguments {
        Image::Fit(arguments) => fit(arguments),
        Image::Sample(arguments) => sample(arguments),
        Image::Restore(arguments) => restore(arguments),
        Image::Score(arguments) => score(arguments),
    }
}

/// A name that holds in any folder.
fn full(what: &str) -> String {
    if what == Shapes::NAME {
        return what.to_owned();
    }
    let path = std::path::absolute(what).unwrap_or(PathBuf::from(what));
    path.display().to_string()
}

fn warn(images: &Images) {
    for warning in images.warnings() {
        output::say(&format!("warning: {}: {warning}", images.source()));
    }
}

fn fit(arguments: &ImageFit) -> Result<()> {
    let fitting = &arguments.fitting;
    let if_exists = fitting.if_exists();
    let (base, data) = match if_exists {
        IfExists::Resume => {
            let run = Run::open_to_resume(&fitting.output)?;
            (run.images()?.0.clone(), run.source().data.clone())
        }
        _ => (ImageSettings::default(), Shapes::NAME.to_owned()),
    };
    let settings = arguments.settings(base)?;
    let device = Device::named(&fitting.device)?;
    let claim = if_exists.claim(&fitting.output)?;
    let data = arguments.data.as_deref().map_or(data, full);
    let images = Shapes::or_read(&data, Shapes::SEEN)?;
    warn(&images);
    let mut progress = Progress::new(settings.fit.steps);
    progress.joining(claim.undo());
    let run = Run::fit(claim, &images, &data, &settings, &device, &mut progress)
        .inspect_err(|error| fitting.note_interrupted("actum image fit", error))?;
    let objective = Record::last_step(&run.log()?).map(|step| step.smoothed);
    let (_, seen) = run.images()?;
    if fitting.json {
        output::json(&json!({
            "run": output::name(&fitting.output),
            "steps": settings.fit.steps,
            "objective": objective,
            "images": seen.images,
            "shape": seen.shape,
        }));
        return Ok(());
    }
    let folder = output::path(&fitting.output);
    let [height, width, channels] = seen.shape;
    output::line(&format!(
        "{folder}: {} steps on {} of {height} x {width} pixels in {}, objective {}\n\n\
         Look at {}. Next:",
        settings.fit.steps,
        output::count(seen.images, "image"),
        output::count(channels, "channel"),
        objective.map_or("unknown".to_owned(), output::number),
        output::path(&fitting.output.join("samples.png")),
    ));
    let data = output::quoted(&data);
    match settings.task {
        Task::Generate => output::line(&format!("  actum image sample {folder} -n 64 -o grid.png")),
        _ => output::line(&format!(
            "  actum image restore {folder} --input {data} -o restored.png"
        )),
    }
    output::line(&format!("  actum image score {folder} --data {data}"));
    Ok(())
}

impl ImageFit {
    /// What was typed over `base`: first the file of --config, then --set, then the flags.
    fn settings(&self, base: ImageSettings) -> Result<ImageSettings> {
        let mut settings =
            base.collect(self.fitting.config.as_deref(), &self.fitting.changes()?)?;
        if let Some(task) = self.task {
            settings.task = task;
        }
        if let Some(method) = self.method {
            settings.method = method;
        }
        if let Some(path) = self.path {
            settings.path = Some(path);
        }
        if let Some(mask) = &self.mask {
            settings.mask = Some(match mask.as_str() {
                "top" => Hidden::Half(Half::Top),
                "bottom" => Hidden::Half(Half::Bottom),
                file => Hidden::from(&Mask::of(&Images::read(Path::new(file))?)?),
            });
        }
        settings.data.halved |= self.halve;
        settings.data.mirrored |= self.mirror;
        if self.limit.is_some() {
            settings.data.limit = self.limit;
        }
        self.fitting.minimise(&mut settings.fit);
        settings.check()?;
        Ok(settings)
    }
}

fn scheme(steps: Option<usize>) -> Scheme {
    steps.map_or(ImageModel::SCHEME, Scheme::RungeKutta4)
}

fn sample(arguments: &ImageSample) -> Result<()> {
    let target = ImageTarget::of(&arguments.output)?;
    let run = Run::open(&arguments.run)?;
    let model = run.model(&Device::named(&arguments.device)?)?;
    let like = match run.images()?.0.path {
        Some(NoisePath::Heat) => {
            Some(run.view_images(&Shapes::or_read(&run.source().data, Shapes::SEEN)?)?)
        }
        _ => None,
    };
    let scheme = scheme(arguments.steps);
    let made = model.sample(arguments.n, arguments.seed, scheme, like.as_ref())?;
    let path = &arguments.output;
    let columns = (arguments.n as f64).sqrt().ceil() as usize;
    (target.write)(&made.images, path, columns)?;
    output::line(&format!(
        "{}: {}, {} evaluations of the velocity",
        path.display(),
        output::count(arguments.n, "image"),
        made.evaluations
    ));
    Ok(())
}

fn restore(arguments: &ImageRestore) -> Result<()> {
    let target = ImageTarget::of(&arguments.output)?;
    output::check_apart(&arguments.output, [Path::new(&arguments.input)])?;
    let run = Run::open(&arguments.run)?;
    let model = run.model(&Device::named(&arguments.device)?)?;
    let images = first(
        &run.view_images(&Shapes::or_read(&arguments.input, Shapes::FRESH)?)?,
        arguments.n,
    )?;
    let (path, seed, scheme) = (&arguments.output, arguments.seed, scheme(arguments.steps));
    let temperature = arguments.temperature;
    let what = if target.is_grid {
        let (picture, columns) = model.beside(&images, temperature, seed, scheme)?;
        (target.write)(&picture, path, columns)?;
        match columns {
            4 => " beside each other: what the model observes, the baseline, restored, the image",
            _ => " beside each other: what the model observes, the baseline, restored",
        }
    } else {
        let restored = model.restore(&images, temperature, seed, scheme)?.images;
        (target.write)(&restored, path, 1)?;
        " restored"
    };
    output::line(&format!(
        "{}: {}{what}",
        path.display(),
        output::count(images.len(), "image")
    ));
    Ok(())
}

/// At most the first so many.
fn first(images: &Images, n: usize) -> Result<Images> {
    if n >= images.len() {
        return Ok(images.clone());
    }
    images.select(&(0..n).collect::<Vec<_>>())
}

fn score(arguments: &ImageScore) -> Result<()> {
    let run = Run::open(&arguments.run)?;
    let (settings, _) = run.images()?;
    let restores = settings.task != Task::Generate;
    if !restores && arguments.temperature.is_some() {
        return Err(Error::new(
            ErrorKind::Setting,
            format!(
                "{} generates images; a temperature is for runs that restore them: leave it out",
                arguments.run.display()
            ),
        ));
    }
    let model = run.model(&Device::named(&arguments.device)?)?;
    let data = run.view_images(&Shapes::or_read(&arguments.data, Shapes::FRESH)?)?;
    warn(&data);
    let n = arguments.n.min(data.len());
    let scheme = ImageModel::SCHEME;
    if restores {
        let temperature = arguments.temperature.unwrap_or(0.0);
        let found = model.restoration(&data.sample(n, 0)?, temperature, 0, scheme)?;
        if arguments.json {
            output::json(&json!({
                "run": output::name(&arguments.run),
                "data": arguments.data,
                "temperature": temperature,
                "scores": found,
            }));
            return Ok(());
        }
        let decibels = |x: f64| format!("{x:.2}");
        let ssim = |x: Option<f64>| x.map_or("too small".to_owned(), output::number);
        output::line(&format!(
            "Restored {} at temperature {temperature}, {} evaluations of the velocity.\n",
            output::count(found.images, "image"),
            found.evaluations
        ));
        output::table(
            &["", "PSNR [dB]", "SSIM"],
            &[
                vec![
                    "restored".to_owned(),
                    decibels(found.psnr),
                    ssim(found.ssim),
                ],
                vec![
                    "baseline".to_owned(),
                    decibels(found.baseline_psnr),
                    ssim(found.baseline_ssim),
                ],
            ],
        );
        return Ok(());
    }
    let found = model.generation(&data, n, BITS_OF, 0, scheme)?;
    let method = settings.method;
    if arguments.json {
        output::json(&json!({
            "run": output::name(&arguments.run),
            "data": arguments.data,
            "method": method,
            "scores": found,
        }));
        return Ok(());
    }
    output::line(&format!(
        "Generated {}, {} evaluations of the velocity; compared with as many of {}.\n",
        output::count(found.images, "image"),
        found.evaluations,
        arguments.data
    ));
    let row = |name: &str, found: &SampleQuality| {
        let numbers = [found.energy, found.sliced_w2].map(output::number);
        let mut row = vec![name.to_owned()];
        row.extend(numbers);
        row
    };
    let method = match method {
        Method::Action => "action matching",
        Method::Score => "score matching",
    };
    let mut rows = vec![row(method, &found.model), row("Gaussian", &found.gaussian)];
    if let Some(real) = &found.real {
        rows.push(row("other real ones", real));
    }
    output::table(&["", "energy", "sliced W2"], &rows);
    output::line(&match found.bits_per_dimension {
        Some(bits) => format!(
            "\nBits per dimension: {} (of {})",
            output::number(bits),
            output::count(found.bits_of, "image")
        ),
        None => "\nBits per dimension: unknown, for this path begins with no known law".to_owned(),
    });
    Ok(())
}

/// Over how many images bits per dimension are a mean: the density costs far more than samples.
const BITS_OF: usize = 64;
