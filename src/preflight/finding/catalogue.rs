//! Every finding of `mailrun check`: its id, its level, what it means and why it matters.
//!
//! To add a finding, add an entry here, make it in the check that sees it with
//! `Finding::new(Id::…, seen)`, and add its row to `docs/findings.md` (a test prints the row).

use std::fmt;

use serde::{Serialize, Serializer};

use super::{Group, Level};

/// What the catalogue says about one finding.
#[derive(Debug)]
pub(super) struct Entry {
    pub id: &'static str,
    pub group: Group,
    pub level: Level,
    /// A higher level, and the condition for it as a fragment.
    pub worse: Option<(Level, &'static str)>,
    /// Why it matters; empty where all is well.
    pub why: &'static str,
}

/// Declares the enum and its entries: variant, id, level, the condition for a higher level where
/// there is one, meaning, and why it matters.
macro_rules! catalogue {
    ($($group:ident { $(
        $variant:ident $id:literal $level:ident $(or $worse:ident if $when:literal)?:
        $meaning:literal $(, why $why:expr)?;
    )* })*) => {
        /// The name of a finding for programs: kebab-case, and the same in every version.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(crate) enum Id {
            $($(#[doc = $meaning] $variant,)*)*
        }

        impl Id {
            /// All ids, in the order of the catalogue.
            #[cfg(test)]
            pub(super) const ALL: &[Self] = &[$($(Self::$variant,)*)*];

            pub(super) const fn entry(self) -> &'static Entry {
                match self {
                    $($(Self::$variant => &Entry {
                        id: $id,
                        group: Group::$group,
                        level: Level::$level,
                        worse: worse!($($worse $when)?),
                        why: or_nothing!($($why)?),
                    },)*)*
                }
            }

            /// What it means, for the table in the docs.
            #[cfg(test)]
            const fn meaning(self) -> &'static str {
                match self {
                    $($(Self::$variant => $meaning,)*)*
                }
            }
        }
    };
}

macro_rules! or_nothing {
    () => {
        ""
    };
    ($why:expr) => {
        $why
    };
}

macro_rules! worse {
    () => {
        None
    };
    ($level:ident $when:literal) => {
        Some((Level::$level, $when))
    };
}

// Reasons that several findings share.
const UNANSWERED: &str =
    "receivers that get the same answer defer or refuse the mail (RFC 6376 §6.1.2, RFC 7208 §2.6.6)";
const NO_BOUNCES: &str = "bounces that arrive later are lost, and receivers that check the domain refuse the mail \
     (RFC 5321 §4.5.5, RFC 7505 §4.2)";
const UNVERIFIABLE: &str =
    "receivers can't verify the signature; with DMARC they refuse every message (RFC 6376 §6.1.2)";
const SHORT_RSA: &str = "verifiers reject RSA keys under 1,024 bits; 2,048 are recommended (RFC 8301 §3.2)";
const BOTH_REQUIRED: &str =
    "Google, Yahoo and Microsoft require both SPF and DKIM from bulk senders (RFC 7208 §8)";
const NOT_VERIFIED: &str =
    "mail-auth's verifier got a signed message of this campaign and the records as they are now";
const REVERSE_DNS: &str = "Google, Yahoo and others refuse mail from an address without a PTR record whose name resolves \
     back to it";
const NOT_SCANNED: &str = "the content was not scanned";
const CSA: &str = "a criterion of the Certified Senders Alliance, which `[sender] csa` asks for: a certified sender that \
     breaks it is warned, and loses the certificate";
const NO_RELAY: &str = "no message can be handed over until this is fixed";

catalogue! {
    Sender {
        Offline "offline" Note: "the sender's domains were not looked up: `--offline`";
        NoDns "no-dns" Warning: "DNS does not answer",
            why "without DNS, nothing is known about the sender's domains, keys and policies; \
                 receivers may refuse every message";
        DnsNoSuchName "dns-no-such-name" Warning: "a name does not exist in DNS", why UNANSWERED;
        DnsNoRecord "dns-no-record" Warning: "a name has no record of the kind that is needed",
            why UNANSWERED;
        DnsServfail "dns-servfail" Warning: "a zone's name servers answer with an error",
            why UNANSWERED;
        DnsRefused "dns-refused" Warning: "a name server refuses to answer", why UNANSWERED;
        DnsTimeout "dns-timeout" Warning: "a zone's name servers do not answer in time",
            why UNANSWERED;
        DnsMalformed "dns-malformed" Warning: "a name or an answer is malformed", why UNANSWERED;
        DnsUnreachable "dns-unreachable" Warning: "no name server can be reached", why UNANSWERED;

        FromDomain "from-domain" Ok: "the From domain exists";
        FromDomainMissing "from-domain-missing" Refused: "the From domain does not exist in DNS",
            why "receivers refuse mail from a domain that does not exist \
                 (RFC 9989 §4.10.1; Google, Yahoo and Microsoft all do)";
        FromNullMx "from-null-mx" Warning: "the From domain says that it accepts no mail (null MX)",
            why "many receivers refuse a sender that accepts no mail (RFC 7505 §4.2)";
        FromNoMx "from-no-mx" Warning: "the From domain has neither MX nor address records",
            why "replies can't arrive, and receivers that check the sender's domain refuse the mail \
                 (RFC 5321 §5.1)";

        Dkim "dkim" Ok: "DNS holds the public half of the key that signs";
        DkimStrict "dkim-strict" Ok: "the DKIM record asks for strict identities (`t=s`), which the signatures have";
        DkimNone "dkim-none" Warning: "the campaign has no DKIM key",
            why "Google, Yahoo and Microsoft refuse bulk mail without DKIM; ignore this if the relay \
                 signs for the From domain";
        DkimMissing "dkim-missing" Refused: "there is no DKIM record for a key", why UNVERIFIABLE;
        DkimRevoked "dkim-revoked" Refused: "the DKIM record revokes the key (empty `p=`)", why UNVERIFIABLE;
        DkimBroken "dkim-broken" Refused: "the DKIM record can't be parsed", why UNVERIFIABLE;
        DkimSeveral "dkim-several" Warning or Refused if "none of them holds the key that signs":
            "several DKIM records have the same name",
            why "verifiers may pick any one of them (RFC 6376 §3.6.2.2)";
        DkimWrongKind "dkim-wrong-kind" Refused: "the DKIM record is for another kind of key", why UNVERIFIABLE;
        DkimKeyTooShort "dkim-key-too-short" Refused: "the RSA key is shorter than 1,024 bits", why SHORT_RSA;
        DkimKeyShort "dkim-key-short" Warning: "the RSA key is shorter than 2,048 bits", why SHORT_RSA;
        DkimWrongKey "dkim-wrong-key" Refused: "the DKIM record holds a different key", why UNVERIFIABLE;
        DkimHash "dkim-hash" Refused: "the DKIM record does not allow SHA-256 (`h=`)", why UNVERIFIABLE;
        DkimService "dkim-service" Refused: "the DKIM record does not allow e-mail (`s=`)", why UNVERIFIABLE;
        DkimTesting "dkim-testing" Warning: "the DKIM record says that the domain is testing (`t=y`)",
            why "verifiers may treat the mail as unsigned (RFC 6376 §3.6.1)";

        Smime "smime" Ok: "the S/MIME certificate can sign this mail";
        SmimeAddress "smime-address" Refused: "no address of the S/MIME certificate is that of From",
            why "mail programs show the signature as wrong when From is not the certificate's address (RFC 8550 §3)";
        SmimeDates "smime-dates" Warning or Refused if "one is not valid now":
            "a certificate that signs or goes along ends within 30 days, or is not valid now",
            why "mail programs show the signature of a certificate that was not valid as wrong (RFC 8550 §4.3)";
        SmimeChain "smime-chain" Warning or Refused if "a certificate did not sign the next one":
            "the chain of the S/MIME certificate has a gap, or certificates too many",
            why "mail programs verify only what leads to a root that they know, by certificates that come along \
                 (RFC 8551 §2.3)";
        SmimeUsage "smime-usage" Refused: "the S/MIME certificate is not for signing mail",
            why "mail programs show the signature as wrong when key usage or extended key usage forbids it \
                 (RFC 8550 §4.4)";

        ReturnPath "return-path" Ok: "the return path's domain accepts bounces";
        ReturnPathNullMx "return-path-null-mx" Warning:
            "the return path's domain says that it accepts no mail (null MX)", why NO_BOUNCES;
        ReturnPathNoMx "return-path-no-mx" Warning:
            "the return path's domain has neither MX nor address records", why NO_BOUNCES;

        Spf "spf" Ok: "the return path's domain publishes SPF";
        SpfMissing "spf-missing" Warning: "the return path's domain has no SPF record",
            why "Google, Yahoo and Microsoft require both SPF and DKIM from bulk senders";
        SpfSeveral "spf-several" Warning: "the domain has several SPF records",
            why "more than one record is a permanent error, as if there were none (RFC 7208 §4.5)";
        SpfAll "spf-all" Warning: "the SPF record lets anybody send (`+all`)",
            why "spammers will use the domain, and receivers consider the record worthless";
        SpfOpen "spf-open" Note: "the SPF record ends with neither `-all` nor `~all` nor `redirect=`",
            why "addresses that it does not name are neutral, so the record keeps nobody out \
                 (RFC 7208 §4.7)";
        SpfUnreadable "spf-unreadable" Warning: "the SPF record has invalid terms",
            why "one mistake anywhere in the record is a permanent error, as if there were none \
                 (RFC 7208 §4.6)";
        SpfLookups "spf-lookups" Warning: "the SPF record needs more than 10 lookups",
            why "the eleventh lookup is a permanent error, as if there were no record \
                 (RFC 7208 §4.6.4)";
        SpfLookupsMany "spf-lookups-many" Note: "the SPF record needs 9 or 10 lookups; 10 are allowed",
            why "the next provider that adds one breaks it (RFC 7208 §4.6.4)";
        SpfVoid "spf-void" Warning: "more than two lookups of the SPF record find nothing",
            why "verifiers may treat more than two as a permanent error (RFC 7208 §4.6.4)";
        SpfPtr "spf-ptr" Warning: "the SPF record uses `ptr`",
            why "`ptr` should not be used: it is slow, and some receivers skip it (RFC 7208 §5.5)";
        SpfPass "spf-pass" Ok: "SPF passes for an address that mail leaves from";
        SpfFail "spf-fail" Warning: "SPF fails for an address that mail leaves from", why BOTH_REQUIRED;
        SpfSoftfail "spf-softfail" Warning: "SPF soft-fails for such an address", why BOTH_REQUIRED;
        SpfNeutral "spf-neutral" Warning: "SPF says nothing about such an address", why BOTH_REQUIRED;
        SpfNone "spf-none" Warning: "SPF finds no record for such an address", why BOTH_REQUIRED;
        SpfPermerror "spf-permerror" Warning: "SPF ends in a permanent error for such an address",
            why BOTH_REQUIRED;
        SpfTemperror "spf-temperror" Warning: "SPF ends in a temporary error for such an address",
            why BOTH_REQUIRED;

        Dmarc "dmarc" Ok: "a DMARC record applies to the From domain";
        DmarcMissing "dmarc-missing" Warning: "no DMARC record applies to the From domain",
            why "Google, Yahoo and Microsoft require one from bulk senders, at least `p=none`";
        DmarcSeveral "dmarc-several" Warning: "several DMARC records have the same name",
            why "where there are several, none counts (RFC 9989 §4.10)";
        DmarcPolicyNone "dmarc-policy-none" Note: "the DMARC policy is `none`",
            why "it only asks for reports, so others can use the domain in From; providers accept \
                 it, for now";
        DmarcTesting "dmarc-testing" Note: "the DMARC policy is only being tested (`t=y`)",
            why "receivers apply the policy one step weaker (RFC 9989 §4.7)";
        DmarcLegacyTags "dmarc-legacy-tags" Warning: "the DMARC record has tags that DMARC dropped",
            why "RFC 9989 dropped `pct`, `rf` and `ri`: some receivers follow them, others do not";
        DmarcUnreadable "dmarc-unreadable" Warning: "the DMARC record has invalid parts",
            why "receivers skip them; an invalid policy is `none` (RFC 9989 §4.7)";
        DmarcNoReports "dmarc-no-reports" Note: "the DMARC record asks for no reports (`rua=`)",
            why "only reports show a sender where its mail fails authentication";
        DmarcRua "dmarc-rua" Ok: "another organization accepts the DMARC reports";
        DmarcRuaUnreadable "dmarc-rua-unreadable" Warning: "an address for DMARC reports is invalid",
            why "no report is sent there";
        DmarcRuaUnauthorised "dmarc-rua-unauthorised" Warning:
            "another organization has not agreed to receive the DMARC reports",
            why "reporters send nothing there (RFC 9990 §4, RFC 7489 §7.1)";
        DmarcDkimAligned "dmarc-dkim-aligned" Ok: "a signature aligns with the From domain";
        DmarcDkimUnaligned "dmarc-dkim-unaligned" Warning: "the signature does not align with the From domain",
            why "the signature then says nothing about From (RFC 9989 §4.4.1); Google and Yahoo \
                 require an aligned one";
        DmarcSpfAligned "dmarc-spf-aligned" Ok: "the return path aligns with the From domain";
        DmarcSpfUnaligned "dmarc-spf-unaligned" Note or Warning if "no signature aligns either":
            "the return path does not align with the From domain",
            why "DMARC then depends on the signature alone (RFC 9989 §4.4.2)";
        DmarcUnaligned "dmarc-unaligned" Refused:
            "neither signature nor return path aligns with the From domain, and its policy is `reject`",
            why "every receiver that applies DMARC refuses every message";
        DmarcRfcsDiffer "dmarc-rfcs-differ" Note: "RFC 9989 and RFC 7489 give different DMARC results",
            why "some receivers already follow RFC 9989, others still RFC 7489 §3.2";

        MessageVerifies "message-verifies" Ok: "a signature verifies on a message of the list";
        MessageUnreadable "message-unreadable" Refused: "a verifier can't parse the message",
            why "receivers can't either (RFC 5322)";
        MessageUnverified "message-unverified" Warning: "a signature could not be verified now",
            why NOT_VERIFIED;
        MessageFails "message-fails" Warning or Refused if "no other signature verifies":
            "a signature fails on a message of the list", why NOT_VERIFIED;

        Ptr "ptr" Ok: "an address that mail leaves from resolves to a name, and that name back to it";
        PtrMissing "ptr-missing" Warning: "an address that mail leaves from has no PTR record", why REVERSE_DNS;
        PtrNotForward "ptr-not-forward" Warning: "the name in an address's PTR record does not resolve back to it",
            why REVERSE_DNS;
        Reputation "reputation" Ok: "how receivers took the sender's mail of the last 30 days";
        ReputationComplaints "reputation-complaints" Note or Warning if "it is above 0.3 %":
            "complaints about the sender, at a provider, or about an address or relay are above 0.1 %",
            why "Google and Yahoo ask for less than 0.1 %, and treat the mail as spam above 0.3 %";
        ReputationBounces "reputation-bounces" Warning:
            "bounces of the sender, at a provider, or of an address or relay are above 5 %",
            why "providers take it for a bought or old list; Amazon SES reviews senders above 5 %";
        ReputationBlocked "reputation-blocked" Warning:
            "refusals because of the sender or the content are above 1 %",
            why "receivers that refuse some of the mail put more of it into the spam folder";
        ReputationProviders "reputation-providers" Ok: "what SNDS and Postmaster Tools say of the sender";
        ReputationVerdict "reputation-verdict" Note or Warning if "it is red, low or bad, or complaints are above 0.3 %":
            "SNDS or Postmaster Tools think badly of an address or the domain, or count complaints or spam traps",
            why "the provider puts the mail into the spam folder, or will";
        Dnsbl "dnsbl" Ok: "no address that mail leaves from, and no domain of a link, is on the block lists";
        DnsblListed "dnsbl-listed" Warning: "an address that mail leaves from, or the domain of a link, is on a block list",
            why "receivers that use the list refuse the mail (RFC 5782)";
        DnsblUnusable "dnsbl-unusable" Note: "a block list does not answer as it must",
            why "nothing is known of what it lists";
        Csa "csa" Ok: "the criteria of the Certified Senders Alliance that DNS and the header show are met";
        CsaComplaints "csa-complaints" Warning: "CSA: `X-CSA-Complaints` is not signed", why CSA;
        CsaListUnsubscribe "csa-list-unsubscribe" Warning: "CSA: no List-Unsubscribe with One-Click", why CSA;
        CsaDkim "csa-dkim" Warning: "CSA: no DKIM signature by an RSA key of at least 1,024 bits", why CSA;
        CsaSpf "csa-spf" Warning: "CSA: SPF is not right", why CSA;
        CsaPtr "csa-ptr" Warning: "CSA: the reverse DNS of the addresses is not right or not known", why CSA;
        DedicatedFew "dedicated-few" Warning:
            "the sender asks for dedicated addresses and has fewer than two",
            why "while a provider blocks the only one, nothing can leave, and a new one has no reputation \
                 to stand in with";
        Ehlo "ehlo" Ok: "the name in EHLO resolves to the address";
        EhloNotForward "ehlo-not-forward" Warning: "the name in EHLO does not resolve to the address",
            why "the name in EHLO must be the client's own (RFC 5321 §4.1.1.1); filters compare it \
                 with the address";

        MtaSts "mta-sts" Ok: "the return path's domain publishes MTA-STS";
        TlsRpt "tls-rpt" Ok: "the return path's domain publishes TLS-RPT";
        Bimi "bimi" Ok: "the From domain publishes BIMI";
        NotPublished "not-published" Note: "MTA-STS, TLS-RPT or BIMI is not published",
            why "no receiver requires them from a sender: MTA-STS and TLS-RPT protect mail to this \
                 domain (RFC 8461, RFC 8460), BIMI shows a logo";

        ListUnsubscribe "list-unsubscribe" Ok: "a newsletter has a `List-Unsubscribe` header";
        ListUnsubscribeMissing "list-unsubscribe-missing" Note
            or Refused if "the campaign does not say `without-unsubscribe = true`":
            "a newsletter has no `List-Unsubscribe` header: the campaign has no `[unsubscribe]`",
            why "Google, Yahoo and Microsoft require List-Unsubscribe in marketing mail, with One-Click \
                 (RFC 8058); without it, people who want to leave report the mail as spam";
    }

    List {
        Rows "rows" Ok: "how many rows can be sent to";
        NoRows "no-rows" Refused: "no row can be sent to", why "nobody would get a message";
        InvalidRows "invalid-rows" Note or Warning if "they are more than 5 % of the list":
            "some rows are invalid",
            why "they end as `invalid` and get nothing; the rest is sent";
        TooManyInvalid "too-many-invalid" Refused: "more rows are invalid than `[stop] max-invalid-percent` allows",
            why "the list is probably not what it should be: another column, another file, a damaged export";
        TooFewRows "too-few-rows" Refused: "fewer rows pass screening than `[stop] min-rows`",
            why "the list is probably cut off or empty";
        StrayQuotes "stray-quotes" Note or Refused if "the campaign does not say `stray-quotes = \"allow\"`":
            "a quoted field goes over several lines and holds an address, or is far longer than its column",
            why "between two stray quotes, rows become one: their recipients get nothing, and one message \
                 holds their data";
        DuplicateRows "duplicate-rows" Note: "some rows repeat an address",
            why "each address gets one message";
        SuppressedRows "suppressed-rows" Note: "some addresses are on this machine's suppression list",
            why "they get nothing";
        Smtputf8 "smtputf8" Note: "some addresses need SMTPUTF8",
            why "the next hop must offer SMTPUTF8, or these rows bounce (RFC 6531 §3.4)";
        Render "render" Ok: "every row can be rendered";
        RenderFailed "render-failed" Warning: "some rows can't be rendered",
            why "they end as `render_failed` and get nothing; the rest is sent";
        RenderNone "render-none" Refused: "no row can be rendered", why "nobody would get a message";
        Sizes "sizes" Ok: "the sizes of the messages and the longest subject";
        UnfilledPlaceholder "unfilled-placeholder" Warning: "messages contain an unfilled `{{`",
            why "recipients see the placeholder instead of a value, or a link leads nowhere";
        EmptySubject "empty-subject" Warning: "messages have an empty subject",
            why "a message without a subject looks like spam to people and filters";
        LongSubject "long-subject" Note: "messages have a subject of more than 150 characters",
            why "mail programs cut it: phones after about 40 characters, others after 70";
        LongLine "long-line" Warning: "messages have a line of more than 998 octets",
            why "servers cut or refuse longer lines, and the signature breaks (RFC 5322 §2.1.1)";
    }

    Content {
        RelativeLink "relative-link" Warning: "messages have a link that is not absolute",
            why "a message has no address that a relative link could start from, so the link leads \
                 nowhere (RFC 2557 §5)";
        EmptyLink "empty-link" Warning: "messages have a link without an address",
            why "it looks like a link and does nothing";
        HttpLink "http-link" Note: "messages have a link without TLS",
            why "browsers warn about http links, and filters count them against a message";
        ImageWithoutAlt "image-without-alt" Note: "messages have an image without `alt`",
            why "most mail programs hide images at first, and some people never see them; filters \
                 count it too (WCAG 2.2, 1.1.1)";
        ActiveContent "active-content" Warning: "messages have a tag that mail programs remove",
            why "scripts, forms and frames are removed, and make filters suspicious";
        NoUnsubscribeLink "no-unsubscribe-link" Note or Warning if "the campaign is `kind = \"news\"`":
            "messages have no unsubscribe link in the body",
            why "Google and Yahoo require a visible unsubscribe link in the body of marketing mail; \
                 so do many laws";
        CsaImprint "csa-imprint" Warning: "CSA: messages have no link to an imprint", why CSA;
        EmptyTextPart "empty-text-part" Warning: "messages have an empty text part",
            why "text-only mail programs show nothing, and filters take it for spam (RFC 2046 \
                 §5.1.4: the parts are alternatives of each other)";
        HtmlClipped "html-clipped" Note: "messages have an HTML part that Gmail cuts off",
            why "Gmail shows the first 102 kB and hides the rest, including the unsubscribe link at \
                 the end";
        StyleDropped "style-dropped" Note: "messages have styles that mail programs drop",
            why "Gmail drops a `<style>` of more than 8,192 characters, and hardly any program loads stylesheets";
        StyleUnused "style-without-effect" Note: "messages have a rule for a class or an id that no element has",
            why "the rule or the element has a typing mistake, or the rule makes every message larger for nothing";
        DarkMode "dark-mode" Note: "messages set colours of a text or of a background, and not both",
            why "in dark mode, mail programs set the other colour, and the text may be unreadable";
        NoPreheader "no-preheader" Note: "messages have no preheader",
            why "beside the subject, mailboxes show the first words of the letter, such as those of a link to the \
                 web version";
        CssInEach "css-in-each" Note: "styles go into the elements of each message, and not once for all",
            why "`inline-css` takes time for each message where an expression decides which styles apply";
        OtherLanguage "other-language" Warning: "templates have expressions of another language, which are sent as they are written",
            why "recipients read the expression instead of its value";
        AttachmentFolder "attachment-folder" Refused: "`attachment-folder` holds keys, secrets, lists, runs or state",
            why "whoever writes a row of the list could have any of them mailed out";
        SpamScore "spam-score" Ok: "SpamAssassin's score is below the threshold";
        SpamScoreHigh "spam-score-high" Refused: "SpamAssassin's score reaches `spam-threshold`",
            why "receivers with the same rules refuse the message or put it into the spam folder";
        SpamdUnreachable "spamd-unreachable" Warning: "SpamAssassin does not answer", why NOT_SCANNED;
        Clamd "clamd" Ok: "ClamAV finds nothing";
        Virus "virus" Refused: "ClamAV finds a virus in a message or an attachment",
            why "receivers refuse it, and the domain's reputation suffers";
        ClamdError "clamd-error" Warning: "ClamAV can't scan a message or an attachment",
            why NOT_SCANNED;
        ClamdUnreachable "clamd-unreachable" Warning: "ClamAV does not answer", why NOT_SCANNED;
        Scanned "scanned" Ok: "the scanners of `[[scanner]]` find nothing";
        Infected "infected" Refused: "a scanner finds something in a message or a file",
            why "the row ends as `infected`, and its recipient gets nothing";
        ScannerError "scanner-error" Warning: "a scanner can't scan a message or a file",
            why "nothing leaves unscanned: the row ends as `deferred`";
        ScannerUnreachable "scanner-unreachable" Refused: "a scanner does not answer",
            why "nothing leaves unscanned: rows would wait, and end as `deferred`";
    }

    Delivery {
        Finish "finish" Ok: "when the last message leaves, and what limits it";
        DeadlineMet "deadline-met" Ok: "the last message leaves before the deadline";
        DeadlineMissed "deadline-missed" Refused: "the last message leaves after the deadline",
            why "rows that are left at the deadline are not attempted";
        Relay "relay" Ok: "the relay answers";
        RelayInClear "relay-in-clear" Warning: "mail goes to the relay without TLS",
            why "anybody on the way can read and change it (RFC 3207, RFC 8314)";
        RelayTls "relay-tls" Warning: "TLS to the relay fails", why NO_RELAY;
        RelayUnreachable "relay-unreachable" Warning: "the relay does not answer", why NO_RELAY;
        RelayCertificate "relay-certificate" Ok: "how long the relay's certificate is valid";
        RelayCertificateEnds "relay-certificate-ends" Warning:
            "the relay's certificate expires in less than 14 days",
            why "once it has expired, nothing is handed over if `tls` is required or implicit";
    }
}

impl Id {
    /// The id as reports and JSON show it.
    pub(crate) const fn as_str(self) -> &'static str {
        self.entry().id
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The rows of the table in `docs/findings.md`.
    fn rows() -> Vec<String> {
        let row = |id: &Id| {
            let entry = id.entry();
            let level = match entry.worse {
                Some((worse, when)) => format!("{}; {worse} if {when}", entry.level),
                None => entry.level.to_string(),
            };
            format!("| `{}` | {level} | {} |", entry.id, id.meaning())
        };
        Id::ALL.iter().map(row).collect()
    }

    #[test]
    fn ids_are_unique_and_in_kebab_case() {
        let ids: BTreeSet<&str> = Id::ALL.iter().map(|id| id.as_str()).collect();
        assert_eq!(ids.len(), Id::ALL.len());
        let fits = |id: &&str| id.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        assert!(ids.iter().all(fits), "{ids:?}");
    }

    #[test]
    fn entries_say_why_and_levels_rise() {
        for id in Id::ALL {
            let entry = id.entry();
            assert_eq!(entry.why.is_empty(), entry.level == Level::Ok || *id == Id::Offline, "{id}");
            assert!(entry.worse.is_none_or(|(worse, _)| worse > entry.level), "{id}");
            assert!(!id.meaning().is_empty() && !id.meaning().ends_with('.'), "{id}");
        }
    }

    #[test]
    fn the_docs_list_every_finding_and_no_other() {
        let page = include_str!("../../../docs/findings.md");
        let listed: Vec<&str> = page
            .lines()
            .skip_while(|line| !line.starts_with("| finding | level |"))
            .skip(2)
            .take_while(|line| line.starts_with('|'))
            .collect();
        let rows = rows();
        assert!(listed == rows, "the table in docs/findings.md must be:\n{}", rows.join("\n"));
    }
}
