//! Cookies: putting any into a Client Info PDU, and finding the server's.

use ironrdp_core::{decode, encode_vec};
use ironrdp_pdu::mcs::{McsMessage, SendDataRequest};
use ironrdp_pdu::rdp::ClientInfoPdu;
use ironrdp_pdu::rdp::client_info::ExtendedClientOptionalInfo;
use ironrdp_pdu::rdp::headers::{ShareControlHeader, ShareControlPdu, ShareDataPdu};
use ironrdp_pdu::rdp::session_info::InfoData;
use ironrdp_pdu::x224::X224;
use std::borrow::Cow;

pub use ironrdp_pdu::rdp::client_info::ClientAutoReconnect;

/// What a client presents.
pub type Packet = [u8; 28];

/// The cookie that a client makes up.
pub fn forged(logon_id: u32, security_verifier: [u8; 16]) -> Packet {
    ClientAutoReconnect { logon_id, security_verifier }.to_bytes()
}

/// A Client Info PDU with this cookie in it.
pub fn with_cookie(client_info: &[u8], cookie: Packet) -> Vec<u8> {
    let request = decode::<X224<SendDataRequest<'_>>>(client_info).unwrap().0;
    let mut info = decode::<ClientInfoPdu>(&request.user_data).unwrap();
    let before = &info.client_info.extra_info.optional_data;
    info.client_info.extra_info.optional_data = ExtendedClientOptionalInfo::builder()
        .timezone(before.timezone().cloned().unwrap_or_default())
        .session_id(before.session_id().unwrap_or_default())
        .performance_flags(before.performance_flags().unwrap_or_default())
        .reconnect_cookie(cookie)
        .build();
    let user_data = Cow::Owned(encode_vec(&info).unwrap());
    encode_vec(&X224(SendDataRequest { user_data, ..request })).unwrap()
}

/// What a client presents when it comes back, if this PDU of the server's is the one that says so.
pub fn cookie_in(pdu: &[u8]) -> Option<Packet> {
    let Ok(X224(McsMessage::SendDataIndication(data))) = decode::<X224<McsMessage<'_>>>(pdu) else { return None };
    let header = decode::<ShareControlHeader>(&data.user_data).ok()?;
    let ShareControlPdu::Data(header) = header.share_control_pdu else { return None };
    let ShareDataPdu::SaveSessionInfo(info) = header.share_data_pdu else { return None };
    let InfoData::LogonExtended(info) = info.info_data else { return None };
    Some(ClientAutoReconnect::from_server_cookie(&info.auto_reconnect?).to_bytes())
}
