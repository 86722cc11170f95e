//! On the channel to the monitor: datagrams that are no messages, messages of other channels, too many of them,
//! descriptors that nobody asked for, and ends that are no ends.

use crate::rogue::Rogue;
use anyhow::{Result, bail};
use nix::errno::Errno;
use nix::sys::socket::{ControlMessage, MsgFlags, Shutdown, UnixAddr, send, sendmsg, setsockopt, shutdown, sockopt};
use std::fs::File;
use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use wrd_proto::gate::{Stage, ToMonitor};
use wrd_proto::{Bytes, Line};
use wrd_sys::channel::encode;

/// As many as one datagram takes (SCM_MAX_FD of the kernel's is 253).
const MANY: usize = 250;
const FLOOD: usize = 100_000;

pub fn act(rogue: &mut Rogue, act: &str) -> Result<()> {
    if let Some(bytes) = act.strip_prefix("bytes:") {
        return Ok(raw(rogue.monitor()?.as_fd(), &of_hex(bytes)?, &[])?);
    }
    let channel = rogue.monitor()?.as_fd();
    let screen = encode(&ToMonitor::Screen)?;
    match act {
        "frame-empty" => {
            raw(channel, &[], &[])?;
            live_on();
        }
        "frame-one-byte" => raw(channel, &[0xff], &[])?,
        "frame-cut" => raw(channel, &[0], &[])?,
        "frame-garbage" => raw(channel, &[0xff; 100], &[])?,
        "frame-behind" => raw(channel, &[&screen[..], &[0]].concat(), &[])?,
        "frame-long-length" => raw(channel, &[&[0, 7][..], &[0xff; 9], &[1]].concat(), &[])?,
        "frame-largest" => rogue.say(format!("sent {} bytes", largest(channel)?)),
        "frame-one-descriptor" | "frame-many-descriptors" => {
            let null = File::open("/dev/null")?;
            let count = if act == "frame-one-descriptor" { 1 } else { MANY };
            raw(channel, &screen, &vec![null.as_raw_fd(); count])?;
        }
        // Descriptors of a channel in a message on itself, which the kernel must find and free.
        "frame-of-itself" => raw(channel, &screen, &[channel.as_raw_fd(); 4])?,
        "flood" => rogue.say(format!("sent {} messages", flood(channel, FLOOD))),
        "close" => {
            rogue.monitor = None;
            live_on();
        }
        "shut-write" => {
            shutdown(channel.as_raw_fd(), Shutdown::Write)?;
            live_on();
        }
        // It hears nothing of what it asks for.
        "shut-read" => {
            shutdown(channel.as_raw_fd(), Shutdown::Read)?;
            rogue.monitor()?.send(&rogue.handshake())?;
            live_on();
        }
        // What it asks for piles up.
        "deaf" => {
            rogue.monitor()?.send(&rogue.handshake())?;
            rogue.monitor()?.send(&ToMonitor::OpenLogin)?;
            live_on();
        }
        "idle" => live_on(),
        other => bail!("no act {other}"),
    }
    Ok(())
}

/// Does nothing until it is killed.
pub fn live_on() -> ! {
    loop {
        std::thread::park();
    }
}

/// Bytes that the client thought of.
pub fn of_hex(text: &str) -> Result<Vec<u8>> {
    let digits = text.as_bytes().chunks(2).map(std::str::from_utf8);
    digits.map(|two| Ok(u8::from_str_radix(two?, 16)?)).collect()
}

/// Sends a datagram of any content.
pub fn raw(socket: BorrowedFd<'_>, bytes: &[u8], fds: &[RawFd]) -> nix::Result<()> {
    let socket = socket.as_raw_fd();
    if fds.is_empty() {
        return send(socket, bytes, MsgFlags::MSG_NOSIGNAL).map(drop);
    }
    let rights = [ControlMessage::ScmRights(fds)];
    sendmsg::<UnixAddr>(socket, &[IoSlice::new(bytes)], &rights, MsgFlags::MSG_NOSIGNAL, None).map(drop)
}

/// Sends the largest datagram that the kernel takes; how large it was.
pub fn largest(socket: BorrowedFd<'_>) -> nix::Result<usize> {
    // As far as an ordinary user may go.
    setsockopt(&socket, sockopt::SndBuf, &(1 << 20))?;
    let bytes = vec![0xff; 1 << 20];
    let mut size = bytes.len();
    loop {
        match raw(socket, bytes.get(..size).unwrap_or_default(), &[]) {
            Err(Errno::EMSGSIZE | Errno::ENOBUFS) if size > 1024 => size -= 1024,
            Err(errno) => return Err(errno),
            Ok(()) => return Ok(size),
        }
    }
}

/// Sends so many messages, each of which a gate may send at some time, as fast as it can; how many it could.
pub fn flood(socket: BorrowedFd<'_>, count: usize) -> usize {
    let messages = [
        ToMonitor::Failed { stage: Stage::Relay, reason: Line::truncated(&"x".repeat(512)) },
        ToMonitor::Screen,
        ToMonitor::OpenLogin,
        ToMonitor::Sign { scheme: 0x0403, message: Bytes::try_from(vec![0x20; 512]).unwrap_or_default() },
        ToMonitor::Relaying,
    ];
    let frames: Vec<_> = messages.iter().filter_map(|message| encode(message).ok()).collect();
    frames.iter().cycle().take(count).take_while(|frame| raw(socket, frame, &[]).is_ok()).count()
}
