//! A number of any precision as PostgreSQL sends it, in the base of ten.
//!
//! It comes in groups of four decimal digits: how many there are, the power of 10,000 of the first, the sign, and how many
//! digits behind the point are shown. Groups that are missing are zero.

use std::fmt::Write as _;

/// The number as text; none if the bytes are no number.
pub(super) fn text_of(bytes: &[u8]) -> Option<String> {
    let (header, groups) = bytes.split_at_checked(8)?;
    let at = |index: usize| Some(u16::from_be_bytes([*header.get(index)?, *header.get(index + 1)?]));
    let (count, weight) = (usize::from(at(0)?), i64::from(at(2)?.cast_signed()));
    let (sign, shown) = (at(4)?, usize::from(at(6)?));
    match sign {
        POSITIVE | NEGATIVE => {}
        NOT_A_NUMBER => return Some("NaN".to_owned()),
        INFINITY => return Some("Infinity".to_owned()),
        NEGATIVE_INFINITY => return Some("-Infinity".to_owned()),
        _ => return None,
    }
    let (groups, []) = groups.as_chunks::<2>() else {
        return None;
    };
    let groups: Vec<u16> = groups.iter().map(|group| u16::from_be_bytes(*group)).collect();
    if groups.len() != count || groups.iter().any(|group| *group > 9999) || shown > MOST_SHOWN {
        return None;
    }
    // The group of this power of 10,000.
    let group = |power: i64| {
        let index = usize::try_from(weight - power).ok();
        index.and_then(|index| groups.get(index)).copied().unwrap_or(0)
    };
    let mut text = if sign == NEGATIVE {
        "-".to_owned()
    } else {
        String::new()
    };
    let mut whole = String::new();
    for power in (0..=weight.max(0)).rev() {
        write!(whole, "{:04}", group(power)).ok()?;
    }
    let digits = whole.trim_start_matches('0');
    text += if digits.is_empty() { "0" } else { digits };
    if shown > 0 {
        let mut fraction = String::new();
        for power in 1..=shown.div_ceil(4) {
            write!(fraction, "{:04}", group(-i64::try_from(power).ok()?)).ok()?;
        }
        fraction.truncate(shown);
        text.push('.');
        text += &fraction;
    }
    Some(text)
}

const POSITIVE: u16 = 0x0000;
const NEGATIVE: u16 = 0x4000;
const NOT_A_NUMBER: u16 = 0xc000;
const INFINITY: u16 = 0xd000;
const NEGATIVE_INFINITY: u16 = 0xf000;

/// Digits behind the point that PostgreSQL can show.
const MOST_SHOWN: usize = 16_383;

#[cfg(test)]
mod tests {
    use super::*;

    fn number(weight: i16, sign: u16, shown: u16, groups: &[u16]) -> Option<String> {
        let header = [groups.len() as u16, weight.cast_unsigned(), sign, shown];
        let words = header.iter().chain(groups);
        text_of(&words.flat_map(|word| word.to_be_bytes()).collect::<Vec<u8>>())
    }

    #[test]
    fn groups_are_a_number_in_the_base_of_ten() {
        let most = format!("9{}", "0".repeat(4 * 32_767));
        let rows = [
            (0, POSITIVE, 0, &[][..], Some("0")),
            (0, POSITIVE, 2, &[], Some("0.00")),
            (0, POSITIVE, 0, &[1], Some("1")),
            (0, NEGATIVE, 2, &[12, 3400], Some("-12.34")),
            (1, POSITIVE, 0, &[1, 2], Some("10002")),
            (1, POSITIVE, 0, &[1], Some("10000")),
            (-1, POSITIVE, 4, &[12], Some("0.0012")),
            (-2, POSITIVE, 7, &[1200], Some("0.0000120")),
            (0, POSITIVE, 1, &[0, 9999], Some("0.9")),
            (
                2,
                POSITIVE,
                9,
                &[1, 2345, 6789, 9876, 5432, 1000],
                Some("123456789.987654321"),
            ),
            (32_767, POSITIVE, 0, &[9], Some(&*most)),
            (0, NOT_A_NUMBER, 0, &[], Some("NaN")),
            (0, INFINITY, 0, &[], Some("Infinity")),
            (0, NEGATIVE_INFINITY, 0, &[], Some("-Infinity")),
            (0, 0x1234, 0, &[1], None),
            (0, POSITIVE, 0, &[10_000], None),
            (0, POSITIVE, 16_384, &[1], None),
        ];
        for (weight, sign, shown, groups, expected) in rows {
            let found = number(weight, sign, shown, groups);
            assert_eq!(found.as_deref(), expected, "{weight} {sign:x} {shown} {groups:?}");
        }
        for broken in [
            &[][..],
            &[0; 7],
            &[0, 1, 0, 0, 0, 0, 0, 0],
            &[0, 1, 0, 0, 0, 0, 0, 0, 1],
        ] {
            assert_eq!(text_of(broken), None, "{broken:?}");
        }
    }
}
