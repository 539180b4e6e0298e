use std::io::Write;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder};

use super::*;
use crate::fuzzing::{fuzz, texts};

const XML: &str = "<?xml version=\"1.0\"?><!-- a --><feedback><report_metadata><org_name>A &amp; B</org_name>\
    <report_id>1</report_id><date_range><begin>100</begin><end>200</end></date_range></report_metadata>\
    <policy_published><domain>x.example</domain><p>none</p></policy_published>\
    <record><row><source_ip>192.0.2.1</source_ip><count>3</count><policy_evaluated><dkim>pass</dkim><spf>fail</spf>\
    </policy_evaluated></row><auth_results><spf><domain>y.example</domain><result>pass</result></spf></auth_results></record>\
    <record><row><source_ip>192.0.2.1</source_ip><count>2</count><policy_evaluated><dkim>fail</dkim><spf>fail</spf>\
    </policy_evaluated></row></record></feedback>";
/// The shape of RFC 8460's own example: `mx-host` is a text.
const JSON: &str = r#"{"organization-name": "A", "report-id": "2",
    "date-range": {"start-datetime": "2016-04-01T00:00:00Z", "end-datetime": "?"}, "policies": [{"policy": {"policy-type": "sts",
    "policy-domain": "x.example", "mx-host": "*.mail.example"}, "summary": {"total-successful-session-count": 5326,
    "total-failure-session-count": 303}}]}"#;

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// An archive of files; with the sizes in front, or behind as streams have them.
fn zip(files: &[&str], is_stream: bool) -> Vec<u8> {
    let mut archive = Vec::new();
    for file in files {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(file.as_bytes()).unwrap();
        let packed = encoder.finish().unwrap();
        let size = if is_stream { 0 } else { packed.len() as u32 };
        archive.extend_from_slice(b"PK\x03\x04\x14\0");
        archive.extend_from_slice(&[if is_stream { 8 } else { 0 }, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        archive.extend_from_slice(&size.to_le_bytes());
        archive.extend_from_slice(&[0; 4]);
        archive.extend_from_slice(&[1, 0, 0, 0, b'x']);
        archive.extend_from_slice(&packed);
        if is_stream {
            archive.extend_from_slice(b"PK\x07\x08............");
        }
    }
    archive
}

fn hash(text: &str) -> String {
    let words: String = text.split_ascii_whitespace().collect();
    blake3::hash(words.as_bytes()).to_hex()[..32].to_owned()
}

fn row() -> DmarcRow {
    DmarcRow { source: Some([192, 0, 2, 1].into()), ..DmarcRow::default() }
}

fn dmarc() -> Report {
    Report::Dmarc(DmarcReport {
        org: "A & B".to_owned(),
        report_id: "1".to_owned(),
        begin: 100,
        end: 200,
        domain: "x.example".to_owned(),
        p: "none".to_owned(),
        records: 2,
        messages: 5,
        dmarc_pass: 3,
        sources: 1,
        testing: false,
        rows: vec![
            DmarcRow {
                count: 3,
                dkim_aligned: true,
                spf_domain: "y.example".into(),
                spf_pass: true,
                ..row()
            },
            DmarcRow { count: 2, ..row() },
        ],
        hash: hash(XML),
    })
}

#[test]
fn reports_are_known_by_their_first_bytes() {
    for bytes in [
        XML.as_bytes().to_vec(),
        gzip(XML),
        zip(&[XML], false),
        zip(&["no report", XML], false),
        zip(&["no report", XML], true),
    ] {
        assert_eq!(read(&bytes), Some(dmarc()));
    }
    let tls = TlsReport {
        org: "A".to_owned(),
        report_id: "2".to_owned(),
        policies: 1,
        domains: vec!["x.example".to_owned()],
        ok: 5326,
        failed: 303,
        begin: 1_459_468_800,
        end: 0,
        rows: vec![TlsRow { domain: "x.example".into(), policy: "sts".into(), ok: 5326, failed: 303 }],
        hash: hash(JSON),
    };
    for bytes in [JSON.as_bytes().to_vec(), gzip(JSON), zip(&[JSON], false)] {
        assert_eq!(read(&bytes), Some(Report::Tls(tls.clone())));
    }
    for none in ["", "<html></html>", "{}", "{\"a\": 1}", "text", "\x1f\u{8b}"] {
        assert_eq!(read(none.as_bytes()), None, "{none:?}");
    }
}

#[test]
fn a_tag_that_is_cut_in_a_character_says_nothing() {
    for cut in ["<", "<\u{fffd}", "<feedback>\u{6d6}<org_\u{6d6}"] {
        assert_eq!(read(cut.as_bytes()), None, "{cut}");
    }
}

#[test]
fn comments_and_data_end_where_they_say_and_long_ones_are_cut() {
    let org = |content: &str| {
        let head = "<feedback><report_metadata><report_id>1</report_id><org_name>";
        let xml = format!("{head}{content}</org_name></report_metadata></feedback>");
        let Some(Report::Dmarc(report)) = read(xml.as_bytes()) else { panic!("no report") };
        report.org
    };
    let long = "x>y".repeat(20_000);
    for content in [
        "<!-- <org_name>no</org_name> -- > -->A",
        "<!--> no -->A",
        &format!("<!--{long}-->A"),
        "<![CDATA[A]]>",
    ] {
        assert_eq!(org(content), "A", "{}", &content[..content.len().min(50)]);
    }
    assert_eq!(org("<![CDATA[a<b>c]]>"), "a<b>c");
    assert_eq!(org("<![CDATA[>]]>"), ">");
    assert_eq!(org(&"x".repeat(100_000)).len(), 253);
    assert_eq!(org(&format!("<![CDATA[{long}]]>")).len(), 253);
}

#[test]
fn what_unpacks_to_too_much_is_cut() {
    let bomb = gzip(&format!("{XML}{}", " ".repeat(30 << 20)));
    assert!(bomb.len() < 1 << 20);
    let Some(Report::Dmarc(read_bomb)) = read(&bomb) else { panic!("no report") };
    assert_eq!((read_bomb.messages, read_bomb.rows.len()), (5, 2));
    assert_eq!(read(&zip(&[&" ".repeat(30 << 20), XML], false)), None);
}

#[test]
fn of_several_signatures_the_right_one_of_the_domain_is_kept() {
    let signature = |domain: &str, selector: &str, result: &str| {
        format!(
            "<dkim><domain>{domain}</domain><selector>{selector}</selector><result>{result}</result></dkim>"
        )
    };
    let report = |signatures: &[String]| {
        let xml = format!(
            "<feedback><policy_published><domain>x.example</domain><p>reject</p><testing>y</testing>\
             </policy_published><record><row><source_ip>2001:db8::1</source_ip><count>7</count>\
             <policy_evaluated><disposition>reject</disposition><dkim>fail</dkim><spf>pass</spf><reason>\
             <type>mailing_list</type></reason></policy_evaluated></row><identifiers>\
             <header_from>News.X.Example.</header_from></identifiers><auth_results>{}<spf>\
             <domain>b.x.example</domain><result>pass</result></spf></auth_results></record></feedback>",
            signatures.concat()
        );
        let Some(Report::Dmarc(report)) = read(xml.as_bytes()) else { panic!("no report") };
        assert!(report.testing);
        report.rows[0].clone()
    };
    let (own, other) = (signature("X.example", "s1", "pass"), signature("esp.example", "e", "pass"));
    let failed = signature("news.x.example", "s2", "fail");
    let row = report(&[other.clone(), failed.clone(), own]);
    let expected = DmarcRow {
        source: "2001:db8::1".parse().ok(),
        count: 7,
        from: "news.x.example".into(),
        dkim_aligned: false,
        spf_aligned: true,
        dkim_domain: "x.example".into(),
        selector: "s1".into(),
        dkim_pass: true,
        spf_domain: "b.x.example".into(),
        spf_pass: true,
        forwarded: true,
        withheld: true,
    };
    assert_eq!(row, expected);
    assert_eq!(report(&[failed.clone(), other]).selector, "e", "a right one of somebody else");
    let row = report(&[failed]);
    assert_eq!((row.selector.as_str(), row.dkim_pass), ("s2", false));
    assert_eq!(report(&[]).dkim_domain, "");
}

#[test]
fn rows_are_bounded_and_their_mails_are_all_counted() {
    let row = |number: u32| {
        format!(
            "<record><row><source_ip>{}</source_ip><count>1</count><policy_evaluated><dkim>pass</dkim>\
             </policy_evaluated></row></record>",
            std::net::Ipv4Addr::from(number)
        )
    };
    let rows: String = (0..30_000).chain(0..5).map(row).collect();
    let xml =
        format!("<feedback><policy_published><domain>x.example</domain></policy_published>{rows}</feedback>");
    let Some(Report::Dmarc(report)) = read(xml.as_bytes()) else { panic!("no report") };
    assert_eq!((report.messages, report.dmarc_pass, report.rows.len()), (30_005, 30_005, 20_001));
    assert_eq!((report.rows[0].count, report.rows[0].source), (10_000, None));
    assert_eq!((report.rows[1].count, report.rows[6].count), (2, 1));
}

#[test]
fn names_of_rows_are_bounded() {
    let name = "x".repeat(200);
    let row = |number: u32| {
        format!(
            "<record><row><count>1</count></row><identifiers><header_from>{name}{number:05}</header_from>\
             </identifiers><auth_results><spf><domain>{name}</domain></spf></auth_results></record>"
        )
    };
    let rows: String = (0..20_000).chain(0..5).map(row).collect();
    let xml =
        format!("<feedback><policy_published><domain>x.example</domain></policy_published>{rows}</feedback>");
    let Some(Report::Dmarc(report)) = read(xml.as_bytes()) else { panic!("no report") };
    let kept = (4 << 20) / 405;
    assert_eq!((report.messages, report.rows.len()), (20_005, kept + 1));
    // Those that were there before there was no room are still told apart.
    assert_eq!((report.rows[0].count, report.rows[1].count), (20_000 - kept as u64, 2));
}

mod fuzz {
    use super::*;

    #[test]
    fn every_report_is_read_without_a_panic() {
        let seeds =
            [texts(&[XML, JSON]), vec![gzip(XML), zip(&["x", XML], false), zip(&[JSON, XML], true)]].concat();
        fuzz("reports about domains", &seeds, |bytes| {
            let report = read(bytes);
            if let Some(Report::Dmarc(report)) = report {
                assert!(report.dmarc_pass <= report.messages);
            }
        });
    }
}
