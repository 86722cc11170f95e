//! Writes the seed corpora: real messages of every kind, and a real client's side of a connection.
//! Owns nothing else; the corpora are committed, so this runs only when a format changes.

use ironrdp_connector::{ClientConnector, ClientConnectorState, Config, Credentials, Sequence};
use ironrdp_core::WriteBuf;
use ironrdp_dvc::DrdynvcClient;
use ironrdp_pdu::gcc;
use ironrdp_pdu::mcs::SendDataRequest;
use ironrdp_pdu::rdp::capability_sets as caps;
use ironrdp_pdu::x224::X224;
use serde::Serialize;
use std::fs;
use std::path::Path;
use wrd_proto::session::{AttachedClient, SessionInfo, State};
use wrd_proto::transcript::{Progress, Transcript};
use wrd_proto::{Bytes, ConnectionId, Secret, control, gate, leader, login, session, worker};
use wrd_rdp::acceptor::{Pause, Waiting, drive, expects_client_info, new_acceptor, tls_is_up};
use wrd_rdp::client_info::scrub;
use wrd_rdp::framing::PduBuffer;
use wrd_rdp::{DesktopSize, SecurityProtocol};

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    channel()?;
    protocol()?;
    negotiation()?;
    connection()?;
    input()?;
    for (name, text) in [
        (
            "full",
            "[tls]\ncertificate = \"/a.pem\"\nkey = \"/k.pem\"\n[limits]\nconnections = 9\n[session]\ncommand = \"sway\"\n",
        ),
        ("unknown", "[desktop]\nbackground = \"#2d3640\"\ncolour = 1\n"),
        ("wrong", "[limits]\nmax_width = \"wide\"\nlogin_seconds = -1\n"),
        ("broken", "[session\n"),
    ] {
        write("settings", name, text.as_bytes())?;
    }
    Ok(())
}

fn write(target: &str, name: &str, bytes: &[u8]) -> Result<(), Failure> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    fs::create_dir_all(&folder)?;
    fs::write(folder.join(name), bytes)?;
    Ok(())
}

fn message(number: u8, name: &str, message: &impl Serialize) -> Result<(), Failure> {
    let mut bytes = vec![number];
    bytes.extend_from_slice(&wrd_sys::channel::encode(message)?);
    write("channel", name, &bytes)
}

fn channel() -> Result<(), Failure> {
    let connection = ConnectionId(7);
    let client = "192.0.2.7".parse_text()?;
    let start = gate::Start {
        connection,
        client: "192.0.2.7".parse_text()?,
        host_name: "host".parse_text()?,
        chain: vec![Bytes::try_from(vec![0x30, 0x82, 1, 2])?],
        schemes: vec![0x0403],
        max_width: 8192,
        max_height: 8192,
        login_deadline_ms: 120_000,
    };
    message(0, "gate-start", &gate::ToGate::Start(start))?;
    message(0, "gate-refused", &gate::ToGate::Refused("no".parse_text()?))?;
    message(1, "gate-sign", &gate::ToMonitor::Sign { scheme: 0x0403, message: Bytes::try_from(vec![0x20; 64])? })?;
    let failed = gate::ToMonitor::Failed { stage: gate::Stage::Tls, reason: "garbage".parse_text()? };
    message(1, "gate-failed", &failed)?;
    message(2, "leader-begin", &leader::ToLeader::Begin { connection, client })?;
    let authenticated = leader::FromLeader::Authenticated { uid: 1000, user: "alice".parse_text()? };
    message(3, "leader-authenticated", &authenticated)?;
    let credentials = login::FromGate::Credentials {
        user: "alice".parse_text()?,
        domain: "".parse_text()?,
        password: Secret::new(b"secret".to_vec())?,
    };
    message(4, "login-credentials", &credentials)?;
    message(5, "login-denied", &login::FromLeader::Denied { text: "no".parse_text()?, may_retry: true })?;
    message(6, "session-attach", &session::ToSession::Attach { connection, client: "::1".parse_text()? })?;
    let info = SessionInfo {
        uid: 1000,
        user: "alice".parse_text()?,
        logind: Some("c1".parse_text()?),
        state: State::Connected,
        desktop: "wrd".parse_text()?,
        wayland_display: "wayland-1".parse_text()?,
        started: 1_700_000_000,
        leader_pid: 10,
        worker_pid: 11,
        client: Some(AttachedClient {
            connection,
            address: "192.0.2.7".parse_text()?,
            since: 1_700_000_001,
            width: 1920,
            height: 1080,
        }),
    };
    message(7, "session-description", &session::FromSession::Description(info.clone()))?;
    message(8, "worker-attach", &worker::ToWorker::Attach { connection, client: "::1".parse_text()? })?;
    message(9, "worker-attached", &worker::FromWorker::Attached { connection, width: 800, height: 600 })?;
    message(10, "control-terminate", &control::Request::Terminate(control::Target::User("alice".parse_text()?)))?;
    message(11, "control-session", &control::Response::Session(info))
}

/// What happens to the first connection and the first user, in the steps of `targets/protocol.rs`.
struct Story(Vec<u8>);

impl Story {
    fn then(mut self, what: u8) -> Self {
        self.0.extend([what, 0]);
        self
    }

    fn says(mut self, who: u8, message: &impl Serialize) -> Result<Self, Failure> {
        let frame = wrd_sys::channel::encode(message)?;
        self.0.extend([who, 0, u8::try_from(frame.len())?]);
        self.0.extend_from_slice(&frame);
        Ok(self)
    }
}

fn protocol() -> Result<(), Failure> {
    const CONNECTS: u8 = 0;
    const GATE: u8 = 1;
    const LEADER: u8 = 2;
    const SESSION: u8 = 3;
    let (uid, connection) = (1000, ConnectionId(1));
    let begin = || {
        Story(Vec::new())
            .then(CONNECTS)
            .says(GATE, &gate::ToMonitor::Sign { scheme: 0x0403, message: Bytes::try_from(vec![0x20; 64])? })?
            .says(GATE, &gate::ToMonitor::OpenLogin)
    };
    let denied = leader::FromLeader::Denied { user: "alice".parse_text()?, text: "no".parse_text()? };
    let info = SessionInfo {
        uid,
        user: "alice".parse_text()?,
        logind: None,
        state: State::Disconnected,
        desktop: "wrd".parse_text()?,
        wayland_display: "wayland-1".parse_text()?,
        started: 1,
        leader_pid: 2,
        worker_pid: 3,
        client: None,
    };
    let attached = || {
        begin()?
            .says(GATE, &gate::ToMonitor::Screen)?
            .says(LEADER, &denied)?
            .says(LEADER, &leader::FromLeader::Authenticated { uid, user: "alice".parse_text()? })?
            .says(LEADER, &leader::FromLeader::SessionReady)?
            .says(SESSION, &session::FromSession::Description(info.clone()))?
            .says(SESSION, &session::FromSession::Attached { connection })
    };
    let failed = gate::ToMonitor::Failed { stage: gate::Stage::Login, reason: "gone".parse_text()? };
    write("protocol", "relays", &attached()?.says(GATE, &gate::ToMonitor::Relaying)?.0)?;
    write("protocol", "fails", &begin()?.says(GATE, &failed)?.then(4).0)?;
    let taken_over = attached()?.says(GATE, &gate::ToMonitor::Relaying)?.then(CONNECTS);
    write("protocol", "another", &taken_over.0)?;
    let ending = session::FromSession::Ending { reason: "logged out".parse_text()? };
    write("protocol", "logs-out", &attached()?.says(SESSION, &ending)?.then(6).0)?;
    write("protocol", "late", &begin()?.then(11).0)
}

/// Shorter than a turbofish at each of the texts above.
trait ParseText {
    fn parse_text<const MAX: usize>(&self) -> Result<wrd_proto::Text<MAX>, Failure>;
}

impl ParseText for str {
    fn parse_text<const MAX: usize>(&self) -> Result<wrd_proto::Text<MAX>, Failure> {
        wrd_proto::Text::try_from(self).map_err(|_| "too long".into())
    }
}

fn config() -> Config {
    Config {
        desktop_size: ironrdp_connector::DesktopSize { width: 1280, height: 800 },
        monitor_layout: None,
        desktop_scale_factor: 150,
        desktop_physical_size: None,
        desktop_orientation: None,
        device_scale_factor: None,
        monitor_extended_layout: None,
        relative_mouse_input: false,
        enable_tls: true,
        enable_credssp: false,
        enable_standard_rdp_security: false,
        credentials: Credentials::UsernamePassword { username: "alice".into(), password: "canary".into() },
        domain: Some("LAB".into()),
        client_build: 0,
        client_name: "seed".into(),
        keyboard_type: gcc::KeyboardType::IBM_ENHANCED,
        keyboard_subtype: 0,
        keyboard_functional_keys_count: 12,
        keyboard_layout: 0x0407,
        connection_type: gcc::ConnectionType::Lan,
        ime_file_name: String::new(),
        bitmap: None,
        dig_product_id: String::new(),
        client_dir: String::new(),
        alternate_shell: String::new(),
        work_dir: String::new(),
        remote_application_mode: false,
        rail_support_level: caps::RailSupportLevel::empty(),
        platform: caps::MajorPlatformType::UNIX,
        hardware_id: None,
        request_data: None,
        autologon: true,
        enable_audio_playback: false,
        enable_audio_capture: false,
        performance_flags: Default::default(),
        license_cache: None,
        timezone_info: Default::default(),
        compression_type: None,
        enable_server_pointer: true,
        pointer_software_rendering: true,
        multitransport_flags: None,
        support_dyn_vc_gfx_protocol: true,
    }
}

/// A client's PDUs, from the first to the end of its activation, cut up for the targets that read them.
fn connection() -> Result<(), Failure> {
    let size = DesktopSize { width: 8192, height: 8192 };
    let mut acceptor = new_acceptor(SecurityProtocol::SSL, size);
    let mut connector = ClientConnector::new(config(), "127.0.0.1:1".parse()?);
    connector.attach_static_channel(DrdynvcClient::new());
    let (mut to_server, mut to_client) = (PduBuffer::default(), PduBuffer::default());
    let mut pdus = Vec::new();
    let mut transcript = Transcript {
        security: SecurityProtocol::SSL.bits(),
        max_width: size.width,
        max_height: size.height,
        progress: Progress::Licensing,
        pdus: Vec::new(),
    };
    let mut transcript_done = false;
    loop {
        while !matches!(connector.state, ClientConnectorState::Connected { .. }) {
            if connector.should_perform_security_upgrade() {
                connector.mark_security_upgrade_as_done();
                continue;
            }
            let input = match (connector.next_pdu_hint(), to_client.next_pdu()?) {
                (Some(_), Some(pdu)) => pdu.to_vec(),
                (Some(_), None) => break,
                (None, _) => Vec::new(),
            };
            let mut output = WriteBuf::new();
            connector.step(&input, None, &mut output)?;
            to_server.push(output.filled());
        }
        let Some(pdu) = to_server.next_pdu()?.map(<[u8]>::to_vec) else { break };
        pdus.push(pdu.clone());
        let mut kept = pdu.clone();
        if expects_client_info(&acceptor) {
            write("client_info", "client", &pdu)?;
            scrub(&mut kept)?;
        }
        let pause = if transcript_done { Pause::Nowhere } else { Pause::BeforeLicensing };
        let mut output = Vec::new();
        let mut waiting = drive(&mut acceptor, Some(&pdu), pause, &mut output)?;
        if waiting == Waiting::ForTls {
            tls_is_up(&mut acceptor);
            waiting = drive(&mut acceptor, None, pause, &mut output)?;
        }
        if !transcript_done {
            transcript.pdus.push(Bytes::try_from(kept)?);
        }
        if waiting == Waiting::AtLicensing {
            transcript_done = true;
            waiting = drive(&mut acceptor, None, Pause::Nowhere, &mut output)?;
        }
        to_client.push(&output);
        if waiting == Waiting::Active {
            break;
        }
    }
    write("client_settings", "client", pdus.get(1).ok_or("the client said too little")?)?;
    write("transcript", "licensing", &wrd_sys::channel::encode(&transcript)?)?;
    transcript.progress = Progress::Deactivated;
    write("transcript", "deactivated", &wrd_sys::channel::encode(&transcript)?)?;
    let all = pdus.clone();
    let active = pdus.split_off(transcript.pdus.len()).concat();
    write("link", "activation", &active)?;
    write("link", "input", &[active.as_slice(), &[0x04, 0x04, 0x00, 0x1e, 0x04, 0x03, 0x63]].concat())?;
    // The answers to what drdynvc asks: its version, two channels opened, a message on each.
    let dynamic: Vec<u8> = [
        vec![0x50, 0, 3, 0],
        vec![0x10, 0, 0, 0, 0, 0],
        vec![0x10, 1, 0, 0, 0, 0],
        // RDPGFX_CAPS_ADVERTISE_PDU with one set, version 8 (MS-RDPEGFX 2.2.2.18).
        vec![0x30, 0, 0x12, 0, 0, 0, 22, 0, 0, 0, 1, 0, 4, 0, 8, 0, 4, 0, 0, 0, 0, 0, 0, 0],
        // DISPLAYCONTROL_MONITOR_LAYOUT_PDU with one monitor of 1024x768 (MS-RDPEDISP 2.2.2.2).
        [
            &[0x30, 1, 2, 0, 0, 0, 56, 0, 0, 0, 40, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0][..],
            &[0; 8],
            &[0, 4, 0, 0, 0, 3, 0, 0],
            &[0; 12],
            &[100, 0, 0, 0, 100, 0, 0, 0],
        ]
        .concat(),
        // The same channel closed.
        vec![0x40, 1],
    ]
    .iter()
    .flat_map(|message| chunk(message))
    .collect();
    write("link", "dynamic-channels", &[active.as_slice(), &dynamic].concat())?;
    write("link", "ultimatum", &[active.as_slice(), &wrd_rdp::pdu::disconnect_ultimatum()].concat())?;
    let stream = [transcript.pdus.iter().flat_map(|pdu| pdu.to_vec()).collect(), active].concat();
    // The first byte is how many of the real client's PDUs come before these.
    write("acceptor", "whole-sequence", &[&[0], stream.as_slice()].concat())?;
    write("acceptor", "all-real", &[u8::MAX])?;
    for (number, pdu) in all.iter().enumerate().skip(1) {
        let rest = all.get(number..).unwrap_or_default().concat();
        write("acceptor", &format!("from-{number}"), &[&[number as u8], rest.as_slice()].concat())?;
        write("acceptor", &format!("twice-{number}"), &[&[number as u8 + 1], pdu.as_slice()].concat())?;
    }
    capabilities(all.get(transcript.pdus.len()).ok_or("no confirm active")?)?;
    write("framing", "tpkt", &[&[5], stream.as_slice()].concat())?;
    write("framing", "fast-path", &[1, 0x04, 0x04, 0x00, 0x1e, 0x04, 0x80, 0x05, 0x01, 0x1e])
}

/// X.224 connection requests (MS-RDPBCGR 2.2.1.1), each after the size of the pieces it comes in.
fn negotiation() -> Result<(), Failure> {
    let request = |variable: &[u8]| {
        let mut pdu = vec![3, 0, 0, 11 + variable.len() as u8, 6 + variable.len() as u8, 0xe0, 0, 0, 0, 0, 0];
        pdu.extend_from_slice(variable);
        pdu
    };
    let asks = |protocols: u8, flags: u8| vec![1, flags, 8, 0, protocols, 0, 0, 0];
    let cookie = b"Cookie: mstshash=alice\r\n".to_vec();
    let token = b"Cookie: msts=3640205228.15629.0000\r\n".to_vec();
    // RDP_NEG_CORRELATION_INFO.
    let correlation: Vec<u8> = [&[6, 0, 36, 0][..], &[0x5a; 16], &[0; 16]].concat();
    for (name, size, variable) in [
        ("tls", 255, asks(1, 0)),
        ("cookie", 7, [cookie.clone(), asks(3, 0)].concat()),
        ("routing-token", 1, [token, asks(11, 0)].concat()),
        ("correlated", 100, [cookie.clone(), asks(1, 8), correlation].concat()),
        ("old-security", 255, asks(0, 0)),
        ("nla-only", 255, asks(2, 0)),
        ("no-request", 3, cookie),
        ("nothing", 255, Vec::new()),
    ] {
        write("negotiation", name, &[vec![size], request(&variable)].concat())?;
    }
    Ok(())
}

/// The capability sets of a Confirm Active: each as kind, length, body.
fn capabilities(confirm: &[u8]) -> Result<(), Failure> {
    const TOO_SHORT: &str = "too short for a confirm active";
    // TPKT, X.224 and MCS, share control, originatorId, two lengths; then the descriptor, count and padding.
    let descriptor = confirm.get(15 + 12).copied().ok_or(TOO_SHORT)?;
    let mut sets = confirm.get(15 + 16 + usize::from(descriptor) + 4..).ok_or(TOO_SHORT)?;
    let mut all = Vec::new();
    while let [kind, 0, length, 0, rest @ ..] = sets {
        let (body, rest) = rest.split_at_checked(usize::from(*length).saturating_sub(4)).ok_or(TOO_SHORT)?;
        let set = [&[*kind, body.len() as u8], body].concat();
        write("capabilities", &format!("only-{kind}"), &set)?;
        all.extend(set);
        sets = rest;
    }
    write("capabilities", "client", &all)
}

/// A message on the client's first static channel, in one chunk, with all its headers (MS-RDPBCGR 2.2.6.1).
fn chunk(message: &[u8]) -> Vec<u8> {
    let mut data = (message.len() as u32).to_le_bytes().to_vec();
    // CHANNEL_FLAG_FIRST and _LAST.
    data.extend([3, 0, 0, 0]);
    data.extend_from_slice(message);
    let request = SendDataRequest { initiator_id: 1003, channel_id: 1004, user_data: data.into() };
    ironrdp_core::encode_vec(&X224(request)).unwrap_or_default()
}

/// MS-RDPBCGR 2.2.8.1.2: scan code, mouse, wheel, sync and unicode, one and several to a PDU.
fn input() -> Result<(), Failure> {
    write("input", "scan-code", &[0x04, 0x04, 0x00, 0x1e])?;
    write("input", "release-extended", &[0x04, 0x04, 0x03, 0x48])?;
    write("input", "mouse", &[0x04, 0x09, 0x20, 0x00, 0x90, 0x10, 0x00, 0x20, 0x00])?;
    write("input", "mouse-extended", &[0x04, 0x09, 0x40, 0x01, 0x80, 0x10, 0x00, 0x20, 0x00])?;
    write("input", "sync", &[0x04, 0x03, 0x63])?;
    write("input", "unicode", &[0x04, 0x05, 0x80, 0xe4, 0x00])?;
    write("input", "several", &[0x08, 0x06, 0x00, 0x1e, 0x01, 0x1e])?;
    write("input", "counted", &[0x00, 0x05, 0x01, 0x00, 0x1e])
}
