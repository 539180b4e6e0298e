//! Opens and clicks that are no person's doing: scanners of links, proxies that fetch images before
//! anybody looks, and programs that fetch what may be wanted next.
//!
//! A label is kept; neither the address nor the name of the program is.

use serde::{Deserialize, Serialize};

/// Why an open or a click is no person's doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Machine {
    /// Only the head was asked for.
    Head,
    /// It was fetched before anybody wanted it, as the request says.
    Prefetch,
    /// The program calls itself a scanner, a robot or a library, or has no name.
    Scanner,
    /// A mailbox provider fetches images for its users, mostly before they look.
    ImageProxy,
    /// It came within seconds of the message's acceptance: nobody reads that fast.
    TooSoon,
    /// Several links of one message were followed within a second.
    ManyLinks,
}

impl Machine {
    /// All labels.
    pub const ALL: [Self; 6] =
        [Self::Head, Self::Prefetch, Self::Scanner, Self::ImageProxy, Self::TooSoon, Self::ManyLinks];

    /// The word in outputs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::Prefetch => "prefetch",
            Self::Scanner => "scanner",
            Self::ImageProxy => "image_proxy",
            Self::TooSoon => "too_soon",
            Self::ManyLinks => "many_links",
        }
    }

    /// The label with this word.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|own| own.as_str() == word)
    }

    /// What a program that calls itself `name` (`User-Agent`, RFC 9110 §10.1.5) is; `None` where it
    /// may be a person's.
    pub fn of_program(name: &str) -> Option<Self> {
        // Cubot makes telephones.
        let name = name.trim().to_ascii_lowercase().replace("cubot", "");
        // Apple's Mail Privacy Protection calls itself nothing more than this.
        if name == "mozilla/5.0" || PROXIES.iter().any(|proxy| name.contains(proxy)) {
            return Some(Self::ImageProxy);
        }
        (name.is_empty() || SCANNERS.iter().any(|scanner| name.contains(scanner))).then_some(Self::Scanner)
    }

    /// What the value of a `Purpose`, `Sec-Purpose`, `X-Purpose` or `X-Moz` field says.
    pub fn of_purpose(value: &str) -> Option<Self> {
        let value = value.to_ascii_lowercase();
        ["prefetch", "prerender", "preview"].iter().any(|own| value.contains(own)).then_some(Self::Prefetch)
    }
}

/// Parts of the names of image proxies, in lower case.
const PROXIES: [&str; 5] =
    ["googleimageproxy", "ggpht.com", "yahoomailproxy", "yahoocachesystem", "duckduckgo email"];

/// Parts of the names of programs that no person looks through, in lower case.
const SCANNERS: [&str; 48] = [
    "bot",
    "crawl",
    "spider",
    "slurp",
    "scan",
    "monitor",
    "preview",
    "headless",
    "phantomjs",
    "puppeteer",
    "playwright",
    "selenium",
    "curl/",
    "wget",
    "python",
    "aiohttp",
    "httpx",
    "urllib",
    "go-http-client",
    "java/",
    "apache-httpclient",
    "okhttp",
    "libwww",
    "lwp",
    "ruby",
    "axios",
    "node-fetch",
    "guzzlehttp",
    "php/",
    "winhttp",
    "barracuda",
    "proofpoint",
    "mimecast",
    "symantec",
    "messagelabs",
    "trendmicro",
    "sophos",
    "fireeye",
    "cisco",
    "ironport",
    "forcepoint",
    "zscaler",
    "fortinet",
    "bitdefender",
    "kaspersky",
    "safelinks",
    "microsoft office existence discovery",
    "facebookexternalhit",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_known_by_their_names() {
        let check = |name: &str, is: Option<Machine>| assert_eq!(Machine::of_program(name), is, "{name}");
        check("", Some(Machine::Scanner));
        check("python-requests/2.31.0", Some(Machine::Scanner));
        check(
            "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
            Some(Machine::Scanner),
        );
        check("BarracudaCentral/1.0", Some(Machine::Scanner));
        check("Mozilla/5.0 (X11; Linux) HeadlessChrome/120.0.0.0 Safari/537.36", Some(Machine::Scanner));
        check("Mozilla/5.0", Some(Machine::ImageProxy));
        check(
            "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
            Some(Machine::ImageProxy),
        );
        check(
            "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html",
            Some(Machine::ImageProxy),
        );
        for person in [
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/537.36",
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
            "Mozilla/5.0 (X11; Linux x86_64; rv:115.0) Gecko/20100101 Thunderbird/115.5.0",
            "Microsoft Office/16.0 (Microsoft Outlook 16.0; Pro)",
        ] {
            check(person, None);
        }
        assert_eq!(Machine::of_purpose("prefetch;prerender"), Some(Machine::Prefetch));
        assert_eq!(Machine::of_purpose("navigate"), None);
        assert!(Machine::ALL.iter().all(|label| Machine::of_word(label.as_str()) == Some(*label)));
    }
}
