//! A real RDP client (IronRDP's connector over rustls) for the gate to serve.

use super::Identity;
use ironrdp_connector::{ClientConnector, ClientConnectorState, Config, Credentials, DesktopSize, Sequence};
use ironrdp_core::{WriteBuf, encode_vec};
use ironrdp_pdu::gcc;
use ironrdp_pdu::input::fast_path::{FastPathInput, FastPathInputEvent, KeyboardFlags};
use ironrdp_pdu::nego::{ConnectionRequest, RequestFlags, SecurityProtocol};
use ironrdp_pdu::rdp::capability_sets as caps;
use ironrdp_pdu::x224::X224;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion};
use rustls_pki_types::CertificateDer;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use wrd_rdp::framing::PduBuffer;

pub type Tls = StreamOwned<ClientConnection, TcpStream>;

/// Shakes hands and checks certificate and signature for good.
pub fn tls(socket: TcpStream, identity: &Identity, version: &'static SupportedProtocolVersion) -> Tls {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(identity.certificate.clone())).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connection = ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
    let mut stream = StreamOwned::new(connection, socket);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock).unwrap();
    }
    stream
}

/// The first PDU of a client that offers `protocol`.
pub fn connection_request(protocol: SecurityProtocol) -> Vec<u8> {
    let flags = RequestFlags::empty();
    encode_vec(&X224(ConnectionRequest { nego_data: None, flags, protocol, correlation_info: None })).unwrap()
}

pub fn config(password: &str) -> Config {
    Config {
        desktop_size: DesktopSize { width: 800, height: 600 },
        monitor_layout: None,
        desktop_scale_factor: 100,
        desktop_physical_size: None,
        desktop_orientation: None,
        device_scale_factor: None,
        monitor_extended_layout: None,
        relative_mouse_input: false,
        enable_tls: true,
        enable_credssp: false,
        enable_standard_rdp_security: false,
        credentials: Credentials::UsernamePassword { username: "alice".into(), password: password.into() },
        domain: None,
        client_build: 0,
        client_name: "probe".into(),
        keyboard_type: gcc::KeyboardType::IBM_ENHANCED,
        keyboard_subtype: 0,
        keyboard_functional_keys_count: 12,
        keyboard_layout: 0x0409,
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

pub struct Client {
    pub stream: Tls,
    pub connector: ClientConnector,
    incoming: PduBuffer,
}

impl Client {
    /// Connects up to TLS.
    pub fn start(mut socket: TcpStream, identity: &Identity, password: &str) -> Self {
        let mut connector = ClientConnector::new(config(password), "127.0.0.1:1".parse().unwrap());
        let mut incoming = PduBuffer::default();
        while !connector.should_perform_security_upgrade() {
            let input = match connector.next_pdu_hint() {
                Some(_) => next_pdu(&mut socket, &mut incoming).expect("an answer"),
                None => Vec::new(),
            };
            let mut output = WriteBuf::new();
            connector.step(&input, None, &mut output).unwrap();
            socket.write_all(output.filled()).unwrap();
        }
        connector.mark_security_upgrade_as_done();
        Self { stream: tls(socket, identity, &rustls::version::TLS13), connector, incoming }
    }

    /// Steps until Client Info is sent.
    pub fn until_client_info(&mut self) {
        while !matches!(
            self.connector.state,
            ClientConnectorState::ConnectTimeAutoDetection { .. } | ClientConnectorState::LicensingExchange { .. }
        ) {
            self.step();
        }
    }

    /// Steps until the desktop is active.
    pub fn until_active(&mut self) {
        while !matches!(self.connector.state, ClientConnectorState::Connected { .. }) {
            self.step();
        }
    }

    fn step(&mut self) {
        let input = match self.connector.next_pdu_hint() {
            Some(_) => self.next().expect("an answer"),
            None => Vec::new(),
        };
        let mut output = WriteBuf::new();
        self.connector.step(&input, None, &mut output).unwrap();
        self.stream.write_all(output.filled()).unwrap();
    }

    /// The next PDU; `None` when the server closed.
    pub fn next(&mut self) -> Option<Vec<u8>> {
        next_pdu(&mut self.stream, &mut self.incoming)
    }

    /// Types text as Unicode, then Enter as a key.
    pub fn type_line(&mut self, text: &str) {
        for unit in text.encode_utf16() {
            self.key(FastPathInputEvent::UnicodeKeyboardEvent(KeyboardFlags::empty(), unit));
        }
        self.enter();
    }

    pub fn enter(&mut self) {
        self.key(FastPathInputEvent::KeyboardEvent(KeyboardFlags::empty(), 0x1c));
        self.key(FastPathInputEvent::KeyboardEvent(KeyboardFlags::RELEASE, 0x1c));
    }

    fn key(&mut self, event: FastPathInputEvent) {
        self.stream.write_all(&encode_vec(&FastPathInput::single(event)).unwrap()).unwrap();
    }
}

pub fn next_pdu(stream: &mut impl Read, incoming: &mut PduBuffer) -> Option<Vec<u8>> {
    loop {
        if let Some(pdu) = incoming.next_pdu().unwrap() {
            return Some(pdu.to_vec());
        }
        match incoming.fill(16384, |spare| stream.read(spare)) {
            Ok(0) => {
                assert!(incoming.is_empty(), "the end is at a boundary");
                return None;
            }
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return None,
            Err(error) => panic!("{error}"),
        }
    }
}
