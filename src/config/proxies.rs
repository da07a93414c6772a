//! The reverse proxies whose word is taken on who asks: only what a configured one says in `X-Forwarded-For` counts, for
//! anybody can write that header.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use crate::domain::Unfit;

/// Addresses with the same beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    bits: u32,
}

/// The configured proxies.
#[derive(Clone, Debug, Default)]
pub struct Proxies(Vec<Network>);

impl Proxies {
    /// Adds an address, or a network such as `10.0.0.0/8`.
    pub fn add(&mut self, text: &str) -> Result<(), Unfit> {
        self.0.push(Network::parse(text)?);
        Ok(())
    }

    /// Who asks: the connection's own address, or whom the last proxy on the way saw. `forwarded` are the header's lines.
    pub fn asks<'a>(&self, peer: IpAddr, forwarded: impl DoubleEndedIterator<Item = &'a str>) -> IpAddr {
        let mut asks = peer.to_canonical();
        // Each proxy adds whom it saw at the end; what stands before a stranger's word is the stranger's invention.
        let mut seen = forwarded.rev().flat_map(|line| line.rsplit(','));
        while self.0.iter().any(|it| it.holds(asks)) {
            let Some(before) = seen.next().and_then(|it| address(it.trim())) else { break };
            asks = before.to_canonical();
        }
        asks
    }
}

/// The source that an address is counted as: whoever has one address of IPv6 has 2^64 of them.
pub fn source_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(it) => Ipv6Addr::from_bits(it.to_bits() >> 64 << 64).into(),
        it @ IpAddr::V4(_) => it,
    }
}

/// Some proxies write the port, too.
fn address(text: &str) -> Option<IpAddr> {
    let with_port = || text.parse::<SocketAddr>().ok().map(|it| it.ip());
    text.parse().ok().or_else(with_port)
}

impl Network {
    fn parse(text: &str) -> Result<Self, Unfit> {
        let found = || text.chars().take(80).collect();
        let unfit =
            || Unfit { expected: "an address or a network, such as `10.1.2.3` or `10.0.0.0/8`", found: found() };
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().map_err(|_| unfit())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(most), str::parse).ok().filter(|bits| *bits <= most).ok_or_else(unfit)?;
        Ok(Self { address, bits })
    }

    fn holds(self, other: IpAddr) -> bool {
        let apart = match (self.address, other) {
            (IpAddr::V4(own), IpAddr::V4(other)) => (own.to_bits() ^ other.to_bits()).leading_zeros(),
            (IpAddr::V6(own), IpAddr::V6(other)) => (own.to_bits() ^ other.to_bits()).leading_zeros(),
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => return false,
        };
        apart >= self.bits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asks(proxies: &[&str], peer: &str, forwarded: &[&str]) -> String {
        let mut known = Proxies::default();
        proxies.iter().for_each(|it| known.add(it).unwrap());
        known.asks(peer.parse().unwrap(), forwarded.iter().copied()).to_string()
    }

    #[test]
    fn only_a_configured_proxy_is_believed() {
        let proxies = ["127.0.0.1", "10.0.0.0/8", "fd00::/8"];
        assert_eq!(asks(&[], "127.0.0.1", &["203.0.113.9"]), "127.0.0.1");
        assert_eq!(asks(&proxies, "203.0.113.1", &["203.0.113.9"]), "203.0.113.1");
        assert_eq!(asks(&proxies, "127.0.0.1", &["203.0.113.9"]), "203.0.113.9");
        assert_eq!(asks(&proxies, "127.0.0.1", &["6.6.6.6, 203.0.113.9"]), "203.0.113.9", "what it invents");
        assert_eq!(asks(&proxies, "127.0.0.1", &["6.6.6.6", "203.0.113.9, 10.1.2.3"]), "203.0.113.9");
        assert_eq!(asks(&proxies, "::ffff:127.0.0.1", &["[2001:db8::1]:443"]), "2001:db8::1");
        assert_eq!(asks(&proxies, "127.0.0.1", &["unknown"]), "127.0.0.1");
        assert_eq!(asks(&proxies, "fd12::1", &[]), "fd12::1");
    }

    #[test]
    fn one_network_of_ipv6_is_one_source_and_mapped_addresses_are_what_they_are_underneath() {
        let source = |text: &str| source_of(text.parse().unwrap());
        assert_eq!(source("2001:db8:1:2::1"), source("2001:db8:1:2:ffff::9"));
        assert_ne!(source("2001:db8:1:2::1"), source("2001:db8:1:3::1"));
        assert_eq!(source("::ffff:192.0.2.1").to_string(), "192.0.2.1");
    }

    #[test]
    fn networks_are_read_or_refused() {
        for wrong in ["", "proxy", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/x", "::/129", "/8"] {
            assert!(Network::parse(wrong).is_err(), "{wrong}");
        }
        let all = Network::parse("0.0.0.0/0").unwrap();
        assert!(all.holds("8.8.8.8".parse().unwrap()) && !all.holds("::1".parse().unwrap()));
        let half = Network::parse("192.168.128.0/17").unwrap();
        assert!(half.holds("192.168.200.1".parse().unwrap()) && !half.holds("192.168.100.1".parse().unwrap()));
    }
}
