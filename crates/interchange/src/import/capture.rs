//! Captures of packets (pcap, pcapng), as tcpdump, Wireshark and routers write them. Exchanges of
//! HTTP/1 and the handshakes of TLS become flows; everything else is a flow named from the port
//! table.
//!
//! What is held is bounded: of a connection the head and the kept bodies of what is under way,
//! of all of them a number; the longest silent one ends first.

mod connection;
mod http;
mod stream;

use std::collections::HashMap;
use std::io::Read;
use std::net::{IpAddr, SocketAddr};

use consoletap_flow::Timestamp;
use etherparse::{LaxNetSlice, LaxSlicedPacket, TransportSlice};
use pcap_parser::traits::PcapNGPacketBlock as _;
use pcap_parser::{Block, Linktype, PcapBlockOwned, PcapError, create_reader};

use super::{Broken, Import, moment};
use connection::{Connection, Direction, Segment};

/// The largest block that is read: packets are at most 256 KiB, but comments may be longer.
const LARGEST_BLOCK: usize = 16 << 20;
/// So many connections are followed at a time.
const MOST_CONNECTIONS: usize = 4096;

pub(super) fn read(reader: impl Read + Send, import: &mut Import<'_>) -> Result<(), Broken> {
    let mut reader = create_reader(1 << 16, reader).map_err(|error| broken(&error))?;
    let mut capture =
        Capture { import, interfaces: Vec::new(), open: HashMap::new(), unread: 0, number: 0 };
    let mut room = 1 << 16;
    let ended = loop {
        match reader.next() {
            Ok((length, block)) => {
                capture.block(&block);
                reader.consume(length);
            }
            Err(PcapError::Eof) => break Ok(()),
            // A capture that was stopped ends anywhere.
            Err(PcapError::UnexpectedEof) => {
                capture.import.remark("the capture ends within a packet".to_owned());
                break Ok(());
            }
            Err(PcapError::Incomplete(_)) => {
                if let Err(error) = reader.refill() {
                    break Err(broken(&error.to_owned_vec()));
                }
            }
            Err(PcapError::BufferTooSmall) if room < LARGEST_BLOCK => {
                room *= 2;
                reader.grow(room);
            }
            Err(error) => break Err(broken(&error.to_owned_vec())),
        }
    };
    capture.finish();
    ended
}

fn broken(error: &PcapError<&[u8]>) -> Broken {
    Broken::Content(match error {
        PcapError::BufferTooSmall => "a block is larger than 16 MiB".to_owned(),
        PcapError::HeaderNotRecognized => "its head is none of pcap or pcapng".to_owned(),
        _ => "a block cannot be read".to_owned(),
    })
}

/// How the packets of an interface begin, and how its clock ticks.
#[derive(Clone, Copy)]
struct Interface {
    link: Linktype,
    offset: i64,
    /// Ticks a second.
    resolution: u64,
}

struct Capture<'a, 'k> {
    import: &'a mut Import<'k>,
    interfaces: Vec<Interface>,
    open: HashMap<(SocketAddr, SocketAddr, bool), Connection>,
    /// Packets of links that are not read.
    unread: u64,
    number: u64,
}

impl Capture<'_, '_> {
    fn block(&mut self, block: &PcapBlockOwned<'_>) {
        match block {
            PcapBlockOwned::LegacyHeader(header) => {
                let resolution =
                    if header.is_nanosecond_precision() { 1_000_000_000 } else { 1_000_000 };
                self.interfaces = vec![Interface { link: header.network, offset: 0, resolution }];
            }
            PcapBlockOwned::Legacy(packet) => {
                let Some(interface) = self.interfaces.first().copied() else { return };
                let fraction = u64::from(packet.ts_usec) * 1_000_000 / interface.resolution;
                let at =
                    i64::from(packet.ts_sec) * 1_000_000 + i64::try_from(fraction).unwrap_or(0);
                self.packet(moment(at), interface.link, packet.data);
            }
            PcapBlockOwned::NG(Block::SectionHeader(_)) => self.interfaces.clear(),
            PcapBlockOwned::NG(Block::InterfaceDescription(interface)) => {
                let resolution = interface.ts_resolution().filter(|&ticks| ticks > 0);
                self.interfaces.push(Interface {
                    link: interface.linktype,
                    offset: interface.ts_offset(),
                    resolution: resolution.unwrap_or(1_000_000),
                });
            }
            PcapBlockOwned::NG(Block::EnhancedPacket(packet)) => {
                let number = usize::try_from(packet.if_id).unwrap_or(usize::MAX);
                let Some(interface) = self.interfaces.get(number).copied() else { return };
                let ticks = u128::from(packet.ts_high) << 32 | u128::from(packet.ts_low);
                let micros = ticks * 1_000_000 / u128::from(interface.resolution);
                let micros = i64::try_from(micros).unwrap_or(0);
                let at = micros.saturating_add(interface.offset.saturating_mul(1_000_000));
                self.packet(moment(at), interface.link, packet.packet_data());
            }
            // A packet without a time.
            PcapBlockOwned::NG(Block::SimplePacket(packet)) => {
                let Some(interface) = self.interfaces.first().copied() else { return };
                self.packet(Timestamp(0), interface.link, packet.packet_data());
            }
            PcapBlockOwned::NG(_) => {}
        }
    }

    fn packet(&mut self, at: Timestamp, link: Linktype, octets: &[u8]) {
        let Some(packet) = sliced(link, octets) else {
            self.unread += 1;
            return;
        };
        let Some((from, to)) = addresses(&packet) else { return };
        match &packet.transport {
            Some(TransportSlice::Tcp(tcp)) => {
                let segment = Segment {
                    at,
                    sequence: tcp.sequence_number(),
                    begins: tcp.syn(),
                    ends: tcp.fin() || tcp.rst(),
                    octets: tcp.payload(),
                };
                let ports = (tcp.source_port(), tcp.destination_port());
                let from = SocketAddr::new(from, ports.0);
                let to = SocketAddr::new(to, ports.1);
                self.segment(from, to, true, tcp.syn().then(|| !tcp.ack()), &segment);
            }
            Some(TransportSlice::Udp(udp)) => {
                let from = SocketAddr::new(from, udp.source_port());
                let to = SocketAddr::new(to, udp.destination_port());
                let octets = udp.payload();
                let segment = Segment { at, sequence: 0, begins: false, ends: false, octets };
                self.segment(from, to, false, None, &segment);
            }
            _ => {}
        }
    }

    /// `opens` says who opened the connection, where the segment tells.
    fn segment(
        &mut self,
        from: SocketAddr,
        to: SocketAddr,
        is_tcp: bool,
        opens: Option<bool>,
        segment: &Segment<'_>,
    ) {
        let (there, back) = ((from, to, is_tcp), (to, from, is_tcp));
        let is_new = opens == Some(true)
            && self.open.get(&there).is_some_and(|connection| connection.is_over());
        if is_new && let Some(old) = self.open.remove(&there) {
            old.finish(self.import);
        }
        let (key, direction) = if self.open.contains_key(&there) {
            (there, Direction::Up)
        } else if self.open.contains_key(&back) {
            (back, Direction::Down)
        } else {
            // Without its beginning, the side with the lower port serves.
            let is_client = opens.unwrap_or_else(|| from.port() >= to.port());
            if is_client { (there, Direction::Up) } else { (back, Direction::Down) }
        };
        if !self.open.contains_key(&key) {
            self.make_room();
            self.number += 1;
            let connection = Connection::new(key.0, key.1, is_tcp, self.number, segment.at);
            self.open.insert(key, connection);
        }
        let Some(connection) = self.open.get_mut(&key) else { return };
        connection.take(direction, segment, self.import);
        if connection.is_over()
            && connection.is_quiet()
            && let Some(over) = self.open.remove(&key)
        {
            over.finish(self.import);
        }
    }

    fn make_room(&mut self) {
        if self.open.len() < MOST_CONNECTIONS {
            return;
        }
        let oldest = self.open.iter().min_by_key(|(_, connection)| connection.latest);
        if let Some(key) = oldest.map(|(key, _)| *key)
            && let Some(oldest) = self.open.remove(&key)
        {
            oldest.finish(self.import);
        }
    }

    fn finish(mut self) {
        let mut left: Vec<Connection> = self.open.drain().map(|(_, left)| left).collect();
        left.sort_by_key(|connection| connection.number);
        for connection in left {
            connection.finish(self.import);
        }
        if self.unread > 0 {
            let remark = format!("{} packets are of a kind of link that is not read", self.unread);
            self.import.remark(remark);
        }
    }
}

/// The layers of a packet, however it was cut.
fn sliced(link: Linktype, octets: &[u8]) -> Option<LaxSlicedPacket<'_>> {
    match link {
        Linktype::ETHERNET => LaxSlicedPacket::from_ethernet(octets).ok(),
        Linktype::RAW | Linktype::IPV4 | Linktype::IPV6 => LaxSlicedPacket::from_ip(octets).ok(),
        // Four octets of an address family (BSD loopback).
        Linktype::NULL | Linktype::LOOP => LaxSlicedPacket::from_ip(octets.get(4..)?).ok(),
        // "Linux cooked", of `tcpdump -i any`: 16 octets, and 20 in its second version.
        Linktype::LINUX_SLL => LaxSlicedPacket::from_ip(octets.get(16..)?).ok(),
        Linktype::LINUX_SLL2 => LaxSlicedPacket::from_ip(octets.get(20..)?).ok(),
        _ => None,
    }
}

fn addresses(packet: &LaxSlicedPacket<'_>) -> Option<(IpAddr, IpAddr)> {
    match packet.net.as_ref()? {
        LaxNetSlice::Ipv4(ip) => {
            let header = ip.header();
            Some((header.source_addr().into(), header.destination_addr().into()))
        }
        LaxNetSlice::Ipv6(ip) => {
            let header = ip.header();
            Some((header.source_addr().into(), header.destination_addr().into()))
        }
        LaxNetSlice::Arp(_) => None,
    }
}
