//! Strings and byte strings that cannot be longer than their type says.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::ops::Deref;

/// A value longer than its type allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{len} bytes where at most {max} are allowed")]
pub struct TooLong {
    pub len: usize,
    pub max: usize,
}

/// UTF-8 text of at most `N` bytes.
#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Text<const N: usize>(String);

impl<const N: usize> Text<N> {
    /// The longest prefix of `text` that fits; for text that only a person reads.
    pub fn truncated(text: &str) -> Self {
        let mut end = text.len().min(N);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        Self(text.get(..end).unwrap_or_default().to_owned())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn into_string(self) -> String {
        self.0
    }
}

impl<const N: usize> TryFrom<String> for Text<N> {
    type Error = TooLong;
    fn try_from(text: String) -> Result<Self, TooLong> {
        if text.len() > N { Err(TooLong { len: text.len(), max: N }) } else { Ok(Self(text)) }
    }
}

impl<const N: usize> TryFrom<&str> for Text<N> {
    type Error = TooLong;
    fn try_from(text: &str) -> Result<Self, TooLong> {
        Self::try_from(text.to_owned())
    }
}

impl<const N: usize> Deref for Text<N> {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl<const N: usize> fmt::Debug for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<const N: usize> fmt::Display for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<const N: usize> Serialize for Text<N> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.0)
    }
}

impl<'de, const N: usize> Deserialize<'de> for Text<N> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Visitor<const N: usize>;
        impl<const N: usize> de::Visitor<'_> for Visitor<N> {
            type Value = Text<N>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "text of at most {N} bytes")
            }
            fn visit_str<E: de::Error>(self, v: &str) -> Result<Text<N>, E> {
                Text::try_from(v).map_err(E::custom)
            }
        }
        d.deserialize_str(Visitor)
    }
}

/// At most `N` bytes of any content.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Bytes<const N: usize>(Vec<u8>);

impl<const N: usize> Bytes<N> {
    pub fn into_vec(self) -> Vec<u8> {
        self.0
    }
}

impl<const N: usize> TryFrom<Vec<u8>> for Bytes<N> {
    type Error = TooLong;
    fn try_from(bytes: Vec<u8>) -> Result<Self, TooLong> {
        if bytes.len() > N { Err(TooLong { len: bytes.len(), max: N }) } else { Ok(Self(bytes)) }
    }
}

impl<const N: usize> Deref for Bytes<N> {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl<const N: usize> fmt::Debug for Bytes<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl<const N: usize> Serialize for Bytes<N> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_bytes(&self.0)
    }
}

impl<'de, const N: usize> Deserialize<'de> for Bytes<N> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Visitor<const N: usize>;
        impl<const N: usize> de::Visitor<'_> for Visitor<N> {
            type Value = Bytes<N>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "at most {N} bytes")
            }
            fn visit_bytes<E: de::Error>(self, v: &[u8]) -> Result<Bytes<N>, E> {
                if v.len() > N {
                    return Err(E::custom(TooLong { len: v.len(), max: N }));
                }
                Ok(Bytes(v.to_vec()))
            }
        }
        d.deserialize_bytes(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn text_round_trips_within_its_limit(s in ".{0,80}") {
            let encoded = postcard::to_stdvec(&s).unwrap();
            let decoded: Result<Text<40>, _> = postcard::from_bytes(&encoded);
            prop_assert_eq!(decoded.is_ok(), s.len() <= 40);
        }

        #[test]
        fn truncated_text_is_a_prefix_that_fits(s in ".{0,80}") {
            let t = Text::<17>::truncated(&s);
            prop_assert!(t.len() <= 17 && s.starts_with(t.as_str()));
            prop_assert!(s.len() > 17 || t.as_str() == s);
        }

        #[test]
        fn bytes_round_trip_within_their_limit(v in proptest::collection::vec(any::<u8>(), 0..80)) {
            let boxed = Bytes::<80>::try_from(v.clone()).unwrap();
            let encoded = postcard::to_stdvec(&boxed).unwrap();
            prop_assert_eq!(postcard::from_bytes::<Bytes<80>>(&encoded).unwrap(), boxed);
            prop_assert_eq!(postcard::from_bytes::<Bytes<40>>(&encoded).is_ok(), v.len() <= 40);
        }
    }
}
