//! Many small attacks, each with a connection from an address of its own, a few at a time.

use crate::net::{End, Net, finish};
use serde_json::{Value, json};
use std::io;
use std::net::TcpStream;
use std::sync::Mutex;

/// Takes a fresh connection as far as the attack needs it, and attacks. It is an error only if it did not come
/// that far: what the server does of the attack is seen by how it leaves the connection.
pub type Play = Box<dyn Fn(TcpStream) -> io::Result<TcpStream> + Send + Sync>;

pub struct Case {
    pub name: String,
    pub play: Play,
}

impl Case {
    pub fn new(
        name: impl Into<String>,
        play: impl Fn(TcpStream) -> io::Result<TcpStream> + Send + Sync + 'static,
    ) -> Self {
        Self { name: name.into(), play: Box::new(play) }
    }
}

/// How many run at the same time.
const TOGETHER: usize = 6;

#[derive(Default)]
struct Tally {
    closed: usize,
    open: Vec<String>,
    not_reached: Vec<String>,
}

/// Plays every case. `open` names those whose connection the server kept although the client has said its last
/// word, `not_reached` those that did not come to their attack.
pub fn run(net: &Net, cases: Vec<Case>) -> anyhow::Result<Value> {
    let count = cases.len();
    let queue = Mutex::new(cases.into_iter());
    let tally = Mutex::new(Tally::default());
    std::thread::scope(|scope| {
        for _ in 0..TOGETHER {
            scope.spawn(|| {
                loop {
                    let Some(case) = queue.lock().ok().and_then(|mut queue| queue.next()) else { return };
                    let end = net.dial().and_then(|socket| (case.play)(socket)).map(|socket| finish(&socket));
                    let Ok(mut tally) = tally.lock() else { return };
                    match end {
                        Ok(End::Closed) => tally.closed += 1,
                        Ok(End::Open) => tally.open.push(case.name),
                        Err(error) => tally.not_reached.push(format!("{}: {error}", case.name)),
                    }
                }
            });
        }
    });
    let tally = tally.into_inner().unwrap_or_default();
    Ok(json!({
        "cases": count,
        "closed": tally.closed,
        "open": tally.open,
        "not_reached": tally.not_reached,
    }))
}
