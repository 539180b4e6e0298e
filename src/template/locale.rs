//! What a language does to numbers, and to the names of months and days.

/// A language, as Java's locales have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    En,
    De,
    Fr,
    Es,
    It,
    Nl,
    Pl,
    Pt,
}

/// A language and perhaps a country, such as `de_AT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Locale {
    pub language: Language,
    country: [u8; 2],
}

impl Locale {
    pub(super) const EN_US: Self = Self { language: Language::En, country: *b"US" };

    /// `de`, `de_AT`, `de-AT`; `None` for languages that are not known.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let mut parts = name.split(['_', '-']);
        let language = match parts.next()?.to_ascii_lowercase().as_str() {
            "en" => Language::En,
            "de" => Language::De,
            "fr" => Language::Fr,
            "es" => Language::Es,
            "it" => Language::It,
            "nl" => Language::Nl,
            "pl" => Language::Pl,
            "pt" => Language::Pt,
            _ => return None,
        };
        let country = match parts.next().unwrap_or("").to_ascii_uppercase().as_bytes() {
            [] => [0; 2],
            &[first, second] => [first, second],
            _ => return None,
        };
        Some(Self { language, country })
    }

    pub(super) fn language_code(self) -> &'static str {
        match self.language {
            Language::En => "en",
            Language::De => "de",
            Language::Fr => "fr",
            Language::Es => "es",
            Language::It => "it",
            Language::Nl => "nl",
            Language::Pl => "pl",
            Language::Pt => "pt",
        }
    }

    /// `de_AT`
    pub(super) fn name(self) -> String {
        match self.country() {
            "" => self.language_code().to_owned(),
            country => format!("{}_{country}", self.language_code()),
        }
    }

    fn country(&self) -> &str {
        if self.country == [0; 2] { "" } else { std::str::from_utf8(&self.country).unwrap_or("") }
    }

    /// Between groups of three digits, and before the decimals.
    pub(super) fn separators(self) -> (char, char) {
        match (self.language, self.country()) {
            (Language::En, "ZA") => ('\u{a0}', ','),
            (Language::De | Language::It, "CH") | (Language::De, "LI") => ('’', '.'),
            (Language::De, "AT") => ('\u{a0}', ','),
            (Language::Es, "MX" | "US" | "PR" | "GT" | "HN" | "NI" | "PA" | "PE" | "SV" | "DO") => (',', '.'),
            (Language::En, _) => (',', '.'),
            (Language::Fr, "CA") | (Language::Pl, _) | (Language::Pt, "PT") => ('\u{a0}', ','),
            (Language::Fr, _) => ('\u{202f}', ','),
            (Language::De | Language::Es | Language::It | Language::Nl | Language::Pt, _) => ('.', ','),
        }
    }

    /// The pattern of amounts of money, and the currency's sign.
    pub(super) fn currency(self) -> (&'static str, &'static str) {
        let sign = match self.country() {
            "US" => "$",
            "GB" => "£",
            "CH" | "LI" => "CHF",
            "BR" => "R$",
            "PL" => "zł",
            "DE" | "AT" | "FR" | "ES" | "IT" | "NL" | "PT" | "BE" | "IE" | "LU" | "FI" => "€",
            "CA" if self.language == Language::Fr => "$\u{a0}CA",
            "CA" | "AU" | "MX" => "$",
            _ => "¤",
        };
        let pattern = match (self.language, self.country()) {
            (Language::De, "AT") => "¤\u{a0}#,##0.00",
            (Language::De, "CH" | "LI") => "¤\u{a0}#,##0.00;¤-#,##0.00",
            (Language::En, _) => "¤#,##0.00",
            (Language::Nl, _) => "¤\u{a0}#,##0.00;¤\u{a0}-#,##0.00",
            (Language::Pt, "BR" | "") => "¤\u{a0}#,##0.00",
            (Language::It, "CH") => "¤\u{a0}#,##0.00;¤-#,##0.00",
            (Language::Es, "MX" | "US") => "¤#,##0.00",
            _ => "#,##0.00\u{a0}¤",
        };
        (pattern, sign)
    }

    pub(super) fn percent(self) -> &'static str {
        match (self.language, self.country()) {
            (Language::De, "CH" | "LI") => "#,##0%",
            (Language::De, _) | (Language::Es, _) | (Language::Fr, "CA") => "#,##0\u{a0}%",
            (Language::Fr, _) => "#,##0\u{a0}%",
            _ => "#,##0%",
        }
    }

    /// Names of months, as within a date.
    pub(super) fn months(self) -> &'static [&'static str; 12] {
        match self.language {
            Language::En => &[
                "January",
                "February",
                "March",
                "April",
                "May",
                "June",
                "July",
                "August",
                "September",
                "October",
                "November",
                "December",
            ],
            Language::De if self.country() == "AT" => &[
                "Jänner",
                "Februar",
                "März",
                "April",
                "Mai",
                "Juni",
                "Juli",
                "August",
                "September",
                "Oktober",
                "November",
                "Dezember",
            ],
            Language::De => &[
                "Januar",
                "Februar",
                "März",
                "April",
                "Mai",
                "Juni",
                "Juli",
                "August",
                "September",
                "Oktober",
                "November",
                "Dezember",
            ],
            Language::Fr => &[
                "janvier",
                "février",
                "mars",
                "avril",
                "mai",
                "juin",
                "juillet",
                "août",
                "septembre",
                "octobre",
                "novembre",
                "décembre",
            ],
            Language::Es => &[
                "enero",
                "febrero",
                "marzo",
                "abril",
                "mayo",
                "junio",
                "julio",
                "agosto",
                "septiembre",
                "octubre",
                "noviembre",
                "diciembre",
            ],
            Language::It => &[
                "gennaio",
                "febbraio",
                "marzo",
                "aprile",
                "maggio",
                "giugno",
                "luglio",
                "agosto",
                "settembre",
                "ottobre",
                "novembre",
                "dicembre",
            ],
            Language::Nl => &[
                "januari",
                "februari",
                "maart",
                "april",
                "mei",
                "juni",
                "juli",
                "augustus",
                "september",
                "oktober",
                "november",
                "december",
            ],
            Language::Pl => &[
                "stycznia",
                "lutego",
                "marca",
                "kwietnia",
                "maja",
                "czerwca",
                "lipca",
                "sierpnia",
                "września",
                "października",
                "listopada",
                "grudnia",
            ],
            Language::Pt => &[
                "janeiro",
                "fevereiro",
                "março",
                "abril",
                "maio",
                "junho",
                "julho",
                "agosto",
                "setembro",
                "outubro",
                "novembro",
                "dezembro",
            ],
        }
    }

    /// Names of months that stand alone (`LLLL`).
    pub(super) fn months_alone(self) -> &'static [&'static str; 12] {
        match self.language {
            Language::Pl => &[
                "styczeń",
                "luty",
                "marzec",
                "kwiecień",
                "maj",
                "czerwiec",
                "lipiec",
                "sierpień",
                "wrzesień",
                "październik",
                "listopad",
                "grudzień",
            ],
            Language::En
            | Language::De
            | Language::Fr
            | Language::Es
            | Language::It
            | Language::Nl
            | Language::Pt => self.months(),
        }
    }

    pub(super) fn months_short(self) -> &'static [&'static str; 12] {
        match self.language {
            Language::En => {
                &["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
            }
            Language::De if self.country() == "AT" => &[
                "Jän.", "Feb.", "März", "Apr.", "Mai", "Juni", "Juli", "Aug.", "Sep.", "Okt.", "Nov.", "Dez.",
            ],
            Language::De => &[
                "Jan.", "Feb.", "März", "Apr.", "Mai", "Juni", "Juli", "Aug.", "Sept.", "Okt.", "Nov.",
                "Dez.",
            ],
            Language::Fr => &[
                "janv.", "févr.", "mars", "avr.", "mai", "juin", "juil.", "août", "sept.", "oct.", "nov.",
                "déc.",
            ],
            Language::Es if self.country() == "MX" => &[
                "ene.", "feb.", "mar.", "abr.", "may.", "jun.", "jul.", "ago.", "sep.", "oct.", "nov.",
                "dic.",
            ],
            Language::Es => {
                &["ene", "feb", "mar", "abr", "may", "jun", "jul", "ago", "sept", "oct", "nov", "dic"]
            }
            Language::It => {
                &["gen", "feb", "mar", "apr", "mag", "giu", "lug", "ago", "set", "ott", "nov", "dic"]
            }
            Language::Nl => &[
                "jan.", "feb.", "mrt.", "apr.", "mei", "jun.", "jul.", "aug.", "sep.", "okt.", "nov.", "dec.",
            ],
            Language::Pl => {
                &["sty", "lut", "mar", "kwi", "maj", "cze", "lip", "sie", "wrz", "paź", "lis", "gru"]
            }
            Language::Pt => &[
                "jan.", "fev.", "mar.", "abr.", "mai.", "jun.", "jul.", "ago.", "set.", "out.", "nov.",
                "dez.",
            ],
        }
    }

    /// From Monday.
    pub(super) fn days(self) -> &'static [&'static str; 7] {
        match self.language {
            Language::En => &["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"],
            Language::De => {
                &["Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag", "Sonntag"]
            }
            Language::Fr => &["lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche"],
            Language::Es => &["lunes", "martes", "miércoles", "jueves", "viernes", "sábado", "domingo"],
            Language::It => &["lunedì", "martedì", "mercoledì", "giovedì", "venerdì", "sabato", "domenica"],
            Language::Nl => &["maandag", "dinsdag", "woensdag", "donderdag", "vrijdag", "zaterdag", "zondag"],
            Language::Pl => &["poniedziałek", "wtorek", "środa", "czwartek", "piątek", "sobota", "niedziela"],
            Language::Pt => &[
                "segunda-feira",
                "terça-feira",
                "quarta-feira",
                "quinta-feira",
                "sexta-feira",
                "sábado",
                "domingo",
            ],
        }
    }

    /// From Monday.
    pub(super) fn days_short(self) -> &'static [&'static str; 7] {
        match self.language {
            Language::En => &["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"],
            Language::De => &["Mo.", "Di.", "Mi.", "Do.", "Fr.", "Sa.", "So."],
            Language::Fr => &["lun.", "mar.", "mer.", "jeu.", "ven.", "sam.", "dim."],
            Language::Es => &["lun", "mar", "mié", "jue", "vie", "sáb", "dom"],
            Language::It => &["lun", "mar", "mer", "gio", "ven", "sab", "dom"],
            Language::Nl => &["ma", "di", "wo", "do", "vr", "za", "zo"],
            Language::Pl => &["pon.", "wt.", "śr.", "czw.", "pt.", "sob.", "niedz."],
            Language::Pt if self.country() == "PT" => {
                &["segunda", "terça", "quarta", "quinta", "sexta", "sábado", "domingo"]
            }
            Language::Pt => &["seg.", "ter.", "qua.", "qui.", "sex.", "sáb.", "dom."],
        }
    }

    /// The halves of a day, before and after noon.
    pub(super) fn halves(self) -> (&'static str, &'static str) {
        match (self.language, self.country()) {
            (Language::En, "GB" | "AU" | "IE" | "NZ") => ("am", "pm"),
            (Language::Nl, _) | (Language::Fr | Language::En, "CA") => ("a.m.", "p.m."),
            (Language::Es, _) => ("a.\u{a0}m.", "p.\u{a0}m."),
            (Language::Pt, "PT") => ("da manhã", "da tarde"),
            _ => ("AM", "PM"),
        }
    }

    /// Whether weeks begin on Sunday, and the one with the first of January is the first.
    pub(super) fn weeks_of_january_first(self) -> bool {
        matches!(self.country(), "US" | "BR" | "MX" | "CA" | "")
            && !(self.country().is_empty() && self.language != Language::En && self.language != Language::Pt)
    }

    /// The pattern of a day: `short`, `medium`, `long`, `full` are 0 to 3.
    pub(super) fn day_pattern(self, style: usize) -> &'static str {
        let patterns = match (self.language, self.country()) {
            (Language::En, "GB" | "IE" | "AU") => {
                ["dd/MM/yyyy", "d MMM yyyy", "d MMMM yyyy", "EEEE, d MMMM yyyy"]
            }
            (Language::En, _) => ["M/d/yy", "MMM d, yyyy", "MMMM d, yyyy", "EEEE, MMMM d, yyyy"],
            (Language::De, _) => ["dd.MM.yy", "dd.MM.yyyy", "d. MMMM yyyy", "EEEE, d. MMMM yyyy"],
            (Language::Fr, _) => ["dd/MM/yyyy", "d MMM yyyy", "d MMMM yyyy", "EEEE d MMMM yyyy"],
            (Language::Es, _) => {
                ["d/M/yy", "d MMM yyyy", "d 'de' MMMM 'de' yyyy", "EEEE, d 'de' MMMM 'de' yyyy"]
            }
            (Language::It, _) => ["dd/MM/yy", "d MMM yyyy", "d MMMM yyyy", "EEEE d MMMM yyyy"],
            (Language::Nl, _) => ["dd-MM-yyyy", "d MMM yyyy", "d MMMM yyyy", "EEEE d MMMM yyyy"],
            (Language::Pl, _) => ["dd.MM.yyyy", "d MMM yyyy", "d MMMM yyyy", "EEEE, d MMMM yyyy"],
            (Language::Pt, "PT") => {
                ["dd/MM/yy", "dd/MM/yyyy", "d 'de' MMMM 'de' yyyy", "EEEE, d 'de' MMMM 'de' yyyy"]
            }
            (Language::Pt, _) => {
                ["dd/MM/yyyy", "d 'de' MMM 'de' yyyy", "d 'de' MMMM 'de' yyyy", "EEEE, d 'de' MMMM 'de' yyyy"]
            }
        };
        patterns[style]
    }

    /// The pattern of a time of day.
    pub(super) fn time_pattern(self, style: usize) -> &'static str {
        let patterns = match (self.language, self.country()) {
            (Language::En, "GB" | "IE") => ["HH:mm", "HH:mm:ss", "HH:mm:ss z", "HH:mm:ss zzzz"],
            (Language::En, _) => ["h:mm a", "h:mm:ss a", "h:mm:ss a z", "h:mm:ss a zzzz"],
            (Language::Es, _) => ["H:mm", "H:mm:ss", "H:mm:ss z", "H:mm:ss (zzzz)"],
            _ => ["HH:mm", "HH:mm:ss", "HH:mm:ss z", "HH:mm:ss zzzz"],
        };
        patterns[style]
    }

    /// What joins day and time of a moment.
    pub(super) fn between(self, day_style: usize) -> &'static str {
        match (self.language, day_style) {
            (Language::En, 2 | 3) => " 'at' ",
            (Language::Pt, 0 | 1) if self.country() == "PT" => ", ",
            (Language::Pt, _) if self.country() != "PT" => " ",
            (Language::En | Language::De | Language::It, 0 | 1) => ", ",
            (Language::Es, 0 | 1) => " ",
            (Language::De, _) => " 'um' ",
            (Language::Fr, 1) => ", ",
            (Language::Fr, 2 | 3) => " 'à' ",
            (Language::Es, _) => ", ",
            (Language::Nl, 2 | 3) => " 'om' ",
            (Language::Pl, 0 | 1) => ", ",
            (Language::Pt, 2 | 3) => " 'às' ",
            _ => " ",
        }
    }
}
