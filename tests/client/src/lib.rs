//! The RDP client that the tests speak as: IronRDP's connector, which is a real one.
//!
//! Owned here: what kind of client it is ([`Kind`], [`config`]), the client without a socket and the gate's part
//! of its connection ([`dialogue`]), its CredSSP ([`nla`]), its cookies
//! ([`reconnect`]), and the client over TCP and TLS ([`online`], with the feature
//! `tls`). Nobody but tests, fuzz targets and benchmarks may use this crate: it panics where something is not as a test wants it.

pub mod dialogue;
pub mod nla;
#[cfg(feature = "tls")]
pub mod online;
pub mod reconnect;

use ironrdp_connector::{BitmapConfig, Config, Credentials, DesktopSize};
use ironrdp_core::encode_vec;
use ironrdp_pdu::gcc;
use ironrdp_pdu::nego::{ConnectionRequest, RequestFlags, SecurityProtocol};
use ironrdp_pdu::rdp::capability_sets as caps;
use ironrdp_pdu::x224::X224;

/// What kind of client, and whose.
#[derive(Clone, Copy, Debug)]
pub struct Kind<'a> {
    pub user: &'a str,
    /// Sent along in Client Info where it is not empty.
    pub password: &'a str,
    /// Size of the desktop it asks for, in px.
    pub width: u16,
    pub height: u16,
    /// Desktop scale in percent; 0 is none.
    pub scale: u32,
    /// Windows keyboard layout identifier.
    pub layout: u32,
    /// It has the graphics pipeline (RDPGFX).
    pub pipeline: bool,
    /// Bits a pixel of the bitmaps it takes.
    pub depth: u32,
}

/// A client without anything special, who sends no password.
pub const PLAIN: Kind<'static> = Kind {
    user: "alice",
    password: "",
    width: 800,
    height: 600,
    scale: 100,
    layout: 0x0409,
    pipeline: true,
    depth: 32,
};

/// What the connector is to say.
pub fn config(kind: Kind<'_>) -> Config {
    Config {
        desktop_size: DesktopSize { width: kind.width, height: kind.height },
        monitor_layout: None,
        desktop_scale_factor: kind.scale,
        desktop_physical_size: None,
        desktop_orientation: None,
        device_scale_factor: None,
        monitor_extended_layout: None,
        relative_mouse_input: false,
        enable_tls: true,
        enable_credssp: false,
        enable_standard_rdp_security: false,
        credentials: Credentials::UsernamePassword { username: kind.user.into(), password: kind.password.into() },
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

/// The first PDU of a client that offers `protocol`.
pub fn connection_request(protocol: SecurityProtocol) -> Vec<u8> {
    let flags = RequestFlags::empty();
    encode_vec(&X224(ConnectionRequest { nego_data: None, flags, protocol, correlation_info: None })).unwrap()
}
