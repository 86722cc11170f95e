//! A real RDP client (ironrdp) with what it shows, and the gate's part of its connection.

use ironrdp_connector::connection_activation::{ConnectionActivationFactory, ConnectionActivationState};
use ironrdp_connector::{
    BitmapConfig, ClientConnector, ClientConnectorState, Config, ConnectionOutcome, Credentials, DesktopSize, Sequence,
};
use ironrdp_core::{WriteBuf, decode};
use ironrdp_displaycontrol::client::DisplayControlClient;
use ironrdp_dvc::DrdynvcClient;
use ironrdp_egfx::client::{GraphicsPipelineClient, GraphicsPipelineHandler};
use ironrdp_graphics::image_processing::PixelFormat;
use ironrdp_pdu::input::fast_path::FastPathInputEvent;
use ironrdp_pdu::mcs::McsMessage;
use ironrdp_pdu::nego::SecurityProtocol;
use ironrdp_pdu::rdp::capability_sets as caps;
use ironrdp_pdu::rdp::headers::{ShareControlHeader, ShareControlPdu, ShareDataPdu};
use ironrdp_pdu::x224::X224;
use ironrdp_pdu::{Action, gcc};
use ironrdp_session::image::DecodedImage;
use ironrdp_session::{ActiveStage, ActiveStageBuilder, ActiveStageOutput};
use ironrdp_svc::SvcProcessorMessages;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;
use wrd_proto::Bytes;
use wrd_proto::transcript::{Progress, Transcript};
use wrd_rdp::acceptor::{Pause, Waiting, drive, new_acceptor, tls_is_up};
use wrd_rdp::framing::{PduBuffer, is_fast_path};

pub const MAX: DesktopSize = DesktopSize { width: 4000, height: 3000 };

/// What kind of client.
#[derive(Clone, Copy)]
pub struct Kind {
    pub width: u16,
    pub height: u16,
    pub pipeline: bool,
    pub depth: u32,
    pub layout: u32,
}

pub const PLAIN: Kind = Kind { width: 403, height: 301, pipeline: false, depth: 32, layout: 0x0407 };

fn config(kind: Kind) -> Config {
    Config {
        desktop_size: DesktopSize { width: kind.width, height: kind.height },
        monitor_layout: None,
        desktop_scale_factor: 0,
        desktop_physical_size: None,
        desktop_orientation: None,
        device_scale_factor: None,
        monitor_extended_layout: None,
        relative_mouse_input: false,
        enable_tls: true,
        enable_credssp: false,
        enable_standard_rdp_security: false,
        credentials: Credentials::UsernamePassword { username: "alice".into(), password: String::new() },
        domain: None,
        client_build: 0,
        client_name: "probe".into(),
        keyboard_type: gcc::KeyboardType::IBM_ENHANCED,
        keyboard_subtype: 0,
        keyboard_functional_keys_count: 12,
        keyboard_layout: kind.layout,
        connection_type: gcc::ConnectionType::Lan,
        ime_file_name: String::new(),
        bitmap: Some(BitmapConfig {
            lossy_compression: false,
            color_depth: kind.depth,
            codecs: caps::BitmapCodecs::default(),
        }),
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
        pointer_software_rendering: false,
        multitransport_flags: None,
        support_dyn_vc_gfx_protocol: kind.pipeline,
    }
}

struct Gfx;
impl GraphicsPipelineHandler for Gfx {}

/// A client before its link is there, and what the gate has of it.
pub struct Arrival {
    connector: ClientConnector,
    to_server: PduBuffer,
    to_client: PduBuffer,
    transcript: Transcript,
}

impl Arrival {
    /// Comes as far as the gate brings a client that sent its password along.
    pub fn new(kind: Kind) -> Self {
        let mut dynamic = DrdynvcClient::new().with_dynamic_channel(DisplayControlClient::new(|_| Ok(Vec::new())));
        if kind.pipeline {
            dynamic = dynamic.with_dynamic_channel(GraphicsPipelineClient::new(Box::new(Gfx), None));
        }
        let connector = ClientConnector::new(config(kind), "127.0.0.1:1".parse().unwrap()).with_static_channel(dynamic);
        let security = SecurityProtocol::SSL;
        let mut arrival = Self {
            connector,
            to_server: PduBuffer::default(),
            to_client: PduBuffer::default(),
            transcript: Transcript {
                security: security.bits(),
                max_width: MAX.width,
                max_height: MAX.height,
                progress: Progress::Licensing,
                pdus: Vec::new(),
            },
        };
        let mut acceptor = new_acceptor(security, MAX);
        loop {
            arrival.step();
            let pdu = arrival.to_server.next_pdu().unwrap().expect("the client has something to say").to_vec();
            let mut output = Vec::new();
            let mut waiting = drive(&mut acceptor, Some(&pdu), Pause::BeforeLicensing, &mut output).unwrap();
            if waiting == Waiting::ForTls {
                tls_is_up(&mut acceptor);
                waiting = drive(&mut acceptor, None, Pause::BeforeLicensing, &mut output).unwrap();
            }
            arrival.to_client.push(&output);
            arrival.transcript.pdus.push(Bytes::try_from(pdu).unwrap());
            if waiting == Waiting::AtLicensing {
                return arrival;
            }
        }
    }

    /// Comes as far as the gate brings a client to its login screen, and from there.
    pub fn from_login_screen(kind: Kind) -> (Self, ActiveStage, ConnectionActivationFactory) {
        let mut arrival = Self::new(kind);
        let acceptor = new_acceptor(SecurityProtocol::SSL, MAX);
        let mut acceptor = wrd_rdp::replay::replay(acceptor, &arrival.transcript).unwrap().acceptor;
        let mut output = Vec::new();
        drive(&mut acceptor, None, Pause::Nowhere, &mut output).unwrap();
        arrival.to_client.push(&output);
        loop {
            arrival.step();
            let Some(pdu) = arrival.to_server.next_pdu().unwrap().map(<[u8]>::to_vec) else { break };
            let mut output = Vec::new();
            drive(&mut acceptor, Some(&pdu), Pause::Nowhere, &mut output).unwrap();
            arrival.to_client.push(&output);
        }
        let (stage, factory, _) = connected(&mut arrival.connector);
        arrival.transcript.progress = Progress::Deactivated;
        (arrival, stage, factory)
    }

    /// What the gate writes first.
    pub fn block(&self) -> Vec<u8> {
        let body = wrd_sys::channel::encode(&self.transcript).unwrap();
        let mut block = u32::try_from(body.len()).unwrap().to_le_bytes().to_vec();
        block.extend_from_slice(&body);
        block
    }

    /// Steps as far as the bytes at hand go; whether the client is connected.
    fn step(&mut self) -> bool {
        loop {
            if matches!(self.connector.state, ClientConnectorState::Connected { .. }) {
                return true;
            }
            if self.connector.should_perform_security_upgrade() {
                self.connector.mark_security_upgrade_as_done();
                continue;
            }
            let input = match self.connector.next_pdu_hint() {
                Some(_) => match self.to_client.next_pdu().unwrap() {
                    Some(pdu) => pdu.to_vec(),
                    None => return false,
                },
                None => Vec::new(),
            };
            let mut output = WriteBuf::new();
            self.connector.step(&input, None, &mut output).unwrap();
            self.to_server.push(output.filled());
        }
    }

    /// Goes on over the link until the client is connected.
    pub fn connect(mut self, mut link: UnixStream) -> Client {
        link.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        link.write_all(&self.block()).unwrap();
        while !self.step() {
            self.send(&mut link);
            self.receive(&mut link);
        }
        self.send(&mut link);
        let (stage, factory, size) = connected(&mut self.connector);
        Client::new(link, self.to_client, stage, factory, size)
    }

    fn send(&mut self, link: &mut UnixStream) {
        let bytes = self.to_server.rest().to_vec();
        self.to_server.consume(bytes.len());
        link.write_all(&bytes).unwrap();
    }

    fn receive(&mut self, link: &mut UnixStream) {
        let length = self.to_client.fill(65536, |space| link.read(space)).unwrap();
        assert!(length > 0, "the worker has closed the link");
    }
}

fn connected(connector: &mut ClientConnector) -> (ActiveStage, ConnectionActivationFactory, DesktopSize) {
    let Some(ConnectionOutcome::Connected(result)) = connector.state.take_outcome() else { panic!("not connected") };
    let stage = ActiveStageBuilder {
        static_channels: result.static_channels,
        user_channel_id: result.user_channel_id,
        io_channel_id: result.io_channel_id,
        message_channel_id: result.message_channel_id,
        share_id: result.share_id,
        compression_type: result.compression_type,
        enable_server_pointer: result.enable_server_pointer,
        pointer_software_rendering: result.pointer_software_rendering,
    }
    .build();
    (stage, result.activation_factory, result.desktop_size)
}

/// A connected client.
pub struct Client {
    pub link: UnixStream,
    input: PduBuffer,
    stage: ActiveStage,
    factory: ConnectionActivationFactory,
    pub image: DecodedImage,
    /// Codes of Set Error Info, in order.
    pub errors: Vec<u32>,
    pub pointers: Vec<String>,
    pub bytes: usize,
    pub ended: bool,
    pub denied: bool,
}

impl Client {
    pub fn new(
        link: UnixStream,
        input: PduBuffer,
        stage: ActiveStage,
        factory: ConnectionActivationFactory,
        size: DesktopSize,
    ) -> Self {
        Self {
            link,
            input,
            stage,
            factory,
            image: DecodedImage::new(PixelFormat::RgbA32, size.width, size.height),
            errors: Vec::new(),
            pointers: Vec::new(),
            bytes: 0,
            ended: false,
            denied: false,
        }
    }

    /// Reads and shows until `done` or the link ends.
    pub fn until(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        while !done(self) {
            assert!(std::time::Instant::now() < deadline, "waited too long for: {what}");
            if self.ended {
                panic!("the link ended while waiting for: {what} (errors {:?})", self.errors);
            }
            self.pump();
        }
    }

    /// Reads to the end, and closes as a gate does.
    pub fn until_end(&mut self) {
        while !self.ended {
            self.pump();
        }
        let _ = self.link.shutdown(std::net::Shutdown::Both);
    }

    /// All PDUs at hand; where there are none, one read first.
    pub fn pump(&mut self) {
        if self.show_all() {
            return;
        }
        let link = &mut self.link;
        match self.input.fill(65536, |space| link.read(space)) {
            Ok(0) => self.ended = true,
            Ok(length) => self.bytes += length,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => self.ended = true,
            Err(error) => panic!("{error}"),
        }
        self.show_all();
    }

    fn show_all(&mut self) -> bool {
        let mut any = false;
        while let Some(pdu) = self.input.next_pdu().unwrap().map(<[u8]>::to_vec) {
            any = true;
            self.show(&pdu);
        }
        any
    }

    fn show(&mut self, pdu: &[u8]) {
        self.note(pdu);
        let action = if is_fast_path(pdu) { Action::FastPath } else { Action::X224 };
        for output in self.stage.process(&mut self.image, action, pdu, None).unwrap() {
            match output {
                ActiveStageOutput::ResponseFrame(bytes) => self.say(&bytes),
                ActiveStageOutput::DeactivateAll => self.reactivate(),
                ActiveStageOutput::PointerDefault => self.pointers.push("default".into()),
                ActiveStageOutput::PointerHidden => self.pointers.push("hidden".into()),
                ActiveStageOutput::PointerBitmap(pointer) => {
                    self.pointers.push(format!("{}x{}", pointer.width, pointer.height));
                }
                _ => {}
            }
        }
    }

    fn note(&mut self, pdu: &[u8]) {
        let Ok(X224(McsMessage::SendDataIndication(data))) = decode::<X224<McsMessage<'_>>>(pdu) else { return };
        let Ok(header) = decode::<ShareControlHeader>(&data.user_data) else { return };
        let ShareControlPdu::Data(header) = header.share_control_pdu else { return };
        match header.share_data_pdu {
            ShareDataPdu::ServerSetErrorInfo(_) => {
                self.errors.push(u32::from_le_bytes(*data.user_data.last_chunk().unwrap()));
            }
            ShareDataPdu::ShutdownDenied => self.denied = true,
            _ => {}
        }
    }

    /// Deactivation-Reactivation Sequence; also what follows a login screen.
    pub fn reactivate(&mut self) {
        let mut sequence = self.factory.create();
        loop {
            if let ConnectionActivationState::Finalized { desktop_size, share_id, static_channel_chunk_size, .. } =
                sequence.connection_activation_state()
            {
                let (io, user) = (sequence.io_channel_id(), sequence.user_channel_id());
                assert!(self.stage.reactivate(io, user, share_id, true, false, static_channel_chunk_size));
                self.image = DecodedImage::new(PixelFormat::RgbA32, desktop_size.width, desktop_size.height);
                return;
            }
            let input = match sequence.next_pdu_hint() {
                None => Vec::new(),
                Some(_) => loop {
                    if let Some(pdu) = self.input.next_pdu().unwrap() {
                        break pdu.to_vec();
                    }
                    let link = &mut self.link;
                    assert!(self.input.fill(65536, |space| link.read(space)).unwrap() > 0);
                },
            };
            // Updates that were under way are not for the sequence.
            if is_fast_path(&input) && !input.is_empty() {
                continue;
            }
            let mut output = WriteBuf::new();
            sequence.step(&input, None, &mut output).unwrap();
            let bytes = output.filled().to_vec();
            self.say(&bytes);
        }
    }

    pub fn say(&mut self, bytes: &[u8]) {
        // Who was sent away may find nobody to talk to.
        let _ = self.link.write_all(bytes);
    }

    pub fn type_events(&mut self, events: &[FastPathInputEvent]) {
        for output in self.stage.process_fastpath_input(&mut self.image, events).unwrap() {
            if let ActiveStageOutput::ResponseFrame(bytes) = output {
                self.say(&bytes);
            }
        }
    }

    pub fn say_share_data(&mut self, pdu: ShareDataPdu) {
        let mut output = WriteBuf::new();
        self.stage.encode_static(&mut output, pdu).unwrap();
        self.say(output.filled());
    }

    pub fn wish_size(&mut self, width: u32, height: u32) {
        let messages = {
            let channel = self.stage.get_dvc::<DisplayControlClient>().expect("display control is open");
            channel.processor().encode_single_primary_monitor(channel.channel_id(), width, height, None, None).unwrap()
        };
        let messages = SvcProcessorMessages::<DrdynvcClient>::new(messages);
        let bytes = self.stage.process_svc_processor_messages(messages).unwrap();
        self.say(&bytes);
    }

    pub fn has_display_control(&mut self) -> bool {
        self.stage.display_control_ready() == Some(true)
    }
}
