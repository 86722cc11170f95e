//! The acceptor that gate and worker set up alike, and its driver.
//!
//! The driver is sans-I/O: bytes in, bytes out, and what is wanted next. It stands between the client and
//! `ironrdp-acceptor` because that one takes any PDU at several points of the sequence for the one it waits
//! for: only PDUs that can be meant there get through, the others (early input, late input of an earlier
//! activation, traffic on virtual channels) are dropped. Bytes that were produced are given back even when
//! the sequence fails, so that a refusal reaches the client.

use crate::framing::is_fast_path;
use crate::pdu::{self, Slow};
use ironrdp_acceptor::{Acceptor, AcceptorState, ConnectorError, DesktopSize};
use ironrdp_connector::{ConnectorErrorExt as _, Sequence, state_downcast};
use ironrdp_core::{WriteBuf, decode};
use ironrdp_pdu::nego::{ConnectionConfirm, ConnectionRequest, ResponseFlags, SecurityProtocol};
use ironrdp_pdu::rdp::capability_sets as caps;
use ironrdp_pdu::x224::X224;
use wrd_proto::gate::Security;

/// Desktop size of clients that ask for none that is legal, in px.
pub const DEFAULT_SIZE: DesktopSize = DesktopSize { width: 1024, height: 768 };
/// MCS channel of slow-path graphics, input and control, as the acceptor gives it to every client.
pub const IO_CHANNEL: u16 = 1003;
/// The MCS user the server sends as (MS-RDPBCGR 3.3.1.5); also the id that clients are given.
pub const SERVER_CHANNEL: u16 = 1002;
/// The share id of every activation, which the acceptor sets in Demand Active.
pub const SHARE_ID: u32 = 0;

/// Most bytes that the client may send in one fragmented update; far more than it ever does.
const MAX_REQUEST: u32 = 8 * 1024 * 1024;
/// More steps without input than any sequence has.
const MAX_STEPS: usize = 64;

/// What the driver waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// The next PDU of the client.
    ForPdu,
    /// TLS; then call [`tls_is_up`].
    ForTls,
    /// CredSSP; then call [`credssp_is_done`].
    ForCredSsp,
    /// Client Info has been read; only with [`Pause::BeforeLicensing`].
    AtLicensing,
    /// Nothing: the connection is active, [`Acceptor::get_result`] has what was agreed.
    Active,
}

/// Where the driver stops though it could go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pause {
    BeforeLicensing,
    Nowhere,
}

#[derive(Debug, thiserror::Error)]
pub enum DriveError {
    /// The text never has the password: Client Info is blanked before it gets here.
    #[error("{}", report(.0))]
    Refused(ConnectorError),
    /// The bits are those of `RDP_NEG_REQ` (MS-RDPBCGR 2.2.1.1.1); 0 is RDP's own, old security.
    #[error("the client offers no security that is served here (it asked for {:#x})", .requested.bits())]
    NoCommonSecurity { requested: SecurityProtocol },
    #[error("a PDU came while none was due")]
    NotDue,
    #[error("the client disconnected")]
    Disconnected,
    #[error("a confirm active announces more capability sets than it has")]
    TooManySets,
    #[error("a font list that is none")]
    BadFontList,
    #[error("the sequence makes no progress")]
    Stuck,
}

/// What a connection request asks for (MS-RDPBCGR 2.2.1.1.1); `None` for any other PDU.
pub fn requested(pdu: &[u8]) -> Option<SecurityProtocol> {
    decode::<X224<ConnectionRequest>>(pdu).ok().map(|request| request.0.protocol)
}

/// What a client that asks for `requested` is to be served with. Where it has nothing of that, the acceptor refuses it
/// with the right failure code (MS-RDPBCGR 2.2.1.2.2).
pub fn offer(policy: Security, requested: SecurityProtocol) -> SecurityProtocol {
    let nla = SecurityProtocol::HYBRID | SecurityProtocol::HYBRID_EX;
    match policy {
        Security::Tls => SecurityProtocol::SSL,
        Security::NlaRequired => nla,
        Security::NlaPreferred if requested.intersects(nla) => nla,
        Security::Auto if requested.intersects(nla) && !requested.intersects(SecurityProtocol::SSL) => nla,
        Security::NlaPreferred | Security::Auto => SecurityProtocol::SSL,
    }
}

/// A fresh acceptor. Gate and worker of one connection call it with the same arguments; static channels
/// (the worker's) are attached before the first PDU.
pub fn new_acceptor(security: SecurityProtocol, max_size: DesktopSize) -> Acceptor {
    let mut acceptor = Acceptor::new(security, DEFAULT_SIZE, capabilities(DEFAULT_SIZE), None);
    acceptor.set_honor_client_desktop_size(Some(max_size));
    acceptor
}

/// The desktop size that the acceptor of [`new_acceptor`] gives a client that asks for `requested`: cut to
/// `max`, and the default where the rest is not legal (MS-RDPBCGR 2.2.1.3.2 has 200 to 8192 px).
pub fn granted_size(requested: DesktopSize, max: DesktopSize) -> DesktopSize {
    const LEGAL: std::ops::RangeInclusive<u16> = 200..=8192;
    let (width, height) = (requested.width.min(max.width), requested.height.min(max.height));
    if LEGAL.contains(&width) && LEGAL.contains(&height) { DesktopSize { width, height } } else { DEFAULT_SIZE }
}

/// Steps until something is wanted from outside. `input` is one whole PDU, or `None` to go on where no PDU
/// is due. What is to be sent is appended to `output`, also when the result is an error.
pub fn drive(
    acceptor: &mut Acceptor,
    input: Option<&[u8]>,
    pause: Pause,
    output: &mut Vec<u8>,
) -> Result<Waiting, DriveError> {
    if let Some(pdu) = input {
        if waiting(acceptor, Pause::Nowhere) != Some(Waiting::ForPdu) {
            return Err(DriveError::NotDue);
        }
        if !is_meant(acceptor, pdu)? {
            return Ok(Waiting::ForPdu);
        }
        let awaited_font_list = finalization(acceptor) == Some("WaitFontList");
        step(acceptor, pdu, output)?;
        // `ironrdp-acceptor` takes what it cannot decode here for early input, and keeps all of it.
        if finalization(acceptor) == Some("WaitFontList") && awaited_font_list {
            return Err(DriveError::BadFontList);
        }
    }
    for _ in 0..MAX_STEPS {
        if let Some(waiting) = waiting(acceptor, pause) {
            return Ok(waiting);
        }
        step(acceptor, &[], output)?;
    }
    Err(DriveError::Stuck)
}

/// Goes on after TLS was set up; without effect at any other point.
pub fn tls_is_up(acceptor: &mut Acceptor) {
    if acceptor.reached_security_upgrade().is_some() {
        acceptor.mark_security_upgrade_as_done();
    }
}

/// Goes on after CredSSP was done, or, in a replay, was done by the gate; without effect at any other point.
pub fn credssp_is_done(acceptor: &mut Acceptor) {
    if acceptor.should_perform_credssp() {
        acceptor.mark_credssp_as_done();
    }
}

/// What was agreed upon, while TLS is waited for and up to the client's settings.
pub fn agreed(acceptor: &Acceptor) -> Option<SecurityProtocol> {
    match state(acceptor) {
        Some(AcceptorState::SecurityUpgrade { protocol, .. } | AcceptorState::Credssp { protocol, .. }) => {
            Some(*protocol)
        }
        _ => None,
    }
}

/// Whether the next PDU is Client Info, which has the password in it.
pub fn expects_client_info(acceptor: &Acceptor) -> bool {
    matches!(state(acceptor), Some(AcceptorState::SecureSettingsExchange { .. }))
}

/// Name of the acceptor's state, for logs.
pub fn state_name(acceptor: &Acceptor) -> &'static str {
    acceptor.state().name()
}

/// One step, whatever the state; used by the replay too.
pub(crate) fn step(acceptor: &mut Acceptor, input: &[u8], output: &mut Vec<u8>) -> Result<(), DriveError> {
    let requested = match state(acceptor) {
        Some(AcceptorState::InitiationSendConfirm { requested_protocol }) => Some(*requested_protocol),
        _ => None,
    };
    let mut buffer = WriteBuf::new();
    let result = acceptor.step(input, None, &mut buffer);
    if result.is_ok()
        && requested.is_some()
        && let Some(protocol) = agreed(acceptor)
    {
        buffer = confirm(protocol)?;
    }
    output.extend_from_slice(buffer.filled());
    match (result, requested) {
        (Ok(_), _) => Ok(()),
        (Err(_), Some(requested)) if !buffer.filled().is_empty() => Err(DriveError::NoCommonSecurity { requested }),
        (Err(error), _) => Err(DriveError::Refused(error)),
    }
}

/// The answer to a connection request (MS-RDPBCGR 2.2.1.2.1). The acceptor's own does not say that there is a graphics
/// pipeline, as a server that has one should.
fn confirm(protocol: SecurityProtocol) -> Result<WriteBuf, DriveError> {
    let flags = ResponseFlags::EXTENDED_CLIENT_DATA_SUPPORTED | ResponseFlags::DYNVC_GFX_PROTOCOL_SUPPORTED;
    let mut buffer = WriteBuf::new();
    ironrdp_core::encode_buf(&X224(ConnectionConfirm::Response { flags, protocol }), &mut buffer)
        .map_err(|error| DriveError::Refused(ConnectorError::encode(error)))?;
    Ok(buffer)
}

/// What is wanted from outside in the present state; `None` where a step needs nothing.
pub(crate) fn waiting(acceptor: &Acceptor, pause: Pause) -> Option<Waiting> {
    match state(acceptor) {
        Some(AcceptorState::SecurityUpgrade { .. }) => Some(Waiting::ForTls),
        Some(AcceptorState::Credssp { .. }) => Some(Waiting::ForCredSsp),
        Some(AcceptorState::LicensingExchange { .. }) if pause == Pause::BeforeLicensing => Some(Waiting::AtLicensing),
        Some(AcceptorState::Accepted { .. }) => Some(Waiting::Active),
        _ => acceptor.next_pdu_hint().map(|_| Waiting::ForPdu),
    }
}

pub(crate) fn state(acceptor: &Acceptor) -> Option<&AcceptorState> {
    state_downcast::<AcceptorState>(acceptor.state())
}

/// Whether the acceptor may see this PDU in its present state.
fn is_meant(acceptor: &Acceptor, pdu: &[u8]) -> Result<bool, DriveError> {
    if is_fast_path(pdu) {
        return Ok(false);
    }
    let finalization = finalization(acceptor);
    if finalization.is_none() && !matches!(state(acceptor), Some(AcceptorState::CapabilitiesWaitConfirm { .. })) {
        return Ok(true);
    }
    if pdu::is_disconnect_ultimatum(pdu) {
        return Err(DriveError::Disconnected);
    }
    let slow = pdu::classify(pdu);
    if finalization.is_none() && slow == Slow::ConfirmActive && !pdu::capability_sets_fit(pdu) {
        return Err(DriveError::TooManySets);
    }
    Ok(match finalization {
        None => slow == Slow::ConfirmActive,
        Some("WaitSynchronize") => slow == Slow::Data(pdu::data_type::SYNCHRONIZE),
        Some("WaitControlCooperate" | "WaitRequestControl") => slow == Slow::Data(pdu::data_type::CONTROL),
        Some(_) => slow == Slow::Data(pdu::data_type::FONT_LIST),
    })
}

/// What is awaited during the connection's finalization (MS-RDPBCGR 1.3.1.1).
fn finalization(acceptor: &Acceptor) -> Option<&'static str> {
    match state(acceptor) {
        Some(AcceptorState::ConnectionFinalization { finalization, .. }) => Some(finalization.state().name()),
        _ => None,
    }
}

fn report(error: &ConnectorError) -> String {
    error.report().to_string()
}

fn capabilities(size: DesktopSize) -> Vec<caps::CapabilitySet> {
    use caps::CapabilitySet as Set;
    vec![
        Set::Share(share()),
        Set::General(caps::General {
            major_platform_type: caps::MajorPlatformType::UNIX,
            extra_flags: caps::GeneralExtraFlags::FASTPATH_OUTPUT_SUPPORTED
                | caps::GeneralExtraFlags::NO_BITMAP_COMPRESSION_HDR
                | caps::GeneralExtraFlags::LONG_CREDENTIALS_SUPPORTED
                | caps::GeneralExtraFlags::AUTORECONNECT_SUPPORTED,
            refresh_rect_support: true,
            suppress_output_support: true,
            ..Default::default()
        }),
        Set::Bitmap(caps::Bitmap {
            pref_bits_per_pix: 32,
            desktop_width: size.width,
            desktop_height: size.height,
            desktop_resize_flag: true,
            drawing_flags: caps::BitmapDrawingFlags::ALLOW_SKIP_ALPHA,
        }),
        // No drawing order is ever sent; the two flags are mandatory (MS-RDPBCGR 2.2.7.1.3).
        Set::Order(caps::Order::new(
            caps::OrderFlags::NEGOTIATE_ORDER_SUPPORT | caps::OrderFlags::ZERO_BOUNDS_DELTAS_SUPPORT,
            caps::OrderSupportExFlags::empty(),
            0,
            0,
        )),
        Set::Pointer(caps::Pointer { color_pointer_cache_size: 25, pointer_cache_size: 25 }),
        Set::LargePointer(caps::LargePointer {
            flags: caps::LargePointerSupportFlags::UP_TO_96X96_PIXELS
                | caps::LargePointerSupportFlags::UP_TO_384X384_PIXELS,
        }),
        Set::Input(caps::Input {
            input_flags: caps::InputFlags::SCANCODES
                | caps::InputFlags::MOUSEX
                | caps::InputFlags::UNICODE
                | caps::InputFlags::FASTPATH_INPUT
                | caps::InputFlags::FASTPATH_INPUT_2
                | caps::InputFlags::TS_MOUSE_HWHEEL,
            keyboard_layout: 0,
            keyboard_type: None,
            keyboard_subtype: 0,
            keyboard_function_key: 0,
            keyboard_ime_filename: String::new(),
        }),
        Set::VirtualChannel(caps::VirtualChannel {
            flags: caps::VirtualChannelFlags::NO_COMPRESSION,
            chunk_size: Some(16256),
        }),
        Set::MultiFragmentUpdate(caps::MultifragmentUpdate { max_request_size: MAX_REQUEST }),
        Set::SurfaceCommands(caps::SurfaceCommands {
            flags: caps::CmdFlags::SET_SURFACE_BITS
                | caps::CmdFlags::FRAME_MARKER
                | caps::CmdFlags::STREAM_SURFACE_BITS,
        }),
        Set::BitmapCodecs(caps::BitmapCodecs::default()),
        Set::FrameAcknowledge(caps::FrameAcknowledge { max_unacknowledged_frame_count: 2 }),
    ]
}

/// The Share set's body (MS-RDPBCGR 2.2.7.2.4): the server's channel and two bytes of padding.
fn share() -> Vec<u8> {
    let [low, high] = SERVER_CHANNEL.to_le_bytes();
    vec![low, high, 0, 0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use ironrdp_core::encode_vec;
    use ironrdp_pdu::nego::{ConnectionRequest, RequestFlags};
    use ironrdp_pdu::x224::X224;

    fn request(protocol: SecurityProtocol) -> Vec<u8> {
        encode_vec(&X224(ConnectionRequest {
            nego_data: None,
            flags: RequestFlags::empty(),
            protocol,
            correlation_info: None,
        }))
        .unwrap()
    }

    #[test]
    fn a_client_without_tls_gets_the_failure_and_its_bytes_come_out() {
        let mut acceptor = new_acceptor(SecurityProtocol::SSL, DEFAULT_SIZE);
        let mut output = Vec::new();
        let pdu = request(SecurityProtocol::empty());
        let error = drive(&mut acceptor, Some(&pdu), Pause::BeforeLicensing, &mut output).unwrap_err();
        assert!(matches!(error, DriveError::NoCommonSecurity { .. }), "{error}");
        // RDP_NEG_FAILURE (3) with SSL_REQUIRED_BY_SERVER (1), MS-RDPBCGR 2.2.1.2.2.
        assert_eq!(output[11..], [3, 0, 8, 0, 1, 0, 0, 0]);
    }

    #[test]
    fn fast_path_before_tls_is_dropped_and_garbage_is_an_error() {
        let mut acceptor = new_acceptor(SecurityProtocol::SSL, DEFAULT_SIZE);
        let mut output = Vec::new();
        let early = [0x04, 0x04, 0x00, 0x1e];
        let waiting = drive(&mut acceptor, Some(&early), Pause::BeforeLicensing, &mut output).unwrap();
        assert_eq!((waiting, output.len()), (Waiting::ForPdu, 0));
        let garbage = [3, 0, 0, 8, 1, 2, 3, 4];
        assert!(drive(&mut acceptor, Some(&garbage), Pause::BeforeLicensing, &mut output).is_err());
        // The acceptor is spent: no panic, no loop.
        assert!(drive(&mut acceptor, Some(&garbage), Pause::BeforeLicensing, &mut output).is_err());
        assert!(drive(&mut acceptor, None, Pause::BeforeLicensing, &mut output).is_err());
    }

    /// The protocol that a client gets, or the failure code.
    fn negotiated(policy: Security, asked: SecurityProtocol) -> Result<SecurityProtocol, u8> {
        let pdu = request(asked);
        let mut acceptor = new_acceptor(offer(policy, requested(&pdu).unwrap()), DEFAULT_SIZE);
        let mut output = Vec::new();
        match drive(&mut acceptor, Some(&pdu), Pause::BeforeLicensing, &mut output) {
            Ok(Waiting::ForTls) => Ok(agreed(&acceptor).unwrap()),
            Err(DriveError::NoCommonSecurity { .. }) => Err(output[15]),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_policy_picks_the_security() {
        use Security::{Auto, NlaPreferred, NlaRequired, Tls};
        let (ssl, hybrid) = (SecurityProtocol::SSL, SecurityProtocol::HYBRID);
        let nla = hybrid | SecurityProtocol::HYBRID_EX;
        let ex = SecurityProtocol::HYBRID_EX;
        // What FreeRDP and Remmina, mstsc, /sec:nla, /sec:tls and a client of old ask for.
        let clients = [ssl | hybrid, ssl | nla, hybrid, nla, ssl, SecurityProtocol::empty()];
        let all = |policy| clients.map(|asked| negotiated(policy, asked));
        // SSL_REQUIRED_BY_SERVER and HYBRID_REQUIRED_BY_SERVER.
        let (no_ssl, no_nla) = (Err(1), Err(5));
        assert_eq!(all(Auto), [Ok(ssl), Ok(ssl), Ok(hybrid), Ok(ex), Ok(ssl), no_ssl]);
        assert_eq!(all(NlaPreferred), [Ok(hybrid), Ok(ex), Ok(hybrid), Ok(ex), Ok(ssl), no_ssl]);
        assert_eq!(all(NlaRequired), [Ok(hybrid), Ok(ex), Ok(hybrid), Ok(ex), no_nla, no_nla]);
        assert_eq!(all(Tls), [Ok(ssl), Ok(ssl), no_ssl, no_ssl, Ok(ssl), no_ssl]);
        assert_eq!(requested(b"\x03\0\0\x07\x02\xf0\x80"), None);
    }

    #[test]
    fn credssp_comes_behind_tls_and_only_for_who_agreed_on_it() {
        let mut acceptor = new_acceptor(SecurityProtocol::HYBRID, DEFAULT_SIZE);
        let pdu = request(SecurityProtocol::HYBRID);
        let mut output = Vec::new();
        let mut go = |acceptor: &mut Acceptor, pdu: Option<&[u8]>| {
            drive(acceptor, pdu, Pause::BeforeLicensing, &mut output).unwrap()
        };
        assert_eq!(go(&mut acceptor, Some(&pdu)), Waiting::ForTls);
        credssp_is_done(&mut acceptor);
        tls_is_up(&mut acceptor);
        assert_eq!(go(&mut acceptor, None), Waiting::ForCredSsp);
        credssp_is_done(&mut acceptor);
        assert_eq!(go(&mut acceptor, None), Waiting::ForPdu);
        assert_eq!(agreed(&acceptor), None);
    }

    #[test]
    fn a_client_with_tls_is_asked_for_it() {
        let mut acceptor = new_acceptor(SecurityProtocol::SSL, DEFAULT_SIZE);
        let mut output = Vec::new();
        let pdu = request(SecurityProtocol::SSL | SecurityProtocol::HYBRID);
        let waiting = drive(&mut acceptor, Some(&pdu), Pause::BeforeLicensing, &mut output).unwrap();
        assert_eq!(waiting, Waiting::ForTls);
        // RDP_NEG_RSP (2): extended client data and the graphics pipeline (3), SSL (1); MS-RDPBCGR 2.2.1.2.1.
        assert_eq!(output[11..], [2, 3, 8, 0, 1, 0, 0, 0]);
        assert!(drive(&mut acceptor, Some(&pdu), Pause::BeforeLicensing, &mut output).is_err());
        tls_is_up(&mut acceptor);
        let waiting = drive(&mut acceptor, None, Pause::BeforeLicensing, &mut output).unwrap();
        assert_eq!(waiting, Waiting::ForPdu);
        tls_is_up(&mut acceptor);
    }
}
