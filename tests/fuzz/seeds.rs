//! Writes the seed corpora: real messages of every kind, and a real client's side of a connection.
//! Owns nothing else; the corpora are committed, so this runs only when a format changes.

use ironrdp_connector::sspi::credssp::TsRequest;
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
use wrd_gate::credssp::{CredSsp, Direction, EarlyResult, Sealer, Server, Step};
use wrd_proto::reconnect::{Claim, Cookie};
use wrd_proto::session::{AttachedClient, SessionInfo, State};
use wrd_proto::transcript::{Progress, Transcript};
use wrd_proto::{Bytes, ConnectionId, Key, Secret, control, gate, leader, login, session, worker};
use wrd_rdp::acceptor::{Pause, Waiting, drive, expects_client_info, new_acceptor, tls_is_up};
use wrd_rdp::client_info::scrub;
use wrd_rdp::framing::PduBuffer;
use wrd_rdp::{DesktopSize, SecurityProtocol};
use wrd_test_client::nla::{self, Tokens};
use wrd_test_client::reconnect::{forged, with_cookie};

#[path = "seeds/logins.rs"]
mod logins;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    channel()?;
    protocol()?;
    logins::of_leaders()?;
    logins::of_gates()?;
    ntlm()?;
    credssp()?;
    negotiation()?;
    connection()?;
    input()?;
    enrolment()?;
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
    for (name, keys) in [
        (
            "session",
            "Name=Sway\nName[de]=Sway\nExec=sway --config \"a \\\\\"b\\\\\" \\\\$c\" %U 100%%\nDesktopNames=sway;wlroots;\n",
        ),
        ("codes", "Name=A\\sB\nIcon=x\nExec=app %i %c %k %f\nTryExec=app\n[Other]\nExec=no\n"),
        ("open", "Exec=app \"open\n"),
    ] {
        write("desktop_entry", name, format!("# x\n[Desktop Entry]\nType=Application\n{keys}").as_bytes())?;
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
        security: gate::Security::Auto,
        sessions: vec![
            gate::SessionEntry { id: "".parse_text()?, name: "Default desktop".parse_text()? },
            gate::SessionEntry { id: "sway".parse_text()?, name: "Sway".parse_text()? },
        ],
    };
    message(0, "gate-start", &gate::ToGate::Start(start))?;
    message(0, "gate-ntlm-challenge", &gate::ToGate::NtlmChallenge { challenge: [7; 8] })?;
    let proven = gate::NtlmVerdict::Proven(gate::SessionKey::new([7; 16]));
    message(0, "gate-ntlm-verdict", &gate::ToGate::NtlmVerdict(proven))?;
    message(1, "gate-ntlm-proof", &gate::ToMonitor::NtlmProof(proof("alice")?))?;
    message(0, "gate-refused", &gate::ToGate::Refused("no".parse_text()?))?;
    message(1, "gate-sign", &gate::ToMonitor::Sign { scheme: 0x0403, message: Bytes::try_from(vec![0x20; 64])? })?;
    let failed = gate::ToMonitor::Failed { stage: gate::Stage::Tls, reason: "garbage".parse_text()? };
    message(1, "gate-failed", &failed)?;
    let claim = Claim { logon_id: 7, verifier: Key::new([7; 16]) };
    message(1, "gate-reconnect", &gate::ToMonitor::Reconnect(claim))?;
    message(0, "gate-reconnect-granted", &gate::ToGate::Reconnect(gate::Returning::Granted))?;
    let (proven, returning) = (Some("alice".parse_text()?), Some("alice".parse_text()?));
    message(2, "leader-begin", &leader::ToLeader::Begin { connection, client, proven, returning })?;
    let authenticated = leader::FromLeader::Authenticated { uid: 1000, user: "alice".parse_text()? };
    message(3, "leader-authenticated", &authenticated)?;
    let credentials = login::FromGate::Credentials {
        user: "alice".parse_text()?,
        domain: "".parse_text()?,
        password: Secret::new(b"secret".to_vec())?,
        session: login::SessionChoice::Named("sway".parse_text()?),
    };
    message(4, "login-credentials", &credentials)?;
    message(4, "login-answer", &login::FromGate::Answer(Secret::new(b"123456".to_vec())?))?;
    message(4, "login-cancel", &login::FromGate::Cancel)?;
    let ask = login::FromLeader::Ask { kind: login::Prompt::Hidden, text: "Code:".parse_text()? };
    message(5, "login-ask", &ask)?;
    let tell = login::FromLeader::Tell { tone: login::Tone::Error, text: "BAD PASSWORD".parse_text()? };
    message(5, "login-tell", &tell)?;
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
    let cookie = || Cookie { logon_id: 7, secret: Key::new([7; 16]) };
    message(6, "session-cookie", &session::ToSession::Cookie { connection, cookie: cookie() })?;
    message(8, "worker-cookie", &worker::ToWorker::Cookie { connection, cookie: cookie() })?;
    message(7, "session-left", &session::FromSession::Left { connection })?;
    message(9, "worker-left", &worker::FromWorker::Left { connection })?;
    message(9, "worker-unusable", &worker::FromWorker::Unusable)?;
    message(7, "session-description", &session::FromSession::Description(info.clone()))?;
    message(8, "worker-attach", &worker::ToWorker::Attach { connection, client: "::1".parse_text()? })?;
    message(9, "worker-attached", &worker::FromWorker::Attached { connection, width: 800, height: 600 })?;
    message(10, "control-terminate", &control::Request::Terminate(control::Target::User("alice".parse_text()?)))?;
    let enrol = control::Request::Enrol { user: "alice".parse_text()?, sealed: Bytes::try_from(vec![7; 84])? };
    message(10, "control-enrol", &enrol)?;
    message(10, "control-forget", &control::Request::Forget { user: None })?;
    let status = control::Status {
        version: "0.1.0".parse_text()?,
        security: gate::Security::Auto,
        fingerprint: "aa:bb".parse_text()?,
        sessions: 2,
        connected: 1,
        enrolled: Some(3),
    };
    message(11, "control-status", &control::Response::Status(status))?;
    let enrolment = control::Enrolment { user: "alice".parse_text()?, uid: Some(1000), good: true };
    message(11, "control-enrolled", &control::Response::Enrolled(enrolment))?;
    message(11, "control-session", &control::Response::Session(info))
}

/// An entry of alice's and one of nobody's, keys and names, behind the byte that says which; see `targets/enrolment.rs`.
fn enrolment() -> Result<(), Failure> {
    let text = format!("wrd-dm-nthash-private-1:{}\n", "01".repeat(32));
    let key = wrd_enrol::PrivateKey::decode(text.as_bytes())?;
    let hash = wrd_enrol::NtHash::of_password(b"canary")?;
    for name in ["alice", "carol"] {
        let entry = wrd_enrol::seal(&key.public(), 1000, &wrd_enrol::EntryName::try_from(name)?, &hash)?;
        write("enrolment", name, &[&[0], &entry[..]].concat())?;
    }
    write("enrolment", "private-key", format!("\u{1}{text}").as_bytes())?;
    write("enrolment", "public-key", format!("\u{2}{}", key.public().encode()).as_bytes())?;
    write("enrolment", "name", "\u{3}DOM\\grün🔑".as_bytes())
}

/// What happens to the first connection and the first user, in the steps of `targets/protocol.rs`.
struct Story(Vec<u8>);

impl Story {
    fn then(mut self, what: u8) -> Self {
        self.0.extend([what, 0]);
        self
    }

    fn says(self, who: u8, message: &impl Serialize) -> Result<Self, Failure> {
        self.said(who, 0, message)
    }

    fn second_says(self, who: u8, message: &impl Serialize) -> Result<Self, Failure> {
        self.said(who, 1, message)
    }

    fn said(mut self, who: u8, whom: u8, message: &impl Serialize) -> Result<Self, Failure> {
        let frame = wrd_sys::channel::encode(message)?;
        self.0.extend([who, whom, u8::try_from(frame.len())?]);
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
    let sign = |policy| {
        let sign = gate::ToMonitor::Sign { scheme: 0x0403, message: Bytes::try_from(vec![0x20; 64])? };
        Story(vec![policy]).then(CONNECTS).says(GATE, &sign)
    };
    let prove = |policy, user: &str| {
        sign(policy)?.says(GATE, &gate::ToMonitor::NtlmChallenge)?.says(GATE, &gate::ToMonitor::NtlmProof(proof(user)?))
    };
    let begin = || sign(0)?.says(GATE, &gate::ToMonitor::OpenLogin);
    let denied = leader::FromLeader::Denied { user: "alice".parse_text()?, text: "no".parse_text()?, pause_ms: 2000 };
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
    let claim = |number: u8| Claim { logon_id: uid, verifier: Key::new([number; 16]) };
    for (name, number) in [("comes-back", 0), ("comes-back-forged", 1)] {
        let cut = attached()?
            .says(GATE, &gate::ToMonitor::Relaying)?
            .says(SESSION, &session::FromSession::Changed(info.clone()))?
            .then(CONNECTS)
            .second_says(GATE, &gate::ToMonitor::Sign { scheme: 0x0403, message: Bytes::try_from(vec![0x20; 64])? })?
            .second_says(GATE, &gate::ToMonitor::Reconnect(claim(number)))?;
        let named = leader::FromLeader::Authenticated { uid, user: "alice".parse_text()? };
        let back = cut
            .second_says(LEADER, &named)?
            .says(SESSION, &session::FromSession::Attached { connection: ConnectionId(2) })?;
        write("protocol", name, &back.0)?;
    }
    let ending = session::FromSession::Ending { reason: "logged out".parse_text()? };
    write("protocol", "logs-out", &attached()?.says(SESSION, &ending)?.then(6).0)?;
    let user = "0".parse_text()?;
    let named = |uid: u32| leader::FromLeader::Authenticated { uid, user: wrd_proto::UserName::clone(&user) };
    let proven = || prove(2, "0")?.says(GATE, &gate::ToMonitor::OpenLogin);
    write("protocol", "nla", &proven()?.says(LEADER, &named(uid))?.0)?;
    write("protocol", "nla-of-another", &proven()?.says(LEADER, &named(uid + 1))?.0)?;
    let stale = proven()?.says(LEADER, &leader::FromLeader::Stale)?.says(LEADER, &denied)?;
    write("protocol", "nla-stale", &stale.0)?;
    let mut refused = prove(1, "x")?;
    // A minute later.
    refused.0.extend([11, 60]);
    write("protocol", "nla-refused", &refused.says(GATE, &failed)?.0)?;
    let tried = begin()?.says(LEADER, &leader::FromLeader::Tries)?;
    let mut asked = tried.says(LEADER, &leader::FromLeader::Asks)?;
    asked.0.extend([11, 100]);
    let asked = asked.says(LEADER, &leader::FromLeader::Answered)?.says(LEADER, &leader::FromLeader::Asks)?;
    write("protocol", "asks", &asked.then(11).0)?;
    write("protocol", "late", &begin()?.then(11).0)
}

/// The client of MS-NLMP 4.2.4, its messages three words long.
fn proof(user: &str) -> Result<gate::NtlmProof, Failure> {
    let client_challenge = [
        &[1, 1][..],
        &[0; 14],
        &[0xaa; 8],
        &[0; 4],
        b"\x02\0\x0c\0D\0o\0m\0a\0i\0n\0\x01\0\x0c\0S\0e\0r\0v\0e\0r\0",
        &[0; 8],
    ];
    Ok(gate::NtlmProof {
        user: user.parse_text()?,
        domain: "Domain".parse_text()?,
        proof: 0x68cd_0ab8_51e5_1c96_aabc_927b_ebef_6a1c_u128.to_be_bytes(),
        client_challenge: Bytes::try_from(client_challenge.concat())?,
        encrypted_session_key: Some(0xc5da_d254_4fc9_7990_94ce_1ce9_0bc9_d03e_u128.to_be_bytes()),
        mic: 0x62c6_15c5_c376_c9fa_9600_a219_91b6_c028_u128.to_be_bytes(),
        negotiate: Bytes::try_from(b"negotiate".to_vec())?,
        challenge: Bytes::try_from(b"challenge".to_vec())?,
        authenticate: Bytes::try_from(b"authenticate".to_vec())?,
    })
}

fn ntlm() -> Result<(), Failure> {
    let proofs = [
        ("right", proof("User")?),
        ("other-user", proof("alice")?),
        ("nobody", proof("")?),
        ("no-mic", gate::NtlmProof { mic: [0; 16], ..proof("User")? }),
        ("no-key-exchange", gate::NtlmProof { encrypted_session_key: None, ..proof("User")? }),
        ("short-response", gate::NtlmProof { client_challenge: Bytes::try_from(vec![1, 1, 0])?, ..proof("User")? }),
    ];
    for (name, proof) in proofs {
        write("ntlm", name, &wrd_sys::channel::encode(&proof)?)?;
    }
    Ok(())
}

/// What a real client sends, with what it seals laid open; the key it is sealed with there is the target's.
fn credssp() -> Result<(), Failure> {
    const REQUEST: u8 = 0;
    const TOKEN: u8 = 1;
    const TOKEN_AND_HASH: u8 = 2;
    const HASH: u8 = 3;
    const CREDENTIALS: u8 = 4;
    const PASSWORD: &str = "canary";
    let kerberos_first = b"\x60\x2b\x06\x06\x2b\x06\x01\x05\x05\x02\xa0\x21\x30\x1f\xa0\x19\x30\x17\
        \x06\x09\x2a\x86\x48\x86\xf7\x12\x01\x02\x02\x06\x0a\x2b\x06\x01\x04\x01\x82\x37\x02\x02\x0a\xa2\x02\x04\0";
    for (name, tokens) in [("raw", Tokens::Raw), ("spnego", Tokens::Spnego)] {
        let mut client = nla::client(("alice", "DOM", PASSWORD), b"a public key", tokens, 6);
        let server = Server {
            host_name: "host.example.org".to_owned(),
            public_key: b"a public key".to_vec(),
            early_result: EarlyResult::NotSent,
        };
        let mut driver = CredSsp::new(server);
        let mut key = None;
        let mut story = vec![3];
        let mut record = |kind, bytes: &[u8]| {
            story.push(kind);
            story.extend((bytes.len() as u16).to_le_bytes());
            story.extend(bytes);
        };
        let mut sealer = None;
        let mut heard = Default::default();
        for round in 0.. {
            let (request, _) = nla::say(&mut client, heard)?;
            let bytes = nla::encode(&request);
            write(
                "credssp",
                &format!("{name}-{round}"),
                &[&[1, REQUEST, bytes.len() as u8, (bytes.len() >> 8) as u8], &*bytes].concat(),
            )?;
            let mut output = Vec::new();
            let step = driver.receive(&bytes, &mut output)?;
            match (&request.nego_tokens, &request.pub_key_auth) {
                (Some(token), None) => record(TOKEN, token),
                (Some(token), Some(_)) => record(TOKEN_AND_HASH, token),
                (None, Some(_)) => record(HASH, &[0; 32]),
                (None, None) => {}
            }
            let done = match step {
                Step::Challenge => driver.challenge([7; 8], 1, &mut output)?,
                Step::Verdict(proof) => {
                    let verdict = nla::judge(&proof, [7; 8], PASSWORD);
                    if let gate::NtlmVerdict::Proven(proven) = &verdict {
                        key = Some(proven.clone());
                    }
                    driver.verdict(verdict, &mut output)?
                }
                step => step,
            };
            if let Some(key) = &key {
                let sealer = sealer.get_or_insert_with(|| Sealer::new(key, Direction::FromClient));
                if tokens == Tokens::Raw {
                    for sealed in [&request.pub_key_auth, &request.auth_info].into_iter().flatten() {
                        let plain = sealer.unseal(sealed)?;
                        if request.auth_info.is_some() {
                            record(CREDENTIALS, &plain);
                        }
                    }
                }
            }
            if matches!(done, Step::Done(_)) {
                break;
            }
            heard = TsRequest::from_buffer(&output)?;
        }
        write("credssp", name, &story)?;
        story[0] = 0;
        write("credssp", &format!("{name}-refused"), &story)?;
    }
    let length = kerberos_first.len() as u8;
    write("credssp", "kerberos-first", &[&[1, TOKEN, length, 0], &kerberos_first[..]].concat())
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
        layout: None,
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
            write("client_info", "comes-back", &with_cookie(&pdu, forged(7, [7; 16])))?;
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
    (transcript.progress, transcript.layout) = (Progress::Deactivated, Some(0x0407));
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
