//! Connections that cost by being there: floods, those that stand still, those that say a byte now and then.

use crate::full;
use crate::net::{End, Net, end_of};
use crate::walk::{Person, Stage, Walk};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

/// How a standing connection behaves.
#[derive(Clone, Copy)]
pub struct Manner {
    /// Another one is opened for each that the server ends.
    pub again: bool,
    /// Nothing is read once the stage is there.
    pub deaf: bool,
    /// All that a gate may hold for it is full; it is deaf, too.
    pub full: bool,
}

#[derive(Default)]
struct Counts {
    /// Times a connection came to its stage.
    reached: AtomicUsize,
    /// Times one was ended by the server before.
    refused: AtomicUsize,
    /// Times one was ended by the server while it stood.
    ended: AtomicUsize,
    standing: AtomicUsize,
}

/// Takes `connections` to a stage and holds them there until standard input ends. Says "standing" in a line of
/// its own when each has come there or was refused.
pub fn stand(net: Net, stage: Stage, connections: usize, manner: Manner, person: &Person) -> anyhow::Result<Value> {
    let counts = Arc::new(Counts::default());
    let net = Arc::new(net);
    let (tried, all_tried) = mpsc::channel();
    for _ in 0..connections {
        let (net, counts, tried, person) = (net.clone(), counts.clone(), tried.clone(), person.clone());
        std::thread::Builder::new().stack_size(256 * 1024).spawn(move || {
            loop {
                one(&net, stage, manner, &person, &counts, &tried);
                if !manner.again {
                    return;
                }
                // A refused one does not try again at once: that is what `flood` is for.
                std::thread::sleep(Duration::from_millis(100));
            }
        })?;
    }
    for _ in 0..connections {
        all_tried.recv()?;
    }
    println!("standing");
    io::stdout().flush()?;
    io::stdin().read_to_end(&mut Vec::new())?;
    let get = |count: &AtomicUsize| count.load(Ordering::Relaxed);
    Ok(json!({
        "reached": get(&counts.reached),
        "refused": get(&counts.refused),
        "ended": get(&counts.ended),
        "standing": get(&counts.standing),
    }))
}

fn one(net: &Net, stage: Stage, manner: Manner, person: &Person, counts: &Counts, tried: &mpsc::Sender<()>) {
    let come = |socket| if manner.full { full::fill(socket, person, stage) } else { Walk::to(socket, person, stage) };
    let walk = match net.dial().and_then(come) {
        Ok(walk) => walk,
        Err(_) => {
            counts.refused.fetch_add(1, Ordering::Relaxed);
            let _ = tried.send(());
            return;
        }
    };
    counts.reached.fetch_add(1, Ordering::Relaxed);
    counts.standing.fetch_add(1, Ordering::Relaxed);
    let _ = tried.send(());
    let Ok(socket) = walk.socket() else { return };
    if manner.deaf || manner.full {
        loop {
            std::thread::park();
        }
    }
    let _ = socket.set_read_timeout(None);
    end_of(socket);
    counts.standing.fetch_sub(1, Ordering::Relaxed);
    counts.ended.fetch_add(1, Ordering::Relaxed);
}

/// Opens connections as fast as one thread can, and keeps the last `hold` of them. Whoever does not answer is not waited
/// for.
pub fn flood(net: &Net, connections: usize, hold: usize, talk: bool) -> Value {
    /// TPKT, X.224 connection request, RDP_NEG_REQ for TLS.
    const HELLO: &[u8] = &[3, 0, 0, 19, 14, 0xe0, 0, 0, 0, 0, 0, 1, 0, 8, 0, 1, 0, 0, 0];
    /// So many later a connection is there, or the server has dropped it.
    const GRACE: usize = 16;
    let (mut begun, mut kept): (VecDeque<TcpStream>, VecDeque<TcpStream>) = Default::default();
    let (mut opened, mut failed) = (0, 0);
    for number in 0..connections + GRACE {
        if number < connections {
            match net.begin() {
                Ok(socket) => begun.push_back(socket),
                Err(_) => failed += 1,
            }
        }
        if begun.len() < GRACE && number < connections {
            continue;
        }
        let Some(mut socket) = begun.pop_front() else { continue };
        let there = socket.peer_addr().and_then(|_| if talk { socket.write_all(HELLO) } else { Ok(()) });
        match there {
            Ok(()) => {
                opened += 1;
                kept.push_back(socket);
            }
            Err(_) => failed += 1,
        }
        if kept.len() > hold {
            kept.pop_front();
        }
    }
    json!({ "opened": opened, "failed": failed })
}

/// From each stage on, one byte at a time. Ends when the server has ended all of them.
pub fn trickle(net: &Net, stages: &[Stage], pause_ms: u64) -> Value {
    let pause = Duration::from_millis(pause_ms);
    let mut report = serde_json::Map::new();
    std::thread::scope(|scope| {
        let threads: Vec<_> =
            stages.iter().map(|stage| (*stage, scope.spawn(move || trickle_one(net, *stage, pause)))).collect();
        for (stage, thread) in threads {
            let said = match thread.join() {
                Ok(Ok(end)) => format!("{end:?}"),
                Ok(Err(error)) => format!("not reached: {error}"),
                Err(_) => "panicked".to_owned(),
            };
            report.insert(format!("{stage:?}"), json!(said));
        }
    });
    Value::Object(report)
}

fn trickle_one(net: &Net, stage: Stage, pause: Duration) -> io::Result<End> {
    let mut walk = Walk::to(net.dial()?, &Person::default(), stage)?;
    let rest = match stage {
        Stage::Negotiated | Stage::HalfTls => crate::walk::half_a_hello(),
        // A PDU of 60,000 bytes.
        Stage::Active => [&[3, 0, 0xea, 0x60][..], &[0; 1000]].concat(),
        _ => walk.next()?.unwrap_or_default(),
    };
    let socket = walk.socket()?.try_clone()?;
    // All but the last byte, and that one never comes.
    let drip = || -> io::Result<()> {
        for byte in rest.get(..rest.len() - 1).unwrap_or_default() {
            walk.say(&[*byte])?;
            std::thread::sleep(pause);
        }
        Ok(())
    };
    let mut drip = drip;
    let _ = drip();
    // Longer than any deadline that the tests configure.
    socket.set_read_timeout(Some(Duration::from_secs(100)))?;
    Ok(end_of(&socket))
}
