use std::fs;

use ndarray::{Array1, Array3, Axis, array};

use crate::{
    data::{tests::*, *},
    error::ErrorKind,
};

fn written() -> Vec<Snapshots> {
    let points = array![
        [0.1, -0.0, 5e-324],
        [1.0 / 3.0, f64::MAX, -7.25],
        [1e-7, 1e17, 123456.789],
        [5.5, -6.5, std::f64::consts::PI],
        [f64::EPSILON, 2e-5, 9007199254740993.0]
    ];
    let times = [-0.5, 0.1 + 0.2, -0.5, 0.1 + 0.2, -0.5];
    let labels = ["Day 2", "day10", "Day 2", "day10", "d2"];
    let weights = Some(array![0.1, 0.2, 1e-9, 3.0, 0.7]);
    let names = Some(vec![
        "PC1".to_owned(),
        "größe, \"mm\"".to_owned(),
        "z".to_owned(),
    ]);
    vec![
        Snapshots::from_rows(points.clone(), &times, None, None).unwrap(),
        Snapshots::from_rows(points.clone(), &times, weights.clone(), names.clone()).unwrap(),
        Snapshots::from_labelled_rows(points, &labels, weights, names).unwrap(),
    ]
}

#[test]
fn what_is_written_reads_back_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    for (i, snapshots) in written().iter().enumerate() {
        for format in FORMATS {
            let path = folder.path().join(format!("{i}.{}", format.extension));
            write(&path, snapshots).unwrap();
            let again = read(&path, &Keys::default()).unwrap();
            assert_eq!(
                again.fingerprint(),
                snapshots.fingerprint(),
                "{}",
                path.display()
            );
            assert_eq!(again.axis(), snapshots.axis(), "{}", path.display());
            assert_eq!(again.columns(), snapshots.columns(), "{}", path.display());
            assert_eq!(again.notes().len(), usize::from(i > 0));
            let masses = |note: &String| note.contains("unequal masses (0.8 to 3.2)");
            assert!(again.notes().iter().all(masses), "{:?}", again.notes());
        }
    }
}

#[test]
fn weights_and_names_are_written_only_when_there_are_some() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.csv");
    write(&path, &written()[0].first_columns(1).unwrap()).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(
        text,
        "t,x0\n-0.5,0.1\n-0.5,1e-7\n-0.5,2.220446049250313e-16\n\
         0.30000000000000004,0.3333333333333333\n0.30000000000000004,5.5\n"
    );
    let taken = Some(vec!["t".to_owned()]);
    let points = array![[1.0], [2.0]];
    let snapshots = Snapshots::from_rows(points, &[0.0, 0.0], None, taken).unwrap();
    assert_holds(&write(&path, &snapshots).unwrap_err(), &["\"t\"", ".npz"]);
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
    assert!(write(&folder.path().join("a.npz"), &snapshots).is_ok());
}

#[test]
fn trajectories_are_long_in_tables() {
    let folder = tempfile::tempdir().unwrap();
    let points = Array3::from_shape_fn((2, 3, 1), |(k, i, _)| (10 * k + i) as f64 / 4.0);
    let path = |extension: &str| folder.path().join(format!("paths.{extension}"));
    let names = ["x".to_owned()];
    for extension in ["csv", "parquet", "npz"] {
        trajectories(
            &path(extension),
            &[0.0, 1.5],
            &points,
            ParticleWeights::Constant(&Array1::ones(3)),
            &names,
        )
        .unwrap();
    }
    assert_eq!(
        fs::read_to_string(path("csv")).unwrap(),
        "particle,t,x\n0,0,0\n0,1.5,2.5\n1,0,0.25\n1,1.5,2.75\n2,0,0.5\n2,1.5,3\n"
    );
    for extension in ["csv", "parquet", "npz"] {
        let snapshots = read(&path(extension), &Keys::default()).unwrap();
        assert_eq!(snapshots.times(), [0.0, 1.5]);
        assert_eq!(snapshots.cloud(1).points(), array![[2.5], [2.75], [3.0]]);
        assert_eq!(snapshots.columns(), ["x"]);
        let notes: &[&str] = match extension {
            "npz" => &[],
            _ => &["left out column \"particle\": it numbers the rows"],
        };
        assert_eq!(snapshots.notes(), notes);
    }
    let data: Vec<u8> = points.iter().flat_map(|x| x.to_le_bytes()).collect();
    let bytes = fs::read(path("npz")).unwrap();
    assert!(bytes.windows(data.len()).any(|part| part == data));
    let error = trajectories(
        &path("csv"),
        &[0.0],
        &points,
        ParticleWeights::Constant(&Array1::ones(3)),
        &names,
    )
    .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Shape);
    let error = trajectories(
        &path("csv"),
        &[0.0, 1.0],
        &points,
        ParticleWeights::Constant(&Array1::ones(3)),
        &[],
    )
    .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Shape);
}

#[test]
fn particles_keep_their_weights() {
    let folder = tempfile::tempdir().unwrap();
    let points = Array3::from_shape_fn((2, 3, 1), |(k, i, _)| (10 * k + i) as f64);
    let weights = array![0.5, 0.25, 2.0];
    for Format { extension, .. } in FORMATS {
        let path = folder.path().join(format!("paths.{extension}"));
        trajectories(
            &path,
            &[0.0, 1.5],
            &points,
            ParticleWeights::Constant(&weights),
            &["x".to_owned()],
        )
        .unwrap();
        let snapshots = read(&path, &Keys::default()).unwrap();
        for cloud in snapshots.clouds() {
            assert_eq!(cloud.weights(), &weights, "{extension}");
        }
        assert_eq!(snapshots.columns(), ["x"]);
    }
}

#[test]
fn velocities_are_written_and_read_back_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let points = array![[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]];
    let columns = Some(vec!["PC1".to_owned(), "größe \"mm\"".to_owned()]);
    let all = velocity_rows();
    let of = |rows: &[usize]| all.select(Axis(0), rows).select(Axis(1), &[1, 2]);
    let velocities = vec![of(&[0, 2]), of(&[1, 3])];
    let weights = Some(array![0.5, 0.25, 0.5, 0.75]);
    let times = [2.0, 4.5, 2.0, 4.5];
    let labels = ["Day 2", "day4.5", "d2", "day4.5"];
    let numbered = Snapshots::from_rows(points.clone(), &times, None, None).unwrap();
    let labelled = Snapshots::from_labelled_rows(points, &labels, weights, columns).unwrap();
    for (snapshots, names) in [(numbered, "v_x0,v_x1"), (labelled, "v_PC1,v_größe \"mm\"")] {
        let with = snapshots
            .clone()
            .with_velocities(velocities.clone())
            .unwrap();
        assert_ne!(with.fingerprint(), snapshots.fingerprint());
        for Format {
            extension,
            velocity_key,
            ..
        } in FORMATS
        {
            let path = folder.path().join(format!("a.{extension}"));
            write(&path, &with).unwrap();
            let key = velocity_key(with.columns());
            let expected = match *extension {
                "npz" => "V",
                "h5ad" => "layer:velocity",
                _ => names,
            };
            assert_eq!(key, expected);
            let again = read(&path, &velocity(&key)).unwrap();
            assert_eq!(again.fingerprint(), with.fingerprint(), "{extension}");
            for (again, with) in again.velocities().unwrap().iter().zip(&velocities) {
                assert_bits(again, with);
            }
            assert_eq!(again.columns(), with.columns());
            assert_eq!(again.axis(), with.axis());
            let blind = read(&path, &Keys::default()).unwrap();
            assert!(blind.velocities().is_none());
            if ["npz", "h5ad"].contains(extension) {
                assert_eq!(blind.fingerprint(), snapshots.fingerprint());
            } else {
                assert_eq!(blind.dimension(), 4);
                let note = format!("`Keys::velocity_key` {key}");
                assert!(blind.notes().iter().any(|n| n.contains(&note)));
            }
        }
    }
}

#[test]
fn velocities_that_no_key_could_name_are_not_written() {
    let folder = tempfile::tempdir().unwrap();
    for names in [["x", "v_x"], ["x, in mm", "y"]] {
        let columns = Some(names.map(str::to_owned).to_vec());
        let points = array![[1.0, 2.0], [3.0, 4.0]];
        let snapshots = Snapshots::from_rows(points.clone(), &[0.0; 2], None, columns).unwrap();
        let with = snapshots.with_velocities(vec![points]).unwrap();
        for extension in ["csv", "parquet"] {
            let path = folder.path().join(format!("a.{extension}"));
            let error = write(&path, &with).unwrap_err();
            assert_holds(&error, &["write .npz or rename it"]);
            assert!(!path.exists());
        }
        let path = folder.path().join("a.npz");
        write(&path, &with).unwrap();
        let again = read(&path, &velocity("V")).unwrap();
        assert_eq!(again.fingerprint(), with.fingerprint());
    }
}

#[test]
fn weights_that_change_are_written_at_every_time() {
    let folder = tempfile::tempdir().unwrap();
    let points = Array3::from_shape_fn((2, 3, 1), |(k, i, _)| (10 * k + i) as f64);
    let names = ["x".to_owned()];
    let weights = array![[0.5, 1.0 / 3.0, 2.0], [1e-300, 0.25, 8.0]];
    let path = |extension: &str| folder.path().join(format!("paths.{extension}"));
    // In the order of the columns, as after a transpose.
    let turned = weights.t().as_standard_layout().into_owned();
    let turned = turned.reversed_axes();
    for Format { extension, .. } in FORMATS {
        for weights in [&weights, &turned] {
            let changing = ParticleWeights::Changing(weights);
            trajectories(&path(extension), &[0.0, 1.5], &points, changing, &names).unwrap();
            let snapshots = read(&path(extension), &Keys::default()).unwrap();
            for k in 0..2 {
                assert_eq!(snapshots.cloud(k).weights(), weights.row(k), "{extension}");
            }
            assert!(snapshots.notes().iter().any(|n| n.contains("growth")));
            assert_eq!(snapshots.columns(), ["x"]);
        }
    }
    assert_eq!(
        fs::read_to_string(path("csv")).unwrap().lines().nth(2),
        Some("0,1.5,10,1e-300")
    );
    // As many particles as times: still one row of weights for each time.
    let square = array![[1.0, 2.0], [3.0, 4.0]];
    let pair = points.slice_axis(Axis(1), (0..2).into()).to_owned();
    let changing = ParticleWeights::Changing(&square);
    trajectories(&path("npz"), &[0.0, 1.5], &pair, changing, &names).unwrap();
    let snapshots = read(&path("npz"), &Keys::default()).unwrap();
    assert_eq!(snapshots.cloud(1).weights(), array![3.0, 4.0]);
    let wrong = ParticleWeights::Changing(&square);
    let error = trajectories(&path("npz"), &[0.0, 1.5], &points, wrong, &names).unwrap_err();
    assert_holds(&error, &["[2, 3]", "got [2, 2]"]);
    for Format { extension, .. } in FORMATS {
        let equal = ParticleWeights::Equal;
        trajectories(&path(extension), &[0.0, 1.5], &points, equal, &names).unwrap();
        let snapshots = read(&path(extension), &Keys::default()).unwrap();
        assert_eq!(snapshots.masses(), [1.0, 1.0]);
    }
}

fn attribute(name: &str, values: &[&str]) -> Attribute {
    Attribute {
        name: name.to_owned(),
        values: values.iter().map(|value| (*value).into()).collect(),
    }
}

#[test]
fn labels_and_attributes_of_particles_are_written() {
    let folder = tempfile::tempdir().unwrap();
    let points = Array3::from_shape_fn((2, 3, 1), |(k, i, _)| (10 * k + i) as f64);
    let attributes = [
        attribute("cell type", &["HSC", "größer, \"b\"", "HSC"]),
        attribute("w", &["1", "2", "3"]),
    ];
    for Format { extension, .. } in FORMATS {
        let path = folder.path().join(format!("a.{extension}"));
        let particles = Particles {
            times: &[1.5, 3.0],
            labels: &["Day 1.5".to_owned(), "Day 3".to_owned()],
            points: &points,
            velocities: None,
            weights: ParticleWeights::Equal,
            columns: &["x".to_owned()],
            attributes: &attributes,
            genes: None,
        };
        write_trajectories(&path, &particles).unwrap();
        let keys = Keys {
            points_key: (*extension != "npz").then(|| "x".to_owned()),
            ..Keys::default()
        };
        let again = read(&path, &keys).unwrap();
        assert_eq!(again.labels(), ["Day 1.5", "Day 3"], "{extension}");
        assert_eq!(again.masses(), [1.0, 1.0], "{extension}");
        let table = TableReader::open(&path, &keys).unwrap();
        let found = read_attributes(&path, &keys, again.columns()).unwrap();
        let found = found.iter().map(|a| a.select(&table.order()));
        let found: Vec<Attribute> = found.filter(|a| a.name != "particle").collect();
        let twice = |a: &Attribute| a.select(&[0, 1, 2, 0, 1, 2]);
        let named = attribute("w_", &["1", "2", "3"]);
        assert_eq!(found, [twice(&attributes[0]), twice(&named)], "{extension}");
        let few = Particles {
            attributes: &[attribute("a", &["1"])],
            ..particles
        };
        let error = write_trajectories(&path, &few).unwrap_err();
        assert_holds(&error, &["\"a\"", "3 particles", "got 1"]);
    }
}

#[test]
fn expression_is_written_beside_coordinates() {
    let folder = tempfile::tempdir().unwrap();
    let points = Array3::from_shape_fn((2, 3, 2), |(k, i, j)| match j {
        0 => (10 * k + i) as f64,
        _ => 0.5,
    });
    let columns = ["X_pca1", "X_pca2"].map(str::to_owned).to_vec();
    // A gene that is named as the time is.
    let decoder = crate::genes::Decoder::new(
        vec!["T".to_owned(), "Spi1".to_owned()],
        columns.clone(),
        array![1.0, 0.5],
        array![0.0, 0.5],
        array![[0.5, 0.0], [-0.25, 0.0]],
    )
    .unwrap();
    let particles = Particles {
        times: &[1.0, 2.0],
        labels: &["1".to_owned(), "2".to_owned()],
        points: &points,
        velocities: Some(&points),
        weights: ParticleWeights::Equal,
        columns: &columns,
        attributes: &[],
        genes: Some(&decoder),
    };
    for Format { extension, .. } in FORMATS {
        let path = folder.path().join(format!("a.{extension}"));
        write_trajectories(&path, &particles).unwrap();
        let keys = |points: &str| Keys {
            points_key: Some(points.to_owned()),
            ..Keys::default()
        };
        let genes = match *extension {
            "npz" => continue,
            "h5ad" => "X",
            _ => "T_,Spi1",
        };
        let found = read(&path, &keys(genes)).unwrap();
        let last = array![[6.0, -2.0], [6.5, -2.25], [7.0, -2.5]];
        assert_eq!(found.cloud(1).points(), last, "{extension}");
        let again = read(&path, &keys("X_pca1,X_pca2")).unwrap();
        assert_eq!(
            again.cloud(1).points(),
            points.index_axis(ndarray::Axis(0), 1)
        );
        // By default it is the coordinates that are read.
        assert_eq!(read(&path, &Keys::default()).unwrap().columns(), columns);
    }
    // In genes the points move by the velocities times the loadings.
    let path = folder.path().join("a.h5ad");
    let keys = Keys {
        points_key: Some("X".to_owned()),
        velocity_key: Some("layer:velocity".to_owned()),
        ..Keys::default()
    };
    let found = read(&path, &keys).unwrap();
    assert_eq!(
        found.velocities().unwrap()[0],
        array![[0.0, 0.0], [0.5, -0.25], [1.0, -0.5]]
    );
    let other = Particles {
        columns: &["x".to_owned(), "y".to_owned()],
        ..particles
    };
    let error = write_trajectories(&path, &other).unwrap_err();
    assert_holds(&error, &["X_pca1", "have x, y"]);
}

#[test]
fn attributes_of_snapshots_follow_their_points() {
    let folder = tempfile::tempdir().unwrap();
    let path = |extension: &str| folder.path().join(format!("a.{extension}"));
    let text = ",day,x,type,batch\nAAA,2,1,HSC,7\nCCC,1,2,MEP,7\nGGG,2,3,MEP,\nTTT,1,4,HSC,8\n";
    fs::write(path("csv"), text).unwrap();
    let keys = keys(None, Some("x"), None);
    for extension in ["csv", "parquet", "npz"] {
        let keys = match extension {
            "npz" => Keys::default(),
            _ => keys.clone(),
        };
        let snapshots = read(&path(extension), &keys).unwrap();
        let order = TableReader::open(&path(extension), &keys).unwrap().order();
        let found = read_attributes(&path(extension), &keys, snapshots.columns()).unwrap();
        let found: Vec<Attribute> = found.iter().map(|a| a.select(&order)).collect();
        let mut expected = [
            attribute("index", &["CCC", "TTT", "AAA", "GGG"]),
            attribute("type", &["MEP", "HSC", "HSC", "MEP"]),
            attribute("batch", &["7", "8", "7", ""]),
        ];
        assert_eq!(found, expected, "{extension}");
        let with = snapshots.with_attributes(found).unwrap();
        let late = with.without(&[0]).unwrap();
        expected.iter_mut().for_each(|a| *a = a.select(&[2, 3]));
        assert_eq!(late.attributes(), expected);
        assert_eq!(with.attributes_at(1), expected);
        let error = late
            .with_attributes(with.attributes().to_vec())
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Shape);
        if extension == "csv" {
            write(&path("parquet"), &with).unwrap();
            write(&path("npz"), &with).unwrap();
        }
    }
}
