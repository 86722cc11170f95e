//! A good connection in which some bits are turned over: in one of its PDUs, in its ClientHello, or in the
//! records of TLS themselves.

use crate::cases::Case;
use crate::net::PATIENCE;
use crate::walk::{Offer, Person, Stage, Walk};
use std::io;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;
use wrd_test_client::nla::Tokens;
use wrd_test_client::online::{Trust, tls_config};

/// How many PDUs a good client says until it is active; beyond them input is turned over.
const STEPS: u64 = 14;

pub fn cases(connections: usize, seed: u64) -> Vec<Case> {
    (0..connections as u64)
        .map(|number| {
            let seed = seed.wrapping_add(number);
            Case::new(format!("seed {seed}"), move |socket| play(socket, Random::new(seed)))
        })
        .collect()
}

fn play(socket: TcpStream, mut random: Random) -> io::Result<TcpStream> {
    // One in five by way of NLA, where a client without the right password says three PDUs.
    let (offer, steps) = match random.below(10) {
        0 => (Offer::Nla(Tokens::Raw), 3),
        1 => (Offer::Nla(Tokens::Spnego), 3),
        _ => (Offer::Tls, STEPS + 3),
    };
    let mut walk = Walk::offering(offer, socket, &Person::default());
    let step = random.below(steps);
    if step == STEPS + 1 {
        walk.until(Stage::Negotiated)?;
        let mut hello = hello()?;
        random.flip(&mut hello);
        let _ = walk.say(&hello);
        return walk.socket()?.try_clone();
    }
    for _ in 0..step {
        let Some(good) = walk.next()? else { break };
        walk.say(&good)?;
    }
    // Up to here it was a good client; a server need not answer any more.
    let Some(mut pdu) = walk.next()? else {
        let mut input = [0x04, 0x04, 0x00, 0x1e, 0x08, 0x06, 0x00, 0x1e, 0x01, 0x1e].repeat(20);
        random.flip(&mut input);
        let _ = walk.say(&input);
        return walk.socket()?.try_clone();
    };
    random.flip(&mut pdu);
    if step == STEPS + 2 {
        // As if it were the next TLS record.
        let mut socket = walk.socket()?;
        let _ = io::Write::write_all(&mut socket, &pdu);
        return socket.try_clone();
    }
    let socket = walk.socket()?.try_clone()?;
    let go_on = |walk: &mut Walk| -> io::Result<()> {
        walk.say(&pdu)?;
        // Where the server waits for more, so does the client, but not for long.
        socket.set_read_timeout(Some(Duration::from_millis(300)))?;
        while let Some(good) = walk.next()? {
            walk.say(&good)?;
        }
        Ok(())
    };
    let _ = go_on(&mut walk);
    socket.set_read_timeout(Some(PATIENCE))?;
    Ok(socket)
}

/// A good ClientHello in its record.
fn hello() -> io::Result<Vec<u8>> {
    let config = Arc::new(tls_config(Trust::Any, &rustls::version::TLS13));
    let name = "localhost".try_into().map_err(io::Error::other)?;
    let mut connection = rustls::ClientConnection::new(config, name).map_err(io::Error::other)?;
    let mut bytes = Vec::new();
    connection.write_tls(&mut bytes)?;
    Ok(bytes)
}

/// Numbers that are the same for the same seed (SplitMix64).
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    /// Turns one to eight bits over.
    fn flip(&mut self, bytes: &mut [u8]) {
        for _ in 0..=self.below(8) {
            let at = self.below(bytes.len() as u64) as usize;
            let bit = self.below(8);
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << bit;
            }
        }
    }
}
