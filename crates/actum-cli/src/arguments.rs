//! What can be typed.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use actum::{
    data::{self, ImageTarget, Images, described, extensions},
    error::{Error, ErrorKind, Result},
    fates,
    fit::Options,
    lagrangian::{Cost, Noise},
    leave_out::{Method as Fitted, Protocol},
    path::Coupling,
    problem::{Growth, Mass, Method, NoisePath, Task},
    run::{IfExists, Run, Schema, SnapshotSettings},
};
use clap::{Arg, ArgMatches, Args, Command as Program, FromArgMatches, Parser, Subcommand};

use serde::{Deserialize, Serialize};

use crate::{machine::Bytes, output};

/// Learn how a population moves from snapshots of it (Action Matching).
#[derive(Parser)]
#[command(name = "actum", version, max_term_width = 100)]
#[command(long_about = format!(
    "Learn how a population moves from snapshots of it (Action Matching).\n\n\
     Files are {}. Start with `actum demo`, or with `actum check FILE`.",
    described(|format| format.snapshots)
))]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Command,
    /// The most memory that one array, network or batch may take, such as 8G; what asks for more is
    /// refused [default: three quarters of the machine].
    #[arg(long, global = true, value_name = "SIZE")]
    pub memory: Option<Bytes>,
}

#[derive(Subcommand)]
pub enum Command {
    Demo(Demo),
    Gallery(Gallery),
    Check(Check),
    Fit(Box<Fit>),
    Simulate(Simulate),
    Score(Score),
    Evaluate(Evaluate),
    Collect(Collect),
    Plot(Plot),
    Report(Report),
    View(View),
    Annotate(Annotate),
    Fates(Fates),
    Perturb(Perturb),
    Inspect(Inspect),
    #[command(subcommand)]
    Image(Image),
}

/// Make a population, learn its motion, compare with the truth and draw it: under a minute.
#[derive(Args)]
pub struct Demo {
    /// The folder for the population, the run and the pictures.
    #[arg(long, value_name = "DIR", default_value = "actum-demo")]
    pub out: PathBuf,
}

/// Make a population whose motion is known: points, times and true velocities.
#[derive(Args)]
pub struct Gallery {
    /// Which one [default: list them].
    #[arg(requires = "output")]
    pub name: Option<String>,
    #[arg(short, long, value_name = "FILE", requires = "name")]
    #[arg(help = format!("Where to write: {}", extensions(|_| true)))]
    pub output: Option<PathBuf>,
    /// Say what each problem is.
    #[arg(long, conflicts_with_all = ["name", "output"])]
    pub list: bool,
    /// How many points at each time, at least 2.
    #[arg(
        short = 'n',
        long,
        value_name = "N",
        default_value_t = 2000,
        requires = "name"
    )]
    pub points: usize,
    /// The times [default: 5 or 11 from the first to the last]. Of two snapshots that are close in
    /// time the difference is mostly chance: more times need more points.
    #[arg(
        long,
        value_name = "T,T,..",
        value_delimiter = ',',
        allow_hyphen_values = true,
        requires = "name"
    )]
    pub times: Vec<f64>,
    /// How many columns, where that can be chosen.
    #[arg(long, value_name = "D", requires = "name")]
    pub columns: Option<usize>,
    /// Seeds the points.
    #[arg(long, value_name = "S", default_value_t = 0, requires = "name")]
    pub seed: u64,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Say what is in a file, what is wrong with it, and which settings suit it.
///
/// All rows are counted and checked; of more than 10,000 at some time a random sample is looked at.
/// Exit code 1 when the file can be read but not fitted.
#[derive(Args)]
pub struct Check {
    /// The data.
    pub file: PathBuf,
    #[command(flatten)]
    pub keys: Keys,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Learn the motion between the snapshots of a file.
#[derive(Args)]
pub struct Fit {
    /// The data.
    pub file: PathBuf,
    #[command(flatten)]
    pub keys: Keys,
    /// Use only the first N columns.
    #[arg(long, value_name = "N")]
    pub dims: Option<usize>,
    /// Measure distances after dividing every column by its standard deviation.
    #[arg(long)]
    pub standardize: bool,
    /// A time the fit must not see, as written in the file; can be given again.
    #[arg(long, value_name = "T", allow_hyphen_values = true)]
    pub hold_out: Vec<String>,
    /// A file with more rows than N at some time is fitted in shards: its rows are split at random
    /// to piles of at most N at each time, in a temporary folder beside the run (8 bytes for every
    /// number of the shards that the fit sees), and one of them at a time is in memory. More rows
    /// match better and take longer; the other commands look at as many [default: 10000, at least
    /// 20].
    #[arg(long, value_name = "N")]
    pub shard: Option<usize>,
    /// How points of neighbouring snapshots are matched: exact, entropic, entropic:SHARE of the
    /// mean squared distance, independent, or, with --growth, unbalanced or unbalanced:RHO
    /// [default: exact, and unbalanced with --growth].
    #[arg(long, value_name = "C")]
    pub coupling: Option<Coupling>,
    /// Random motion: sigma, in units of distance per square root of time, or T:SIGMA,T:SIGMA,..
    /// where it changes in time (entropic Action Matching).
    #[arg(long, value_name = "SIGMA", allow_hyphen_values = true)]
    pub noise: Option<Noise>,
    /// Birth and death at the rate lambda * action (unbalanced Action Matching). Lambda is in
    /// 1/distance^2 (for a quadratic cost), or auto: growing e-fold then costs ten times what
    /// travelling the spread of the data does.
    #[arg(long, value_name = "LAMBDA", allow_hyphen_values = true)]
    pub growth: Option<Growth>,
    /// The mass of every snapshot, with --growth: counts (every point is an individual), weights
    /// (the sums of the weights), or one number for each time of the file [default: weights].
    #[arg(long, value_name = "M,M,..", allow_hyphen_values = true)]
    pub mass: Option<Mass>,
    /// What a velocity costs: kinetic, power:P (|v|^P / P, P above 1), or metric:FILE, a table of
    /// numbers whose rows are a symmetric positive matrix A (v'Av / 2, on standardised columns with
    /// --standardize) [default: kinetic].
    #[arg(long, value_name = "COST")]
    pub cost: Option<String>,
    /// Take the velocities of the points, such as RNA velocity, for a known part of the motion and
    /// learn the rest: the array of velocities, or their columns separated by commas. Their units
    /// are those of the points and times.
    #[arg(long, value_name = "K", conflicts_with = "velocity_key")]
    pub drift: Option<String>,
    /// Share the fit with the other processes that mpirun started, up to as many as the steps have
    /// parts (fit.parts), in a build with the feature mpi.
    #[arg(long)]
    pub mpi: bool,
    #[command(flatten)]
    pub fitting: Fitting,
}

/// Move points along a learned motion.
#[derive(Args)]
pub struct Simulate {
    /// The run.
    pub run: PathBuf,
    /// The time of the points that are moved [default: that of the --start file, else the first].
    #[arg(long, value_name = "T", allow_hyphen_values = true)]
    pub from: Option<String>,
    /// The one time to record; may lie before --from.
    #[arg(
        long,
        value_name = "T",
        allow_hyphen_values = true,
        conflicts_with = "times"
    )]
    pub to: Option<String>,
    /// The times to record [default: all times of the data after --from].
    #[arg(
        long,
        value_name = "T,T,..",
        value_delimiter = ',',
        allow_hyphen_values = true
    )]
    pub times: Vec<String>,
    /// The points to move, all of them, with or without times [default: the snapshot of the run's
    /// data, at most data.shard points of it at random].
    #[arg(long, value_name = "FILE")]
    pub start: Option<PathBuf>,
    #[arg(short, long, value_name = "FILE")]
    #[arg(help = format!("Where to write: {}", described(|format| format.trajectories)))]
    pub output: PathBuf,
    /// Also write the expression of genes, as the components of the run tell it: all, names between
    /// commas, or a file with a name in every line.
    #[arg(long, value_name = "G")]
    pub genes: Option<String>,
}

/// Measure a run's predictions against real points, beside four reference rows.
#[derive(Args)]
pub struct Score {
    /// The run.
    pub run: PathBuf,
    /// The data; held-out times included.
    pub file: PathBuf,
    /// The time whose real points are moved [default: the last before --at that the fit saw].
    #[arg(long, value_name = "T", allow_hyphen_values = true)]
    pub from: Option<String>,
    /// The time to predict; can be given again [default: the held-out times, else all but the
    /// first].
    #[arg(long, value_name = "T", allow_hyphen_values = true)]
    pub at: Vec<String>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Leave out every time in turn and say which method predicts it best.
///
/// Each method is fitted without the time, which is then predicted and compared with its real
/// points, beside reference rows: the neighbouring snapshots as they are, straight-line optimal
/// transport and the clocked spline between them, and two samples of the real points. Nothing of a
/// left-out time enters a fit.
#[derive(Args, Clone, Serialize, Deserialize)]
pub struct Evaluate {
    /// The data.
    pub file: PathBuf,
    #[command(flatten)]
    pub keys: Keys,
    /// Use only the first N columns.
    #[arg(long, value_name = "N")]
    pub dims: Option<usize>,
    /// Measure distances after dividing every column by its standard deviation.
    #[arg(long)]
    pub standardize: bool,
    /// The mass of every snapshot: counts (every point is an individual), weights (the sums of the
    /// weights), or one number for each time of the file [default: weights].
    #[arg(long, value_name = "M,M,..", allow_hyphen_values = true)]
    pub mass: Option<Mass>,
    #[arg(short, long, value_name = "METHOD")]
    #[arg(help = format!(
        "What to fit: {}; or settings in a file NAME.toml, as --config of `actum fit` takes them. \
         Can be given again [default: lines, clocked, and growth where masses differ]",
        Fitted::NAMES.map(|(name, about)| format!("{name} ({about})")).join(", ")
    ))]
    pub method: Vec<String>,
    /// One setting of all methods, such as fit.steps=1000; can be given again.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Move the points of the time before (previous), of the first time (first), or of the times
    /// before and after (both); separated by commas. What to use is judged by the first one.
    #[arg(long, value_name = "F,F,..", value_delimiter = ',', value_parser = protocol)]
    #[arg(default_value = "previous,both")]
    pub from: Vec<Protocol>,
    /// Leave out a second time inside, in turn, to choose among the methods without the time that
    /// they are judged by.
    #[arg(long)]
    pub nested: bool,
    /// Fit every method from N seeds.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seeds: usize,
    /// Take distances of at most N points of a time, drawn at random.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub points: usize,
    /// A folder that keeps what is finished, and pictures: the same command goes on where it
    /// stopped.
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// Only share I, from 0, of N shares of the work; `actum collect DIR` then makes the tables.
    /// I is a number, or `auto`: that of a SLURM array (SLURM_ARRAY_TASK_ID less
    /// SLURM_ARRAY_TASK_MIN), a Kubernetes indexed job (JOB_COMPLETION_INDEX) or an MPI rank
    /// (OMPI_COMM_WORLD_RANK).
    #[arg(long, value_name = "I/N", requires = "output")]
    #[serde(skip)]
    pub job: Option<Job>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// A share of the work as it is typed.
#[derive(Clone, Copy)]
pub struct Job {
    /// None for that of the environment.
    pub index: Option<usize>,
    pub of: usize,
}

impl std::str::FromStr for Job {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let expected = || "expected I/N, such as 0/40 or auto/40".to_owned();
        let (index, of) = text.split_once('/').ok_or_else(expected)?;
        Ok(Self {
            index: match index {
                "auto" => None,
                index => Some(index.parse().map_err(|_| expected())?),
            },
            of: of.parse().map_err(|_| expected())?,
        })
    }
}

/// Make the tables of an evaluation whose shares (`actum evaluate --job`) are done.
///
/// Names the jobs that are missing, with exit code 1.
#[derive(Args)]
pub struct Collect {
    /// The folder of the evaluation.
    pub folder: PathBuf,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

fn protocol(text: &str) -> std::result::Result<Protocol, String> {
    let known = Protocol::ALL.into_iter().find(|known| known.name() == text);
    known.ok_or_else(|| format!("expected {}", Protocol::ALL.map(Protocol::name).join(", ")))
}

/// Draw snapshots beside predictions, streamlines, trajectories and the loss: SVG and PNG.
#[derive(Args)]
pub struct Plot {
    /// The run.
    pub run: PathBuf,
    /// The data [default: the file the run was fitted on].
    pub file: Option<PathBuf>,
    /// The folder for the pictures.
    #[arg(short, long, value_name = "DIR")]
    pub output: PathBuf,
    /// Colour points and paths by a column that is no coordinate, such as cell_type, instead of by
    /// time.
    #[arg(long, value_name = "COLUMN")]
    pub colour: Option<String>,
}

/// Write one page to send: what was learned, how well it predicts, and a view of the motion.
///
/// The page is one file that asks for nothing else and opens in any browser. It moves the points of
/// the first time, and has the tables of the other commands with their files inside. A run of images
/// has pictures of what it makes.
#[derive(Args)]
pub struct Report {
    /// The run.
    pub run: PathBuf,
    /// The data [default: the file the run was fitted on]. Of a run of images, images to restore.
    pub file: Option<PathBuf>,
    /// The page, .html.
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// A column of labels, such as cell_type: points are coloured by them, and their fates are told.
    #[arg(long, value_name = "COLUMN")]
    pub label_key: Option<String>,
    /// A label that is a fate, as of `actum fates`; can be given again [default: each label of the
    /// last time].
    #[arg(long, value_name = "LABEL[@TIME]", requires = "label_key")]
    pub terminal: Vec<String>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Open the report in a browser, and follow a fit while it is running.
///
/// Serves one page on this machine's own address (127.0.0.1) under a random name, and nothing else,
/// until Ctrl-C. While the fit is running the page shows the objective and the scores of held-out
/// times as of its last checkpoint.
#[derive(Args, Clone)]
pub struct View {
    /// The run.
    pub run: PathBuf,
    /// A column of labels, as of `actum report`.
    #[arg(long, value_name = "COLUMN")]
    pub label_key: Option<String>,
    /// Print the address as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Annotate points with what the learned action says: speed, kinetic energy, growth rate, action.
///
/// For points that come with velocities, also how much of these a gradient field can follow. Of more
/// rows than data.shard at some time a random sample is annotated.
#[derive(Args)]
pub struct Annotate {
    /// The run.
    pub run: PathBuf,
    /// Points with times [default: the file the run was fitted on].
    pub file: Option<PathBuf>,
    #[arg(short, long, value_name = "FILE")]
    #[arg(help = format!(
        "Also write it for every point: {}. From .h5ad to .h5ad it is a copy of the whole file, with \
         velocities and what else is known of every cell",
        extensions(|_| true)
    ))]
    pub output: Option<PathBuf>,
    /// Also write the fates of cells, from .h5ad to .h5ad: the column of labels, such as cell_type.
    #[arg(long, value_name = "COLUMN", requires = "output")]
    pub label_key: Option<String>,
    #[command(flatten)]
    pub ends: Ends,
    /// Also write, from .h5ad to .h5ad, obsp["T_actum"]: the chances to go from a cell to those of
    /// the next time, as CellRank's PrecomputedKernel takes them.
    #[arg(long, requires = "output")]
    pub transitions: bool,
    /// A folder for the couplings of neighbouring times, actum_T1_T2.h5ad, as Waddington-OT and
    /// CellRank's RealTimeKernel.from_wot take them.
    #[arg(long, value_name = "DIR")]
    pub tmaps: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Say where cells end: a probability of every label, and the genes that go with it.
///
/// Every cell is moved to the last time and takes the labels of its nearest neighbours there; with
/// noise many times, and with growth weighted by what comes of it. From .h5ad also the drivers of
/// every fate and the trends of genes.
#[derive(Args)]
pub struct Fates {
    /// The run.
    pub run: PathBuf,
    /// Cells with times and labels [default: the file the run was fitted on].
    pub file: Option<PathBuf>,
    /// The column of labels, such as cell_type.
    #[arg(long, value_name = "COLUMN")]
    pub label_key: String,
    #[command(flatten)]
    pub ends: Ends,
    /// The column of clones, from barcodes: predictions are compared with where sisters went.
    #[arg(long, value_name = "COLUMN")]
    pub clone_key: Option<String>,
    /// The genes whose trends are written: all, names between commas, or a file with a name in every
    /// line [default: the three strongest drivers of every fate].
    #[arg(long, value_name = "G", requires = "output")]
    pub genes: Option<String>,
    /// A folder for all of it: cells.csv and, from .h5ad, drivers.csv, trends.csv and a picture of
    /// the trends.
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Where paths of cells may end.
#[derive(Args)]
pub struct Ends {
    /// A label that is a fate, or LABEL@TIME for one that ends paths at an earlier time; can be
    /// given again. All others count together as "other" [default: each label of the last time].
    #[arg(long, value_name = "LABEL[@TIME]")]
    pub terminal: Vec<String>,
    /// How many nearest neighbours say where a path ends.
    #[arg(long, value_name = "N", default_value_t = fates::Options::default().neighbours)]
    pub neighbours: usize,
    /// How many paths every cell takes, where there is noise.
    #[arg(long, value_name = "N", default_value_t = fates::Options::default().paths)]
    pub paths: usize,
}

/// Say what a change of expression would do to the fates of cells.
///
/// Cells of one time are shifted in the space of genes, projected to the coordinates of the run and
/// moved; their fates are compared with those of the cells as they are.
#[derive(Args)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["set", "screen"]))]
pub struct Perturb {
    /// The run.
    pub run: PathBuf,
    /// The .h5ad file of the cells [default: the file the run was fitted on].
    pub file: Option<PathBuf>,
    /// The column of labels, such as cell_type.
    #[arg(long, value_name = "COLUMN")]
    pub label_key: String,
    /// A change in all cells: GATA1=0 sets the expression, SPI1=+1 and SPI1=-1 shift it; can be
    /// given again, and all changes are made at once.
    #[arg(long, value_name = "GENE=VALUE")]
    pub set: Vec<String>,
    /// Change each of these genes alone: all, names between commas, or a file with a name in every
    /// line.
    #[arg(long, value_name = "G", conflicts_with = "set")]
    pub screen: Option<String>,
    /// The change of a screen: 0 sets the expression, +1 and -1 shift it.
    #[arg(
        long,
        value_name = "VALUE",
        default_value = "0",
        allow_hyphen_values = true,
        conflicts_with = "set"
    )]
    pub to: String,
    /// The time of the cells that are changed [default: the first].
    #[arg(long, value_name = "T", allow_hyphen_values = true)]
    pub from: Option<String>,
    #[command(flatten)]
    pub ends: Ends,
    /// Where to write a screen: .csv.
    #[arg(short, long, value_name = "FILE", conflicts_with = "set")]
    pub output: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Say what a run is made of.
#[derive(Args)]
pub struct Inspect {
    /// The run.
    pub run: PathBuf,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Generate images, or restore them: double their size, give them colours, fill in what is hidden.
#[derive(Subcommand)]
pub enum Image {
    Fit(Box<ImageFit>),
    Sample(ImageSample),
    Restore(ImageRestore),
    Score(ImageScore),
}

/// Learn from images.
#[derive(Args)]
#[command(long_about = format!(
    "Learn from images.\n\n\
     WHAT is {}, or `shapes`: made-up colour images of 16 x 16 pixels. Images have one size.",
    Images::readable()
))]
#[command(mut_arg("set", |set| {
    set.help("One setting, such as network.channels=32; can be given again")
}))]
pub struct ImageFit {
    /// The images [default: shapes; with --resume those of the run].
    #[arg(long, value_name = "WHAT")]
    pub data: Option<String>,
    /// What to learn: generate, superres, colorize or inpaint [default: generate].
    #[arg(long, value_name = "TASK")]
    pub task: Option<Task>,
    /// What to learn: action, for every task and path, or score, score matching with the same
    /// network, for the paths vp, subvp and ve [default: action].
    #[arg(long, value_name = "METHOD")]
    pub method: Option<Method>,
    /// How images dissolve that are to be generated: linear, vp, subvp, ve, heat or torus
    /// [default: linear; with --method score vp].
    #[arg(long, value_name = "PATH")]
    pub path: Option<NoisePath>,
    /// What is hidden, with --task inpaint: top, bottom, or a PNG or JPEG of the size of the images that
    /// is white there [default: bottom].
    #[arg(long, value_name = "MASK")]
    pub mask: Option<String>,
    /// Halve the height and width of the images.
    #[arg(long)]
    pub halve: bool,
    /// Also learn from mirrored images.
    #[arg(long)]
    pub mirror: bool,
    /// Use only the first N images.
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    #[command(flatten)]
    pub fitting: Fitting,
}

/// Generate images.
#[derive(Args)]
pub struct ImageSample {
    /// The run.
    pub run: PathBuf,
    /// How many.
    #[arg(short, value_name = "N", default_value_t = 64)]
    pub n: usize,
    #[arg(short, long, value_name = "FILE")]
    #[arg(help = format!("Where to write: {}", ImageTarget::listed()))]
    pub output: PathBuf,
    /// Seeds the noise they are made from.
    #[arg(long, value_name = "S", default_value_t = 0)]
    pub seed: u64,
    /// Take N steps of Runge and Kutta's scheme of order 4 [default: steps as errors need them].
    #[arg(long, value_name = "N")]
    pub steps: Option<usize>,
    /// Where to compute: cpu, or cuda, vulkan or metal in a build with that feature.
    #[arg(long, value_name = "NAME", default_value = "cpu")]
    pub device: String,
}

/// Restore images: what is observed of them and the baseline beside the result.
#[derive(Args)]
pub struct ImageRestore {
    /// The run.
    pub run: PathBuf,
    /// The images: whole ones, of which only what is observed is used, or, for superres, of half
    /// the size and, for colorize, gray ones. As --data of `actum image fit`, or one PNG or JPEG.
    #[arg(long, value_name = "WHAT")]
    pub input: String,
    /// At most the first N.
    #[arg(short, value_name = "N", default_value_t = 16)]
    pub n: usize,
    #[arg(short, long, value_name = "FILE")]
    #[arg(help = format!(
        "Where to write: {}; the picture has a row for every image with what is seen of it, the \
         others hold the restored images alone",
        ImageTarget::listed()
    ))]
    pub output: PathBuf,
    /// Seeds the noise, of which there is none at temperature 0.
    #[arg(long, value_name = "S", default_value_t = 0)]
    pub seed: u64,
    /// Scale the noise that restoration starts from: 1 draws one of the images that fit what is
    /// observed, 0 makes the one in the middle of them, which errs least.
    #[arg(
        long,
        value_name = "T",
        default_value_t = 0.0,
        allow_hyphen_values = true
    )]
    pub temperature: f64,
    /// Take N steps of Runge and Kutta's scheme of order 4 [default: steps as errors need them].
    #[arg(long, value_name = "N")]
    pub steps: Option<usize>,
    /// Where to compute: cpu, or cuda, vulkan or metal in a build with that feature.
    #[arg(long, value_name = "NAME", default_value = "cpu")]
    pub device: String,
}

/// Measure a model of images against real ones.
///
/// Generated images: the energy distance and the sliced W2 to real ones, as points in [-1, 1], beside a
/// Gaussian of the same mean and covariance, and bits per dimension. Restored ones: PSNR and SSIM
/// beside the baseline (bilinear, gray, filled with the mean).
#[derive(Args)]
pub struct ImageScore {
    /// The run.
    pub run: PathBuf,
    /// Real images, best such that were not learned from; `shapes` are fresh ones.
    #[arg(long, value_name = "WHAT")]
    pub data: String,
    /// How many to make or restore, at most; the real images are drawn at random.
    #[arg(short, value_name = "N", default_value_t = 256)]
    pub n: usize,
    /// Scale the noise that restoration starts from: 1 draws one of the images that fit what is
    /// observed, 0 makes the one in the middle of them, which errs least [default: 0].
    #[arg(long, value_name = "T", allow_hyphen_values = true)]
    pub temperature: Option<f64>,
    /// Where to compute: cpu, or cuda, vulkan or metal in a build with that feature.
    #[arg(long, value_name = "NAME", default_value = "cpu")]
    pub device: String,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// How a run is made, whatever is fitted.
#[derive(Args)]
pub struct Fitting {
    // Help lists it beside the first option, as if it were declared there.
    /// The folder to make for the run.
    #[arg(short, long, value_name = "RUN", display_order = 0)]
    pub output: PathBuf,
    /// How many steps of the optimiser.
    #[arg(long, value_name = "N")]
    pub steps: Option<usize>,
    /// Seeds the parameters and every draw.
    #[arg(long, value_name = "S")]
    pub seed: Option<u64>,
    /// Settings in TOML, such as the settings.toml of another run; flags override them.
    #[arg(long, value_name = "FILE.toml")]
    pub config: Option<PathBuf>,
    /// One setting, such as fit.batch=1024; can be given again.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Where to compute: cpu, or cuda, vulkan or metal in a build with that feature.
    #[arg(long, value_name = "NAME", default_value = "cpu")]
    pub device: String,
    /// Replace the run that is in the folder; it stays until the new one is whole.
    #[arg(long, conflicts_with = "resume")]
    pub overwrite: bool,
    /// Go on with the run that is in the folder, from its last checkpoint.
    #[arg(long)]
    pub resume: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

impl Fitting {
    pub fn if_exists(&self) -> IfExists {
        match (self.resume, self.overwrite) {
            (true, _) => IfExists::Resume,
            (_, true) => IfExists::Overwrite,
            _ => IfExists::Keep,
        }
    }

    /// The keys and values of every --set.
    pub fn changes(&self) -> Result<Vec<(&str, &str)>> {
        changes(&self.set)
    }

    /// What was typed of how to minimise.
    pub fn minimise(&self, options: &mut Options) {
        if let Some(steps) = self.steps {
            options.steps = steps;
        }
        if let Some(seed) = self.seed {
            options.seed = seed;
        }
    }

    /// Tells how to go on after an interrupted `command`.
    pub fn note_interrupted(&self, command: &str, error: &Error) {
        let kept = Run::open_to_resume(&self.output).and_then(|run| run.checkpoint());
        if error.kind() != ErrorKind::Interrupted || kept.is_err() {
            return;
        }
        let device = match self.device.as_str() {
            "cpu" => String::new(),
            device => format!(" --device {device}"),
        };
        let folder = output::path(&self.output);
        if self.overwrite {
            output::say(&format!("the run that was in {folder} is still there"));
        }
        output::say(&format!(
            "go on with: {command} -o {folder} --resume{device}"
        ));
    }
}

/// The keys and values of every --set.
pub fn changes(set: &[String]) -> Result<Vec<(&str, &str)>> {
    let changes = set.iter().map(|change| {
        let (key, value) = change.split_once('=').ok_or_else(|| {
            Error::new(
                ErrorKind::Setting,
                format!("--set {change}: expected KEY=VALUE, such as fit.batch=1024"),
            )
        })?;
        Ok((key.trim(), value.trim()))
    });
    changes.collect()
}

/// The keys that were typed, a flag for each.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(from = "BTreeMap<String, String>", into = "BTreeMap<String, String>")]
pub struct Keys(pub data::Keys);

impl From<BTreeMap<String, String>> for Keys {
    fn from(mut named: BTreeMap<String, String>) -> Self {
        let mut keys = data::Keys::default();
        for key in data::Keys::ALL {
            *(key.field)(&mut keys) = named.remove(key.name);
        }
        keys.pca = named.remove(PCA).and_then(|count| count.parse().ok());
        Self(keys)
    }
}

impl From<Keys> for BTreeMap<String, String> {
    fn from(keys: Keys) -> Self {
        let mut keys = keys.0;
        let pca = keys.pca.map(|count| (PCA.to_owned(), count.to_string()));
        let named = data::Keys::ALL.iter().filter_map(|key| {
            let value = (key.field)(&mut keys).take()?;
            Some((key.name.to_owned(), value))
        });
        named.chain(pca).collect()
    }
}

impl Keys {
    /// Where in a file things are: the keys that were typed over others.
    pub fn over(&self, keys: &mut data::Keys) {
        let mut typed = self.0.clone();
        for key in data::Keys::ALL {
            if let Some(name) = (key.field)(&mut typed).take() {
                *(key.field)(keys) = Some(name);
            }
        }
        keys.pca = self.0.pca.or(keys.pca);
    }
}

const PCA: &str = "pca";

impl FromArgMatches for Keys {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut keys = data::Keys::default();
        for key in data::Keys::ALL {
            *(key.field)(&mut keys) = matches.get_one(key.name).cloned();
        }
        keys.pca = matches.get_one(PCA).copied();
        Ok(Self(keys))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for Keys {
    fn augment_args(program: Program) -> Program {
        program.args(data::Keys::ALL.map(|key| {
            let flag = Arg::new(key.name).long(key.name.replace('_', "-"));
            flag.value_name("K").help(key.about)
        }))
        .arg(
            Arg::new(PCA)
                .long(PCA)
                .value_name("N")
                .value_parser(clap::value_parser!(usize))
                .help(
                    "Make N principal components of the counts of genes in X, or in the layer of \
                     --points-key: cells are normalised to 10,000, logarithms taken, and the 2,000 \
                     genes that vary most looked at, as scanpy does. A run keeps the components",
                ),
        )
    }

    fn augment_args_for_update(program: Program) -> Program {
        Self::augment_args(program)
    }
}

impl Fit {
    /// What was typed over `base`: first the file of --config, then --set, then the flags.
    pub fn settings(&self, base: SnapshotSettings) -> Result<SnapshotSettings> {
        let mut settings =
            base.collect(self.fitting.config.as_deref(), &self.fitting.changes()?)?;
        let data = &mut settings.data;
        self.keys.over(&mut data.keys);
        if self.dims.is_some() {
            data.dims = self.dims;
        }
        if let Some(shard) = self.shard {
            data.shard = shard;
        }
        data.standardize |= self.standardize;
        if !self.hold_out.is_empty() {
            data.hold_out.clone_from(&self.hold_out);
        }
        if let Some(mass) = &self.mass {
            data.mass.clone_from(mass);
        }
        let terms = &mut settings.lagrangian;
        if self.drift.is_some() {
            data.keys.velocity_key.clone_from(&self.drift);
            terms.drift = true;
        }
        if let Some(noise) = &self.noise {
            terms.noise.clone_from(noise);
        }
        if let Some(growth) = self.growth {
            terms.growth = growth;
        }
        if let Some(cost) = &self.cost {
            terms.cost = match cost.strip_prefix("metric:") {
                Some(file) => {
                    Cost::metric(data::read_matrix(Path::new(file))?).map_err(|e| e.within(file))?
                }
                None => cost.parse()?,
            };
        }
        if let Some(coupling) = self.coupling {
            settings.path.coupling = Some(coupling);
        }
        self.fitting.minimise(&mut settings.fit);
        settings.check()?;
        Ok(settings)
    }
}
