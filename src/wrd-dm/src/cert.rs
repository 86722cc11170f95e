//! The certificate that this host shows: the administrator's own, or one made on the first start.
//!
//! Ours is one file with certificate and key, so that there is never one without the other.

use crate::signer::Signer;
use anyhow::{Context, ensure};
use ring::digest;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use wrd_config::Tls;
use wrd_proto::Bytes;
use wrd_proto::gate::MAX_CHAIN;
use wrd_sys::files::{self, Readers};
use zeroize::Zeroizing;

/// Who this host is to its clients.
pub struct Identity {
    /// DER, leaf first.
    pub chain: Vec<Bytes<8192>>,
    pub signer: Signer,
}

impl Identity {
    /// The administrator's where `tls` names one, else our own below `state_dir`, made where it is missing.
    pub fn load(tls: &Tls, state_dir: &Path) -> anyhow::Result<Self> {
        if let (Some(certificate), Some(key)) = (&tls.certificate, &tls.key) {
            let identity = Self::from_pem(&read(certificate)?, &read(key)?);
            return identity
                .with_context(|| format!("cannot use {} with the key {}", certificate.display(), key.display()));
        }
        let path = state_dir.join("tls").join(OWN_FILE);
        if !path.try_exists().with_context(|| format!("cannot look for the host certificate {}", path.display()))? {
            make(&path).with_context(|| format!("cannot save the host certificate {}", path.display()))?;
            tracing::info!("made the host certificate {}", path.display());
        }
        let pem = read(&path)?;
        Self::from_pem(&pem, &pem)
            .with_context(|| format!("cannot use {} (remove it, and a new one is made)", path.display()))
    }

    fn from_pem(certificates: &[u8], key: &[u8]) -> anyhow::Result<Self> {
        let chain: Vec<CertificateDer<'_>> =
            CertificateDer::pem_slice_iter(certificates).collect::<Result<_, _>>().map_err(pem_error)?;
        ensure!(!chain.is_empty(), "there is no certificate in it");
        ensure!(chain.len() <= MAX_CHAIN, "{} certificates where at most {MAX_CHAIN} are allowed", chain.len());
        let key = PrivateKeyDer::from_pem_slice(key).map_err(pem_error)?;
        let signer = Signer::new(&key)?;
        let chain: Vec<Bytes<8192>> =
            chain.into_iter().map(|der| Bytes::try_from(der.to_vec())).collect::<Result<_, _>>()?;
        // The public key stands in the certificate byte for byte.
        let public = signer.public_key();
        let belongs = chain.first().is_some_and(|leaf| leaf.windows(public.len()).any(|window| window == public));
        ensure!(belongs, "the key does not belong to the certificate");
        Ok(Self { chain, signer })
    }

    /// SHA-256 of the leaf, as clients show it.
    pub fn fingerprint(&self) -> String {
        let leaf = self.chain.first().map(|leaf| &leaf[..]).unwrap_or_default();
        let hash = digest::digest(&digest::SHA256, leaf);
        hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
    }
}

/// This machine's name, as the certificate and the login screen show it.
pub fn host_name() -> String {
    let name = nix::unistd::gethostname().unwrap_or_default().to_string_lossy().into_owned();
    if name.is_empty() { "localhost".into() } else { name }
}

/// Makes key and certificate and saves them at `path`.
fn make(path: &Path) -> anyhow::Result<()> {
    let folder = path.parent().context("no folder")?;
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let pem = own_pem(&host_name()).context("cannot make a certificate")?;
    files::save(path, pem.as_bytes(), Readers::Owner)?;
    Ok(())
}

fn own_pem(host: &str) -> Result<Zeroizing<String>, rcgen::Error> {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
    let short = host.split('.').next().unwrap_or(host).to_owned();
    let mut names = vec![host.to_owned()];
    names.extend([short, "localhost".into()]);
    names.dedup();
    let mut params = rcgen::CertificateParams::new(names)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, host);
    // Clients remember the certificate itself: renewing it only frightens people. The early start is for
    // machines whose clock is wrong.
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2049, 12, 31);
    params.key_usages = vec![rcgen::KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = false;
    let certificate = params.self_signed(&key)?;
    let secret = Zeroizing::new(key.serialize_pem());
    Ok(Zeroizing::new(format!("{}{}", certificate.pem(), *secret)))
}

fn read(path: &Path) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    files::read(path, MAX_PEM).with_context(|| format!("cannot read {}", path.display()))
}

fn pem_error(error: rustls_pki_types::pem::Error) -> anyhow::Error {
    match error {
        rustls_pki_types::pem::Error::NoItemsFound => anyhow::anyhow!("there is no private key in PEM form in it"),
        other => anyhow::anyhow!("it is not in PEM form: {other}"),
    }
}

const OWN_FILE: &str = "host.pem";
const MAX_PEM: u64 = 128 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_certificate_is_made_once_privately_and_found_again() {
        let state = tempfile::tempdir().unwrap();
        let first = Identity::load(&Tls::default(), state.path()).unwrap();
        let again = Identity::load(&Tls::default(), state.path()).unwrap();
        assert_eq!(first.fingerprint(), again.fingerprint());
        assert_eq!(first.fingerprint().len(), 32 * 3 - 1);
        let mode = |path: &str| fs::metadata(state.path().join(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("tls"), mode("tls/host.pem")), (0o700, 0o600));
        assert_eq!(fs::read_dir(state.path().join("tls")).unwrap().count(), 1);
    }

    #[test]
    fn the_administrators_certificate_counts_and_mistakes_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let pem = own_pem("example.org").unwrap();
        let other = own_pem("example.net").unwrap();
        let (certificate, key) = (dir.path().join("c"), dir.path().join("k"));
        let tls = Tls { certificate: Some(certificate.clone()), key: Some(key.clone()) };
        let load = || Identity::load(&tls, dir.path());
        let error = || format!("{:#}", load().err().unwrap());

        assert!(error().contains("cannot read") && error().contains("/c"), "{}", error());
        fs::write(&certificate, pem.as_bytes()).unwrap();
        fs::write(&key, pem.as_bytes()).unwrap();
        assert_eq!(load().unwrap().chain.len(), 1);
        fs::write(&key, other.as_bytes()).unwrap();
        assert!(error().ends_with("the key does not belong to the certificate"), "{}", error());
        fs::write(&key, "nothing").unwrap();
        assert!(error().ends_with("there is no private key in PEM form in it"), "{}", error());
        fs::write(&key, include_str!("../tests/data/rsa1024-pkcs8.pem")).unwrap();
        assert!(error().contains("RSA with 2048"), "{}", error());
        fs::write(&certificate, "nothing").unwrap();
        assert!(error().ends_with("there is no certificate in it"), "{}", error());
        fs::remove_file(&certificate).unwrap();
        fs::create_dir(&certificate).unwrap();
        assert!(error().contains("Invalid argument"), "{}", error());
    }
}
