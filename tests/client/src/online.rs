//! The client over TCP and TLS.

use crate::nla::{self, Tokens};
use crate::reconnect::{Packet, with_cookie};
use crate::{Kind, config};
use ironrdp_connector::connection_activation::ConnectionActivationState;
use ironrdp_connector::sspi::credssp::TsRequest;
use ironrdp_connector::{ClientConnector, ClientConnectorState, Config, Sequence};
use ironrdp_core::{WriteBuf, encode_vec};
use ironrdp_pdu::input::fast_path::{FastPathInput, FastPathInputEvent, KeyboardFlags};
use ironrdp_pdu::nego::SecurityProtocol;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme, StreamOwned,
    SupportedProtocolVersion,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};
use wrd_rdp::framing::PduBuffer;

pub type Tls = StreamOwned<ClientConnection, TcpStream>;

/// Which certificate is taken; the signature of the handshake is checked in any case.
#[derive(Clone, Copy, Debug)]
pub enum Trust<'a> {
    /// This one (DER), for "localhost".
    Only(&'a [u8]),
    /// Any, as a person does who clicks it away.
    Any,
}

/// Shakes hands.
pub fn tls(
    mut socket: TcpStream,
    trust: Trust<'_>,
    version: &'static SupportedProtocolVersion,
) -> std::io::Result<Tls> {
    let mut connection = ClientConnection::new(Arc::new(tls_config(trust, version)), "localhost".try_into().unwrap())
        .map_err(std::io::Error::other)?;
    while connection.is_handshaking() {
        connection.complete_io(&mut socket)?;
    }
    Ok(StreamOwned::new(connection, socket))
}

/// What rustls is told, for those who drive it themselves.
pub fn tls_config(trust: Trust<'_>, version: &'static SupportedProtocolVersion) -> ClientConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider.clone()).with_protocol_versions(&[version]).unwrap();
    match trust {
        Trust::Only(certificate) => {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from(certificate.to_vec())).unwrap();
            config.with_root_certificates(roots).with_no_client_auth()
        }
        Trust::Any => {
            config.dangerous().with_custom_certificate_verifier(Arc::new(AnyName(provider))).with_no_client_auth()
        }
    }
}

/// Takes any certificate, and still checks that the server has its key.
#[derive(Debug)]
struct AnyName(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// A client with its connection.
pub struct Client {
    pub stream: Tls,
    pub connector: ClientConnector,
    /// What it comes back with.
    pub cookie: Option<Packet>,
    incoming: PduBuffer,
}

impl Client {
    /// Connects up to TLS 1.3. An error is the server's, or the network's.
    pub fn start(socket: TcpStream, trust: Trust<'_>, kind: Kind<'_>) -> std::io::Result<Self> {
        Self::start_as(socket, trust, config(kind))
    }

    /// The same for a client that has NLA to offer and nothing else, and through CredSSP; `public_key` is the
    /// server's.
    pub fn start_nla(
        socket: TcpStream,
        trust: Trust<'_>,
        kind: Kind<'_>,
        (public_key, tokens): (&[u8], Tokens),
    ) -> std::io::Result<Self> {
        let config = Config { enable_tls: false, enable_credssp: true, ..config(kind) };
        let mut client = Self::start_as(socket, trust, config)?;
        let ClientConnectorState::Credssp { selected_protocol } = client.connector.state else {
            return Err(std::io::Error::other("the server wants no credssp"));
        };
        let mut credssp = nla::client((kind.user, "", kind.password), public_key, tokens, 6);
        let mut heard = TsRequest::default();
        loop {
            let (request, last) = nla::say(&mut credssp, heard).map_err(std::io::Error::other)?;
            client.stream.write_all(&nla::encode(&request))?;
            if last {
                break;
            }
            heard = read_ts_request(&mut client.stream)?;
        }
        if selected_protocol.contains(SecurityProtocol::HYBRID_EX) {
            let mut result = [0xff; 4];
            client.stream.read_exact(&mut result)?;
            assert_eq!(result, [0; 4], "the early user authorization result");
        }
        client.connector.mark_credssp_as_done();
        Ok(client)
    }

    /// The same with a wrong password: how long it takes from the answer to the server's challenge to its no.
    pub fn be_disproven(socket: TcpStream, trust: Trust<'_>, kind: Kind<'_>) -> std::io::Result<Duration> {
        let config = Config { enable_tls: false, enable_credssp: true, ..config(kind) };
        let mut stream = Self::start_as(socket, trust, config)?.stream;
        // Which key it sees does not come into it.
        let mut credssp = nla::client((kind.user, "", kind.password), b"", Tokens::Raw, 6);
        let mut heard = TsRequest::default();
        let mut asked = Instant::now();
        for _ in ["negotiate", "authenticate"] {
            let (request, _) = nla::say(&mut credssp, heard).map_err(std::io::Error::other)?;
            let bytes = nla::encode(&request);
            asked = Instant::now();
            stream.write_all(&bytes)?;
            heard = read_ts_request(&mut stream)?;
        }
        let took = asked.elapsed();
        match heard.error_code {
            Some(code) if code.0 == STATUS_LOGON_FAILURE => Ok(took),
            other => Err(std::io::Error::other(format!("the server says {other:?} to a wrong password"))),
        }
    }

    fn start_as(mut socket: TcpStream, trust: Trust<'_>, config: Config) -> std::io::Result<Self> {
        let mut connector = ClientConnector::new(config, "127.0.0.1:1".parse().unwrap());
        let mut incoming = PduBuffer::default();
        while !connector.should_perform_security_upgrade() {
            let input = match connector.next_pdu_hint() {
                Some(_) => pdu_or_end(&mut socket, &mut incoming)?,
                None => Vec::new(),
            };
            socket.write_all(&stepped(&mut connector, &input)?)?;
        }
        connector.mark_security_upgrade_as_done();
        Ok(Self { stream: tls(socket, trust, &rustls::version::TLS13)?, connector, cookie: None, incoming })
    }

    /// Steps until Client Info is sent.
    pub fn until_client_info(&mut self) -> std::io::Result<()> {
        while !matches!(
            self.connector.state,
            ClientConnectorState::ConnectTimeAutoDetection { .. } | ClientConnectorState::LicensingExchange { .. }
        ) {
            self.step()?;
        }
        Ok(())
    }

    /// Steps until the desktop is active: the login screen, or the session where a good password was sent along.
    pub fn until_active(&mut self) -> std::io::Result<()> {
        while !matches!(self.connector.state, ClientConnectorState::Connected { .. }) {
            self.step()?;
        }
        Ok(())
    }

    /// One step of the sequence, with the PDU that it waits for.
    pub fn step(&mut self) -> std::io::Result<()> {
        let input = match self.connector.next_pdu_hint() {
            Some(_) => pdu_or_end(&mut self.stream, &mut self.incoming)?,
            None => Vec::new(),
        };
        let has_cookie_to_show = matches!(self.connector.state, ClientConnectorState::SecureSettingsExchange { .. });
        let output = stepped(&mut self.connector, &input)?;
        match self.cookie.filter(|_| has_cookie_to_show) {
            Some(cookie) => self.stream.write_all(&with_cookie(&output, cookie)),
            None => self.stream.write_all(&output),
        }
    }

    /// The same again, behind a Deactivate All: what was active was the login screen, and the session takes over.
    pub fn reactivate(&mut self) -> std::io::Result<()> {
        let ClientConnectorState::Connected { result } = &self.connector.state else { panic!("it is not active") };
        let mut activation = result.activation_factory.create();
        while !matches!(activation.connection_activation_state(), ConnectionActivationState::Finalized { .. }) {
            let input = match activation.next_pdu_hint() {
                Some(_) => pdu_or_end(&mut self.stream, &mut self.incoming)?,
                None => Vec::new(),
            };
            let mut output = WriteBuf::new();
            activation.step(&input, None, &mut output).map_err(std::io::Error::other)?;
            self.stream.write_all(output.filled())?;
        }
        Ok(())
    }

    /// The next PDU; `None` when the server closed.
    pub fn hear(&mut self) -> Option<Vec<u8>> {
        next_pdu(&mut self.stream, &mut self.incoming).unwrap()
    }

    /// The same where that may come to nothing.
    pub fn try_hear(&mut self) -> std::io::Result<Option<Vec<u8>>> {
        next_pdu(&mut self.stream, &mut self.incoming)
    }

    /// Hears no more than that the server has closed.
    pub fn until_end(&mut self) {
        while let Ok(Some(_)) = self.try_hear() {}
    }

    /// Types text as Unicode, then Enter as a key.
    pub fn type_line(&mut self, text: &str) -> std::io::Result<()> {
        for unit in text.encode_utf16() {
            self.key(FastPathInputEvent::UnicodeKeyboardEvent(KeyboardFlags::empty(), unit))?;
        }
        self.enter()
    }

    pub fn enter(&mut self) -> std::io::Result<()> {
        self.key(FastPathInputEvent::KeyboardEvent(KeyboardFlags::empty(), 0x1c))?;
        self.key(FastPathInputEvent::KeyboardEvent(KeyboardFlags::RELEASE, 0x1c))
    }

    fn key(&mut self, event: FastPathInputEvent) -> std::io::Result<()> {
        self.stream.write_all(&encode_vec(&FastPathInput::single(event)).unwrap())
    }
}

/// MS-ERREF 2.3.1.
const STATUS_LOGON_FAILURE: u32 = 0xc000_006d;

/// The next one that the server says.
pub fn read_ts_request(stream: &mut impl Read) -> std::io::Result<TsRequest> {
    let mut bytes = vec![0; 4];
    stream.read_exact(&mut bytes)?;
    let length = TsRequest::read_length(&bytes[..])?;
    let rest = length.checked_sub(4).ok_or_else(|| std::io::Error::other("a short TSRequest"))?;
    bytes.resize(4 + rest, 0);
    stream.read_exact(&mut bytes[4..])?;
    TsRequest::from_buffer(&bytes)
}

fn stepped(connector: &mut ClientConnector, input: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut output = WriteBuf::new();
    connector.step(input, None, &mut output).map_err(std::io::Error::other)?;
    Ok(output.filled().to_vec())
}

fn pdu_or_end(stream: &mut impl Read, incoming: &mut PduBuffer) -> std::io::Result<Vec<u8>> {
    next_pdu(stream, incoming)?.ok_or_else(|| std::io::ErrorKind::UnexpectedEof.into())
}

/// The next PDU on `stream`; `None` at its end, which must be at a boundary.
pub fn next_pdu(stream: &mut impl Read, incoming: &mut PduBuffer) -> std::io::Result<Option<Vec<u8>>> {
    loop {
        if let Some(pdu) = incoming.next_pdu().map_err(std::io::Error::other)? {
            return Ok(Some(pdu.to_vec()));
        }
        match incoming.fill(16384, |spare| stream.read(spare)) {
            Ok(0) => {
                assert!(incoming.is_empty(), "the end is at a boundary");
                return Ok(None);
            }
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        }
    }
}
