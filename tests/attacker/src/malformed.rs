//! PDUs that lie about their length, and structures that nobody should follow to their end.

use crate::cases::Case;
use crate::fields::{Variant, in_tpkt, on_channel, set_tpkt, variants};
use crate::net::Net;
use crate::walk::{Offer, Person, Stage, Walk};
use anyhow::Context;
use std::collections::BTreeSet;
use std::io;
use std::net::TcpStream;
use wrd_test_client::nla::Tokens;
use wrd_test_client::reconnect::{forged, with_cookie};

/// What is said after a PDU that promised more than it has.
const FILLER: &[u8] = &[0; 64 * 1024];

/// The first static channel (drdynvc) and the I/O channel of our server.
const DYNAMIC: u16 = 1004;
const IO: u16 = 1003;

/// The PDUs of a good client from the first to its activation. It comes back, with a cookie that is nobody's.
fn recorded(net: &Net) -> io::Result<Vec<Vec<u8>>> {
    let mut walk = Walk::new(net.dial()?, &Person::default());
    let mut pdus = Vec::new();
    while let Some(mut pdu) = walk.next()? {
        if walk.next_is_client_info() {
            pdu = with_cookie(&pdu, forged(1, [1; 16]));
        }
        walk.say(&pdu)?;
        pdus.push(pdu);
    }
    Ok(pdus)
}

/// What one says that wants to prove a password: its request, and all that it can say without a right one.
fn recorded_nla(net: &Net, tokens: Tokens) -> io::Result<Vec<Vec<u8>>> {
    let mut walk = Walk::offering(Offer::Nla(tokens), net.dial()?, &Person::default());
    let mut pdus = Vec::new();
    while pdus.len() < 3 {
        let pdu = walk.next()?.ok_or(io::ErrorKind::UnexpectedEof)?;
        walk.say(&pdu)?;
        pdus.push(pdu);
    }
    Ok(pdus)
}

/// Every length field of everything, with every hostile value; and the names of the fields.
pub fn lengths(net: &Net) -> anyhow::Result<(Vec<Case>, BTreeSet<String>)> {
    let good = |what: io::Result<Vec<Vec<u8>>>| what.context("the good connection to be changed");
    let mut said = vec![(Offer::Tls, good(recorded(net))?)];
    for tokens in [Tokens::Raw, Tokens::Spnego] {
        said.push((Offer::Nla(tokens), good(recorded_nla(net, tokens))?));
    }
    let (mut cases, mut fields) = (Vec::new(), BTreeSet::new());
    for (offer, pdus) in said {
        for (step, pdu) in pdus.iter().enumerate() {
            for Variant { field, value, bytes } in variants(pdu) {
                let name = format!("{offer:?} {step}: {field} {value}");
                cases.push(Case::new(name, move |socket| instead(offer, socket, step, &bytes)));
                fields.insert(field);
            }
        }
    }
    for Variant { field, value, bytes } in at_the_login_screen() {
        cases.push(Case::new(format!("{field} {value}"), move |socket| after(socket, Stage::Active, &bytes)));
        fields.insert(field);
    }
    Ok((cases, fields))
}

/// Recursion, emptiness, and more of something than there can be.
pub fn structures(net: &Net) -> anyhow::Result<Vec<Case>> {
    let good = recorded(net).context("the good connection to be changed")?;
    let connect = good.get(1).context("no Connect-Initial")?;
    let mut cases = Vec::new();
    let mut add = |name: &str, stage: Stage, bytes: Vec<u8>| {
        cases.push(Case::new(name, move |socket| after(socket, stage, &bytes)));
    };
    let cookie = [b"Cookie: mstshash=".as_slice(), &[b'A'; 60_000]].concat();
    add("cookie-without-end", Stage::Silent, x224_request(&cookie));
    add("cookies", Stage::Silent, x224_request(&b"Cookie: mstshash=a\r\n".repeat(2000)));
    add("requests", Stage::Silent, [3, 0, 0, 19, 14, 0xe0, 0, 0, 0, 0, 0, 1, 0, 8, 0, 1, 0, 0, 0].repeat(500));
    add("empty-tpkt", Stage::Silent, [3, 0, 0, 7, 2, 0xf0, 0x80].repeat(5000));
    add("ber-in-ber", Stage::Tls, nested(15_000));
    add("ber-indefinite", Stage::Tls, in_tpkt(&[&[0x7f, 0x65, 0x80][..], &[0x30, 0x80].repeat(15_000)].concat()));
    add("empty-blocks", Stage::Tls, with_blocks(connect, &[0x01, 0xc0, 4, 0].repeat(12_000)));
    add("blocks-of-no-length", Stage::Tls, with_blocks(connect, &[0x01, 0xc0, 0, 0].repeat(12_000)));
    add("unknown-blocks", Stage::Tls, with_blocks(connect, &[0xff, 0xc0, 4, 0].repeat(12_000)));
    // CS_NET with more channels than the 31 that are allowed, CS_MONITOR with more monitors than 16.
    let channels = [&1000u32.to_le_bytes()[..], &[b'x', b'y', b'z', 0, 0, 0, 0, 0, 0, 0, 0, 0].repeat(1000)].concat();
    add("channels", Stage::Tls, with_blocks(connect, &block(0xc003, &channels)));
    let monitors = [&[0, 0, 0, 0][..], &3000u32.to_le_bytes(), &[0; 20].repeat(3000)].concat();
    add("monitors", Stage::Tls, with_blocks(connect, &block(0xc005, &monitors)));
    add("connect-twice", Stage::Tls, connect.repeat(3));
    let joins: Vec<u8> = (0..5000u16).flat_map(|channel| in_tpkt(&join(channel))).collect();
    add("channel-joins", Stage::Joined, joins);
    add("erect-domains", Stage::Joined, in_tpkt(&[0x04, 1, 0, 1, 0]).repeat(5000));
    add("attach-users", Stage::Joined, in_tpkt(&[0x28]).repeat(5000));
    add("empty-data", Stage::Joined, in_tpkt(&[0x64, 0, 2, 0x03, 0xeb, 0x70, 0]).repeat(5000));
    add("ultimatum-and-on", Stage::Joined, [in_tpkt(&[0x21, 0x80]), in_tpkt(&[0x28]).repeat(500)].concat());
    // TS_SHARECONTROLHEADER of a confirm active with 12,000 empty capability sets.
    let sets = [0x02, 0, 4, 0].repeat(12_000);
    let mut confirm = vec![0, 0, 0x13, 0, 0xea, 3, 0xea, 3, 1, 0, 0xea, 3, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0];
    confirm.extend(&sets);
    add("capability-sets", Stage::Active, on_channel(IO, &confirm));
    add(
        "no-capability-length",
        Stage::Active,
        on_channel(IO, &confirm[..20].iter().copied().chain([2, 0, 0, 0].repeat(900)).collect::<Vec<u8>>()),
    );
    add("share-data-of-nothing", Stage::Active, on_channel(IO, &[0, 0, 0x17, 0]).repeat(3000));
    add("no-events", Stage::Active, [0x00, 0x03, 0x00].repeat(20_000));
    add(
        "events-without-end",
        Stage::Active,
        [[0x00, 0x04, 0xff, 0x04], [0x3c, 0x04, 0x04, 0x00]].concat().repeat(5000),
    );
    add("empty-chunks", Stage::Active, on_channel(DYNAMIC, &[0, 0, 0, 0, 3, 0, 0, 0]).repeat(5000));
    add("chunks-without-end", Stage::Active, on_channel(DYNAMIC, &chunk(10_000_000, 1, &[0x50; 1600])).repeat(200));
    let first_of_many = on_channel(DYNAMIC, &chunk(10_000_000, 0, &[0x50; 1600]));
    add("chunks-without-begin", Stage::Active, first_of_many.repeat(200));
    // DYNVC_CREATE_RSP for channels nobody asked for, DYNVC_DATA_FIRST of 10 MB, on and on.
    add("dynamic-answers", Stage::Active, on_channel(DYNAMIC, &chunk(6, 3, &[0x10, 9, 0, 0, 0, 0])).repeat(3000));
    let data_first = [&[0x28, 1][..], &10_000_000u32.to_le_bytes(), &[0x41; 1500]].concat();
    add(
        "dynamic-data-first",
        Stage::Active,
        on_channel(DYNAMIC, &chunk(data_first.len() as u32, 3, &data_first)).repeat(300),
    );
    Ok(cases)
}

/// What only an active client says: fast path, slow-path input, channel chunks.
fn at_the_login_screen() -> Vec<Variant> {
    let mut all: Vec<Variant> = Vec::new();
    let mut add = |field: &str, value: String, bytes| all.push(Variant { field: field.to_owned(), value, bytes });
    for (field, bytes) in [
        ("fast-path", vec![0x04, 0x00]),
        ("fast-path", vec![0x04, 0x01]),
        ("fast-path", vec![0x04, 0xff, 0xff]),
        ("fast-path", vec![0x04, 0x80, 0x00]),
        ("fast-path", vec![0x04, 0x80, 0x02]),
        ("fast-path-count", vec![0x00, 0x05, 0xff, 0x00, 0x1e]),
        ("fast-path-count", vec![0x08, 0x04, 0x20, 0x00]),
        ("fast-path-signed", vec![0x84, 0x04, 0x00, 0x1e]),
    ] {
        add(field, format!("{bytes:02x?}"), bytes);
    }
    for length in [0, 1, 7, 10_000_000, i32::MAX as u32, u32::MAX] {
        for flags in [0, 1, 2, 3, 0x0020_0003, u32::MAX] {
            let bytes = on_channel(DYNAMIC, &chunk(length, flags, &[0x50, 0, 3, 0]));
            add("chunk", format!("{length} {flags:x}"), bytes);
        }
    }
    // DYNVC_DATA_FIRST whose length has 1, 2 and 4 bytes (MS-RDPEDYC 2.2.3.1).
    for message in [
        vec![0x20, 1, 0xff, 0x41],
        vec![0x24, 1, 0xff, 0xff, 0x41],
        [&[0x28, 1][..], &10_000_000u32.to_le_bytes(), &[0x41]].concat(),
        [&[0x28, 1][..], &[0xff; 4], &[0x41]].concat(),
    ] {
        let bytes = on_channel(DYNAMIC, &chunk(message.len() as u32, 3, &message));
        add("dynamic-first", format!("{message:02x?}"), bytes);
    }
    // TS_SHAREDATAHEADER of an input PDU (28), with 0, 1 and 65,535 events that are not there (2.2.8.1.1.3).
    for events in [0u16, 1, 0xffff] {
        let mut data = vec![22, 0, 0x17, 0, 0xea, 3, 0xea, 3, 1, 0, 0, 1, 4, 0, 28, 0, 0, 0];
        data.extend(events.to_le_bytes());
        data.extend([0, 0]);
        let bytes = on_channel(IO, &data);
        all.extend(variants(&bytes));
        all.push(Variant { field: "input-events".to_owned(), value: events.to_string(), bytes });
    }
    all
}

/// Says what a good client says, but for the PDU number `step`.
fn instead(offer: Offer, socket: TcpStream, step: usize, bytes: &[u8]) -> io::Result<TcpStream> {
    let mut walk = Walk::offering(offer, socket, &Person::default());
    for _ in 0..step {
        let good = walk.next()?.ok_or(io::ErrorKind::UnexpectedEof)?;
        walk.say(&good)?;
    }
    walk.next()?;
    attack(walk, bytes)
}

/// Goes to a stage and says something.
fn after(socket: TcpStream, stage: Stage, bytes: &[u8]) -> io::Result<TcpStream> {
    attack(Walk::to(socket, &Person::default(), stage)?, bytes)
}

/// From here on the server may end the connection at any byte.
fn attack(mut walk: Walk, bytes: &[u8]) -> io::Result<TcpStream> {
    let _ = walk.say(bytes).and_then(|()| walk.say(FILLER));
    walk.socket()?.try_clone()
}

fn x224_request(variable: &[u8]) -> Vec<u8> {
    let mut pdu = [&[3, 0, 0, 0, 0xfe, 0xe0, 0, 0, 0, 0, 0][..], variable].concat();
    set_tpkt(&mut pdu);
    pdu
}

/// Constructed types, each in the one before it, with lengths that are right.
fn nested(depth: usize) -> Vec<u8> {
    let mut inside: Vec<Vec<u8>> = Vec::new();
    let mut length = 0;
    for level in 0..depth {
        let tag: &[u8] = if level + 1 == depth { &[0x7f, 0x65] } else { &[0x30] };
        let head = [tag, &[0x82], &(length as u16).to_be_bytes()].concat();
        if length + head.len() > 60_000 {
            break;
        }
        length += head.len();
        inside.push(head);
    }
    inside.reverse();
    let mut mcs = inside.concat();
    mcs.splice(0..1, [0x7f, 0x65]);
    in_tpkt(&mcs)
}

fn block(kind: u16, data: &[u8]) -> Vec<u8> {
    [&kind.to_le_bytes()[..], &(data.len() as u16 + 4).to_le_bytes(), data].concat()
}

/// A Connect-Initial with more blocks behind those that it has, and its three nearest lengths grown to it.
fn with_blocks(connect: &[u8], blocks: &[u8]) -> Vec<u8> {
    let Some(user_data) = connect.windows(4).position(|window| window == b"Duca").map(|at| at + 4) else {
        return Vec::new();
    };
    let mut pdu = connect.to_vec();
    // PER lengths have 14 bits; what does not fit is left to be found behind the end.
    let size = (blocks.len() + connect.len() - user_data - 2).min(0x3fff) as u16;
    if let Some(field) = pdu.get_mut(user_data..user_data + 2) {
        field.copy_from_slice(&(0x8000 | size).to_be_bytes());
    }
    pdu.extend_from_slice(blocks);
    set_tpkt(&mut pdu);
    pdu
}

fn join(channel: u16) -> Vec<u8> {
    [&[0x38, 0, 2][..], &channel.to_be_bytes()].concat()
}

/// CHANNEL_PDU_HEADER and data (MS-RDPBCGR 2.2.6.1).
fn chunk(length: u32, flags: u32, data: &[u8]) -> Vec<u8> {
    [&length.to_le_bytes()[..], &flags.to_le_bytes(), data].concat()
}
