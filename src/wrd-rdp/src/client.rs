//! What a client says about itself in its MCS Connect Initial: size, scale, keyboard, name, monitors.

use ironrdp_core::decode;
use ironrdp_pdu::gcc::ClientEarlyCapabilityFlags;
use ironrdp_pdu::mcs::ConnectInitial;
use ironrdp_pdu::x224::{X224, X224Data};
use wrd_proto::Text;

/// The client's side of the basic settings (MS-RDPBCGR 2.2.1.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientSettings {
    /// Name of the client's computer; for logs and lists only.
    pub name: Text<64>,
    pub build: u32,
    /// Desktop size the client asks for, in physical px, unchecked.
    pub width: u16,
    pub height: u16,
    /// Desktop scale in percent, 100 to 500; 100 where the client names none that is legal.
    pub desktop_scale: u32,
    pub keyboard: Keyboard,
    /// The client understands Set Error Info.
    pub error_info: bool,
    /// The client has the graphics pipeline (RDPGFX).
    pub graphics_pipeline: bool,
    /// The monitors it announced, at most 16, in its own order; empty where it announced none.
    pub monitors: Vec<Monitor>,
}

/// The client's keyboard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keyboard {
    /// Windows keyboard layout identifier (KLID); 0 where the client names none.
    pub layout: u32,
    /// 4 is the enhanced 101/102 keyboard, 7 the Japanese, 8 the Korean one.
    pub kind: u32,
    pub subtype: u32,
}

/// One monitor, in the client's coordinates, physical px; right and bottom are inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Monitor {
    pub left: i32,
    pub top: i32,
    pub right: i32,
    pub bottom: i32,
    pub primary: bool,
}

/// Most monitors that are looked at (MS-RDPBCGR 2.2.1.3.6 allows 16).
const MAX_MONITORS: usize = 16;

#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("malformed connect initial: {0}")]
    Malformed(ironrdp_core::DecodeError),
}

impl ClientSettings {
    /// Decodes the whole PDU with the MCS Connect Initial.
    pub fn decode(pdu: &[u8]) -> Result<Self, ClientError> {
        let data = decode::<X224<X224Data<'_>>>(pdu).map_err(ClientError::Malformed)?.0;
        let initial = decode::<ConnectInitial>(data.data.as_ref()).map_err(ClientError::Malformed)?;
        let blocks = initial.conference_create_request.into_gcc_blocks();
        let core = blocks.core;
        let early = core.optional_data.early_capability_flags.unwrap_or(ClientEarlyCapabilityFlags::empty());
        let monitors = blocks.monitor.map(|data| data.monitors).unwrap_or_default();
        Ok(Self {
            name: Text::truncated(&core.client_name),
            build: core.client_build,
            width: core.desktop_width,
            height: core.desktop_height,
            // MS-RDPBCGR 2.2.1.3.2: to be ignored outside 100 to 500.
            desktop_scale: core.optional_data.desktop_scale_factor.filter(|s| (100..=500).contains(s)).unwrap_or(100),
            keyboard: Keyboard {
                layout: core.keyboard_layout,
                kind: core.keyboard_type.0,
                subtype: core.keyboard_subtype,
            },
            error_info: early.contains(ClientEarlyCapabilityFlags::SUPPORT_ERR_INFO_PDU),
            graphics_pipeline: early.contains(ClientEarlyCapabilityFlags::SUPPORT_DYN_VC_GFX_PROTOCOL),
            monitors: monitors
                .iter()
                .take(MAX_MONITORS)
                .map(|monitor| Monitor {
                    left: monitor.left,
                    top: monitor.top,
                    right: monitor.right,
                    bottom: monitor.bottom,
                    primary: monitor.flags.contains(ironrdp_pdu::gcc::MonitorFlags::PRIMARY),
                })
                .collect(),
        })
    }
}
