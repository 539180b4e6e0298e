//! Decimal numbers, as exact as FreeMarker's `BigDecimal` engine within 38 digits.

use std::cmp::Ordering;
use std::fmt;

/// The digits that a quotient or product keeps after the point.
const SCALE: u32 = 12;
/// The most digits after the point that a number from outside may have.
const MOST: u32 = 30;

/// `mantissa` × 10^-`scale`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Decimal {
    mantissa: i128,
    scale: u32,
}

/// How digits that don't fit are dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rounding {
    HalfEven,
    HalfUp,
    HalfDown,
    Up,
    Down,
    Floor,
    Ceiling,
}

/// A result that has more than 38 digits.
#[derive(Debug)]
pub(super) struct TooLarge;

impl Decimal {
    pub(super) const ZERO: Self = Self { mantissa: 0, scale: 0 };

    /// `12`, `-1.50`, `1e3`; `None` for any other text, and for numbers of more than 38 digits.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (number, exponent) = match text.split_once(['e', 'E']) {
            Some((number, exponent)) => (number, exponent.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let unsigned = number.strip_prefix(['-', '+']).unwrap_or(number);
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.len() + fraction.len() == 0 || !digits(whole) || !digits(fraction) {
            return None;
        }
        let mut mantissa: i128 = 0;
        for digit in whole.bytes().chain(fraction.bytes()) {
            mantissa = mantissa.checked_mul(10)?.checked_add(i128::from(digit - b'0'))?;
        }
        if number.starts_with('-') {
            mantissa = -mantissa;
        }
        let mut scale = i32::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
        if mantissa == 0 {
            return Some(Self::ZERO);
        }
        while scale < 0 {
            mantissa = mantissa.checked_mul(10)?;
            scale += 1;
        }
        let number = Self { mantissa, scale: u32::try_from(scale).ok()? }.stripped();
        (number.scale <= MOST).then_some(number)
    }

    /// The number as an integer, its fraction dropped.
    pub(super) fn truncated(self) -> i128 {
        self.mantissa / power(self.scale)
    }

    /// The number, where it is a whole one that fits.
    pub(super) fn whole(self) -> Option<i64> {
        let number = self.stripped();
        if number.scale > 0 { None } else { i64::try_from(number.mantissa).ok() }
    }

    pub(super) fn is_negative(self) -> bool {
        self.mantissa < 0
    }

    pub(super) fn negated(self) -> Self {
        Self { mantissa: -self.mantissa, ..self }
    }

    pub(super) fn plus(self, other: Self) -> Result<Self, TooLarge> {
        let (left, right, scale) = aligned(self, other)?;
        Ok(Self { mantissa: left.checked_add(right).ok_or(TooLarge)?, scale })
    }

    pub(super) fn minus(self, other: Self) -> Result<Self, TooLarge> {
        self.plus(other.negated())
    }

    pub(super) fn times(self, other: Self) -> Result<Self, TooLarge> {
        let mantissa = self.mantissa.checked_mul(other.mantissa).ok_or(TooLarge)?;
        let product = Self { mantissa, scale: self.scale + other.scale };
        if product.scale > SCALE { Ok(product.rounded(SCALE, Rounding::HalfUp)) } else { Ok(product) }
    }

    /// `None` for a division by zero.
    pub(super) fn over(self, other: Self) -> Result<Option<Self>, TooLarge> {
        if other.mantissa == 0 {
            return Ok(None);
        }
        let (left, right) = (self.stripped(), other.stripped());
        let scale = SCALE.max(self.scale).max(other.scale);
        // left / right with one more digit than is kept, its last digit sticky.
        let shift = scale + right.scale;
        let shift = shift.saturating_sub(left.scale);
        let dividend = power_checked(shift).and_then(|by| left.mantissa.checked_mul(by)).ok_or(TooLarge)?;
        let (quotient, rest) = (dividend / right.mantissa, dividend % right.mantissa);
        let up = rest.unsigned_abs() >= right.mantissa.unsigned_abs() - rest.unsigned_abs();
        let sign = if (left.mantissa < 0) == (right.mantissa < 0) { 1 } else { -1 };
        let mantissa = if up && rest != 0 { quotient + sign } else { quotient };
        Ok(Some(Self { mantissa, scale }.stripped()))
    }

    /// The remainder of the whole parts; `None` for a division by zero.
    pub(super) fn modulo(self, other: Self) -> Option<Self> {
        Some(Self::from(self.truncated().checked_rem(other.truncated())?))
    }

    /// With at most `scale` digits after the point.
    pub(super) fn rounded(self, scale: u32, rounding: Rounding) -> Self {
        if self.scale <= scale {
            return self;
        }
        let by = power(self.scale - scale);
        let (kept, rest) = (self.mantissa / by, self.mantissa % by);
        let half = (rest.unsigned_abs() * 2).cmp(&by.unsigned_abs());
        let away = match rounding {
            Rounding::HalfEven => half == Ordering::Greater || half == Ordering::Equal && kept % 2 != 0,
            Rounding::HalfUp => half != Ordering::Less,
            Rounding::HalfDown => half == Ordering::Greater,
            Rounding::Up => rest != 0,
            Rounding::Down => false,
            Rounding::Floor => rest < 0,
            Rounding::Ceiling => rest > 0,
        };
        let sign = if self.mantissa < 0 { -1 } else { 1 };
        Self { mantissa: if away { kept + sign } else { kept }, scale }
    }

    /// `FreeMarker`'s `?round`: halves go up, also of negative numbers.
    pub(super) fn nearest(self) -> Self {
        let half = Self { mantissa: 5, scale: 1 };
        self.plus(half).map_or(self, |sum| sum.rounded(0, Rounding::Floor))
    }

    /// Times ten to the power of `by`.
    pub(super) fn shifted(self, by: i32) -> Result<Self, TooLarge> {
        if by <= 0 {
            return Ok(Self { scale: self.scale + by.unsigned_abs(), ..self }.stripped());
        }
        self.times(Self::from(power_checked(by.unsigned_abs()).ok_or(TooLarge)?))
    }

    /// Digits before and after the point, without a sign.
    pub(super) fn digits(self) -> (String, String) {
        let number = self.stripped();
        let mut digits = match u64::try_from(number.mantissa.unsigned_abs()) {
            // Several times as fast as 128 bits.
            Ok(short) => short.to_string(),
            Err(_) => number.mantissa.unsigned_abs().to_string(),
        };
        let scale = number.scale as usize;
        if digits.len() <= scale {
            digits.insert_str(0, &"0".repeat(scale + 1 - digits.len()));
        }
        let fraction = digits.split_off(digits.len() - scale);
        (digits, fraction)
    }

    fn stripped(self) -> Self {
        let Self { mut mantissa, mut scale } = self;
        if scale == 0 {
            return self;
        }
        if let Ok(mut short) = i64::try_from(mantissa) {
            while scale > 0 && short % 10 == 0 {
                short /= 10;
                scale -= 1;
            }
            return Self { mantissa: i128::from(short), scale };
        }
        while scale > 0 && mantissa % 10 == 0 {
            mantissa /= 10;
            scale -= 1;
        }
        Self { mantissa, scale }
    }
}

impl From<i128> for Decimal {
    fn from(mantissa: i128) -> Self {
        Self { mantissa, scale: 0 }
    }
}

impl From<i64> for Decimal {
    fn from(mantissa: i64) -> Self {
        Self::from(i128::from(mantissa))
    }
}

impl From<usize> for Decimal {
    fn from(count: usize) -> Self {
        Self::from(count as i128)
    }
}

impl PartialEq for Decimal {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Decimal {}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        match aligned(*self, *other) {
            Ok((left, right, _)) => left.cmp(&right),
            // Too far apart to be aligned: the whole parts decide, then the signs.
            Err(TooLarge) => self
                .truncated()
                .cmp(&other.truncated())
                .then(self.mantissa.signum().cmp(&other.mantissa.signum())),
        }
    }
}

/// Plain: `1000000.5`.
impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.scale == 0 {
            return write!(f, "{}", self.mantissa);
        }
        let (whole, fraction) = self.digits();
        let sign = if self.is_negative() { "-" } else { "" };
        let point = if fraction.is_empty() { "" } else { "." };
        write!(f, "{sign}{whole}{point}{fraction}")
    }
}

fn power(exponent: u32) -> i128 {
    power_checked(exponent).unwrap_or(i128::MAX)
}

fn power_checked(exponent: u32) -> Option<i128> {
    10_i128.checked_pow(exponent)
}

fn aligned(left: Decimal, right: Decimal) -> Result<(i128, i128, u32), TooLarge> {
    let scale = left.scale.max(right.scale);
    let widened = |number: Decimal| {
        power_checked(scale - number.scale).and_then(|by| number.mantissa.checked_mul(by)).ok_or(TooLarge)
    };
    Ok((widened(left)?, widened(right)?, scale))
}
