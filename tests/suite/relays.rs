//! Several relays in one campaign, on one host: a relay is its name, not its host.

use std::fs;

use mailrun::sandbox::{Credentials, Options};

use crate::kit::{Dir, Relay, campaign, list};

/// A relay on this machine that lets one user in.
fn relay_of(dir: &Dir, user: &str) -> Relay {
    let auth = Some(Credentials { user: user.into(), password: format!("{user}-password") });
    let relay = Relay::start(Options { auth, record: Some(dir.path().join(user)), ..Options::default() });
    dir.write(&format!("{user}.pem"), relay.certificate_pem());
    dir.write(&format!("{user}-password"), format!("{user}-password\n"));
    relay
}

/// The settings of [`relay_of`] at `host`, without a host.
fn settings(user: &str) -> String {
    format!(
        "ca-file = \"{user}.pem\"\nusername = \"{user}\"\npassword-file = \"{user}-password\"\nconnections = 2"
    )
}

/// A campaign whose mail goes to relay `main`, but for `partner.example`, which has one of its own.
fn two_relays(dir: &Dir, main: u16, partner: u16) -> String {
    let more = format!(
        "[[relay]]\nname = \"partner\"\nhost = \"localhost\"\nport = {partner}\n{}\n\
         [[route]]\ndomains = [\"partner.example\"]\nrelay = \"partner\"",
        settings("partner")
    );
    let file = campaign(dir, "news", main, &settings("main"), &more);
    let text = fs::read_to_string(dir.path().join(&file)).unwrap();
    dir.write(&file, text.replace("tls = \"none\"\n", "").replace("127.0.0.1", "localhost"));
    file
}

#[test]
fn relays_on_one_host_get_their_own_mail_with_their_own_login() {
    let dir = Dir::new();
    let (main, partner) = (relay_of(&dir, "main"), relay_of(&dir, "partner"));
    let addresses = ["a@one.example", "b@partner.example", "c@two.example", "d@partner.example"];
    let rows: String = addresses.iter().enumerate().map(|(n, address)| format!("{address},{n}\n")).collect();
    dir.write("news.csv", format!("email,n\n{rows}"));
    let file = two_relays(&dir, main.port(), partner.port());
    dir.run(&["send", &file]).ended(0);
    assert_eq!((main.stop().accepted, partner.stop().accepted), (2, 2));
    let (main, partner) = (dir.path().join("main"), dir.path().join("partner"));
    let (main, partner) = (fs::read_to_string(main).unwrap(), fs::read_to_string(partner).unwrap());
    assert!(main.contains("a@one.example") && main.contains("c@two.example"), "{main}");
    assert!(partner.contains("b@partner.example") && partner.contains("d@partner.example"), "{partner}");
}

#[test]
fn another_user_makes_another_relay_also_on_the_same_port() {
    let dir = Dir::new();
    let main = relay_of(&dir, "main");
    // The host lets `main` in only: nothing of the partner's may go with that login.
    dir.write("partner.pem", main.certificate_pem());
    dir.write("partner-password", "partner-password\n");
    dir.write("news.csv", "email,n\nb@partner.example,1\nd@partner.example,2\n");
    let file = two_relays(&dir, main.port(), main.port());
    let ran = dir.run(&["send", &file]);
    assert_ne!(ran.code(), 0, "{}", ran.stderr());
    assert_eq!(main.stop().accepted, 0);
}

#[test]
fn a_stop_names_the_relay_and_not_only_its_host() {
    let dir = Dir::new();
    let (main, partner) = (Relay::start(Options::default()), relay_of(&dir, "partner"));
    dir.write("partner-password", "wrong\n");
    dir.write("one.csv", "email,n\na@partner.example,1\n");
    let route = |host: &str, port: u16, more: &str| {
        format!(
            "[[relay]]\nname = \"partner\"\nhost = \"{host}\"\nport = {port}\n{more}\n\
             [[route]]\ndomains = [\"partner.example\"]\nrelay = \"partner\""
        )
    };
    let login = route("localhost", partner.port(), &settings("partner"));
    let file = campaign(&dir, "one", main.port(), "", &login);
    let said = dir.run(&["send", &file]).ended(4).stderr();
    assert!(said.contains("no session with `partner (localhost)` (127.0.0.1): "), "{said}");

    dir.write("two.csv", "email,n\nrcpt-450-4.7.77@partner.example,1\n");
    let open = Relay::start(Options::default());
    let rule = "[[reply]]\nname = \"all\"\nstatus = [\"x.7.77\"]\nclass = \"policy\"\naction = \"stop\"\n\
                tests = [\"450 4.7.77 closed for you\"]";
    let more = format!("{}\n{rule}", route("127.0.0.1", open.port(), "tls = \"none\""));
    let file = campaign(&dir, "two", main.port(), "", &more);
    let said = dir.run(&["send", &file]).ended(4).stderr();
    assert!(said.contains("stopped: `partner (127.0.0.1)` replied `450 4.7.77 "), "{said}");
}

#[test]
fn a_sender_s_egress_pool_holds_with_relays() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    list(&dir, "news", 6);
    dir.write("senders.toml", "[[sender]]\ndomain = \"mail.example.com\"\negress-pool = \"own\"\n");
    let file = campaign(&dir, "news", relay.port(), "connections = 2", "");
    dir.run(&["send", &file]).ended(3).says("no `[[egress]]` of the pool `own`");

    let egress = "[[egress]]\naddress = \"127.0.0.2\"\n[[egress]]\naddress = \"127.0.0.3\"\npool = \"own\"";
    let file = campaign(&dir, "news", relay.port(), "connections = 2", egress);
    dir.run(&["send", &file]).ended(0);
    let from: Vec<_> =
        dir.results("news").into_iter().map(|row| row.local_ip.map(|ip| ip.to_string())).collect();
    assert_eq!(from, vec![Some("127.0.0.3".to_owned()); 6]);
}
