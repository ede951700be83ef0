//! `actum view`: the report in a browser, and a fit while it is running.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    time::Duration,
};

use actum::{
    action::Device,
    error::{Error, ErrorKind, Result},
    report::{Follower, Progress},
    run::Run,
};
use serde_json::json;

use crate::{arguments, output, read, report, simulate::own_data};

/// The longest request that is read, in bytes.
const LONGEST: u64 = 8192;
/// How long one asks.
const PATIENCE: Duration = Duration::from_secs(10);

pub fn run(arguments: &arguments::View) -> Result<()> {
    let run = Run::open(&arguments.run)?;
    let failed = |cause: io::Error| {
        Error::new(ErrorKind::Io, "cannot listen on this machine's own address").because(cause)
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
    let port = listener.local_addr().map_err(failed)?.port();
    let token = token()?;
    let address = format!("http://127.0.0.1:{port}/{token}/");
    let shown = Arc::new(Mutex::new(Shown {
        arguments: arguments.clone(),
        run,
        follower: None,
        page: None,
    }));
    if arguments.json {
        output::json(&json!({ "run": output::name(&arguments.run), "address": address }));
    } else {
        output::line(&format!(
            "{address}\n\nOpen it in a browser of this machine. Ctrl-C ends it."
        ));
    }
    for stream in listener.incoming() {
        // One who has gone is nobody to answer.
        let Ok(stream) = stream else { continue };
        let (shown, token) = (shown.clone(), token.clone());
        std::thread::spawn(move || {
            let _ = answer(&stream, port, &token, &shown);
        });
    }
    Ok(())
}

/// 32 hexadecimal digits that nobody can guess.
fn token() -> Result<String> {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes).map_err(|cause| {
        let what = "the system gives no random numbers for the address";
        Error::new(ErrorKind::Io, what).because(cause)
    })?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// What is shown.
struct Shown {
    arguments: arguments::View,
    run: Run,
    follower: Option<Follower>,
    /// The page of a finished run, made once.
    page: Option<Arc<String>>,
}

impl Shown {
    fn is_finished(&self) -> bool {
        self.run.dynamics(&Device::cpu()).is_ok()
    }

    fn progress(&mut self) -> Result<Progress> {
        let follower = match self.follower.take() {
            Some(follower) => follower,
            None => {
                // What cannot be read is not scored; the rest can be shown.
                let has_held_out = self.run.held_out().is_ok_and(|held| !held.is_empty());
                let data = has_held_out
                    .then(|| own_data(&self.run, read::sample).ok())
                    .flatten();
                Follower::new(&self.run, data.as_ref())?
            }
        };
        self.follower.insert(follower).progress()
    }

    fn page(&mut self) -> Result<Arc<String>> {
        if !self.is_finished() {
            return Ok(Arc::new(self.progress()?.page(&self.run)));
        }
        if self.page.is_none() {
            let arguments = arguments::Report {
                run: self.arguments.run.clone(),
                file: None,
                output: "report.html".into(),
                label_key: self.arguments.label_key.clone(),
                terminal: vec![],
                json: false,
            };
            self.page = Some(Arc::new(report::of(&arguments, &self.run)?.html()));
        }
        Ok(self.page.clone().expect("it was made"))
    }

    fn state(&mut self) -> Result<String> {
        let state = match self.is_finished() {
            true => json!({ "finished": true }),
            false => json!({ "finished": false, "html": self.progress()?.html() }),
        };
        Ok(state.to_string())
    }
}

/// Answers one request: for the page, or for how the fit goes. Nothing else is there.
fn answer(stream: &TcpStream, port: u16, token: &str, shown: &Mutex<Shown>) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let asked = asked(stream, port)?;
    let (status, kind, body) = match asked.as_deref() {
        None => ("400 Bad Request", "text/plain", Arc::new(String::new())),
        Some(path) => {
            let told = |made: Result<Arc<String>>, kind| match made {
                Ok(body) => ("200 OK", kind, body),
                Err(error) => (
                    "500 Internal Server Error",
                    "text/plain",
                    Arc::new(error.to_string()),
                ),
            };
            let lock = || {
                shown
                    .lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner)
            };
            match path.strip_prefix('/').and_then(|path| path.split_once('/')) {
                Some((given, "")) if same(given, token) => told(lock().page(), "text/html"),
                Some((given, "state")) if same(given, token) => {
                    told(lock().state().map(Arc::new), "application/json")
                }
                _ => ("404 Not Found", "text/plain", Arc::new(String::new())),
            }
        }
    };
    let mut out = io::BufWriter::new(stream);
    write!(
        out,
        "HTTP/1.1 {status}\r\nContent-Type: {kind}; charset=utf-8\r\nContent-Length: {}\r\n\
         Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n\
         Referrer-Policy: no-referrer\r\n\
         Connection: close\r\n\r\n",
        body.len()
    )?;
    out.write_all(body.as_bytes())?;
    out.flush()
}

/// The path that is asked for, from this machine's own address; another name of it may be that of
/// a page elsewhere which was led here.
fn asked(stream: &TcpStream, port: u16) -> io::Result<Option<String>> {
    let mut lines = BufReader::new(stream.take(LONGEST)).lines();
    let Some(first) = lines.next().transpose()? else {
        return Ok(None);
    };
    let mut host = None;
    for line in lines {
        let line = line?;
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("host")
        {
            host = Some(value.trim().to_owned());
        }
    }
    let own = [format!("127.0.0.1:{port}"), format!("localhost:{port}")];
    let mut words = first.split(' ');
    Ok(match (words.next(), words.next()) {
        (Some("GET"), Some(path)) if host.is_some_and(|host| own.contains(&host)) => {
            Some(path.to_owned())
        }
        _ => None,
    })
}

/// Compares without telling by time how much is right.
fn same(given: &str, token: &str) -> bool {
    let differ = given
        .bytes()
        .zip(token.bytes())
        .fold(0, |all, (a, b)| all | (a ^ b));
    given.len() == token.len() && differ == 0
}
