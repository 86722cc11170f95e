//! TLS 1.2 and 1.3 with a key that the gate does not have: the monitor signs.
//!
//! No resumption, no tickets, no early data: each of them would need a secret shared between gates.

use crate::monitor::Monitor;
use anyhow::{Context, Result, bail};
use rustls::server::NoServerSessionStorage;
use rustls::sign::{CertifiedKey, Signer, SigningKey, SingleCertAndKey};
use rustls::{ServerConfig, SignatureAlgorithm, SignatureScheme};
use rustls_pki_types::CertificateDer;
use std::sync::{Arc, Weak};
use wrd_proto::gate::{MAX_CHAIN, Start};

/// The configuration of this connection's one handshake.
pub fn config(start: &Start, monitor: &Arc<Monitor>) -> Result<Arc<ServerConfig>> {
    if start.chain.is_empty() || start.chain.len() > MAX_CHAIN {
        bail!("the monitor gave {} certificates", start.chain.len());
    }
    let chain = start.chain.iter().map(|der| CertificateDer::from(der.to_vec())).collect();
    let schemes = start.schemes.iter().take(8).map(|code| SignatureScheme::from(*code)).collect::<Vec<_>>();
    let Some(best) = schemes.first() else { bail!("the monitor's key can sign with nothing") };
    let algorithm = match best {
        SignatureScheme::ED25519 => SignatureAlgorithm::ED25519,
        SignatureScheme::RSA_PKCS1_SHA256
        | SignatureScheme::RSA_PKCS1_SHA384
        | SignatureScheme::RSA_PKCS1_SHA512
        | SignatureScheme::RSA_PSS_SHA256
        | SignatureScheme::RSA_PSS_SHA384
        | SignatureScheme::RSA_PSS_SHA512 => SignatureAlgorithm::RSA,
        _ => SignatureAlgorithm::ECDSA,
    };
    let key = Arc::new(MonitorKey { monitor: Arc::downgrade(monitor), schemes, algorithm });
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .context("set up tls")?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(CertifiedKey::new(chain, key))));
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

#[derive(Debug)]
struct MonitorKey {
    /// TLS goes on when nobody signs any more.
    monitor: Weak<Monitor>,
    schemes: Vec<SignatureScheme>,
    algorithm: SignatureAlgorithm,
}

impl SigningKey for MonitorKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let scheme = *self.schemes.iter().find(|scheme| offered.contains(scheme))?;
        Some(Box::new(MonitorSigner { monitor: self.monitor.clone(), scheme }))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }
}

#[derive(Debug)]
struct MonitorSigner {
    monitor: Weak<Monitor>,
    scheme: SignatureScheme,
}

impl Signer for MonitorSigner {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        let monitor = self.monitor.upgrade().ok_or_else(|| rustls::Error::General("the monitor is gone".into()))?;
        let signed = monitor.sign(self.scheme.into(), message);
        signed.map_err(|error| rustls::Error::General(format!("{:#}", anyhow::Error::from(error))))
    }

    fn scheme(&self) -> SignatureScheme {
        self.scheme
    }
}
