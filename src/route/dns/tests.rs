use std::net::{Ipv4Addr, Ipv6Addr, UdpSocket};
use std::sync::atomic::{AtomicUsize, Ordering};

use hickory_resolver::proto::op::{Message, ResponseCode};
use hickory_resolver::proto::rr::Record;
use hickory_resolver::proto::rr::rdata::SOA;
use tempfile::TempDir;

use super::*;

const EXAMPLE: &str = r#"
$TTL 300
@          IN SOA ns hostmaster 1 7200 900 1209600 60
@          IN MX 20 mx2
@          IN MX 10 MX1.Example.COM.
@          IN TXT "v=spf1 include:_spf.example.net " "-all"
@          IN TXT "another"
mx1        IN A 192.0.2.1
mx1        IN AAAA 2001:db8::1
mx2        IN A 192.0.2.2
six        IN AAAA 2001:db8::6
alias      IN CNAME mx1
far        IN CNAME mx.example.net.
nowhere    IN CNAME gone.example.org.
ring       IN CNAME gnir
gnir       IN CNAME ring
deep.below IN A 192.0.2.3
*.wild     IN MX 10 mx1
is.wild    IN A 192.0.2.4
null       IN MX 0 .
broken     IN TXT "mailrun-fault=servfail"
closed     IN TXT "mailrun-fault=refused"
hole       IN TXT "mailrun-fault=timeout"
xn--mller-kva IN A 192.0.2.9
"#;

const NET: &str = "mx.example.net. 300 IN A 198.51.100.1\n1.2.0.192.in-addr.arpa. IN PTR Mail.Example.Com.\n";

fn zone() -> (TempDir, Resolver) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("example.com.zone"), EXAMPLE).unwrap();
    std::fs::write(folder.path().join("others"), NET).unwrap();
    let resolver = Resolver::zone(folder.path()).unwrap();
    (folder, resolver)
}

fn failure<T: std::fmt::Debug>(result: Result<T, DnsError>) -> DnsFailure {
    result.unwrap_err().failure
}

#[tokio::test]
async fn records_come_as_the_zone_has_them() {
    let (_folder, resolver) = zone();
    let mx = resolver.mx("example.com").await.unwrap();
    let mut hosts: Vec<_> = mx.records.iter().map(|mx| (mx.preference, mx.host.as_str())).collect();
    hosts.sort_unstable();
    assert_eq!(hosts, [(10, "mx1.example.com"), (20, "mx2.example.com")]);
    let mut texts = resolver.txt("example.com").await.unwrap();
    texts.sort();
    assert_eq!(texts, ["another", "v=spf1 include:_spf.example.net -all"]);
    assert_eq!(resolver.ptr("192.0.2.1".parse().unwrap()).await.unwrap(), ["mail.example.com"]);
    let null = resolver.mx("null.example.com").await.unwrap();
    assert_eq!(null.records, [MxRecord { preference: 0, host: String::new() }]);
}

#[tokio::test]
async fn addresses_are_of_the_families_asked_for() {
    let (_folder, resolver) = zone();
    let (v4, v6) =
        (IpAddr::from(Ipv4Addr::new(192, 0, 2, 1)), IpAddr::from(Ipv6Addr::from_bits(0x20010db8 << 96 | 1)));
    let of = async |host, family| resolver.addresses(host, family).await;
    assert_eq!(of("mx1.example.com", IpFamily::Any).await.unwrap(), [v4, v6]);
    assert_eq!(of("mx1.example.com", IpFamily::Ipv4).await.unwrap(), [v4]);
    assert_eq!(of("mx1.example.com", IpFamily::Ipv6).await.unwrap(), [v6]);
    assert_eq!(of("six.example.com", IpFamily::Any).await.unwrap().len(), 1);
    assert_eq!(failure(of("six.example.com", IpFamily::Ipv4).await), DnsFailure::NoRecord);
    assert_eq!(failure(of("example.com", IpFamily::Any).await), DnsFailure::NoRecord);
    assert_eq!(failure(of("gone.example.com", IpFamily::Any).await), DnsFailure::NoSuchName);
}

#[tokio::test]
async fn what_does_not_exist_is_distinguished() {
    let (_folder, resolver) = zone();
    let mx = async |name| resolver.mx(name).await;
    assert_eq!(failure(mx("gone.example.com").await), DnsFailure::NoSuchName);
    assert_eq!(failure(mx("mx1.example.com").await), DnsFailure::NoRecord);
    assert_eq!(failure(mx("below.example.com").await), DnsFailure::NoRecord, "an empty non-terminal");
    assert_eq!(failure(mx("x.deep.below.example.com").await), DnsFailure::NoSuchName);
    assert_eq!(failure(mx("elsewhere.example").await), DnsFailure::NoSuchName, "in no zone");
    assert_eq!(failure(mx("com").await), DnsFailure::NoSuchName, "above all zones");
    assert_eq!(failure(mx("broken.example.com").await), DnsFailure::ServFail);
    assert_eq!(failure(mx("closed.example.com").await), DnsFailure::Refused);
    let long = format!("{}.example.com", "x".repeat(64));
    assert!(matches!(failure(mx(&long).await), DnsFailure::Malformed(_)));
    assert!(matches!(failure(mx("a..example.com").await), DnsFailure::Malformed(_)));
}

#[tokio::test]
async fn aliases_are_followed_also_to_other_zones() {
    let (_folder, resolver) = zone();
    let of = async |host: &str| resolver.addresses(host, IpFamily::Ipv4).await;
    assert_eq!(of("alias.example.com").await.unwrap(), [IpAddr::from([192, 0, 2, 1])]);
    assert_eq!(of("FAR.example.com").await.unwrap(), [IpAddr::from([198, 51, 100, 1])]);
    assert_eq!(failure(of("nowhere.example.com").await), DnsFailure::NoSuchName);
    assert_eq!(failure(resolver.mx("alias.example.com").await), DnsFailure::NoRecord);
    assert_eq!(failure(of("ring.example.com").await), DnsFailure::ServFail);
}

#[tokio::test]
async fn wildcards_stand_for_names_that_do_not_exist() {
    let (_folder, resolver) = zone();
    let host = |mx: MxRecords| mx.records[0].host.clone();
    assert_eq!(host(resolver.mx("any.wild.example.com").await.unwrap()), "mx1.example.com");
    assert_eq!(host(resolver.mx("a.b.wild.example.com").await.unwrap()), "mx1.example.com");
    assert_eq!(failure(resolver.mx("is.wild.example.com").await), DnsFailure::NoRecord);
    assert_eq!(failure(resolver.mx("x.is.wild.example.com").await), DnsFailure::NoSuchName);
}

#[tokio::test]
async fn a_name_exists_when_it_or_one_below_it_has_records() {
    let (_folder, resolver) = zone();
    let exists = async |name| resolver.exists(name).await.unwrap();
    assert!(exists("mx1.example.com").await);
    assert!(exists("null.example.com").await, "other records");
    assert!(exists("below.example.com").await, "an empty non-terminal");
    assert!(!exists("gone.example.com").await);
    assert!(resolver.exists("broken.example.com").await.is_err());
}

#[tokio::test]
async fn names_go_as_a_labels() {
    let (_folder, resolver) = zone();
    let found = resolver.addresses("Müller.example.com", IpFamily::Ipv4).await.unwrap();
    assert_eq!(found, [IpAddr::from([192, 0, 2, 9])]);
}

#[tokio::test]
async fn an_answer_too_long_for_udp_comes_over_tcp() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("example.org.zone");
    let records: String = (0..64).map(|n| format!("@ IN TXT \"{n:0>200}\"\n")).collect();
    std::fs::write(&file, records).unwrap();
    let resolver = Resolver::zone(&file).unwrap();
    assert_eq!(resolver.txt("example.org").await.unwrap().len(), 64);
}

#[tokio::test]
async fn silence_is_a_timeout() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("example.com.zone");
    std::fs::write(&file, EXAMPLE).unwrap();
    let resolver = Resolver::zone_within(&file, Duration::from_millis(50)).unwrap();
    let error = resolver.mx("hole.example.com").await.unwrap_err();
    assert_eq!(error.failure, DnsFailure::Timeout);
    assert!(!error.is_permanent());
}

#[tokio::test]
async fn a_name_server_that_is_not_there_says_nothing_about_the_domain() {
    // A port that was free a moment ago: over UDP, nobody there looks like silence.
    let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let resolver = Resolver::build(&[port], Duration::from_millis(50), 0).unwrap();
    assert_eq!(failure(resolver.mx("example.com").await), DnsFailure::Timeout);
    let nobody = Resolver::servers(&[]).unwrap();
    let failure = failure(nobody.mx("example.com").await);
    assert!(matches!(failure, DnsFailure::Unreachable(_)), "{failure:?}");
}

/// A name server that counts the questions, knows no name, and gives that answer a TTL.
fn counting_server(ttl: u32) -> (SocketAddr, Arc<AtomicUsize>) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let asked = Arc::clone(&count);
    std::thread::spawn(move || {
        let mut bytes = [0; 4_096];
        while let Ok((length, from)) = socket.recv_from(&mut bytes) {
            asked.fetch_add(1, Ordering::SeqCst);
            let request = Message::from_vec(&bytes[..length]).unwrap();
            let mut response = Message::response(request.metadata.id, request.metadata.op_code);
            response.metadata.response_code = ResponseCode::NXDomain;
            response.add_queries(request.queries);
            let root = Name::root();
            let soa = SOA::new(root.clone(), root.clone(), 1, 7_200, 900, 1_209_600, ttl);
            response.add_authority(Record::from_rdata(root, ttl, RData::SOA(soa)));
            socket.send_to(&response.to_vec().unwrap(), from).unwrap();
        }
    });
    (address, count)
}

#[tokio::test]
async fn what_does_not_exist_is_asked_once_within_its_ttl() {
    let (server, count) = counting_server(3_600);
    let resolver = Resolver::servers(&[server]).unwrap();
    for _ in 0..5 {
        assert_eq!(failure(resolver.mx("gone.example").await), DnsFailure::NoSuchName);
    }
    assert_eq!(count.load(Ordering::SeqCst), 1);
    assert_eq!(failure(resolver.clone().mx("other.example").await), DnsFailure::NoSuchName);
    assert_eq!(count.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn mail_auth_asks_the_same_zones() {
    let (_folder, resolver) = zone();
    let authenticator = mail_auth::MessageAuthenticator(resolver.hickory().clone());
    let text = authenticator.txt_raw_lookup("example.com").await.unwrap();
    assert!(String::from_utf8(text).unwrap().contains("v=spf1 include:_spf.example.net -all"));
}

#[test]
fn bad_zone_files_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let check = |text: &str, part: &str| {
        let file = folder.path().join("example.com.zone");
        std::fs::write(&file, text).unwrap();
        let error = Resolver::zone(&file).unwrap_err().to_string();
        assert!(error.contains("example.com.zone") && error.contains(part), "{error}");
    };
    check("mail IN MX ten mx", "");
    check("mail IN NONSENSE x", "");
    check("mail IN TXT \"mailrun-fault=asleep\"", "asleep");
    assert!(Resolver::zone(&folder.path().join("missing")).unwrap_err().to_string().contains("missing"));
}
