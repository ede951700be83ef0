use std::path::PathBuf;

use ndarray::array;

use super::*;
use crate::{
    data::{Genes, Keys},
    gallery::gaussian::{Gaussian, Moments},
    genes::Decoder,
    lagrangian::Lagrangian,
    units::Units,
};

/// How fast all points rise, in their second column.
const RISE: f64 = 0.5;

/// Points that rise, and with noise sigma; the action grows them with lambda times `RISE y`, where y
/// is the height above the mean.
fn rising(lagrangian: Lagrangian) -> Dynamics {
    let moments = |t: f64| Moments {
        mean: vec![0.0, RISE * t],
        mean_rate: vec![0.0, RISE],
        std_dev: 1.0,
        std_dev_rate: 0.0,
    };
    Dynamics::new(Gaussian::new(2, moments), lagrangian, Units::identity(2)).unwrap()
}

fn label(values: impl IntoIterator<Item = &'static str>) -> Attribute {
    Attribute {
        name: "type".to_owned(),
        values: values.into_iter().map(Into::into).collect(),
    }
}

/// Two cells at time 0 and 0.5, and at time 1 cells along a line, above and below 0.
fn ladder() -> (Snapshots, Attribute) {
    let steps = 1000;
    let height = |i: usize| -4.0 + 8.0 * (i as f64 + 0.5) / steps as f64;
    let line = Array2::from_shape_fn((steps, 2), |(i, j)| if j == 1 { height(i) } else { 0.0 });
    let few = || Cloud::new(array![[0.0, -0.8], [0.0, 0.3]]).unwrap();
    let clouds = vec![few(), few(), Cloud::new(line).unwrap()];
    let snapshots = Snapshots::new(vec![0.0, 0.5, 1.0], clouds).unwrap();
    let first = ["low", "middle", "low", "middle"];
    let last = (0..steps).map(|i| if height(i) > 0.0 { "high" } else { "low" });
    let labels = label(first.into_iter().chain(last));
    (snapshots, labels)
}

fn normal(x: f64) -> f64 {
    0.5 * libm::erfc(-x / std::f64::consts::SQRT_2)
}

fn go_on(_: usize, _: usize) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

#[test]
fn without_noise_a_cell_has_the_label_where_it_ends() {
    let dynamics = rising(Lagrangian::kinetic());
    let (snapshots, labels) = ladder();
    let ends = Destinations::new(&dynamics, &snapshots, &labels, Options::default()).unwrap();
    assert_eq!(ends.names(), ["high", "low"]);
    let fates = ends.of_snapshots(&snapshots, &mut go_on).unwrap();
    assert_eq!(fates.probabilities.nrows(), 1004);
    let first = fates.select(&[0, 1, 2, 3]);
    // -0.8 ends at -0.3 from time 0; 0.3 at 0.8.
    let expected = array![[0.0, 1.0], [1.0, 0.0], [0.0, 1.0], [1.0, 0.0]];
    assert!(
        (first.probabilities - expected)
            .iter()
            .all(|x| x.abs() < 1e-12)
    );
    assert!(first.descendants.iter().all(|x| *x == 1.0));
    // statsmodels.stats.proportion.proportion_confint(20, 20, method="wilson") = (0.8388748, 1).
    assert!((first.low[[1, 0]] - 0.838_874_8).abs() < 1e-6);
    assert!((first.high[[1, 0]] - 1.0).abs() < 1e-12);
    // proportion_confint(7, 20, method="wilson") = (0.1811918, 0.5671457).
    let [low, high] = wilson(0.35, 20.0);
    assert!((low - 0.181_191_8).abs() < 1e-6 && (high - 0.567_145_7).abs() < 1e-6);
    let mean = fates.select(&[0, 1]).mean(&array![1.0, 3.0]);
    assert!((mean[0] - 0.75).abs() < 1e-12);
}

#[test]
fn with_noise_the_probability_is_the_normal_one() {
    let sigma = 0.7;
    let dynamics = rising(Lagrangian::kinetic().noise(sigma).unwrap());
    let (snapshots, labels) = ladder();
    let ends = |paths| {
        let options = Options {
            paths,
            ..Options::default()
        };
        Destinations::new(&dynamics, &snapshots, &labels, options).unwrap()
    };
    let start = snapshots.cloud(0).points().clone();
    let exact = start.column(1).mapv(|y| normal((y + RISE) / sigma));
    let fates = ends(400).of(&start, 0.0).unwrap();
    for (p, exact) in fates.probabilities.column(0).iter().zip(&exact) {
        let error = (exact * (1.0 - exact) / 400.0).sqrt();
        assert!((p - exact).abs() < 4.0 * error, "{p} {exact}");
    }
    // Of many cells the intervals of few paths hold the truth about as often as they say.
    let many = Array2::from_shape_fn((600, 2), |(_, j)| if j == 1 { -0.3 } else { 0.0 });
    let fates = ends(20).of(&many, 0.0).unwrap();
    let exact = normal((-0.3 + RISE) / sigma);
    let ends_of = fates.low.column(0).into_iter().zip(fates.high.column(0));
    let held = ends_of
        .filter(|(low, high)| (**low..=**high).contains(&exact))
        .count();
    assert!((550..=600).contains(&held), "{held}");
    // The same bits on any number of threads.
    for threads in [1, 3] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let again = pool.unwrap().install(|| ends(20).of(&many, 0.0).unwrap());
        assert_eq!(again, fates);
    }
}

/// By Girsanov's formula the weight `exp(lambda RISE int (y0 + sigma W) dt)` shifts the mean of W at
/// time 1 by its covariance with the exponent, `lambda RISE sigma / 2`.
#[test]
fn with_growth_paths_count_by_what_comes_of_them() {
    let (sigma, lambda) = (0.8, 1.5);
    let lagrangian = Lagrangian::kinetic().noise(sigma).unwrap();
    let dynamics = rising(lagrangian.growth(lambda).unwrap());
    let (snapshots, labels) = ladder();
    let options = Options {
        paths: 1200,
        neighbours: 5,
        ..Options::default()
    };
    let ends = Destinations::new(&dynamics, &snapshots, &labels, options).unwrap();
    let start = snapshots.cloud(0).points().clone();
    let fates = ends.of(&start, 0.0).unwrap();
    for (i, y) in start.column(1).iter().enumerate() {
        let rate = lambda * RISE;
        let exact = normal((y + RISE) / sigma + 0.5 * rate * sigma);
        let p = fates.probabilities[[i, 0]];
        assert!((p - exact).abs() < 0.05, "{p} {exact}");
        // Without the weights it would be off by more.
        assert!((normal((y + RISE) / sigma) - exact).abs() > 0.06);
        let mass = (rate * y + (rate * sigma).powi(2) / 6.0).exp();
        assert!((fates.descendants[i] / mass - 1.0).abs() < 0.06, "{mass}");
    }
}

#[test]
fn a_label_may_end_paths_before_the_last_time() {
    let dynamics = rising(Lagrangian::kinetic());
    let (snapshots, labels) = ladder();
    let named = |terminal: &[(&str, Option<f64>)]| {
        let terminal = terminal.iter().map(|(label, at)| Terminal {
            label: (*label).to_owned(),
            at: *at,
        });
        let options = Options {
            terminal: terminal.collect(),
            neighbours: 2,
            ..Options::default()
        };
        Destinations::new(&dynamics, &snapshots, &labels, options)
    };
    // Both cells of time 0.5 are neighbours, and one of them is "middle": half stays there.
    let ends = named(&[("middle", Some(0.5))]).unwrap();
    assert_eq!(ends.names(), ["high", "low", "middle"]);
    let fates = ends.of(snapshots.cloud(0).points(), 0.0).unwrap();
    let expected = array![[0.0, 0.5, 0.5], [0.5, 0.0, 0.5]];
    assert!(
        (fates.probabilities - expected)
            .iter()
            .all(|x| x.abs() < 1e-12)
    );
    // After that time nothing stays there.
    let late = ends.of(snapshots.cloud(0).points(), 0.75).unwrap();
    assert_eq!(late.probabilities.column(2).to_vec(), [0.0, 0.0]);
    // What is not named is something else.
    let ends = named(&[("high", None)]).unwrap();
    assert_eq!(ends.names(), ["high", "other"]);
    let fates = ends.of(snapshots.cloud(0).points(), 0.0).unwrap();
    assert_eq!(fates.probabilities, array![[0.0, 1.0], [1.0, 0.0]]);
    let error = |terminal: &[(&str, Option<f64>)]| named(terminal).err().unwrap().to_string();
    assert!(error(&[("middle", None)]).ends_with("at time 1 is not there; available: high, low"));
    assert!(error(&[("middle", Some(0.6))]).contains("the time 0.6"));
    assert!(error(&[("low", None), ("low", None)]).contains("twice"));
}

#[test]
fn what_has_no_labels_is_refused() {
    let dynamics = rising(Lagrangian::kinetic());
    let (snapshots, labels) = ladder();
    let refused = |labels: &Attribute, options: Options| {
        let error = Destinations::new(&dynamics, &snapshots, labels, options);
        error.err().unwrap().to_string()
    };
    let short = labels.select(&[0]);
    assert!(refused(&short, Options::default()).contains("1004 cells, got 1"));
    let none = label(std::iter::repeat_n("", 1004));
    assert!(refused(&none, Options::default()).contains("last time, 1, has a label in \"type\""));
    let few = Options {
        neighbours: 0,
        ..Options::default()
    };
    assert!(refused(&labels, few).contains("at least one neighbour"));
    let ends = Destinations::new(&dynamics, &snapshots, &labels, Options::default()).unwrap();
    assert!(ends.of(&array![[0.0]], 0.0).is_err());
    let stopped = ends.of_snapshots(&snapshots, &mut |_, _| ControlFlow::Break(()));
    assert_eq!(stopped.unwrap_err().kind(), ErrorKind::Interrupted);
}

#[test]
fn clones_that_follow_the_motion_are_predicted() {
    let dynamics = rising(Lagrangian::kinetic());
    let (snapshots, labels) = ladder();
    let ends = Destinations::new(&dynamics, &snapshots, &labels, Options::default()).unwrap();
    let fates = ends.of_snapshots(&snapshots, &mut go_on).unwrap();
    let mut names = vec![""; 1004];
    // The first cell's sisters are low, those of the second high; a clone without sisters is not
    // compared.
    (names[0], names[1], names[2]) = ("a", "b", "c");
    (names[4], names[5], names[1003]) = ("a", "a", "b");
    let told = clones(&fates, &snapshots, &labels, &label(names), 0).unwrap();
    assert_eq!((told.clones, told.cells), (2, 2));
    assert_eq!(told.fates.len(), 2);
    for fate in &told.fates {
        assert_eq!((fate.auc, fate.share), (1.0, 0.5));
        assert!(fate.brier < 1e-20 && fate.brier_of_share == 0.25);
    }
    let error = clones(&fates, &snapshots, &labels, &label(vec![""; 1004]), 0);
    assert!(
        error
            .unwrap_err()
            .to_string()
            .contains("no clone of \"type\"")
    );
}

fn fixture(name: &str) -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.join("tests/data").join(name)
}

/// What scanpy and CellRank say of `scanpy.h5ad` (`make_scanpy.py`).
fn said(name: &str) -> serde_json::Value {
    let text = std::fs::read_to_string(fixture("scanpy.json")).unwrap();
    serde_json::from_str::<serde_json::Value>(&text).unwrap()[name].take()
}

/// The probabilities of `make_scanpy.py`, in the order of the file.
fn probabilities() -> Array2<f64> {
    let scores: Vec<Vec<f64>> = serde_json::from_value(said("X_pca")).unwrap();
    let first = |i: usize| 1.0 / (1.0 + (-scores[i][0]).exp());
    Array2::from_shape_fn((scores.len(), 2), |(i, j)| match j {
        0 => first(i),
        _ => 1.0 - first(i),
    })
}

#[test]
fn associations_are_those_of_cellrank() {
    let genes = Genes::open(&fixture("scanpy.h5ad"), &Keys::default()).unwrap();
    let told = associations(&genes, &probabilities()).unwrap();
    type Number = fn(&Association) -> f64;
    let numbers: [(&str, Number); 5] = [
        ("corr", |a| a.correlation),
        ("ci_low", |a| a.interval[0]),
        ("ci_high", |a| a.interval[1]),
        ("pval", |a| a.p),
        ("qval", |a| a.q),
    ];
    for (name, number) in numbers {
        let expected: Vec<Vec<Option<f64>>> = serde_json::from_value(said(name)).unwrap();
        for (fate, expected) in told.iter().zip(&expected) {
            for (found, expected) in fate.iter().zip(expected) {
                let (found, expected) = (number(&found.unwrap()), expected.unwrap());
                // SciPy's probability of a normal variable rounds where it is near 0.
                let near = match name {
                    "pval" | "qval" => 1e-7 * expected,
                    _ => 1e-9,
                };
                assert!(
                    (found - expected).abs() < near,
                    "{name}: {found} {expected}"
                );
            }
        }
    }
    let error = associations(&genes, &probabilities().slice(s![..9, ..]).to_owned());
    assert!(error.unwrap_err().to_string().contains("120 cells"));
}

#[test]
fn trends_are_weighted_means() {
    let genes = Genes::open(&fixture("scanpy.h5ad"), &Keys::default()).unwrap();
    let columns: Vec<String> = (1..=4).map(|j| format!("X_pca{j}")).collect();
    let snapshots = crate::data::read(&fixture("scanpy.h5ad"), &Default::default()).unwrap();
    assert_eq!(snapshots.columns(), columns);
    // The file is in the order of its times.
    let rows: Vec<usize> = (0..120).collect();
    let fates = Fates {
        names: vec!["red".to_owned(), "blue".to_owned()],
        probabilities: probabilities(),
        low: probabilities(),
        high: probabilities(),
        descendants: Array1::ones(120),
    };
    let all = trends(&genes, &[3, 12], &rows, &snapshots, &fates).unwrap();
    assert_eq!(all.len(), 2 * 2 * 3);
    let last = &all[2];
    assert_eq!(
        (last.gene.as_str(), last.fate.as_str(), last.time),
        ("Gene3", "red", 4.0)
    );
    let [mean, error, cells]: [f64; 3] = serde_json::from_value(said("trend")).unwrap();
    assert!((last.mean - mean).abs() < 1e-6);
    assert!((last.interval[1] - last.mean - Z * error).abs() < 1e-6);
    assert!((last.cells - cells).abs() < 1e-6);
}

/// Genes that are the coordinates: "rise" is the height.
fn coordinates() -> Decoder {
    Decoder::of_genes(vec!["still".to_owned(), "rise".to_owned()]).unwrap()
}

#[test]
fn genes_that_move_are_told_with_their_rate() {
    let dynamics = rising(Lagrangian::kinetic());
    let (snapshots, labels) = ladder();
    let ends = Destinations::new(&dynamics, &snapshots, &labels, Options::default()).unwrap();
    let fates = ends.of_snapshots(&snapshots, &mut go_on).unwrap();
    let rates = drivers::rates(&snapshots, &fates, &dynamics, &coordinates(), 0).unwrap();
    for fate in rates {
        // Nothing differs between cells, so resampling changes nothing.
        for (found, expected) in fate.into_iter().zip([0.0, RISE]) {
            assert!(
                found.iter().all(|rate| (rate - expected).abs() < 1e-9),
                "{found:?}"
            );
        }
    }
}

#[test]
fn a_shift_along_the_motion_changes_fates_as_it_should() {
    let sigma = 0.7;
    let dynamics = rising(Lagrangian::kinetic().noise(sigma).unwrap());
    let (snapshots, labels) = ladder();
    let options = Options {
        paths: 300,
        ..Options::default()
    };
    let ends = Destinations::new(&dynamics, &snapshots, &labels, options).unwrap();
    let points = Array2::from_shape_fn((40, 2), |(i, _)| 0.04 * i as f64 - 1.0);
    let weights = Array1::ones(40);
    let decoder = coordinates();
    let cells = Perturbed::new(&ends, &decoder, &points, &weights, 0.0).unwrap();
    let high = |y: f64| normal((y + RISE) / sigma);
    let mean =
        |of: &dyn Fn(f64) -> f64| points.column(1).iter().map(|y| of(*y)).sum::<f64>() / 40.0;
    let height = points.column(1).insert_axis(Axis(1));
    for (text, exact) in [
        ("rise=0", high(0.0) - mean(&high)),
        ("rise=+0.5", mean(&|y| high(y + 0.5)) - mean(&high)),
        (
            "rise=-0.5",
            mean(&|y| high(if y < 0.0 { y - 0.5 } else { (y - 0.5).max(0.0) })) - mean(&high),
        ),
    ] {
        let change: Change = text.parse().unwrap();
        let gene = decoder.find(&[change.gene]).unwrap()[0];
        let (effects, _) = cells.effect(&[(gene, change.to)], height).unwrap();
        let effect = &effects[0];
        assert_eq!(effect.fate, "high");
        assert!(
            (effect.difference - exact).abs() < 0.02,
            "{text}: {effect:?} {exact}"
        );
        assert!((effect.interval[0]..=effect.interval[1]).contains(&effect.difference));
        assert!((effects[1].difference + effect.difference).abs() < 1e-12);
    }
    // Along the column that nothing depends on nothing changes, to the labels of neighbours.
    let table = points.clone();
    let all = screen(&cells, &[0, 1], To::Shift(0.5), &table, &mut go_on).unwrap();
    assert!(all[0][0].difference.abs() < 0.01 && all[1][0].difference > 0.1);
    // What the coordinates hardly see says nothing.
    let faint = Decoder::new(
        vec!["faint".to_owned()],
        decoder.columns().to_vec(),
        array![0.0],
        array![0.0, 0.0],
        array![[0.005, 0.0]],
    );
    let faint = faint.unwrap();
    let cells = Perturbed::new(&ends, &faint, &points, &weights, 0.0).unwrap();
    let error = cells.effect(&[(0, To::Value(0.0))], height).unwrap_err();
    assert!(error.to_string().contains("hardly see faint"), "{error}");
    for wrong in ["rise", "rise=up", "rise=inf"] {
        assert!(wrong.parse::<Change>().is_err(), "{wrong}");
    }
}
