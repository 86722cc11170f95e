//! Where the length fields of a client's PDUs stand, and what hostile values they can be given.
//!
//! It knows the layouts that a good client of ours sends and looks no further: what it is given was recorded
//! from one, and which fields were found is told, for the tests to miss those that were not. Every variant is one PDU
//! whose envelope (TPKT) is right, unless the envelope is what is attacked.

/// One PDU gone bad, and what is bad about it.
pub struct Variant {
    /// The length field that lies.
    pub field: String,
    /// Where it is, and what it says.
    pub value: String,
    pub bytes: Vec<u8>,
}

/// Every length field of a PDU, with every hostile value that fits there.
pub fn variants(pdu: &[u8]) -> Vec<Variant> {
    let mut out = Out { pdu, variants: Vec::new() };
    match pdu.first() {
        Some(3) => out.in_tpkt(),
        // TSRequest.
        Some(0x30) => {
            out.der_tree("credssp-der", 0, pdu.len());
            out.ntlm();
        }
        _ => {}
    }
    out.variants
}

struct Out<'a> {
    pdu: &'a [u8],
    variants: Vec<Variant>,
}

impl Out<'_> {
    fn u16(&self, at: usize) -> usize {
        self.pdu.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |two| usize::from(u16::from_le_bytes(*two)))
    }

    /// Replaces `old` bytes at `at` by each of `values`; the envelope grows with it.
    fn replace(&mut self, name: &str, at: usize, old: usize, values: &[&[u8]]) {
        for value in values {
            let (Some(head), Some(tail)) = (self.pdu.get(..at), self.pdu.get(at + old..)) else { return };
            let mut bytes = [head, value, tail].concat();
            if self.pdu.first() == Some(&3) && at >= 4 && bytes.len() != self.pdu.len() {
                set_tpkt(&mut bytes);
            }
            if bytes != self.pdu {
                let value = format!("at {at}: {value:02x?}");
                self.variants.push(Variant { field: name.to_owned(), value, bytes });
            }
        }
    }

    fn byte(&mut self, name: &str, at: usize) {
        self.replace(name, at, 1, &[&[0], &[1], &[0x7f], &[0x80], &[0xff]]);
    }

    fn be16(&mut self, name: &str, at: usize) {
        self.replace(name, at, 2, &[&[0, 0], &[0, 1], &[0, 6], &[0, 7], &[0x7f, 0xff], &[0x80, 0], &[0xff, 0xff]]);
    }

    fn le16(&mut self, name: &str, at: usize) {
        self.replace(
            name,
            at,
            2,
            &[&[0, 0], &[1, 0], &[3, 0], &[0xff, 0x7f], &[0, 0x80], &[0xfe, 0xff], &[0xff, 0xff]],
        );
    }

    /// 10 MB, -1, the largest positive, and a few that are small.
    fn le32(&mut self, name: &str, at: usize) {
        let values = [0, 1, 32, 10_000_000, i32::MAX as u32, u32::MAX].map(u32::to_le_bytes);
        self.replace(name, at, 4, &values.each_ref().map(<[u8; 4]>::as_slice));
    }

    /// ASN.1 BER, definite, indefinite and reserved forms.
    fn ber(&mut self, name: &str, at: usize, old: usize) {
        let ten_mb: &[u8] = &[0x84, 0x00, 0x98, 0x96, 0x80];
        let minus_one: &[u8] = &[0x84, 0xff, 0xff, 0xff, 0xff];
        let huge: &[u8] = &[0x88, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
        self.replace(name, at, old, &[&[0], &[0x7f], &[0x80], &[0x82, 0xff, 0xff], ten_mb, minus_one, huge, &[0xff]]);
    }

    /// ASN.1 PER: one byte, two bytes, fragments.
    fn per(&mut self, name: &str, at: usize, old: usize) {
        self.replace(name, at, old, &[&[0], &[0x7f], &[0xbf, 0xff], &[0xc4], &[0xff, 0xff]]);
    }

    fn in_tpkt(&mut self) {
        self.be16("tpkt", 2);
        self.byte("x224", 4);
        match self.pdu.get(5) {
            // Connection request: RDP_NEG_REQ is its end.
            Some(0xe0) => self.le16("negotiation", self.pdu.len() - 6),
            Some(0xf0) => self.mcs(),
            _ => {}
        }
    }

    fn mcs(&mut self) {
        match self.pdu.get(7) {
            // T.125 Connect-Initial, [APPLICATION 101].
            Some(0x7f) => {
                self.der_tree("ber", 7, self.pdu.len());
                self.gcc();
            }
            Some(0x64) => {
                let size = per_size(self.pdu, 13);
                self.per("mcs-data", 13, size);
                self.user_data(13 + size);
            }
            _ => {}
        }
    }

    /// The lengths of everything from `at` on, and of what is in it.
    fn der_tree(&mut self, name: &str, mut at: usize, end: usize) {
        while at < end {
            let Some(&tag) = self.pdu.get(at) else { return };
            let length_at = if tag & 0x1f == 0x1f { at + 2 } else { at + 1 };
            let Some(&first) = self.pdu.get(length_at) else { return };
            let more = if first & 0x80 == 0 { 0 } else { usize::from(first & 0x7f) };
            let value = match more {
                0 => usize::from(first),
                _ => {
                    self.pdu.iter().skip(length_at + 1).take(more).fold(0, |sum, byte| (sum << 8) | usize::from(*byte))
                }
            };
            self.ber(name, length_at, 1 + more);
            let inside = length_at + 1 + more;
            if tag & 0x20 != 0 {
                self.der_tree(name, inside, inside + value);
            } else if tag == 4 && matches!(self.pdu.get(inside), Some(0x60 | 0xa1)) {
                // SPNEGO's token, in the octets of TSRequest's.
                self.der_tree("spnego-der", inside, inside + value);
            }
            at = inside + value;
        }
    }

    /// T.124 ConferenceCreateRequest, and the blocks in it (MS-RDPBCGR 2.2.1.3).
    fn gcc(&mut self) {
        let find = |what: &[u8]| self.pdu.windows(what.len()).position(|window| window == what);
        let Some(connect) = find(&[0x00, 0x05, 0x00, 0x14, 0x7c, 0x00, 0x01]).map(|at| at + 7) else { return };
        let Some(user_data) = find(b"Duca").map(|at| at + 4) else { return };
        self.per("gcc-connect", connect, per_size(self.pdu, connect));
        let size = per_size(self.pdu, user_data);
        self.per("gcc-user-data", user_data, size);
        let mut at = user_data + size;
        while at + 4 <= self.pdu.len() {
            let (kind, length) = (self.u16(at), self.u16(at + 2));
            self.le16(&format!("gcc-block-{kind:x}"), at + 2);
            if kind == 0xc003 {
                self.le32("channel-count", at + 4);
            }
            at += length.max(4);
        }
    }

    /// The fields of NEGOTIATE_MESSAGE and AUTHENTICATE_MESSAGE (MS-NLMP 2.2.1), each with two lengths and an offset.
    fn ntlm(&mut self) {
        const SIGNATURE: &[u8] = b"NTLMSSP\0";
        let Some(message) = self.pdu.windows(8).position(|window| window == SIGNATURE) else { return };
        let fields: &[(&str, usize)] = match self.u16(message + 8) {
            1 => &[("domain", 16), ("workstation", 24)],
            3 => &[("lm", 12), ("nt", 20), ("domain", 28), ("user", 36), ("workstation", 44), ("key", 52)],
            _ => &[],
        };
        for (name, at) in fields {
            self.le16(&format!("ntlm-{name}-length"), message + at);
            self.le16(&format!("ntlm-{name}-max-length"), message + at + 2);
            self.le32(&format!("ntlm-{name}-offset"), message + at + 4);
        }
        if self.u16(message + 8) == 3 {
            // The AV_PAIRs of NTLMv2_CLIENT_CHALLENGE (2.2.2.7), up to MsvAvEOL.
            let mut pair = message + self.u16(message + 24) + 16 + 28;
            while pair + 4 <= self.pdu.len() && self.u16(pair) != 0 {
                self.le16("ntlm-pair", pair + 2);
                pair += 4 + self.u16(pair + 2);
            }
        }
    }

    fn user_data(&mut self, at: usize) {
        match (self.u16(at + 2), self.pdu.get(at + 2).map(|kind| kind & 0xf)) {
            // A security header's second half; the share control's is its kind and version.
            (0, _) => self.client_info(at + 4),
            (_, Some(3)) => self.confirm_active(at),
            (_, Some(7)) => {
                self.le16("share-control", at);
                self.le16("share-data-plain", at + 12);
                self.le16("share-data-packed", at + 16);
            }
            _ => {}
        }
    }

    /// TS_INFO_PACKET and TS_EXTENDED_INFO_PACKET (MS-RDPBCGR 2.2.1.11.1.1).
    fn client_info(&mut self, at: usize) {
        let mut strings = at + 18;
        for (index, name) in ["domain", "user", "password", "shell", "folder"].iter().enumerate() {
            let length_at = at + 8 + 2 * index;
            self.le16(&format!("info-{name}"), length_at);
            strings += self.u16(length_at) + 2;
        }
        self.le16("info-address", strings + 2);
        let folder = strings + 4 + self.u16(strings + 2);
        self.le16("info-client-folder", folder);
        // TS_TIME_ZONE_INFORMATION, session id, performance flags.
        let cookie = folder + 2 + self.u16(folder) + 172 + 8;
        self.le16("info-cookie", cookie);
        // Its own, of ARC_CS_PRIVATE_PACKET (2.2.4.3).
        self.le32("cookie-packet", cookie + 2);
    }

    /// TS_CONFIRM_ACTIVE_PDU (MS-RDPBCGR 2.2.1.13.2.1).
    fn confirm_active(&mut self, at: usize) {
        self.le16("share-control", at);
        self.le16("source-descriptor", at + 12);
        self.le16("combined-capabilities", at + 14);
        let count = at + 16 + self.u16(at + 12);
        self.le16("capability-count", count);
        let mut set = count + 4;
        while set + 4 <= self.pdu.len() {
            let (kind, length) = (self.u16(set), self.u16(set + 2));
            self.le16(&format!("capability-{kind}"), set + 2);
            set += length.max(4);
        }
    }
}

/// How many bytes a PER length takes.
fn per_size(pdu: &[u8], at: usize) -> usize {
    if pdu.get(at).is_some_and(|first| first & 0x80 != 0) { 2 } else { 1 }
}

/// Makes the envelope as long as it is.
pub fn set_tpkt(pdu: &mut [u8]) {
    let length = u16::try_from(pdu.len()).unwrap_or(u16::MAX).to_be_bytes();
    if let Some(field) = pdu.get_mut(2..4) {
        field.copy_from_slice(&length);
    }
}

/// A PDU of the MCS domain, in its envelope.
pub fn in_tpkt(mcs: &[u8]) -> Vec<u8> {
    let mut pdu = [&[3, 0, 0, 0, 2, 0xf0, 0x80], mcs].concat();
    set_tpkt(&mut pdu);
    pdu
}

/// Data on a channel, as the first user (MCS Send Data Request).
pub fn on_channel(channel: u16, data: &[u8]) -> Vec<u8> {
    let mut mcs = vec![0x64, 0, 2];
    mcs.extend(channel.to_be_bytes());
    mcs.push(0x70);
    mcs.extend((0x8000 | data.len() as u16).to_be_bytes());
    mcs.extend(data);
    in_tpkt(&mcs)
}
