//! How numbers are written: Java's `DecimalFormat` patterns, and FreeMarker's names for some.

use super::super::locale::Locale;
use super::number::{Decimal, Rounding};

/// A format.
#[derive(Debug, Clone)]
pub(super) enum NumberFormat {
    /// For programs: `1234.5`.
    Computer,
    Pattern(Box<Pattern>),
}

/// A pattern, taken apart.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    positive: (String, String),
    negative: (String, String),
    /// The fewest and the most digits before the point; the latter matters to exponents only.
    whole: (usize, usize),
    fraction: (usize, usize),
    /// Digits of a group; 0 for no groups.
    group: usize,
    /// The fewest digits of the exponent.
    exponent: Option<usize>,
    /// Powers of ten: 2 for per cent.
    shift: i32,
    multiplier: Option<Decimal>,
    rounding: Rounding,
    point_always: bool,
    thousands: String,
    decimal: String,
    minus: String,
}

impl NumberFormat {
    /// `number`, `percent`, `currency`, `computer`, or a pattern.
    pub(super) fn parse(format: &str, locale: Locale) -> Result<Self, String> {
        let pattern = match format {
            "computer" | "c" => return Ok(Self::Computer),
            "number" | "" => "#,##0.###",
            "percent" => locale.percent(),
            "currency" => locale.currency().0,
            _ => format,
        };
        Pattern::parse(pattern, locale)
            .map(|pattern| Self::Pattern(Box::new(pattern)))
            .ok_or_else(|| format!("`{format}` is not a number format"))
    }

    pub(super) fn format(&self, number: Decimal) -> String {
        match self {
            Self::Computer => number.rounded(16, Rounding::HalfEven).to_string(),
            Self::Pattern(pattern) => pattern.format(number),
        }
    }
}

impl Pattern {
    fn parse(text: &str, locale: Locale) -> Option<Self> {
        let (text, options) = match text.find(";;") {
            Some(at) => (&text[..at], &text[at + 2..]),
            None => (text, ""),
        };
        let text = text.trim_end_matches(';');
        let (thousands, decimal) = locale.separators();
        let mut pattern = Self {
            positive: Default::default(),
            negative: Default::default(),
            whole: (0, 0),
            fraction: (0, 0),
            group: 0,
            exponent: None,
            shift: 0,
            multiplier: None,
            rounding: Rounding::HalfEven,
            point_always: false,
            thousands: thousands.to_string(),
            decimal: decimal.to_string(),
            minus: "-".to_owned(),
        };
        if text.contains('¤')
            && thousands == '\u{a0}'
            && decimal == ','
            && locale.currency().0.starts_with('¤')
        {
            // Austria groups amounts of money otherwise than numbers.
            pattern.thousands = ".".to_owned();
        }
        let currency = locale.currency().1;
        let mut reader = Reader { chars: text.chars().collect(), at: 0, shift: 0, currency };
        let prefix = reader.affix()?;
        pattern.digits(&mut reader)?;
        let suffix = reader.affix()?;
        pattern.positive = (prefix, suffix);
        pattern.shift = reader.shift;
        let negative = if reader.take(';') {
            let prefix = reader.affix()?;
            while matches!(reader.peek(), Some('#' | '0' | ',' | '.')) {
                reader.at += 1;
            }
            Some((prefix, reader.affix()?))
        } else {
            None
        };
        if reader.peek().is_some() {
            return None;
        }
        pattern.options(options)?;
        let plain = (format!("-{}", pattern.positive.0), pattern.positive.1.clone());
        let negative = negative.filter(|negative| *negative != pattern.positive).unwrap_or(plain);
        let minus = |text: &str| text.replace('-', &pattern.minus);
        pattern.negative = (minus(&negative.0), minus(&negative.1));
        Some(pattern)
    }

    fn digits(&mut self, reader: &mut Reader<'_>) -> Option<()> {
        let (mut optional, mut zeros, mut group) = (0, 0, None);
        loop {
            match reader.peek() {
                Some('#') if zeros == 0 => optional += 1,
                Some('0') => zeros += 1,
                Some(',') => {
                    group = Some(0);
                    reader.at += 1;
                    continue;
                }
                _ => break,
            }
            group = group.map(|digits| digits + 1);
            reader.at += 1;
        }
        let mut fraction = (0, 0);
        let mut point = false;
        if reader.take('.') {
            point = true;
            while reader.take('0') {
                fraction.0 += 1;
            }
            fraction.1 = fraction.0;
            while reader.take('#') {
                fraction.1 += 1;
            }
        }
        if optional + zeros + fraction.1 == 0 || group == Some(0) {
            return None;
        }
        self.group = group.unwrap_or(0);
        if zeros == 0 && optional > 0 && fraction.0 == 0 && point {
            // `#.##` is `0.##`.
            (optional, zeros) = (optional - 1, 1);
        }
        self.whole = (zeros, optional + zeros);
        self.fraction = fraction;
        self.point_always = point && fraction.1 == 0;
        if reader.take('E') {
            let mut digits = 0;
            while reader.take('0') {
                digits += 1;
            }
            let (fewest, most) = self.whole;
            if digits == 0 || self.group > 0 || fewest != most || fewest == 0 {
                return None;
            }
            self.exponent = Some(digits);
        }
        Some(())
    }

    /// `roundingMode=halfUp decimalSeparator=','`
    fn options(&mut self, options: &str) -> Option<()> {
        let mut rest = options.trim();
        while !rest.is_empty() {
            let (name, after) = rest.split_once('=')?;
            let after = after.trim_start();
            let (value, left) = match after.chars().next()? {
                quote @ ('\'' | '"') => after[1..].split_once(quote)?,
                _ => after.split_once([' ', ',']).unwrap_or((after, "")),
            };
            match name.trim() {
                "roundingMode" | "rnd" => {
                    self.rounding = match value {
                        "halfEven" => Rounding::HalfEven,
                        "halfUp" => Rounding::HalfUp,
                        "halfDown" => Rounding::HalfDown,
                        "up" => Rounding::Up,
                        "down" => Rounding::Down,
                        "floor" => Rounding::Floor,
                        "ceiling" => Rounding::Ceiling,
                        _ => return None,
                    }
                }
                "decimalSeparator" | "dec" => value.clone_into(&mut self.decimal),
                "groupingSeparator" | "grp" => value.clone_into(&mut self.thousands),
                "minusSign" | "min" => value.clone_into(&mut self.minus),
                "multiplier" | "mul" => self.multiplier = Some(Decimal::parse(value)?),
                _ => return None,
            }
            rest = left.trim_start_matches([' ', ',']);
        }
        Some(())
    }

    fn format(&self, number: Decimal) -> String {
        let mut number = number.shifted(self.shift).unwrap_or(number);
        if let Some(multiplier) = self.multiplier {
            number = number.times(multiplier).unwrap_or(number);
        }
        let (prefix, suffix) = if number.is_negative() { &self.negative } else { &self.positive };
        let mut out = String::with_capacity(24);
        out.push_str(prefix);
        match self.exponent {
            Some(digits) => self.scientific(number, digits, &mut out),
            None => {
                let (whole, fraction) =
                    number.rounded(u32::try_from(self.fraction.1).unwrap_or(30), self.rounding).digits();
                self.plain(&whole, &fraction, &mut out);
            }
        }
        out.push_str(suffix);
        out
    }

    fn plain(&self, whole: &str, fraction: &str, out: &mut String) {
        let whole = if whole == "0" && self.whole.0 == 0 && (self.fraction.0 > 0 || !fraction.is_empty()) {
            ""
        } else {
            whole
        };
        let count = whole.len().max(self.whole.0);
        for at in 0..count {
            if at > 0 && self.group > 0 && (count - at).is_multiple_of(self.group) {
                out.push_str(&self.thousands);
            }
            let digit =
                (at + whole.len()).checked_sub(count).map_or('0', |at| char::from(whole.as_bytes()[at]));
            out.push(digit);
        }
        if !fraction.is_empty() || self.fraction.0 > 0 || self.point_always {
            out.push_str(&self.decimal);
        }
        out.push_str(fraction);
        for _ in fraction.len()..self.fraction.0 {
            out.push('0');
        }
    }

    fn scientific(&self, number: Decimal, exponent_digits: usize, out: &mut String) {
        let (whole, fraction) = number.digits();
        let digits = format!("{whole}{fraction}");
        let first = digits.bytes().position(|digit| digit != b'0');
        // The power of ten of the first digit.
        let power = first.map_or(0, |first| {
            i32::try_from(whole.len()).unwrap_or(0) - 1 - i32::try_from(first).unwrap_or(0)
        });
        let fewest = i32::try_from(self.whole.0).unwrap_or(1);
        let mut exponent = power - (fewest - 1);
        let places = u32::try_from(self.fraction.1).unwrap_or(30);
        let scaled =
            |exponent: i32| number.shifted(-exponent).unwrap_or(number).rounded(places, self.rounding);
        let mut mantissa = scaled(exponent);
        if mantissa.digits().0.len() > self.whole.0 {
            exponent += 1;
            mantissa = scaled(exponent);
        }
        let (whole, fraction) = mantissa.digits();
        let exponent = if first.is_none() { 0 } else { exponent };
        self.plain(&whole, &fraction, out);
        out.push('E');
        if exponent < 0 {
            out.push_str(&self.minus);
        }
        out.push_str(&format!("{:0width$}", exponent.unsigned_abs(), width = exponent_digits));
    }
}

struct Reader<'c> {
    chars: Vec<char>,
    at: usize,
    shift: i32,
    currency: &'c str,
}

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn take(&mut self, c: char) -> bool {
        let found = self.peek() == Some(c);
        self.at += usize::from(found);
        found
    }

    /// What stands before or after the digits.
    fn affix(&mut self) -> Option<String> {
        let mut text = String::new();
        while let Some(c) = self.peek() {
            match c {
                '#' | '0' | ',' | '.' | ';' => break,
                '\'' => {
                    self.at += 1;
                    if self.take('\'') {
                        text.push('\'');
                        continue;
                    }
                    while let Some(c) = self.peek().filter(|c| *c != '\'') {
                        text.push(c);
                        self.at += 1;
                    }
                    if !self.take('\'') {
                        return None;
                    }
                    continue;
                }
                '%' => {
                    self.shift = 2;
                    text.push('%');
                }
                '‰' => {
                    self.shift = 3;
                    text.push('‰');
                }
                '¤' => text.push_str(self.currency),
                c => text.push(c),
            }
            self.at += 1;
        }
        Some(text)
    }
}
