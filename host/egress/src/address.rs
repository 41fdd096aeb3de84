//! Which addresses may be connected to. The only place that knows.
//!
//! Public means: on no list of special-purpose addresses (IANA), and not a cloud's metadata service. An IPv6 address
//! that stands for an IPv4 one is judged as that.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How far a request may reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Reach {
    /// Public addresses only.
    Public,
    /// This machine only: `127.0.0.0/8` and `::1`.
    Loopback,
}

impl Reach {
    pub(crate) fn allows(self, address: IpAddr) -> bool {
        match (self, address) {
            (Self::Public, IpAddr::V4(address)) => is_public_v4(address),
            (Self::Public, IpAddr::V6(address)) => is_public_v6(address),
            (Self::Loopback, address) => address.is_loopback(),
        }
    }
}

/// IPv4 blocks that are not public: network and prefix length.
const SPECIAL_V4: [([u8; 4], u32); 17] = [
    ([0, 0, 0, 0], 8),          // This network; 0.0.0.0 reaches this machine.
    ([10, 0, 0, 0], 8),         // Private.
    ([100, 64, 0, 0], 10),      // Carrier-grade NAT; Alibaba's metadata service.
    ([127, 0, 0, 0], 8),        // Loopback.
    ([168, 63, 129, 16], 32),   // Azure's host agent.
    ([169, 254, 0, 0], 16),     // Link-local; the metadata service of most clouds.
    ([172, 16, 0, 0], 12),      // Private.
    ([192, 0, 0, 0], 24),       // Protocol assignments; Oracle's metadata service.
    ([192, 0, 2, 0], 24),       // Documentation.
    ([192, 88, 99, 0], 24),     // 6to4 relays.
    ([192, 168, 0, 0], 16),     // Private.
    ([198, 18, 0, 0], 15),      // Benchmarks.
    ([198, 51, 100, 0], 24),    // Documentation.
    ([203, 0, 113, 0], 24),     // Documentation.
    ([224, 0, 0, 0], 4),        // Multicast.
    ([240, 0, 0, 0], 4),        // Reserved.
    ([255, 255, 255, 255], 32), // Broadcast.
];

fn is_public_v4(address: Ipv4Addr) -> bool {
    let bits = address.to_bits();
    SPECIAL_V4.iter().all(|(network, length)| {
        let network = Ipv4Addr::from(*network).to_bits();
        (bits ^ network) >> (32 - length) != 0
    })
}

/// Global unicast, as far as it was given out.
const GLOBAL_V6: (u128, u32) = (0x2000 << 112, 3);

/// IPv6 blocks within it that are not public.
const SPECIAL_V6: [(u128, u32); 4] = [
    (0x2001 << 112, 23),     // Protocol assignments: Teredo, ORCHID, benchmarks.
    (0x2001_0db8 << 96, 32), // Documentation.
    (0x2002 << 112, 16),     // 6to4: an IPv4 address in disguise.
    (0x3fff << 112, 20),     // Documentation.
];

/// The IPv4 internet as IPv6-only networks see it (NAT64).
const NAT64: (u128, u32) = (0x0064_ff9b << 96, 96);

fn is_public_v6(address: Ipv6Addr) -> bool {
    let bits = address.to_bits();
    let within = |(network, length): (u128, u32)| (bits ^ network) >> (128 - length) == 0;
    if let Some(mapped) = address.to_ipv4_mapped() {
        return is_public_v4(mapped);
    }
    if within(NAT64) {
        let [.., a, b, c, d] = address.octets();
        return is_public_v4(Ipv4Addr::new(a, b, c, d));
    }
    within(GLOBAL_V6) && !SPECIAL_V6.into_iter().any(within)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// First and last address of every block that is not public, and disguises of them.
    const NOT_PUBLIC: &str = "
        0.0.0.0 0.0.0.1 0.255.255.255 10.0.0.0 10.255.255.255 100.64.0.0 100.100.100.200 100.127.255.255
        127.0.0.0 127.0.0.1 127.255.255.255 168.63.129.16 169.254.0.0 169.254.169.254 169.254.255.255
        172.16.0.0 172.31.255.255 192.0.0.0 192.0.0.192 192.0.0.255 192.0.2.0 192.0.2.255 192.88.99.1
        192.168.0.0 192.168.255.255 198.18.0.0 198.19.255.255 198.51.100.0 198.51.100.255 203.0.113.0
        203.0.113.255 224.0.0.0 239.255.255.255 240.0.0.0 255.255.255.254 255.255.255.255
        :: ::1 ::127.0.0.1 ::8.8.8.8 ::ffff:0.0.0.0 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254
        ::ffff:192.168.1.1 ::ffff:7f00:1 ::ffff:0:127.0.0.1 64:ff9b::127.0.0.1 64:ff9b::10.1.2.3
        64:ff9b::a9fe:a9fe 64:ff9b::1:0:808:808 64:ff9b:1::8.8.8.8 100::1 100:0:0:1::1
        2001::1 2001:0:53aa:64c:0:7f00:1:1 2001:1::1 2001:2::1 2001:10::1 2001:20::1 2001:1ff:ffff::1
        2001:db8::1 2001:db8:ffff::1 2002:7f00:1:: 2002:a9fe:a9fe::1 2002:808:808::1 3fff::1 3fff:fff::1
        4000::1 5f00::1 fc00::1 fd00:ec2::254 fdff::1 fe80::1 febf::1 fec0::1 ff00::1 ff02::1 ffff::1";

    /// Neighbours of those blocks, and what people really use.
    const PUBLIC: &str = "
        1.0.0.0 1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0
        168.63.129.15 168.63.129.17 169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 191.255.255.255
        192.0.1.0 192.0.3.0 192.88.98.255 192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0 203.0.112.255
        203.0.114.0 223.255.255.255 ::ffff:8.8.8.8 64:ff9b::8.8.8.8 2000::1 2001:200::1 2001:db7::1
        2001:db9::1 2001:4860:4860::8888 2003::1 2606:4700:4700::1111 2a09:8280:1::1 3ffe::1 3fff:1000::1";

    fn addresses(text: &str) -> impl Iterator<Item = IpAddr> {
        text.split_whitespace().map(|word| word.parse().unwrap_or_else(|_| panic!("{word}")))
    }

    #[test]
    fn public_reach_is_public_addresses_only() {
        for address in addresses(NOT_PUBLIC) {
            assert!(!Reach::Public.allows(address), "{address}");
        }
        for address in addresses(PUBLIC) {
            assert!(Reach::Public.allows(address), "{address}");
        }
    }

    #[test]
    fn loopback_reach_is_this_machine_only() {
        for address in addresses("127.0.0.0 127.0.0.1 127.255.255.255 ::1") {
            assert!(Reach::Loopback.allows(address), "{address}");
        }
        let refused = addresses(NOT_PUBLIC).filter(|address| !address.is_loopback());
        for address in refused.chain(addresses(PUBLIC)) {
            assert!(!Reach::Loopback.allows(address), "{address}");
        }
    }
}
