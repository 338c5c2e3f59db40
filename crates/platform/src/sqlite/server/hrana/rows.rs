//! Rows, as they are read. A few bytes of JSON each could be a row or a value that takes many times as much, so what they
//! take is counted while they come.

use std::fmt;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, SeqAccess, Visitor};

use super::super::super::statement::TOGETHER;
use super::super::super::{MOST_IN_A_RESULT, Row, Value};

/// The rows of one result, in the pieces that guests get them in.
#[derive(Default)]
pub(super) struct Rows(pub(super) Vec<Vec<Row>>);

impl<'de> Deserialize<'de> for Rows {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(All)
    }
}

struct All;

impl<'de> Visitor<'de> for All {
    type Value = Rows;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of rows")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Rows, A::Error> {
        let (mut pieces, mut piece) = (Vec::new(), Vec::new());
        let (mut size, mut begun_at) = (0, 0);
        while let Some(row) = entries.next_element_seed(One(&mut size))? {
            piece.push(row);
            if size - begun_at >= TOGETHER {
                pieces.push(std::mem::take(&mut piece));
                begun_at = size;
            }
        }
        if !piece.is_empty() {
            pieces.push(piece);
        }
        Ok(Rows(pieces))
    }
}

/// One row, and what all take so far.
struct One<'a>(&'a mut usize);

impl One<'_> {
    fn count<E: Error>(&mut self, bytes: usize) -> Result<(), E> {
        *self.0 = self.0.saturating_add(bytes);
        if *self.0 > MOST_IN_A_RESULT {
            return Err(E::custom(TOO_LARGE));
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for One<'_> {
    type Value = Row;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Row, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for One<'_> {
    type Value = Row;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of values")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut entries: A) -> Result<Row, A::Error> {
        self.count(size_of::<Row>())?;
        let mut row = Row::new();
        while let Some(written) = entries.next_element::<Written>()? {
            let value = written.value()?;
            let held = match &value {
                Value::Text(text) => text.len(),
                Value::Blob(bytes) => bytes.len(),
                _ => 0,
            };
            self.count(size_of::<Value>() + held)?;
            row.push(value);
        }
        Ok(row)
    }
}

/// A value as it is written.
#[derive(Deserialize)]
struct Written {
    #[serde(rename = "type")]
    kind: Kind,
    value: Option<Scalar>,
    base64: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Integer,
    Float,
    Text,
    Blob,
    Null,
}

enum Scalar {
    Text(String),
    Integer(i64),
    Real(f64),
}

impl Written {
    fn value<E: Error>(self) -> Result<Value, E> {
        Ok(match (self.kind, self.value, self.base64) {
            (Kind::Null, ..) => Value::Null,
            (Kind::Integer, Some(Scalar::Integer(number)), _) => Value::Integer(number),
            (Kind::Integer, Some(Scalar::Text(text)), _) => {
                Value::Integer(text.parse().map_err(|_| E::custom("an integer of 64 bits"))?)
            }
            (Kind::Float, Some(Scalar::Real(number)), _) => Value::Real(number),
            // JSON has one kind of numbers.
            #[allow(clippy::cast_precision_loss, reason = "it is a real number in the database")]
            (Kind::Float, Some(Scalar::Integer(number)), _) => Value::Real(number as f64),
            (Kind::Text, Some(Scalar::Text(text)), _) => Value::Text(text),
            (Kind::Blob, _, Some(text)) => {
                Value::Blob(BASE64.decode(text).map_err(|_| E::custom("a blob in base64"))?)
            }
            _ => return Err(E::custom("a value of its type")),
        })
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyScalar)
    }
}

struct AnyScalar;

impl Visitor<'_> for AnyScalar {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or a number")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Scalar, E> {
        Ok(Scalar::Text(text.to_owned()))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Scalar, E> {
        Ok(Scalar::Text(text))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Scalar, E> {
        Ok(Scalar::Integer(number))
    }

    #[allow(
        clippy::cast_precision_loss,
        reason = "no integer of the database is as large"
    )]
    fn visit_u64<E: Error>(self, number: u64) -> Result<Scalar, E> {
        Ok(i64::try_from(number).map_or(Scalar::Real(number as f64), Scalar::Integer))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Scalar, E> {
        Ok(Scalar::Real(number))
    }
}

/// An integer, as a text or a number.
pub(super) struct Integer(pub(super) i64);

impl<'de> Deserialize<'de> for Integer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = match Scalar::deserialize(deserializer)? {
            Scalar::Text(text) => text.parse().ok(),
            Scalar::Integer(number) => Some(number),
            Scalar::Real(_) => None,
        };
        number
            .map(Self)
            .ok_or_else(|| D::Error::custom("an integer of 64 bits"))
    }
}

/// How servers write it, of which some leave the padding out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What rows are refused with that take too much.
pub(super) const TOO_LARGE: &str = "the result is too large";
