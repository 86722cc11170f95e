//! Clients of gates that were taken over: each asks the gate it gets to do one thing, and writes down what that tells.

use crate::foreign;
use crate::net::{End, Net, end_of};
use serde_json::{Map, Value, json};
use std::io::{self, BufRead, BufReader, Write};
use std::net::{IpAddr, TcpStream};
use std::sync::Mutex;
use std::time::Duration;

/// How many are played at the same time.
const TOGETHER: usize = 8;
/// Longer than any deadline that the tests configure.
const PATIENCE: Duration = Duration::from_secs(100);
/// How often, and in what distance, it is tried whether an address is let in again: what it has done counts once the
/// monitor has seen the end of its gate.
const TRIES: u32 = 6;
const PAUSE: Duration = Duration::from_millis(700);

/// Plays every case from an address of its own. Of each: that address, what its gate told, how the connection ended,
/// and whether the address was let in again afterwards; of those that are `harmless` not that. These come first, as they
/// are what lasts.
pub fn play(net: &Net, cases: &[String], harmless: &[String]) -> Value {
    let all = |cases: &[String], pays: bool| {
        let spelled_out: Vec<_> = cases.iter().flat_map(|case| spelled_out(case)).collect();
        spelled_out.into_iter().map(move |(name, case)| (name, case, pays))
    };
    let cases: Vec<(String, String, bool)> = all(harmless, false).chain(all(cases, true)).collect();
    let queue = Mutex::new(cases.into_iter());
    let report = Mutex::new(Map::new());
    std::thread::scope(|scope| {
        for _ in 0..TOGETHER {
            scope.spawn(|| {
                loop {
                    let Some((name, case, pays)) = queue.lock().ok().and_then(|mut queue| queue.next()) else { return };
                    let source = net.source();
                    let (heard, end) = match ask(net, source, &case) {
                        Ok(told) => told,
                        Err(error) => (vec![format!("no connection: {error}")], End::Closed),
                    };
                    let outcome = json!({
                        "from": source.to_string(),
                        "heard": heard,
                        "end": format!("{end:?}"),
                        "again": pays.then(|| let_in_again(net, source)),
                    });
                    let Ok(mut report) = report.lock() else { return };
                    report.insert(name, outcome);
                }
            });
        }
    });
    Value::Object(report.into_inner().unwrap_or_default())
}

/// What a case is called, and what the gate is asked for. `…foreign` stands for one of each message of other channels.
fn spelled_out(case: &str) -> Vec<(String, String)> {
    let Some(begin) = case.strip_suffix("foreign") else { return vec![(case.to_owned(), case.to_owned())] };
    let of = |message: foreign::Message| {
        let bytes: String = message.bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        (format!("{case}:{}", message.name), format!("{begin}bytes:{bytes}"))
    };
    foreign::messages().into_iter().map(of).collect()
}

/// What the gate told and how the connection ended.
fn ask(net: &Net, source: IpAddr, case: &str) -> io::Result<(Vec<String>, End)> {
    let mut socket = net.dial_from(source)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.write_all(format!("rogue {case}\n").as_bytes())?;
    let mut told = Vec::new();
    let mut lines = BufReader::new(&socket);
    let mut line = String::new();
    while lines.read_line(&mut line).is_ok_and(|read| read > 0) {
        // The last one may be cut, where its gate was killed.
        if let Some(text) = serde_json::from_str::<Value>(&line).ok().as_ref().and_then(Value::as_str) {
            told.push(text.to_owned());
        }
        line.clear();
    }
    Ok((told, end(&socket)))
}

/// After a silence as long as patience there is no use in waiting as long again.
fn end(socket: &TcpStream) -> End {
    let _ = socket.set_read_timeout(Some(Duration::from_millis(100)));
    end_of(socket)
}

/// Whether a gate still listens to this address, at the last try.
fn let_in_again(net: &Net, source: IpAddr) -> bool {
    let listens = || {
        let (told, _) = ask(net, source, "start/nothing")?;
        Ok::<_, io::Error>(told.iter().any(|line| line == "start"))
    };
    for _ in 0..TRIES {
        if !listens().unwrap_or(false) {
            return false;
        }
        std::thread::sleep(PAUSE);
    }
    true
}
