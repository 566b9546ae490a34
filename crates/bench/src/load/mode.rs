//! What is measured, in which unit, and what consoletap is to reach.

use std::fmt;

use anyhow::Result;
use clap::ValueEnum;
use serde::Serialize;

use super::closed_loop::{self, Load};
use super::{Extent, bulk, idle, latency, start};
use crate::client::Reuse;
use crate::report::Figures;
use crate::subject::{Subject, TlsHandling, Workbench};

/// One way of loading a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Mode {
    /// Plain HTTP, 64 clients, connections kept
    PlainKeepAlive,
    /// Plain HTTP, 32 clients, a new connection for each request
    PlainNew,
    /// One large transfer through CONNECT, not opened
    TunnelBulk,
    /// One large answer over plain HTTP
    PlainBulk,
    /// One large file: from its server, or mapped by a rule
    MapLocal,
    /// TLS opened, 64 clients, connections kept
    InterceptKeepAlive,
    /// TLS opened, 16 clients, a new connection for each request, one host
    InterceptNew,
    /// TLS opened, 16 clients, every connection to a host not seen before
    InterceptFirst,
    /// One large answer, TLS opened
    InterceptBulk,
    /// Tunnels that are open and silent
    Idle,
    /// Plain HTTP at 500 requests a second
    PlainLatency,
    /// TLS opened, at 500 requests a second
    InterceptLatency,
    /// From start to listening, and to the first TLS handshake
    Start,
}

/// One figure of a mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Metric {
    Rate,
    Cpu,
    PeakMemoryMib,
    MedianUs,
    P99Us,
    AddedMedianUs,
    AddedP99Us,
    TunnelsOpen,
    DescriptorsEach,
    MemoryEachKib,
    IdleCpuPercent,
    ListeningMs,
    FirstHandshakeMs,
    Errors,
}

/// What consoletap is to reach.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Goal {
    /// At most this many times the figure of the bare relay in the same round.
    TimesRelay(f64),
    /// At least this many times the figure of the direct connection in the same round.
    TimesDirect(f64),
    /// At least this share of the figure without a session in the same round.
    ShareOfUnrecorded(f64),
    AtMost(f64),
    AtLeast(f64),
}

impl Mode {
    pub(crate) fn all() -> Vec<Self> {
        Self::value_variants().to_vec()
    }

    /// A direct connection has no process to start and no tunnel to hold; what recording costs is
    /// asked where requests are many.
    pub(crate) fn applies_to(self, subject: Subject) -> bool {
        match subject {
            Subject::Direct => !matches!(self, Self::Idle | Self::Start),
            Subject::Unrecorded => matches!(
                self,
                Self::PlainKeepAlive
                    | Self::PlainNew
                    | Self::InterceptKeepAlive
                    | Self::InterceptNew
                    | Self::InterceptFirst
                    | Self::InterceptBulk
                    | Self::Idle
            ),
            Subject::Replay => matches!(self, Self::PlainKeepAlive | Self::PlainBulk),
            Subject::Relay | Subject::Consoletap => true,
        }
    }

    /// Measures one subject once, against a process of its own.
    pub(crate) async fn measure(
        self,
        bench: &Workbench,
        subject: Subject,
        extent: Extent,
    ) -> Result<Figures> {
        let closed = |clients, reuse, tls| Load { clients, reuse, tls, new_hosts: false };
        let intercept = Some(TlsHandling::Intercept);
        match self {
            Self::PlainKeepAlive => {
                let load = closed(64, Reuse::KeepAlive, None);
                closed_loop::measure(bench, subject, extent, load).await
            }
            Self::PlainNew => {
                let load = closed(32, Reuse::Close, None);
                closed_loop::measure(bench, subject, extent, load).await
            }
            Self::InterceptKeepAlive => {
                let load = closed(64, Reuse::KeepAlive, intercept);
                closed_loop::measure(bench, subject, extent, load).await
            }
            Self::InterceptNew => {
                let load = closed(16, Reuse::Close, intercept);
                closed_loop::measure(bench, subject, extent, load).await
            }
            Self::InterceptFirst => {
                let load = Load { new_hosts: true, ..closed(16, Reuse::Close, intercept) };
                closed_loop::measure(bench, subject, extent, load).await
            }
            Self::TunnelBulk => bulk::measure_tunnel(bench, subject, extent).await,
            Self::PlainBulk => bulk::measure_http(bench, subject, extent, None).await,
            Self::InterceptBulk => bulk::measure_http(bench, subject, extent, intercept).await,
            Self::MapLocal => bulk::measure_file(bench, subject, extent).await,
            Self::Idle => idle::measure(bench, subject, extent).await,
            Self::PlainLatency => latency::measure(bench, subject, extent, None).await,
            Self::InterceptLatency => latency::measure(bench, subject, extent, intercept).await,
            Self::Start => start::measure(bench, subject).await,
        }
    }

    pub(crate) fn rate_unit(self) -> &'static str {
        match self {
            Self::TunnelBulk | Self::PlainBulk | Self::MapLocal | Self::InterceptBulk => "MB/s",
            Self::InterceptFirst => "hosts/s",
            Self::Idle => "tunnels opened/s",
            _ => "req/s",
        }
    }

    fn cpu_unit(self) -> &'static str {
        match self {
            Self::TunnelBulk | Self::PlainBulk | Self::MapLocal | Self::InterceptBulk => {
                "CPU s/GiB"
            }
            Self::Idle => "CPU µs/tunnel opened",
            _ => "CPU µs/req",
        }
    }

    /// The goals of the project (docs/benchmarks.md).
    pub(crate) fn goal(self, metric: Metric) -> Option<Goal> {
        Some(match (self, metric) {
            (Self::PlainKeepAlive, Metric::Rate) => Goal::ShareOfUnrecorded(0.85),
            (Self::PlainKeepAlive | Self::InterceptKeepAlive, Metric::Cpu) => Goal::TimesRelay(1.3),
            (Self::PlainNew | Self::InterceptFirst, Metric::Cpu) => Goal::TimesRelay(1.2),
            (Self::InterceptNew | Self::PlainBulk | Self::InterceptBulk, Metric::Cpu) => {
                Goal::TimesRelay(1.15)
            }
            (Self::PlainBulk | Self::MapLocal | Self::InterceptBulk, Metric::PeakMemoryMib) => {
                Goal::AtMost(32.0)
            }
            (Self::MapLocal, Metric::Rate) => Goal::TimesDirect(1.0),
            (Self::TunnelBulk, Metric::Cpu) => Goal::AtMost(0.35),
            (Self::PlainLatency | Self::InterceptLatency, Metric::AddedMedianUs) => {
                Goal::TimesRelay(1.3)
            }
            (Self::Idle, Metric::TunnelsOpen) => Goal::AtLeast(1.0),
            (Self::Idle, Metric::DescriptorsEach) => Goal::AtMost(2.0),
            (Self::Idle, Metric::MemoryEachKib) => Goal::AtMost(6.0),
            (Self::Start, Metric::ListeningMs) => Goal::AtMost(10.0),
            (Self::Start, Metric::FirstHandshakeMs) => Goal::AtMost(60.0),
            _ => return None,
        })
    }
}

impl Metric {
    /// What the figure is called in the table of a mode.
    pub(crate) fn label(self, mode: Mode) -> &'static str {
        match self {
            Self::Rate => mode.rate_unit(),
            Self::Cpu => mode.cpu_unit(),
            Self::PeakMemoryMib => "peak memory MiB",
            Self::MedianUs => "median µs",
            Self::P99Us => "p99 µs",
            Self::AddedMedianUs => "added median µs",
            Self::AddedP99Us => "added p99 µs",
            Self::TunnelsOpen => "share of tunnels open",
            Self::DescriptorsEach => "descriptors each",
            Self::MemoryEachKib => "memory each KiB",
            Self::IdleCpuPercent => "CPU % while idle",
            Self::ListeningMs => "listening after ms",
            Self::FirstHandshakeMs => "first TLS handshake after ms",
            Self::Errors => "errors",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        formatter.pad(value.as_ref().map_or("", |value| value.get_name()))
    }
}
