//! Wrong passwords: sent along, typed, or proven to be none.

use crate::net::{End, Net, end_of};
use crate::walk::{Person, Stage, Walk};
use serde_json::{Map, Value, json};
use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use wrd_test_client::online::{Client, Trust};
use wrd_test_client::{Kind, PLAIN};

/// How many guess at the same time.
const TOGETHER: usize = 4;

/// Sends each guess with a connection of its own. `judged` came to the login screen, where PAM's no is said once it
/// is there, and did not wait for it; `refused` got no answer to their guess.
pub fn send(net: &Net, attempts: usize, user: &str) -> Value {
    let (next, judged, refused) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..TOGETHER {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= attempts {
                        return;
                    }
                    let count = if guess(net, user, number).is_ok() { &judged } else { &refused };
                    count.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    json!({ "judged": judged.into_inner(), "refused": refused.into_inner() })
}

fn guess(net: &Net, user: &str, number: usize) -> io::Result<()> {
    let person = Person { user: user.into(), password: format!("wrong-{number}"), ..Person::default() };
    Walk::new(net.dial_quickly()?, &person).until(Stage::Active)
}

/// Types guesses on one login screen, until the server ends it or all are typed.
pub fn type_on_screen(net: &Net, attempts: usize, user: &str) -> io::Result<Value> {
    let mut walk = Walk::new(net.dial()?, &Person { user: user.into(), ..Person::default() });
    walk.until(Stage::Active)?;
    let socket = walk.socket()?.try_clone()?;
    let reader = std::thread::spawn(move || end_of(&socket));
    let mut typed = 0;
    while typed < attempts && !reader.is_finished() {
        let mut events: Vec<u8> = Vec::new();
        // TS_FP_UNICODE_KEYBOARD_EVENT for each letter, then Enter as a scan code, down and up (MS-RDPBCGR 2.2.8.1.2.2).
        for letter in format!("wrong-{typed}").bytes() {
            events.extend([4, 5, 0x80, letter, 0]);
        }
        events.extend([4, 4, 0, 0x1c, 4, 4, 1, 0x1c]);
        if walk.say(&events).is_err() {
            break;
        }
        typed += 1;
        std::thread::sleep(Duration::from_millis(500));
    }
    let end = reader.join().unwrap_or(End::Open);
    Ok(json!({ "typed": typed, "end": format!("{end:?}") }))
}

/// Where it is said that a password is wrong.
#[derive(Clone, Copy)]
pub enum Door {
    Screen,
    Nla,
}

/// How long each of these users has to wait for the no to a wrong password, in ms, tried in turn. Who got no answer is
/// left out.
pub fn time(net: &Net, attempts: usize, users: &[String], door: Door) -> Value {
    let next = AtomicUsize::new(0);
    let times = Mutex::new(vec![Vec::new(); users.len()]);
    std::thread::scope(|scope| {
        for _ in 0..TOGETHER {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= attempts * users.len() {
                        return;
                    }
                    let which = number % users.len();
                    let Some(user) = users.get(which) else { return };
                    let took = match door {
                        Door::Screen => wait_for_no(net, user, number),
                        Door::Nla => prove(net, user, number),
                    };
                    if let Ok(took) = took
                        && let Ok(mut times) = times.lock()
                        && let Some(times) = times.get_mut(which)
                    {
                        times.push(took.as_secs_f64() * 1000.0);
                    }
                }
            });
        }
    });
    let times = times.into_inner().unwrap_or_default();
    users.iter().cloned().zip(times.into_iter().map(|times| json!(times))).collect::<Map<_, _>>().into()
}

fn prove(net: &Net, user: &str, number: usize) -> io::Result<Duration> {
    let password = format!("wrong-{number}");
    Client::be_disproven(net.dial()?, Trust::Any, Kind { user, password: &password, ..PLAIN })
}

/// The login screen is drawn while PAM makes up its mind, then rests, and changes once more for the answer.
fn wait_for_no(net: &Net, user: &str, number: usize) -> io::Result<Duration> {
    let person = Person { user: user.into(), password: format!("wrong-{number}"), ..Person::default() };
    let mut walk = Walk::new(net.dial()?, &person);
    walk.until(Stage::Joined)?;
    let asked = Instant::now();
    walk.until(Stage::Active)?;
    let mut last = Instant::now();
    loop {
        walk.read_pdu()?;
        let now = Instant::now();
        if now - last >= REST {
            return Ok(now - asked);
        }
        last = now;
    }
}

/// Longer than the screen pauses while it is drawn, shorter than any PAM delays a failure.
const REST: Duration = Duration::from_millis(500);
