use std::{
    ops::ControlFlow,
    sync::atomic::{AtomicUsize, Ordering},
};

use ndarray::{Array1, Array2, array};

use super::*;
use crate::{
    cloud::Cloud, dynamics::Dynamics, error::ErrorKind, evaluate, gallery::Branching, metric,
    problem::Problem,
};

fn snapshots() -> Snapshots {
    Branching
        .snapshots(&[0.0, 6.0, 14.0, 30.0, 48.0], 24, 0)
        .unwrap()
}

fn small(name: &str) -> Method {
    let mut method = Method::named(name).unwrap();
    method.settings.fit.steps = 25;
    method.settings.fit.batch = 32;
    method.settings.network.width = 8;
    method
}

fn evaluation(snapshots: &Snapshots, methods: Vec<Method>, options: Options) -> Evaluation {
    let data = DataOptions {
        standardize: true,
        ..DataOptions::default()
    };
    Evaluation::new(snapshots, &data, methods, options).unwrap()
}

fn go_on(_: Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn parameters(dynamics: &Dynamics) -> Vec<u32> {
    let engine = dynamics.action().as_engine().unwrap();
    engine.parameters().iter().map(|p| p.to_bits()).collect()
}

/// The snapshots with a number at time `at` that shows wherever it goes.
fn with_tell_tale(snapshots: &Snapshots, at: usize) -> Snapshots {
    let clouds = snapshots.clouds().iter().enumerate().map(|(k, cloud)| {
        let mut points = cloud.points().clone();
        if k == at {
            points[[3, 1]] = 1e6;
            points[[5, 0]] = -3e5;
        }
        Cloud::weighted(points, cloud.weights().clone()).unwrap()
    });
    Snapshots::new(snapshots.times().to_vec(), clouds.collect()).unwrap()
}

/// No parameter, unit, warp or noise of any method moves with what a left-out time holds, nor a
/// reference row at another time; the score of the time does.
#[test]
fn nothing_of_a_left_out_time_enters_a_fit() {
    let methods = Method::NAMES.map(|(name, _)| small(name)).to_vec();
    let options = Options {
        nested: true,
        ..Options::default()
    };
    let plain = snapshots();
    let planted = with_tell_tale(&plain, 2);
    let [plain, planted] =
        [&plain, &planted].map(|data| evaluation(data, methods.clone(), options.clone()));
    for left_out in [vec![2], vec![1, 2], vec![2, 3]] {
        for method in 0..methods.len() {
            let fit = |evaluation: &Evaluation| evaluation.fit(&left_out, method, 0, &mut ());
            let (one, other) = (fit(&plain).unwrap(), fit(&planted).unwrap());
            assert_eq!(
                parameters(&one),
                parameters(&other),
                "{method} without {left_out:?}"
            );
            assert_eq!(format!("{:?}", one.units), format!("{:?}", other.units));
            assert_eq!(one.lagrangian, other.lagrangian);
        }
    }
    // What a choice for time 2 goes by does not know it.
    let job = Job {
        left_out: vec![1, 2],
        work: Work::Fit { method: 1, seed: 0 },
    };
    let rows = |evaluation: &Evaluation| {
        let step = &mut |_| ControlFlow::Continue(());
        evaluation.compute(&job, step).unwrap().rows
    };
    let (one, other) = (rows(&plain), rows(&planted));
    for (a, b) in one.iter().zip(&other) {
        assert_eq!(a.measured == b.measured, a.at == 1);
    }
    // And where it is seen, it moves a fit, so that this test can fail.
    let fit = |evaluation: &Evaluation| evaluation.fit(&[1], 0, 0, &mut ()).unwrap();
    assert_ne!(parameters(&fit(&plain)), parameters(&fit(&planted)));
}

/// A fit that is not given a time is the fit that is told to hold it out, and is scored as such.
#[test]
fn a_row_is_the_score_of_a_fit_that_holds_the_time_out() {
    let data = snapshots();
    let evaluation = evaluation(&data, vec![small("clocked")], Options::default());
    let settings = &evaluation.methods()[0].settings;
    let problem = Problem::between(&data)
        .standardize()
        .hold_out(["14"])
        .build()
        .unwrap();
    let dynamics = crate::fit(settings.network, &problem, &settings.fit).unwrap();
    let found = evaluation.fit(&[2], 0, 0, &mut ()).unwrap();
    assert_eq!(parameters(&found), parameters(&dynamics));
    let job = Job {
        left_out: vec![2],
        work: Work::Fit { method: 0, seed: 0 },
    };
    let step = &mut |_| ControlFlow::Continue(());
    let row = evaluation.compute(&job, step).unwrap().rows[0].clone();
    let scale = crate::units::Units::of(&data, true).unwrap().scale();
    let score = evaluate::score(&dynamics, &data, 1, 2, [Some(1), Some(3)], &scale).unwrap();
    assert_eq!(row.measured.distances, score.prediction);
}

/// The second fit of `recoupled` is one to the path along the first, and the first is `clocked`.
#[test]
fn recoupled_follows_the_fit_before() {
    let data = snapshots();
    let methods = vec![small("clocked"), small("recoupled")];
    let evaluation = evaluation(&data, methods, Options::default());
    let first = evaluation.fit(&[2], 0, 0, &mut ()).unwrap();
    let training = data.without(&[2]).unwrap();
    let problem = Problem::between(&training)
        .standardize()
        .along(move |t, x| first.velocity(t, &x.to_owned()))
        .build()
        .unwrap();
    let settings = &evaluation.methods()[1].settings;
    let expected = crate::fit(settings.network, &problem, &settings.fit).unwrap();
    let found = evaluation.fit(&[2], 1, 0, &mut ()).unwrap();
    assert_eq!(parameters(&found), parameters(&expected));
}

/// By hand: on a line, points that move by 1 a unit of time are met by straight lines.
#[test]
fn references_are_what_they_are_called() {
    let cloud = |shift: f64| {
        let points = array![[0.0], [1.0], [2.5], [4.0], [7.0]] + shift;
        Cloud::new(points).unwrap()
    };
    let times = vec![0.0, 1.0, 4.0];
    let clouds = times.iter().map(|t| cloud(*t)).collect();
    let data = Snapshots::new(times, clouds).unwrap();
    let evaluation =
        Evaluation::new(&data, &DataOptions::default(), vec![], Options::default()).unwrap();
    let report = evaluation.run(None, &go_on).unwrap();
    let w1 = |name: &str| {
        report.tables[0]
            .line(name)
            .unwrap()
            .mean
            .as_ref()
            .unwrap()
            .w1
            .mean
    };
    assert!((w1("previous snapshot") - 1.0).abs() < 1e-12);
    assert!((w1("next snapshot") - 3.0).abs() < 1e-12);
    assert!(w1("linear transport").abs() < 1e-12);
    assert!(w1("clocked spline").abs() < 1e-12);
    assert_eq!(report.best, None);
    // With two times left no error bar can be made, and the mean was on the line.
    assert_eq!(report.calibration[0].expected, None);
    assert!(report.calibration[0].found < 1e-12);
}

/// A method that has hardly learned is not chosen, and the row of choosing is that of the chosen.
#[test]
fn choosing_takes_the_method_that_predicts_what_is_left_out_inside() {
    let good = {
        let mut method = small("clocked");
        method.settings.fit.steps = 300;
        method.settings.fit.learning_rate = 1e-2;
        method.settings.fit.ema_decay = 0.9;
        method
    };
    let mut bad = small("lines");
    bad.settings.fit.steps = 1;
    let options = Options {
        nested: true,
        protocols: vec![Protocol::Previous],
        ..Options::default()
    };
    let evaluation = evaluation(&snapshots(), vec![bad, good], options);
    // Three references, two methods without each of three times and each of three pairs.
    assert_eq!(evaluation.jobs().len(), 3 + 2 * 6);
    let report = evaluation.run(None, &go_on).unwrap();
    let table = &report.tables[0];
    let (chosen, good) = (
        table.line("chosen").unwrap(),
        table.line("clocked").unwrap(),
    );
    assert_eq!(chosen.chosen.as_deref().unwrap(), ["clocked"; 3]);
    assert_eq!((&chosen.mean, &chosen.at), (&good.mean, &good.at));
    assert_eq!(report.best.as_deref(), Some("clocked"));
    assert!(report.advice.contains("Use"), "{}", report.advice);
}

/// A fit that moves nothing to speak of is told what it lacks, because the paths are nearer.
#[test]
fn a_fit_that_is_too_short_is_told_to_go_on() {
    let mut short = small("clocked");
    short.settings.fit.steps = 1;
    let options = Options {
        protocols: vec![Protocol::Previous],
        ..Options::default()
    };
    let evaluation = evaluation(&snapshots(), vec![short], options);
    let advice = evaluation.run(None, &go_on).unwrap().advice;
    assert!(advice.contains("take more steps"), "{advice}");
}

#[test]
fn the_number_of_threads_does_not_matter() {
    let evaluation = evaluation(
        &snapshots(),
        vec![small("clocked"), small("noise")],
        Options {
            seeds: 2,
            protocols: Protocol::ALL.to_vec(),
            points: 20,
            ..Options::default()
        },
    );
    let [one, four] = [1, 4].map(|threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| evaluation.run(None, &go_on).unwrap())
    });
    assert_eq!(one, four);
    let both = &one.tables[2];
    assert!(both.line("noise").unwrap().mean.is_none());
    assert!(
        both.line("clocked").unwrap().at[0]
            .as_ref()
            .unwrap()
            .w1_over_seeds
            .is_some()
    );
    assert!(
        one.notes
            .iter()
            .any(|note| note.contains("random 20 are compared")),
        "{:?}",
        one.notes
    );
}

#[test]
fn a_folder_keeps_what_is_finished() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("evaluation");
    let of = |steps: usize| {
        let mut method = small("lines");
        method.settings.fit.steps = steps;
        evaluation(&snapshots(), vec![method], Options::default())
    };
    let evaluation = of(25);
    let jobs = evaluation.jobs().len();
    let stopped = evaluation.run(Some(&folder), &|at| match at.jobs {
        0..=3 => ControlFlow::Continue(()),
        _ => ControlFlow::Break(()),
    });
    assert_eq!(stopped.unwrap_err().kind(), ErrorKind::Interrupted);
    let there = evaluation.open(&folder).unwrap();
    assert!(there[0].is_some() && there.iter().any(Option::is_none));
    let left = there.iter().filter(|outcome| outcome.is_none()).count();
    let done = AtomicUsize::new(0);
    let resumed = evaluation
        .run(Some(&folder), &|at| {
            assert_eq!(at.of_jobs, left);
            done.fetch_max(at.jobs, Ordering::SeqCst);
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(done.into_inner(), left);
    assert_eq!(resumed, evaluation.run(None, &go_on).unwrap());
    // A file that is gone is made again with the same bytes.
    let file = folder.join(Job::file(jobs - 1));
    let bytes = std::fs::read(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    evaluation.run(Some(&folder), &go_on).unwrap();
    assert_eq!(std::fs::read(&file).unwrap(), bytes);
    let error = of(26).run(Some(&folder), &go_on).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Setting);
    let text = error.to_string();
    assert!(
        text.contains("methods.lines.settings.fit.steps is 25, not 26"),
        "{text}"
    );
    std::fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    let error = evaluation.run(Some(&folder), &go_on).unwrap_err();
    assert!(error.to_string().contains("remove it"), "{error}");
    let other = tempfile::tempdir().unwrap();
    std::fs::write(other.path().join("mine.txt"), "mine").unwrap();
    let error = evaluation.run(Some(other.path()), &go_on).unwrap_err();
    assert!(error.to_string().contains("mine.txt"), "{error}");
}

#[test]
fn what_diverges_is_a_row_without_numbers() {
    let mut wild = small("lines");
    wild.name = "wild".to_owned();
    wild.settings.fit.steps = 400;
    wild.settings.fit.learning_rate = 1e30;
    wild.settings.fit.clip = 1e30;
    let evaluation = evaluation(&snapshots(), vec![wild, small("lines")], Options::default());
    let report = evaluation.run(None, &go_on).unwrap();
    assert!(report.tables[0].line("wild").unwrap().mean.is_none());
    assert_eq!(report.best.as_deref(), Some("lines"));
    let said = |note: &String| note.contains("wild (seed 0) diverged without 6");
    assert!(report.notes.iter().any(said), "{:?}", report.notes);
}

#[test]
fn what_cannot_be_evaluated_is_refused() {
    let data = snapshots();
    let options = Options::default;
    let of = |snapshots: &Snapshots, data: &DataOptions, methods, options| {
        Evaluation::new(snapshots, data, methods, options)
            .unwrap_err()
            .to_string()
    };
    let plain = DataOptions::default();
    let two = data.without(&[1, 2, 3]).unwrap();
    let text = of(&two, &plain, vec![], options());
    assert!(
        text.contains("there are none") && text.contains("0, 48"),
        "{text}"
    );
    let nested = Options {
        nested: true,
        ..options()
    };
    let text = of(&data.without(&[1, 2]).unwrap(), &plain, vec![], nested);
    assert!(
        text.contains("four times") && text.contains("at the one time 30"),
        "{text}"
    );
    let held = DataOptions {
        hold_out: vec!["6".to_owned()],
        ..DataOptions::default()
    };
    assert!(of(&data, &held, vec![], options()).contains("hold_out"));
    let twice = vec![small("lines"), small("lines")];
    assert!(of(&data, &plain, twice, options()).contains("two methods are called lines"));
    let mut other = small("lines");
    other.settings.data.dims = Some(1);
    let text = of(&data, &plain, vec![other], options());
    assert!(text.contains("data.dims is 1, not nothing"), "{text}");
    let mut drift = small("lines");
    drift.settings.lagrangian.drift = true;
    assert!(of(&data, &plain, vec![drift], options()).contains("method lines"));
    let none = Options {
        seeds: 0,
        ..options()
    };
    assert!(of(&data, &plain, vec![], none).contains("0 seeds"));
    let error = Method::find("curved").unwrap_err().to_string();
    assert!(
        error.contains(
            "lines, clocked, cubic, monotone, forced, metric, recoupled, growth, noise, bridge"
        ),
        "{error}"
    );
    let few = Cloud::new(Array2::from_shape_fn((3, 2), |(i, j)| (i + j) as f64)).unwrap();
    let mut clouds = data.clouds().to_vec();
    clouds[3] = few;
    let few = Snapshots::new(data.times().to_vec(), clouds).unwrap();
    assert!(of(&few, &plain, vec![], options()).contains("time 30 has 3"));
}

/// Growth shows in the masses: halves of a population that grows e-fold.
#[test]
fn masses_are_predicted_where_they_differ() {
    let data = snapshots();
    let masses: Vec<f64> = data.times().iter().map(|t| (t / 24.0).exp()).collect();
    let data = data.with_masses(&masses).unwrap();
    let names = |methods: Vec<Method>| -> Vec<String> {
        methods.into_iter().map(|method| method.name).collect()
    };
    let methods = Method::defaults(&data, &DataOptions::default()).unwrap();
    assert_eq!(names(methods), ["lines", "clocked", "growth"]);
    let evaluation = evaluation(&data, vec![], Options::default());
    let report = evaluation.run(None, &go_on).unwrap();
    // A constant rate is what linear transport supposes.
    let linear = report.tables[0].line("linear transport").unwrap();
    assert!(linear.mean.as_ref().unwrap().mass_error < 1e-12);
    let before = report.tables[0].line("previous snapshot").unwrap();
    let expected = (-0.25f64).exp() - 1.0;
    let found = before.at[0].as_ref().unwrap().distances.mass_error;
    assert!((found - expected).abs() < 1e-12);
}

/// A row with growth and one without, and what the notes say of the two.
#[test]
fn it_is_said_where_motion_explains_what_growth_does() {
    let data = snapshots().with_masses(&[1.0, 1.1, 1.2, 1.3, 1.4]).unwrap();
    let both = |growing: Method| {
        let evaluation = evaluation(&data, vec![small("clocked"), growing], Options::default());
        let report = evaluation.run(None, &go_on).unwrap();
        let energy = |name: &str| {
            let line = report.tables[0].line(name).unwrap();
            line.mean.as_ref().unwrap().unbiased_energy.mean
        };
        let said = report
            .notes
            .iter()
            .any(|note| note.contains("births and deaths"));
        (energy("clocked"), energy("growth"), said)
    };
    // A fit of one step has moved nothing.
    let mut still = small("growth");
    still.settings.fit.steps = 1;
    let (moving, growing, said) = both(still);
    assert!(moving < growing && said, "{moving} {growing}");
    let mut longer = small("growth");
    longer.settings.fit.steps = 200;
    let (moving, growing, said) = both(longer);
    assert!(growing < moving && !said, "{moving} {growing}");
}

/// Against numpy: `2 E|x-y| - E'|x-x'| - E'|y-y'|` of weighted points, without equal indices.
#[test]
fn the_unbiased_energy_distance_leaves_out_equal_indices() {
    let a = Cloud::weighted(
        array![[0.0, 0.0], [3.0, 4.0], [6.0, 8.0]],
        array![1.0, 1.0, 2.0],
    );
    let b = Cloud::new(array![[0.0, 0.0], [0.0, 10.0]]);
    let (a, b) = (a.unwrap(), b.unwrap());
    let across = [
        [0.0, 10.0],
        [5.0, (9.0f64 + 36.0).sqrt()],
        [10.0, (36.0f64 + 4.0).sqrt()],
    ];
    let p = [0.25, 0.25, 0.5];
    let across: f64 = (0..3)
        .map(|i| p[i] * 0.5 * (across[i][0] + across[i][1]))
        .sum();
    let within = 2.0 * (0.0625 * 5.0 + 0.125 * 10.0 + 0.125 * 5.0) / (1.0 - 0.375);
    let expected = 2.0 * across - within - 10.0;
    let found = metric::unbiased_energy_distance(&a, &b).unwrap();
    assert!((found - expected).abs() < 1e-12, "{found}, not {expected}");
    let single = Cloud::weighted(Array2::ones((2, 2)), Array1::from(vec![1.0, 0.0])).unwrap();
    assert!(metric::unbiased_energy_distance(&a, &single).is_err());
}
