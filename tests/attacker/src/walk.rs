//! A real client's way through a connection, one PDU at a time, so that each can be held back or replaced.

use clap::{Args, ValueEnum};
use ironrdp_connector::sspi::credssp::{CredSspClient, TsRequest};
use ironrdp_connector::{ClientConnector, ClientConnectorState, Config, Sequence};
use ironrdp_core::WriteBuf;
use ironrdp_dvc::DrdynvcClient;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use wrd_rdp::framing::PduBuffer;
use wrd_test_client::nla::{self, Tokens};
use wrd_test_client::online::{Tls, Trust, next_pdu, read_ts_request, tls};
use wrd_test_client::{Kind, PLAIN, config};

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Stage {
    /// Nothing has been said.
    Silent,
    /// The server has answered the X.224 request.
    Negotiated,
    /// Half of a ClientHello has been said.
    HalfTls,
    /// TLS is up.
    Tls,
    /// The same, and it is CredSSP that comes next.
    #[value(name = "credssp")]
    CredSsp,
    /// The server has answered the first TSRequest with NTLM's challenge.
    Challenged,
    /// All up to Client Info, which is not said.
    Joined,
    /// The desktop is active: the login screen, or a session if the person has a password.
    Active,
}

impl Stage {
    /// What a client offers that is to come there.
    fn offer(self) -> Offer {
        if matches!(self, Self::CredSsp | Self::Challenged) { Offer::Nla(Tokens::Spnego) } else { Offer::Tls }
    }
}

/// The security that a client has to offer, and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    Tls,
    Nla(Tokens),
}

/// Who the client says is there.
#[derive(Args, Clone, Debug)]
pub struct Person {
    #[arg(long, default_value = "bob")]
    pub user: String,
    #[arg(long, default_value = "")]
    pub password: String,
    #[arg(long, default_value_t = 1024)]
    pub width: u16,
    #[arg(long, default_value_t = 768)]
    pub height: u16,
}

impl Default for Person {
    fn default() -> Self {
        Self { user: "bob".into(), password: String::new(), width: 1024, height: 768 }
    }
}

enum Wire {
    Plain(TcpStream),
    Tls(Box<Tls>),
    /// Only while TLS begins.
    Gone,
}

/// A connection on its way.
pub struct Walk {
    wire: Wire,
    connector: ClientConnector,
    incoming: PduBuffer,
    /// How its user's password is proven, and whether that has begun.
    credssp: Option<(CredSspClient, bool)>,
    /// What was to be said next and was held back.
    held: Option<Vec<u8>>,
}

impl Walk {
    /// A connection that stands at `stage`. What would be said next is not.
    pub fn to(socket: TcpStream, person: &Person, stage: Stage) -> io::Result<Self> {
        let mut walk = Self::offering(stage.offer(), socket, person);
        walk.until(stage)?;
        Ok(walk)
    }

    /// A client that has TLS to offer.
    pub fn new(socket: TcpStream, person: &Person) -> Self {
        Self::offering(Offer::Tls, socket, person)
    }

    pub fn offering(offer: Offer, socket: TcpStream, person: &Person) -> Self {
        let kind = Kind {
            user: &person.user,
            password: &person.password,
            width: person.width,
            height: person.height,
            pipeline: false,
            ..PLAIN
        };
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        // Nobody's password is right here, so it never comes to what is bound to the server's key.
        let (config, credssp) = match offer {
            Offer::Tls => (config(kind), None),
            Offer::Nla(tokens) => (
                Config { enable_tls: false, enable_credssp: true, ..config(kind) },
                Some((nla::client((kind.user, "", kind.password), b"", tokens, 6), false)),
            ),
        };
        let mut connector = ClientConnector::new(config, address);
        connector.attach_static_channel(DrdynvcClient::new());
        Self { wire: Wire::Plain(socket), connector, incoming: PduBuffer::default(), credssp, held: None }
    }

    /// What the client says next, once the server has said what comes before it; `None` when it is active.
    pub fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        if let Some(held) = self.held.take() {
            return Ok(Some(held));
        }
        loop {
            if matches!(self.connector.state, ClientConnectorState::Connected { .. }) {
                return Ok(None);
            }
            self.secure()?;
            if self.connector.should_perform_credssp() {
                return self.next_ts_request().map(Some);
            }
            let input = match self.connector.next_pdu_hint() {
                Some(_) => self.read_pdu()?,
                None => Vec::new(),
            };
            let mut output = WriteBuf::new();
            self.connector.step(&input, None, &mut output).map_err(io::Error::other)?;
            if !output.filled().is_empty() {
                return Ok(Some(output.filled().to_vec()));
            }
        }
    }

    /// A server that has heard the last one says no.
    fn next_ts_request(&mut self) -> io::Result<Vec<u8>> {
        let Wire::Tls(stream) = &mut self.wire else { return Err(gone()) };
        let (client, begun) = self.credssp.as_mut().ok_or_else(gone)?;
        let heard = if *begun { read_ts_request(stream)? } else { TsRequest::default() };
        *begun = true;
        let (request, _) = nla::say(client, heard).map_err(io::Error::other)?;
        Ok(nla::encode(&request))
    }

    /// The next TSRequest of the server's.
    pub fn hear_ts_request(&mut self) -> io::Result<TsRequest> {
        let Wire::Tls(stream) = &mut self.wire else { return Err(gone()) };
        read_ts_request(stream)
    }

    /// The key in the server's certificate (RFC 5280 4.1.2.7, without its BIT STRING), which CredSSP is bound to.
    pub fn server_key(&self) -> io::Result<Vec<u8>> {
        let Wire::Tls(stream) = &self.wire else { return Err(gone()) };
        let leaf = stream.conn.peer_certificates().and_then(<[_]>::first).ok_or_else(gone)?;
        let certificate = rustls::server::ParsedCertificate::try_from(leaf).map_err(io::Error::other)?;
        let info = certificate.subject_public_key_info();
        // An uncompressed point of P-256, which is the end of it.
        let at = info.len().checked_sub(65).filter(|at| info.get(*at) == Some(&4)).ok_or_else(gone)?;
        info.get(at..).map(<[u8]>::to_vec).ok_or_else(gone)
    }

    /// CredSSP went on in other hands and is over, but for the result that a client of HYBRID_EX is told early.
    pub fn credssp_is_done(&mut self) -> io::Result<()> {
        let Wire::Tls(stream) = &mut self.wire else { return Err(gone()) };
        let mut result = [0xff; 4];
        stream.read_exact(&mut result)?;
        if result != [0; 4] {
            return Err(io::Error::other("the server lets nobody in"));
        }
        self.held = None;
        self.connector.mark_credssp_as_done();
        Ok(())
    }

    /// Reads until the server ends the connection: how many bytes it still said. That it does not end it is an error.
    pub fn hear_rest(&mut self) -> io::Result<usize> {
        let Wire::Tls(stream) = &mut self.wire else { return Err(gone()) };
        let (mut sink, mut count) = ([0; 16384], 0);
        loop {
            match stream.read(&mut sink) {
                Ok(0) => return Ok(count),
                Ok(more) => count += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    return Err(io::Error::other("the server does not end it"));
                }
                Err(_) => return Ok(count),
            }
        }
    }

    /// Shakes hands, if that comes next.
    pub fn secure(&mut self) -> io::Result<()> {
        if self.connector.should_perform_security_upgrade() {
            let Wire::Plain(socket) = std::mem::replace(&mut self.wire, Wire::Gone) else { return Err(gone()) };
            self.wire = Wire::Tls(Box::new(tls(socket, Trust::Any, &rustls::version::TLS13)?));
            self.connector.mark_security_upgrade_as_done();
        }
        Ok(())
    }

    pub fn read_pdu(&mut self) -> io::Result<Vec<u8>> {
        let pdu = match &mut self.wire {
            Wire::Plain(socket) => next_pdu(socket, &mut self.incoming)?,
            Wire::Tls(stream) => next_pdu(stream, &mut self.incoming)?,
            Wire::Gone => None,
        };
        pdu.ok_or_else(gone)
    }

    pub fn say(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.wire {
            Wire::Plain(socket) => socket.write_all(bytes),
            Wire::Tls(stream) => stream.write_all(bytes).and_then(|()| stream.flush()),
            Wire::Gone => Err(gone()),
        }
    }

    /// Under TLS: the last record is not whole.
    pub fn say_all_but_a_byte(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Wire::Tls(stream) = &mut self.wire else { return Err(gone()) };
        let mut records = Vec::new();
        stream.conn.writer().write_all(bytes)?;
        while stream.conn.wants_write() {
            stream.conn.write_tls(&mut records)?;
        }
        records.pop();
        stream.sock.write_all(&records)
    }

    /// Says everything up to a stage, where that lies on the way of what this client offers. What would be said next
    /// is not.
    pub fn until(&mut self, stage: Stage) -> io::Result<()> {
        if stage == Stage::Silent {
            return Ok(());
        }
        let mut ts_requests = 0;
        while let Some(pdu) = self.next()? {
            if stage == Stage::Joined && self.next_is_client_info() {
                self.held = Some(pdu);
                return Ok(());
            }
            if self.connector.should_perform_credssp() {
                if stage == Stage::CredSsp || ts_requests == 1 {
                    self.held = Some(pdu);
                    return Ok(());
                }
                ts_requests += 1;
            }
            self.say(&pdu)?;
            if matches!(stage, Stage::Negotiated | Stage::HalfTls | Stage::Tls) {
                break;
            }
        }
        match stage {
            // The answer, which the connector must have heard before TLS.
            Stage::Negotiated | Stage::HalfTls | Stage::Tls => self.hear_answer()?,
            _ => return Ok(()),
        }
        match stage {
            Stage::HalfTls => self.say(&half_a_hello()),
            Stage::Tls => self.secure(),
            _ => Ok(()),
        }
    }

    fn hear_answer(&mut self) -> io::Result<()> {
        let answer = self.read_pdu()?;
        let mut output = WriteBuf::new();
        self.connector.step(&answer, None, &mut output).map_err(io::Error::other)?;
        Ok(())
    }

    /// Whether what [`Walk::next`] has just given is Client Info.
    pub fn next_is_client_info(&self) -> bool {
        use ClientConnectorState::{ConnectTimeAutoDetection, LicensingExchange};
        matches!(self.connector.state, ConnectTimeAutoDetection { .. } | LicensingExchange { .. })
    }

    /// The socket below everything.
    pub fn socket(&self) -> io::Result<&TcpStream> {
        match &self.wire {
            Wire::Plain(socket) => Ok(socket),
            Wire::Tls(stream) => Ok(&stream.sock),
            Wire::Gone => Err(gone()),
        }
    }
}

/// The first bytes of a TLS record with a ClientHello: its header, and half of what that promises.
pub fn half_a_hello() -> Vec<u8> {
    let mut bytes = vec![0x16, 0x03, 0x01, 0x00, 0xc8, 0x01, 0x00, 0x00, 0xc4, 0x03, 0x03];
    bytes.extend([0x5a; 90]);
    bytes
}

fn gone() -> io::Error {
    io::ErrorKind::UnexpectedEof.into()
}
