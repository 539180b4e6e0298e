//! Probes a server: connect, EHLO, TLS as demanded, QUIT. Never logs in and sends no mail.

use std::net::IpAddr;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use super::opening::{Opened, open};
use super::stream::Stream;
use super::{Capabilities, ConnectError, ConnectProblem, Target};

/// How long to wait for the end of the session.
const QUIT: Duration = Duration::from_secs(2);

/// The result of a probe.
#[derive(Debug)]
pub struct Probe {
    /// The address that answered.
    pub remote_ip: IpAddr,
    /// What the server offers, after STARTTLS if there was one.
    pub capabilities: Capabilities,
    /// Version and cipher suite.
    pub tls: Option<String>,
    /// The server's own certificate in DER.
    pub certificate: Option<Vec<u8>>,
}

/// Probes the first address of `target` that answers.
pub async fn probe(target: &Target) -> Result<Probe, ConnectError> {
    let target = Target { credentials: None, ..target.clone() };
    let mut failed = ConnectError { remote_ip: None, problem: ConnectProblem::NoAddress };
    for remote in &target.addresses {
        match open(&target, *remote).await {
            Ok(Opened { mut stream, capabilities, tls, .. }) => {
                let certificate = match &stream {
                    Stream::Clear(_) | Stream::Local(_) => None,
                    Stream::Tls(stream) => {
                        let certificates = stream.get_ref().1.peer_certificates();
                        certificates.and_then(|chain| chain.first()).map(|own| own.as_ref().to_vec())
                    }
                };
                // Nothing is in flight: how the session ends does not matter.
                let _ = timeout(QUIT, async {
                    stream.write_all(b"QUIT\r\n").await?;
                    stream.shutdown().await
                })
                .await;
                return Ok(Probe { remote_ip: remote.ip(), capabilities, tls, certificate });
            }
            Err(problem) => failed = ConnectError { remote_ip: Some(remote.ip()), problem },
        }
    }
    Err(failed)
}
