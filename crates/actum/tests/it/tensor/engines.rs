//! The engines of the CPU, in f32, against the same networks in tensors: of f64 on the CPU, and of
//! f32 on the GPUs that are built in. The tensors themselves are compared with differences in
//! `derivatives` and `objective`.

use std::ops::Range;

use actum::{
    action::{At, Choice, Curvature, Device, Engine, Interior, Rows, Scalar, Sizes, Terms},
    gallery::gaussian::Gaussian,
    lagrangian::{Cost, Drift, Lagrangian},
    objective::Objective,
    path::Path,
    problem::{Estimator, Problem, Weight},
    units::Units,
};
use ndarray::{Array2, ArrayView2};

use crate::support::{
    assert_close, drifting, largest, middles,
    networks::{SIZES, gradients, images, random_mlp, random_unet},
    normal, normal_times, rng,
    tensors::device,
};

/// Lines that channels fill and do not, images of one pixel and of many rows, deep ones, circles,
/// both scalars.
fn all_sizes() -> Vec<Sizes> {
    let sized = |[target, conditioning]: [usize; 2],
                 [height, width]: [usize; 2],
                 [channels, levels, blocks]: [usize; 3]| Sizes {
        target,
        conditioning,
        height,
        width,
        channels,
        levels,
        blocks,
        periodic: false,
        scalar: Scalar::Product,
    };
    let circles = |sizes| Sizes {
        periodic: true,
        ..sizes
    };
    let distance = |sizes| Sizes {
        scalar: Scalar::Distance,
        ..sizes
    };
    let deep = sized([1, 1], [8, 8], [12, 3, 2]);
    vec![
        sized([1, 0], [1, 1], [4, 1, 1]),
        SIZES,
        deep,
        sized([3, 1], [6, 10], [20, 2, 1]),
        sized([1, 0], [28, 28], [16, 3, 1]),
        sized([3, 0], [5, 7], [16, 1, 2]),
        circles(SIZES),
        circles(sized([1, 0], [4, 4], [8, 2, 1])),
        distance(SIZES),
        circles(distance(SIZES)),
        // Two columns, in which the Laplacian is exact: of two pixels, and of one beside one given.
        sized([1, 0], [1, 2], [4, 1, 1]),
        distance(sized([1, 1], [1, 1], [4, 1, 1])),
        circles(deep),
        distance(deep),
    ]
}

/// Tiles that rows fill and do not, one column and many, no hidden layer wider than a line.
const PERCEPTRONS: [[usize; 3]; 6] = [
    [1, 1, 1],
    [2, 33, 2],
    [2, 16, 3],
    [3, 16, 3],
    [5, 17, 1],
    [20, 40, 2],
];

/// The most columns for which a step is compared with second derivatives along all axes.
const AXES: usize = 20;

/// Where the tensors are, and how far the engines may be from them, relative to the largest number.
struct Place {
    device: Device,
    off: f64,
}

fn f64_tensors() -> Place {
    Place {
        device: device().into(),
        off: 1e-4,
    }
}

impl Place {
    fn tensors(&self, network: Box<dyn Engine>) -> Box<dyn Engine> {
        self.device.place(network).unwrap()
    }

    #[track_caller]
    fn compare(&self, ours: &[f64], theirs: &[f64], least: f64, what: &str) {
        assert_close(ours, theirs, least, self.off, what);
    }

    /// The last steps of both left the same gradient.
    #[track_caller]
    fn compare_gradients(&self, ours: &dyn Engine, theirs: &dyn Engine, what: &str) {
        // What fills up between parameters is 0, or it would be lost in a file.
        let gradient = ours.parameter_gradient();
        let packed = ours.pack(&ours.unpack(gradient)).unwrap();
        assert_eq!(packed, gradient, "{what}");
        let [ours, theirs] = [ours, theirs].map(gradients);
        assert_eq!(ours.len(), theirs.len(), "{what}");
        // That in the bias of the keys is 0, which a softmax does not see.
        let all = theirs.iter().map(|(_, gradient)| largest(gradient));
        let least = 1e-2 * all.fold(0.0, f64::max);
        assert!(least > 0.0, "{what}");
        for ((name, ours), (other, theirs)) in ours.iter().zip(&theirs) {
            assert_eq!(name, other);
            self.compare(ours, theirs, least, &format!("{name}, {what}"));
        }
    }

    fn compare_functions(&self, make: impl Fn() -> Box<dyn Engine>, what: &str) {
        let (ours, theirs) = (make(), self.tensors(make()));
        let (n, d) = (7, ours.dimension());
        let (times, x, e) = (normal_times(n, 1), normal(n, d, 2), normal(n, d, 4));
        let both = |f: &dyn Fn(&dyn Engine) -> Vec<f64>, name: &str| {
            let what = format!("{name} of {what}");
            self.compare(&f(&*ours), &f(&*theirs), 1e-3, &what);
        };
        both(&|s| s.value(&times, x.view()).to_vec(), "value");
        both(&|s| flat(s.gradient(&times, x.view())), "gradient");
        both(
            &|s| {
                let (values, gradients) = s.value_and_gradient(&times, x.view());
                [values.to_vec(), flat(gradients)].concat()
            },
            "both",
        );
        both(
            &|s| s.curvature(&times, x.view(), e.view()).to_vec(),
            "curvature",
        );
    }

    /// One step with everything in it: rows of different coefficients, some with second derivatives
    /// and some without, along probes or all axes; the action itself; and two boundaries.
    fn compare_steps(&self, make: impl Fn() -> Box<dyn Engine>, what: &str) {
        let (mut ours, mut theirs) = (make(), self.tensors(make()));
        let probes = normal(STEP.len(), ours.dimension(), 4);
        // The sum over all axes of an image takes long.
        let axes = (ours.dimension() <= AXES).then_some((0.7, None));
        let along = [1.0, 0.0].map(|dt| (dt, Some(probes.view())));
        for (dt, probes) in along.into_iter().chain(axes) {
            let what = format!("dt {dt}, probes {}, {what}", probes.is_some());
            let [a, b] = [&mut ours, &mut theirs].map(|engine| step(&mut **engine, dt, probes));
            self.compare(&a.values, &b.values, 1e-3, &what);
            // Without a coefficient a term is not computed.
            let interiors = [&a, &b].map(|terms| {
                let rows = terms.interior.iter().zip(STEP);
                rows.map(|(term, [coefficient, _])| {
                    if coefficient == 0.0 {
                        term * 0.0
                    } else {
                        *term
                    }
                })
                .collect::<Vec<f64>>()
            });
            self.compare(&interiors[0], &interiors[1], 1e-3, &what);
            self.compare(&[a.boundary], &[b.boundary], largest(&a.values), &what);
            self.compare_gradients(&*ours, &*theirs, &what);
        }
    }

    /// The objective of a problem at so many times, with a weight that is 0 at an end.
    fn compare_objectives(
        &self,
        make: &dyn Fn() -> Box<dyn Engine>,
        path: &dyn Path,
        lagrangian: &Lagrangian,
        times: &[f64],
        what: &str,
    ) {
        let problem = Problem::new(path, lagrangian.clone(), Units::identity(path.dimension()))
            .weighted(Weight::new(|t| [1.0 - t, -1.0]));
        let (mut ours, mut theirs) = (make(), self.tensors(make()));
        for estimator in [Estimator::Velocity, Estimator::Samples] {
            let what = format!("{estimator:?}, {lagrangian:?}, {what}");
            let objective = Objective::new(&problem, estimator).unwrap();
            let density = times.iter().map(|t| 0.5 + t).collect();
            let batch = objective.batch(times.to_vec(), density, &mut rng(5));
            let a = objective.differentiate(&mut *ours, &batch);
            let b = objective.differentiate(&mut *theirs, &batch);
            self.compare(&[a.value], &[b.value], 0.0, &what);
            self.compare(&a.interior, &b.interior, 0.0, &what);
            self.compare_gradients(&*ours, &*theirs, &what);
        }
    }

    fn compare_perceptrons(&self) {
        for [d, width, depth] in PERCEPTRONS {
            let what = format!("{d} columns, {width} x {depth}");
            let make = || random_mlp(d, width, depth);
            self.compare_functions(make, &what);
            self.compare_steps(make, &what);
            let rates: Vec<f64> = (0..d).map(|j| f64::from(j as u8) * 0.3 + 1.0).collect();
            for lagrangian in lagrangians() {
                let path = Gaussian::new(d, |t| drifting(t, &rates, 1.0));
                let path = match lagrangian.grows() {
                    true => path.with_mass(|t| [1.0 + t * t, 2.0 * t]),
                    false => path,
                };
                for n in [1, 300] {
                    let times = middles(n);
                    self.compare_objectives(&make, &path, &lagrangian, &times, &what);
                }
            }
        }
    }

    fn compare_unets(&self) {
        for sizes in all_sizes() {
            let what = format!("{sizes:?}");
            let make = || random_unet(sizes);
            self.compare_functions(make, &what);
            self.compare_steps(make, &what);
            let path = images(sizes);
            // The first has no term and the last has all of them.
            let [plain, .., all] = lagrangians();
            for lagrangian in [plain, all] {
                let times = [0.1, 0.4, 0.9, 1.0];
                self.compare_objectives(&make, &path, &lagrangian, &times, &what);
            }
        }
    }
}

fn flat(array: Array2<f64>) -> Vec<f64> {
    array.iter().copied().collect()
}

/// Every term alone, and all of them.
fn lagrangians() -> [Lagrangian; 4] {
    let kinetic = Lagrangian::kinetic;
    let all = Lagrangian::new(Cost::power(3.0).unwrap())
        .noise(0.7)
        .and_then(|l| l.growth(0.9))
        .unwrap()
        .drift(Drift::function(|t, x, b| {
            b.fill(t);
            b[0] -= x[x.len() - 1];
        }));
    [
        kinetic(),
        kinetic().noise(1.0).unwrap(),
        kinetic().growth(0.7).unwrap(),
        all,
    ]
}

/// The coefficient of every row of a step and the weight of its second derivatives.
const STEP: [[f64; 2]; 6] = [
    [0.5, 0.3],
    [1.2, 0.0],
    [0.8, 1.1],
    [-0.4, 0.0],
    [0.0, 0.5],
    [0.9, 0.2],
];

/// A step along `grad s - u` for velocities u at random, with the excess and the coefficient of s
/// functions of the value.
fn step(engine: &mut dyn Engine, dt: f64, probes: Option<ArrayView2<f64>>) -> Terms {
    let (n, d) = (STEP.len(), engine.dimension());
    let (times, points, velocities) = (middles(n), normal(n, d, 2), normal(n, d, 3));
    let [coefficients, weights] = [0, 1].map(|k| STEP.map(|row| row[k]));
    let interior = Interior {
        rows: Rows {
            times: &times,
            points: points.view(),
            coefficients: &coefficients,
        },
        dt,
        curvature: Some(Curvature {
            weights: &weights,
            probes,
        }),
    };
    let choose = |rows: Range<usize>, at: At<'_>, choice: Choice<'_>| {
        let u = velocities.rows().into_iter().skip(rows.start).flatten();
        let each = choice.directions.iter_mut().zip(at.gradients);
        each.zip(u).for_each(|((dx, p), u)| *dx = p - u);
        for (k, value) in at.values.iter().enumerate() {
            choice.values[k] = 0.7 * value;
            choice.excess[k] = 0.1 * value * value;
        }
    };
    let (starts, ends) = (normal(3, d, 6), normal(6, d, 7));
    let boundary = [
        Rows {
            times: &[0.0; 3],
            points: starts.view(),
            coefficients: &[0.3, 0.0, 0.6],
        },
        Rows {
            times: &[1.0; 6],
            points: ends.view(),
            coefficients: &[-0.1, -0.2, -0.3, -0.2, -0.1, -0.4],
        },
    ];
    engine.step(interior, &boundary, &choose).unwrap()
}

#[test]
fn perceptrons_agree_with_their_tensors() {
    f64_tensors().compare_perceptrons();
}

#[test]
fn unets_agree_with_their_tensors() {
    f64_tensors().compare_unets();
}

/// GPUs round the factors of products to 10 bits.
#[cfg(any(feature = "cuda", feature = "vulkan", feature = "metal"))]
#[test]
#[ignore = "needs a GPU"]
fn engines_agree_with_the_tensors_of_gpus() {
    for (name, built_in) in [
        ("cuda", cfg!(feature = "cuda")),
        ("vulkan", cfg!(feature = "vulkan")),
        ("metal", cfg!(feature = "metal")),
    ] {
        if built_in {
            let place = Place {
                device: Device::named(name).unwrap(),
                off: 1e-2,
            };
            place.compare_perceptrons();
            place.compare_unets();
        }
    }
}
