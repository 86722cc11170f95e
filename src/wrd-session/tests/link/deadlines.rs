//! Every deadline of the worker's, each time with one that is short where all others are an hour: what is played keeps a
//! client until that one is over, and not any longer. The defaults are those of the documented table.

use super::{Arrival, PLAIN, Worker};
use nix::sys::socket::{setsockopt, sockopt};
use nix::sys::time::TimeVal;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};
use wrd_proto::ConnectionId;
use wrd_proto::worker::FromWorker;
use wrd_session::deadlines::Deadlines;
use wrd_session::source::Request;

const SHORT: Duration = Duration::from_secs(1);
const LONG: Duration = Duration::from_secs(3600);
/// By when a client is gone whose deadline was short.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two bytes of a client that has not quite fallen silent.
const TRICKLE: Duration = Duration::from_millis(100);

const NONE: Deadlines = Deadlines { transcript: LONG, activation: LONG, stall: LONG, farewell: LONG };

/// Where the table has each of them: how its row begins, its time, and what follows that.
fn rows(deadlines: Deadlines) -> [(&'static str, Duration, &'static str); 4] {
    let Deadlines { transcript, activation, stall, farewell } = deadlines;
    [
        ("a link that takes, or brings, no transcript", transcript, ""),
        ("a client's new activation", activation, ""),
        ("a client that takes nothing of what is there for it", stall, " after it"),
        ("a client that is told to go", farewell, ""),
    ]
}

#[test]
fn the_defaults_are_those_of_the_table() {
    let page = include_str!("../../../../docs/security-model.md");
    let (_, section) = page.split_once("### Deadlines").unwrap();
    let keeps = |row: &&str| row.split(" | ").nth(1).is_some_and(|keeper| keeper.contains("worker"));
    let found: Vec<&str> = section.lines().take_while(|line| !line.starts_with("A trickle")).filter(keeps).collect();
    let rows = rows(Deadlines::default());
    assert_eq!(found.len(), rows.len(), "{found:?}");
    for (what, time, rest) in rows {
        let row = found.iter().find(|row| row.starts_with(&format!("| {what}"))).unwrap_or_else(|| panic!("{what}"));
        let wanted = format!("{} s{rest}", time.as_secs());
        assert!(row.split([',', '|']).any(|part| part.trim() == wanted), "{wanted}: {row}");
    }
}

fn worker(deadlines: Deadlines) -> Worker {
    let worker = Worker::start_with(deadlines);
    // One that says nothing fails its test.
    let patience = TimeVal::new(PATIENCE.as_secs() as i64, 0);
    setsockopt(&worker.leader, sockopt::ReceiveTimeout, &patience).unwrap();
    worker
}

/// Says the same byte again and again, until the other side takes no more.
fn trickle(link: &mut UnixStream) {
    let end = Instant::now() + PATIENCE;
    while link.write_all(&[0]).is_ok() {
        assert!(Instant::now() < end, "the link is still there");
        std::thread::sleep(TRICKLE);
    }
}

/// The leader's next word but for those of the first picture is that the only connection is gone.
fn is_gone(worker: &Worker) {
    let said = std::iter::from_fn(|| Some(worker.leader.recv().unwrap()));
    let last = said.into_iter().find(|said| !matches!(said, FromWorker::Attached { .. }));
    assert_eq!(last, Some(FromWorker::Detached { connection: ConnectionId(1) }));
}

#[test]
fn the_transcript() {
    let mut worker = worker(Deadlines { transcript: SHORT, ..NONE });
    let began = Instant::now();
    let mut link = worker.link();
    // Of 256 bytes.
    link.write_all(&[0, 1, 0, 0]).unwrap();
    trickle(&mut link);
    is_gone(&worker);
    assert!(began.elapsed() >= SHORT);
    worker.end(None);
}

#[test]
fn the_activation() {
    let mut worker = worker(Deadlines { activation: SHORT, ..NONE });
    let began = Instant::now();
    let mut link = worker.link();
    link.write_all(&Arrival::new(PLAIN).block()).unwrap();
    // A PDU of 1024 bytes begins.
    link.write_all(&[3, 0, 4, 0]).unwrap();
    trickle(&mut link);
    is_gone(&worker);
    assert!(began.elapsed() >= SHORT);
    worker.end(None);
}

#[test]
fn a_client_that_reads_nothing() {
    let mut worker = worker(Deadlines { stall: SHORT, ..NONE });
    let mut client = worker.connect(PLAIN);
    let began = Instant::now();
    // More than a socket holds.
    for _ in 0..50 {
        worker.change(None);
        std::thread::sleep(Duration::from_millis(10));
    }
    is_gone(&worker);
    assert!(began.elapsed() >= SHORT);
    client.link.set_read_timeout(Some(PATIENCE)).unwrap();
    // Closed, not only forgotten.
    let _ = client.link.read_to_end(&mut Vec::new());
    assert!(client.link.write_all(&[0]).is_err());
    worker.end(None);
}

#[test]
fn a_client_that_reads_slowly() {
    let mut worker = worker(Deadlines { stall: SHORT, ..NONE });
    let mut client = worker.connect(PLAIN);
    worker.resize(&mut client, 2000, 1600);
    let began = Instant::now();
    // One picture, which is much more than it takes by the end.
    worker.change(None);
    let mut taken = vec![0; 64 << 10];
    while began.elapsed() < SHORT * 4 {
        client.link.read_exact(&mut taken).expect("it is kept");
        std::thread::sleep(TRICKLE);
    }
    is_gone(&worker);
    worker.end(None);
}

#[test]
fn a_client_that_does_not_go() {
    let mut worker = worker(Deadlines { farewell: SHORT, ..NONE });
    let mut client = worker.connect(PLAIN);
    let began = Instant::now();
    worker.ask(Request::Disconnect);
    while !client.ended {
        client.pump();
    }
    // It has read why, and talks on.
    trickle(&mut client.link);
    assert!(began.elapsed() >= SHORT);
    worker.end(None);
}
