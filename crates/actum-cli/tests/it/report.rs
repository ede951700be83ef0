//! Pages to send, and the server that shows one.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::Stdio,
};

use crate::support::{Bench, SMALL, fitted};

/// A population whose labels are programs.
fn labelled() -> Bench {
    let bench = Bench::empty();
    let mut text = "t,x,y,<b>kind</b>\n".to_owned();
    for k in 0..4 {
        for i in 0..40 {
            let side = if i % 2 == 0 { 1.0 } else { -1.0 };
            let (x, y) = (k as f64 + (i as f64 * 0.37).sin(), side * k as f64);
            let label = match i % 2 {
                0 => "<script>window.ran = 1</script>",
                _ => "\"\"><img src=x onerror=alert(1)>",
            };
            text += &format!("{k},{x},{y},\"{label}\"\n");
        }
    }
    bench.write("cells.csv", &text);
    bench
        .run(&format!("fit cells.csv -o run --hold-out 2 {SMALL}"))
        .done();
    bench
}

#[test]
fn a_report_is_one_file_that_says_what_score_says() {
    let bench = fitted();
    let said = bench.run("report run -o report.html").done();
    assert!(said.contains("it was not shown time 6"), "{said}");
    let page = fs::read_to_string(bench.path("report.html")).unwrap();
    assert!(page.len() < 1_500_000, "{} bytes", page.len());
    for outside in ["src=\"http", "href=\"http", "@import", "url(http"] {
        assert!(!page.contains(outside), "{outside}");
    }
    // The same distance as `actum score` finds.
    let scores = bench.run("score run population.npz --json").done();
    let scores: serde_json::Value = serde_json::from_str(&scores).unwrap();
    let w1 = scores["scores"][0]["rows"]["action matching"]["w1"]
        .as_f64()
        .unwrap();
    assert!(page.contains(&format!("<td>{w1:.4}</td>")), "{w1}");
    for part in [
        "Predictions",
        "Data",
        "The fit",
        "settings.toml",
        "actum fit ",
        "id=\"points\"",
    ] {
        assert!(page.contains(part), "{part}");
    }
    let json = bench
        .run("report run population.npz -o again.html --json")
        .done();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["summary"].as_array().unwrap().len(), 3);
    assert_eq!(
        json["bytes"].as_u64().unwrap(),
        fs::metadata(bench.path("again.html")).unwrap().len()
    );
}

#[test]
fn the_commands_of_a_report_repeat_the_run() {
    let bench = fitted();
    bench.run("report run -o report.html").done();
    let page = fs::read_to_string(bench.path("report.html")).unwrap();
    let commands = page.split("<h3>Commands</h3><pre><code>").nth(1).unwrap();
    let first = commands.lines().next().unwrap();
    assert!(first.ends_with(" --config settings.toml -o run"), "{first}");
    fs::copy(bench.path("run/settings.toml"), bench.path("settings.toml")).unwrap();
    let again = first
        .strip_prefix("actum ")
        .unwrap()
        .replace("-o run", "-o again");
    bench.run(&again).done();
    let model = |run: &str| fs::read(bench.path(&format!("{run}/model.safetensors"))).unwrap();
    assert_eq!(model("run"), model("again"));
}

#[test]
fn labels_are_shown_and_never_run() {
    let bench = labelled();
    let line = [
        "report",
        "run",
        "--label-key",
        "<b>kind</b>",
        "-o",
        "report.html",
    ];
    let output = bench.program().args(line).output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let page = fs::read_to_string(bench.path("report.html")).unwrap();
    assert!(!page.contains("<script>window") && !page.contains("<img src=x"));
    assert!(!page.contains("<b>kind"));
    assert!(page.contains("&lt;script&gt;window.ran") && page.contains("\\u003cscript>window.ran"));
    // One script is run; the numbers of the picture are two that are not.
    assert_eq!(page.matches("<script>").count(), 1);
    assert_eq!(page.matches("</script>").count(), 3);
}

#[test]
fn what_cannot_be_reported_is_refused() {
    let bench = fitted();
    bench
        .run("report run -o report.pdf")
        .error(&["report.pdf", ".html"]);
    bench
        .run("report nothing -o a.html")
        .error(&["nothing is not a run"]);
    bench
        .run("report run missing.npz -o a.html")
        .error(&["missing.npz"]);
    bench
        .run("report run -o no/such/a.html")
        .error(&["no/such"]);
    let lacking = "report run --label-key cell_type -o a.html";
    bench.run(lacking).error(&["cell_type"]);
    bench.run("report run").error(&["--output"]);
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("population.npz", bench.path("data.html")).unwrap();
        let before = fs::read(bench.path("population.npz")).unwrap();
        bench
            .run("report run -o data.html")
            .error(&["data.html", "is an input of this command"]);
        assert_eq!(fs::read(bench.path("population.npz")).unwrap(), before);
    }
    fs::remove_file(bench.path("run/model.safetensors")).unwrap();
    bench
        .run("report run -o a.html")
        .error(&["not finished", "--resume"]);
    assert!(!bench.path("a.html").exists());
}

#[test]
fn images_are_reported_beside_those_they_come_from() {
    let bench = Bench::empty();
    let fit = "image fit --steps 2 --limit 20 --set network.channels=4 --set fit.batch=4";
    bench.run(&format!("{fit} -o made")).done();
    bench.run(&format!("{fit} --task inpaint -o filled")).done();
    let said = bench.run("report made -o made.html").done();
    assert!(said.contains("nearest image"), "{said}");
    let page = fs::read_to_string(bench.path("made.html")).unwrap();
    assert_eq!(page.matches("src=\"data:image/png;base64,iVBOR").count(), 2);
    let said = bench.run("report filled -o filled.html").done();
    assert!(said.contains("PSNR"), "{said}");
    let page = fs::read_to_string(bench.path("filled.html")).unwrap();
    assert_eq!(page.matches("class=\"compare\"").count(), 3);
    bench
        .run("report made --label-key a -o a.html")
        .error(&["run of images"]);
}

/// A request as it is, and the answer.
fn asked(port: u16, request: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn the_server_answers_those_who_know_its_address() {
    let bench = fitted();
    // As while it is fitted.
    let (model, away) = (bench.path("run/model.safetensors"), bench.path("away"));
    fs::rename(&model, &away).unwrap();
    let mut command = bench.program();
    let mut server = command
        .args(["view", "run"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let address = line.trim().strip_prefix("http://127.0.0.1:").unwrap();
    let (port, path) = address.split_once('/').unwrap();
    let port: u16 = port.parse().unwrap();
    assert_eq!(path.len(), 33);
    let host = format!("Host: 127.0.0.1:{port}\r\n\r\n");
    let get = |path: &str| asked(port, &format!("GET /{path} HTTP/1.1\r\n{host}"));
    let page = get(path);
    assert!(
        page.starts_with("HTTP/1.1 200 OK") && page.contains("connect-src 'self'"),
        "{page}"
    );
    let state = get(&format!("{path}state"));
    assert!(
        state.contains("30 of 30 steps are saved") && state.contains("as of the last"),
        "{state}"
    );
    // What is not there, for whoever asks otherwise.
    for (request, status) in [
        (format!("GET / HTTP/1.1\r\n{host}"), "404"),
        (
            format!("GET /{}/ HTTP/1.1\r\n{host}", "0".repeat(32)),
            "404",
        ),
        (format!("GET /{path}../run.json HTTP/1.1\r\n{host}"), "404"),
        (
            format!("GET /{path} HTTP/1.1\r\nHost: elsewhere.example\r\n\r\n"),
            "400",
        ),
        (format!("GET /{path} HTTP/1.1\r\n\r\n"), "400"),
        (format!("POST /{path} HTTP/1.1\r\n{host}"), "400"),
        (format!("{}\r\n\r\n", "x".repeat(100)), "400"),
    ] {
        let answer = asked(port, &request);
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{request}: {answer}"
        );
    }
    fs::rename(&away, &model).unwrap();
    assert!(get(&format!("{path}state")).contains("\"finished\":true"));
    let page = get(path);
    assert!(page.contains("id=\"points\"") && !page.contains("connect-src"));
    server.kill().unwrap();
    server.wait().unwrap();
}
