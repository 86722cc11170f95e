//! Coming back by a cookie: one's own, or one that was stolen, made up, kept for too long.

use crate::net::{Net, PATIENCE};
use anyhow::{Context, ensure};
use serde_json::{Value, json};
use std::io::{self, Write};
use std::time::{Duration, Instant};
use wrd_rdp::pdu::deactivate_all;
use wrd_test_client::online::{Client, Trust};
use wrd_test_client::reconnect::{Packet, cookie_in};
use wrd_test_client::{Kind, PLAIN};

/// How a connection is made and left.
#[derive(clap::Args)]
pub struct Visit {
    #[arg(long, default_value = "alice")]
    user: String,
    #[arg(long, default_value = "")]
    password: String,
    /// The cookie to present: 28 bytes in hex, as a visit reports the one that it was given.
    #[arg(long)]
    present: Option<String>,
    /// Takes leave as a client does whose user closes it; else the line is cut.
    #[arg(long)]
    bye: bool,
    /// How long it is waited for the cookie of a session.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
}

/// MCS Disconnect Provider Ultimatum, user requested (MS-RDPBCGR 1.3.1.4.1).
const BYE: [u8; 9] = [3, 0, 0, 9, 2, 0xf0, 0x80, 0x21, 0x80];

/// One connection; the cookie that it is given, where it comes to a session.
pub fn visit(net: &Net, visit: &Visit) -> anyhow::Result<Value> {
    let kind = Kind { user: &visit.user, password: &visit.password, ..PLAIN };
    let mut client = Client::start(net.dial()?, Trust::Any, kind)?;
    client.cookie = visit.present.as_deref().map(packet).transpose()?;
    client.until_active()?;
    let cookie = wait_for_cookie(&mut client, Duration::from_secs(visit.seconds))?;
    if visit.bye {
        client.stream.write_all(&BYE)?;
        client.until_end();
    }
    let hex = cookie.map(|cookie| cookie.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    Ok(json!({ "cookie": hex }))
}

fn wait_for_cookie(client: &mut Client, time: Duration) -> io::Result<Option<Packet>> {
    let end = Instant::now() + time;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(None);
        }
        client.stream.sock.set_read_timeout(Some(left))?;
        match client.try_hear() {
            // PAM took its time, and the login screen was there meanwhile.
            Ok(Some(pdu)) if pdu == deactivate_all() => {
                client.stream.sock.set_read_timeout(Some(PATIENCE))?;
                client.reactivate()?;
            }
            Ok(Some(pdu)) => {
                if let Some(cookie) = cookie_in(&pdu) {
                    return Ok(Some(cookie));
                }
            }
            Ok(None) => return Ok(None),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
            Err(error) => return Err(error),
        }
    }
}

fn packet(hex: &str) -> anyhow::Result<Packet> {
    ensure!(hex.len() == 56 && hex.is_ascii(), "28 bytes in hex");
    let mut packet = [0; 28];
    for (byte, digits) in packet.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits)?, 16).context("no hex")?;
    }
    Ok(packet)
}
