//! The SubjectPublicKey in our certificate, which is what CredSSP binds itself to (MS-CSSP 3.1.5).

use super::der::{BIT_STRING, DerError, Reader, SEQUENCE};
use rustls::server::ParsedCertificate;
use rustls_pki_types::CertificateDer;

#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("the certificate")]
    Certificate(#[from] rustls::Error),
    #[error("the key in the certificate")]
    Key(#[from] DerError),
}

/// The contents of the BIT STRING with the key (RFC 5280 4.1.2.7) of a certificate in DER.
pub fn subject_public_key(certificate: &[u8]) -> Result<Vec<u8>, KeyError> {
    let certificate = CertificateDer::from(certificate);
    let info = ParsedCertificate::try_from(&certificate)?.subject_public_key_info();
    let mut outside = Reader::new(&info);
    let mut fields = outside.enter(SEQUENCE)?;
    fields.read(SEQUENCE)?;
    // A key has whole bytes: no bit of the last one is unused.
    match fields.read(BIT_STRING)?.split_first() {
        Some((0, key)) => Ok(key.to_vec()),
        _ => Err(DerError::Value.into()),
    }
}
