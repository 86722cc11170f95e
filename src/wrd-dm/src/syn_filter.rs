//! A filter of the kernel's (classic BPF, `SO_ATTACH_FILTER`) on a listening socket, which drops the first packet of
//! every connection from some networks: nothing of it reaches this process, and its client is told nothing.
//!
//! Always true: it looks at the packets that begin a connection and at no others, so no connection that is there is ever
//! touched; without networks there is no filter.

use ipnet::IpNet;
use nix::libc::{
    BPF_ABS, BPF_ALU, BPF_AND, BPF_B, BPF_JA, BPF_JEQ, BPF_JMP, BPF_K, BPF_LD, BPF_MEM, BPF_RET, BPF_RSH, BPF_ST,
    BPF_W, SKF_NET_OFF,
};
use socket2::{SockFilter, SockRef};
use std::io;
use std::net::{IpAddr, TcpListener};
use std::os::fd::AsFd;

/// Has new connections from these networks dropped, and from no others.
///
/// Fails without `CAP_NET_ADMIN` where the kernel is new (6.18.44 is), and where it has no room for so many
/// (`net.core.optmem_max`); nobody is dropped then.
pub fn set(listener: &TcpListener, networks: &[IpNet]) -> io::Result<()> {
    if networks.is_empty() {
        clear(listener);
        return Ok(());
    }
    let (socket, program) = (SockRef::from(listener), program(networks));
    socket.attach_filter(&program).or_else(|_| {
        // There may be no room for the old one beside it.
        clear(listener);
        socket.attach_filter(&program)
    })
}

/// Takes the filter off, if there is one.
pub fn clear(socket: &impl AsFd) {
    // That there is none is the only way for this to fail.
    let _ = SockRef::from(socket).detach_filter();
}

/// The kernel begins with the TCP header at offset 0, and the IP header at [`SKF_NET_OFF`].
fn program(networks: &[IpNet]) -> Vec<SockFilter> {
    let entries = |v4| networks.iter().filter(move |network| network.addr().is_ipv4() == v4).flat_map(entry);
    let mut four = Vec::from(keep_word(SOURCE_V4, 0));
    four.extend(entries(true));
    four.push(KEEP);
    let mut six: Vec<_> = (0..4).flat_map(|word| keep_word(SOURCE_V6 + 4 * word, word)).collect();
    six.extend(entries(false));
    six.push(KEEP);
    let over_four = u32::try_from(four.len()).unwrap_or(u32::MAX);
    let start = [
        step(BPF_LD | BPF_B | BPF_ABS, TCP_FLAGS),
        step(BPF_ALU | BPF_AND | BPF_K, SYN | ACK),
        jump_if(SYN, 1, 0),
        KEEP,
        step(BPF_LD | BPF_B | BPF_ABS, IP_HEADER),
        step(BPF_ALU | BPF_RSH | BPF_K, 4),
        jump_if(4, 1, 0),
        step(BPF_JMP | BPF_JA, over_four),
    ];
    start.into_iter().chain(four).chain(six).collect()
}

/// Drops what comes from one network, and goes on behind itself with everything else.
fn entry(network: &IpNet) -> Vec<SockFilter> {
    let (address, bits) = match network.trunc().addr() {
        IpAddr::V4(address) => (vec![address.to_bits()], network.prefix_len()),
        IpAddr::V6(address) => {
            let bits = address.to_bits();
            ([96, 64, 32, 0].map(|shift| (bits >> shift) as u32).to_vec(), network.prefix_len())
        }
    };
    let mut steps = vec![DROP];
    // From its end, as every word that differs leads there.
    for (index, word) in address.iter().enumerate().rev() {
        let significant = u32::from(bits).saturating_sub(32 * index as u32).min(32);
        if significant == 0 {
            continue;
        }
        let rest = u8::try_from(steps.len()).unwrap_or(u8::MAX);
        steps.insert(0, jump_if(*word, 0, rest));
        if significant < 32 {
            steps.insert(0, step(BPF_ALU | BPF_AND | BPF_K, u32::MAX << (32 - significant)));
        }
        steps.insert(0, step(BPF_LD | BPF_W | BPF_MEM, index as u32));
    }
    steps
}

/// Keeps a word of the packet for the entries.
const fn keep_word(offset: u32, slot: u32) -> [SockFilter; 2] {
    [step(BPF_LD | BPF_W | BPF_ABS, offset), step(BPF_ST, slot)]
}

const fn step(code: u32, operand: u32) -> SockFilter {
    SockFilter::new(code as u16, 0, 0, operand)
}

/// So many steps further where the word at hand is this one, or where it is not.
const fn jump_if(word: u32, same: u8, other: u8) -> SockFilter {
    SockFilter::new((BPF_JMP | BPF_JEQ | BPF_K) as u16, same, other, word)
}

const KEEP: SockFilter = step(BPF_RET | BPF_K, u32::MAX);
const DROP: SockFilter = step(BPF_RET | BPF_K, 0);
const IP_HEADER: u32 = SKF_NET_OFF as u32;
const SOURCE_V4: u32 = IP_HEADER + 12;
const SOURCE_V6: u32 = IP_HEADER + 8;
const TCP_FLAGS: u32 = 13;
const SYN: u32 = 0x02;
const ACK: u32 = 0x10;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use socket2::{Domain, SockAddr, Socket, Type};
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpStream};
    use std::time::Duration;

    /// None where the kernel lets only an administrator of the network do what is to be tested.
    fn listen(address: &str) -> Option<TcpListener> {
        let listener = TcpListener::bind(address).unwrap();
        match set(&listener, &networks(&["192.0.2.1/32"])) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                println!("left out: {error}");
                None
            }
            _ => Some(listener),
        }
    }

    /// Begins a connection. On the loopback the kernel has dealt with it when this returns.
    fn begin(source: &str, to: SocketAddr) -> Socket {
        let socket = Socket::new(Domain::for_address(to), Type::STREAM, None).unwrap();
        let source: IpAddr = source.parse().unwrap();
        socket.bind(&SocketAddr::new(source, 0).into()).unwrap();
        socket.set_nonblocking(true).unwrap();
        let _ = socket.connect(&SockAddr::from(to));
        socket
    }

    fn is_dropped(source: &str, to: SocketAddr) -> bool {
        begin(source, to).peer_addr().is_err()
    }

    fn networks(of: &[&str]) -> Vec<IpNet> {
        of.iter().map(|network| network.parse().unwrap()).collect()
    }

    #[test]
    fn connections_of_these_networks_are_dropped_and_of_no_others() {
        let Some(listener) = listen("127.0.0.1:0") else { return };
        let to = listener.local_addr().unwrap();
        set(&listener, &networks(&["127.0.0.2/32", "127.8.0.0/13", "2001:db8::/64"])).unwrap();
        let from = ["127.0.0.1", "127.0.0.2", "127.0.0.3", "127.7.255.255", "127.8.0.0", "127.15.1.2", "127.16.0.0"];
        let dropped = from.map(|source| is_dropped(source, to));
        assert_eq!(dropped, [false, true, false, false, true, true, false]);
        set(&listener, &networks(&["127.0.0.3/32"])).unwrap();
        assert!(!is_dropped("127.0.0.2", to) && is_dropped("127.0.0.3", to));
        set(&listener, &[]).unwrap();
        assert!(!is_dropped("127.0.0.3", to));
    }

    #[test]
    fn every_word_of_an_ipv6_network_counts() {
        let Some(listener) = listen("[::1]:0") else { return };
        let to = listener.local_addr().unwrap();
        for (network, dropped) in [
            ("::1/128", true),
            ("::/64", true),
            ("::/127", true),
            ("::/16", true),
            ("::2/128", false),
            ("0:0:1::/48", false),
            ("0:0:0:1::/64", false),
            ("::1:0:0/96", false),
            ("8000::/17", false),
            ("0.0.0.0/8", false),
        ] {
            set(&listener, &networks(&[network])).unwrap();
            assert_eq!(is_dropped("::1", to), dropped, "{network}");
        }
    }

    #[test]
    fn who_is_connected_stays_so_and_who_was_dropped_comes_through_at_the_next_try() {
        let Some(listener) = listen("[::]:0") else { return };
        let to = SocketAddr::new("127.0.0.1".parse().unwrap(), listener.local_addr().unwrap().port());
        let mut there: TcpStream = begin("127.0.0.9", to).into();
        there.set_nonblocking(false).unwrap();
        let (mut accepted, address) = listener.accept().unwrap();
        assert_eq!(address.ip().to_canonical().to_string(), "127.0.0.9");
        set(&listener, &networks(&["127.0.0.9/32"])).unwrap();
        let late = begin("127.0.0.9", to);
        assert!(late.peer_addr().is_err());
        there.write_all(b"hello").unwrap();
        accepted.read_exact(&mut [0; 5]).unwrap();
        clear(&listener);
        // The kernel tries again after a second.
        let (_again, _) = listener.accept().unwrap();
        late.set_nonblocking(false).unwrap();
        assert!(late.peer_addr().is_ok());
    }

    #[test]
    fn what_is_accepted_can_be_freed_of_it() {
        let Some(listener) = listen("127.0.0.1:0") else { return };
        set(&listener, &networks(&["127.0.0.2/32"])).unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        clear(&accepted);
        assert!(SockRef::from(&accepted).detach_filter().is_err(), "it was there still");
        SockRef::from(&listener).detach_filter().expect("it is there no more");
    }

    #[test]
    fn there_is_room_for_as_many_as_admission_drops() {
        let Some(listener) = listen("127.0.0.1:0") else { return };
        let many = |first: u128| {
            (0..crate::admission::MOST_DROPPED as u128)
                .map(move |n| IpNet::from(IpAddr::V6((first + (n << 64)).into())))
        };
        let wide: Vec<_> = many(0xfd00 << 112).collect();
        set(&listener, &wide).expect("whole addresses of IPv6");
        let _client = TcpStream::connect_timeout(&listener.local_addr().unwrap(), Duration::from_secs(9)).unwrap();
        let odd: Vec<_> = many(0xfd00 << 112).map(|net| IpNet::new(net.addr(), 63).unwrap()).collect();
        set(&listener, &odd).expect("networks that end within a word");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn the_kernel_and_ipnet_agree(
            of in prop::collection::vec((any::<u32>(), 9u8..=32), 1..40), source in any::<u32>(), pick in any::<prop::sample::Index>()
        ) {
            let loopback = |bits: u32| IpAddr::from((127 << 24 | bits >> 8).to_be_bytes());
            let mut of: Vec<IpNet> = of.into_iter().map(|(bits, len)| IpNet::new(loopback(bits), len).unwrap()).collect();
            // Most sources would be of none of them.
            let near = pick.get(&of).addr();
            of.rotate_left(1);
            let Some(listener) = listen("127.0.0.1:0") else { return Ok(()) };
            set(&listener, &of).unwrap();
            for source in [loopback(source), near] {
                let expected = of.iter().any(|network| network.contains(&source));
                prop_assert_eq!(is_dropped(&source.to_string(), listener.local_addr().unwrap()), expected, "{}", source);
            }
        }
    }
}
