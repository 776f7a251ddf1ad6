//! Sizes as people write them.

use std::fmt;
use std::str::FromStr;

/// A number of bytes, written with a unit: `256M`, `256.0 MiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bytes(pub(crate) u64);

const UNITS: [char; 4] = ['K', 'M', 'G', 'T'];

impl FromStr for Bytes {
    type Err = &'static str;

    /// Reads a whole number of bytes, or of units that are each 1024 of the one before: `K`, `M`, `G`, `T`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (digits, factor) = match text.char_indices().next_back() {
            Some((at, unit)) if unit.is_ascii_alphabetic() => {
                let power = UNITS.iter().position(|known| *known == unit.to_ascii_uppercase());
                (&text[..at], 1024_u64.pow(1 + power.ok_or("the units are K, M, G and T")? as u32))
            }
            _ => (text, 1),
        };
        let number: u64 = digits.parse().map_err(|_| "not a number of bytes, such as 65536 or 256M")?;
        number.checked_mul(factor).map(Bytes).ok_or("too large")
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let power = UNITS.len().min(self.0.checked_ilog2().unwrap_or(0) as usize / 10);
        match power.checked_sub(1) {
            None => write!(f, "{} bytes", self.0),
            Some(unit) => write!(f, "{:.1} {}iB", self.0 as f64 / 1024_f64.powi(power as i32), UNITS[unit]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_and_without_a_unit() {
        for (text, bytes) in
            [("0", 0), ("4096", 4096), ("3k", 3072), ("256M", 256 << 20), ("2G", 2 << 30), ("1T", 1 << 40)]
        {
            assert_eq!(text.parse(), Ok(Bytes(bytes)), "{text}");
        }
        for text in ["", "M", "-1", "1.5M", "12P", "1MB", "16777216T", "99999999999999999999", "1 M", "1µ"] {
            assert!(text.parse::<Bytes>().is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_shown_in_the_largest_unit_that_they_fill() {
        for (bytes, text) in [
            (0, "0 bytes"),
            (1023, "1023 bytes"),
            (1024, "1.0 KiB"),
            (240 << 20, "240.0 MiB"),
            (1536 << 20, "1.5 GiB"),
        ] {
            assert_eq!(Bytes(bytes).to_string(), text);
        }
        assert_eq!(Bytes(u64::MAX).to_string(), "16777216.0 TiB");
    }
}
