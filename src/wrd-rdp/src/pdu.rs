//! The few PDUs that both ends write or must recognise: Set Error Info, Save Session Info, Deactivate All and
//! the MCS Disconnect Provider Ultimatum.
//!
//! Their headers carry what the acceptor announced: server channel, I/O channel and share id
//! ([`crate::acceptor`]).

use crate::acceptor::{IO_CHANNEL, SERVER_CHANNEL, SHARE_ID};
use ironrdp_core::{Encode, decode, encode_vec};
use ironrdp_pdu::mcs::{DisconnectProviderUltimatum, DisconnectReason, SendDataIndication, SendDataRequest};
use ironrdp_pdu::rdp::client_info::CompressionType;
use ironrdp_pdu::rdp::headers::{
    CompressionFlags, ServerDeactivateAll, ShareControlHeader, ShareControlPdu, ShareDataHeader, ShareDataPdu,
    StreamPriority,
};
use ironrdp_pdu::rdp::server_error_info::{ErrorInfo, ProtocolIndependentCode, ServerSetErrorInfoPdu};
use ironrdp_pdu::rdp::session_info::{
    InfoData, InfoType, LogonExFlags, LogonInfoExtended, SaveSessionInfoPdu, ServerAutoReconnect,
};
use ironrdp_pdu::x224::X224;
use std::borrow::Cow;
use wrd_proto::reconnect::Cookie;

/// Why the server ends a connection, as the client is told (MS-RDPBCGR 2.2.5.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// An administrator's tool ended the connection (0x1).
    Disconnected,
    /// An administrator's tool ended the session (0x2).
    Terminated,
    /// Nothing was typed for too long (0x3).
    IdleTimeout,
    /// The login took too long (0x4).
    LogonTimeout,
    /// Another connection of the same user took the session over (0x5).
    TakenOver,
    /// The server does not want this connection (0x7).
    Denied,
    /// The user may not log in (0x9).
    InsufficientPrivileges,
    /// The user disconnected from within the session (0xb).
    DisconnectedByUser,
    /// The user logged out (0xc).
    LoggedOut,
    /// The program that draws the desktop crashed (0x10).
    Crashed,
    /// The machine is shut down (0x19).
    Shutdown,
}

impl EndReason {
    fn code(self) -> ProtocolIndependentCode {
        use ProtocolIndependentCode as Code;
        match self {
            Self::Disconnected => Code::RpcInitiatedDisconnect,
            Self::Terminated => Code::RpcInitiatedLogoff,
            Self::IdleTimeout => Code::IdleTimeout,
            Self::LogonTimeout => Code::LogonTimeout,
            Self::TakenOver => Code::DisconnectedByOtherconnection,
            Self::Denied => Code::ServerDeniedConnection,
            Self::InsufficientPrivileges => Code::ServerInsufficientPrivileges,
            Self::DisconnectedByUser => Code::RpcInitiatedDisconnectByuser,
            Self::LoggedOut => Code::LogoffByUser,
            Self::Crashed => Code::ServerDwmCrash,
            Self::Shutdown => Code::ServerShutdown,
        }
    }
}

/// Set Error Info and the ultimatum behind it: how a server says good-bye.
pub fn end(reason: EndReason) -> Vec<u8> {
    let mut bytes = set_error_info(reason);
    bytes.extend(disconnect_ultimatum());
    bytes
}

/// Server Set Error Info PDU (MS-RDPBCGR 2.2.5.1).
pub fn set_error_info(reason: EndReason) -> Vec<u8> {
    let info = ServerSetErrorInfoPdu(ErrorInfo::ProtocolIndependentCode(reason.code()));
    share_data(ShareDataPdu::ServerSetErrorInfo(info))
}

/// Save Session Info with the cookie to come back with (MS-RDPBCGR 2.2.10.1.1.4).
pub fn reconnect_cookie(cookie: &Cookie) -> Vec<u8> {
    let random_bits = *cookie.secret.expose();
    let info = LogonInfoExtended {
        present_fields_flags: LogonExFlags::AUTO_RECONNECT_COOKIE,
        auto_reconnect: Some(ServerAutoReconnect { logon_id: cookie.logon_id, random_bits }),
        errors_info: None,
    };
    let info_data = InfoData::LogonExtended(info);
    share_data(ShareDataPdu::SaveSessionInfo(SaveSessionInfoPdu { info_type: InfoType::LogonExtended, info_data }))
}

/// Server Deactivate All PDU (MS-RDPBCGR 2.2.3.1).
pub fn deactivate_all() -> Vec<u8> {
    indication(&ShareControlHeader {
        share_control_pdu: ShareControlPdu::ServerDeactivateAll(ServerDeactivateAll),
        pdu_source: SERVER_CHANNEL,
        share_id: SHARE_ID,
    })
}

/// MCS Disconnect Provider Ultimatum, initiated by the provider as MS-RDPBCGR 1.3.1.4.2 has it.
pub fn disconnect_ultimatum() -> Vec<u8> {
    encoded(&X224(DisconnectProviderUltimatum { reason: DisconnectReason::ProviderInitiated }))
}

/// A share data PDU from the server, complete with all its headers.
pub fn share_data(pdu: ShareDataPdu) -> Vec<u8> {
    indication(&ShareControlHeader {
        share_control_pdu: ShareControlPdu::Data(ShareDataHeader {
            share_data_pdu: pdu,
            stream_priority: StreamPriority::Low,
            compression_flags: CompressionFlags::empty(),
            compression_type: CompressionType::K8,
        }),
        pdu_source: SERVER_CHANNEL,
        share_id: SHARE_ID,
    })
}

/// Whether a whole PDU is the ultimatum, from either side.
pub fn is_disconnect_ultimatum(pdu: &[u8]) -> bool {
    // TPKT (4), X.224 data (3), then the choice in the six high bits: 8.
    pdu.first() == Some(&3) && pdu.get(5) == Some(&0xf0) && pdu.get(7).is_some_and(|choice| choice >> 2 == 8)
}

/// What a slow-path PDU of a client is, as far as its headers say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slow {
    ConfirmActive,
    /// A share data PDU with its `pduType2`.
    Data(u8),
    /// On a virtual channel, or no Send Data Request, or malformed.
    Other,
}

/// `pduType2` of the share data PDUs that matter to us (MS-RDPBCGR 2.2.8.1.1.1.2).
pub mod data_type {
    pub const CONTROL: u8 = 0x14;
    pub const INPUT: u8 = 0x1c;
    pub const SYNCHRONIZE: u8 = 0x1f;
    pub const REFRESH_RECT: u8 = 0x21;
    pub const SUPPRESS_OUTPUT: u8 = 0x23;
    pub const SHUTDOWN_REQUEST: u8 = 0x24;
    pub const FONT_LIST: u8 = 0x27;
    pub const FRAME_ACKNOWLEDGE: u8 = 0x38;
}

/// Looks at the headers of a client's slow-path PDU on the I/O channel.
pub fn classify(pdu: &[u8]) -> Slow {
    let Some(body) = io_channel_body(pdu) else { return Slow::Other };
    // Share control header: totalLength (2), pduType (2), pduSource (2), shareId (4).
    match body.get(2).map(|kind| kind & 0x0f) {
        Some(0x3) => Slow::ConfirmActive,
        // Share data header: pad (1), streamId (1), uncompressedLength (2), pduType2.
        Some(0x7) => body.get(14).map_or(Slow::Other, |kind| Slow::Data(*kind)),
        _ => Slow::Other,
    }
}

/// Whether a Confirm Active may have as many capability sets as it says (MS-RDPBCGR 2.2.1.13.2.1): a set has at
/// least its header. `ironrdp-pdu` makes room for all of them before it reads the first.
pub(crate) fn capability_sets_fit(pdu: &[u8]) -> bool {
    const SET_HEADER: usize = 4;
    // Share control header (10), originatorId (2), then the length of the source descriptor.
    const DESCRIPTOR_LENGTH_AT: usize = 12;
    let body = io_channel_body(pdu).unwrap_or_default();
    let short = |at: usize| body.get(at..).and_then(|b| b.first_chunk()).map(|b| usize::from(u16::from_le_bytes(*b)));
    // Two lengths, the descriptor, then the number of sets, padding, and the sets.
    let Some(count_at) = short(DESCRIPTOR_LENGTH_AT).map(|length| DESCRIPTOR_LENGTH_AT + 4 + length) else {
        return false;
    };
    short(count_at).is_some_and(|count| count * SET_HEADER <= body.len().saturating_sub(count_at + 4))
}

/// The share control PDU in a client's slow-path PDU on the I/O channel.
pub(crate) fn io_channel_body(pdu: &[u8]) -> Option<&[u8]> {
    match decode::<X224<SendDataRequest<'_>>>(pdu).ok()?.0 {
        SendDataRequest { channel_id: IO_CHANNEL, user_data: Cow::Borrowed(body), .. } => Some(body),
        _ => None,
    }
}

fn indication(message: &ShareControlHeader) -> Vec<u8> {
    encoded(&X224(SendDataIndication {
        initiator_id: SERVER_CHANNEL,
        channel_id: IO_CHANNEL,
        user_data: Cow::Owned(encoded(message)),
    }))
}

/// Encodes a message of ours; it is of a fixed, small size, so that this cannot fail but by a mistake of ours,
/// which sends nothing rather than something wrong.
fn encoded(message: &impl Encode) -> Vec<u8> {
    let bytes = encode_vec(message);
    debug_assert!(bytes.is_ok(), "{bytes:?}");
    bytes.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ironrdp_pdu::mcs::McsMessage;

    fn body(pdu: &[u8]) -> Vec<u8> {
        match decode::<X224<McsMessage<'_>>>(pdu).unwrap().0 {
            McsMessage::SendDataIndication(data) => {
                assert_eq!((data.initiator_id, data.channel_id), (SERVER_CHANNEL, IO_CHANNEL));
                data.user_data.into_owned()
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn set_error_info_has_its_headers_and_code() {
        let body = body(&set_error_info(EndReason::TakenOver));
        assert_eq!(
            body,
            [
                22, 0, 0x17, 0, 0xea, 3, 0, 0, 0, 0, // share control: 22 bytes, data PDU, from 1002
                0, 1, 4, 0, 0x2f, 0, 0, 0, // share data: low priority, Set Error Info
                5, 0, 0, 0
            ]
        );
    }

    #[test]
    fn every_reason_has_the_code_its_comment_says() {
        let codes = [
            (EndReason::Disconnected, 1),
            (EndReason::Terminated, 2),
            (EndReason::IdleTimeout, 3),
            (EndReason::LogonTimeout, 4),
            (EndReason::TakenOver, 5),
            (EndReason::Denied, 7),
            (EndReason::InsufficientPrivileges, 9),
            (EndReason::DisconnectedByUser, 0xb),
            (EndReason::LoggedOut, 0xc),
            (EndReason::Crashed, 0x10),
            (EndReason::Shutdown, 0x19),
        ];
        for (reason, code) in codes {
            assert_eq!(body(&set_error_info(reason))[18], code, "{reason:?}");
        }
    }

    #[test]
    fn deactivate_all_and_the_ultimatum_are_what_the_specification_shows() {
        assert_eq!(body(&deactivate_all()), [13, 0, 0x16, 0, 0xea, 3, 0, 0, 0, 0, 1, 0, 0]);
        assert_eq!(disconnect_ultimatum(), [3, 0, 0, 9, 2, 0xf0, 0x80, 0x20, 0x80]);
        assert!(is_disconnect_ultimatum(&disconnect_ultimatum()));
        assert!(is_disconnect_ultimatum(&[3, 0, 0, 9, 2, 0xf0, 0x80, 0x21, 0x80]));
        assert!(!is_disconnect_ultimatum(&deactivate_all()));
        assert!(!is_disconnect_ultimatum(&[]));
    }
}
